"""The faces of each variant: the Keras model, the function that is compiled, and the forward pass in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from echo_core.config import PRESETS, VARIANTS, RunConfig
from echo_core.data import generate_sequence, one_hot_encode, to_windows
from echo_core.evaluation import predict
from echo_core.forward import FORWARDS, forward, softmax
from echo_core.models import MODEL_BUILDERS, NETWORKS, build_model, first_weights, zero_states

SMALL = {
    "whole": RunConfig(vocab_size=7, units=4, sequence_length=8, input_length=3, output_length=3, batch_size=2),
    "encoder_decoder": RunConfig(variant="encoder_decoder", vocab_size=7, units=4, sequence_length=8, input_length=3,
                                 output_length=2, batch_size=2),
}


def test_every_variant_has_all_faces():
    assert set(MODEL_BUILDERS) == set(NETWORKS) == set(FORWARDS) == set(VARIANTS) == set(SMALL)


@pytest.mark.parametrize(("preset", "parameters"), [("whole", 11_780), ("partial", 346_300)])
def test_the_tutorials_networks_have_the_tutorials_number_of_parameters(preset: str, parameters: int):
    config = PRESETS[preset].config
    assert build_model(config).count_params() == parameters == config.num_parameters


@pytest.mark.parametrize("config", [SMALL["whole"], SMALL["encoder_decoder"], PRESETS["quick"].config])
def test_number_of_parameters_by_formula_equals_keras(config: RunConfig):
    assert build_model(config).count_params() == config.num_parameters


@pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
def test_predictions_equal_the_keras_models(config: RunConfig):
    windows = to_windows(generate_sequence(config.sequence_length, config.vocab_size, rng=1), config.input_length)
    stateless = config.model_copy(update={"stateful": False})
    expected = build_model(stateless)(one_hot_encode(windows, config.vocab_size))
    np.testing.assert_allclose(predict(config, first_weights(config), windows), expected, atol=1e-6)


@pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
def test_state_carried_from_batch_to_batch_equals_a_stateful_keras_model(config: RunConfig):
    windows = to_windows(generate_sequence(config.sequence_length, config.vocab_size, rng=2), config.input_length)
    model, weights = build_model(config), [tf.constant(weight) for weight in first_weights(config)]
    states = zero_states(config, config.batch_size)
    carried = None
    for start in range(0, len(windows), config.batch_size):
        batch = windows[start:start + config.batch_size]
        logits, states = NETWORKS[config.variant](config, weights, tf.constant(batch.T, tf.int32), states)
        expected = model(one_hot_encode(batch, config.vocab_size))
        np.testing.assert_allclose(tf.transpose(tf.nn.softmax(logits), [1, 0, 2]), expected, atol=1e-6)
        in_numpy, carried = forward(config, first_weights(config), batch, carried)
        np.testing.assert_allclose(softmax(in_numpy), expected, atol=1e-6)


def test_first_weights_come_from_the_seed_alone():
    tf.random.set_seed(1)
    once = first_weights(SMALL["encoder_decoder"])
    tf.random.set_seed(2)
    again = first_weights(SMALL["encoder_decoder"])
    other = first_weights(SMALL["encoder_decoder"].model_copy(update={"seed": 1}))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[0], other[0])


def test_encoder_and_decoder_do_not_begin_with_equal_recurrent_kernels():
    weights = first_weights(SMALL["encoder_decoder"])
    assert not np.allclose(weights[1], weights[4])


def test_recurrent_kernels_begin_orthogonal_with_gain_one_whatever_the_seed():
    recurrent = first_weights(SMALL["whole"].model_copy(update={"seed": 7}))[1]  # (units, 4 · units)
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(4), atol=1e-5)


@pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
def test_a_model_saves_to_a_keras_file_and_comes_back_with_the_same_answers(config: RunConfig, tmp_path):
    import keras

    model = build_model(config)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    windows = one_hot_encode(np.zeros((config.batch_size, config.input_length), int), config.vocab_size)
    np.testing.assert_allclose(again(windows), model(windows), atol=1e-6)
