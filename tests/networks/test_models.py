"""Two faces of each network: the Keras model, and what is trained, in NumPy and in TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.config.variants import VARIANTS
from echo_core.data import Examples, network_input, text_examples, to_examples
from echo_core.evaluation import attention_weights, predict
from echo_core.models import MODEL_BUILDERS, build_model, first_weights
from echo_core.networks.definition import NETWORKS, Ops, run
from echo_core.networks.in_numpy import NumpyOps, forward, softmax
from echo_core.networks.in_tensorflow import TensorOps, zero_states
from tests.helpers.samples import COMBINATIONS, each, small

VARIED = {variant: small(variant=variant, stateful=False) for variant in VARIANTS}


def examples_of(config: RunConfig) -> Examples:
    """Some windows of any task, with gaps where the config has some."""
    if config.task == "pairs":
        return text_examples(config)
    rng = np.random.default_rng(1)
    return to_examples(config, rng.integers(config.vocab_size, size=(2, config.sequence_length)))


def test_every_variant_has_all_faces():
    assert set(MODEL_BUILDERS) == set(NETWORKS) == set(VARIANTS)


@pytest.mark.parametrize(("preset", "parameters"), [("whole", 11_780), ("partial", 346_300)])
def test_the_tutorials_networks_have_the_tutorials_number_of_parameters(preset: str, parameters: int):
    config = PRESETS[preset].config
    assert build_model(config).count_params() == parameters == config.num_parameters


@pytest.mark.parametrize("preset", PRESETS)
def test_number_of_parameters_by_formula_equals_keras(preset: str):
    assert build_model(PRESETS[preset].config).count_params() == PRESETS[preset].config.num_parameters


@pytest.mark.parametrize("config", COMBINATIONS.values(), ids=COMBINATIONS)
def test_every_combination_answers_as_its_keras_model(config: RunConfig):
    stateless, inputs = config.model_copy(update={"stateful": False}), examples_of(config).inputs
    model = build_model(stateless)
    assert model.count_params() == config.num_parameters
    expected = model(network_input(config, inputs))
    weights = first_weights(config)
    np.testing.assert_allclose(predict(config, weights, inputs), expected, atol=2e-6)
    outputs = run(TensorOps(), config, [tf.constant(weight) for weight in weights], tf.constant(inputs.T, tf.int32),
                  zero_states(config, len(inputs))).outputs
    told = outputs if config.representation == "linear" else tf.nn.softmax(outputs)
    np.testing.assert_allclose(tf.transpose(told, [1, 0, 2]), expected, atol=2e-6)


@each({name: config for name, config in COMBINATIONS.items()
       if config.stateful and config.representation == "one_hot" and config.task == "echo"})
def test_state_carried_from_batch_to_batch_equals_a_stateful_keras_model(config: RunConfig):
    inputs, size = examples_of(config).inputs, config.batch_size
    model, weights = build_model(config), first_weights(config)
    states, carried = zero_states(config, size), None
    for start in range(0, 3 * size, size):
        batch = inputs[start:start + size]
        answer = run(TensorOps(), config, weights, tf.constant(batch.T, tf.int32), states)
        expected, states = model(network_input(config, batch)), answer.states
        in_numpy = forward(config, weights, batch, carried)
        carried = in_numpy.states
        # At a gap the model repeats what it said, and that counts nowhere.
        there = (batch < config.vocab_size) if config.variant == "whole" else slice(None)
        given = tf.transpose(tf.nn.softmax(answer.outputs), [1, 0, 2])
        np.testing.assert_allclose(np.asarray(given)[there], np.asarray(expected)[there], atol=2e-6)
        np.testing.assert_allclose(softmax(in_numpy.outputs)[there], np.asarray(expected)[there], atol=2e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
@pytest.mark.parametrize("missing", ["drop", "mask"])
def test_long_windows_are_looped_over_with_the_same_answers(cell: str, missing: str):
    config = small(variant="attention", cell=cell, missing=missing, input_length=14, output_length=12,
                   sequence_length=16, stateful=False)
    inputs, weights = examples_of(config).inputs, first_weights(config)
    outputs = run(TensorOps(), config, weights, tf.constant(inputs.T, tf.int32), zero_states(config, len(inputs)))
    np.testing.assert_allclose(tf.transpose(tf.nn.softmax(outputs.outputs), [1, 0, 2]),
                               build_model(config)(network_input(config, inputs)), atol=5e-6)


def test_a_gap_changes_nothing_of_what_is_said_about_the_rest():
    config = small(task="pairs", variant="encoder_decoder")
    longer = small(task="pairs", variant="encoder_decoder", text=f"{config.text}\na a a a a a a => me")
    weights, asked = first_weights(config), text_examples(config).inputs
    filled = text_examples(longer).inputs[:len(asked)]
    assert filled.shape[1] > asked.shape[1]
    np.testing.assert_allclose(predict(longer, weights, filled), predict(config, weights, asked), atol=1e-6)


def test_attention_looks_at_what_is_there_and_all_it_looks_at_adds_up_to_one():
    config = small(variant="attention", missing="mask")
    inputs = examples_of(config).inputs
    looked = attention_weights(config, first_weights(config), inputs)
    assert looked.shape == (len(inputs), config.output_length, config.input_length)
    np.testing.assert_allclose(looked.sum(axis=-1), 1, atol=1e-6)
    gaps = np.broadcast_to((inputs == config.vocab_size)[:, None], looked.shape)
    assert gaps.any()
    assert looked[gaps].max() == 0
    with pytest.raises(ValueError, match=r"^variant must be attention to have attention weights; received whole\.$"):
        attention_weights(small(), first_weights(small()), examples_of(small()).inputs)


@pytest.mark.parametrize("config", VARIED.values(), ids=VARIED)
def test_predicting_twice_gives_the_same_answer_whatever_the_variant(config: RunConfig):
    config = config.model_copy(update={"stateful": True})
    inputs, weights = examples_of(config).inputs, first_weights(config)
    np.testing.assert_array_equal(predict(config, weights, inputs), predict(config, weights, inputs))


def test_numpy_and_tensorflow_offer_the_same_operations():
    def offered(ops: type) -> set[str]:
        return {name for name in dir(ops) if not name.startswith("_")}

    assert offered(TensorOps) == offered(Ops)
    assert offered(NumpyOps) == offered(Ops) | {"look"}  # through which a study has attention look elsewhere


def test_first_weights_come_from_the_seed_alone():
    config = VARIED["encoder_decoder"]
    tf.random.set_seed(1)
    once = first_weights(config)
    tf.random.set_seed(2)
    again = first_weights(config)
    other = first_weights(config.model_copy(update={"seed": 1}))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[0], other[0])


def test_encoder_and_decoder_do_not_begin_with_equal_recurrent_kernels():
    weights = first_weights(VARIED["encoder_decoder"])
    assert not np.allclose(weights[1], weights[4])


def test_recurrent_kernels_begin_orthogonal_with_gain_one_whatever_the_seed():
    recurrent = first_weights(small(seed=7))[1]  # (units, 4 · units)
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(len(recurrent)), atol=1e-5)


@pytest.mark.parametrize("config", VARIED.values(), ids=VARIED)
def test_a_model_saves_to_a_keras_file_and_comes_back_with_the_same_answers(config: RunConfig, tmp_path):
    import keras
    model, inputs = build_model(config), network_input(config, examples_of(config).inputs)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again(inputs), model(inputs))
