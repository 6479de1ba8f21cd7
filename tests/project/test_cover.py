"""A few rows of the table of combinations stand for all of it."""

from itertools import product

import pytest

from echo_core.config.compatibility import combinations
from tests.helpers.cover import cover, meetings

TABLE = list(combinations())


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_the_cover_has_all_that_meets_in_the_table_and_nothing_else(strength):
    met = [set().union(*(meetings(row, strength) for row in rows)) for rows in (TABLE, cover(TABLE, strength))]
    assert met[0] == met[1]


def test_no_row_of_the_cover_is_idle():
    rows = cover(TABLE)
    assert all(meetings(row) - set().union(*(meetings(other) for other in rows[:place]))
               for place, row in enumerate(rows))
    assert len(rows) < len(TABLE) / 2


def test_the_cover_of_a_free_choice_of_four_is_known():
    free = [dict(zip("abcd", values, strict=True)) for values in product([0, 1], repeat=4)]
    assert len(cover(free)) == 8  # three of them meet in eight ways, and an orthogonal array has no more rows


def test_the_cover_is_the_same_each_time():
    assert cover(TABLE) == cover(list(combinations()))
