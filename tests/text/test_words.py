"""Words of the visitor's own: one form for whatever was typed, links that carry it, and nothing that can hurt."""

import hashlib
import re
import string
import time
import tracemalloc
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_core.config import RunConfig
from echo_core.text.words import (
    ARROW,
    MAX_BYTES,
    MAX_CHARACTERS,
    PACKED,
    Pair,
    normalise,
    pack,
    pairs,
    read,
    refuse_blank,
    unpack,
    vocabulary,
    words,
)
from tests.helpers.strategies import pair_texts, sides, word_texts

#: Any text that Python can hold, surrogates and all.
anything = st.text(st.characters() | st.sampled_from(
    " \n\r\t\x00=>ea0\u200b\u202e\ufeff\u0301\u0338\u200c\u200d\u094d\ufe0f❤\u3099か\U0001e08f"
    "\U0001f3f4\U000e0067\U000e007f"))


def line_about(function, *arguments):
    """What is said of an argument that is refused."""
    with pytest.raises(ValueError, match=r"^text ") as refused:
        function(*arguments)
    return str(refused.value)


# --- the one form --------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "form"), [
    ("", ""),
    (" \t\n ", ""),
    (" how  are you?=> fine ", "how are you? => fine"),
    ("one\r\n\r\n two\rthree\u2028four", "one\ntwo\nthree\nfour"),
    ("a=>b\n\nc =>\td", "a => b\nc => d"),
    ("==>>", "= => >"),
    ("e\u0301t\u00e9", "\u00e9t\u00e9"),  # composed, so that equal words are one word
    ("\ufeffbyte order", "byte order"),
    ("right\u202eleft", "rightleft"),  # it would turn around what follows
    ("no\u00a0break\u3000wide", "no break wide"),
    ("nul\x00 bell\x07 escape\x1b[31m", "nul bell escape[31m"),
    ("half \ud800 a pair", "half a pair"),
    ("e\u00ad\u0301", "\u00e9"),
    ("a =\u200b> b", "a => b"),
    ("a \u200d=>\u200d b", "a => b"),  # a joiner that joins nothing
    ("\u200ca\u200d b\u200c\n\u200d", "a b"),
    ("a\u200c\u200cb", "a\u200cb"),
    ("co\ufe0fop", "coop"),  # no letter of Europe has another look
    ("\ue000", "\ue000"),  # a private character: its own font shows a sign, other fonts a box
    ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # a text, and nobody renders it as HTML
    ("日本 語 😀", "日本 語 😀"),
])
def test_what_is_typed_has_one_form(typed, form):
    assert normalise(typed) == form


@given(anything)
def test_the_form_of_a_form_is_itself(text):
    assert normalise(normalise(text)) == normalise(text)


@given(anything)
def test_a_form_has_single_spaces_and_line_ends_and_can_be_encoded(text):
    lines = normalise(text).split("\n")
    assert lines == [""] or all(lines)
    for line in lines:
        assert line.split(" ") == line.split() or not line
    assert normalise(text).encode().decode() == normalise(text)


@given(anything)
def test_a_form_has_everything_that_was_visible(text):
    # By Python's own tables, for what they know: marks that are new, and unseen ones, are looked at below.
    def visible(text):
        return [character for character in text if unicodedata.category(character)[0] in "LNPS"]
    assert visible(unicodedata.normalize("NFD", normalise(text))) == visible(unicodedata.normalize("NFD", text))


# --- what cannot be seen -------------------------------------------------------------------------

#: By Unicode's property Default_Ignorable_Code_Point, without joiners and what chooses the look of another character.
UNSEEN = [*range(0x00, 0x09), *range(0x0E, 0x1C), *range(0x7F, 0x85), *range(0x86, 0xA0), 0xAD, 0x34F, 0x61C, 0x115F,
          0x1160, 0x17B4, 0x17B5, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164,
          0xFEFF, 0xFFA0, *range(0xFFF0, 0xFFFC), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B),
          *range(0xE0000, 0xE0100), *range(0xE01F0, 0xE1000), 0xD800, 0xDFFF, 0xFDD0, 0xFFFE, 0x10FFFF]


@pytest.mark.parametrize("word", ["co{}op", "{}coop", "coop{}", "c{0}o{0}{0}op"])
def test_what_cannot_be_seen_is_removed_and_splits_no_word(word):
    split = [hex(code) for code in UNSEEN if normalise(f"{word.format(chr(code))} => shop") != "coop => shop"]
    assert not split


