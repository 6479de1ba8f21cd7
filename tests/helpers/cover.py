"""A few rows in place of a table: any three values that occur together in the table do so in one of the rows.

A defect rarely depends on more than three values together, so the quick tests of a tool use a few rows.
`make test-all` uses the whole table.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations

Row = Mapping[str, Hashable]


def meetings(row: Row, strength: int = 3) -> set[tuple[tuple[str, Hashable], ...]]:
    """All combinations of `strength` values that occur together in a row."""
    return set(combinations(row.items(), strength))


def cover(table: Sequence[Row], strength: int = 3) -> list[Row]:
    """Choose rows so that values that occur together in the table do so in one of them. The choice is deterministic.

    Greedy: the next row is the first one with the most new meetings.
    """
    brought = [meetings(row, strength) for row in table]
    missing, chosen = set[tuple[tuple[str, Hashable], ...]]().union(*brought), []
    while missing:
        best = max(range(len(table)), key=lambda index: len(brought[index] & missing))
        chosen.append(table[best])
        missing -= brought[best]
    return chosen
