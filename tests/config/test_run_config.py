"""What a run is: invariants with words, ids that stay, and doors through which a config passes whole."""


import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from echo_core.config import RunConfig
from echo_core.config.compatibility import REFUSALS
from echo_core.config.repair import explain
from echo_core.text import words as texts
from tests.helpers.strategies import FIELDS, PAIRS, VARIANTS_IN_WORDS, pair_texts, word_texts


def lines_about(**settings):
    """What is said of settings that cannot be."""
    with pytest.raises(ValidationError) as refused:
        RunConfig(**settings)
    return explain(refused.value)


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
