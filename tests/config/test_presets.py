"""Settings worth starting from: the tutorial's own to the letter, and links to them that stay."""

import pytest

from echo_core.config import RunConfig
from echo_core.config.compatibility import AXES
from echo_core.config.presets import PRESETS, SAMPLE_PAIRS, short_name
from echo_core.config.repair import repair_settings
from echo_core.config.variants import VARIANTS
from echo_core.text import words as texts

EACH = pytest.mark.parametrize("name", PRESETS)


def test_preset_whole_is_the_tutorials_model_to_the_letter():
    assert PRESETS["whole"].config == RunConfig() == RunConfig(
        variant="whole", vocab_size=100, sequence_length=25, input_length=5, output_length=5, units=20,
        stateful=True, sequences_per_epoch=1, batch_size=7, epochs=500, learning_rate=0.001, seed=0)


def test_preset_partial_is_the_tutorials_model_to_the_letter():
    assert PRESETS["partial"].config == RunConfig(
        variant="encoder_decoder", vocab_size=100, sequence_length=25, input_length=5, output_length=2, units=150,
        stateful=True, sequences_per_epoch=1, batch_size=21, epochs=5000, learning_rate=0.001, seed=0)


def test_preset_quick_echoes_two_of_five_without_state_from_eight_sequences():
    quick = PRESETS["quick"].config
    assert (quick.variant, quick.input_length, quick.output_length) == ("encoder_decoder", 5, 2)
    assert (quick.stateful, quick.units, quick.sequences_per_epoch, quick.learning_rate) == (False, 64, 8, 0.01)
    assert quick.updates_per_epoch == 1
    assert quick.epochs > 350  # too few, measured


@pytest.mark.parametrize(("name", "run_id"), [
    ("whole", "fdcdfe66347a3b25"), ("partial", "a9561b04b7214680"), ("quick", "8136bbf992c23d22")])
def test_run_ids_of_the_first_presets_never_change(name, run_id):
    # They are older than half of the fields, and in people's links.
    config = PRESETS[name].config
    assert (config.training_version, config.run_id) == (1, run_id)


def test_windows_and_updates_of_an_epoch_are_the_tutorials():
    whole, partial = PRESETS["whole"].config, PRESETS["partial"].config
    assert (whole.windows_per_sequence, whole.num_windows, whole.updates_per_epoch) == (21, 21, 3)
    assert (partial.windows_per_sequence, partial.num_windows, partial.updates_per_epoch) == (21, 21, 1)
    assert PRESETS["quick"].config.num_windows == 8 * 21


def test_each_preset_is_another_run_and_has_a_name_and_words_of_its_own():
    assert len({preset.config.run_id for preset in PRESETS.values()}) == len(PRESETS)
    assert len({preset.title for preset in PRESETS.values()}) == len(PRESETS)
    assert len({preset.watch_for for preset in PRESETS.values()}) == len(PRESETS)


@EACH
def test_every_preset_says_what_to_watch_for(name):
    assert "Watch " in PRESETS[name].watch_for
    assert PRESETS[name].watch_for.endswith(".")
    assert PRESETS[name].title.isprintable()


@EACH
def test_every_preset_goes_through_a_link(name):
    assert repair_settings(PRESETS[name].config.to_query()) == (PRESETS[name].config, [])


@pytest.mark.parametrize("axis", ["task", "variant", "representation"])
def test_every_value_can_be_seen_in_some_preset(axis):
    assert {getattr(preset.config, axis) for preset in PRESETS.values()} == set(AXES[axis])
    assert set(VARIANTS) == set(AXES["variant"])


def test_presets_that_fail_say_so():
    assert [name for name, preset in PRESETS.items() if "(fails)" in preset.title] == [
        "too_small", "ten_without_attention", "linear", "no_memory"]


def test_the_sample_is_a_dozen_pairs_of_which_the_tutorials_reader_asked_the_first():
    pairs = texts.pairs(SAMPLE_PAIRS)
    assert len(pairs) == 12
    assert pairs[0] == (("how", "are", "you", "?"), ("i'm", "fine"))
    assert len({pair.question for pair in pairs}) == 12
    assert texts.read(SAMPLE_PAIRS) == SAMPLE_PAIRS == PRESETS["pairs"].config.text


@pytest.mark.parametrize(("config", "name"), [
    (RunConfig(seed=3), "whole, seed 3"),
    (PRESETS["quick"].config.model_copy(update={"epochs": 300, "seed": 2}), "quick, epochs=300, seed=2"),
    (PRESETS["pairs"].config, "pairs, seed 0"),
    (RunConfig(variant="no_memory", vocab_size=7, input_length=3, output_length=3, sequence_length=8, batch_size=6,
               stateful=False, epochs=3),
     "no_memory, vocab_size=7, sequence_length=8, input_length=3, output_length=3, stateful=false, batch_size=6, "
     "epochs=3"),
])
def test_short_name_is_that_of_the_nearest_preset_and_what_differs_from_it(config, name):
    assert short_name(config) == name
