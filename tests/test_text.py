"""Words of the visitor's own: one form for whatever was typed, links that carry it, and nothing that can hurt."""

import csv
import io
import re
import string
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_core.text import (
    ARROW,
    MAX_BYTES,
    MAX_CHARACTERS,
    PACKED,
    Pair,
    from_csv,
    normalise,
    pack,
    pairs,
    read,
    unpack,
    vocabulary,
    words,
)
from tests.helpers.strategies import pair_texts, sides, word_texts

#: Any text that Python can hold, surrogates and all.
anything = st.text(st.characters() | st.sampled_from(" \n\r\t\x00=>\u200b\u202e\ufeff\u0301\u0338"))


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
    ("right\u202eleft", "right left"),  # it would turn around what follows
    ("no\u00a0break\u3000wide", "no break wide"),
    ("nul\x00 bell\x07 escape\x1b[31m", "nul bell escape [31m"),
    ("half \ud800 a pair", "half a pair"),
    ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # a text, and nobody renders it as HTML
    ("日本 語 😀", "日本 語 😀"),
])
def test_what_is_typed_has_one_form(typed, form):
    assert normalise(typed) == form


@given(anything)
def test_the_form_of_a_form_is_itself(text):
    assert normalise(normalise(text)) == normalise(text)


@given(anything)
def test_a_form_has_nothing_invisible_but_single_spaces_and_line_ends(text):
    lines = normalise(text).split("\n")
    assert lines == [""] or all(lines)
    for line in lines:
        assert line.split(" ") == line.split() or not line
        assert not {character for character in line if unicodedata.category(character)[0] in "CZ"} - {" "}
    assert normalise(text).encode().decode() == normalise(text)


@given(anything)
def test_a_form_has_everything_that_was_visible(text):
    visible = [character for character in unicodedata.normalize("NFC", text)
               if unicodedata.category(character)[0] not in "CZ"]
    assert "".join(words(normalise(text))) == "".join(visible)


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
    ("a" * 4097, "4,097"), ("é" * 2049, "4,098"), ("a=>" * 1000, "4,999"), ("a" * 16_385, "16,385 characters"),
    (" " * 16_385, "16,385 characters")])
def test_a_longer_text_is_refused_with_its_size(text, received):
    assert line_about(read, text) == (f"text must have at most 4,096 bytes; received {received}. "
                                      "Try a shorter one.")


@pytest.mark.parametrize("text", ["a" * 10_000_000, "a b " * 2_500_000, "a" + "\u0301\u0323" * 500_000,
                                  PACKED + "A" * 10_000_000])
def test_a_huge_text_is_refused_at_once(text):
    begun = time.perf_counter()
    line = line_about(read, text)
    assert time.perf_counter() - begun < 1  # to put the accents of the third in order takes minutes
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
def test_a_packed_text_that_would_be_huge_is_refused_at_once(bomb):
    begun = time.perf_counter()
    assert_is_a_line_about_a_damaged_link(line_about(unpack, bomb))
    assert time.perf_counter() - begun < 0.5


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


# --- tables --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=8), st.sampled_from(["\r\n", "\n"]),
       st.sampled_from(["", "\ufeff"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_a_table_of_two_columns_is_pairs(rows, ends, mark, quoting):
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator=ends, quoting=quoting).writerows(map(" ".join, row) for row in rows)
    assert pairs(normalise(from_csv(mark + table.getvalue()))) == tuple(Pair(*row) for row in rows)


@pytest.mark.parametrize(("table", "text"), [
    ("", ""),
    ("how are you ?,fine", "how are you ? => fine"),
    ("a,b\n\n,\nc,d\n", "a => b\nc => d"),
    ('"yes, you",me', "yes, you => me"),
    ('\ufeff"yes, you",me', "yes, you => me"),  # as spreadsheets save it
    ('"say ""hello""",hello', 'say "hello" => hello'),
    ('"two\nlines",one', "two lines => one"),
    ("how are you ? => fine, thanks", "how are you ? => fine, thanks"),
])
def test_tables_are_read_as_spreadsheets_write_them(table, text):
    assert from_csv(table) == text


@given(anything)
def test_any_table_gives_a_text_or_a_line_that_says_why_not(table):
    assert isinstance(from_csv(table), str)


def test_a_cell_of_a_megabyte_is_refused():
    assert line_about(from_csv, "a" * 1_000_000) == (
        "text must be a table of two columns, question and answer; received one that cannot be read: field larger "
        "than field limit (131072). Try a pair a line, question => answer.")


@pytest.mark.parametrize("table", ["only one column", "a,b,c", ",b", "a,"])
def test_a_table_of_more_or_fewer_columns_is_refused_by_the_line(table):
    assert "in line 1." in line_about(pairs, normalise(from_csv(table)))
