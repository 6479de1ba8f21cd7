"""Files with words as editors, spreadsheets and flashcard programs write them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_core.text.files import MAX_FILE_BYTES, read_pairs, read_words, shield, unshield
from echo_core.text.words import ARROW, MAX_CHARACTERS, Pair, normalise, pairs, read

HEADING = "Line 1 of the file was taken for a heading and left out. If it is a pair, move it further down."
OTHERS = "Columns {} and {} of the file were read, and its other columns left out."


def found_in(text, encoding="utf-8"):
    """The pairs of a file as a text, and what is said of the file."""
    return read_pairs(text.encode(encoding))


def line_about(data):
    """What is said of a file that is refused."""
    with pytest.raises(ValueError, match=r"^text ") as refused:
        read_pairs(data)
    return str(refused.value)


#: A cell of any words, quotes and separators, which no heading has and which is no arrow.
cells = st.lists(st.text(st.sampled_from('ab é"\';,\t\n日'), min_size=1, max_size=8), min_size=1, max_size=3).map(
    lambda parts: "x" + "".join(parts).strip(" \t\n"))


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8), st.sampled_from("\t;,"),
       st.sampled_from(["\r\n", "\n"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_a_table_with_every_cell_in_quotes_is_its_pairs(rows, separator, ends, encoding):
    table = io.StringIO(newline="")
    csv.writer(table, delimiter=separator, lineterminator=ends, quoting=csv.QUOTE_ALL).writerows(rows)
    assert pairs(normalise(found_in(table.getvalue(), encoding).text)) == tuple(
        Pair(*(tuple(cell.split()) for cell in row)) for row in rows)


@pytest.mark.parametrize(("table", "text"), [
    ("how are you ?,fine", "how are you ? => fine"),
    ("a,b\n\n,\nc,d\n", "a => b\nc => d"),
    ('"yes, you",me', "yes, you => me"),
    ('"yes, you", "me, too"', "yes, you => me, too"),
    ('"say ""hello""",hello', 'say "hello" => hello'),
    ('"two\nlines",one', "two lines => one"),
    ("how are you ? => fine, thanks", "how are you ? => fine, thanks"),
    ("a => b\nno pair, no table", "a => b\nno pair, no table"),  # whoever cuts it into pairs names the line
    ("guten Tag;hello, you\nja;yes", "guten Tag => hello, you\nja => yes"),
    ("go, now\tva, maintenant\nI see; yes\tje vois; oui", "go, now => va, maintenant\nI see; yes => je vois; oui"),
    ("sep=|\na|b\n", "a => b"),  # as Excel reads it
    ("a,b,\nc,d,\n", "a => b\nc => d"),
    ('"Hi" he said\t"Salut" dit-il\n"open\tclosed"', '"Hi" he said => "Salut" dit-il\n"open => closed"'),
    ("# => hash\n", "# => hash\n"),
])
def test_tables_and_pairs_are_read_as_programs_write_them(table, text):
    assert found_in(table) == (text, ())


@pytest.mark.parametrize(("table", "text", "notes"), [
    ("go\tva\trow 1\nI see\tje vois\trow 2", "go => va\nI see => je vois", [OTHERS.format(1, 2)]),
    ("go\tva\nI see\tje vois\trow 2", "go => va\nI see => je vois", [OTHERS.format(1, 2)]),
    ("question,answer\nwho ?,me", "who ? => me", [HEADING]),
    ("Front\tBack\nwho ?\tme", "who ? => me", [HEADING]),
    ("Rückseite;Vorderseite\nich;wer ?", "wer ? => ich", [HEADING]),
    ("English,French\nyes,oui", "yes => oui", [HEADING]),
    ("english,anglais\nyes,oui", "english => anglais\nyes => oui", []),  # a pair
    ("id,Question:,Answer:,tag\n1,who ?,me,x\n2,what ?,this,", "who ? => me\nwhat ? => this",
     [HEADING, OTHERS.format(2, 3)]),
    ("#separator:tab\n#html:false\n\"a \"\"b\"\"\"\tc\n", 'a "b" => c', []),
    ("#separator:tab\n#html:true\nhow are <b>you</b>&nbsp;?<br>well?\t<div>fine [sound:x.mp3]</div>\n",
     "how are you ? well? => fine", []),
    ("#separator:Semicolon\n#html:false\n#tags column:1\nx;a;b\n", "a => b", [OTHERS.format(2, 3)]),
    ("#separator:tab\n#html:false\n#guid column:1\n#notetype column:2\n#deck column:3\n#tags column:6\n"
     "k)\tBasic\tDeck\twho ?\tme\t\n", "who ? => me", [OTHERS.format(4, 5)]),
    ("#separator:comma\n#columns:Back,Front\nme,who ?\n", "who ? => me", []),
])
def test_headings_and_other_columns_are_left_out_with_a_word(table, text, notes):
    assert found_in(table) == (text, tuple(notes))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_file_is_read_in_each_encoding_that_has_a_mark(encoding):
    assert found_in('"yes, 你",é\n', encoding).text == "yes, 你 => é"
    assert normalise(read_words("to be or not".encode(encoding))) == "to be or not"


