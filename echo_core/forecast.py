"""How long runs take on this machine: before they begin, while they wait, and while they train."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from statistics import median, median_low
from typing import NamedTuple

from echo_core.config import RunConfig
from echo_core.config.sizes import flops_per_window
from echo_core.records import State
from echo_core.store import RunRow, Store

#: Floating-point operations a second of training small networks, and seconds that each update costs beside them:
#: guesses for a machine that has not trained yet.
_GUESSED_FLOPS, _GUESSED_UPDATE_SECONDS = 150e9, 5e-5
#: Seconds until the first epoch: of a network that has to be compiled, guessed as well, and of one that is compiled.
#: A run that began sooner than after `_LEAST_COMPILING` has found its program.
_COMPILING, _LEAST_COMPILING, _COMPILED = 2.0, 0.5, 0.1
#: The speed is measured over this many of the newest seconds of training.
_PACE_SECONDS = 3.0
#: Seconds of training and number of records after which only the measured pace counts.
_TRUSTED_SECONDS, _TRUSTED_RECORDS = 10.0, 16
#: A record that took this many times the usual time includes other work than training.
_OUTLIER = 8.0


class Expected(NamedTuple):
    """The estimated seconds of a run.

    Attributes:
        start: Until its first epoch, compiling included.
        training: Of all its epochs.
    """

    start: float
    training: float

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return self.start + self.training


@dataclass(frozen=True)
class Wait:
    """Forecast for a queued run: runs ahead of it, and the seconds until it starts (NaN if unknown)."""

    place: int
    seconds: float


class Estimates:
    """Estimates for runs on this machine.

    A formula gives the work of an epoch. The newest finished runs scale it, or say it outright for their own networks,
    which need no compiling any more. They also say how long compiling takes.
    """

    def __init__(self, store: Store) -> None:
        finished = [run for run in store.runs.newest(20, [State.FINISHED]) if run.seconds > 0]
        begun = store.progress.first_epochs([run.run_id for run in finished])
        took = [_measured(run, begun.get(run.run_id)) for run in finished]
        trained, guessed = sum(each.training for each in took), sum(_guess(run.config) for run in finished)
        self._scale = min(max(trained / guessed, 0.25), 4.0) if finished else 1.0
        starts = [each.start for each in took if each.start >= _LEAST_COMPILING]
        self._compiling = median(starts) if starts else _COMPILING
        self._an_epoch: dict[RunConfig, float] = {}  # of networks that were trained here, by their newest run
        for run, each in zip(finished, took, strict=True):
            self._an_epoch.setdefault(run.config.network, each.training / run.config.epochs)
        self._guessed: dict[tuple[RunConfig, int], float] = {}  # a study asks for the same network with many seeds

    def of(self, config: RunConfig) -> Expected:
        """Of one run."""
        return self._of(config.network, config)

    def together(self, runs: Iterable[tuple[RunConfig, int]], compiled: Iterable[RunConfig] = ()) -> float:
        """Seconds of runs one after the other. A network is compiled once.

        Args:
            runs: The config of each run, and the epochs that it has trained already.
            compiled: Runs whose networks are compiled.
        """
        seconds, known = 0.0, {config.network for config in compiled}
        for config, epoch in runs:
            network = config.network
            start, training = self._of(network, config)
            seconds += 0.0 if epoch else _COMPILED if network in known else start
            seconds += training * (1 - epoch / config.epochs)
            known.add(network)
        return seconds

    def _of(self, network: RunConfig, config: RunConfig) -> Expected:
        if network in self._an_epoch:
            return Expected(_COMPILED, self._an_epoch[network] * config.epochs)
        asked = network, config.epochs
        if asked not in self._guessed:
            self._guessed[asked] = _guess(config) * self._scale
        return Expected(self._compiling, self._guessed[asked])


def waits(store: Store, at_a_time: int = 1) -> dict[str, Wait]:
    """How long each queued run waits where so many train at a time, by its id."""
    return {run_id: wait for run_id, (wait, _) in _forecasts(store, at_a_time).items() if wait}


def ends(store: Store, at_a_time: int = 1) -> dict[str, float]:
    """Seconds until each queued or running run will end, by its id."""
    return {run_id: end for run_id, (_, end) in _forecasts(store, at_a_time).items()}


def _forecasts(store: Store, at_a_time: int) -> dict[str, tuple[Wait | None, float]]:
    """The wait of each queued run, and the seconds until it or a running one ends."""
    active, estimates, now = store.runs.active(), Estimates(store), store.now()
    begun: set[RunConfig] = set()  # networks of the runs ahead, which compile them

    def left(run: RunRow) -> float:
        expected, network = estimates.of(run.config), run.config.network
        if network in begun:
            expected = expected._replace(start=_COMPILED)
        begun.add(network)
        if run.state is State.RUNNING and run.epoch == 0 and run.started_at:
            return max(expected.training, expected.seconds - (now - run.started_at))
        pace = store.progress.glance(run.run_id).pace if run.epoch else ()
        return time_left(run.epoch, run.config.epochs, pace, expected)

    found: dict[str, tuple[Wait | None, float]] = {
        run.run_id: (None, left(run)) for run in active.values() if run.state is State.RUNNING}
    free_at = [end for _, end in found.values()]  # seconds from now at which each worker will be free
    free_at += [0.0] * (at_a_time - len(free_at))
    heapify(free_at)
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


def time_left(epoch: int, epochs: int, pace: Sequence[tuple[int, float]], expected: Expected) -> float:
    """Estimated seconds until a running run ends.

    The estimate moves from the forecast to the measured pace as more epochs are trained or more records are measured:
    the first records are slow, because each has a snapshot.

    Args:
        epoch: Trained epochs, of `epochs` in all.
        pace: Epoch and seconds of training at the newest records, in order.
        expected: What was forecast for the whole run.
    """
    share = epoch / epochs
    by_forecast = expected.training * (1 - share)
    if epoch == 0:
        return max(by_forecast, expected.seconds - (pace[-1][1] if pace else 0.0))
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


def _measured(run: RunRow, begun: tuple[int, float] | None) -> Expected:
    """What a finished run took. One that went on from another run counts as if it had trained all of its epochs.

    Args:
        begun: The epoch and seconds of its first record with a trained epoch, where the store has it.
    """
    epochs = run.config.epochs
    if begun and begun[0] < epochs:
        epoch, seconds = begun
        training = (run.seconds - seconds) * epochs / (epochs - epoch)
        return Expected(max(0.0, run.seconds - training), training)
    start = min(_COMPILING, run.seconds / 2)
    return Expected(start, run.seconds - start)


def _guess(config: RunConfig) -> float:
    """Seconds of training, without the start: the forward pass, the backward pass (twice that), and Adam."""
    flops = 3 * flops_per_window(config) * config.num_windows + 30 * config.num_parameters * config.updates_per_epoch
    return config.epochs * (flops / _GUESSED_FLOPS + _GUESSED_UPDATE_SECONDS * config.updates_per_epoch)
