"""The store's records as tidy tables for charts and files. The documented columns are stable."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from statistics import median_low
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pandas.api.types import is_numeric_dtype

from echo_core.config import RunConfig
from echo_core.config.checks import check_count, tokens_of
from echo_core.config.sizes import flops_per_window
from echo_core.data import shown_examples
from echo_core.evaluation import judge
from echo_core.records import Snapshot, State
from echo_core.store import ProgressRow, RunRow, Store
from echo_core.text.files import shield

#: Floating-point operations a second of training small networks, seconds that each update costs beside them, and
#: seconds until the first epoch: guesses for a machine that has not trained yet.
_GUESSED_FLOPS, _GUESSED_UPDATE_SECONDS, _START_SECONDS = 150e9, 5e-5, 1.5
#: The speed is measured over this many of the newest seconds of training.
_PACE_SECONDS = 3.0
#: Seconds of training and number of records after which only the measured pace counts.
_TRUSTED_SECONDS, _TRUSTED_RECORDS = 10.0, 16
#: A record that took this many times the usual time includes other work than training.
_OUTLIER = 8.0


@dataclass(frozen=True)
class Wait:
    """Forecast for a queued run: runs ahead of it, and the seconds until it starts (NaN if unknown)."""

    place: int
    seconds: float


def curve(history: Sequence[ProgressRow]) -> pd.DataFrame:
    """Loss and accuracy of a run, one row a point.

    Columns: epoch, loss (nats per token), accuracy (share of tokens right in training), seconds (of training so far,
    interpolated between records).
    """
    points = [(point.epoch, point.loss, point.accuracy) for row in history for point in row.points]
    table = pd.DataFrame(points, columns=["epoch", "loss", "accuracy"])
    known = ([row.epoch for row in history], [row.seconds for row in history])
    return table.assign(seconds=np.interp(table["epoch"], *known) if len(table) else table["epoch"])


def smoothed(curve: pd.DataFrame, points: int) -> pd.DataFrame:
    """A curve whose loss and accuracy are means over `points` points on both sides, fewer at its ends."""
    check_count("points", points, least=0)
    means = curve[["loss", "accuracy"]].rolling(2 * points + 1, center=True, min_periods=1).mean()
    return curve.assign(loss=means["loss"], accuracy=means["accuracy"])


def band(curves: Sequence[pd.DataFrame], column: str) -> pd.DataFrame:
    """Mean and spread over several seeds, one row for each epoch that at least one of them has reached.

    Columns: epoch, mean, low and high (a standard deviation below and above; the mean itself for a single seed), seeds.
    """
    if not curves or not all(column in curve for curve in curves):
        raise ValueError(f"curves must be at least one table with the column {column}; received {len(curves)}.")
    together = pd.concat(list(curves))[["epoch", column]]
    found = together.groupby("epoch")[column].agg(["mean", "std", "count"]).reset_index()
    spread = found["std"].fillna(0.0)
    return pd.DataFrame({"epoch": found["epoch"], "mean": found["mean"], "low": found["mean"] - spread,
                         "high": found["mean"] + spread, "seeds": found["count"]})


def answers(config: RunConfig, snapshot: Snapshot) -> pd.DataFrame:
    """What was expected and predicted on the unseen sequence, one row a window.

    Columns: window (from 1), input_1 …, expected_1 …, predicted_1 …, confidence_1 …, right (all of them). A text's
    numbers are its words. Cells are empty where no answer is expected. For scaled numbers, `before_rounding_1 …`
    replaces the confidence.

    Raises:
        ValueError: If the snapshot is not of such a run.
    """
    examples = shown_examples(config)
    correct, present = judge(config, examples, snapshot.predicted)
    predicted = np.where(present, snapshot.predicted, config.vocab_size)
    sure = "before_rounding" if config.representation == "linear" else "confidence"
    groups: dict[str, NDArray[Any]] = {
        "input": as_words(config, examples.inputs), "expected": as_words(config, examples.expected),
        "predicted": as_words(config, predicted), sure: np.where(present, snapshot.confidence, np.nan)}
    columns = {f"{name}_{step + 1}": values[:, step] for name, values in groups.items()
               for step in range(values.shape[1])}
    right = (correct | ~present).all(axis=1)
    return pd.DataFrame({"window": np.arange(1, len(present) + 1), **columns, "right": right})


def to_csv(table: pd.DataFrame) -> str:
    """A table for a spreadsheet, with words escaped that it would take for a formula. Numbers stay numbers.

    `files.unshield` and `files.read_pairs` restore the words.
    """
    words = table.select_dtypes(exclude=["number", "bool"])
    shielded = words.map(lambda cell: shield(cell) if isinstance(cell, str) else cell)
    table = table.assign(**{str(name): shielded[name] for name in shielded})
    return table.to_csv(index=False, lineterminator="\n")


def in_columns(answers: pd.DataFrame) -> str:
    """The windows of `answers` as text in aligned columns: what was read, expected and predicted.

        window  input           expected  predicted  right
             1  86 81 88  1 23  86 81     86 81      yes
    """
    groups: dict[str, list[str]] = {"window": [str(number) for number in answers["window"]]}
    for name in ("input", "expected", "predicted"):
        groups[name] = _side_by_side(answers[[column for column in answers if str(column).startswith(f"{name}_")]])
    groups["right"] = ["yes" if right else "no" for right in answers["right"]]
    columns = []
    for name, cells in groups.items():
        width = max(len(name), *map(len, cells))
        align = str.rjust if name == "window" else str.ljust
        columns.append([align(text, width) for text in (name, *cells)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _side_by_side(group: pd.DataFrame) -> list[str]:
    """The cells of each row in one line, each column as wide as its longest cell; numbers to the right."""
    align = str.rjust if all(map(is_numeric_dtype, group.dtypes)) else str.ljust
    columns = [[align(text, max(map(len, texts))) for text in texts]
               for texts in (["" if pd.isna(cell) else str(cell) for cell in group[name]] for name in group)]
    return [" ".join(line) for line in zip(*columns, strict=True)]


def as_words(config: RunConfig, numbers: ArrayLike) -> NDArray[Any]:
    """Numbers as they are shown: the number itself, a word of the text, or an empty value at gaps.

    Raises:
        ValueError: If they are not integers of the vocabulary.
    """
    numbers = tokens_of("numbers", numbers, config, gaps=True)
    if not (config.text or config.has_target_gaps or config.traits.has_padding):
        return numbers
    names: NDArray[Any] = np.array([*(config.vocabulary or map(str, range(config.vocab_size))), ""], dtype=object)
    named: NDArray[Any] = names[numbers]
    return named


class Estimates:
    """Estimated seconds of training on this machine.

    A formula gives the work of an epoch. The newest finished runs on this machine scale it, or say it outright for
    their own networks.
    """

    def __init__(self, store: Store) -> None:
        finished = [run for run in store.runs.newest(limit=20) if run.state is State.FINISHED and run.seconds > 0]
        took, guessed = sum(run.seconds for run in finished), sum(_guess(run.config) for run in finished)
        self._scale = min(max(took / guessed, 0.25), 4.0) if finished else 1.0
        self._an_epoch: dict[RunConfig, float] = {}  # of networks that were trained here, by their newest run
        for run in finished:
            self._an_epoch.setdefault(run.config.network, _without_start(run.seconds) / run.config.epochs)
        self._guessed: dict[tuple[RunConfig, int], float] = {}  # a study asks for the same network with many seeds

    def seconds(self, config: RunConfig) -> float:
        """Of one run, from its start to its end."""
        network = config.network
        if network in self._an_epoch:
            return _START_SECONDS + self._an_epoch[network] * config.epochs
        asked = network, config.epochs
        if asked not in self._guessed:
            self._guessed[asked] = _guess(config) * self._scale
        return self._guessed[asked]


def forecast(store: Store) -> dict[str, Wait]:
    """The forecast of each queued run, by its id."""
    return {run_id: wait for run_id, (wait, _) in _forecasts(store).items() if wait}


def ends(store: Store) -> dict[str, float]:
    """Seconds until each queued or running run will end, by its id."""
    return {run_id: end for run_id, (_, end) in _forecasts(store).items()}


def _forecasts(store: Store) -> dict[str, tuple[Wait | None, float]]:
    """The wait of each queued run, and the seconds until it or a running one ends."""
    active, estimates, now = store.runs.active(), Estimates(store), store.now()

    def left(run: RunRow) -> float:
        expected = estimates.seconds(run.config)
        if run.state is State.RUNNING and run.epoch == 0 and run.started_at:
            return max(0.5, expected - (now - run.started_at))
        pace = store.progress.glance(run.run_id).pace if run.epoch else ()
        return time_left(run.epoch, run.config.epochs, pace, expected)

    found: dict[str, tuple[Wait | None, float]] = {
        run.run_id: (None, left(run)) for run in active.values() if run.state is State.RUNNING}
    free_at = [end for _, end in found.values()] or [0.0]
    heapify(free_at)  # seconds from now at which each worker will be free
    for place, run_id in enumerate(run_id for run_id in store.queue.order() if run_id in active):
        turn = heappop(free_at)
        end = turn + left(active[run_id])
        found[run_id] = Wait(place, turn), end
        heappush(free_at, end)
    return found


def speed(pace: Sequence[tuple[int, float]]) -> float:
    """Epochs a second over the newest records, each an epoch and its seconds; NaN before there are two trained ones."""
    epochs, seconds = 0, 0.0
    for trained, took in reversed(_steps(pace)):
        epochs, seconds = epochs + trained, seconds + took
        if seconds >= _PACE_SECONDS:
            break
    return epochs / seconds if seconds else math.nan


def time_left(epoch: int, epochs: int, pace: Sequence[tuple[int, float]], expected: float) -> float:
    """Estimated seconds until a running run ends.

    The estimate moves from the forecast to the measured pace as more epochs are trained or more records are measured:
    the first records are slow, because each has a snapshot.

    Args:
        epoch: Trained epochs, of `epochs` in all.
        pace: Epoch and seconds of training at the newest records, in order.
        expected: Seconds of training that were forecast for the whole run, its start included.
    """
    share = epoch / epochs
    by_forecast = _without_start(expected) * (1 - share)
    if epoch == 0:
        return max(by_forecast, expected - (pace[-1][1] if pace else 0.0))
    steps = _steps(pace)
    if share >= 1 or not steps:
        return by_forecast
    trained, seconds = sum(each for each, _ in steps), sum(each for _, each in steps)
    by_pace = (epochs - epoch) * seconds / trained
    weight = max(share, min(1.0, seconds / _TRUSTED_SECONDS, len(steps) / _TRUSTED_RECORDS) ** 1.5)
    return float(by_forecast ** (1 - weight) * by_pace ** weight)  # by ratio: either may be many times the other


def _steps(pace: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Epochs and seconds of each record of training, in order.

    A record that took many times as long as the others is left out: a program compiled, or the machine slept.
    """
    trained = [record for record in pace if record[0] > 0]
    steps = [(epoch - before, max(seconds - since, 1e-9)) for (before, since), (epoch, seconds)
             in itertools.pairwise(trained)]
    usual = median_low([seconds for _, seconds in steps]) if steps else 0.0
    return [(epochs, seconds) for epochs, seconds in steps if seconds <= _OUTLIER * usual]


def _without_start(seconds: float) -> float:
    """The part of a run's seconds in which it trains epochs."""
    return max(seconds - _START_SECONDS, 0.5 * seconds)


def _guess(config: RunConfig) -> float:
    """Seconds of `train` in all: the forward pass, the backward pass (twice that), and Adam."""
    flops = 3 * flops_per_window(config) * config.num_windows + 30 * config.num_parameters * config.updates_per_epoch
    return _START_SECONDS + config.epochs * (
        flops / _GUESSED_FLOPS + _GUESSED_UPDATE_SECONDS * config.updates_per_epoch)