@pytest.mark.parametrize("word", [
    "نمی\u200cخواهم",  # Persian
    "👨\u200d👩\u200d👧", "❤\ufe0f\u200d🔥", "🏳\ufe0f\u200d🌈", "1\ufe0f\u20e3",
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # Scotland's flag
    "क्\u200dष", "ශ්\u200dරී", "അവര്\u200d",  # Hindi, Sinhala, and Malayalam, in which it may end a word
    "Auf\u200clage",  # a German ligature that is none
    "葛\U000e0100", "ᠠ\u180b", "ᠨ\u180eᠠ",
])
def test_what_joins_or_chooses_a_look_within_a_word_stays(word):
    assert words(normalise(f" {word}\u200b => {word}")) == (word, ARROW, word)


# --- the same on every Python --------------------------------------------------------------------


def forms_of(characters):
    """A fingerprint of the forms of all words in which a character meets marks that compose and change places."""
    forms = normalise("\n".join(f"e{chr(code)}\u0323{chr(code)}\u0301" for code in characters))
    return hashlib.sha256(forms.encode()).hexdigest()


def test_forms_of_new_characters_are_the_same_with_the_tables_of_every_unicode():
    forms = forms_of([*range(0x600, 0x1000), *range(0x10E00, 0x12000), *range(0x1E000, 0x1FC00)])
    assert forms == "d131e5d11a13a7b9124122532443672c51d5496e5374c78f8e4b8a6220b4cb3e"


@pytest.mark.slow
def test_forms_of_all_characters_are_the_same_with_the_tables_of_every_unicode():
    assert forms_of(range(0x110000)) == "543f44aaf471c5e12aa55dacfb36a8847f6ce775c41087d2ef783c48677a3d11"


@pytest.mark.parametrize(("text", "found"), [
    ("hello => \U0001fae8\nbye => x", ("bye", "hello", "x", "\U0001fae8")),  # an emoji of Unicode 15
    ("\u2ffe => \U0001fa89", ("\u2ffe", "\U0001fa89")),  # 15.1 and 16
    ("a\U0001e08f\u0323 => \U0001f9ff\U0001fadf", ("a\U0001e08f\u0323", "\U0001f9ff\U0001fadf")),  # marks stay in place
])
def test_words_of_new_characters_are_words(text, found):
    assert vocabulary(normalise(text)) == found


def test_the_run_of_a_text_with_new_characters_is_one_and_the_same():
    config = RunConfig(task="pairs", variant="encoder_decoder", text="hello => \U0001fae8\nbye => x")
    assert config.run_id == "cc47564eaee46e23"


@given(anything)
def test_an_arrow_is_always_a_word_of_its_own(text):
    assert all(word == ARROW or ARROW not in word for word in words(normalise(text)))


@given(word_texts() | pair_texts)
def test_texts_in_their_form_are_read_as_they_are_packed_or_not(text):
    assert normalise(text) == read(text) == read(pack(text)) == text


@given(anything)
def test_what_is_read_is_in_its_form(text):
    try:
        formed = read(text)
    except ValueError:
        assert text.startswith(PACKED)
    else:
        assert normalise(formed) == formed


# --- size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a " * (MAX_BYTES // 2) + " ", "é " * (MAX_BYTES // 3), "a" * MAX_BYTES,
                                  "a" + " " * (MAX_CHARACTERS - 2) + "b"])
def test_a_text_may_have_4096_bytes_in_its_form(text):
    assert len(read(text).encode()) <= MAX_BYTES


@pytest.mark.parametrize(("text", "received"), [
    ("a" * 4097, "4,097"), ("é" * 2049, "4,098"), ("a=>" * 1000, "4,999"), ("a" * 16_385, "16,385"),
    ("é" * 16_385, "32,770"), (" " * 16_385, "16,385"), ("\ud800" * 16_385, "49,155")])
def test_a_longer_text_is_refused_with_its_size(text, received):
    assert line_about(read, text) == (f"text must have at most 4,096 bytes; received {received}. "
                                      "Try a shorter one.")


@pytest.mark.parametrize("text", [" ", "\n\t", "\u200b", "\u200d", "\ufeff\n", "zip:eNpTAAAAIQAh"])
def test_a_text_that_is_only_blank_is_refused(text):
    assert line_about(refuse_blank, text) == (
        "text must have words; received only blanks. Try words of your own, or no text at all.")


@pytest.mark.parametrize("text", ["", "a", "\u200b.", "zip:eNpLBAAAYgBi"])
def test_no_text_and_a_text_with_something_in_it_are_not_blank(text):
    refuse_blank(text)


@pytest.mark.parametrize("text", ["a" * 10_000_000, "a b " * 2_500_000, "a" + "\u0301\u0323" * 500_000,
                                  PACKED + "A" * 10_000_000])
