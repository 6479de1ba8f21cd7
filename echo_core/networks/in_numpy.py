"""The forward pass in NumPy: a network's answers, and every gate on the way, without TensorFlow and without compiling.

On the few windows of a snapshot it takes a tenth of the time of eager TensorFlow. `tests/networks/test_models.py`
compares it with the Keras models and with the compiled programs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from echo_core.config import RunConfig
from echo_core.config.checks import check_weights, windows_of
from echo_core.data import scale
from echo_core.networks.definition import Answer, Begun, CellState, LayerWeights, run
from echo_core.networks.steps import GATES, Functions, Gates, step
from echo_core.records import Floats, Ints

#: A score that no softmax sees.
_NEVER = np.float32(-1e9)


class Trace(NamedTuple):
    """What a recurrent layer did at each timestep.

    Attributes:
        states: h, and for an LSTM also c, after each timestep, (windows, timesteps, units) each.
        gates: By name (`steps.GATES`), (windows, timesteps, units) each; NaN at gaps, where no gate acts.
    """

    states: CellState
    gates: Mapping[str, Floats]


def forward(config: RunConfig, weights: Sequence[Floats], windows: ArrayLike, states: Begun | None = None,
            traces: list[Trace] | None = None, ops: "NumpyOps | None" = None) -> Answer:
    """A network's answers to some windows; its outputs are (windows, answer_steps, num_classes).

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        windows: Integers, (windows, input_length); `vocab_size` is a gap.
        states: The state of each recurrent layer before the first timestep, vectors of (windows, units); None is zero.
        traces: A list to which each recurrent layer's trace is appended; None records nothing, which is faster.
        ops: Operations in place of plain NumPy's, for studies that change something on the way; they keep their own
            traces.
    Raises:
        ValueError: If the shapes of weights or windows do not fit the config.
    """
    check_weights(config, weights)
    tokens = windows_of(config, windows)
    before = states if states is not None else (None,) * config.traits.num_recurrent_layers
    answer = run(ops or NumpyOps(traces), config, weights, tokens.T, before)
    return answer._replace(outputs=answer.outputs.transpose(1, 0, 2))


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


class NumpyOps:
    """`definition.Ops` of NumPy. For `traces` see `forward`."""

    def __init__(self, traces: list[Trace] | None = None) -> None:
        self._traces = traces

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

    def recurrent(self, cell: str, projected: Floats, layer: LayerWeights, state: CellState | None, timesteps: int,
                  present: Any = None, may_unroll: bool = True) -> tuple[Floats, CellState]:
        """See `Ops`."""
        outputs = np.empty((timesteps, *projected.shape[1:2], len(layer.recurrent_kernel)), np.float32)
        steps: list[tuple[CellState, Gates]] = []
        for t in range(timesteps):
            state, gates = step(cell, NUMPY, projected[t % len(projected)], state, layer,
                                present[t] if present is not None else None)
            outputs[t] = state[0]
            if self._traces is not None:
                steps.append((state, gates))
        if self._traces is not None:
            self._traces.append(_trace(cell, steps, present))
        return outputs, state or ()

    def attend(self, decoded: Floats, encoded: Floats, present: Any) -> tuple[Floats, Floats]:
        """See `Ops`."""
        looked = self.look(decoded, encoded, present)
        return (looked @ encoded.transpose(1, 0, 2)).transpose(1, 0, 2), looked

    def look(self, decoded: Floats, encoded: Floats, present: Any) -> Floats:
        """The attention weights, (windows, output_length, input_length)."""
        scores = decoded.transpose(1, 0, 2) @ encoded.transpose(1, 2, 0)
        if present is not None:
            scores = np.where(present.T[:, None], scores, _NEVER)
        return softmax(scores)

    def join(self, first: Floats, second: Floats) -> Floats:
        """See `Ops`."""
        return np.concatenate([first, second], axis=-1)

    def total(self, values: Floats) -> Floats:
        """See `Ops`."""
        summed: Floats = values.sum(axis=0, keepdims=True)
        return summed

    def blocks(self, values: Floats, number: int) -> Floats:
        """See `Ops`."""
        return values.reshape(len(values), number, -1).transpose(1, 0, 2)


def _sigmoid(z: Floats) -> Floats:
    result: Floats = 0.5 * np.tanh(0.5 * z) + 0.5  # never overflows
    return result


def _trace(cell: str, steps: Sequence[tuple[CellState, Gates]], present: Any) -> Trace:
    states, gates = ([np.stack(each, axis=1) for each in zip(*part, strict=True)] for part in zip(*steps, strict=True))
    if present is not None:
        gates = [np.where(present.T[..., None], gate, np.float32(np.nan)) for gate in gates]
    return Trace(tuple(states), dict(zip(GATES[cell], gates, strict=True)))


#: NumPy's functions for `steps.py`.
NUMPY = Functions(_sigmoid, np.tanh, np.split, np.where)
