"""What a run is: invariants with words, ids that stay, and doors through which a config passes whole."""

import hashlib
import json
import math
import time
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from echo_core import config as config_module
from echo_core.config import (
    PRESETS,
    TRAINING_VERSION,
    VARIANTS,
    RunConfig,
    by_nearness,
    divisors,
    explain,
    mend,
    parse_settings,
)

FIELDS = list(RunConfig.model_fields)
DEFAULTS = RunConfig().to_query()


@st.composite
def configs(draw):
    """Any config that can be."""
    variant = draw(st.sampled_from(VARIANTS))
    input_length = draw(st.integers(1, 30))
    sequence_length = draw(st.integers(input_length, 60))
    stateful = draw(st.booleans())
    sequences = 1 if stateful else draw(st.integers(1, 8))
    windows = sequences * (sequence_length - input_length + 1)
    return RunConfig(
        variant=variant, input_length=input_length, sequence_length=sequence_length,
        output_length=input_length if variant == "whole" else draw(st.integers(1, input_length)),
        stateful=stateful, sequences_per_epoch=sequences, batch_size=draw(st.sampled_from(divisors(windows))),
        vocab_size=draw(st.integers(2, 100_000)), units=draw(st.integers(1, 100_000)),
        epochs=draw(st.integers(1, 10_000_000)), seed=draw(st.integers(0, 2**31 - 1)),
        learning_rate=draw(st.floats(0, 1, exclude_min=True)))


def lines_about(**settings):
    """What is said of settings that cannot be."""
    with pytest.raises(ValidationError) as refused:
        RunConfig(**settings)
    return explain(refused.value)


# --- presets and arithmetic ----------------------------------------------------------------------


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


def test_parameters_are_those_worked_out_by_hand():
    # An LSTM has 4 gates; each has a weight for every input, one for every unit, and a bias: 4u(f + u + 1).
    # A readout has a weight for every unit and a bias for every number of the vocabulary: v(u + 1).
    # whole:    4*20*(100+20+1) = 9,680                                     + 100*21  =  2,100 -> 11,780
    # partial:  4*150*(100+150+1) = 150,600, 4*150*(150+150+1) = 180,600    + 100*151 = 15,100 -> 346,300
    assert PRESETS["whole"].config.num_parameters == 11_780
    assert PRESETS["partial"].config.num_parameters == 346_300


def test_windows_and_updates_of_an_epoch_are_the_tutorials():
    whole, partial = PRESETS["whole"].config, PRESETS["partial"].config
    assert (whole.windows_per_sequence, whole.num_windows, whole.updates_per_epoch) == (21, 21, 3)
    assert (partial.windows_per_sequence, partial.num_windows, partial.updates_per_epoch) == (21, 21, 1)
    assert PRESETS["quick"].config.num_windows == 8 * 21


def test_bits_to_remember_are_none_for_whole_echo_and_log2_of_the_vocabulary_for_each_number_else():
    assert PRESETS["whole"].config.bits == 0
    assert PRESETS["partial"].config.bits == pytest.approx(13.29, abs=0.005)
    assert RunConfig(variant="encoder_decoder").bits == pytest.approx(33.2, abs=0.05)


def test_chance_loss_of_a_hundred_numbers_is_the_tutorials():
    assert RunConfig().chance_loss == pytest.approx(4.61, abs=0.005)


@given(st.integers(1, 5000))
def test_divisors_match_a_plain_loop(number):
    assert divisors(number) == [n for n in range(1, number + 1) if number % n == 0]


def test_nearest_batch_sizes_are_nearest_in_ratio():
    assert by_nearness(6, 21) == [7, 3, 21, 1]
    assert by_nearness(7, 21)[0] == 7


