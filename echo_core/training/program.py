"""The program that trains epochs of one network, compiled by XLA.

It makes the data of an epoch from (seed, epoch), runs the network forwards and backwards, and takes Adam's steps. At
milestones it answers the windows of a snapshot. Weights and moments are its arguments and results, so a second seed of
the same network starts without compiling.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from echo_core.config import RunConfig
from echo_core.data import TASKS, paddings, text_examples
from echo_core.networks.backend import tf
from echo_core.networks.definition import Begun, run
from echo_core.networks.in_tensorflow import LoopedOps, TensorOps, zero_states
from echo_core.networks.lstm_gradient import Tensor
from echo_core.networks.stable_names import named_by_content

#: The most epochs of one call, which is the size of the buffers for their losses.
MAX_CHUNK = 1024
#: The most milestones of one call, which is the size of the buffers for their answers.
MAX_MILESTONES = 16

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults for Adam

#: TensorFlow raises one of these when a compiled program on disk is damaged or cannot be written.
PROGRAM_ERRORS = (tf.errors.OpError,)

Tensors = tuple[Tensor, ...]
Program = Callable[..., tuple[Any, ...]]


@lru_cache(maxsize=64)
def compiled_epochs(config: RunConfig, shapes: tuple[tuple[int, ...], ...], num_shown: int) -> Program:
    """The program that trains epochs of this network, traced here and compiled at its first call.

    `(*weights, *first_moments, *second_moments, step, seed, first_epoch, num_epochs, all_updates, learning_rate,
    shown, milestones) -> (*weights, *first_moments, *second_moments, step, losses, accuracies, predicted, confidence)`.
    Losses and accuracies are buffers of `MAX_CHUNK`, with zeros after the trained epochs. Milestones are numbers of
    epochs of this call, then zeros. After each of them the program answers the `num_shown` windows of a snapshot:
    `predicted` and `confidence` are (MAX_MILESTONES, num_shown, output_length). All arguments are tensors, and weights
    have these shapes: a call that has to convert or check its arguments takes a millisecond longer.
    """

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
