"""The tutorial's way, with the fewest changes that make it run on today's Keras: one `fit` an epoch.

Changed since 2017: a stateful model takes its batch size from `Input(batch_shape=…)`, state is
reset layer by layer, and `dropna(inplace=True)` became an assignment. The rest is unchanged, including its one-hot
code and its framing by pandas. Source: Brownlee (2017), see `echo_core.data`.
"""

from collections.abc import Iterator
from random import randint

import keras
import numpy as np
from keras.layers import LSTM, Dense, RepeatVector, TimeDistributed
from pandas import DataFrame, concat

from benchmarks.peers import Trained
from echo_core.config import RunConfig


def train(config: RunConfig, chunk: int) -> Iterator[Trained]:
    """A `fit` for each epoch."""
    model = build(config)
    for epoch in range(1, config.epochs + 1):
        windows, echoes = get_data(config)
        model.fit(windows, echoes, epochs=1, batch_size=config.batch_size, verbose=0, shuffle=False)
        for layer in model.layers:
            if hasattr(layer, "reset_state"):
                layer.reset_state()
        if epoch % chunk == 0:
            yield Trained(epoch)


def build(config: RunConfig) -> keras.Model:
    """The tutorial's two models."""
    answers = TimeDistributed(Dense(config.vocab_size, activation="softmax"))
    model = keras.Sequential([keras.Input(batch_shape=(config.batch_size, config.input_length, config.vocab_size))])
    if config.variant == "whole":
        model.add(LSTM(config.units, return_sequences=True, stateful=True))
    else:
        model.add(LSTM(config.units, stateful=True))
        model.add(RepeatVector(config.output_length))
        model.add(LSTM(config.units, return_sequences=True, stateful=True))
    model.add(answers)
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def get_data(config: RunConfig) -> tuple[np.ndarray, np.ndarray]:
    """A new random sequence as one-hot windows and echoes."""
    encoded = one_hot_encode([randint(0, config.vocab_size - 1) for _ in range(config.sequence_length)],
                             config.vocab_size)
    frame = DataFrame(encoded)
    lags = range(config.input_length - 1, -1, -1)
    values = concat([frame.shift(lag) for lag in lags], axis=1).dropna().to_numpy()
    windows = values.reshape(len(values), config.input_length, config.vocab_size)
    return windows, windows[:, :config.output_length]


def one_hot_encode(sequence: list[int], vocab_size: int) -> np.ndarray:
    """A list of zeros with a single one for each integer."""
    rows = []
    for value in sequence:
        row = [0] * vocab_size
        row[value] = 1
        rows.append(row)
    return np.array(rows)
