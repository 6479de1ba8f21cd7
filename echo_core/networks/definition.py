"""What each variant computes, written once: NumPy (`in_numpy.py`) and TensorFlow (`in_tensorflow.py`) run it.

Time comes first in here, (timesteps, windows, features), so that a timestep is one slice. Weights are
those of `build_model(config)`, in its order, and `tests/networks/test_models.py` holds every variant to it.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS

Array = Any  # of NumPy or TensorFlow
CellState = tuple[Array, ...]
States = tuple[CellState, ...]
#: The state of each recurrent layer that a network begins with; None is a state of zeros, which needs no product.
Begun = tuple[CellState | None, ...]


class LayerWeights(NamedTuple):
    """The weights of a recurrent layer, as Keras orders them."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array


class Answer(NamedTuple):
    """What a network gives.

    Attributes:
        outputs: Logits, or the scaled number itself, (answer_steps, windows, num_classes).
        states: Of each recurrent layer, after the last timestep.
        attention: Where each step of the answer looked, (windows, output_length, input_length), if it can.
    """

    outputs: Array
    states: States
    attention: Array | None = None


class Ops(Protocol):
    """What a library of arrays has to offer to run a network."""

    def rows(self, kernel: Array, tokens: Array) -> Array:
        """What `one_hot(tokens) @ kernel` gives, by look-up."""

    def known(self, tokens: Array, present: Array) -> Array:
        """The tokens that are there, and any one of the vocabulary where none is."""

    def scaled(self, tokens: Array, vocab_size: int) -> Array:
        """Integers as numbers from 0 to 1, with one axis more: (…) -> (…, 1)."""

    def dense(self, values: Array, kernel: Array, bias: Array) -> Array:
        """`values @ kernel + bias` over the last axis."""

    def recurrent(self, cell: str, projected: Array, layer: LayerWeights, state: CellState | None, timesteps: int,
                  present: Array | None = None, may_unroll: bool = True) -> tuple[Array, CellState]:
        """A recurrent layer whose input product is already made: every output (timesteps, windows, units), last state.

        Args:
            projected: With the input's bias, (timesteps, windows, gates · units), or (1, …) where every step
                reads the same.
            present: (timesteps, windows); a step that is not leaves the state as it was.
        """

    def attend(self, decoded: Array, encoded: Array, present: Array | None) -> tuple[Array, Array]:
        """What each decoder step finds in the encoder's outputs, and where it looked."""

    def join(self, first: Array, second: Array) -> Array:
        """Side by side over the last axis."""

    def total(self, values: Array) -> Array:
        """The sum over time, with that axis kept."""

    def blocks(self, values: Array, number: int) -> Array:
        """One long answer cut into timesteps: (windows, number · classes) -> (number, windows, classes)."""


Network = Callable[[Ops, RunConfig, Sequence[Array], Array, Begun], Answer]


def run(ops: Ops, config: RunConfig, weights: Sequence[Array], tokens: Array, states: Begun) -> Answer:
    """A network's answer.

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        tokens: Integers, (input_length, windows); `vocab_size` where nothing is.
        states: Of each recurrent layer, before the first timestep.
    """
    return NETWORKS[config.variant](ops, config, weights, tokens, states)


def state_sizes(config: RunConfig) -> tuple[int, ...]:
    """How many vectors of (windows, units) the state of each recurrent layer has."""
    return (CELLS[config.cell].num_states,) * config.traits.num_recurrent_layers


def _whole(ops: Ops, c: RunConfig, weights: Sequence[Array], tokens: Array, states: Begun) -> Answer:
    # Whole echo is learnt in so few epochs that compiling takes most of the time, and an unrolled loop compiles slowly.
    outputs, state = _read(ops, c, LayerWeights(*weights[:3]), tokens, states[0], may_unroll=c.traits.has_padding)
    return Answer(ops.dense(outputs, *weights[3:]), (state,))


