"""One timestep of each recurrent cell, written once for NumPy and TensorFlow.

A step takes `x @ kernel + bias`, already computed, and gives the next state together with its gates, which stand in
Keras's order. LSTM layers without gaps are trained by `lstm_gradient.py`, which computes all four gates in one tanh
because that is faster. From its gates on it shares `lstm_state`.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from echo_core.networks.definition import Array, CellState, LayerWeights

Gates = tuple[Array, ...]


class Functions(NamedTuple):
    """The functions of NumPy or TensorFlow that a cell is made of."""

    sigmoid: Callable[[Array], Array]
    tanh: Callable[[Array], Array]
    split: Callable[..., Sequence[Array]]
    where: Callable[[Array, Array, Array], Array]


#: The gates of each cell: input, forget, candidate, output; update, reset, candidate.
GATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"lstm": ("i", "f", "g", "o"), "gru": ("z", "r", "n"), "simple_rnn": ()})


def step(cell: str, of: Functions, projected: Array, state: CellState, layer: LayerWeights,
         present: Array | None = None) -> tuple[CellState, Gates]:
    """The state after one timestep, and the gates that made it, (windows, units) each.

    Args:
        projected: `x @ kernel + bias`, (windows, gates · units).
        present: (windows,); where it is False the timestep is a gap, and the state stays as it was.
    """
    after, gates = _STEPS[cell](of, projected, state, layer)
    if present is not None:
        after = tuple(of.where(present[:, None], *both) for both in zip(after, state, strict=True))
    return after, gates


def lstm_state(of: Functions, gates: Gates, c: Array) -> CellState:
    """The next h and c of an LSTM from its gates."""
    i, f, g, o = gates
    c = f * c + i * g
    return o * of.tanh(c), c


def _lstm(of: Functions, projected: Array, state: CellState, layer: LayerWeights) -> tuple[CellState, Gates]:
    h, c = state
    i, f, g, o = of.split(projected + h @ layer.recurrent_kernel, 4, axis=-1)
    gates = of.sigmoid(i), of.sigmoid(f), of.tanh(g), of.sigmoid(o)
    return lstm_state(of, gates, c), gates


def _gru(of: Functions, projected: Array, state: CellState, layer: LayerWeights) -> tuple[CellState, Gates]:
    h, = state
    update, reset, candidate = of.split(projected, 3, axis=-1)
    update_h, reset_h, candidate_h = of.split(h @ layer.recurrent_kernel + layer.bias[1], 3, axis=-1)
    z, r = of.sigmoid(update + update_h), of.sigmoid(reset + reset_h)
    n = of.tanh(candidate + r * candidate_h)
    return (z * h + (1 - z) * n,), (z, r, n)


def _simple_rnn(of: Functions, projected: Array, state: CellState, layer: LayerWeights) -> tuple[CellState, Gates]:
    return (of.tanh(projected + state[0] @ layer.recurrent_kernel),), ()


_STEPS: Mapping[str, Callable[[Functions, Array, CellState, LayerWeights], tuple[CellState, Gates]]] = MappingProxyType(
    {"lstm": _lstm, "gru": _gru, "simple_rnn": _simple_rnn})
