"""Many epochs in one call of the program, yielded as a stream of `Progress`.

A loop decides by the clock how many epochs the next call makes, and yields a record of them.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np

from echo_core.config import RunConfig
from echo_core.data import shown_examples
from echo_core.evaluation.scores import shown_loss, take_snapshot
from echo_core.evaluation.verdicts import not_finite
from echo_core.machine import give_back_freed
from echo_core.models import first_weights
from echo_core.networks.backend import refuse_after_fork, tf
from echo_core.networks.lstm_gradient import Tensor
from echo_core.records import Checkpoint, Diverged, Floats, Milestone, Point, Progress, Snapshot, curve_stride
from echo_core.text.plurals import counted
from echo_core.training.program import MAX_CHUNK, MAX_MILESTONES, Program, Tensors, compiled_epochs

#: Seconds that one call should take: short enough for Stop and a live chart.
CHUNK_SECONDS = 0.25
#: A call of a large network copies its weights, which costs nearly an epoch. So a call trains at least these epochs, if
#: they take at most these seconds.
LARGE_CHUNK, LARGE_CHUNK_SECONDS = 8, 4 * CHUNK_SECONDS
#: Snapshots on a geometric schedule, and about how many more between them where time allows.
NUM_SNAPSHOTS = 48
EXTRA_SNAPSHOTS = 60

#: Held while a program is traced, so that two threads, one that compiles ahead and one that trains, trace it once.
_TRACING = threading.Lock()


class _Reached(NamedTuple):
    """A checkpoint, and its weights and moments as the tensors that the next call of the program takes.

    Its arrays share the memory of the tensors, which nothing writes to. Copies would cost a large network as much as
    half an epoch and twice the memory.
    """

    checkpoint: Checkpoint
    tensors: Tensors

    @classmethod
    def at(cls, epoch: int, step: int, weights: Tensors, moments: Tensors) -> Self:
        shared = (tuple(np.asarray(memoryview(tensor)) for tensor in tensors) for tensors in (weights, moments))
        return cls(Checkpoint(epoch, step, *shared), weights + moments)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        weights, moments = (tuple(map(tf.convert_to_tensor, arrays))
                            for arrays in (checkpoint.weights, checkpoint.moments))
        return cls.at(checkpoint.epoch, checkpoint.step, weights, moments)


class _Call(NamedTuple):
    """What a call of the program gives.

    Attributes:
        losses: Of each epoch, as are `accuracies`.
        snapshots: One for each milestone; none if no epoch was trained.
    """

    reached: _Reached
    losses: Floats
    accuracies: Floats
    snapshots: tuple[Snapshot, ...]

    @property
    def is_finite(self) -> bool:
        """Whether every loss, and every weight at the end, is a finite number."""
        return bool(np.isfinite(self.losses).all()) and self.reached.checkpoint.is_finite


class _Training(NamedTuple):
    """A run, the program of its network, and the windows of its snapshots, (input_length, windows)."""

    config: RunConfig
    program: Program
    shown: Tensor

    def advance(self, reached: _Reached, milestones: Sequence[int]) -> _Call:
        """Train up to the last of these epochs, with a snapshot after each of them."""
        config, at = self.config, reached.checkpoint
        num_epochs, all_updates = milestones[-1] - at.epoch, config.epochs * config.updates_per_epoch
        ends = np.zeros(MAX_MILESTONES, np.int32)
        ends[:len(milestones)] = np.array(milestones) - at.epoch
        counts = (tf.constant(count, tf.int32) for count in (at.step, config.seed, at.epoch + 1, num_epochs,
                                                             all_updates))
        results = self.program(*reached.tensors, *counts, tf.constant(config.learning_rate, tf.float32),
                               self.shown, tf.constant(ends))
        *tensors, step, losses, accuracies, predicted, confidence = results
        num = len(at.weights)
        after = _Reached.at(milestones[-1], int(step), tuple(tensors[:num]), tuple(tensors[num:]))
        snapshots = map(Snapshot, milestones, predicted.numpy(), confidence.numpy())
        return _Call(after, losses.numpy()[:num_epochs], accuracies.numpy()[:num_epochs],
                     tuple(snapshots) if num_epochs else ())

    def advance_while_finite(self, before: _Reached, milestones: Sequence[int]) -> tuple[_Call, int | None]:
        """`advance`, but only to the last epoch that ends with finite weights; also the epoch that diverged, if any.

        That epoch does not depend on the chunks: if a chunk diverged, the part before that epoch is trained again.
        """
        call = self.advance(before, milestones)
        if call.is_finite:
            return call, None
        finite = np.isfinite(call.losses)
        last_good = milestones[-1] if finite.all() else before.checkpoint.epoch + int(finite.argmin())
        # The next epoch is the first to use the weights that an epoch ends with, so its loss is the first bad one.
        diverged_at = min(last_good + 1, self.config.epochs)
        while True:  # ends at `before` itself, whose weights are finite
            call = self.advance(before, [*(epoch for epoch in milestones if epoch < last_good), last_good])
            if call.reached.checkpoint.is_finite:
                return call, diverged_at
            last_good -= 1


def train(config: RunConfig, checkpoint: Checkpoint | None = None, until: int | None = None) -> Iterator[Progress]:
    """Train a run, yielding a record of the untrained network and then one after each chunk.

    A resumed run equals one that was never interrupted, bit for bit, whatever chunks its epochs fall into.

    Args:
        checkpoint: Where to resume, with Adam's moments; None starts from nothing. The first record is then the one
            after the checkpoint, or the checkpoint's own if it is the run's end.
        until: The epoch to stop at, as if the run had been paused there; None trains to the end.
    Yields:
        `Progress`; the last one has `epoch == config.epochs`, or `until`.
    Raises:
        ValueError: If the checkpoint is past the run's end or lacks Adam's moments.
        RuntimeError: In a process that was forked from one that had used TensorFlow.
        Diverged: After the records of all epochs before the first loss or weight that is not a finite number.
    """
    started = time.perf_counter()
    refuse_after_fork()
    if checkpoint and not checkpoint.is_finite:
        raise Diverged(str(not_finite(config, checkpoint.epoch)), checkpoint.epoch, checkpoint)
    if checkpoint and checkpoint.epoch > config.epochs:
        raise ValueError(f"checkpoint must be within the run's {counted(config.epochs, 'epoch')}; received epoch "
                         f"{checkpoint.epoch}. Try a config with more epochs.")
    if checkpoint and not checkpoint.moments and checkpoint.epoch < config.epochs:
        raise ValueError("checkpoint must hold Adam's moments to go on from; received weights alone.")
    end = config.epochs if until is None else min(until, config.epochs)
    return _chunks(config, _Reached.of(checkpoint) if checkpoint else _begin(config), end, started)


def compile_ahead(config: RunConfig, give_way: Callable[[], None]) -> None:
    """Compile the program of a run's network before the run begins.

    Args:
        give_way: Called after tracing, which holds Python's lock so that a run that begins meanwhile has to wait, and
            before compiling, which takes most of the time.
    """
    untrained = _begin(config)
    training, _ = _training_of(config, untrained.checkpoint)
    give_way()
    training.advance(untrained, milestones=[0])
    give_back_freed()


def snapshot_epochs(epochs: int) -> frozenset[int]:
    """Epochs with a snapshot: 0, and at least `NUM_SNAPSHOTS` in geometric steps to the last; all of a short run."""
    wanted = min(NUM_SNAPSHOTS, epochs)
    count = wanted
    while len(spaced := set(np.geomspace(1, epochs, count).round().astype(int).tolist())) < wanted:
        count += max(1, count // 8)
    return frozenset({0, *spaced})


def _begin(config: RunConfig) -> _Reached:
    weights = tuple(map(tf.convert_to_tensor, first_weights(config)))
    return _Reached.at(0, 0, weights, tuple(tf.zeros(weight.shape) for weight in weights * 2))


def _chunks(config: RunConfig, reached: _Reached, end: int, started: float) -> Iterator[Progress]:
    """The loop of `train`: call the program, choose the next chunk by the clock, and yield a record."""
    at = reached.checkpoint
    if at.epoch in (0, config.epochs):
        loss, accuracy = shown_loss(config, at.weights)
        yield Progress(at.epoch, loss, accuracy, time.perf_counter() - started, (Point(at.epoch, loss, accuracy),), at,
                       take_snapshot(config, at.weights, at.epoch))

    (training, is_new), due = _training_of(config, at), snapshot_epochs(config.epochs)
    stride = curve_stride(config.epochs)
    spacing, last_shown, shown_at = max(1, config.epochs // EXTRA_SNAPSHOTS), at.epoch, time.perf_counter()
    num_epochs = 1
    while at.epoch < end:
        until = min(at.epoch + min(num_epochs, MAX_CHUNK), end)
        milestones = sorted({*(epoch for epoch in due if at.epoch < epoch < until), until})[:MAX_MILESTONES]
        chunk_started = time.perf_counter()
        call, diverged_at = training.advance_while_finite(reached, milestones)
        if is_new:  # the compiler has freed memory that the arrays of a large network do not fit into
            give_back_freed()
            is_new = False
        reached = call.reached
        at, now, num_epochs = reached.checkpoint, time.perf_counter(), len(call.losses)
        last = at.epoch if diverged_at else config.epochs
        show = at.epoch in due or at.epoch == last or (
            at.epoch - last_shown >= spacing and now - shown_at >= 2 * CHUNK_SECONDS)
        if num_epochs > 0:
            yield _record(call, (chunk_started - started, now - started), stride, last, show)
        if diverged_at:
            raise Diverged(str(not_finite(config, diverged_at)), diverged_at, at)
        if show:
            last_shown, shown_at = at.epoch, now
        num_epochs = next_chunk(num_epochs, now - chunk_started)


def _record(call: _Call, seconds: tuple[float, float], stride: int, last: int, show: bool) -> Progress:
    """The record of a chunk.

    Args:
        seconds: When it began and ended.
        stride: Epochs between two points of the curve, which also has one at the run's last epoch.
        show: Whether the snapshot at its end is kept.
    """
    at, losses, accuracies = call.reached.checkpoint, call.losses.tolist(), call.accuracies.tolist()
    begun = at.epoch - len(losses)
    points = tuple(Point(epoch, loss, accuracy)
                   for epoch, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), begun + 1)
                   if epoch % stride == 0 or epoch == last)
    *between, newest = call.snapshots
    milestones = tuple(Milestone(shown.epoch, losses[shown.epoch - begun - 1], accuracies[shown.epoch - begun - 1],
                                 float(np.interp(shown.epoch, (begun, at.epoch), seconds)), shown) for shown in between)
    return Progress(at.epoch, losses[-1], accuracies[-1], seconds[1], points, at, newest if show else None, milestones)


def next_chunk(num_epochs: int, seconds: float) -> int:
    """Epochs that should take `CHUNK_SECONDS`, or `LARGE_CHUNK` that take longer, up to `LARGE_CHUNK_SECONDS`.

    They grow by steps, because a first call also compiles.
    """
    a_second = num_epochs / max(seconds, 1e-6)
    wanted = max(a_second * CHUNK_SECONDS, min(LARGE_CHUNK, a_second * LARGE_CHUNK_SECONDS))
    return max(1, int(min(wanted, 4 * num_epochs + 4)))


def _training_of(config: RunConfig, at: Checkpoint) -> tuple[_Training, bool]:
    """A run with its program, and whether that is new, so that its first call compiles it."""
    shown, shapes = shown_examples(config).inputs, tuple(weight.shape for weight in at.weights)
    with _TRACING:
        known = compiled_epochs.cache_info().misses
        program = compiled_epochs(config.network, shapes, len(shown))
        is_new = compiled_epochs.cache_info().misses > known
    return _Training(config, program, tf.constant(shown.T, tf.int32)), is_new
