"""The forward pass in NumPy: what a network answers, without TensorFlow and without compiling.

A forward pass over the few windows that a run is watched on takes a tenth of what eager TensorFlow
takes, and the first one waits for nothing. `tests/test_models.py` holds it to the Keras models and
to the functions that are compiled. Time comes first in here, (timesteps, windows, features).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from echo_core.config import RunConfig, Variant
from echo_core.records import Floats, Ints

CellState = tuple[Floats, Floats]
Forward = Callable[[RunConfig, Sequence[Floats], Ints, Sequence[CellState]], tuple[Floats, tuple[CellState, ...]]]


def forward(config: RunConfig, weights: Sequence[Floats], windows: np.ndarray,
            states: Sequence[CellState] | None = None) -> tuple[Floats, tuple[CellState, ...]]:
    """Answers of a network to some windows, and the state of each recurrent layer after them.

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        windows: Integers, (windows, input_length).
        states: The h and c of each recurrent layer before, (windows, units) each; None is zero.
    Returns:
        Logits (windows, output_length, vocab_size), and the states after.
    """
    zero = np.zeros((len(windows), config.units), np.float32)
    before = states or ((zero, zero),) * 2
    logits, after = FORWARDS[config.variant](config, weights, windows.T, before)  # (output_length, windows, vocab_size)
    return logits.transpose(1, 0, 2), after


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def _whole(c: RunConfig, weights: Sequence[Floats], tokens: Ints,
           states: Sequence[CellState]) -> tuple[Floats, tuple[CellState, ...]]:
    kernel, recurrent, bias, readout, readout_bias = weights
    outputs, state = _lstm(kernel[tokens] + bias, recurrent, states[0], c.input_length)  # (T, B, units)
    return outputs @ readout + readout_bias, (state,)


def _encoder_decoder(c: RunConfig, weights: Sequence[Floats], tokens: Ints,
                     states: Sequence[CellState]) -> tuple[Floats, tuple[CellState, ...]]:
    kernel, recurrent, bias, kernel_2, recurrent_2, bias_2, readout, readout_bias = weights
    _, encoder = _lstm(kernel[tokens] + bias, recurrent, states[0], c.input_length)
    context = encoder[0] @ kernel_2 + bias_2  # (B, 4·units): every decoder step reads the same
    decoded, decoder = _lstm(context[None], recurrent_2, states[1], c.output_length)  # (output_length, B, units)
    return decoded @ readout + readout_bias, (encoder, decoder)


def _lstm(projected: Floats, recurrent_kernel: Floats, state: CellState, timesteps: int) -> tuple[Floats, CellState]:
    """An LSTM layer as `echo_core.cells.lstm` has it: every h (timesteps, windows, units), and the last state.

    Gates stand in Keras's order: input, forget, candidate, output.
    """
    h, c = state
    units = len(recurrent_kernel)
    outputs = np.empty((timesteps, *h.shape), np.float32)
    for t in range(timesteps):
        z = projected[t % len(projected)] + h @ recurrent_kernel  # (windows, 4 · units)
        i, f, o = _sigmoid(z[:, :units]), _sigmoid(z[:, units:2 * units]), _sigmoid(z[:, 3 * units:])
        c = f * c + i * np.tanh(z[:, 2 * units:3 * units])
        h = outputs[t] = o * np.tanh(c)
    return outputs, (h, c)


def _sigmoid(z: Floats) -> Floats:
    result: Floats = 0.5 * np.tanh(0.5 * z) + 0.5  # never overflows
    return result


#: `forward(config, weights, tokens, states) -> (logits, states)`, tokens (input_length, windows) and
#: logits (output_length, windows, vocab_size). The same keys as `models.NETWORKS`.
FORWARDS: Mapping[Variant, Forward] = MappingProxyType({
    "whole": _whole,
    "encoder_decoder": _encoder_decoder,
})
