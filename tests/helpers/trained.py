"""Small networks that tests train in their own process, and their results."""

import numpy as np
import tensorflow as tf

from echo_core.config import RunConfig
from echo_core.records import Checkpoint, Progress
from echo_core.training import train
from echo_core.training.program import sample_examples

SMALL = RunConfig(vocab_size=9, units=6, sequence_length=12, input_length=4, output_length=4, batch_size=3, epochs=60)
PARTIAL = RunConfig(variant="encoder_decoder", vocab_size=9, units=6, sequence_length=12, input_length=4,
                    output_length=2, batch_size=3, epochs=60)
STATELESS = PARTIAL.model_copy(update={"stateful": False, "sequences_per_epoch": 2, "batch_size": 18})
LONG = RunConfig(variant="encoder_decoder", vocab_size=9, units=6, sequence_length=20, input_length=14,
                 output_length=12, batch_size=7, epochs=20)
#: A config whose gradients overflow after some epochs; every loss before that is finite.
DIVERGING = RunConfig(cell="simple_rnn", vocab_size=10, sequence_length=64, input_length=60, output_length=60,
                      units=100, batch_size=5, learning_rate=1, epochs=200)


def with_(config: RunConfig, **changes) -> RunConfig:
    return RunConfig(**{**config.model_dump(), **changes})


def last(config: RunConfig, checkpoint: Checkpoint | None = None) -> Progress:
    *_, progress = train(config, checkpoint)
    return progress


def sampled(config: RunConfig, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """The windows and targets of an epoch, windows first."""
    windows, targets = sample_examples(config, tf.constant(config.seed), tf.constant(epoch))
    return windows.numpy().T, targets.numpy().T
