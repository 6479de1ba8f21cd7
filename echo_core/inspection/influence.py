"""Which input does each output depend on? By replacement; and what the gradient and attention say of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echo_core.config import RunConfig
from echo_core.evaluation.scores import attention_weights, predict, slices
from echo_core.inspection.samples import Stream, sample, share_row
from echo_core.networks.in_numpy import NumpyOps, forward
from echo_core.records import Floats, Ints

#: Windows that one inspection answers at most: with more sequences, fewer symbols are tried at each place.
MAX_ANSWERED = 12_000
#: How far an input is made larger and smaller to measure a gradient, as a share of it.
_NUDGE = 0.02
#: How far an output moves at least, if it is to depend on an input.
_MOVED = 0.01


def influence(config: RunConfig, weights: Sequence[Floats], sequences: int = 100,
              seed: int | None = None) -> pd.DataFrame:
    """How far each output moves when one input is replaced by other symbols.

    Returns:
        One row for each output and input, places counted from 1. Columns: output, input; influence (mean distance of
        the answers, see `influence_on`), top_share (share of sequences in which this input has the most influence on
        this output); gradient, gradient_top_share (the same by `gradient_on`); and n, the sequences.
    """
    windows = sample(config, sequences, stream=Stream.INFLUENCE, seed=seed).windows
    return influence_table(Dependence(influence_on(config, weights, windows), gradient_on(config, weights, windows)))


def attention(config: RunConfig, weights: Sequence[Floats], sequences: int = 100,
              seed: int | None = None) -> pd.DataFrame:
    """Attention weights: columns output, input (from 1), weight (mean), top_share (share with the row's maximum), n.

    Raises:
        ValueError: If the network has no attention.
    """
    windows = sample(config, sequences, stream=Stream.INFLUENCE, seed=seed).windows
    return _by_place(_attention_of(config, weights, windows), "weight", "top_share").assign(n=len(windows))


def agreement(config: RunConfig, weights: Sequence[Floats], sequences: int = 100,
              seed: int | None = None) -> pd.DataFrame:
    """Share of sequences in which gradient and attention name the input that replacing finds to matter most.

    Sequences in which no replacement moves the output are left out, see `is_moved`: there is nothing to agree on.

    Returns:
        Columns: output (from 1), by (gradient or attention), agrees, low, high (Wilson's 95 % interval), n, the
        sequences that count. Without any, n is 0 and the rest NaN.
    """
    windows = sample(config, sequences, stream=Stream.INFLUENCE, seed=seed).windows
    return agreement_table(dependence_on(config, weights, windows))


class Dependence(NamedTuple):
    """How much each output of some windows depends on each input: arrays (windows, output_length, input_length).

    Attributes:
        influence: By replacing, see `influence_on`.
        gradient: See `gradient_on`.
        attention: Attention weights; None without attention.
    """

    influence: Floats
    gradient: Floats
    attention: Floats | None = None


def dependence_on(config: RunConfig, weights: Sequence[Floats], windows: Ints,
                  max_answered: int = MAX_ANSWERED) -> Dependence:
    """How much each output of each window depends on each input, in every way that the network allows."""
    return Dependence(influence_on(config, weights, windows, max_answered), gradient_on(config, weights, windows),
                      _attention_of(config, weights, windows) if config.traits.has_attention else None)


def influence_table(found: Dependence) -> pd.DataFrame:
    """The table of `influence`, of windows that have been measured."""
    table = _by_place(found.influence, "influence", "top_share")
    by_gradient = _by_place(found.gradient, "gradient", "gradient_top_share")
    return table.merge(by_gradient, on=["output", "input"]).assign(n=len(found.influence))


def agreement_table(found: Dependence) -> pd.DataFrame:
    """The table of `agreement`, of windows that have been measured."""
    others = {"gradient": found.gradient} | ({} if found.attention is None else {"attention": found.attention})
    top, moved, rows = found.influence.argmax(axis=-1), is_moved(found), []  # (windows, output_length)
    for output in range(top.shape[1]):
        for name, values in others.items():
            agrees = values[:, output].argmax(axis=-1) == top[:, output]
            row = share_row(agrees[moved[:, output]])
            rows.append({"output": output + 1, "by": name, "agrees": row.pop("accuracy"), **row})
    return pd.DataFrame(rows)


def is_moved(found: Dependence) -> NDArray[np.bool_]:
    """Whether any replacement moves an output of a window by at least 1 %, (windows, output_length).

    One that is not moved depends on no input, so no input matters most to it.
    """
    moved: NDArray[np.bool_] = found.influence.max(axis=-1) >= _MOVED
    return moved


def influence_on(config: RunConfig, weights: Sequence[Floats], windows: Ints,
                 max_answered: int = MAX_ANSWERED) -> Floats:
    """How far each output of each window moves, on average, when one input is replaced by other symbols.

    The distance of two answers is their total variation, from 0 (the same probabilities) to 1; for scaled numbers the
    absolute difference.

    Args:
        max_answered: Windows to answer at most. Each input is replaced by as many symbols as this allows, at least one,
            evenly spaced over the vocabulary.
    Returns:
        (windows, output_length, input_length); 0 at gaps.
    """
    tried = max(1, min(config.vocab_size - 1, max_answered // (len(windows) * config.input_length)))
    shifts = np.unique(np.linspace(1, config.vocab_size - 1, tried).round().astype(int))
    rows, places = np.divmod(np.arange(len(windows) * config.input_length), config.input_length)
    moved = np.zeros((len(rows), config.output_length), np.float32)
    for part in slices(config, len(rows)):
        read, at = windows[rows[part]], places[part]
        asked, first = _windows_of(windows, rows[part])
        before = _answered(config, weights, asked)[rows[part] - first]
        for shift in shifts:
            other = read.copy()
            other[np.arange(len(other)), at] = (read[np.arange(len(other)), at] + shift) % config.vocab_size
            moved[part] += np.abs(_answered(config, weights, other) - before).sum(axis=-1)
    moved *= np.float32((1.0 if config.representation == "linear" else 0.5) / len(shifts))
    return _by_window(config, windows, moved)


def gradient_on(config: RunConfig, weights: Sequence[Floats], windows: Ints) -> Floats:
    """Gradient times input: how fast each answer's score changes as the one of an input's one-hot row grows.

    The score is the logit of the answer less the mean of all logits, which unlike a probability does not stop changing
    when the network is sure. Of scaled numbers it is the number itself. Central differences give the slope.

    Returns:
        Absolute slopes, (windows, output_length, input_length); 0 at gaps.
    """
    rows, places = np.divmod(np.arange(len(windows) * config.input_length), config.input_length)
    slopes = np.empty((len(rows), config.output_length), np.float32)
    for part in slices(config, len(rows)):
        read = windows[rows[part]]
        asked, first = _windows_of(windows, rows[part])
        said = forward(config, weights, asked).outputs[:, -config.output_length:].argmax(axis=-1)[rows[part] - first]
        is_nudged = np.arange(config.input_length)[:, None] == places[part]  # (input_length, windows)
        up, down = (_scores(config, weights, read, 1 + nudge * is_nudged, said) for nudge in (_NUDGE, -_NUDGE))
        slopes[part] = np.abs(up - down) / (2 * _NUDGE)
    return _by_window(config, windows, slopes)


class _ScaleInputs(NumpyOps):
    """NumPy's operations with every input multiplied by a factor, (input_length, windows)."""

    def __init__(self, factors: NDArray[np.floating]) -> None:
        super().__init__()
        self._factors = factors.astype(np.float32)[..., None]

    def rows(self, kernel: Floats, tokens: Ints) -> Floats:
        """See `Ops`."""
        return super().rows(kernel, tokens) * self._factors[-len(tokens):]  # `no_memory` reads the newest alone

    def scaled(self, tokens: Ints, vocab_size: int) -> Floats:
        """See `Ops`."""
        return super().scaled(tokens, vocab_size) * self._factors


def _scores(config: RunConfig, weights: Sequence[Floats], windows: Ints, factors: NDArray[np.floating],
            said: NDArray[np.intp]) -> Floats:
    outputs = forward(config, weights, windows, ops=_ScaleInputs(factors)).outputs[:, -config.output_length:]
    scores: Floats = outputs[..., 0]
    if config.representation == "one_hot":
        scores = np.take_along_axis(outputs, said[..., None], axis=-1)[..., 0] - outputs.mean(axis=-1)
    return scores


def _by_window(config: RunConfig, windows: Ints, values: Floats) -> Floats:
    """Values of each window and place, (windows · input_length, output_length), with an axis for each; 0 at gaps."""
    by_place = values.reshape(len(windows), config.input_length, config.output_length).transpose(0, 2, 1)
    return np.where((windows < config.vocab_size)[:, None], by_place, np.float32(0))


def _windows_of(windows: Ints, rows: NDArray[np.integer]) -> tuple[Ints, int]:
    """The windows that neighbouring rows belong to, each once, and the number of the first."""
    first, last = int(rows[0]), int(rows[-1])
    return windows[first:last + 1], first


def _answered(config: RunConfig, weights: Sequence[Floats], windows: Ints) -> Floats:
    return predict(config, weights, windows)[:, -config.output_length:]


def _attention_of(config: RunConfig, weights: Sequence[Floats], windows: Ints) -> Floats:
    return np.concatenate([attention_weights(config, weights, windows[part]) for part in slices(config, len(windows))])


def _by_place(values: Floats, mean: str, top: str) -> pd.DataFrame:
    """One row for each output and input: the mean over windows, and the share of windows with the maximum there."""
    _, outputs, inputs = values.shape
    is_top = values.argmax(axis=-1)[..., None] == np.arange(inputs)  # (windows, outputs, inputs)
    return pd.DataFrame({
        "output": np.repeat(np.arange(outputs) + 1, inputs), "input": np.tile(np.arange(inputs) + 1, outputs),
        mean: values.mean(axis=0).ravel().astype(float), top: is_top.mean(axis=0).ravel()})