def _encoder_decoder(ops: Ops, c: RunConfig, weights: Sequence[Array], tokens: Array, states: Begun) -> Answer:
    encoded, encoder = _read(ops, c, LayerWeights(*weights[:3]), tokens, states[0])
    decoded, decoder = _say(ops, c, LayerWeights(*weights[3:6]), encoded[-1], states[1])
    return Answer(ops.dense(decoded, *weights[6:]), (encoder, decoder))


def _attention(ops: Ops, c: RunConfig, weights: Sequence[Array], tokens: Array, states: Begun) -> Answer:
    encoded, encoder = _read(ops, c, LayerWeights(*weights[:3]), tokens, states[0])
    decoded, decoder = _say(ops, c, LayerWeights(*weights[3:6]), encoded[-1], states[1])
    found, looked = ops.attend(decoded, encoded, _present(c, tokens))  # (output_length, B, units)
    return Answer(ops.dense(ops.join(decoded, found), *weights[6:]), (encoder, decoder), looked)


def _one_to_one(ops: Ops, c: RunConfig, weights: Sequence[Array], tokens: Array, states: Begun) -> Answer:
    layer = LayerWeights(*weights[:3])
    # Every timestep has a part of the kernel of its own, as all of them are features of one step.
    beside = tokens + c.vocab_size * np.arange(c.input_length, dtype=np.int32)[:, None]
    projected = ops.total(ops.rows(layer.kernel, beside)) + _input_bias(c, layer)  # (1, B, gates·units)
    outputs, state = ops.recurrent(c.cell, projected, layer, states[0], 1)
    return Answer(ops.blocks(ops.dense(outputs, *weights[3:])[0], c.output_length), (state,))


def _many_to_one(ops: Ops, c: RunConfig, weights: Sequence[Array], tokens: Array, states: Begun) -> Answer:
    outputs, state = _read(ops, c, LayerWeights(*weights[:3]), tokens, states[0])
    return Answer(ops.blocks(ops.dense(outputs[-1:], *weights[3:])[0], c.output_length), (state,))


def _no_memory(ops: Ops, c: RunConfig, weights: Sequence[Array], tokens: Array, states: Begun) -> Answer:
    kernel, bias = weights
    return Answer(ops.rows(kernel, tokens[c.input_length - c.output_length:]) + bias, ())


def _read(ops: Ops, c: RunConfig, layer: LayerWeights, tokens: Array, state: CellState | None,
          may_unroll: bool = True) -> tuple[Array, CellState]:
    """A recurrent layer over the numbers of a window: (input_length, B, units), and the last state."""
    present = _present(c, tokens)
    if present is not None:
        tokens = ops.known(tokens, present)
    if c.representation == "linear":
        projected = ops.scaled(tokens, c.vocab_size) * layer.kernel[0] + _input_bias(c, layer)
    else:
        projected = ops.rows(layer.kernel, tokens) + _input_bias(c, layer)  # (input_length, B, gates·units)
    return ops.recurrent(c.cell, projected, layer, state, c.input_length, present, may_unroll)


def _say(ops: Ops, c: RunConfig, layer: LayerWeights, context: Array,
         state: CellState | None) -> tuple[Array, CellState]:
    """A recurrent layer that reads the same context at each step: (output_length, B, units), and the last state."""
    projected = ops.dense(context, layer.kernel, _input_bias(c, layer))[None]  # (1, B, gates·units)
    return ops.recurrent(c.cell, projected, layer, state, c.output_length)


def _present(c: RunConfig, tokens: Array) -> Array | None:
    return tokens < c.vocab_size if c.has_gaps else None


def _input_bias(c: RunConfig, layer: LayerWeights) -> Array:
    return layer.bias[0] if CELLS[c.cell].num_biases == 2 else layer.bias


NETWORKS: Mapping[str, Network] = MappingProxyType({
    "whole": _whole,
    "encoder_decoder": _encoder_decoder,
    "padded": _whole,  # with one class more
    "attention": _attention,
    "one_to_one": _one_to_one,
    "many_to_one": _many_to_one,
    "no_memory": _no_memory,
})
