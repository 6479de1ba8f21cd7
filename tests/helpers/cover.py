"""A few rows that stand for a table: every three values that occur together in the table do so in one of the rows.

Defects depend on one value, or on two or three together, hardly ever on more; so the quick tests of a tool need not
walk the whole table. `make test-all` walks it.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations

Row = Mapping[str, Hashable]


def meetings(row: Row, strength: int = 3) -> set[tuple[tuple[str, Hashable], ...]]:
    """All combinations of `strength` values that occur together in a row."""
    return set(combinations(row.items(), strength))


def cover(table: Sequence[Row], strength: int = 3) -> list[Row]:
    """Choose rows such that values that occur together in the table do so in one of them. Always the same rows.

    Greedy: the next row is the first with the most meetings that no row before it has.
    """
    brought = [meetings(row, strength) for row in table]
    missing, chosen = set[tuple[tuple[str, Hashable], ...]]().union(*brought), []
    while missing:
        best = max(range(len(table)), key=lambda index: len(brought[index] & missing))
        chosen.append(table[best])
        missing -= brought[best]
    return chosen
