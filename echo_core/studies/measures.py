"""What a study looks at: one number of each run, and what kind of number it is."""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from echo_core.config import RunConfig
from echo_core.evaluation.lengths import judge_length, multiple_of_length
from echo_core.inspection.remembering import bits
from echo_core.records import Point, State
from echo_core.store import RunRow, Store
from echo_core.store.progress import ProgressRow
from echo_core.studies.intervals import Kind

#: A network has learnt its task when this share of its answers is right.
LEARNT_AT = 0.99
#: Numbers over whose newest answers the accuracy of training is averaged, so that luck in one epoch does not count.
_STEADY_NUMBERS = 1000


class Measure(StrEnum):
    """What is looked at."""

    WINDOWS = "windows"
    NUMBERS = "numbers"
    LEARNT = "learnt"
    EPOCHS = "epochs"
    SECONDS = "seconds"
    BITS = "bits"
    HALF_LENGTH = "half_length"
    DOUBLE_LENGTH = "double_length"


class MeasureTraits(NamedTuple):
    """A measure in words.

    Attributes:
        title: For a label or an axis.
        help: What is counted, and how.
        kind: How its mean gets an interval.
        more_is_better: Whether a larger value is the better one.
    """

    title: str
    help: str
    kind: Kind
    more_is_better: bool = True


MEASURES: Mapping[Measure, MeasureTraits] = MappingProxyType({
    Measure.WINDOWS: MeasureTraits(
        "Windows right", "Share of at least 2,000 unseen windows that are right at every timestep.", Kind.ACCURACY),
    Measure.NUMBERS: MeasureTraits(
        "Numbers right", "Share of single numbers that are right in those windows.", Kind.ACCURACY),
    Measure.LEARNT: MeasureTraits(
        "Seeds that learnt it", "Share of seeds that end with 99 % of their unseen windows right.", Kind.SHARE),
    Measure.EPOCHS: MeasureTraits(
        "Epochs until 99 %", "Epochs until 99 % of the newest thousand numbers of training were right, or of the "
        "newest tenth of a short training. A seed that never gets there is counted as missed and is not in the mean.",
        Kind.AMOUNT, more_is_better=False),
    Measure.SECONDS: MeasureTraits(
        "Seconds until 99 %", "Seconds of training until then, with compiling, on the machine that trained it. A seed "
        "that never gets there is counted as missed and is not in the mean.",
        Kind.AMOUNT, more_is_better=False),
    Measure.BITS: MeasureTraits(
        "Bits kept", "Bits of the asked numbers that the answers keep, over 2,000 unseen sequences.", Kind.AMOUNT),
    Measure.HALF_LENGTH: MeasureTraits(
        "Right at half the length", "Share of 2,000 unseen windows that are right, where each is half as long as in "
        "training, rounded up. A network that answers with 2 of 5 numbers answers with 2 of these, too. "
        "One that takes only windows of its own length has no value.", Kind.ACCURACY),
    Measure.DOUBLE_LENGTH: MeasureTraits(
        "Right at twice the length", "The same with windows twice as long as in training.", Kind.ACCURACY),
})


def value_of(measure: Measure, store: Store, run: RunRow) -> float | None:
    """The measure of an ended run; infinite epochs and seconds where it never got there.

    None where it has none: a failed run, which only counts as not learnt; a network that cannot read windows of that
    length; a run whose weights or curve were deleted to make room for newer ones.
    """
    if run.state is State.FAILED:
        return 0.0 if measure is Measure.LEARNT else None
    if run.evaluation is None:
        return None
    match measure:
        case Measure.WINDOWS:
            return run.evaluation.window_accuracy
        case Measure.NUMBERS:
            return run.evaluation.token_accuracy
        case Measure.LEARNT:
            return float(run.evaluation.window_accuracy >= LEARNT_AT)
        case Measure.EPOCHS | Measure.SECONDS:
            history = store.progress.history(run.run_id)
            epoch = epochs_until(run.config, [point for row in history for point in row.points])
            return epoch if measure is Measure.EPOCHS else _seconds_at(epoch, history)
        case Measure.BITS:
            return _bits_of(store, run)
        case Measure.HALF_LENGTH:
            return _right_at(store, run, 0.5)
        case Measure.DOUBLE_LENGTH:
            return _right_at(store, run, 2)


def epochs_until(config: RunConfig, curve: Sequence[Point], share: float = LEARNT_AT) -> float | None:
    """The first epoch at which that share of the newest `_STEADY_NUMBERS` numbers of training was right.

    Training draws new sequences each epoch, so this is accuracy on unseen data. The mean is over as many points of the
    curve as have so many numbers, but at most a tenth of them, so the epoch is late by up to as many points.

    Returns:
        Infinity if that never was; None without a curve.
    """
    trained = [point for point in curve if point.epoch > 0]
    if not trained:
        return None
    steady = math.ceil(_STEADY_NUMBERS / (config.num_windows * config.output_length))
    steady = max(1, min(steady, len(trained) // 10))
    for end in range(steady, len(trained) + 1):
        newest = trained[end - steady:end]
        if sum(point.accuracy for point in newest) >= share * steady:
            return float(newest[-1].epoch)
    return math.inf


def _seconds_at(epoch: float | None, history: Sequence[ProgressRow]) -> float | None:
    """Seconds of training at an epoch, between the records around it; None and infinity stay what they are."""
    if epoch is None or math.isinf(epoch):
        return epoch
    before = ProgressRow(0, 0.0, 0.0, 0.0, ())
    for row in history:
        if row.epoch >= epoch:
            done = (epoch - before.epoch) / max(1, row.epoch - before.epoch)
            return before.seconds + done * (row.seconds - before.seconds)
        before = row
    return None


def _bits_of(store: Store, run: RunRow) -> float | None:
    checkpoint = store.progress.checkpoint(run.run_id)
    if checkpoint is None or run.config.representation == "linear":
        return None
    return float(bits(run.config, checkpoint.weights)["kept"].sum())


def _right_at(store: Store, run: RunRow, multiple: float) -> float | None:
    """Windows right at so many times the trained length."""
    checkpoint, length = store.progress.checkpoint(run.run_id), multiple_of_length(run.config, multiple)
    if checkpoint is None or length is None:
        return None
    return float(judge_length(run.config, checkpoint.weights, *length, is_thorough=True)["window_accuracy"])
