"""Each variant twice: as the Keras model that people know, and as the function that is compiled.

`MODEL_BUILDERS` and `NETWORKS` have the same keys, and `tests/test_models.py` holds each pair to
the same answers. The Keras model gives the first weights, the summary and the `.keras` file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.layers import LSTM, Dense, RepeatVector

from echo_core.cells import CellState, Tensor, kernel_rows, lstm
from echo_core.config import RunConfig, Variant
from echo_core.records import Floats

Network = Callable[[RunConfig, Sequence[Tensor], Tensor, Sequence[CellState]], tuple[Tensor, tuple[CellState, ...]]]


def build_model(config: RunConfig) -> keras.Sequential:
    """The Keras model of a run with its first weights, which come from `config.seed` alone.

    Input (windows, input_length, vocab_size), one-hot; output (windows, output_length, vocab_size),
    probabilities. A stateful model has a fixed batch size, as Keras asks.

    `build_model(RunConfig()).count_params() -> 11780`
    """
    return MODEL_BUILDERS[config.variant](config)


def first_weights(config: RunConfig) -> tuple[Floats, ...]:
    """The weights that `build_model(config)` begins with, in the order of its trainable variables."""
    return tuple(variable.value.numpy() for variable in build_model(config).trainable_variables)


def _build_whole(c: RunConfig) -> keras.Sequential:
    seeds = _layer_seeds(c)
    return keras.Sequential([
        _input(c),                                                                      # (B, input_length, vocab_size)
        LSTM(c.units, return_sequences=True, name="lstm", **_recurrent(c, seeds)),      # (B, input_length, units)
        Dense(c.vocab_size, name="readout", **_dense(seeds)),                           # (B, input_length, vocab_size)
    ], name="whole")


def _build_encoder_decoder(c: RunConfig) -> keras.Sequential:
    seeds = _layer_seeds(c)
    return keras.Sequential([
        _input(c),                                                                      # (B, input_length, vocab_size)
        LSTM(c.units, name="encoder", **_recurrent(c, seeds)),                          # (B, units)
        RepeatVector(c.output_length, name="context"),                                  # (B, output_length, units)
        LSTM(c.units, return_sequences=True, name="decoder", **_recurrent(c, seeds)),   # (B, output_length, units)
        Dense(c.vocab_size, name="readout", **_dense(seeds)),                           # (B, output_length, vocab_size)
    ], name="encoder_decoder")


def _whole(c: RunConfig, weights: Sequence[Tensor], tokens: Tensor,
           states: Sequence[CellState]) -> tuple[Tensor, tuple[CellState, ...]]:
    kernel, recurrent, bias, readout, readout_bias = weights
    # Whole echo is learnt in so few epochs that compiling is most of the time.
    outputs, state = lstm(kernel_rows(kernel, tokens) + bias, recurrent, states[0], c.input_length,
                          may_unroll=False)  # (T, B, units)
    return _read_out(outputs, readout, readout_bias), (state,)


def _encoder_decoder(c: RunConfig, weights: Sequence[Tensor], tokens: Tensor,
                     states: Sequence[CellState]) -> tuple[Tensor, tuple[CellState, ...]]:
    kernel, recurrent, bias, kernel_2, recurrent_2, bias_2, readout, readout_bias = weights
    encoded, encoder = lstm(kernel_rows(kernel, tokens) + bias, recurrent, states[0], c.input_length)  # (T, B, units)
    context = tf.matmul(encoded[-1], kernel_2) + bias_2  # (B, 4·units): every decoder step reads the same
    decoded, decoder = lstm(context[None], recurrent_2, states[1], c.output_length)  # (output_length, B, units)
    return _read_out(decoded, readout, readout_bias), (encoder, decoder)


def zero_states(config: RunConfig, windows: int) -> tuple[CellState, ...]:
    """The state of each recurrent layer before anything was read, (windows, units) each."""
    zero = tf.zeros((windows, config.units))
    return tuple((zero, zero) for _ in range(2 if config.variant == "encoder_decoder" else 1))


def _read_out(outputs: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Logits of every timestep: (timesteps, B, units) -> (timesteps, B, vocab_size), as one product."""
    timesteps, windows, units = outputs.shape
    return tf.reshape(tf.matmul(tf.reshape(outputs, [-1, units]), kernel) + bias, [timesteps, windows, -1])


def _input(c: RunConfig) -> Any:
    return keras.Input(batch_shape=(c.batch_size if c.stateful else None, c.input_length, c.vocab_size))


def _recurrent(c: RunConfig, seeds: Iterator[int]) -> dict[str, Any]:
    # Orthogonal's first argument is its gain: without the keyword, a seed would scale the weights.
    return {"stateful": c.stateful,
            "kernel_initializer": keras.initializers.GlorotUniform(seed=next(seeds)),
            "recurrent_initializer": keras.initializers.Orthogonal(seed=next(seeds))}


def _dense(seeds: Iterator[int]) -> dict[str, Any]:
    return {"activation": "softmax", "kernel_initializer": keras.initializers.GlorotUniform(seed=next(seeds))}


def _layer_seeds(c: RunConfig) -> Iterator[int]:
    """A seed for each initialiser, all from `config.seed`: equal ones would make equal kernels."""
    return iter(int(seed) % 2**31 for seed in np.random.SeedSequence(c.seed).generate_state(8))


MODEL_BUILDERS: Mapping[Variant, Callable[[RunConfig], keras.Sequential]] = MappingProxyType({
    "whole": _build_whole,
    "encoder_decoder": _build_encoder_decoder,
})

#: `network(config, weights, tokens, states) -> (logits, states)`, with weights in the order of
#: `build_model(config).trainable_variables`, tokens (input_length, windows) and logits
#: (output_length, windows, vocab_size).
NETWORKS: Mapping[Variant, Network] = MappingProxyType({
    "whole": _whole,
    "encoder_decoder": _encoder_decoder,
})
