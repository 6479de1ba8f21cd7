"""The forward pass with everything in it, against Keras and against the equations of the cells."""

import re
from dataclasses import FrozenInstanceError

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.data import network_input
from echo_core.evaluation import attention_weights, predict
from echo_core.inspection.inside import Inside, look_inside
from echo_core.models import build_model
from echo_core.records import Floats
from tests.helpers.samples import ALL, COMBINATIONS, MORE, each, small
from tests.helpers.weights import random_weights, some_windows


def keras_model(config: RunConfig, weights: list[Floats]) -> keras.Model:
    model = build_model(config.model_copy(update={"stateful": False}))
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        variable.assign(weight)
    return model


def keras_states(config: RunConfig, model: keras.Model, windows: np.ndarray) -> list[list[np.ndarray]]:
    """For each recurrent layer h, and for an LSTM c, after each timestep by Keras's layer: (windows, timesteps, units).

    Keras gives the last state alone, so a copy of the layer reads every beginning of its input.
    """
    found, shown = [], network_input(config, windows)
    cell = getattr(keras.layers, CELLS[config.cell].keras_class)
    for layer in (layer for layer in model.layers if isinstance(layer, cell)):
        first = layer.input[0] if isinstance(layer.input, list) else layer.input  # the second one is the mask
        read = np.asarray(keras.Model(model.inputs[0], first)(shown))
        masked = config.has_gaps and not found  # a decoder reads no gaps
        copy = cell(config.units, return_state=True)
        copy.build(read.shape)
        copy.set_weights(layer.get_weights())
        steps = []
        for t in range(1, read.shape[1] + 1):
            _, *states = copy(read[:, :t], mask=windows[:, :t] < config.vocab_size if masked else None)
            steps.append([np.asarray(state) for state in states])
        found.append([np.stack(state, axis=1) for state in zip(*steps, strict=True)])
    return found


def check_against_keras(config: RunConfig) -> Inside:
    weights, windows = random_weights(config), some_windows(config)
    model, inside = keras_model(config, weights), look_inside(config, weights, windows)
    answered = inside.logits if inside.probabilities is None else inside.probabilities
    np.testing.assert_allclose(answered, model(network_input(config, windows)), atol=1e-5)
    for layer, (h, *c) in zip(inside.layers, keras_states(config, model, windows), strict=True):
        np.testing.assert_allclose(layer.hidden, h, atol=1e-5)
        assert (layer.cell is not None) == bool(c) == (config.cell == "lstm")
        for mine, theirs in zip([layer.cell], c, strict=False):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)
    if config.variant == "attention":
        encoder, decoder = (layer.hidden for layer in inside.layers)
        mask = [None, windows < config.vocab_size] if config.has_gaps else None
        _, looked = keras.layers.Attention()([decoder, encoder], mask=mask, return_attention_scores=True)
        np.testing.assert_allclose(inside.attention, looked, atol=1e-5)
    else:
        assert inside.attention is None
    return inside


@each(COMBINATIONS)
def test_every_answer_state_and_attention_weight_is_that_of_keras(config: RunConfig):
    check_against_keras(config)


@pytest.mark.parametrize("config", [MORE[name] for name in ("echo that starts later", "later and masked",
                                                            "padded without paddings", "own words, masked")])
def test_rarer_kinds_of_runs_equal_keras_too(config: RunConfig):
    check_against_keras(config)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def lstm_equations(x: np.ndarray, kernel: Floats, recurrent: Floats, bias: Floats) -> dict[str, np.ndarray]:
    """Gates, candidate and states by the equations of an LSTM: x is (timesteps, windows, features)."""
    (wi, wf, wg, wo), (ui, uf, ug, uo), (bi, bf, bg, bo) = (np.split(part.astype(float), 4, axis=-1)
                                                            for part in (kernel, recurrent, bias))
    h = c = np.zeros((x.shape[1], len(recurrent)))
    steps = []
    for read in x:
        i, f = sigmoid(read @ wi + h @ ui + bi), sigmoid(read @ wf + h @ uf + bf)
        g, o = np.tanh(read @ wg + h @ ug + bg), sigmoid(read @ wo + h @ uo + bo)
        c = f * c + i * g
        h = o * np.tanh(c)
        steps.append((i, f, o, g, h, c))
    names = ("input", "forget", "output", "candidate", "hidden", "cell")
    return {name: np.stack(values, axis=1) for name, values in zip(names, zip(*steps, strict=True), strict=True)}


