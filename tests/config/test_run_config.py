"""What a run is: invariants with words, ids that stay, and doors through which a config passes whole."""

import hashlib
import json
import math
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from echo_core.config import FIELDS_ADDED_LATER, LARGE_UNITS, TRAINING_VERSION, RunConfig, by_nearness, divisors
from echo_core.config import run_config as config_module
from echo_core.config.compatibility import AXES, REFUSALS
from echo_core.config.repair import explain, repair_settings
from echo_core.config.sizes import needs_memory
from echo_core.text import words as texts
from tests.helpers.strategies import COMBINATIONS, FIELDS, PAIRS, VARIANTS_IN_WORDS, configs, pair_texts, word_texts


def lines_about(**settings):
    """What is said of settings that cannot be."""
    with pytest.raises(ValidationError) as refused:
        RunConfig(**settings)
    return explain(refused.value)


# --- arithmetic ----------------------------------------------------------------------------------


# A cell has gates: an LSTM 4, a GRU 3, a simple one 1. Each gate has a weight for every feature that it reads, one
# for every unit, and a bias; a GRU has two biases: gates·u(f + u + 1). A readout has a weight for every unit that it
# sees, and a bias, for each class: c(u + 1). A number has 100 features one-hot and 1 by its size, and as many classes.
@pytest.mark.parametrize(("variant", "cell", "output_length", "units", "parameters"), [
    # 4*20*(100+20+1) = 9,680; 3*20*(100+20+2) = 7,320; 1*20*(100+20+1) = 2,420; 100*(20+1) = 2,100
    ("whole", "lstm", 5, 20, 11_780),                # 9,680 + 2,100
    ("whole", "gru", 5, 20, 9_420),                  # 7,320 + 2,100
    ("whole", "simple_rnn", 5, 20, 4_520),           # 2,420 + 2,100
    # The padding is one class more: 101*(20+1) = 2,121
    ("padded", "lstm", 2, 20, 11_801),               # 9,680 + 2,121
    ("padded", "lstm", 5, 20, 11_801),               # the same at every timestep, however many
    ("padded", "gru", 2, 20, 9_441),                 # 7,320 + 2,121
    ("padded", "simple_rnn", 2, 20, 4_541),          # 2,420 + 2,121
    # The encoder reads numbers: 4*150*(100+150+1) = 150,600; 3*150*(100+150+2) = 113,400; 150*(100+150+1) = 37,650
    # The decoder reads states:  4*150*(150+150+1) = 180,600; 3*150*(150+150+2) = 135,900; 150*(150+150+1) = 45,150
    # 100*(150+1) = 15,100
    ("encoder_decoder", "lstm", 2, 150, 346_300),    # 150,600 + 180,600 + 15,100
    ("encoder_decoder", "lstm", 5, 150, 346_300),    # the same for any length
    ("encoder_decoder", "gru", 2, 150, 264_400),     # 113,400 + 135,900 + 15,100
    ("encoder_decoder", "simple_rnn", 2, 150, 97_900),  # 37,650 + 45,150 + 15,100
    # The readout sees the decoder and what it found: 100*(2*150+1) = 30,100; to find it takes no weights
    ("attention", "lstm", 2, 150, 361_300),          # 150,600 + 180,600 + 30,100
    ("attention", "lstm", 5, 150, 361_300),          # the same for any length
    ("attention", "gru", 2, 150, 279_400),           # 113,400 + 135,900 + 30,100
    ("attention", "simple_rnn", 2, 150, 112_900),    # 37,650 + 45,150 + 30,100
    # Five numbers at once, 500 features: 4*150*(500+150+1) = 390,600; 3*150*(500+150+2) = 293,400;
    # 150*(500+150+1) = 97,650. A readout for each number of the answer: 2*15,100 = 30,200; 5*15,100 = 75,500
    ("one_to_one", "lstm", 2, 150, 420_800),         # 390,600 + 30,200
    ("one_to_one", "lstm", 5, 150, 466_100),         # 390,600 + 75,500
    ("one_to_one", "gru", 2, 150, 323_600),          # 293,400 + 30,200
    ("one_to_one", "simple_rnn", 2, 150, 127_850),   # 97,650 + 30,200
    ("many_to_one", "lstm", 2, 150, 180_800),        # 150,600 + 30,200
    ("many_to_one", "lstm", 5, 150, 226_100),        # 150,600 + 75,500
    ("many_to_one", "gru", 2, 150, 143_600),         # 113,400 + 30,200
    ("many_to_one", "simple_rnn", 2, 150, 67_850),   # 37,650 + 30,200
    # No units at all: 100*(100+1)
    ("no_memory", "lstm", 2, 150, 10_100),
    ("no_memory", "lstm", 5, 150, 10_100),           # the same for any length
])
def test_parameters_are_those_worked_out_by_hand(variant, cell, output_length, units, parameters):
    config = RunConfig(variant=variant, cell=cell, output_length=output_length, units=units)
    assert config.num_parameters == parameters


