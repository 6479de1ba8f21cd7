"""Settings as people and links bring them: any nonsense gives a run that can be, and nothing is changed unsaid."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from echo_core.config import RunConfig, sizes_of_text
from echo_core.config.compatibility import AXES
from echo_core.config.presets import PRESETS, SAMPLE_PAIRS
from echo_core.config.repair import (
    explain,
    following,
    parse_settings,
    repair_settings,
    settings_from_json,
    with_settings,
)
from echo_core.config.variants import VARIANTS
from echo_core.text import words as texts
from tests.helpers.strategies import DEFAULTS, FIELDS, PAIRS, VARIANTS_IN_WORDS, configs, pair_texts, word_texts

LENGTHS = ("sequence_length", "input_length", "output_length", "echo_start")
CHOICES = ("task", "variant", "cell", "representation", "missing", "schedule")
PACKED = texts.pack(PAIRS)


# --- settings that are given strictly ------------------------------------------------------------


def test_settings_are_parsed_as_field_equals_value():
    assert parse_settings(["units=64", " seed = 3 "]) == {"units": "64", "seed": "3"}
    assert parse_settings(["text=a => b", "text_=", "="]) == {"text": "a => b", "text_": "", "": ""}
    assert parse_settings(["text= "]) == {"text": " "}  # blanks are refused, and nothing is no text
    with pytest.raises(ValueError, match=r"^a setting must be FIELD=VALUE; received units\. Try units=64\.$"):
        parse_settings(["units"])


@pytest.mark.parametrize("again", ["units=9", "units=8", " units =8"])
def test_a_setting_that_is_given_twice_is_refused_even_if_equal(again):
    with pytest.raises(ValueError, match=r"^units must be set once; received 8 and [89]\. Try only the one"):
        parse_settings(["units=8", "seed=3", again])


def refusals(begin, settings):
    """What is said of a change that cannot be."""
    with pytest.raises(ValidationError) as refused:
        with_settings(begin, settings)
    return explain(refused.value)


@given(configs())
def test_a_config_with_nothing_changed_is_itself(config):
    assert with_settings(config, {}) == config
    assert with_settings(config, config.to_query()) == config
    assert with_settings(RunConfig(), config.to_query()) == config


@given(configs(), st.integers(1, 1000))
def test_what_has_nothing_to_do_with_the_text_changes_alone(config, number):
    settings = {"seed": number, "units": str(number), "schedule": "cosine", "clip_norm": 0.5}
    assert with_settings(config, settings) == RunConfig(**{**config.model_dump(), **settings})


@pytest.mark.parametrize("name", ["whole", "quick", "pairs"])
@given(text=pair_texts)
def test_all_that_follows_from_pairs_follows_by_itself(name, text):
    settings = {"task": "pairs", "text": text, "variant": "encoder_decoder"}
    config = with_settings(PRESETS[name].config, settings)
    assert config.model_dump().items() >= {**settings, **sizes_of_text("pairs", text)}.items()
    assert config.units == PRESETS[name].config.units


@given(text=word_texts())
def test_the_vocabulary_follows_from_words_and_no_length_does(text):
    begin = RunConfig(input_length=1, output_length=1, batch_size=5)
    config = with_settings(begin, {"text": texts.pack(text)})
    assert config == RunConfig(**{**begin.model_dump(), "text": text, "vocab_size": len(set(text.split()))})


@pytest.mark.parametrize(("begin", "settings", "line"), [
    ("whole", {"text": "a b c d e", "vocab_size": "100"},
     "vocab_size must be 5 with this text, because it follows from its words; received 100. Try vocab_size=5."),
    ("whole", {"text": "a b c"}, "text must have at least input_length (5) words, so that there is a window to show; "
                                 "received 3. Try a longer text, or input_length=3."),
    ("pairs", {"text": PAIRS, "input_length": 9},
     "input_length must be 4 with this text, because it follows from its words; received 9. Try input_length=4."),
    ("pairs", {"text": PAIRS, "batch_size": "12"},
     "batch_size must divide the 2 windows of an epoch, because a compiled epoch needs equal batches; received 12. "
     "Try one of [1, 2]."),
    ("pairs", {"stateful": "true"},
     "stateful cannot be true with task=pairs, because one pair does not go on where the one before it ended. "
     "Try stateful=false."),
    ("pairs", {"text": "a b c"},
     "text must have a pair a line, question => answer, with words on both sides; received 'a b c' in line 1. "
     "Try \"how are you ? => i'm fine\"."),
    ("whole", {"task": "pairs", "text": PAIRS},
     "task cannot be pairs with variant=whole, because question and answer have lengths of their own, which takes "
     "an encoder and a decoder. Try task=echo, or variant=encoder_decoder."),
    ("quick", {"task": "pairs"},
     "text must have the pairs that task pairs learns; received an empty text. "
     "Try text=\"how are you ? => i'm fine\", a pair a line."),
    ("quick", {"text": PAIRS},
     "text must be a row of words for task echo; received a pair with =>. Try task=pairs, or words alone."),
    ("quick", {"colour": "red"}, f"colour is not a setting. Try one of {', '.join(FIELDS)}."),
])
def test_what_is_given_must_fit_and_is_refused_in_words_else(begin, settings, line):
    assert refusals(PRESETS[begin].config, settings) == [line]


@pytest.mark.parametrize(("values", "names"), [
    ({}, set()),
    ({"text": ""}, set()),
    ({"text": None}, set()),
    ({"text": " \n"}, set()),
    ({"text": "zip:damaged"}, set()),
    ({"text": "a" * 5000}, set()),
    ({"text": "a b", "task": "echo"}, {"vocab_size"}),
    ({"text": "a b", "task": "pairs"}, set()),
    ({"text": PACKED, "task": "pairs"}, {"vocab_size", "input_length", "sequence_length", "output_length", "stateful",
                                         "sequences_per_epoch", "batch_size"}),
])
def test_what_follows_from_a_text_is_known_by_name(values, names):
    assert following(values) == names


# --- mending -------------------------------------------------------------------------------------

numbers = st.integers(-5, 60) | st.integers() | st.floats()
typed_texts = (
    word_texts() | pair_texts | st.lists(st.sampled_from(["a", "b", "=>", "\n", "zip:", " "])).map("".join)
    | st.sampled_from([
        "=>", "a => b", "a => a", "a b", "a =>", "a b " * 5000, "x" * 100_000, "zip:", "\ufeff", "zip:AAAA", PACKED,
        texts.pack("zip: a"), texts.pack("a" * 10_000), "how are => you", "1.0", "a\x00=\x00>",
        "\n".join(f"{number} => {number + 1}" for number in range(300))]))
nonsense = st.dictionaries(
    st.sampled_from(FIELDS) | st.text(max_size=60),
    st.text(st.characters(), max_size=60) | typed_texts | typed_texts.map(lambda text: texts.pack(text[:4000]))
    | numbers.map(str) | numbers | st.booleans() | st.none() | st.binary(max_size=5) | st.lists(st.integers())
    | st.sampled_from([
        "", "true", "False", "<script>", "1e99", "9" * 5000, "\x00", "\ud800", 10**4000, {"a": "b" * 99}])
    | st.sampled_from([*(value for values in AXES.values() for value in values), "cosine"]),
    max_size=12)

sensible = st.fixed_dictionaries({}, optional={
    "variant": st.sampled_from(list(VARIANTS)), **{
        name: st.sampled_from(AXES[name]) for name in ("task", "cell", "representation", "missing")},
    "input_length": st.integers(1, 40).map(str), "output_length": st.integers(1, 40).map(str),
    "sequence_length": st.integers(1, 40).map(str), "echo_start": st.integers(0, 40).map(str),
    "sequences_per_epoch": st.integers(1, 9).map(str), "batch_size": st.integers(1, 400).map(str),
    "stateful": st.sampled_from(["true", "false"]), "vocab_size": st.integers(2, 40).map(str),
    "text": word_texts() | pair_texts})

sizes = st.fixed_dictionaries({}, optional={
    "variant": st.sampled_from(list(VARIANTS)), "missing": st.sampled_from(AXES["missing"]),
    **{name: st.integers(1, 100_000) for name in (*LENGTHS, "sequences_per_epoch")},
    "batch_size": st.integers(1, 10_000_000), "text": word_texts()})


def is_meant(name, value, used):
    """Whether a value of a config is what somebody can have meant by it."""
    if name == "text":
        return used == texts.read(value if isinstance(value, str) else value.decode())
    if name in CHOICES:
        return used == value
    if name == "stateful":
        written = value.decode() if isinstance(value, bytes) else str(value)
        return written.strip().lower().removesuffix(".0") in (
            ("true", "1", "on", "t", "y", "yes") if used else ("false", "0", "-0", "off", "f", "n", "no"))
    return not isinstance(value, bool) and used == float(value)


@given(nonsense)
def test_mending_any_nonsense_gives_a_config_that_can_be_and_names_all_that_it_did_not_accept(values):
    config, notes = repair_settings(values)
    assert RunConfig.model_validate(config.model_dump()) == config
    for name, value in values.items():
        if name in FIELDS and not any(note.startswith((f"{name} ", f"{name}=")) for note in notes):
            assert is_meant(name, value, getattr(config, name))
    about_unknown = [note for note in notes if "is not a setting." in note or "are not settings." in note]
    assert len(about_unknown) == (not values.keys() <= {*FIELDS})
    assert all(note.isprintable() and len(note) < 400 for note in notes)
    assert repair_settings(config.to_query()) == (config, [])


@given(sensible)
def test_mending_says_which_accepted_values_did_not_fit_and_what_they_are_instead(values):
    config, notes = repair_settings(values)
    used = config.to_query()
    expected = [f"{name}={value} does not fit the other settings; it is {used[name]} instead."
                for name, value in values.items() if name != "text" and str(value) != used[name]]
    if values.get("text", config.text) not in (config.text, ""):
        expected.insert(0, notes[0])  # a text that does not serve the task
        assert notes[0].startswith("text must ")
    assert notes == expected
    moved = {name for name in ("units", "epochs", "learning_rate", "seed", "clip_norm", "schedule", "vocab_size")
             if used[name] != DEFAULTS[name]}
    assert moved <= {"vocab_size"}
    assert not moved or config.text or "vocab_size" in values


@given(sensible)
def test_the_task_wins_over_all_else_and_a_text_brings_its_task_along(values):
    config, _ = repair_settings(values)
    if "task" in values:
        assert config.task == values["task"]
    elif "text" in values:
        assert config.text == values["text"]
        assert config.task == ("pairs" if "=>" in config.text.split() else "echo")
    else:
        assert config.task == "echo"
    if config.variant != values.get("variant", "whole"):
        assert (config.variant, config.task != "echo") == ("whole" if config.task == "lag" else "encoder_decoder", True)


@given(sensible)
def test_mending_what_was_mended_changes_nothing(values):
    config, _ = repair_settings(values)
    assert repair_settings(config.to_query()) == (config, [])
    assert repair_settings(config.model_dump()) == (config, [])


@given(sizes)
def test_any_sizes_are_mended_to_sizes_that_can_be(values):
    config, notes = repair_settings(values)
    assert RunConfig.model_validate(config.model_dump()) == config
    assert repair_settings(config.to_query()) == (config, [])
    assert {note.partition("=")[0] for note in notes} <= set(values)


@given(configs())
def test_settings_that_can_be_are_never_mended(config):
    # Those left out have their defaults, or follow from the text.
    given_fields = {name: value for name, value in config.to_query().items()
                    if value != DEFAULTS[name] or (name == "batch_size" and config.task == "pairs")}
    assert RunConfig.model_validate(given_fields) == config
    assert repair_settings(given_fields) == (config, [])


@given(configs(), st.sets(st.sampled_from(FIELDS)))
def test_a_part_of_settings_that_can_be_is_accepted_without_a_word(config, left_out):
    # Unless nobody said which network, on what; and the batch depends on lengths that may be left out.
    left_out = left_out - {"task", "variant", "text"} | {"batch_size"}
    part = {name: value for name, value in config.to_query().items() if name not in left_out}
    mended, notes = repair_settings(part)
    assert notes == []
    assert mended.to_query().items() >= part.items()


@given(pair_texts, st.sampled_from([{}, {"task": "pairs"}]))
def test_mended_pairs_are_those_of_a_config_of_which_only_they_are_given(text, more):
    repaired = RunConfig(task="pairs", text=text, variant="encoder_decoder")
    assert repair_settings({"text": text, **more}) == (repaired, [])


@pytest.mark.parametrize(("values", "settings", "notes"), [
    ({}, {}, []),
    ({"units": "-5", "seed": "3"}, {"seed": 3}, ["units must be at least 1; received -5. units is 20 instead."]),
    ({"variant": "<script>"}, {},
     [f"variant must be one of {VARIANTS_IN_WORDS}; received <script>. variant is whole instead."]),
    ({"stateful": "perhaps"}, {}, ["stateful must be true or false; received perhaps. stateful is true instead."]),
    ({"input_length": "3", "output_length": "x"}, {"input_length": 3, "output_length": 3, "batch_size": 23},
     ["output_length must be a whole number; received x. output_length is 3 instead."]),
    ({"units": ["1", "2"]}, {}, ["units must be a whole number; received ['1', '2']. units is 20 instead."]),
    ({"units": True}, {}, ["units must be a number; received True. Try units=20. units is 20 instead."]),
    ({"colour": "red"}, {}, [f"colour is not a setting. Try one of {', '.join(FIELDS)}."]),
    ({"batch_size": "6"}, {}, ["batch_size=6 does not fit the other settings; it is 7 instead."]),
    # Those that were not given move first, and without a word.
    ({"output_length": "3"}, {"input_length": 3, "output_length": 3, "batch_size": 23}, []),
    ({"variant": "encoder_decoder", "output_length": "3"}, {"variant": "encoder_decoder", "output_length": 3}, []),
    ({"variant": "encoder_decoder", "output_length": "9"},
     {"variant": "encoder_decoder", "input_length": 9, "output_length": 9, "batch_size": 17}, []),
    ({"input_length": "30"},
     {"input_length": 30, "output_length": 30, "sequence_length": 30, "batch_size": 1}, []),
    ({"sequence_length": "4"},
     {"sequence_length": 4, "input_length": 4, "output_length": 4, "batch_size": 1}, []),
    ({"sequences_per_epoch": "8"}, {"sequences_per_epoch": 8, "stateful": False}, []),
    ({"missing": "mask"}, {"missing": "mask", "batch_size": 29}, []),
    ({"missing": "mask", "variant": "encoder_decoder", "output_length": "2"},
     {"missing": "mask", "variant": "encoder_decoder", "output_length": 2, "batch_size": 13}, []),
    ({"variant": "attention", "echo_start": "3"},
     {"variant": "attention", "echo_start": 3, "input_length": 8, "batch_size": 6}, []),
    ({"variant": "attention", "echo_start": "3", "input_length": "5"},
     {"variant": "attention", "echo_start": 3, "output_length": 2}, []),
    ({"variant": "attention", "echo_start": "30"},
     {"variant": "attention", "echo_start": 30, "input_length": 35, "sequence_length": 35, "batch_size": 1}, []),
    ({"variant": "attention", "echo_start": "30", "sequence_length": "25"},
     {"variant": "attention", "echo_start": 24, "input_length": 25, "output_length": 1, "batch_size": 1},
     ["echo_start=30 does not fit the other settings; it is 24 instead."]),
    # Where both were given, one is named.
    ({"input_length": "30", "sequence_length": "10"},
     {"input_length": 10, "output_length": 10, "sequence_length": 10, "batch_size": 1},
     ["input_length=30 does not fit the other settings; it is 10 instead."]),
    ({"input_length": "5", "output_length": "2"}, {},
     ["output_length=2 does not fit the other settings; it is 5 instead."]),
    ({"echo_start": "2"}, {}, ["echo_start=2 does not fit the other settings; it is 0 instead."]),
    ({"variant": "padded", "echo_start": "4", "output_length": "2", "input_length": "5"},
     {"variant": "padded", "echo_start": 3, "output_length": 2},
     ["echo_start=4 does not fit the other settings; it is 3 instead."]),
    ({"sequences_per_epoch": "8", "stateful": "true"}, {"sequences_per_epoch": 8, "stateful": False},
     ["stateful=true does not fit the other settings; it is false instead."]),
    # The table of what can be combined: the variant gives way to the task, and all else to both.
    ({"task": "reverse"}, {"task": "reverse", "variant": "encoder_decoder"}, []),
    ({"task": "lag", "lag": 7, "variant": "no_memory"},
     {"task": "lag", "lag": 7, "variant": "no_memory", "input_length": 8, "output_length": 8, "batch_size": 6}, []),
    ({"task": "lag", "lag": 7, "input_length": 4}, {"task": "lag", "lag": 3, "input_length": 4, "output_length": 4,
                                                    "batch_size": 11},
     ["lag=7 does not fit the other settings; it is 3 instead."]),
    ({"lag": 7}, {}, ["lag=7 does not fit the other settings; it is 0 instead."]),
    ({"task": "reverse", "variant": "padded"}, {"task": "reverse", "variant": "encoder_decoder"},
     ["variant=padded does not fit the other settings; it is encoder_decoder instead."]),
    ({"task": "reverse", "variant": "many_to_one"}, {"task": "reverse", "variant": "many_to_one"}, []),
    ({"variant": "no_memory", "cell": "gru"}, {"variant": "no_memory"},
     ["cell=gru does not fit the other settings; it is lstm instead."]),
    ({"variant": "padded", "representation": "linear", "missing": "mask"}, {"variant": "padded"},
     ["representation=linear does not fit the other settings; it is one_hot instead.",
      "missing=mask does not fit the other settings; it is drop instead."]),
    # Pairs, with or without a text that has some.
    ({"task": "pairs"}, {"task": "pairs", "text": SAMPLE_PAIRS, "variant": "encoder_decoder"}, []),
    ({"task": "pairs", "text": ""}, {"task": "pairs", "text": SAMPLE_PAIRS, "variant": "encoder_decoder"},
     ["text='' does not fit the other settings; it is \"how are you ? => i'm fine\\nwhat is your… instead."]),
    ({"text": PACKED}, {"task": "pairs", "text": PAIRS, "variant": "encoder_decoder"}, []),
    ({"text": PACKED, "variant": "attention", "batch_size": "1"},
     {"task": "pairs", "text": PAIRS, "variant": "attention", "batch_size": 1}, []),
    ({"text": PACKED, "variant": "whole"}, {"task": "pairs", "text": PAIRS, "variant": "encoder_decoder"},
     ["variant=whole does not fit the other settings; it is encoder_decoder instead."]),
    ({"text": PACKED, "batch_size": "7", "echo_start": "1", "stateful": "true", "vocab_size": "100"},
     {"task": "pairs", "text": PAIRS, "variant": "encoder_decoder"},
     ["batch_size=7 does not fit the other settings; it is 2 instead.",
      "echo_start=1 does not fit the other settings; it is 0 instead.",
      "stateful=true does not fit the other settings; it is false instead.",
      "vocab_size=100 does not fit the other settings; it is 7 instead."]),
    ({"text": PACKED, "task": "echo"}, {},
     ["text must be a row of words for task echo; received a pair with =>. Try task=pairs, or words alone. "
      "text is '' instead."]),
    ({"text": "a => b\nc", "units": "3"},
     {"task": "pairs", "text": SAMPLE_PAIRS, "variant": "encoder_decoder", "units": 3},
     ["text must have a pair a line, question => answer, with words on both sides; received 'c' in line 2. "
      "Try \"how are you ? => i'm fine\". text is \"how are you ? => i'm fine\\nwhat is your… instead."]),
    # Words.
    ({"text": "a b c d e f"}, {"text": "a b c d e f"}, []),
    ({"text": "a b c"}, {"text": "a b c", "input_length": 3, "output_length": 3, "batch_size": 23}, []),
    ({"text": "a b c", "variant": "attention", "output_length": "5"},
     {"text": "a b c", "variant": "attention", "input_length": 3, "output_length": 3, "batch_size": 23},
     ["output_length=5 does not fit the other settings; it is 3 instead."]),
    ({"text": "a b c", "vocab_size": "100", "input_length": "5"},
     {"text": "a b c", "input_length": 3, "output_length": 3, "batch_size": 23},
     ["vocab_size=100 does not fit the other settings; it is 3 instead.",
      "input_length=5 does not fit the other settings; it is 3 instead."]),
    ({"text": "one"}, {}, ["text must have at least 2 different words; received 1. Try a longer text. "
                           "text is '' instead."]),
    ({"text": "a b " * 5000}, {}, ["text must have at most 4,096 bytes; received 20,000. "
                                   "Try a shorter one. text is '' instead."]),
    ({"text": "zip:\x00"}, {}, ["text cannot be read, as the link that brought it was damaged; received "
                                "'zip:\\x00'. Try the link again, or type the text. text is '' instead."]),
    ({"text": "\u200b "}, {}, ["text must have words; received only blanks. Try words of your own, or no text at all. "
                               "text is '' instead."]),
    ({"text": "zip: a b c d"}, {"text": "zip: a b c d"}, []),
])
def test_mending_moves_as_little_as_it_can(values, settings, notes):
    assert repair_settings(values) == (RunConfig(**settings), notes)


@pytest.mark.parametrize("values", [
    {"sequence_length": "100000", "sequences_per_epoch": "99991", "batch_size": "9999991"},
    {"sequence_length": "99010", "input_length": "1", "sequences_per_epoch": "101", "batch_size": "9999991"},
    {"text": "a" * 10_000_000}, {"text": "a" + "\u0301\u0323" * 1_000_000}, {"text": texts.pack("a" * 10_000_000)},
    {"text": "a=>b\n" * 800}, {"text": "=>" * 8000}, {"x" * 10_000_000: "y"}, {"units": "9" * 1_000_000},
], ids=lambda values: ",".join(values)[:40])
def test_mending_the_largest_settings_is_quick_enough_for_a_link_from_a_stranger(values):
    begun = time.perf_counter()
    config, notes = repair_settings(values)
    assert time.perf_counter() - begun < 20  # a naive search takes minutes
    assert RunConfig.model_validate(config.model_dump()) == config
    assert all(len(note) < 400 for note in notes)


def test_unknown_settings_are_one_line_however_many_there_are():
    assert repair_settings({"hue": 1, "size": 2})[1] == [
        f"hue and size are not settings. Try one of {', '.join(FIELDS)}."]
    config, notes = repair_settings({"units": 8, **{f"colour-{number}": "red" for number in range(100_000)}})
    assert config.units == 8
    assert notes == [f"colour-0, colour-1, colour-2 and 99,997 more are not settings. Try one of {', '.join(FIELDS)}."]


@pytest.mark.parametrize("data", [
    b"[" * 100_000, b'{"units":' * 100_000, b'{"units":' + b"[" * 500 + b"]" * 500 + b"}", b'{"units": {"a": 1}}',
    b"[]", b"8", b"null", b"", b"\xff\xfe", b"\0", b'{"units": 8', b'{"units": 1' + b"0" * 10_000 + b"}",
    b'{"units": 8, "units": 9}'],
    ids=lambda data: repr(data[:12]))
def test_a_file_that_is_no_settings_is_refused_in_one_line(data):
    with pytest.raises(ValueError, match="must be one JSON object of plain values") as refused:
        settings_from_json(data)
    assert "\n" not in str(refused.value)


def test_a_file_of_settings_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(ValueError, match="at most 1,048,576 bytes; this one has 41,943,040"):
        settings_from_json(b" " * (40 * 2**20))


def test_settings_in_a_file_are_read_as_share_writes_them():
    config = PRESETS["pairs"].config
    assert repair_settings(settings_from_json(config.model_dump_json(indent=2).encode())) == (config, [])
    assert settings_from_json(b'\xef\xbb\xbf{"units": 8, "seed": null}') == {"units": 8}


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"NaN", b"1" + b"0" * 4000, b"-1" + b"0" * 4000])
@pytest.mark.parametrize("field", ["units", "learning_rate", "clip_norm", "seed", "stateful", "text", "task"])
def test_a_number_beyond_every_range_is_named_and_not_used(field, number):
    config, notes = repair_settings(settings_from_json(b'{"%s": %s}' % (field.encode(), number)))
    assert config == RunConfig()
    assert len(notes) == 1
    assert notes[0].startswith(field)
    assert len(notes[0]) < 250