# --- what is refused, in words -------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "line"), [
    ({"units": 0}, "units must be at least 1; received 0. Try units=20."),
    ({"units": -5}, "units must be at least 1; received -5. Try units=20."),
    ({"units": 100_001}, "units must be at most 100000; received 100001. Try units=20."),
    ({"units": 2.5}, "units must be a whole number; received 2.5. Try units=20."),
    ({"units": "many"}, "units must be a whole number; received many. Try units=20."),
    ({"units": ""}, "units must be a whole number; received ''. Try units=20."),
    ({"units": None}, "units must be a whole number; received None. Try units=20."),
    ({"units": "9" * 5000}, f"units must be a whole number; received {'9' * 40}…. Try units=20."),
    ({"units": True}, "units must be a number; received True. Try units=20."),
    ({"epochs": "1e99"}, "epochs must be a whole number; received 1e99. Try epochs=500."),
    ({"vocab_size": 1}, "vocab_size must be at least 2; received 1. Try vocab_size=100."),
    ({"learning_rate": 0}, "learning_rate must be more than 0; received 0. Try learning_rate=0.001."),
    ({"learning_rate": 2}, "learning_rate must be at most 1; received 2. Try learning_rate=0.001."),
    ({"learning_rate": "nan"}, "learning_rate must be a number; received nan. Try learning_rate=0.001."),
    ({"learning_rate": "fast"}, "learning_rate must be a number; received fast. Try learning_rate=0.001."),
    ({"seed": 2**31}, "seed must be less than 2147483648; received 2147483648. Try seed=0."),
    ({"stateful": "perhaps"}, "stateful must be true or false; received perhaps. Try stateful=true."),
    ({"variant": "lstm"},
     "variant must be one of 'whole' or 'encoder_decoder'; received lstm. Try variant=whole."),
    ({"variant": True}, "variant must be one of 'whole' or 'encoder_decoder'; received True. Try variant=whole."),
    ({"neurons": 20}, f"neurons is not a setting. Try one of {', '.join(FIELDS)}."),
    ({"x" * 50: 20}, f"{'x' * 40}… is not a setting. Try one of {', '.join(FIELDS)}."),
    ({"two\nlines": 20}, f"'two\\nlines' is not a setting. Try one of {', '.join(FIELDS)}."),
    ({"input_length": 26, "output_length": 26},
     "input_length must be at most sequence_length (25), because a window is a slice of the sequence; received 26. "
     "Try input_length=25 or a longer sequence."),
    ({"variant": "encoder_decoder", "output_length": 6},
     "output_length must be at most input_length (5), because only what was read can be echoed; received 6. "
     "Try output_length=5."),
    ({"output_length": 2},
     "output_length must equal input_length (5) for variant whole, because it answers at every timestep that it "
     "reads; received 2. Try output_length=5, or variant=encoder_decoder."),
    ({"sequences_per_epoch": 8, "batch_size": 168},
     "stateful must be false with more than one sequence an epoch, because state would be carried from one sequence "
     "into another; received sequences_per_epoch=8. Try stateful=false or sequences_per_epoch=1."),
])
def test_refused_settings_name_the_argument_the_rule_the_value_and_a_way_out(settings, line):
    assert lines_about(**settings) == [line]


def test_batch_size_that_does_not_divide_windows_names_the_sizes_that_do():
    assert lines_about(batch_size=6) == [
        "batch_size must divide the 21 windows of an epoch, because a compiled epoch needs equal batches; "
        "received 6. Try one of [1, 3, 7, 21]."]


def test_batch_size_among_very_many_windows_names_a_dozen_sizes_around_it():
    [line] = lines_about(stateful=False, sequences_per_epoch=240, batch_size=100)  # 5,040 windows, 60 divisors
    assert line.endswith("Try one of [63, 70, 72, 80, 84, 90, 105, 112, 120, 126, 140, 144].")


def test_every_wrong_field_gets_a_line_of_its_own():
    assert [line.split()[0] for line in lines_about(units=0, epochs="x", colour="red")] == ["units", "epochs", "colour"]


def test_config_cannot_be_changed_after_birth():
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().units = 3


# --- identity ------------------------------------------------------------------------------------


def test_run_id_of_the_default_config_never_changes():
    # It is in people's links. Another value here needs another TRAINING_VERSION, and so does the reverse.
    assert (TRAINING_VERSION, RunConfig().run_id) == (1, "fdcdfe66347a3b25")