@pytest.mark.parametrize(("variant", "output_length", "units", "parameters"), [
    ("whole", 5, 20, 1_781),               # 4*20*(1+20+1) = 1,760 and 1*(20+1) = 21
    ("encoder_decoder", 2, 150, 271_951),  # 4*150*(1+150+1) = 91,200, 180,600 as above, and 1*(150+1) = 151
    ("many_to_one", 2, 150, 91_502),       # 91,200 and 2*151 = 302
])
def test_parameters_of_numbers_by_their_size_are_those_worked_out_by_hand(variant, output_length, units, parameters):
    config = RunConfig(variant=variant, output_length=output_length, units=units, representation="linear")
    assert config.num_parameters == parameters


@pytest.mark.parametrize(("settings", "carries"), [
    ({}, True), ({"stateful": False}, False), ({"variant": "no_memory"}, False), ({"variant": "attention"}, True)])
def test_a_state_is_carried_on_if_the_run_is_stateful_and_its_network_has_a_state(settings, carries):
    assert RunConfig(**settings).carries_state == carries


@pytest.mark.parametrize(("settings", "inputs", "targets"), [
    ({}, False, False), ({"task": "lag"}, False, False), ({"task": "lag", "lag": 1}, False, True),
    ({"missing": "mask", "batch_size": 29}, True, True),
    ({"task": "pairs", "variant": "attention", "text": PAIRS}, True, True)])
def test_gaps_are_where_a_window_or_only_its_answer_lacks_something(settings, inputs, targets):
    config = RunConfig(**settings)
    assert (config.has_gaps, config.has_target_gaps) == (inputs, targets)


@pytest.mark.parametrize(("settings", "rows"), [
    ({}, 21),                                                                              # 25 - 5 + 1
    ({"variant": "encoder_decoder", "output_length": 2}, 21),                              # whatever comes back
    ({"missing": "mask", "batch_size": 29}, 29),                                           # 25 + 5 - 1
    ({"missing": "mask", "variant": "encoder_decoder", "output_length": 2, "batch_size": 13}, 26),  # 25 + 2 - 1
    ({"missing": "mask", "variant": "encoder_decoder", "output_length": 2, "echo_start": 3, "batch_size": 13}, 26),
    ({"task": "pairs", "variant": "attention", "text": PAIRS}, 2),
])
def test_windows_are_the_rows_that_are_kept_or_the_pairs(settings, rows):
    config = RunConfig(**settings)
    assert (config.windows_per_sequence, config.num_windows) == (rows, rows)


@pytest.mark.parametrize(("settings", "numbers"), [
    ({}, 0),                                                           # each number is said as it is read
    ({"variant": "encoder_decoder"}, 5),
    ({"variant": "encoder_decoder", "output_length": 2}, 2),
    ({"variant": "encoder_decoder", "output_length": 2, "echo_start": 3}, 2),  # read to the end first
    ({"variant": "attention", "output_length": 2}, 2),
    ({"variant": "many_to_one", "output_length": 2}, 2),
    ({"variant": "one_to_one", "output_length": 2}, 0),                # it sees all of them at once
    ({"variant": "padded", "output_length": 2}, 2),
    ({"variant": "padded", "output_length": 2, "echo_start": 2}, 1),   # it says one as it reads the next
    ({"variant": "padded", "output_length": 2, "echo_start": 3}, 0),
    ({"variant": "padded", "output_length": 4}, 1),
    ({"task": "lag"}, 0),
    ({"task": "lag", "lag": 2}, 2),
    ({"task": "lag", "lag": 4}, 1),                                     # the others are never asked for
    ({"task": "lag", "lag": 3, "variant": "no_memory"}, 2),
    ({"variant": "no_memory", "output_length": 2}, 2),
    ({"variant": "no_memory", "output_length": 2, "echo_start": 3}, 0),
    ({"variant": "no_memory", "task": "reverse", "output_length": 2, "echo_start": 3}, 2),
])
def test_bits_are_the_bits_of_the_vocabulary_times_the_numbers_that_must_be_held(settings, numbers):
    config = RunConfig(**settings, vocab_size=64)
    assert config.bits == 6 * numbers
    assert needs_memory(config) == (numbers > 0)


