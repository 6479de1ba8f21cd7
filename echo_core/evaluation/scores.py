"""Scores of a network on unseen windows, and its answers to given windows."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.config.checks import check_count, windows_of
from echo_core.config.sizes import JUDGED
from echo_core.data import MIN_JUDGED_WINDOWS, Examples, judged_examples, scale, shown_examples, unscale
from echo_core.networks.definition import States
from echo_core.networks.in_numpy import forward, softmax
from echo_core.records import Evaluation, Floats, Ints, Snapshot

#: The numbers that gates, states and probabilities of one forward pass may take: 64 MB.
_MOST_NUMBERS = 2**24


class Answers(NamedTuple):
    """The answers of a network.

    Attributes:
        predicted: Integers, (windows, output_length). `padded` may answer `vocab_size`, its padding.
        confidence: The probability of that answer; with `linear`, the number before rounding.
    """

    predicted: Ints
    confidence: Floats


def numbers_per_window(config: RunConfig) -> int:
    """Numbers that a forward pass over one window makes, about: gates, states, and probabilities in three copies."""
    gates = (CELLS[config.cell].num_gates + 2) * config.units * (config.input_length + config.output_length)
    return gates + 3 * config.num_classes * config.answer_steps


def slices(config: RunConfig, windows: int) -> Iterator[slice]:
    """Parts of `windows` windows that are small enough for one forward pass each; all at once would take gigabytes."""
    size = max(1, min(JUDGED, _MOST_NUMBERS // numbers_per_window(config)))
    return (slice(start, min(start + size, windows)) for start in range(0, windows, size))


def predict(config: RunConfig, weights: Sequence[Floats], windows: ArrayLike) -> Floats:
    """The network's output for each window, (windows, answer_steps, num_classes): probabilities, or scaled numbers.

    State is zero before every window, stateful or not, so asking twice gives the same answer.

    Raises:
        ValueError: If the windows are not integers of the vocabulary in shape (windows, input_length), or the weights
            are those of another network.
    """
    asked = windows_of(config, windows)
    parts = (forward(config, weights, asked[part]).outputs for part in slices(config, len(asked)))
    return np.concatenate([part if config.representation == "linear" else softmax(part) for part in parts])


def answer(config: RunConfig, weights: Sequence[Floats], windows: ArrayLike) -> Answers:
    """The answer to each window, from a zero state. Raises ValueError as `predict`."""
    asked = windows_of(config, windows)
    parts = [read_off(config, predict(config, weights, asked[part])) for part in slices(config, len(asked))]
    return Answers(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def ask_again(config: RunConfig, weights: Sequence[Floats], windows: ArrayLike, times: int) -> list[Answers]:
    """The answers of a stateful network to the same windows, asked several times without a reset.

    Each batch, and each time, begins with the state that the one before it left. Calling Keras's `predict` twice makes
    this mistake.

    Raises:
        ValueError: As `predict`, or if the windows are not whole batches.
    """
    check_count("times", times)
    asked = windows_of(config, windows)
    if len(asked) % config.batch_size:
        raise ValueError(f"windows must be whole batches of {config.batch_size} (batch_size), as a stateful network "
                         f"takes no others; received {len(asked)}.")
    states: States | None = None
    asked_answers = []
    for _ in range(times):
        parts = []
        for start in range(0, len(asked), config.batch_size):
            found = forward(config, weights, asked[start:start + config.batch_size], states)
            states = found.states
            parts.append(found.outputs)
        outputs = np.concatenate(parts)
        asked_answers.append(read_off(config, outputs if config.representation == "linear" else softmax(outputs)))
    return asked_answers


def attention_weights(config: RunConfig, weights: Sequence[Floats], windows: ArrayLike) -> Floats:
    """Attention weights, (windows, output_length, input_length); each row sums to 1.

    Raises:
        ValueError: As `predict`, or if the variant has no attention.
    """
    looked = forward(config, weights, windows).attention
    if looked is None:
        raise ValueError(f"variant must be attention to have attention weights; received {config.variant}.")
    return np.asarray(looked)


def evaluate(config: RunConfig, weights: Sequence[Floats], windows: int = MIN_JUDGED_WINDOWS) -> Evaluation:
    """Token and window accuracy on at least `windows` unseen windows, or on the pairs of the training.

    Raises:
        ValueError: If the weights are not finite numbers, because the answers would mean nothing.
    """
    if not all(np.isfinite(array).all() for array in weights):
        raise ValueError("weights must be finite numbers to be judged; received NaN or infinity. Try the weights of an "
                         "earlier epoch.")
    examples = judged_examples(config, windows)
    return score(config, examples, answer(config, weights, examples.inputs).predicted)


def score(config: RunConfig, examples: Examples, predicted: Ints) -> Evaluation:
    """Token and window accuracy of answers, (windows, output_length)."""
    right, present = judge(config, examples, predicted)
    common = _most_common(predicted, present)
    return Evaluation(
        token_accuracy=float(right[present].mean()), window_accuracy=float((right | ~present).all(axis=1).mean()),
        windows=len(right), judged_on="training" if config.task == "pairs" else "unseen",
        by_timestep=tuple(float(right[there, step].mean()) if there.any() else None
                          for step, there in enumerate(present.T)),
        sameness=float((predicted == common)[present].mean()),
        same_accuracy=float(((examples.expected == common) | ~present).all(axis=1).mean()))


def _most_common(predicted: Ints, present: NDArray[np.bool_]) -> Ints:
    """The most common answer at each timestep, (output_length,)."""
    common = []
    for step, there in enumerate(present.T):
        tokens, counts = np.unique(predicted[there, step], return_counts=True)
        common.append(tokens[counts.argmax()] if there.any() else 0)
    return np.array(common, np.int32)


def judge(config: RunConfig, examples: Examples, predicted: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tokens are right, and which have an expected answer: both (windows, output_length).

    Raises:
        ValueError: If `predicted` has another shape than the expected answers.
    """
    if np.shape(predicted) != examples.expected.shape:
        raise ValueError(f"predicted must have the shape of what is expected, {examples.expected.shape}; "
                         f"received shape {np.shape(predicted)}.")
    present = examples.present(config.vocab_size)
    return (predicted == examples.expected) & present, present


