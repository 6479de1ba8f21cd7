"""Intervals over seeds hold what they promise. Oracles: studies drawn from known distributions, and printed tables."""

import math

import pytest

from echo_core.evaluation.judging import wilson_interval
from echo_core.sweeps.intervals import Kind, compare, estimate


def test_amounts_have_the_interval_of_a_printed_t_table():
    found = estimate([1, 2, 3, 4, 5], Kind.AMOUNT)
    half = 2.776 * math.sqrt(2.5 / 5)  # t for 4 degrees of freedom
    assert (found.mean, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half), abs=1e-3)


def test_a_share_of_seeds_has_wilsons_interval():
    found = estimate([1, 1, 1, 0, 1], Kind.SHARE)
    assert (found.mean, found.low, found.high, found.n) == (0.8, *wilson_interval(0.8, 5), 5)


def test_only_seeds_that_both_settings_have_are_compared():
    found = compare({0: 1.0, 1: 3.0, 2: 5.0, 7: 9.0}, {2: 1.0, 1: 0.0, 0: 0.0, 8: 3.0}, Kind.AMOUNT)
    assert (found.n, found.mean) == (3, pytest.approx((1 + 3 + 4) / 3))


@pytest.mark.parametrize(("values", "kind", "line"), [
    ([0.5], Kind.SHARE, "values must be 0 or 1 for a share of seeds; received 0.5."),
    ([1.5], Kind.ACCURACY, "values must be between 0 and 1 for an accuracy; received 1.5."),
    ([1, math.nan], Kind.AMOUNT, "values must be finite; received nan."),
])
def test_values_that_are_not_of_their_kind_are_refused(values: list[float], kind: Kind, line: str):
    with pytest.raises(ValueError, match=line):
        estimate(values, kind, trials=2000)