def gru_equations(x: np.ndarray, kernel: Floats, recurrent: Floats, bias: Floats) -> dict[str, np.ndarray]:
    """The same of a GRU whose reset gate acts after the recurrent product, as Keras has it."""
    (wz, wr, wn), (uz, ur, un) = (np.split(part.astype(float), 3, axis=-1) for part in (kernel, recurrent))
    (bz, br, bn), (az, ar, an) = (np.split(part.astype(float), 3) for part in bias)
    h = np.zeros((x.shape[1], len(recurrent)))
    steps = []
    for read in x:
        z, r = sigmoid(read @ wz + bz + h @ uz + az), sigmoid(read @ wr + br + h @ ur + ar)
        n = np.tanh(read @ wn + bn + r * (h @ un + an))
        h = z * h + (1 - z) * n
        steps.append((z, r, n, h))
    return {name: np.stack(values, axis=1) for name, values in
            zip(("update", "reset", "candidate", "hidden"), zip(*steps, strict=True), strict=True)}


@pytest.mark.parametrize("variant", ["whole", "encoder_decoder", "attention", "one_to_one", "many_to_one", "padded"])
@pytest.mark.parametrize(("cell", "equations"), [("lstm", lstm_equations), ("gru", gru_equations)])
def test_gates_candidate_and_states_are_those_of_the_equations(variant: str, cell: str, equations):
    config = small(variant=variant, cell=cell)
    weights, windows = random_weights(config), some_windows(config)
    inside = look_inside(config, weights, windows)
    read = network_input(config, windows).transpose(1, 0, 2)  # (timesteps, windows, features)
    for number, layer in enumerate(inside.layers):
        expected = equations(read, *weights[3 * number:3 * number + 3])
        found = {**layer.gates, "candidate": layer.candidate, "hidden": layer.hidden}
        if cell == "lstm":
            found["cell"] = layer.cell
        assert found.keys() == expected.keys()
        for name, values in found.items():
            np.testing.assert_allclose(values, expected[name], atol=1e-5, err_msg=f"{layer.name} {name}")
        read = np.repeat(expected["hidden"][None, :, -1], config.output_length, axis=0)  # what a decoder reads


@pytest.mark.parametrize(("variant", "cell", "names"), [
    ("whole", "gru", ["gru"]), ("encoder_decoder", "lstm", ["encoder", "decoder"]), ("no_memory", "lstm", [])])
def test_layers_have_the_names_of_keras(variant: str, cell: str, names: list[str]):
    config = small(variant=variant, cell=cell)
    inside = look_inside(config, random_weights(config), some_windows(config))
    assert [layer.name for layer in inside.layers] == names


def test_a_simple_rnn_has_no_gates_and_no_candidate():
    config = small(cell="simple_rnn")
    (layer,) = look_inside(config, random_weights(config), some_windows(config)).layers
    assert (dict(layer.gates), layer.candidate, layer.cell) == ({}, None, None)


def test_no_gate_acts_at_a_gap():
    config = small(variant="encoder_decoder", missing="mask")
    windows = some_windows(config)
    encoder, decoder = look_inside(config, random_weights(config), windows).layers
    gaps = windows == config.vocab_size
    assert gaps.any()
    for values in (*encoder.gates.values(), encoder.candidate):
        np.testing.assert_array_equal(np.isnan(values).all(axis=-1), gaps)
    assert not any(np.isnan(values).any() for values in (encoder.hidden, decoder.hidden, *decoder.gates.values()))


