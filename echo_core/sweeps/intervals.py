"""Means over seeds with their 95 % intervals, and two settings compared over the same seeds.

Plain values in, frozen records out. SciPy is imported by the functions that need it: pages that show no study never
wait for it. Why each method was chosen, with its measured coverage: docs/decisions/0058.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from echo_core.evaluation.judging import wilson_interval

#: The share of intervals that hold the true value.
CONFIDENCE = 0.95

#: More seeds than this, for each of two settings, are never proposed.
MOST_SEEDS = 1000


class Kind(StrEnum):
    """What the values of seeds are."""

    SHARE = "share"  # each is 1 for a seed that does something, or 0
    ACCURACY = "accuracy"  # each is a share of the windows of one seed
    AMOUNT = "amount"  # any number: epochs, seconds, bits


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds.

    Attributes:
        mean: NaN without seeds.
        low: Lower end of the 95 % interval; None where it cannot be told, like `high`.
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
    """The mean of first minus second over the seeds that both have.

    Attributes:
        mean: NaN without such seeds.
        low: Lower end of the interval; None where it cannot be told, like `high`.
        n: Pairs, one a seed.
        confidence: Of the interval: 0.95, corrected for the number of comparisons.
        can_tell: Whether the interval leaves out 0.
        more_seeds: About how many more seeds would tell, if mean and spread stay as they are. None if the interval
            tells already, cannot be told yet, or would take more than `MOST_SEEDS`.
        method: In words, for a table.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    confidence: float
    can_tell: bool
    more_seeds: int | None
    method: str


def estimate(values: Sequence[float], kind: Kind, trials: int | None = None) -> Estimate:
    """The mean of one value a seed, with its 95 % interval.

    `estimate([1, 1, 1, 0, 1], Kind.SHARE) -> Estimate(mean=0.8, low=0.376, high=0.964, n=5, …)`

    Args:
        values: One a seed, all finite: a run that failed has a value that says so, or is counted elsewhere.
        trials: For `Kind.ACCURACY`, the windows that each value is a share of.
    Raises:
        ValueError: If a value is not of its kind, or trials are missing.
    """
    numbers = _checked(values, kind, trials)
    n = len(numbers)
    mean = float(numbers.mean()) if n else math.nan
    if kind is Kind.SHARE and n:
        return Estimate(mean, *wilson_interval(mean, n), n, "Wilson, 95 %")
    method = "Student's t over seeds, 95 %"
    if n < 2:
        return Estimate(mean, None, None, n, method)
    half = _t_quantile(CONFIDENCE, n - 1) * float(numbers.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n, method)


def compare(first: Mapping[int, float], second: Mapping[int, float], kind: Kind, comparisons: int = 1,
            trials: int | None = None) -> Difference:
    """First minus second, over the seeds that both have.

    Args:
        first: Value by seed, like `second`; what values may be is that of `estimate`.
        comparisons: How many are made of one study. Each interval is so much wider that all of them together hold
            their true values in 95 of 100 studies (Bonferroni).
    Raises:
        ValueError: If a value is not of its kind, trials are missing, or comparisons are below 1.
    """
    if comparisons < 1:
        raise ValueError(f"comparisons must be at least 1; received {comparisons}. Try the pairs compared.")
    seeds = sorted(first.keys() & second.keys())
    differences = (_checked([first[seed] for seed in seeds], kind, trials)
                   - _checked([second[seed] for seed in seeds], kind, trials))
    n, confidence = len(seeds), 1 - (1 - CONFIDENCE) / comparisons
    mean = float(differences.mean()) if n else math.nan
    method = "Student's t over pairs of one seed"
    if n < 2:
        return Difference(mean, None, None, n, confidence, False, None, method)
    half = _t_quantile(confidence, n - 1) * float(differences.std(ddof=1)) / math.sqrt(n)
    return Difference(mean, mean - half, mean + half, n, confidence, half < abs(mean), None, method)


def _checked(values: Sequence[float], kind: Kind, trials: int | None) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=float)
    if kind is Kind.ACCURACY and (trials is None or trials < 1):
        raise ValueError(f"trials must be the windows of each accuracy; received {trials}. Try 2000.")
    wrong = ~np.isfinite(numbers)
    rule = "finite"
    if kind is Kind.SHARE:
        rule, wrong = "0 or 1 for a share of seeds", ~np.isin(numbers, (0, 1))
    elif kind is Kind.ACCURACY:
        rule, wrong = "between 0 and 1 for an accuracy", ~((numbers >= 0) & (numbers <= 1))
    if wrong.any():
        raise ValueError(f"values must be {rule}; received {numbers[wrong][0]:g}. "
                         "Try another kind, or leave such seeds out and count them as failures.")
    return numbers


def _t_quantile(confidence: float, freedom: int) -> float:
    from scipy.special import stdtrit  # a quarter of a second, once

    return float(stdtrit(freedom, (1 + confidence) / 2))