@given(st.text() | st.text(st.sampled_from("'=+-@＝a\t"), max_size=5))
def test_a_shielded_cell_is_no_formula_and_comes_back_as_it_was(cell):
    assert not shield(cell).startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    assert unshield(shield(cell)) == cell


def test_a_table_with_shielded_cells_is_read_as_it_was_before():
    assert found_in("'=1+1,'@sum\n'+cmd,'-2\n''=a,'it is\n").text == "=1+1 => @sum\n+cmd => -2\n'=a => 'it is"


def test_only_pairs_are_a_table():
    assert read_words(b"to be,\tor not\tto be") == "to be,\tor not\tto be"


RULE = "text must be a table with a question and an answer in every row; "


@pytest.mark.parametrize(("data", "line"), [
    (b"\xff\xfe\x00", "text must be a file in UTF-8; this one is not. Save it as UTF-8 and try again."),
    ("a,é".encode("cp1252"), "text must be a file in UTF-8; this one is not. Save it as UTF-8 and try again."),
    (b"PK\x03\x04\x14\x00\xb5", "text must be a file in UTF-8; this one is not. Save it as UTF-8 and try again."),
    (b"", "text must be a file with words; received a blank one. Try another file, or none."),
    (b"#separator:tab\n#html:true\n",
     "text must be a file with words; received a blank one. Try another file, or none."),
    (b" \n\n", "text must be a file with words; received a blank one. Try another file, or none."),
    ("\ufeff\u200b\n".encode(), "text must be a file with words; received a blank one. Try another file, or none."),
    (b"a" * (MAX_FILE_BYTES + 1),
     "text must have at most 4,096 bytes; received a file of 1,000,001. Try a shorter one."),
    (b"a,b\nc,d,e\n", RULE + 'received 3 columns in line 2, but not in each line. Try "quotes" around a cell that has '
     "a , in it."),
    (b"a,b\n,d\n", RULE + "received a row without one of them in line 2. Try to fill or delete it."),
    (b'"a\na",b\nc\n', RULE + "received a row without one of them in line 3. Try to fill or delete it."),
    (b"a,b\nc => d,e\n", RULE + "received a cell with => in line 2. Try it without."),
    (b"question,answer\n", RULE + "received only a heading. Try a pair a line, question => answer."),
    (b"a" * 200_000 + b",b", RULE + "received a cell of more than 131,072 characters. Try a pair a line, "
     "question => answer."),
])
def test_a_file_that_cannot_be_read_is_refused_with_its_line(data, line):
    assert line_about(data) == line


@pytest.mark.parametrize("table", ["only one column", "a,", ",", "#html:true\nonly one"])
def test_what_is_no_table_stays_a_text_that_is_no_pairs(table):
    with pytest.raises(ValueError, match=r"in line 1\."):
        pairs(normalise(found_in(table).text))


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(',;\t"\n=>#:'), max_size=60)
       | st.sampled_from(["#separator:tab\n", "#separator:\n", "#html:true", "#columns:", "sep=,",
                          "#tags column:0\na,b", '"', '"a,"b"\n"'])
       | st.text(st.sampled_from(',;"\n=>#: ab'), max_size=30).map("#separator:{}".format))
def test_any_file_gives_a_text_or_a_line_that_says_why_not(text):
    try:
        said = found_in(text).text
    except ValueError as error:
        said = str(error).splitlines()
        assert len(said) == 1
    assert said or not normalise(text)


def test_the_largest_file_is_read_at_once_and_its_text_refused_by_its_size():
    data = b"a,b\n" * (MAX_FILE_BYTES // 4)
    found = read_pairs(data)
    assert len(found.text) > MAX_CHARACTERS
    with pytest.raises(ValueError, match=f"received {len(found.text):,}"):
        read(found.text)
    assert ARROW in found.text
