"""Compiled training: many epochs in one call, yielded as a stream of `Progress`.

A program compiled by XLA makes the data of an epoch from (seed, epoch), runs the network forwards and backwards, and
takes Adam's steps. At milestones it answers the windows of a snapshot. A Python loop decides how many epochs the next call makes, and yields a
record of them. Weights and moments are arguments and results of the program, so a second seed of the same network
starts without compiling.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np

from echo_core.config import RunConfig
from echo_core.data import TASKS, paddings, shown_examples, text_examples
from echo_core.evaluation.scores import shown_loss, take_snapshot
from echo_core.evaluation.verdicts import not_finite
from echo_core.machine import give_back_freed
from echo_core.models import first_weights
from echo_core.networks.backend import refuse_after_fork, tf
from echo_core.networks.definition import Begun, run
from echo_core.networks.in_tensorflow import LoopedOps, TensorOps, zero_states
from echo_core.networks.lstm_gradient import Tensor
from echo_core.networks.stable_names import named_by_content
from echo_core.records import Checkpoint, Diverged, Floats, Milestone, Point, Progress, Snapshot
from echo_core.text.plurals import counted

#: Seconds that one call should take: short enough for Stop and a live chart.
CHUNK_SECONDS = 0.25
#: A call of a large network costs nearly an epoch, for copies of its weights: it has these epochs, in up to a second.
LARGE_CHUNK, LARGE_CHUNK_SECONDS = 8, 4 * CHUNK_SECONDS
#: The most epochs of one call, which is the size of the buffers for their losses.
MAX_CHUNK = 1024
#: The most milestones of one call, which is the size of the buffers for their answers.
MAX_MILESTONES = 16
#: The most points in a run's curve.
MAX_POINTS = 500
#: Snapshots on a geometric schedule, and about how many more between them where time allows.
NUM_SNAPSHOTS = 48
EXTRA_SNAPSHOTS = 60

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults for Adam

#: TensorFlow raises one of these when a compiled program on disk is damaged or cannot be written.
PROGRAM_ERRORS = (tf.errors.OpError,)

#: Held while a program is traced, so that two threads, one that compiles ahead and one that trains, trace it once.
_TRACING = threading.Lock()

Tensors = tuple[Tensor, ...]
Program = Callable[..., tuple[Any, ...]]


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

    @classmethod
    def of(cls, config: RunConfig, program: Program) -> Self:
        return cls(config, program, tf.constant(shown_examples(config).inputs.T, tf.int32))

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
    program, _ = _program_of(config, untrained.checkpoint)
    give_way()
    _Training.of(config, program).advance(untrained, milestones=[0])
    give_back_freed()


def snapshot_epochs(epochs: int) -> frozenset[int]:
    """Epochs with a snapshot: 0, and in geometric steps up to the last at least `NUM_SNAPSHOTS` others, or all."""
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

    program, is_new = _program_of(config, at)
    training, due = _Training.of(config, program), snapshot_epochs(config.epochs)
    stride = -(-config.epochs // (MAX_POINTS - 1))
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


def _program_of(config: RunConfig, at: Checkpoint) -> tuple[Program, bool]:
    """The program of a run's network, and whether it is new, so that its first call compiles it."""
    with _TRACING:
        known = compiled_epochs.cache_info().misses
        program = compiled_epochs(config.network, tuple(weight.shape for weight in at.weights))
        return program, compiled_epochs.cache_info().misses > known


