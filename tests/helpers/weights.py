"""Weights and windows made without training, for tests of what a network computes."""

import numpy as np
from numpy.typing import NDArray

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.config.sizes import sized_layers
from echo_core.data import text_examples, to_examples
from echo_core.records import Floats


def random_weights(config: RunConfig, seed: int = 0, scale: float = 0.6) -> list[Floats]:
    """Random weights of a run's network, biases too, in the order of its Keras model."""
    rng, shapes = np.random.default_rng(seed), list[tuple[int, ...]]()
    for sized in sized_layers(config):
        features = sized.reads[-1]
        if sized.layer.kind == "recurrent":
            width = CELLS[config.cell].num_gates * config.units
            shapes += [(features, width), (config.units, width), (2, width) if config.cell == "gru" else (width,)]
        elif sized.layer.kind == "Dense":
            width = sized.parameters // (features + 1)
            shapes += [(features, width), (width,)]
    kernels = [rng.normal(scale=scale, size=shape).astype(np.float32) for shape in shapes]
    # Small biases, so that the answer depends on what is read.
    return [array * np.float32(0.3) if place % 3 == 2 or place == len(shapes) - 1 else array
            for place, array in enumerate(kernels)]


def some_windows(config: RunConfig) -> NDArray[np.int64]:
    """Windows of any task, with gaps where the run has some."""
    if config.task == "pairs":
        return text_examples(config).inputs
    rng = np.random.default_rng(1)
    return to_examples(config, rng.integers(config.vocab_size, size=(2, config.sequence_length))).inputs
