"""Means over seeds with their 95 % intervals, and two settings compared over the same seeds.

Plain values in, frozen records out. Which methods, and how often their intervals hold: docs/decisions/0058.
"""

import bisect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from echo_core.evaluation.judging import wilson_interval

#: The share of intervals that hold the true value.
CONFIDENCE = 0.95

#: More seeds than this are never proposed.
MOST_SEEDS = 1000
#: Where there is no interval, the method is this, followed by the reason.
NO_INTERVAL = "none: "
#: Seeds of a study unless it says otherwise.
USUAL_SEEDS = 5

Interval = tuple[float, float]


class Kind(StrEnum):
    """What the value of a seed is."""

    SHARE = "share"  # 1 for a seed that does something, or 0
    ACCURACY = "accuracy"  # a share of the windows of that seed
    AMOUNT = "amount"  # a number of at least 0: epochs, seconds, bits


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds.

    Attributes:
        mean: NaN without seeds.
        low: Lower end of the 95 % interval; None, like `high`, where it cannot be told.
        n: Seeds.
        method: In words, for a table.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    method: str


@dataclass(frozen=True)
class Difference:
    """The mean of first minus second, over the seeds that both have.

    Attributes:
        mean: NaN without such seeds.
        low: Lower end of the interval; None, like `high`, with fewer than two pairs.
        n: Pairs of values, one a seed.
        confidence: That of the interval: 0.95, corrected for the number of comparisons.
        can_tell: Whether the interval leaves out 0. Where all pairs have the same difference, and an amount's interval
            has no width, there must also be enough pairs for that to be no luck.
        more_seeds: About how many more seeds would tell, if mean and spread stay as they are. None if it can be told
            already, if there are fewer than two pairs, or if it would take more than `MOST_SEEDS` in all.
        method: In words, for a table.
        has_spread: Whether there are enough pairs to know their spread. Two that differ are too few; `more_seeds` is
            then the number that is missing to `USUAL_SEEDS`.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    confidence: float
    can_tell: bool
    more_seeds: int | None
    method: str
    has_spread: bool = True


def estimate(values: Sequence[float], kind: Kind, windows: int | None = None) -> Estimate:
    """The mean of one value a seed, with its 95 % interval.

    `estimate([1, 1, 1, 0, 1], Kind.SHARE) -> Estimate(mean=0.8, low=0.376, high=0.964, n=5, method="Wilson, 95 %")`

    Few seeds do not show what is rare: where one seed in ten fails, the interval of five seeds that all learnt is
    short, and too high.

    Args:
        values: One a seed, all finite. A run without a value is no number here: count it elsewhere.
        windows: For accuracies: the windows of one seed, as many as share no number.
    Raises:
        ValueError: If a value is not of its kind, or the windows are missing.
    """
    numbers = _checked(values, kind, windows)
    n = len(numbers)
    mean = float(numbers.mean()) if n else math.nan
    if not n or (n == 1 and kind is not Kind.SHARE):
        return Estimate(mean, None, None, n, f"{NO_INTERVAL}an interval needs two seeds")
    if kind is Kind.SHARE:
        interval, method = wilson_interval(mean, n), "Wilson"
    elif _all_equal(numbers):
        if kind is Kind.AMOUNT or windows is None:
            return Estimate(mean, None, None, n, f"{NO_INTERVAL}all seeds have the same value")
        interval, method = wilson_interval(mean, n * windows), "Wilson over the windows of all seeds"
    else:
        interval, method = _t_interval(numbers, kind)
    return Estimate(mean, *interval, n, f"{method}, 95 %")


def _t_interval(values: NDArray[np.float64], kind: Kind) -> tuple[Interval, str]:
    """Student's t for the mean, taken on a scale on which it can leave neither [0, 1] nor the positive amounts.

    On that scale the interval is symmetric, and its half width is that of the mean divided by the scale's slope there.
    Source: the method `xlogit` of `svyciprop` in R's package survey, whose clusters of people are our seeds.
    """
    mean = float(values.mean())
    half = _t_half(float(values.std(ddof=1)), CONFIDENCE, len(values))
    if kind is Kind.ACCURACY:
        logit, step = math.log(mean / (1 - mean)), half / (mean * (1 - mean))
        return (1 / (1 + math.exp(step - logit)), 1 / (1 + math.exp(-step - logit))), "Student's t on the logit scale"
    if values.min() > 0:
        return (mean * math.exp(-half / mean), mean * math.exp(half / mean)), "Student's t on the log scale"
    return (max(0.0, mean - half), mean + half), "Student's t"


def compare(first: Mapping[int, float], second: Mapping[int, float], kind: Kind, comparisons: int = 1,
            windows: int | None = None) -> Difference:
    """First minus second, over the seeds that both have.

    Args:
        first: Value by seed, like `second`; they are what `estimate` takes.
        comparisons: Pairs of settings that are compared in one study. Each interval is wider for it, so that in 95 of
            100 studies all of them hold (Bonferroni).
    Raises:
        ValueError: If a value is not of its kind, the windows are missing, or comparisons are below 1.
    """
    if comparisons < 1:
        raise ValueError(f"comparisons must be at least 1; received {comparisons}. Try the pairs that are compared.")
    seeds = sorted(first.keys() & second.keys())
    one, other = (_checked([values[seed] for seed in seeds], kind, windows) for values in (first, second))
    n, confidence = len(seeds), 1 - (1 - CONFIDENCE) / comparisons
    mean = float((one - other).mean()) if n else math.nan
    if not n or (n == 1 and kind is not Kind.SHARE):
        return Difference(mean, None, None, n, confidence, False, None,
                          f"{NO_INTERVAL}an interval needs two pairs of runs")
    interval, method = _interval_by_pairs(one, other, kind, confidence, windows)
    tied = kind is not Kind.SHARE and _all_equal(one - other)

    def tells(pairs: int) -> bool:
        low, high = interval(pairs)
        # Without a spread, luck is counted: of pairs of equal settings at most a quarter have one difference above 0.
        luck = 2 * 0.25 ** pairs if tied else 0.0
        return not low <= 0 <= high and luck <= 1 - confidence

    can_tell = tells(n)
    has_spread = n > 2 or tied or kind is Kind.SHARE
    enough = n if can_tell else USUAL_SEEDS if not has_spread else bisect.bisect_left(
        range(MOST_SEEDS + 1), True, lo=n + 1, key=tells)
    more_seeds = enough - n if n < enough <= MOST_SEEDS else None
    return Difference(mean, *interval(n), n, confidence, can_tell, more_seeds, f"{method}, {100 * confidence:.4g} %",
                      has_spread)


def _interval_by_pairs(one: NDArray[np.float64], other: NDArray[np.float64], kind: Kind, confidence: float,
                       windows: int | None) -> tuple[Callable[[int], Interval], str]:
    """From a number of pairs to the interval that so many would have with the mean and spread of these.

    Returns:
        That function, and the name of the method.
    """
    differences = one - other
    mean, z = float(differences.mean()), NormalDist().inv_cdf((1 + confidence) / 2)
    if kind is Kind.SHARE:
        better, worse = float((differences > 0).mean()), float((differences < 0).mean())
        return lambda pairs: _bonett_price(better, worse, pairs, z), "Bonett and Price over pairs of one seed"
    if not _all_equal(differences):
        spread = float(differences.std(ddof=1))
        least, most = (-1.0, 1.0) if kind is Kind.ACCURACY else (-math.inf, math.inf)

        def by_t(pairs: int) -> Interval:
            half = _t_half(spread, confidence, pairs)
            return max(least, mean - half), min(most, mean + half)

        return by_t, "Student's t over pairs of one seed"
    if kind is Kind.AMOUNT or windows is None:
        return lambda pairs: (mean, mean), "The same difference in all pairs"
    of_a_seed = windows
    return (lambda pairs: _newcombe(float(one.mean()), float(other.mean()), pairs * of_a_seed, z),
            "Newcombe over the windows of all seeds")


def _bonett_price(better: float, worse: float, pairs: int, z: float) -> Interval:
    """The interval of better minus worse, shares of pairs in which the one or the other alone is 1.

    Source: D. G. Bonett and R. M. Price (2012), Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data, Journal of Educational and Behavioral Statistics 37, 479–488.
    """
    first, second = (pairs * better + 1) / (pairs + 2), (pairs * worse + 1) / (pairs + 2)
    half = z * math.sqrt((first + second - (first - second) ** 2) / (pairs + 2))
    return max(-1.0, first - second - half), min(1.0, first - second + half)


def _newcombe(first: float, second: float, trials: int, z: float) -> Interval:
    """The interval of the difference of two shares, each of so many trials, from Wilson's of each.

    Source: R. G. Newcombe (1998), Interval estimation for the difference between independent proportions, Statistics
    in Medicine 17, 873–890, method 10.
    """
    (low, high), (second_low, second_high) = (wilson_interval(share, trials, z) for share in (first, second))
    return (first - second - math.hypot(first - low, second_high - second),
            first - second + math.hypot(high - first, second - second_low))


def _t_half(spread: float, confidence: float, number: int) -> float:
    """Half of Student's interval for the mean of a number of values with this standard deviation."""
    from scipy.special import stdtrit  # not at the top: only pages that show studies shall wait for it

    return float(stdtrit(number - 1, (1 + confidence) / 2)) * spread / math.sqrt(number)


def _all_equal(values: NDArray[np.float64]) -> bool:
    """Whether values are the same but for rounding."""
    return float(np.ptp(values)) <= 1e-12 * max(1.0, float(np.abs(values).max()))


def _checked(values: Sequence[float], kind: Kind, windows: int | None) -> NDArray[np.float64]:
    if kind is Kind.ACCURACY and len(values) and (windows is None or windows < 1):
        raise ValueError(f"windows must be at least 1, because each accuracy is a share of so many windows; received "
                         f"{windows}. Try the windows that a run was judged on.")
    numbers = np.asarray(values, dtype=np.float64)
    rule, right = {
        Kind.SHARE: ("0 or 1 for a share of seeds", np.isin(numbers, (0, 1))),
        Kind.ACCURACY: ("in [0, 1] for an accuracy", (numbers >= 0) & (numbers <= 1)),
        Kind.AMOUNT: ("at least 0 for an amount", (numbers >= 0) & (numbers < math.inf)),
    }[kind]
    if not right.all():
        raise ValueError(f"values must be {rule}; received {numbers[~right][0]:g}. "
                         "Try another kind, or count runs without a value elsewhere.")
    return numbers
