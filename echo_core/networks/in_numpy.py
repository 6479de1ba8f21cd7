"""The forward pass in NumPy: what a network answers, without TensorFlow and without compiling.

A forward pass over the few windows that a run is watched on takes a tenth of what eager TensorFlow
takes, and the first one waits for nothing. `tests/networks/test_models.py` holds it to the Keras models and
to what is compiled.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from echo_core.config import RunConfig
from echo_core.config.checks import check_weights, windows_of
from echo_core.data import scale
from echo_core.networks.definition import Answer, CellState, Layer, States, run, state_sizes
from echo_core.records import Floats, Ints

#: A score that no softmax sees.
_NEVER = np.float32(-1e9)


def forward(config: RunConfig, weights: Sequence[Floats], windows: ArrayLike, states: States | None = None) -> Answer:
    """Answers of a network to some windows, with the windows first: outputs (windows, answer_steps, num_classes).

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        windows: Integers, (windows, input_length); `vocab_size` where nothing is.
        states: Of each recurrent layer before, (windows, units) each vector; None is zero.

    Raises:
        ValueError: If weights or windows are not those of such a network.
    """
    check_weights(config, weights)
    tokens = windows_of(config, windows)
    zero = np.zeros((len(tokens), config.units), np.float32)
    before = states if states is not None else tuple((zero,) * size for size in state_sizes(config))
    answer = run(NumpyOps(), config, weights, tokens.T, before)
    return answer._replace(outputs=answer.outputs.transpose(1, 0, 2))


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


class NumpyOps:
    """`networks.Ops` of NumPy."""

    def rows(self, kernel: Floats, tokens: Ints) -> Floats:
        """See `Ops`."""
        return kernel[tokens]

    def known(self, tokens: Ints, present: Any) -> Ints:
        """See `Ops`."""
        return np.where(present, tokens, 0)

    def scaled(self, tokens: Ints, vocab_size: int) -> Floats:
        """See `Ops`."""
        scaled: Floats = scale(tokens, vocab_size)[..., None]
        return scaled

    def dense(self, values: Floats, kernel: Floats, bias: Floats) -> Floats:
        """See `Ops`."""
        return values @ kernel + bias

    def recurrent(self, cell: str, projected: Floats, layer: Layer, state: CellState, timesteps: int,
                  present: Any = None, may_unroll: bool = True) -> tuple[Floats, CellState]:
        """See `Ops`."""
        step = _STEPS[cell]
        outputs = np.empty((timesteps, *projected.shape[1:2], len(layer.recurrent_kernel)), np.float32)
        for t in range(timesteps):
            new = step(projected[t % len(projected)], state, layer)
            if present is not None:
                new = tuple(np.where(present[t][:, None], *both) for both in zip(new, state, strict=True))
            state = new
            outputs[t] = state[0]
        return outputs, state

    def attend(self, decoded: Floats, encoded: Floats, present: Any) -> tuple[Floats, Floats]:
        """See `Ops`."""
        scores = np.einsum("obu,ibu->boi", decoded, encoded)  # (B, output_length, input_length)
        if present is not None:
            scores = np.where(present.T[:, None], scores, _NEVER)
        looked = softmax(scores)
        return np.einsum("boi,ibu->obu", looked, encoded), looked

    def join(self, first: Floats, second: Floats) -> Floats:
        """See `Ops`."""
        return np.concatenate([first, second], axis=-1)

    def first_column(self, length: int, step: int) -> Ints:
        """See `Ops`."""
        return (np.arange(length, dtype=np.int32) * step)[:, None]

    def total(self, values: Floats) -> Floats:
        """See `Ops`."""
        summed: Floats = values.sum(axis=0, keepdims=True)
        return summed

    def blocks(self, values: Floats, number: int) -> Floats:
        """See `Ops`."""
        return values.reshape(len(values), number, -1).transpose(1, 0, 2)


def _lstm(z: Floats, state: CellState, layer: Layer) -> CellState:
    """One timestep; gates stand in Keras's order: input, forget, candidate, output."""
    h, c = state
    i, f, g, o = np.split(z + h @ layer.recurrent_kernel, 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _gru(z: Floats, state: CellState, layer: Layer) -> CellState:
    """One timestep; gates stand in Keras's order: update, reset, candidate."""
    h, = state
    update, reset, candidate = np.split(z, 3, axis=-1)
    update_h, reset_h, candidate_h = np.split(h @ layer.recurrent_kernel + layer.bias[1], 3, axis=-1)
    kept = _sigmoid(update + update_h)
    new = np.tanh(candidate + _sigmoid(reset + reset_h) * candidate_h)
    return (kept * h + (1 - kept) * new,)


def _simple_rnn(z: Floats, state: CellState, layer: Layer) -> CellState:
    return (np.tanh(z + state[0] @ layer.recurrent_kernel),)


def _sigmoid(z: Floats) -> Floats:
    result: Floats = 0.5 * np.tanh(0.5 * z) + 0.5  # never overflows
    return result


_STEPS = {"lstm": _lstm, "gru": _gru, "simple_rnn": _simple_rnn}
