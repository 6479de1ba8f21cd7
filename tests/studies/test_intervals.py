"""Intervals over seeds hold what they promise. Oracles: studies drawn from known distributions, and printed tables."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from echo_core.evaluation.judging import wilson_interval
from echo_core.studies.intervals import MOST_SEEDS, Difference, Kind, compare, estimate

#: Windows that an accuracy of these tests is measured on.
TRIALS = 2000
#: Studies that are drawn. Of so few, 5 per cent are 5 ± 1.4, and of so many 5 ± 0.7, two standard errors.
FEW, MANY = 1000, 4000
Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]


def accuracies(mean: float, spread: float) -> Draw:
    """Seeds differ by a Beta distribution with this standard deviation; each is judged on so many windows."""
    strength = mean * (1 - mean) / spread ** 2 - 1
    return lambda rng, shape: rng.binomial(TRIALS, rng.beta(mean * strength, (1 - mean) * strength, shape)) / TRIALS


def amounts(mean: float, spread: float) -> Draw:
    """Seeds differ by a normal distribution."""
    return lambda rng, shape: rng.normal(mean, spread, shape)


def epochs(mean: float, spread: float) -> Draw:
    """Seeds differ by a lognormal distribution, whose logarithms have this spread."""
    return lambda rng, shape: mean * rng.lognormal(-spread ** 2 / 2, spread, shape)


def coverage(draw: Draw, truth: float, kind: Kind, seeds: int, studies: int = FEW) -> float:
    """Per cent of studies whose interval holds the truth."""
    drawn = draw(np.random.default_rng(1), (studies, seeds))
    found = [estimate(values, kind, TRIALS) for values in drawn]
    return 100 * sum(each.low <= truth <= each.high for each in found) / studies


def paired(first: Iterable[float], second: Iterable[float], kind: Kind = Kind.AMOUNT,
           comparisons: int = 1) -> Difference:
    return compare(dict(enumerate(first)), dict(enumerate(second)), kind, comparisons, TRIALS)


def false_alarms(draw: Draw, kind: Kind, seeds: int, studies: int = FEW, comparisons: int = 1) -> float:
    """Per cent of comparisons that tell apart two settings that are equal."""
    first, second = draw(np.random.default_rng(1), (2 * studies, seeds)).reshape(2, studies, seeds)
    return 100 * sum(paired(*pair, kind, comparisons).can_tell for pair in zip(first, second, strict=True)) / studies


# --- the mean of a setting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [5, 10, 20, 100])
def test_of_a_thousand_studies_of_known_shares_about_95_of_100_intervals_hold_the_share(seeds: int):
    rng = np.random.default_rng(1)
    shares = rng.random(FEW)
    found = [estimate((rng.random(seeds) < share).astype(float), Kind.SHARE) for share in shares]
    assert 93 <= 100 * np.mean([each.low <= share <= each.high
                                for each, share in zip(found, shares, strict=True)]) <= 97


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize(("mean", "spread"), [(0.5, 0.05), (0.8, 0.05), (0.95, 0.02), (0.99, 0.004)])
def test_about_95_of_100_intervals_hold_the_mean_accuracy(mean: float, spread: float, seeds: int):
    assert 93 <= coverage(accuracies(mean, spread), mean, Kind.ACCURACY, seeds) <= 97


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("draw", [amounts(100, 20), epochs(100, 0.3)], ids=["amounts", "epochs"])
def test_about_95_of_100_intervals_hold_the_mean_amount(draw: Draw, seeds: int):
    assert 93 <= coverage(draw, 100, Kind.AMOUNT, seeds) <= 97


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
@pytest.mark.parametrize(("draw", "truth", "kind", "least"), [
    (accuracies(0.5, 0.05), 0.5, Kind.ACCURACY, 94.5), (accuracies(0.5, 0.2), 0.5, Kind.ACCURACY, 94.5),
    (accuracies(0.8, 0.02), 0.8, Kind.ACCURACY, 94.5), (accuracies(0.8, 0.12), 0.8, Kind.ACCURACY, 93.5),
    (accuracies(0.95, 0.01), 0.95, Kind.ACCURACY, 94), (accuracies(0.95, 0.07), 0.95, Kind.ACCURACY, 90),
    (accuracies(0.99, 0.002), 0.99, Kind.ACCURACY, 94), (accuracies(0.999, 0.0005), 0.999, Kind.ACCURACY, 94),
    (amounts(100, 20), 100, Kind.AMOUNT, 94.5), (epochs(100, 0.3), 100, Kind.AMOUNT, 94),
    (epochs(100, 0.6), 100, Kind.AMOUNT, 92),
])
def test_hardly_fewer_intervals_hold_the_mean_where_seeds_differ_much(draw: Draw, truth: float, kind: Kind,
                                                                      least: float, seeds: int):
    assert least - 0.7 <= coverage(draw, truth, kind, seeds, MANY) <= 97.5


def test_amounts_have_the_interval_of_a_printed_t_table():
    found = estimate([0, 1, 2, 3, 4], Kind.AMOUNT)
    half = 2.776 * math.sqrt(2.5 / 5)  # t for 4 degrees of freedom
    assert (found.mean, found.low, found.high) == pytest.approx((2, 2 - half, 2 + half), abs=1e-3)
    assert found.method == "Student's t, 95 %"


def test_positive_amounts_have_as_wide_an_interval_in_per_cent_of_their_mean():
    found = estimate([90, 95, 100, 105, 110], Kind.AMOUNT)
    ratio = 1 + 2.776 * math.sqrt(62.5 / 5) / 100  # to first order
    assert (found.low, found.high) == pytest.approx((100 / ratio, 100 * ratio), rel=0.01)
    assert found.high / 100 == pytest.approx(100 / found.low)
    assert estimate([1, 1, 1, 1, 500], Kind.AMOUNT).low > 0
    assert estimate([0, 1, 1, 1, 500], Kind.AMOUNT).low == 0


def test_accuracies_have_as_wide_an_interval_in_odds():
    found = estimate([0.78, 0.79, 0.80, 0.81, 0.82], Kind.ACCURACY, TRIALS)
    half = 2.776 * math.sqrt(0.00025 / 5)
    assert (found.low, found.high) == pytest.approx((0.8 - half, 0.8 + half), abs=1e-3)
    odds = [share / (1 - share) for share in (found.low, 0.8, found.high)]
    assert odds[1] / odds[0] == pytest.approx(odds[2] / odds[1])


@pytest.mark.parametrize(("values", "kind", "interval", "method"), [
    ([1, 1, 1, 0, 1], Kind.SHARE, wilson_interval(0.8, 5), "Wilson, 95 %"),
    ([1], Kind.SHARE, wilson_interval(1, 1), "Wilson, 95 %"),
    ([1.0] * 5, Kind.ACCURACY, wilson_interval(1, 5 * TRIALS), "Wilson over the windows of all seeds, 95 %"),
    ([0.1] * 3, Kind.ACCURACY, wilson_interval(0.1, 3 * TRIALS), "Wilson over the windows of all seeds, 95 %"),
    ([0.9], Kind.ACCURACY, (None, None), "none: an interval needs two seeds"),
    ([], Kind.SHARE, (None, None), "none: an interval needs two seeds"),
    ([96.0] * 5, Kind.AMOUNT, (None, None), "none: all seeds have the same value"),
])
def test_an_interval_is_wilsons_or_missing_where_seeds_have_no_spread(
        values: Sequence[float], kind: Kind, interval: tuple[float | None, float | None], method: str):
    found = estimate(values, kind, TRIALS)
    assert (found.low, found.high) == (interval[0], interval[1]) or (found.low, found.high) == pytest.approx(interval)
    assert (found.n, found.method) == (len(values), method)
    assert math.isnan(found.mean) if not values else found.mean == pytest.approx(np.mean(values))


@given(st.lists(st.integers(0, TRIALS), min_size=2, max_size=8), st.sampled_from([*Kind]))
def test_an_interval_has_a_width_holds_the_mean_and_stays_where_values_can_be(counts: list[int], kind: Kind):
    values = {Kind.SHARE: [count % 2 for count in counts], Kind.ACCURACY: [count / TRIALS for count in counts],
              Kind.AMOUNT: counts}[kind]
    found = estimate(values, kind, TRIALS)
    if found.low is not None:
        assert found.low <= found.mean <= found.high
        assert found.low < found.high
        assert kind is Kind.AMOUNT or (found.low >= 0 and found.high <= 1)
        assert found.low > 0 or min(values) == 0


# --- two settings ----------------------------------------------------------------------------------------------------


EQUAL = {
    "amounts": (amounts(100, 20), Kind.AMOUNT),
    "epochs": (epochs(100, 0.6), Kind.AMOUNT),
    "epochs of few snapshots": (lambda rng, shape: np.round(rng.normal(5, 0.7, shape)), Kind.AMOUNT),  # many ties
    "accuracies": (accuracies(0.8, 0.12), Kind.ACCURACY),
    "high accuracies": (accuracies(0.999, 0.001), Kind.ACCURACY),
    "all or nothing": (lambda rng, shape: (rng.random(shape) < 0.5).astype(float), Kind.ACCURACY),
}


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("name", EQUAL)
def test_equal_settings_are_told_apart_in_5_of_100_studies_at_most(name: str, seeds: int):
    assert false_alarms(*EQUAL[name], seeds) <= 5 + 1.4


@pytest.mark.slow
@pytest.mark.parametrize(("comparisons", "most"), [(1, 5 + 0.7), (6, 5 / 6 + 0.5)])
@pytest.mark.parametrize("seeds", [2, 4, 10])
@pytest.mark.parametrize("name", EQUAL)
def test_no_more_studies_tell_equal_settings_apart_than_are_promised(name: str, seeds: int, comparisons: int,
                                                                     most: float):
    assert false_alarms(*EQUAL[name], seeds, MANY, comparisons) <= most


@pytest.mark.parametrize("seeds", [3, 5, 8, 10])
def test_equal_shares_of_seeds_are_told_apart_in_5_of_100_studies_at_most(seeds: int):
    """Exact: each way that pairs can come out, with its probability."""
    for share in (0.5, 0.7, 0.9):
        alarm = 0.0
        for one, other in itertools.product(range(seeds + 1), repeat=2):
            if not one + other <= seeds:
                continue
            first = [1] * one + [0] * (seeds - one)  # pairs in which the first alone is 1 come first
            second = [0] * one + [1] * other + [0] * (seeds - one - other)
            probability = (math.factorial(seeds) / math.factorial(one) / math.factorial(other)
                           / math.factorial(seeds - one - other) * (share * (1 - share)) ** (one + other)
                           * (1 - 2 * share * (1 - share)) ** (seeds - one - other))
            alarm += probability * paired(first, second, Kind.SHARE).can_tell
        assert 0 <= alarm <= 0.05


def test_in_95_of_100_studies_of_four_equal_settings_none_of_six_comparisons_tells():
    drawn = np.random.default_rng(1).normal(100, 20, (400, 4, 5))
    wrong = sum(any(paired(one, other, comparisons=6).can_tell for one, other in itertools.combinations(settings, 2))
                for settings in drawn)
    assert 100 * wrong / 400 <= 5 + 2.2  # two standard errors of so few


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
def test_about_95_of_100_intervals_hold_the_true_difference(seeds: int):
    rng = np.random.default_rng(22)
    for first, second, truth, kind, least in (
            (rng.normal(120, 20, (MANY, seeds)), rng.normal(100, 10, (MANY, seeds)), 20, Kind.AMOUNT, 94),
            (accuracies(0.9, 0.03)(rng, (MANY, seeds)), accuracies(0.8, 0.1)(rng, (MANY, seeds)), 0.1,
             Kind.ACCURACY, 93),
            (rng.random((MANY, seeds)) < 0.9, rng.random((MANY, seeds)) < 0.5, 0.4, Kind.SHARE, 94)):
        found = [paired(*pair, kind) for pair in zip(first, second, strict=True)]
        assert 100 * np.mean([each.low <= truth <= each.high for each in found]) >= least


def test_only_seeds_that_both_settings_have_are_compared():
    found = compare({0: 1.0, 1: 3.0, 2: 5.0, 7: 9.0}, {2: 1.0, 1: 0.0, 0: 0.0, 8: 3.0}, Kind.AMOUNT)
    assert (found.n, found.mean) == (3, pytest.approx((1 + 3 + 4) / 3))


def test_a_difference_has_the_interval_of_a_printed_t_table():
    found = paired([11, 22, 33, 44, 55], [10, 20, 30, 40, 50])
    half = 2.776 * math.sqrt(2.5 / 5)
    assert (found.mean, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half), abs=1e-3)
    assert (found.can_tell, found.more_seeds, found.method) == (True, None, "Student's t over pairs of one seed, 95 %")
    wider = paired([11, 22, 33, 44, 55], [10, 20, 30, 40, 50], comparisons=5)
    assert wider.high - wider.mean == pytest.approx(half * 4.604 / 2.776, rel=1e-3)  # t of 99 %
    assert (wider.confidence, wider.method) == (pytest.approx(0.99), "Student's t over pairs of one seed, 99 %")


def test_seeds_that_all_do_it_and_seeds_that_all_do_not_are_told_apart_by_five_and_not_by_three():
    found = paired([1] * 5, [0] * 5, Kind.SHARE)
    adjusted, half = 5 / 7, 1.96 * math.sqrt((1 - (5 / 7) ** 2) / 7)  # Bonett and Price, by hand
    assert (found.mean, found.low, found.high) == (1, pytest.approx(adjusted - half, abs=1e-3), 1)
    assert found.can_tell
    few = paired([1] * 3, [0] * 3, Kind.SHARE)
    assert (few.can_tell, few.more_seeds) == (False, 1)


def test_swapped_settings_have_the_mirrored_difference():
    for first, second, kind in (([5, 1, 4, 9], [1, 2, 2, 3], Kind.AMOUNT), ([1, 1, 1, 0], [0, 1, 0, 0], Kind.SHARE),
                                ([0.9] * 4, [0.8] * 4, Kind.ACCURACY), ([0.9, 1, 1], [0.8, 0.1, 0], Kind.ACCURACY)):
        one, other = paired(first, second, kind), paired(second, first, kind)
        assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low))
        assert (one.can_tell, one.more_seeds) == (other.can_tell, other.more_seeds)


@pytest.mark.parametrize(("values", "truth"), [
    (([1.0] * 5, [1.0] * 5), 0), (([0.9] * 5, [0.8] * 5), 0.1),
    (([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]), 0.1),  # but for rounding
])
def test_accuracies_that_all_seeds_share_have_an_interval_by_their_windows(values: tuple[list[float], list[float]],
                                                                          truth: float):
    found = paired(*values, Kind.ACCURACY)
    assert found.low < truth < found.high
    assert found.high - found.low < 0.04
    assert (found.can_tell, found.more_seeds) == (truth > 0, None)
    assert found.method == "Newcombe over the windows of all seeds, 95 %"


@pytest.mark.parametrize(("pairs", "comparisons", "more"), [(2, 1, 1), (3, 1, None), (3, 6, 1), (4, 6, None)])
def test_one_difference_of_all_pairs_tells_when_there_are_enough_for_it_to_be_no_luck(pairs: int, comparisons: int,
                                                                                     more: int | None):
    """Equal settings have one difference above 0 in a quarter of pairs at most: 2 / 4³ < 0.05, 2 / 4⁴ < 0.05 / 6."""
    found = paired([96] * pairs, [48] * pairs, comparisons=comparisons)
    assert (found.mean, found.low, found.high) == (48, 48, 48)
    assert (found.can_tell, found.more_seeds) == (more is None, more)
    assert paired([96] * pairs, [96] * pairs).can_tell is False


@pytest.mark.parametrize("pairs", [0, 1])
def test_without_two_pairs_nothing_can_be_told(pairs: int):
    found = paired([5.0] * pairs, [1.0] * pairs)
    assert (found.low, found.high, found.n, found.can_tell, found.more_seeds) == (None, None, pairs, False, None)
    assert compare({0: 0.5}, {1: 0.5}, Kind.ACCURACY).n == 0  # nobody knows the windows of runs that have not ended


@pytest.mark.parametrize("comparisons", [1, 10])
@pytest.mark.parametrize("noise", [2.0, 4.0, 9.0])
def test_as_many_more_seeds_with_the_same_mean_and_spread_tell_and_one_fewer_does_not(noise: float, comparisons: int):
    def study(pairs: int) -> Difference:
        values = np.tile([-1.0, 1.0], pairs)[:pairs]
        values = (values - values.mean()) / values.std(ddof=1)
        return paired(100 + noise * values + 1, [100.0] * pairs, comparisons=comparisons)

    found = study(6)
    assert not found.can_tell
    assert found.more_seeds is not None
    assert study(6 + found.more_seeds).can_tell
    assert not study(6 + found.more_seeds - 1).can_tell


def test_twice_as_many_seeds_that_do_the_same_tell_if_as_many_more_were_said_to():
    first, second = [1, 1, 1, 1, 1, 0], [1, 0, 1, 0, 0, 0]
    found = paired(first, second, Kind.SHARE)
    assert not found.can_tell
    assert found.more_seeds is not None
    assert found.more_seeds <= 6
    assert paired(first * 2, second * 2, Kind.SHARE).can_tell


def test_two_seeds_do_not_say_how_many_more_would_tell():
    found = paired([0.5, 0.9], [0.6, 0.7], Kind.ACCURACY)
    assert (found.can_tell, found.has_spread, found.more_seeds) == (False, False, 3)
    assert paired([0.5, 0.9, 0.7], [0.6, 0.7, 0.7], Kind.ACCURACY).has_spread
    assert paired([96] * 2, [48] * 2).has_spread  # the same difference twice
    assert paired([1, 0], [0, 0], Kind.SHARE).has_spread


def test_no_number_of_seeds_is_named_where_it_would_be_too_large():
    assert paired([1, 0, 1, 0], [0, 1, 0, 1]).more_seeds is None
    noise = np.tile([9.0, 11.0], 5)
    assert paired(noise + 0.001, [10.0] * 10).more_seeds is None
    assert 0 < paired(noise + 0.1, [10.0] * 10).more_seeds < MOST_SEEDS


@pytest.mark.parametrize(("values", "kind", "windows", "line"), [
    ([0.5], Kind.SHARE, None, "values must be 0 or 1 for a share of seeds; received 0.5."),
    ([1.5], Kind.ACCURACY, 2000, "values must be in [0, 1] for an accuracy; received 1.5."),
    ([math.nan], Kind.ACCURACY, 2000, "values must be in [0, 1] for an accuracy; received nan."),
    ([1, math.nan], Kind.AMOUNT, None, "values must be at least 0 for an amount; received nan."),
    ([1, math.inf], Kind.AMOUNT, None, "values must be at least 0 for an amount; received inf."),
    ([1, -2], Kind.AMOUNT, None, "values must be at least 0 for an amount; received -2."),
    ([1, 1], Kind.ACCURACY, None, "windows must be at least 1, because each accuracy is a share of so many windows; "
                                  "received None."),
])
def test_values_that_are_not_of_their_kind_are_refused(values: list[float], kind: Kind, windows: int | None, line: str):
    for refused in (lambda: estimate(values, kind, windows),
                    lambda: compare(dict(enumerate(values)), dict(enumerate(values)), kind, 1, windows)):
        with pytest.raises(ValueError) as found:  # noqa: PT011 - the whole line is compared
            refused()
        assert str(found.value).startswith(line)


def test_comparisons_below_1_are_refused():
    with pytest.raises(ValueError, match=r"comparisons must be at least 1; received 0\."):
        compare({}, {}, Kind.AMOUNT, comparisons=0)
