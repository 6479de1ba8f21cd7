"""What pages call settings and runs."""

import re

import pytest

from echo_core.config import RunConfig
from echo_core.config.labels import TITLES, help_of, label_of, name_in_words
from echo_core.config.presets import PRESETS


def test_labels_are_the_words_of_the_controls():
    assert [label_of(field) for field in (
        "sequence_length", "sequences_per_epoch", "learning_rate", "missing", "representation", "units")] == [
        "Sequence length", "Sequences per epoch", "Learning rate", "Incomplete windows", "Number encoding", "Units"]


@pytest.mark.parametrize("field", RunConfig.model_fields)
def test_help_names_choices_by_their_titles_and_never_by_their_values(field: str):
    assert "`" not in help_of(field)
    values = {str(value) for titles in TITLES.values() for value in titles if "_" in str(value)}
    assert [value for value in values if value in help_of(field)] == []


def test_help_says_what_the_labels_on_the_screen_say():
    assert help_of("missing").startswith("What happens to rows at both ends of a sequence that miss a value. *Drop* ")
    assert "*Keep and mask* keeps them" in help_of("missing")
    assert "For task *Lag*:" in help_of("lag")


@pytest.mark.parametrize(("config", "name"), [
    (PRESETS["attention_20"].config, "Echo twenty with attention"),
    (PRESETS["no_memory"].config, "No memory"),
    (PRESETS["quick"].config.model_copy(update={"units": 32, "seed": 3}), "Quick partial echo, units 32, seed 3"),
    (RunConfig(stateful=False), "Whole echo, stateful off"),
    (RunConfig(variant="no_memory", vocab_size=7, input_length=3, output_length=3, sequence_length=8, batch_size=6,
               stateful=False, epochs=3, seed=5),
     "No memory, epochs 3, seed 5, vocabulary 7, sequence length 8, input length 3, output length 3, stateful off, "
     "batch size 6"),
])
def test_run_is_called_by_its_preset_or_network_and_what_differs_in_words(config: RunConfig, name: str):
    assert name_in_words(config) == name


def test_only_the_settings_that_are_asked_for_are_named():
    config = PRESETS["quick"].config.model_copy(update={"units": 32, "seed": 3})
    assert name_in_words(config, among=["units", "epochs"]) == "Quick partial echo, units 32"


def test_long_text_is_cut_in_the_name_of_a_run():
    config = RunConfig(task="pairs", variant="attention", text=f"{'a' * 200} => b\nb => c", units=4)
    assert re.search(r"words a{40}…", name_in_words(config))
