"""A few rows that stand for a table: every three values that occur together in the table do so in one of the rows.

Defects come of one value, or of two or three that meet, hardly ever of more; so one tool need not walk the whole table
before each change. `make test-all` walks it.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations

Row = Mapping[str, Hashable]


def meetings(row: Row, strength: int = 3) -> set[tuple[tuple[str, Hashable], ...]]:
    """The values of a row that meet, so many at a time."""
    return set(combinations(row.items(), strength))


def cover(table: Sequence[Row], strength: int = 3) -> list[Row]:
    """Rows of a table in which all meet that meet in the table; the same ones whenever they are asked for.

    Greedy: the next row is the first of those that bring the most meetings that none before it has.
    """
    brought = [meetings(row, strength) for row in table]
    missing, chosen = set[tuple[tuple[str, Hashable], ...]]().union(*brought), []
    while missing:
        best = max(range(len(table)), key=lambda index: len(brought[index] & missing))
        chosen.append(table[best])
        missing -= brought[best]
    return chosen