@lru_cache(maxsize=64)
def compiled_epochs(config: RunConfig, shapes: tuple[tuple[int, ...], ...]) -> Program:
    """The program that trains epochs of this network, traced here and compiled at its first call.

    `(*weights, *first_moments, *second_moments, step, seed, first_epoch, num_epochs, all_updates, learning_rate,
    shown, milestones) -> (*weights, *first_moments, *second_moments, step, losses, accuracies, predicted, confidence)`.
    Losses and accuracies are buffers of `MAX_CHUNK`, with zeros after the trained epochs. Milestones are numbers of
    epochs of this call, then zeros. After each of them the program answers the windows `shown`: `predicted` and
    `confidence` are (MAX_MILESTONES, windows, output_length). All arguments are tensors, and weights have these shapes:
    a call that has to convert or check its arguments takes a millisecond longer.
    """
    num_shown = len(shown_examples(config).inputs)

    @tf.function(jit_compile=True, autograph=False)
    def program(*arguments: Tensor) -> Tensors:
        *arrays, step, seed, first_epoch, num_epochs, all_updates, learning_rate, shown, milestones = arguments
        num = len(arrays) // 3
        weights, first, second = (tuple(arrays[start:start + num]) for start in (0, num, 2 * num))
        places, answer_places = tf.range(MAX_CHUNK), tf.range(MAX_MILESTONES)[:, None, None]

        def body(index: Tensor, trained: Any, losses: Tensor, accuracies: Tensor, num_answered: Tensor,
                 answers: Tensors) -> tuple[Any, ...]:
            windows, targets = sample_examples(config, seed, first_epoch + index)
            trained, loss, accuracy = train_epoch(config, trained, windows, targets, Rate(learning_rate, all_updates))
            here, is_milestone = places == index, milestones[num_answered] == index + 1

            def answered() -> Tensors:
                return tuple(tf.where(answer_places == num_answered, new[None], kept) for new, kept in zip(
                    answer_shown(config, trained[0], shown), answers, strict=True))

            return (index + 1, trained, tf.where(here, loss, losses), tf.where(here, accuracy, accuracies),
                    num_answered + tf.cast(is_milestone, tf.int32), tf.cond(is_milestone, answered, lambda: answers))

        empty, unanswered = tf.zeros(MAX_CHUNK), (MAX_MILESTONES, num_shown, config.output_length)
        _, (weights, first, second, step), losses, accuracies, _, answers = tf.while_loop(
            lambda index, *_: index < num_epochs, body,
            (0, (weights, first, second, step), empty, empty, 0,
             (tf.zeros(unanswered, tf.int32), tf.zeros(unanswered))))
        return (*weights, *first, *second, step, losses, accuracies, *answers)

    arrays = [tf.TensorSpec(shape) for shape in shapes] * 3
    counts = [tf.TensorSpec((), tf.int32)] * 5
    return named_by_content(program.get_concrete_function(
        *arrays, *counts, tf.TensorSpec(()), tf.TensorSpec((config.input_length, num_shown), tf.int32),
        tf.TensorSpec(MAX_MILESTONES, tf.int32)))


def answer_shown(config: RunConfig, weights: Tensors, windows: Tensor) -> tuple[Tensor, Tensor]:
    """What `scores.answer` gives: predictions and confidence, (windows, output_length), for windows with time first.

    Its loops over time stay loops, as copies of them would take longer to compile than they save.
    """
    outputs = run(LoopedOps(), config, weights, windows, (None,) * config.traits.num_recurrent_layers).outputs
    answered = outputs[-config.output_length:]  # (output_length, windows, num_classes)
    if config.representation == "linear":
        confidence = tf.clip_by_value(answered[..., 0] * (config.vocab_size - 1), 0, config.vocab_size - 1)
    else:
        confidence = tf.reduce_max(tf.nn.softmax(answered), axis=-1)
    return tf.transpose(_predicted(config, answered)), tf.transpose(confidence)


class Rate(NamedTuple):
    """The learning rate of each update.

    Attributes:
        learning_rate: Of the first update.
        all_updates: Updates of the whole run, over which a cosine falls to zero.
    """

    learning_rate: Tensor
    all_updates: Tensor

    def at(self, config: RunConfig, step: Tensor) -> Tensor:
        """The rate of the update after `step` others."""
        if config.schedule == "constant":
            return self.learning_rate
        done = tf.cast(step, tf.float32) / tf.cast(self.all_updates, tf.float32)
        return self.learning_rate * (0.5 + 0.5 * tf.cos(np.float32(np.pi) * done))


def sample_examples(config: RunConfig, seed: Tensor, epoch: Tensor) -> tuple[Tensor, Tensor]:
    """The windows of one epoch and their targets, which depend on (seed, epoch) alone.

    Philox is named because the default generator may differ between kinds of machine.

    Returns:
        Integers, (input_length, num_windows) and (answer_steps, num_windows); the last `output_length` targets are
        the answer. `vocab_size` is a gap in the windows. In the targets it is the padding of variant `padded`, or
        otherwise a gap, as at the first `lag` steps.
    """
    if config.task == "pairs":
        examples = text_examples(config)
        return tf.constant(examples.inputs.T, tf.int32), tf.constant(examples.expected.T, tf.int32)
    sequences = tf.random.stateless_uniform(
        (config.sequences_per_epoch, config.sequence_length), tf.stack([seed, epoch]),
        0, config.vocab_size, tf.int32, alg="philox")
    if config.missing == "mask":
        sequences = tf.pad(sequences, [[0, 0], paddings(config)], constant_values=config.vocab_size)
    width = config.windows_per_sequence
    slices = [sequences[:, start:start + width] for start in range(config.input_length)]
    windows = tf.reshape(tf.stack(slices), [config.input_length, -1])  # windows of one sequence after another
    targets = TASKS[config.task](config, windows)
    waits = config.answer_steps - config.output_length + config.lag
    return windows, tf.pad(targets, [[waits, 0], [0, 0]], constant_values=config.vocab_size) if waits else targets


