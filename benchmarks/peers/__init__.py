"""The peers: each module trains a config in its own way, from the same settings and the same kind of first weights.

A peer has `train(config, chunk) -> Iterator[Trained]`, which does the same work as Echo Lab, yields after every `chunk`
epochs once they have been computed, and ends after `config.epochs`. A peer with its own matrix product has
`matrix_product(size)`, which returns a function that computes one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS

Array = Any


class Trained(NamedTuple):
    """A moment of a peer's training.

    Attributes:
        weights: Gives them in the order of `build_model(config).trainable_variables`, before the next moment is asked
            for, whose training may reuse their memory. None where a peer does not tell.
    """

    epoch: int
    weights: Callable[[], tuple[np.ndarray, ...]] | None = None


def first_weights(config: RunConfig) -> tuple[np.ndarray, ...]:
    """Keras's initialisers in NumPy, for peers without Keras: Glorot, orthogonal, and a forget gate's bias of one."""
    rng = np.random.default_rng(config.seed)

    def glorot(rows: int, columns: int) -> np.ndarray:
        limit = np.sqrt(6 / (rows + columns))
        return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    def layer(features: int) -> tuple[np.ndarray, ...]:
        units, gates = config.units, CELLS[config.cell].num_gates
        orthogonal, _ = np.linalg.qr(rng.normal(size=(gates * units, units)))  # (gates·units, units)
        bias = {"lstm": np.repeat(np.array([0, 1, 0, 0], np.float32), units),
                "gru": np.zeros((2, gates * units), np.float32)}.get(config.cell, np.zeros(units, np.float32))
        return glorot(features, gates * units), np.ascontiguousarray(orthogonal.T, np.float32), bias

    decoder = layer(config.units) if config.variant in ("encoder_decoder", "attention") else ()
    width = config.units * (2 if config.variant == "attention" else 1)
    readout = glorot(width, config.num_classes), np.zeros(config.num_classes, np.float32)
    return (*layer(config.vocab_size), *decoder, *readout)
