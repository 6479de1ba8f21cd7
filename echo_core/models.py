"""Each variant as the Keras model that people know: it gives the first weights, the summary and the `.keras` file.

What is trained is in `networks/`, and `tests/networks/test_models.py` holds the two to the same answers.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from echo_core.networks.backend import float32, refuse_after_fork  # isort: skip - it decides how Keras is loaded

import keras
import numpy as np
from keras.layers import Activation, Attention, Concatenate, Cropping1D, Dense, Masking, RepeatVector, Reshape

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.data import GAP
from echo_core.records import Floats


def build_model(config: RunConfig) -> keras.Model:
    """The Keras model of a run with its first weights, which come from `config.seed` alone.

    Input (windows, input_length, vocab_size), one-hot, as `data.network_input` makes it; output (windows,
    output_length, vocab_size), probabilities. With `linear` both are (…, 1), scaled to 0…1; `padded` answers with
    one class more at each of input_length steps. A stateful model has a fixed batch size, as Keras asks.

    `build_model(RunConfig()).count_params() -> 11780`

    Raises:
        RuntimeError: In a process that was forked from one that had used TensorFlow.
    """
    refuse_after_fork()
    with float32():
        return MODEL_BUILDERS[config.variant](config, _Layers(config))


def first_weights(config: RunConfig) -> tuple[Floats, ...]:
    """The weights that `build_model(config)` begins with, in the order of its trainable variables."""
    return tuple(variable.value.numpy() for variable in build_model(config).trainable_variables)


def keras_file(config: RunConfig, weights: Sequence[Floats], stateful: bool = False) -> bytes:
    """A network as a `.keras` file, of Keras's own layers alone: `keras.saving.load_model` needs nothing of ours.

    Args:
        weights: In the order of the trainable variables.
        stateful: Whether to write the network that a stateful run was trained with: batches of a fixed size, each of
            which begins with the state that the one before it left. Otherwise it takes any number of windows, and
            each begins with a state of zero, as in every prediction of Echo Lab.
    Raises:
        ValueError: If they are not those of such a network.
    """
    model = build_model(config if stateful else config.model_copy(update={"stateful": False}))
    for variable, array in zip(model.trainable_variables, weights, strict=True):
        variable.assign(array)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


class _Layers:
    """Makes the layers of one model, each with initialisers of its own seed: equal ones would make equal kernels."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        seeds = np.random.SeedSequence(config.seed).generate_state(8)
        self._seeds: Iterator[int] = iter(int(seed) % 2**31 for seed in seeds)

    def begin(self) -> list[Any]:
        """The input, and what masks its gaps."""
        c = self._config
        read = keras.Input(batch_shape=(c.batch_size if c.stateful else None, *c.input_shape), name="windows")
        return [read, Masking(GAP, name="gaps")] if c.has_gaps else [read]

    def recurrent(self, name: str, **options: Any) -> Any:
        """A recurrent layer of the run's cell."""
        # Orthogonal's first argument is its gain: without the keyword, a seed would scale the weights.
        return getattr(keras.layers, CELLS[self._config.cell].keras_class)(
            self._config.units, name=name, stateful=self._config.stateful,
            kernel_initializer=keras.initializers.GlorotUniform(seed=next(self._seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(self._seeds)), **options)

    def dense(self, width: int, activation: str | None = "softmax") -> Any:
        """The readout. Scaled numbers have no softmax: there is one, and it need not be a probability."""
        return Dense(width, name="readout", activation=None if self._config.representation == "linear" else activation,
                     kernel_initializer=keras.initializers.GlorotUniform(seed=next(self._seeds)))

    def blocks(self) -> list[Any]:
        """One long answer, cut into timesteps of classes."""
        c = self._config
        cut = [self.dense(c.output_length * c.num_classes, activation=None),
               Reshape((c.output_length, c.num_classes), name="blocks")]
        return cut if c.representation == "linear" else [*cut, Activation("softmax", name="probabilities")]


def _build_whole(c: RunConfig, layers: _Layers) -> keras.Model:
    """One layer that answers as it reads: `whole`, and `padded` with one class more."""
    return keras.Sequential([
        *layers.begin(),                                                 # (B, input_length, features)
        layers.recurrent(c.cell, return_sequences=True),  # (B, input_length, units)
        layers.dense(c.num_classes),                                     # (B, input_length, classes)
    ], name=c.variant)


def _build_encoder_decoder(c: RunConfig, layers: _Layers) -> keras.Model:
    return keras.Sequential([
        *layers.begin(),                                                 # (B, input_length, features)
        layers.recurrent("encoder"),                                     # (B, units)
        RepeatVector(c.output_length, name="context"),                   # (B, output_length, units)
        layers.recurrent("decoder", return_sequences=True),              # (B, output_length, units)
        layers.dense(c.num_classes),                                     # (B, output_length, classes)
    ], name=c.variant)


def _build_attention(c: RunConfig, layers: _Layers) -> keras.Model:
    read, *masking = layers.begin()                                      # (B, input_length, features)
    shown = masking[0](read) if masking else read
    encoded, last, *_ = layers.recurrent("encoder", return_sequences=True, return_state=True)(shown)
    context = RepeatVector(c.output_length, name="context")(last)        # (B, output_length, units)
    decoded = layers.recurrent("decoder", return_sequences=True)(context)
    found = Attention(name="attention")([decoded, encoded])              # (B, output_length, units), by dot product
    joined = Concatenate(name="joined")([decoded, found])                # (B, output_length, 2·units)
    return keras.Model(read, layers.dense(c.num_classes)(joined), name=c.variant)


def _build_one_to_one(c: RunConfig, layers: _Layers) -> keras.Model:
    """One answer from the last output: of one step that has all timesteps, or of many."""
    return keras.Sequential([
        *layers.begin(),                                                 # (B, steps, features)
        layers.recurrent(c.cell),        # (B, units)
        *layers.blocks(),                                                # (B, output_length, classes)
    ], name=c.variant)


def _build_no_memory(c: RunConfig, layers: _Layers) -> keras.Model:
    return keras.Sequential([
        *layers.begin(),                                                 # (B, input_length, vocab_size)
        Cropping1D((c.input_length - c.output_length, 0), name="newest"),  # (B, output_length, vocab_size)
        layers.dense(c.num_classes),                                     # the same one at every timestep
    ], name=c.variant)


MODEL_BUILDERS: Mapping[str, Callable[[RunConfig, _Layers], keras.Model]] = MappingProxyType({
    "whole": _build_whole,
    "encoder_decoder": _build_encoder_decoder,
    "padded": _build_whole,
    "attention": _build_attention,
    "one_to_one": _build_one_to_one,
    "many_to_one": _build_one_to_one,
    "no_memory": _build_no_memory,
})