def test_a_huge_text_is_refused_at_once(text):
    begun = time.perf_counter()
    line = line_about(read, text)
    assert time.perf_counter() - begun < 10  # to put the accents of the third in order takes minutes
    assert len(line) < 200


# --- links ---------------------------------------------------------------------------------------

packable = st.text(max_size=300).filter(lambda text: len(text.encode()) <= MAX_BYTES)


@given(packable)
def test_packed_there_and_back_is_the_text(text):
    packed = pack(text)
    assert unpack(packed) == unpack(f"{packed}\n") == text
    assert set(packed.removeprefix(PACKED)) <= {*string.ascii_letters, *string.digits, *"-_"}


def test_the_largest_text_goes_through_a_link():
    text = "".join(chr(33 + number * 7 % 90) for number in range(MAX_BYTES))
    assert unpack(pack(text)) == text


@given(anything)
def test_what_is_not_packed_is_a_text_as_it_is(text):
    for plain in (text, f"zip: {text} ends here", f"zip:{pack('a')} {text}"):
        if not plain.startswith(PACKED) or len(plain.split()) > 1:
            assert unpack(plain) == plain


def test_a_text_may_begin_as_a_packed_one_does():
    assert read("zip: a program") == read(pack("zip: a program")) == "zip: a program"


@given(packable, st.data())
def test_a_packed_text_that_was_cut_is_refused(text, data):
    packed = pack(text)
    cut = packed[:data.draw(st.integers(len(PACKED), len(packed) - 1))]
    assert line_about(unpack, cut).endswith("Try the link again, or type the text.")


@given(packable, st.data())
def test_a_packed_text_that_was_damaged_is_refused_or_not_damaged_at_all(text, data):
    packed = pack(text)
    place = data.draw(st.integers(len(PACKED), len(packed) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_=%\x00é\ud800"))
    try:
        assert unpack(packed[:place] + other + packed[place + 1:]) == text  # the last one has bits to spare
    except ValueError as error:
        assert_is_a_line_about_a_damaged_link(str(error))


@given(st.text(st.characters(exclude_categories=("Z", "Cc"))))
def test_what_only_begins_as_a_packed_text_is_refused(text):
    try:
        assert isinstance(unpack(PACKED + text), str)
    except ValueError as error:
        assert_is_a_line_about_a_damaged_link(str(error))


@pytest.mark.parametrize("bomb", [pack("a" * 10_000_000), pack("a" * (MAX_BYTES + 1)), pack("é" * MAX_BYTES)],
                         ids=["10 MB", "a byte more than may be", "a letter of two bytes each"])
def test_a_packed_text_that_would_be_huge_is_refused_before_it_is_unpacked(bomb):
    tracemalloc.start()
    try:
        assert_is_a_line_about_a_damaged_link(line_about(unpack, bomb))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1e6  # of the 10 MB of the first


def assert_is_a_line_about_a_damaged_link(line):
    assert re.fullmatch(r"text cannot be read, as the link that brought it was damaged; received .*\. "
                        r"Try the link again, or type the text\.", line)
    assert line.isprintable()
    assert len(line) < 400


# --- words and pairs -----------------------------------------------------------------------------


@given(st.lists(st.tuples(sides, sides), max_size=8))
def test_pairs_are_what_stands_left_and_right_of_the_arrow_of_each_line(rows):
    text = "\n".join(f"{' '.join(question)}{ARROW}{' '.join(answer)}" for question, answer in rows)
    assert pairs(normalise(text)) == tuple(Pair(*row) for row in rows)


@pytest.mark.parametrize(("text", "received", "number"), [
    ("how are you ?", "'how are you ?'", 1),
    ("a => b\nc\nd", "'c'", 2),
    ("a => b\nc => d\ne =>", "'e =>'", 3),
    ("=> b", "'=> b'", 1),
    ("=>", "'=>'", 1),
    ("a => b => c", "'a => b => c'", 1),
    ("a => => c", "'a => => c'", 1),
    ("it's", '"it\'s"', 1),
    ("x" * 41, f"'{'x' * 40}…'", 1),
])
def test_a_line_that_is_no_pair_is_named(text, received, number):
    assert line_about(pairs, text) == (
        "text must have a pair a line, question => answer, with words on both sides; "
        f"received {received} in line {number}. Try \"how are you ? => i'm fine\".")


@given(word_texts() | pair_texts)
def test_the_vocabulary_is_each_word_once_in_order_without_the_arrow(text):
    found = vocabulary(text)
    assert list(found) == sorted(set(found))
    assert {*found} == {*words(text)} - {ARROW}


def test_the_vocabulary_of_nothing_is_empty():
    assert vocabulary("") == words("") == ()
