"""Echo Lab's way, by its public function `train(config)`, with its snapshots and records."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import tensorflow as tf

from benchmarks.peers import Trained
from echo_core import training
from echo_core.config import RunConfig


def train(config: RunConfig, chunk: int) -> Iterator[Trained]:
    """Train; Echo Lab chooses its chunks by time."""
    for progress in training.train(config):
        yield Trained(progress.epoch, partial(getattr, progress.checkpoint, "weights"))


def matrix_product(size: int) -> Callable[[], Any]:
    """A matrix product as an XLA program, because XLA trains."""
    matrix = tf.random.normal((size, size))
    multiply = tf.function(tf.matmul, jit_compile=True, autograph=False)
    return lambda: multiply(matrix, matrix).numpy()
