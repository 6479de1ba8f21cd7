"""The layers written by hand against Keras's own, forwards and backwards."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from echo_core.networks.lstm_gradient import UNROLL_FROM_UNITS, UNROLL_UP_TO, kernel_rows, lstm

WINDOWS, FEATURES, UNITS = 3, 6, UNROLL_FROM_UNITS
SHORT, LONG = 5, UNROLL_UP_TO + 3


def random(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def keras_layer(stateful: bool = False) -> keras.layers.LSTM:
    layer = keras.layers.LSTM(UNITS, return_sequences=True, return_state=True, stateful=stateful)
    layer.build((WINDOWS, None, FEATURES))
    for variable, value in zip(layer.trainable_variables, weights(), strict=True):
        variable.assign(value)
    return layer


def weights() -> list[tf.Tensor]:
    recurrent = random(UNITS, 4 * UNITS, seed=2) / UNITS ** 0.5
    return [random(FEATURES, 4 * UNITS, seed=1), recurrent, random(4 * UNITS, seed=3)]


def some_state() -> tuple[tf.Tensor, tf.Tensor]:
    return random(WINDOWS, UNITS, seed=4), random(WINDOWS, UNITS, seed=5)


def by_hand(inputs: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor, state, timesteps: int):
    return lstm(tf.matmul(inputs, kernel) + bias, recurrent, state, timesteps)


@pytest.mark.parametrize("timesteps", [1, SHORT, LONG])
def test_outputs_and_last_state_equal_those_of_the_keras_layer(timesteps: int):
    inputs, state = random(timesteps, WINDOWS, FEATURES), some_state()
    outputs, (h, c) = by_hand(inputs, *weights(), state, timesteps)
    expected, expected_h, expected_c = keras_layer()(tf.transpose(inputs, [1, 0, 2]), initial_state=list(state))
    np.testing.assert_allclose(tf.transpose(outputs, [1, 0, 2]), expected, atol=1e-5)
    np.testing.assert_allclose(h, expected_h, atol=1e-5)
    np.testing.assert_allclose(c, expected_c, atol=1e-5)


@pytest.mark.parametrize("timesteps", [1, SHORT, LONG])
def test_gradients_equal_those_that_tensorflow_derives_from_the_keras_layer(timesteps: int):
    inputs, state = random(timesteps, WINDOWS, FEATURES), some_state()
    upstream = random(timesteps, WINDOWS, UNITS, seed=6)
    mine = [inputs, *weights()]
    with tf.GradientTape() as tape:
        tape.watch(mine)
        loss = tf.reduce_sum(upstream * by_hand(*mine, state, timesteps)[0])
    layer = keras_layer()
    with tf.GradientTape() as keras_tape:
        keras_tape.watch(inputs)
        outputs = tf.transpose(layer(tf.transpose(inputs, [1, 0, 2]), initial_state=list(state))[0], [1, 0, 2])
        keras_loss = tf.reduce_sum(upstream * outputs)
    variables = [variable.value for variable in layer.trainable_variables]
    expected = keras_tape.gradient(keras_loss, [inputs, *variables])
    for ours, theirs in zip(tape.gradient(loss, mine), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_unrolled_and_looped_agree(monkeypatch: pytest.MonkeyPatch):
    inputs = random(SHORT, WINDOWS, FEATURES)
    unrolled, _ = by_hand(inputs, *weights(), some_state(), SHORT)
    monkeypatch.setattr("echo_core.networks.lstm_gradient.UNROLL_FROM_UNITS", UNITS + 1)
    looped, _ = by_hand(inputs, *weights(), some_state(), SHORT)
    np.testing.assert_allclose(unrolled, looped, atol=1e-5)


@pytest.mark.parametrize("timesteps", [1, SHORT, LONG])
def test_one_projection_for_all_timesteps_equals_the_same_repeated(timesteps: int):
    once, state = random(1, WINDOWS, 4 * UNITS), (tf.zeros((WINDOWS, UNITS)),) * 2
    recurrent, upstream = weights()[1], random(timesteps, WINDOWS, UNITS, seed=6)

    def outputs_and_gradients(repeat: int):
        with tf.GradientTape() as tape:
            tape.watch([once, recurrent])
            outputs, _ = lstm(tf.repeat(once, repeat, axis=0), recurrent, state, timesteps)
            loss = tf.reduce_sum(upstream * outputs)
        return [outputs, *tape.gradient(loss, [once, recurrent])]

    for shared, repeated in zip(outputs_and_gradients(1), outputs_and_gradients(timesteps), strict=True):
        np.testing.assert_allclose(shared, repeated, atol=1e-5)


def test_looking_rows_up_equals_multiplying_one_hot_rows():
    kernel, tokens = random(FEATURES, 4 * UNITS), tf.constant([[0, 5, 5], [2, 0, 1]])
    upstream = random(2, 3, 4 * UNITS, seed=6)

    def rows_and_gradient(rows):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            out = rows()
            loss = tf.reduce_sum(upstream * out)
        return out, tape.gradient(loss, kernel)

    looked_up = rows_and_gradient(lambda: kernel_rows(kernel, tokens))
    multiplied = rows_and_gradient(lambda: tf.matmul(tf.one_hot(tokens, FEATURES), kernel))
    for ours, theirs in zip(looked_up, multiplied, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
