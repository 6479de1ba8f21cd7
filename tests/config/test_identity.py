"""Which configs are the same run, and the doors through which a config passes whole: JSON, links, old stores."""

import hashlib
import json
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from echo_core.config import FIELDS_ADDED_LATER, LARGE_UNITS, TRAINING_VERSION, RunConfig
from echo_core.config import run_config as config_module
from echo_core.config.compatibility import AXES
from echo_core.config.repair import repair_settings
from echo_core.text import words as texts
from tests.helpers.strategies import COMBINATIONS, FIELDS, configs, word_texts

# --- identity ------------------------------------------------------------------------------------


def test_run_id_of_the_default_config_never_changes():
    # It is in people's links. Another value here needs another training version, and so does the reverse.
    assert (RunConfig().training_version, RunConfig().run_id) == (1, "fdcdfe66347a3b25")


@given(configs(), configs())
def test_run_ids_are_equal_exactly_where_configs_are(one, other):
    assert (one.run_id == other.run_id) == (one == other)


@given(configs(), st.data())
def test_run_ids_of_near_relations_are_equal_exactly_where_configs_are(one, data):
    name = data.draw(st.sampled_from(["seed", "units", "learning_rate", "clip_norm", "schedule", "cell", "text"]))
    other = one.model_copy(update={name: getattr(data.draw(configs()), name)})  # whether or not it can be
    assert (one.run_id == other.run_id) == (one == other)


def test_every_field_is_part_of_the_run_id():
    changed = [{"variant": "encoder_decoder"}, {"vocab_size": 99}, {"sequence_length": 11}, {"units": 21},
               {"input_length": 19, "output_length": 19}, {"variant": "encoder_decoder", "output_length": 4},
               {"stateful": False}, {"stateful": False, "sequences_per_epoch": 2}, {"batch_size": 3},
               {"epochs": 501}, {"learning_rate": 0.002}, {"seed": 1},
               {"variant": "encoder_decoder", "task": "reverse"}, {"text": "a b c d e"}, {"text": "a b c d f"},
               {"variant": "encoder_decoder", "output_length": 4, "echo_start": 1}, {"cell": "gru"},
               {"representation": "linear"}, {"missing": "mask", "batch_size": 29}, {"batch_size": 1},
               {"missing": "mask", "batch_size": 1}, {"schedule": "cosine"}, {"clip_norm": 1},
               {"task": "lag"}, {"task": "lag", "lag": 2}]
    assert set(FIELDS) == {name for settings in changed for name in settings}
    assert len({RunConfig(**settings).run_id for settings in [{}, *changed]}) == len(changed) + 1


def test_run_id_does_not_depend_on_how_a_value_was_written():
    assert RunConfig(units="20", learning_rate="1e-3", stateful="true").run_id == RunConfig().run_id
    assert RunConfig(clip_norm="0", echo_start="0", text="\n", cell="lstm").run_id == RunConfig().run_id
    assert RunConfig(clip_norm=-0.0).run_id == RunConfig().run_id


@given(word_texts())
def test_run_id_does_not_depend_on_how_a_text_was_written(text):
    sizes = {"input_length": 1, "output_length": 1, "batch_size": 1}
    config = RunConfig(text=text, **sizes)
    for written in (texts.pack(text), "\n" + text.replace(" ", "\t \u00a0"), text.replace("\n", "\r\n")):
        assert RunConfig(text=written, **sizes).run_id == config.run_id


def test_a_field_added_later_leaves_old_run_ids_alone_at_its_old_value(monkeypatch):
    # As if `seed` were new and all runs before it had been those of seed 0.
    monkeypatch.setattr(config_module, "FIELDS_ADDED_LATER", {"seed": 0})
    before = {name: value for name, value in RunConfig().model_dump().items() if name != "seed"}
    text = json.dumps([RunConfig().training_version, before], sort_keys=True, separators=(",", ":"))
    old_id = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert RunConfig(seed=0).run_id == old_id
    assert RunConfig(seed=1).run_id != old_id


def test_fields_added_later_have_their_old_values_as_defaults_so_that_old_links_mean_the_same():
    assert FIELDS_ADDED_LATER.items() <= RunConfig().model_dump().items()
    assert set(FIELDS) - set(FIELDS_ADDED_LATER) == {
        "variant", "vocab_size", "sequence_length", "input_length", "output_length", "units", "stateful",
        "sequences_per_epoch", "batch_size", "epochs", "learning_rate", "seed"}


def test_another_training_version_makes_other_run_ids(monkeypatch):
    old_id = RunConfig().run_id
    monkeypatch.setattr(RunConfig, "training_version", TRAINING_VERSION + 1)
    assert RunConfig().run_id != old_id


@pytest.mark.parametrize(("settings", "version"), [
    ({}, 1), ({"cell": "gru"}, 2), ({"cell": "simple_rnn"}, 2), ({"missing": "mask", "batch_size": 1}, 2),
    ({"units": LARGE_UNITS - 1}, 1), ({"units": LARGE_UNITS}, 2)])
def test_only_what_is_trained_to_other_weights_than_before_has_another_version(settings, version):
    assert RunConfig(**settings).training_version == version <= TRAINING_VERSION


@given(configs(), st.integers(0, 2**31 - 1), st.integers(1, 10_000_000))
def test_runs_share_a_program_whatever_their_seed_epochs_and_rate(config, seed, epochs):
    other = config.model_copy(update={"seed": seed, "epochs": epochs, "learning_rate": 0.5})
    assert other.network == config.network == config.network.network
    assert {name for name in FIELDS if getattr(config.network, name) != getattr(config, name)} <= {
        "seed", "epochs", "learning_rate", *(["text"] if config.task != "pairs" else [])}


# --- exchange ------------------------------------------------------------------------------------


@given(configs())
def test_json_there_and_back_is_the_config(config):
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    assert RunConfig.model_validate(config.model_dump()) == config


@given(configs())
def test_query_string_there_and_back_is_the_config(config):
    query = dict(parse_qsl(urlencode(config.to_query()), keep_blank_values=True))
    assert query == config.to_query()
    assert RunConfig.model_validate(query) == config
    assert repair_settings(query) == (config, [])


@given(configs())
def test_query_string_that_lost_its_blank_values_is_still_the_config(config):
    query = dict(parse_qsl(urlencode(config.to_query())))
    assert set(FIELDS) - set(query) <= {"text"}
    assert RunConfig.model_validate(query) == config
    assert repair_settings(query) == (config, [])


@given(configs())
def test_a_link_is_one_line_of_plain_characters(config):
    assume(config.text)
    link = urlencode(config.to_query())
    assert link.isascii()
    assert link.isprintable()
    assert len(link) < 600 + 4 * len(config.text.encode())


def test_exchanged_configs_carry_every_field_so_that_they_survive_other_defaults():
    assert list(json.loads(RunConfig().model_dump_json())) == list(RunConfig().to_query()) == FIELDS


def test_a_config_of_before_the_fields_added_later_is_read_as_it_was_meant():
    old = {name: value for name, value in RunConfig(units=7).model_dump().items() if name not in FIELDS_ADDED_LATER}
    assert RunConfig.model_validate_json(json.dumps(old)) == RunConfig(units=7)


def test_examples_are_of_everything_that_can_be_chosen():
    # So that the tests above mean what they say.
    assert {axis: {chosen[axis] for chosen in COMBINATIONS} for axis in AXES} == {
        axis: set(values) for axis, values in AXES.items()}