@given(configs(), configs())
def test_run_ids_are_equal_exactly_where_configs_are(one, other):
    assert (one.run_id == other.run_id) == (one == other)


def test_every_field_is_part_of_the_run_id():
    changed = [{"variant": "encoder_decoder"}, {"vocab_size": 99}, {"sequence_length": 11}, {"units": 21},
               {"input_length": 19, "output_length": 19}, {"variant": "encoder_decoder", "output_length": 4},
               {"stateful": False}, {"stateful": False, "sequences_per_epoch": 2}, {"batch_size": 3},
               {"epochs": 501}, {"learning_rate": 0.002}, {"seed": 1}]
    assert set(FIELDS) == {name for settings in changed for name in settings}
    assert len({RunConfig(**settings).run_id for settings in [{}, *changed]}) == len(changed) + 1


def test_run_id_does_not_depend_on_how_a_value_was_written():
    assert RunConfig(units="20", learning_rate="1e-3", stateful="true").run_id == RunConfig().run_id


def test_a_field_added_later_leaves_old_run_ids_alone_at_its_old_value(monkeypatch):
    # As if `seed` were new and all runs before it had been those of seed 0.
    monkeypatch.setattr(config_module, "FIELDS_ADDED_LATER", {"seed": 0})
    before = {name: value for name, value in RunConfig().model_dump().items() if name != "seed"}
    text = json.dumps([TRAINING_VERSION, before], sort_keys=True, separators=(",", ":"))
    old_id = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert RunConfig(seed=0).run_id == old_id
    assert RunConfig(seed=1).run_id != old_id


def test_another_training_version_makes_other_run_ids(monkeypatch):
    old_id = RunConfig().run_id
    monkeypatch.setattr(config_module, "TRAINING_VERSION", TRAINING_VERSION + 1)
    assert RunConfig().run_id != old_id


# --- exchange ------------------------------------------------------------------------------------


@given(configs())
def test_json_there_and_back_is_the_config(config):
    assert RunConfig.from_json(config.to_json()) == config


@given(configs())
def test_query_string_there_and_back_is_the_config(config):
    query = dict(parse_qsl(urlencode(config.to_query())))
    assert RunConfig.model_validate(query) == config
    assert mend(query) == (config, [])


def test_exchanged_configs_carry_every_field_so_that_they_survive_other_defaults():
    assert list(json.loads(RunConfig().to_json())) == list(RunConfig().to_query()) == FIELDS


def test_settings_are_parsed_as_field_equals_value():
    assert parse_settings(["units=64", " seed = 3 ", "units=65"]) == {"units": "65", "seed": "3"}
    with pytest.raises(ValueError, match=r"^a setting must be FIELD=VALUE; received units\. Try units=64\.$"):
        parse_settings(["units"])


# --- mending -------------------------------------------------------------------------------------

nonsense = st.dictionaries(
    st.sampled_from(FIELDS) | st.text(max_size=60),
    st.text(max_size=60) | st.integers().map(str) | st.floats().map(str) | st.integers(-5, 60).map(str)
    | st.sampled_from(["", "true", "<script>", "1e99", "9" * 5000, "whole", "encoder_decoder", "\x00", "\ud800"]))

small_settings = st.fixed_dictionaries({}, optional={
    "variant": st.sampled_from(VARIANTS), "input_length": st.integers(1, 40).map(str),
    "output_length": st.integers(1, 40).map(str), "sequence_length": st.integers(1, 40).map(str),
    "sequences_per_epoch": st.integers(1, 9).map(str), "batch_size": st.integers(1, 400).map(str),
    "stateful": st.sampled_from(["true", "false"])})


@given(nonsense)
def test_mending_any_nonsense_gives_a_config_that_can_be_and_names_all_that_it_did_not_accept(values):
    config, notes = mend(values)
    assert RunConfig.model_validate(config.model_dump()) == config
    for name, value in values.items():
        noted = any(note.startswith((f"{name} ", f"{name}=")) for note in notes)
        if name not in FIELDS:
            assert sum("is not a setting" in note for note in notes) == len(set(values) - set(FIELDS))
        elif not noted and name in ("variant", "stateful"):
            assert value.strip().lower() in (str(getattr(config, name)).lower(), "1", "0", "on", "off", "t", "f", "y",
                                             "n", "yes", "no")
        elif not noted:
            assert getattr(config, name) == float(value)
    assert all(note.isprintable() and len(note) < 400 for note in notes)


