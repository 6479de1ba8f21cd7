"""Swapped states, silent units and pinned gates, each against a network that needs no intervention."""

import re

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.evaluation import answer
from echo_core.inspection.inside import gate_names, look_inside
from echo_core.inspection.interventions import (
    ablation,
    answers,
    answers_after_swap,
    answers_without,
    parts,
    swap,
    with_pinned_gate,
    without_units,
)
from echo_core.inspection.samples import Stream, sample
from echo_core.records import Floats
from tests.helpers.samples import small
from tests.helpers.trained import with_
from tests.helpers.weights import random_weights

CELLS = ("lstm", "gru", "simple_rnn")
#: Weights this large give answers that differ from window to window.
SCALE = 2.0


def windows_of(config: RunConfig, number: int = 40) -> np.ndarray:
    return np.random.default_rng(3).integers(config.vocab_size, size=(number, config.input_length))


# --- swapped states --------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("variant", ["whole", "encoder_decoder", "many_to_one", "padded"])
@pytest.mark.parametrize("timestep", [1, 2, 3])
def test_a_swapped_state_is_that_of_a_window_that_begins_like_the_donor(variant: str, cell: str, timestep: int):
    config = small(variant=variant, cell=cell)
    weights, windows = random_weights(config, scale=SCALE), windows_of(config)
    donors = np.roll(windows, 1, axis=0)
    spliced = np.concatenate([donors[:, :timestep], windows[:, timestep:]], axis=1)
    swapped = answers_after_swap(config, weights, windows, donors, timestep)
    expected, own = (answer(config, weights, read).predicted for read in (spliced, windows))
    said_before = config.input_length - config.output_length  # steps that `padded` and `whole` read before they answer
    for output in range(config.output_length):
        is_later = not config.traits.answers_while_reading or said_before + output >= timestep - 1
        np.testing.assert_array_equal(swapped[:, output], (expected if is_later else own)[:, output])
    assert (swapped != own).any()


def test_attention_goes_on_looking_at_its_own_window_after_a_swap():
    config = small(variant="attention")
    weights, windows = random_weights(config), windows_of(config, 10)
    donors = np.roll(windows, 1, axis=0)
    own, donated = (look_inside(config, weights, read).layers[0].hidden for read in (windows, donors))
    seen = np.concatenate([own[:, :-1], donated[:, -1:]], axis=1)  # only the newest state is the donor's
    decoder = look_inside(config, weights, donors).layers[1].hidden  # begins with the donor's last h
    scores = np.einsum("bou,biu->boi", decoder, seen)
    looked = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    joined = np.concatenate([decoder, np.einsum("boi,biu->bou", looked, seen)], axis=-1)
    np.testing.assert_array_equal(answers_after_swap(config, weights, windows, donors, 3),
                                  (joined @ weights[6] + weights[7]).argmax(axis=-1))


def test_the_table_of_swaps_counts_the_outputs_in_which_two_sequences_differ():
    config = small(variant="encoder_decoder", input_length=3)
    weights = random_weights(config, scale=SCALE)
    table = swap(config, weights, sequences=60, seed=9)
    assert list(table.columns) == ["timestep", "output", "follows_donor", "low", "high", "n"]
    windows = sample(config, 60, stream=Stream.SWAP, seed=9).windows
    own = answer(config, weights, windows).predicted
    differs = own != np.roll(own, 1, axis=0)
    last = table[table.timestep == 3]
    assert last.n.tolist() == differs.sum(axis=0).tolist()
    assert (last.follows_donor == 1).all()  # nothing but this state passes to the decoder
    assert ((table.low <= table.follows_donor) & (table.follows_donor <= table.high)).all()


def test_a_network_that_always_says_the_same_follows_no_donor():
    config = small(variant="encoder_decoder")
    table = swap(config, [np.zeros_like(weight) for weight in random_weights(config)], sequences=20)
    assert table.n.tolist() == [0] * len(table)
    assert table[["follows_donor", "low", "high"]].isna().all(axis=None)


def test_a_network_without_recurrent_layers_has_no_state_to_swap():
    config = small(variant="no_memory")
    with pytest.raises(ValueError, match=r"^variant must have a recurrent layer to swap its state; received no_memory"):
        swap(config, random_weights(config))


# --- silent units and pinned gates -----------------------------------------------------------------


def smaller(config: RunConfig, weights: list[Floats], unit: int) -> tuple[RunConfig, list[Floats]]:
    """A network of one recurrent layer with a unit cut out of its weights."""
    gates = weights[0].shape[1] // config.units
    columns = [gate * config.units + unit for gate in range(gates)]
    kernel, recurrent, bias, readout, offsets = weights
    return with_(config, units=config.units - 1), [
        np.delete(kernel, columns, axis=1), np.delete(np.delete(recurrent, columns, axis=1), unit, axis=0),
        np.delete(bias, columns, axis=-1), np.delete(readout, unit, axis=0), offsets]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("variant", ["whole", "many_to_one", "one_to_one"])