def test_bits_of_the_tutorials_hundred_numbers():
    assert RunConfig().bits == 0
    assert RunConfig(variant="encoder_decoder", output_length=2).bits == pytest.approx(13.29, abs=0.005)
    assert RunConfig(variant="encoder_decoder").bits == pytest.approx(33.2, abs=0.05)


def test_chance_loss_of_a_hundred_numbers_is_the_tutorials():
    assert RunConfig().chance_loss == pytest.approx(4.61, abs=0.005)


def test_chance_loss_of_padded_echo_is_that_of_its_numbers_as_paddings_can_be_told():
    padded = RunConfig(variant="padded", output_length=2)
    assert padded.chance_loss == pytest.approx(math.log(100) * 2 / 5)


@given(st.integers(2, 300))
def test_chance_loss_of_numbers_by_their_size_is_the_variance_of_an_even_guess(vocab_size):
    scaled = [number / (vocab_size - 1) for number in range(vocab_size)]
    config = RunConfig(vocab_size=vocab_size, representation="linear")
    assert config.chance_loss == pytest.approx(sum((value - 0.5) ** 2 for value in scaled) / vocab_size)


@given(st.integers(1, 5000))
def test_divisors_match_a_plain_loop(number):
    assert divisors(number) == [n for n in range(1, number + 1) if number % n == 0]


def test_nearest_batch_sizes_are_nearest_in_ratio():
    assert by_nearness(6, 21) == [7, 3, 21, 1]
    assert by_nearness(7, 21)[0] == 7


def test_no_batch_size_is_offered_that_is_larger_than_may_be():
    assert by_nearness(9_999_991, 10_000_010)[0] == 5_000_005
    assert by_nearness(1, 10_000_000)[-1] == 10_000_000


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
    ({"echo_start": True}, "echo_start must be a number; received True. Try echo_start=0."),
    ({"clip_norm": False}, "clip_norm must be a number; received False. Try clip_norm=0."),
    ({"epochs": "1e99"}, "epochs must be a whole number; received 1e99. Try epochs=500."),
    ({"vocab_size": 1}, "vocab_size must be at least 2; received 1. Try vocab_size=100."),
    ({"learning_rate": 0}, "learning_rate must be more than 0; received 0. Try learning_rate=0.001."),
    ({"learning_rate": 2}, "learning_rate must be at most 1; received 2. Try learning_rate=0.001."),
    ({"learning_rate": "nan"}, "learning_rate must be a number; received nan. Try learning_rate=0.001."),
    ({"learning_rate": "fast"}, "learning_rate must be a number; received fast. Try learning_rate=0.001."),
    ({"clip_norm": -1}, "clip_norm must be at least 0; received -1. Try clip_norm=0."),
    ({"clip_norm": 1_000_001}, "clip_norm must be at most 1000000; received 1000001. Try clip_norm=0."),
    ({"clip_norm": "inf"}, "clip_norm must be a number; received inf. Try clip_norm=0."),
    ({"lag": -1}, "lag must be at least 0; received -1. Try lag=0."),
    ({"lag": 2}, "lag must be 0 with task echo, because only task lag answers some steps after it has read; "
                 "received 2. Try lag=0, or task=lag."),
    ({"task": "lag", "lag": 5},
     "lag must be less than input_length (5), because a number and the step at which it must be said have to lie in "
     "the same window; received 5. Try lag=4, or input_length=6."),
    ({"task": "lag", "variant": "no_memory", "output_length": 4},
     "output_length must equal input_length (5) for task lag, because it answers at every timestep that it reads; "
     "received 4. Try output_length=5, or task=echo."),
    ({"task": "lag", "variant": "attention"},
     "task cannot be lag with variant=attention, because it answers only when it has read everything, so no answer "
     "lags behind a number by fixed steps. Try task=echo, or variant=whole."),
    ({"echo_start": -1}, "echo_start must be at least 0; received -1. Try echo_start=0."),
    ({"echo_start": 100_001}, "echo_start must be at most 100000; received 100001. Try echo_start=0."),
    ({"seed": 2**31}, "seed must be less than 2147483648; received 2147483648. Try seed=0."),
    ({"stateful": "perhaps"}, "stateful must be true or false; received perhaps. Try stateful=true."),
    ({"variant": "lstm"}, f"variant must be one of {VARIANTS_IN_WORDS}; received lstm. Try variant=whole."),
    ({"variant": True}, f"variant must be one of {VARIANTS_IN_WORDS}; received True. Try variant=whole."),
    ({"task": "sort"}, "task must be one of 'echo', 'reverse', 'pairs' or 'lag'; received sort. Try task=echo."),
    ({"cell": "LSTM"}, "cell must be one of 'lstm', 'gru' or 'simple_rnn'; received LSTM. Try cell=lstm."),
    ({"representation": ""},
     "representation must be one of 'one_hot' or 'linear'; received ''. Try representation=one_hot."),
    ({"missing": None}, "missing must be one of 'drop' or 'mask'; received None. Try missing=drop."),
    ({"schedule": "linear"},
     "schedule must be one of 'constant' or 'cosine'; received linear. Try schedule=constant."),
    ({"text": 5}, "text must be text; received 5. Try text=''."),
    ({"text": None}, "text must be text; received None. Try text=''."),
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
    ({"variant": "encoder_decoder", "output_length": 2, "echo_start": 4},
     "echo_start must be at most 3, because a block of 2 has to lie within the 5 numbers that are read; received 4. "
     "Try echo_start=3."),
    ({"echo_start": 1},
     "echo_start must be at most 0, because a block of 5 has to lie within the 5 numbers that are read; received 1. "
     "Try echo_start=0."),
    ({"input_length": 1, "output_length": 1, "batch_size": 1, "echo_start": 1},
     "echo_start must be at most 0, because a block of 1 has to lie within the 1 number that is read; received 1. "
     "Try echo_start=0."),
    ({"sequences_per_epoch": 8, "batch_size": 168},
     "stateful must be false with more than one sequence an epoch, because state would be carried from one sequence "
     "into another; received sequences_per_epoch=8. Try stateful=false or sequences_per_epoch=1."),
])
def test_refused_settings_name_the_argument_the_rule_the_value_and_a_way_out(settings, line):
    assert lines_about(**settings) == [line]