@given(small_settings)
def test_mending_says_which_accepted_values_did_not_fit_and_what_they_are_instead(values):
    config, notes = mend(values)
    used = config.to_query()
    assert notes == [f"{name}={value} does not fit the other settings; it is {used[name]} instead."
                     for name, value in values.items() if used[name] != value]
    assert all(used[name] == DEFAULTS[name] for name in ("units", "epochs", "learning_rate", "seed", "vocab_size"))


@given(small_settings)
def test_mending_what_was_mended_changes_nothing(values):
    config, _ = mend(values)
    assert mend(config.to_query()) == (config, [])


@given(configs())
def test_settings_that_can_be_are_never_mended(config):
    given_fields = {name: value for name, value in config.to_query().items() if value != DEFAULTS[name]}
    assert RunConfig.model_validate(given_fields) == config
    assert mend(given_fields) == (config, [])


@pytest.mark.parametrize(("values", "settings", "notes"), [
    ({}, {}, []),
    ({"units": "-5", "seed": "3"}, {"seed": 3}, ["units must be at least 1; received -5. units is 20 instead."]),
    ({"variant": "<script>"}, {},
     ["variant must be one of 'whole' or 'encoder_decoder'; received <script>. variant is whole instead."]),
    ({"stateful": "perhaps"}, {}, ["stateful must be true or false; received perhaps. stateful is true instead."]),
    ({"input_length": "3", "output_length": "x"}, {"input_length": 3, "output_length": 3, "batch_size": 23},
     ["output_length must be a whole number; received x. output_length is 3 instead."]),
    ({"units": ["1", "2"]}, {}, ["units must be a whole number; received ['1', '2']. units is 20 instead."]),
    ({"batch_size": "6"}, {}, ["batch_size=6 does not fit the other settings; it is 7 instead."]),
    # Those that were not given move first, and without a word.
    ({"output_length": "3"}, {"input_length": 3, "output_length": 3, "batch_size": 23}, []),
    ({"variant": "encoder_decoder", "output_length": "3"}, {"variant": "encoder_decoder", "output_length": 3}, []),
    ({"input_length": "30"},
     {"input_length": 30, "output_length": 30, "sequence_length": 30, "batch_size": 1}, []),
    ({"sequence_length": "4"},
     {"sequence_length": 4, "input_length": 4, "output_length": 4, "batch_size": 1}, []),
    ({"sequences_per_epoch": "8"}, {"sequences_per_epoch": 8, "stateful": False}, []),
    # Where both were given, one is named.
    ({"input_length": "30", "sequence_length": "10"},
     {"input_length": 10, "output_length": 10, "sequence_length": 10, "batch_size": 1},
     ["input_length=30 does not fit the other settings; it is 10 instead."]),
    ({"input_length": "5", "output_length": "2"}, {},
     ["output_length=2 does not fit the other settings; it is 5 instead."]),
    ({"sequences_per_epoch": "8", "stateful": "true"}, {"sequences_per_epoch": 8, "stateful": False},
     ["stateful=true does not fit the other settings; it is false instead."]),
])
def test_mending_moves_as_little_as_it_can(values, settings, notes):
    assert mend(values) == (RunConfig(**settings), notes)


def test_mending_the_largest_sizes_is_quick_enough_for_a_link_from_a_stranger():
    begun = time.perf_counter()
    mend({"sequence_length": "100000", "sequences_per_epoch": "99991", "batch_size": "9999991"})
    assert time.perf_counter() - begun < 5  # a naive search takes minutes


def test_bits_are_the_bits_of_the_vocabulary_times_the_echo():
    config = RunConfig(variant="encoder_decoder", vocab_size=64, output_length=3)
    assert config.bits == 3 * math.log2(64) == 18
