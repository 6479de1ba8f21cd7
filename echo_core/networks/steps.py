"""One timestep of each recurrent cell, written once for NumPy and TensorFlow.

A step takes `x @ kernel + bias`, already computed, and gives the next state together with its gates, which stand in
Keras's order. LSTM layers without gaps are trained by `lstm_gradient.py`, which computes all four gates in one tanh
because that is faster. From its gates on it shares `lstm_state`.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from echo_core.config.cells import CELLS
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


def step(cell: str, of: Functions, projected: Array, state: CellState | None, layer: LayerWeights,
         present: Array | None = None) -> tuple[CellState, Gates]:
    """The state after one timestep, and the gates that made it, (windows, units) each.

    Args:
        projected: `x @ kernel + bias`, (windows, gates · units).
        state: Before it; None for zeros, which saves a product.
        present: (windows,); where it is False the timestep is a gap, and the state stays as it was.
    """
    recurrent = state[0] @ layer.recurrent_kernel if state else 0.0
    if CELLS[cell].num_biases == 2:
        recurrent = recurrent + layer.bias[1]
    return gated(cell, of, projected, recurrent, state, present)


def gated(cell: str, of: Functions, projected: Array, recurrent: Array, state: CellState | None,
          present: Array | None = None) -> tuple[CellState, Gates]:
    """`step` with `recurrent` given: `h @ recurrent_kernel` of the h before, and its bias if it has one."""
    before = state or (0.0,) * CELLS[cell].num_states
    after, gates = _STEPS[cell](of, projected, recurrent, before)
    if present is not None:
        after = tuple(of.where(present[:, None], *both) for both in zip(after, before, strict=True))
    return after, gates


def lstm_state(of: Functions, gates: Gates, c: Array) -> CellState:
    """The next h and c of an LSTM from its gates."""
    i, f, g, o = gates
    c = f * c + i * g
    return o * of.tanh(c), c


def _lstm(of: Functions, projected: Array, recurrent: Array, state: CellState) -> tuple[CellState, Gates]:
    i, f, g, o = of.split(projected + recurrent, 4, axis=-1)
    gates = of.sigmoid(i), of.sigmoid(f), of.tanh(g), of.sigmoid(o)
    return lstm_state(of, gates, state[1]), gates


def _gru(of: Functions, projected: Array, recurrent: Array, state: CellState) -> tuple[CellState, Gates]:
    h, = state
    update, reset, candidate = of.split(projected, 3, axis=-1)
    update_h, reset_h, candidate_h = of.split(recurrent, 3, axis=-1)
    z, r = of.sigmoid(update + update_h), of.sigmoid(reset + reset_h)
    n = of.tanh(candidate + r * candidate_h)
    return (z * h + (1 - z) * n,), (z, r, n)


def _simple_rnn(of: Functions, projected: Array, recurrent: Array, state: CellState) -> tuple[CellState, Gates]:
    return (of.tanh(projected + recurrent),), ()


_STEPS: Mapping[str, Callable[[Functions, Array, Array, CellState], tuple[CellState, Gates]]] = MappingProxyType(
    {"lstm": _lstm, "gru": _gru, "simple_rnn": _simple_rnn})