TOO_FEW = "text must have at least 2 different words; received {}. Try a longer text."
NO_PAIR = ("text must have a pair a line, question => answer, with words on both sides; received {} in line {}. "
           "Try \"how are you ? => i'm fine\".")
DAMAGED = ("text cannot be read, as the link that brought it was damaged; received {}. "
           "Try the link again, or type the text.")
NO_PAIRS = ("text must have the pairs that task pairs learns; received an empty text. "
            "Try text=\"how are you ? => i'm fine\", a pair a line.")


@pytest.mark.parametrize(("settings", "line"), [
    ({"text": "ab " * 1366},
     "text must have at most 4,096 bytes; received 4,097. Try a shorter one."),
    ({"text": "a" * 20_000}, "text must have at most 4,096 bytes; received 20,000. Try a shorter one."),
    ({"text": "zip:AAAA"}, DAMAGED.format("'zip:AAAA'")),
    ({"text": texts.pack("a" * 10_000_000)}, DAMAGED.format(f"'{texts.pack('a' * 10_000_000)[:40]}…'")),
    ({"text": "one"}, TOO_FEW.format(1)),
    ({"text": "one one\none one one"}, TOO_FEW.format(1)),
    ({"text": texts.pack(texts.pack("one two"))}, TOO_FEW.format(1)),
    ({"text": "\u200b one \x00"}, TOO_FEW.format(1)),
    ({"text": "one two three"},
     "text must have at least input_length (5) words, so that there is a window to show; received 3. "
     "Try a longer text, or input_length=3."),
    ({"text": "a b c d e f", "vocab_size": 100},
     "vocab_size must be 6 with this text, because it follows from its words; received 100. Try vocab_size=6."),
    ({"text": "how are you ? => i'm fine"},
     "text must be a row of words for task echo; received a pair with =>. Try task=pairs, or words alone."),
    ({"text": "a => b", "task": "reverse"},
     "text must be a row of words for task reverse; received a pair with =>. Try task=pairs, or words alone."),
    ({"task": "pairs"}, NO_PAIRS),
    ({"task": "pairs", "variant": "attention"}, NO_PAIRS),
    ({"task": "pairs", "text": " \n\t"}, NO_PAIRS),
    ({"task": "pairs", "text": "a => a"}, TOO_FEW.format(1)),
    ({"task": "pairs", "text": "how are you ?"}, NO_PAIR.format("'how are you ?'", 1)),
    ({"task": "pairs", "text": "a => b\n\n c d=>\n"}, NO_PAIR.format("'c d =>'", 2)),
    ({"task": "pairs", "text": "a => b\nc => d => e"}, NO_PAIR.format("'c => d => e'", 2)),
])
def test_a_text_that_does_not_serve_is_refused_before_what_follows_from_it(settings, line):
    assert lines_about(**settings) == [line]


