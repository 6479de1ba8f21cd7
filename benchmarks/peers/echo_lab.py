"""Echo Lab's way, from the face that everybody uses: `train(config)`, with its snapshots and records."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from benchmarks.peers import Trained
from echo_core import training
from echo_core.config import RunConfig


def train(config: RunConfig, chunk: int) -> Iterator[Trained]:
    """Chunks are of Echo Lab's own choice, by time."""
    for progress in training.train(config):
        yield Trained(progress.epoch, progress.checkpoint.weights)


def matrix_product(size: int) -> Callable[[], Any]:
    """As a program of XLA, which is what trains."""
    matrix = tf.random.normal((size, size))
    multiply = tf.function(tf.matmul, jit_compile=True, autograph=False)
    return lambda: multiply(matrix, matrix).numpy()
