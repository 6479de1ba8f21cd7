"""The peers: each module trains a config in its own way, from the same settings and the same kind of first weights.

A peer has `train(config, chunk) -> Iterator[Trained]`, which does the same work as Echo Lab, yields after every `chunk`
epochs once they have been computed, and ends after `config.epochs`. A peer with its own matrix product has
`matrix_product(size)`, which returns a function that computes one.
"""

from typing import Any, NamedTuple

import numpy as np

from echo_core.config import RunConfig

Array = Any


class Trained(NamedTuple):
    """A moment of a peer's training: weights in the order of `build_model(config).trainable_variables`."""

    epoch: int
    weights: tuple[np.ndarray, ...] | None = None


def first_weights(config: RunConfig) -> tuple[np.ndarray, ...]:
    """Keras's initialisers in NumPy, for peers without Keras: Glorot, orthogonal, and a forget gate's bias of one."""
    rng = np.random.default_rng(config.seed)

    def glorot(rows: int, columns: int) -> np.ndarray:
        limit = np.sqrt(6 / (rows + columns))
        return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    def lstm(features: int) -> tuple[np.ndarray, ...]:
        units = config.units
        orthogonal, _ = np.linalg.qr(rng.normal(size=(4 * units, units)))  # (4·units, units)
        bias = np.repeat(np.array([0, 1, 0, 0], np.float32), units)
        return glorot(features, 4 * units), np.ascontiguousarray(orthogonal.T, np.float32), bias

    decoder = lstm(config.units) if config.variant == "encoder_decoder" else ()
    readout = glorot(config.units, config.vocab_size), np.zeros(config.vocab_size, np.float32)
    return (*lstm(config.vocab_size), *decoder, *readout)