@pytest.mark.parametrize(("settings", "line"), [
    ({"vocab_size": 100}, "vocab_size must be 7 with this text, because it follows from its words; received 100. "
                          "Try vocab_size=7."),
    ({"input_length": 5}, "input_length must be 4 with this text, because it follows from its words; received 5. "
                          "Try input_length=4."),
    ({"sequence_length": 25}, "sequence_length must be 4 with this text, because it follows from its words; "
                              "received 25. Try sequence_length=4."),
    ({"output_length": 1}, "output_length must be 2 with this text, because it follows from its words; received 1. "
                           "Try output_length=2."),
    ({"stateful": True}, "stateful cannot be true with task=pairs, because one pair does not go on where the one "
                         "before it ended. Try stateful=false."),
    ({"echo_start": 1}, "echo_start must be 0 with task pairs, because an answer is not a block of its question; "
                        "received 1. Try echo_start=0."),
    ({"sequences_per_epoch": 8}, "sequences_per_epoch must be 1 with task pairs, because an epoch trains on every "
                                 "pair once; received 8. Try sequences_per_epoch=1."),
    ({"batch_size": 3}, "batch_size must divide the 2 windows of an epoch, because a compiled epoch needs equal "
                        "batches; received 3. Try one of [1, 2]."),
])
def test_what_does_not_follow_from_its_pairs_is_refused(settings, line):
    assert lines_about(task="pairs", variant="attention", text=PAIRS, **settings) == [line]


def refused_by(row):
    """The least that one must ask for to be refused by a row of the table."""
    settings = {row.given: row.given_value, row.field: row.value}
    if settings.get("task") == "pairs":
        settings = {"variant": "encoder_decoder", "text": PAIRS, **settings}
    return settings


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: f"{row.given_value}-{row.value}")
def test_each_row_of_the_table_gives_a_line_that_names_field_value_and_reason(row):
    value, instead = str(row.value).lower(), str(row.instead).lower()
    network = "whole" if row.value == "lag" else "encoder_decoder"
    other = f", or variant={network}" if row.given == "variant" else ""
    assert lines_about(**refused_by(row)) == [
        f"{row.field} cannot be {value} with {row.given}={row.given_value}, because {row.because}. "
        f"Try {row.field}={instead}{other}."]


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: f"{row.given_value}-{row.value}")
def test_who_follows_the_advice_is_not_refused(row):
    network = "whole" if row.value == "lag" else "encoder_decoder"
    advised = [{row.field: row.instead}, *([{"variant": network}] if row.given == "variant" else [])]
    for advice in advised:
        settings = {**refused_by(row), **advice, "batch_size": 1}
        if settings.get("task") != "pairs":
            settings.pop("text", None)
        assert RunConfig(**settings).model_dump().items() >= settings.items()


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


# --- what follows from a text --------------------------------------------------------------------


@given(word_texts(), st.sampled_from(["echo", "reverse"]))
def test_the_vocabulary_follows_from_words(text, task):
    read = min(5, len(texts.words(text)))
    config = RunConfig(task=task, variant="attention", text=text, input_length=read, output_length=1,
                       batch_size=1)
    assert config.vocab_size == len(config.vocabulary) == len(set(text.split()))
    assert config.vocabulary == texts.vocabulary(text)


@given(pair_texts)
def test_all_sizes_follow_from_pairs(text):
    config = RunConfig(task="pairs", variant="encoder_decoder", text=text)
    pairs = [line.split("=>") for line in text.splitlines()]
    assert config.vocab_size == len(config.vocabulary) == len(set(text.split()) - {"=>"})
    assert config.input_length == config.sequence_length == max(len(question.split()) for question, _ in pairs)
    assert config.output_length == max(len(answer.split()) for _, answer in pairs)
    assert config.batch_size == config.num_windows == len(pairs)
    assert (config.stateful, config.sequences_per_epoch) == (False, 1)


def test_numbers_have_no_vocabulary_of_words():
    assert RunConfig().vocabulary == ()


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u200b", "\x00\ud800"])
def test_a_text_of_nothing_is_none(text):
    assert RunConfig(text=text) == RunConfig()


@given(st.text())
def test_a_text_is_kept_in_its_form(typed):
    settings = {"text": typed, "input_length": 1, "output_length": 1, "batch_size": 1}
    different = set(texts.words(texts.normalise(typed)))
    if "=>" in different or len(different) == 1:
        [line] = lines_about(**settings)
        assert line.startswith("text ")
    else:
        assert RunConfig(**settings).text == texts.normalise(typed)


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