def test_a_network_with_a_silent_unit_answers_as_the_one_without_it(variant: str, cell: str):
    config = small(variant=variant, cell=cell)
    weights, windows = random_weights(config), windows_of(config)
    silent = look_inside(config, without_units(config, weights, 0, [2]), windows)
    cut = look_inside(*smaller(config, weights, 2), windows)
    np.testing.assert_allclose(silent.logits, cut.logits, atol=1e-5)
    np.testing.assert_allclose(np.delete(silent.layers[0].hidden, 2, axis=-1), cut.layers[0].hidden, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layer", [0, 1])
def test_silent_units_give_zero_in_their_own_layer_alone(cell: str, layer: int):
    config = small(variant="attention", cell=cell)
    weights = random_weights(config)
    inside = look_inside(config, without_units(config, weights, layer, [0, 3]), windows_of(config))
    for number, found in enumerate(inside.layers):
        is_zero = (found.hidden == 0).all(axis=(0, 1))
        assert is_zero.tolist() == [number == layer and unit in (0, 3) for unit in range(config.units)]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_pinned_gate_has_one_value_and_leaves_the_other_gates(cell: str, is_open: bool, layer: int):
    config = small(variant="encoder_decoder", cell=cell)
    weights, windows = random_weights(config), windows_of(config)
    before = look_inside(config, weights, windows)
    for gate in gate_names(config):
        pinned = look_inside(config, with_pinned_gate(config, weights, layer, gate, is_open), windows)
        assert (pinned.layers[layer].gates[gate] == float(is_open)).all()
        for other in set(gate_names(config)) - {gate}:  # the first timestep of a layer begins with the same state
            if layer == 0:
                np.testing.assert_array_equal(pinned.layers[0].gates[other][:, 0], before.layers[0].gates[other][:, 0])


def test_an_intervention_leaves_the_weights_that_it_was_given():
    config = small(cell="gru")
    weights = random_weights(config)
    kept = [weight.copy() for weight in weights]
    without_units(config, weights, 0, [1])
    with_pinned_gate(config, weights, 0, "update", True)
    for weight, before in zip(weights, kept, strict=True):
        np.testing.assert_array_equal(weight, before)


def test_a_gate_that_the_cell_does_not_have_is_refused():
    for cell, names in (("gru", "update, reset"), ("simple_rnn", "none")):
        config = small(cell=cell)
        line = f"gate must be one of {names} in a cell of kind {cell}; received forget."
        with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
            with_pinned_gate(config, random_weights(config), 0, "forget", True)


# --- the table of missing parts --------------------------------------------------------------------


def test_the_table_of_missing_parts_has_the_accuracy_of_each_changed_network():
    config = small(variant="encoder_decoder")
    weights = random_weights(config, scale=SCALE)
    table = ablation(config, weights, sequences=80, seed=2, units=[3])
    judged = sample(config, 80, stream=Stream.ABLATION, seed=2)
    changed = {"none": weights, "encoder forget gate shut": with_pinned_gate(config, weights, 0, "forget", False),
               "decoder output gate open": with_pinned_gate(config, weights, 1, "output", True),
               "decoder unit 3": without_units(config, weights, 1, [2])}
    for part, network in changed.items():
        right = (answer(config, network, judged.windows).predicted == judged.expected).mean(axis=0)
        assert table[table.part == part].accuracy.tolist() == pytest.approx(right.tolist())
    assert len(table.part.unique()) == 1 + 2 * (3 * 2 + 1 + 1)
    assert list(table.columns) == ["part", "output", "accuracy", "low", "high", "n"]
    assert (table.n == 80).all()


def test_a_network_with_attention_is_also_made_to_look_evenly():
    config = small(variant="attention")
    weights = random_weights(config, scale=SCALE)
    table = ablation(config, weights, sequences=50, seed=2)
    even = np.full((config.output_length, config.input_length), 1 / config.input_length, np.float32)
    judged = sample(config, 50, stream=Stream.ABLATION, seed=2)
    right = (answers(config, weights, judged.windows, even) == judged.expected).mean(axis=0)
    assert table[table.part == "attention spread evenly"].accuracy.tolist() == pytest.approx(right.tolist())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("variant", ["whole", "encoder_decoder", "attention", "one_to_one", "padded"])
def test_networks_without_a_part_answer_together_as_each_does_alone(variant: str, cell: str):
    config = small(variant=variant, cell=cell)
    missing = list(parts(config, random_weights(config, scale=SCALE), units=[1, 3]))
    windows = windows_of(config, 2500 // len(missing))  # more than one pass takes
    for part, together in zip(missing, answers_without(config, missing, windows), strict=True):
        alone = answers(config, part.weights, windows, part.attention)
        np.testing.assert_array_equal(together, alone, err_msg=part.name)


def test_networks_without_a_part_see_nothing_at_gaps():
    config = small(variant="attention", missing="mask")
    missing = list(parts(config, random_weights(config, scale=SCALE)))
    windows = windows_of(config)
    windows[::2, 0] = config.vocab_size
    for part, together in zip(missing, answers_without(config, missing, windows), strict=True):
        alone = answers(config, part.weights, windows, part.attention)
        np.testing.assert_array_equal(together, alone, err_msg=part.name)


def test_what_has_no_gates_has_fewer_parts():
    config = small(cell="simple_rnn")
    table = ablation(config, random_weights(config), sequences=10)
    assert table.part.unique().tolist() == ["none", "simple_rnn a tenth of the units"]
    config = small(variant="no_memory")
    assert ablation(config, random_weights(config), sequences=10).part.unique().tolist() == ["none"]


@pytest.mark.parametrize("unit", [0, 5])
def test_a_unit_that_a_layer_does_not_have_is_refused(unit: int):
    config = small()
    with pytest.raises(ValueError, match=rf"^unit must be from 1 to 4, the units of a layer; received {unit}\.$"):
        ablation(config, random_weights(config), units=[unit])