def test_the_record_cannot_be_changed():
    config = small()
    inside = look_inside(config, random_weights(config), some_windows(config))
    with pytest.raises(FrozenInstanceError):
        inside.logits = inside.logits + 1
    with pytest.raises(TypeError):
        inside.layers[0].gates["forget"] = None


WINDOWS = st.lists(st.lists(st.integers(-2, 12) | st.just(10**30), max_size=7), max_size=4)


@given(name=st.sampled_from(sorted(ALL)), windows=WINDOWS, is_length_right=st.booleans())
def test_any_windows_are_looked_into_or_refused_by_name(name: str, windows: list[list[int]], is_length_right: bool):
    config = ALL[name]
    if is_length_right:
        windows = [(window + [0] * config.input_length)[:config.input_length] for window in windows]
    inside, refusal = None, ""
    try:
        inside = look_inside(config, random_weights(config), windows)
    except ValueError as error:
        refusal = str(error)
    if inside is None:
        assert refusal.startswith("windows must ")
        return
    assert np.isfinite(inside.logits).all()
    assert inside.logits.shape == (len(windows), config.answer_steps, config.num_classes)


# --- attention that is edited ----------------------------------------------------------------------


def test_its_own_attention_weights_change_no_answer():
    config = small(variant="attention", missing="mask")
    weights, windows = random_weights(config), some_windows(config)
    own = attention_weights(config, weights, windows)
    edited = look_inside(config, weights, windows, attention=own)
    np.testing.assert_allclose(edited.probabilities, predict(config, weights, windows), atol=1e-6)
    np.testing.assert_allclose(edited.attention, own, atol=1e-6)


def test_a_network_that_looks_evenly_reads_the_mean_of_the_encoder():
    config = small(variant="attention")
    weights, windows = random_weights(config), some_windows(config)
    even = np.full((config.output_length, config.input_length), 1 / config.input_length)
    inside = look_inside(config, weights, windows, attention=even)
    encoder, decoder = (layer.hidden for layer in inside.layers)
    mean = np.repeat(encoder.mean(axis=1, keepdims=True), config.output_length, axis=1)
    np.testing.assert_allclose(inside.logits, np.concatenate([decoder, mean], axis=-1) @ weights[6] + weights[7],
                               atol=1e-5)


def test_edited_attention_sees_no_gap():
    config = small(variant="attention", missing="mask")
    windows = some_windows(config)
    even = np.full((config.output_length, config.input_length), 1 / config.input_length)
    looked = look_inside(config, random_weights(config), windows, attention=even).attention
    gaps = np.broadcast_to((windows == config.vocab_size)[:, None], looked.shape)
    assert gaps.any()
    assert (looked[gaps] == 0).all()
    np.testing.assert_allclose(looked.sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize(("variant", "attention", "line"), [
    ("whole", [[1, 0, 0]] * 3, "variant must be attention to look elsewhere; received whole."),
    ("attention", [[1, 0]], "attention must have shape (2, 3), or one axis of windows before it; received (1, 2)."),
    ("attention", [[0.5, 0, 0]] * 2, "attention must have rows of weights that are not negative and add up to 1. Try "
                                     "dividing each row by its sum."),
    ("attention", [[2, -1, 0]] * 2, "attention must have rows of weights that are not negative and add up to 1. Try "
                                    "dividing each row by its sum."),
    ("attention", [[np.nan, 1, 0]] * 2, "attention must have rows of weights that are not negative and add up to 1. "
                                        "Try dividing each row by its sum."),
])
def test_attention_weights_that_cannot_be_used_are_refused(variant: str, attention: list, line: str):
    config = small(variant=variant)
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        look_inside(config, random_weights(config), some_windows(config), attention=attention)