def take_snapshot(config: RunConfig, weights: Sequence[Floats], epoch: int) -> Snapshot:
    """The answers at this epoch to the windows of `shown_examples`."""
    return Snapshot(epoch, *answer(config, weights, shown_examples(config).inputs))


def shown_loss(config: RunConfig, weights: Sequence[Floats]) -> tuple[float, float]:
    """Loss and token accuracy on the windows of `shown_examples`, as training counts them."""
    examples = shown_examples(config)
    outputs = predict(config, weights, examples.inputs)
    right, present = judge(config, examples, read_off(config, outputs).predicted)
    known = np.where(present, examples.expected, 0)
    answered = outputs[:, -config.output_length:]
    if config.representation == "linear":
        losses = (answered[..., 0] - scale(known, config.vocab_size)) ** 2
    else:
        losses = -np.log(np.take_along_axis(answered, known[..., None], axis=-1)[..., 0] + 1e-12)
    total, counted = float(losses[present].sum()), int(present.sum())
    if config.traits.has_padding:
        before = outputs[:, :-config.output_length, config.vocab_size]  # probabilities of the padding
        total, counted = total - float(np.log(before + 1e-12).sum()), counted + before.size
    return total / counted, float(right[present].mean())


def read_off(config: RunConfig, outputs: Floats) -> Answers:
    """The answers in a network's outputs, (windows, answer_steps, num_classes): logits or probabilities."""
    answered = outputs[:, -config.output_length:]  # `padded` answers last
    if config.representation == "linear":
        before_rounding = unscale(answered[..., 0], config.vocab_size)
        return Answers(before_rounding.round().astype(np.int32), before_rounding.astype(np.float32))
    return Answers(answered.argmax(-1).astype(np.int32), answered.max(-1))