def train_epoch(config: RunConfig, trained: Any, windows: Tensor, targets: Tensor,
                rate: Rate) -> tuple[Any, Tensor, Tensor]:
    """Make every update of one epoch, from a zero state. Returns also the epoch's mean loss and accuracy."""
    size, updates = config.batch_size, config.updates_per_epoch
    unread: Begun = (None,) * config.traits.num_recurrent_layers  # states of zeros
    if updates == 1:
        trained, loss, accuracy, _ = _update(config, trained, windows, targets, rate, unread)
        return trained, loss, accuracy

    def body(index: Tensor, trained: Any, states: Any, losses: Tensor, accuracies: Tensor) -> tuple[Any, ...]:
        batch, expected = (tf.slice(part, [0, index * size], [part.shape[0], size]) for part in (windows, targets))
        trained, loss, accuracy, after = _update(config, trained, batch, expected, rate, states or unread)
        return index + 1, trained, after if config.stateful else (), losses + loss, accuracies + accuracy

    _, trained, _, losses, accuracies = tf.while_loop(
        lambda index, *_: index < updates, body,
        (0, trained, zero_states(config, size) if config.stateful else (), 0.0, 0.0))
    return trained, losses / updates, accuracies / updates


def _update(config: RunConfig, trained: Any, windows: Tensor, targets: Tensor, rate: Rate,
            states: Begun) -> tuple[Any, Tensor, Tensor, Any]:
    """Take one step of Adam on one batch. Returns also the loss and accuracy before it, and the state after it."""
    weights, first, second, step = trained
    with tf.GradientTape() as tape:
        tape.watch(weights)
        outputs, states, _ = run(TensorOps(), config, weights, windows, states)
        loss = _mean(_losses(config, outputs, targets), config, targets)
    gradients = tape.gradient(loss, weights)
    if config.clip_norm:
        gradients, _ = tf.clip_by_global_norm(gradients, config.clip_norm)
    answered, expected = outputs[-config.output_length:], targets[-config.output_length:]
    accuracy = _mean(tf.cast(_predicted(config, answered) == expected, tf.float32), config, expected)
    trained = *adam(weights, first, second, gradients, step, rate.at(config, step)), step + 1
    return trained, loss, accuracy, states


def _losses(config: RunConfig, outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of each output, (answer_steps, windows): cross-entropy in nats, or a scaled number's squared error."""
    if config.has_target_gaps:
        targets = tf.minimum(targets, config.vocab_size - 1)  # any class for a gap, whose loss `_mean` leaves out
    if config.representation == "linear":
        return tf.square(outputs[..., 0] - tf.cast(targets, tf.float32) / (config.vocab_size - 1))
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, outputs)


def _predicted(config: RunConfig, outputs: Tensor) -> Tensor:
    """The answers as integers, (output_length, windows)."""
    if config.representation == "linear":
        largest = config.vocab_size - 1
        return tf.cast(tf.round(tf.clip_by_value(outputs[..., 0] * largest, 0, largest)), tf.int32)
    return tf.argmax(outputs, axis=-1, output_type=tf.int32)


def _mean(values: Tensor, config: RunConfig, targets: Tensor) -> Tensor:
    """The mean over all places whose target is not a gap."""
    if not config.has_target_gaps:
        return tf.reduce_mean(values)
    present = tf.cast(targets < config.vocab_size, tf.float32)
    return tf.reduce_sum(values * present) / tf.reduce_sum(present)


def adam(weights: Tensors, first: Tensors, second: Tensors, gradients: Tensors, step: Tensor,
         learning_rate: Tensor) -> tuple[Tensors, Tensors, Tensors]:
    """`keras.optimizers.Adam` with its defaults; `step` counts the updates before this one.

    It is written here because Keras refuses `stateless_apply` on the TensorFlow backend.
    """
    count = tf.cast(step + 1, tf.float32)
    rate = learning_rate * tf.sqrt(1 - tf.pow(BETA_2, count)) / (1 - tf.pow(BETA_1, count))
    first = tuple(m + (g - m) * (1 - BETA_1) for m, g in zip(first, gradients, strict=True))
    second = tuple(v + (g * g - v) * (1 - BETA_2) for v, g in zip(second, gradients, strict=True))
    moved = tuple(w - rate * m / (tf.sqrt(v) + EPSILON) for w, m, v in zip(weights, first, second, strict=True))
    return moved, first, second
