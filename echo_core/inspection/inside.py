"""The forward pass with everything in it: gates, candidate, states, attention, logits and probabilities.

`look_inside(config, weights, windows)` takes about a millisecond for a few windows, so a page can call it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from echo_core.config import RunConfig
from echo_core.config.sizes import sized_layers
from echo_core.networks.in_numpy import NumpyOps, Trace, forward, softmax
from echo_core.networks.steps import GATES
from echo_core.records import Floats

#: The gates of `steps.GATES` in words; `g` and `n` are candidates and no gates.
GATE_WORDS: Mapping[str, str] = MappingProxyType(
    {"i": "input", "f": "forget", "o": "output", "z": "update", "r": "reset"})
#: How far the rows of given attention weights may be from adding up to 1.
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class LayerInside:
    """What one recurrent layer did at each timestep. Every array is (windows, timesteps, units).

    Attributes:
        name: Its name in Keras: `encoder` and `decoder`, or the cell's.
        gates: From 0, shut, to 1, open: `input`, `forget` and `output` of an LSTM; `update` and `reset` of a GRU; none
            of a simple RNN. NaN at gaps, where no gate acts.
        candidate: What the gates could let in, from -1 to 1; NaN at gaps. None for a simple RNN.
        hidden: h after each timestep, which is also the layer's output.
        cell: c after each timestep; None unless it is an LSTM.
    """

    name: str
    gates: Mapping[str, Floats]
    candidate: Floats | None
    hidden: Floats
    cell: Floats | None


@dataclass(frozen=True, eq=False)
class Inside:
    """Everything that a network computes for some windows.

    Attributes:
        layers: Its recurrent layers, in the order of computation; none for `no_memory`. A layer that reads has
            input_length timesteps (`one_to_one` has one), a decoder output_length.
        attention: (windows, output_length, input_length), rows that add up to 1; None without attention.
        logits: Scores before the softmax, (windows, answer_steps, num_classes); the last output_length steps are the
            answer. Of scaled numbers it is the number itself, with one class.
        probabilities: Of the classes, same shape; None for scaled numbers.
    """

    layers: tuple[LayerInside, ...]
    attention: Floats | None
    logits: Floats
    probabilities: Floats | None


def look_inside(config: RunConfig, weights: Sequence[Floats], windows: ArrayLike,
                attention: ArrayLike | None = None) -> Inside:
    """Run a network from a zero state and keep everything that it computes on the way.

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        windows: Integers, (windows, input_length); `vocab_size` is a gap.
        attention: Attention weights to use in place of the network's own, (output_length, input_length), or with an
            axis of windows before these: it makes the network look elsewhere.
    Raises:
        ValueError: If the shapes of weights or windows do not fit the config, or `attention` does not fit the network.
    """
    traces: list[Trace] = []
    ops = NumpyOps(traces) if attention is None else LookElsewhere(_checked(config, attention), traces)
    answer = forward(config, weights, windows, ops=ops)
    layers = tuple(_layer(name, config.cell, trace) for name, trace in zip(layer_names(config), traces, strict=True))
    probabilities = None if config.representation == "linear" else softmax(answer.outputs)
    return Inside(layers, answer.attention, answer.outputs, probabilities)


class LookElsewhere(NumpyOps):
    """NumPy's operations with given attention weights, (output_length, input_length) or (windows, …)."""

    def __init__(self, attention: Floats, traces: list[Trace] | None = None) -> None:
        super().__init__(traces)
        self._attention = attention

    def look(self, decoded: Floats, encoded: Floats, present: Any) -> Floats:
        """See `NumpyOps`."""
        weights = np.broadcast_to(self._attention, (encoded.shape[1], len(decoded), len(encoded)))
        if present is not None:  # nothing can be seen at a gap
            weights = weights * present.T[:, None]
            weights = weights / np.maximum(weights.sum(axis=-1, keepdims=True), np.float32(1e-9))
        return weights


def layer_names(config: RunConfig) -> tuple[str, ...]:
    """The names of the recurrent layers, in the order of computation."""
    return tuple(sized.layer.name for sized in sized_layers(config) if sized.layer.kind == "recurrent")


def _layer(name: str, cell: str, trace: Trace) -> LayerInside:
    gates = {GATE_WORDS[letter]: values for letter, values in trace.gates.items() if letter in GATE_WORDS}
    candidates = [values for letter, values in trace.gates.items() if letter not in GATE_WORDS]
    return LayerInside(name, MappingProxyType(gates), candidates[0] if candidates else None, trace.states[0],
                       trace.states[1] if cell == "lstm" else None)


def gate_names(config: RunConfig) -> tuple[str, ...]:
    """The gates of the run's cell in words, in Keras's order."""
    return tuple(GATE_WORDS[letter] for letter in GATES[config.cell] if letter in GATE_WORDS)


def _checked(config: RunConfig, attention: ArrayLike) -> Floats:
    if not config.traits.has_attention:
        raise ValueError(f"variant must be attention to look elsewhere; received {config.variant}.")
    weights = np.asarray(attention, np.float32)
    shape = (config.output_length, config.input_length)
    if weights.ndim not in (2, 3) or weights.shape[-2:] != shape:
        raise ValueError(f"attention must have shape {shape}, or one axis of windows before it; received "
                         f"{weights.shape}.")
    if not (weights >= 0).all() or (np.abs(weights.sum(axis=-1) - 1) > _TOLERANCE).any():
        raise ValueError("attention must have rows of weights that are not negative and add up to 1. Try dividing each "
                         "row by its sum.")
    return weights
