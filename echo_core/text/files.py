"""Files with words, as editors, spreadsheets and flashcard programs write them, read as a text.

A table of questions and answers may be comma-, semicolon- or tab-separated, with a heading and with more columns. Anki
begins its files with lines such as `#separator:tab` that describe the table.
"""

import codecs
import csv
import html
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

from echo_core.text.words import ARROW, MAX_BYTES, MAX_CHARACTERS, normalise, too_long

#: Bytes of a file that are read. A table may have many columns beside the two that are kept.
MAX_FILE_BYTES = 1_000_000

#: Byte order marks. UTF-32's comes before UTF-16's, because it begins with it.
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
              (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

#: Separators of columns, in order of preference: a tab is rare in sentences, a comma is common.
_SEPARATORS = ("\t", ";", ",")
#: The number of first rows by which a separator is chosen.
_JUDGED_ROWS = 200
_ANKI_SEPARATORS: Mapping[str, str] = MappingProxyType(
    {"tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|", "colon": ":", "space": " "})
#: Lines at the top of a file that describe the table: Anki's `#html:true`, `#tags column:3`, and Excel's `sep=;`.
_DIRECTIVE = re.compile("#(separator|html|columns|tags|notetype|deck|guid|if matches)( column)?:(.*)|(sep)()=(.)",
                        re.ASCII | re.IGNORECASE)

#: Names of columns with questions, and of columns with answers.
_QUESTIONS = (" question questions q front term word prompt source input key cue side1 text1 frage vorderseite begriff "
              "wort recto pregunta anverso término domanda fronte pergunta frente вопрос 问题 質問 ")
_ANSWERS = (" answer answers a back definition translation response target output value meaning side2 text2 antwort "
            "rückseite übersetzung réponse verso traduction respuesta reverso traducción risposta retro resposta ответ "
            "答案 答え ")
#: Names of languages, in English, German, French and Spanish. Two of one group are a heading, not "english,anglais".
_LANGUAGES = (
    " english german french spanish italian portuguese dutch polish russian ukrainian turkish arabic hebrew persian "
    "hindi chinese mandarin japanese korean latin greek swedish norwegian danish finnish czech hungarian romanian "
    "vietnamese thai indonesian esperanto irish welsh native foreign ",
    " deutsch englisch französisch spanisch italienisch portugiesisch niederländisch polnisch russisch türkisch latein "
    "griechisch japanisch chinesisch koreanisch schwedisch arabisch ",
    " français anglais allemand espagnol italien portugais néerlandais russe latin grec japonais chinois coréen arabe ",
    " español inglés alemán francés italiano portugués ruso latín griego japonés chino coreano árabe ")


#: The beginning of a cell that spreadsheets run as a formula (also with wide Japanese signs), or of a shielded cell.
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")


class Found(NamedTuple):
    """The text of a file, and a note for each part of the file that was left out."""

    text: str
    notes: tuple[str, ...] = ()


class _Row(NamedTuple):
    """The cells of one row, and the line of the file on which it begins."""

    line: int
    cells: list[str]

    @property
    def filled(self) -> int:
        """The number of cells up to the last one that is not empty."""
        return max((number for number, cell in enumerate(self.cells, 1) if cell), default=0)

    def cell(self, column: int) -> str:
        """One cell, empty beyond the last one."""
        return self.cells[column] if column < len(self.cells) else ""


class _Top(NamedTuple):
    """How to read a table, from the directives at its top."""

    lines: int = 0
    separator: str | None = None
    is_html: bool = False
    names: str = ""
    special: frozenset[int] = frozenset()  # columns that are neither question nor answer


def read_words(data: bytes) -> str:
    """Decode a file of words: UTF-8, or UTF-16 and UTF-32 with a byte order mark.

    Raises:
        ValueError: If the file is too long, is not text, or is blank.
    """
    return _as_it_stands(_decoded(data), len(data))


def _decoded(data: bytes) -> str:
    if len(data) > MAX_FILE_BYTES:
        raise too_long(f"a file of {len(data):,}")
    encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError(
            "text must be a file in UTF-8; this one is not. Save it as UTF-8 and try again.") from None
    return text


def read_pairs(data: bytes) -> Found:
    """Read pairs from a file: lines of `question => answer`, or two columns of a table.

    `read_pairs(b"question,answer\\nhow are you ?,fine\\n").text -> "how are you ? => fine"`

    Raises:
        ValueError: As `read_words`, or if a row has no question or no answer; the message names the line.
    """
    text = _decoded(data)
    top = _top(text)
    if not top.lines and ARROW in next(filter(str.strip, text.splitlines()), ""):
        return Found(_as_it_stands(text, len(data)))
    body = "".join(text.splitlines(keepends=True)[top.lines:])
    separator, rows = _best_table(body, top)
    if all(row.filled < 2 for row in rows):  # not a table: `words.pairs` will report what is wrong with it
        return Found(_as_it_stands(body, len(data)))
    named, notes = _named_columns(top.names.split(separator)), []
    if named is None and (named := _named_columns(rows[0].cells)):
        notes.append(f"Line {rows[0].line} of the file was taken for a heading and left out. "
                     "If it is a pair, move it further down.")
        rows = rows[1:]
    width = max((len(row.cells) for row in rows), default=0)
    question, answer = named or [column for column in range(width + 2) if column + 1 not in top.special][:2]
    if any(row.filled > 2 for row in rows):
        notes.append(f"Columns {question + 1} and {answer + 1} of the file were read, and its other columns left out.")
    return Found("\n".join(_pairs(rows, separator, question, answer)), tuple(notes))


def _as_it_stands(text: str, size: int) -> str:
    """Return the text of a file of `size` bytes. Raises ValueError if it is too long or blank."""
    formed = normalise(text) if len(text) <= MAX_CHARACTERS else None
    if formed is None or len(formed.encode()) > MAX_BYTES:
        raise too_long(f"{size:,}")
    if not formed:
        raise ValueError("text must be a file with words; received a blank one. Try another file, or none.")
    return text


def _pairs(rows: Sequence[_Row], separator: str, question: int, answer: int) -> list[str]:
    """A line `question => answer` for each row. Raises ValueError for a row that is not a pair."""
    rule = "text must be a table with a question and an answer in every row"
    if not rows:
        raise ValueError(f"{rule}; received only a heading. Try a pair a line, question {ARROW} answer.")
    uneven = len({len(row.cells) for row in rows}) > 1 and separator != "\t"
    for row in rows:
        if uneven and row.filled > 2:  # spreadsheets write the same number of columns in every row
            raise ValueError(f"{rule}; received {row.filled} columns in line {row.line}, but not in each "
                             f'line. Try "quotes" around a cell that has a {separator} in it.')
        if ARROW in row.cell(question) + row.cell(answer):
            raise ValueError(f"{rule}; received a cell with {ARROW} in line {row.line}. Try it without.")
        if not (row.cell(question) and row.cell(answer)):
            raise ValueError(f"{rule}; received a row without one of them in line {row.line}. "
                             "Try to fill or delete it.")
    return [f"{row.cell(question)} {ARROW} {row.cell(answer)}" for row in rows]


def _top(text: str) -> _Top:
    """Read the directives at the top of a file; the table begins below them."""
    top = _Top()
    for line in text.splitlines():
        if not (found := _DIRECTIVE.fullmatch(line)):
            break
        key, is_column, value = (found[1] or found[4]).lower(), found[2] or found[5], found[3] or found[6] or ""
        word = value.strip().lower()
        top = top._replace(lines=top.lines + 1)
        if is_column:
            top = top._replace(special=top.special | ({int(word)} if word.isdecimal() else set()))
        elif key in ("separator", "sep"):
            top = top._replace(separator=_ANKI_SEPARATORS.get(word, value if len(value) == 1 else None))
        elif key == "html":
            top = top._replace(is_html=word == "true")
        elif key == "columns":
            top = top._replace(names=value)
    return top


def _best_table(body: str, top: _Top) -> tuple[str, list[_Row]]:
    """The separator and the rows of a table; the separator is named by the file, or fits its first rows best."""
    candidates = (top.separator,) if top.separator else _SEPARATORS

    def fitness(separator: str) -> tuple[float, bool, float]:
        rows, quotes_close = _rows(body, separator, top, _JUDGED_ROWS)
        widths = Counter(len(row.cells) for row in rows)
        return (sum(row.filled > 1 for row in rows) / max(1, len(rows)), quotes_close,
                max(widths.values(), default=0) / max(1, len(rows)))

    best = max(candidates, key=fitness)
    return best, _rows(body, best, top)[0]


def _rows(body: str, separator: str, top: _Top, most: int | None = None) -> tuple[list[_Row], bool]:
    """The rows of a table that are not empty, and whether its quotes close."""
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):  # quotes that do not close are part of the sentences
        reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator, quoting=quoting, strict=True,
                            skipinitialspace=separator in ";,")
        rows, line = [], top.lines + 1
        try:
            for cells in islice(reader, most):
                rows.append(_Row(line, [_cell(cell, top.is_html) for cell in cells]))
                line = top.lines + 1 + reader.line_num
        except csv.Error:
            continue
        return [row for row in rows if row.filled], quoting == csv.QUOTE_MINIMAL
    raise ValueError("text must be a table with a question and an answer in every row; received a cell of more than "
                     f"{csv.field_size_limit():,} characters. Try a pair a line, question {ARROW} answer.")


def _cell(cell: str, is_html: bool) -> str:
    """The text of a cell, on one line."""
    if is_html:
        cell = re.sub(r"<(?:br|div|p|li|tr|td)\b[^>]*>", " ", cell)
        cell = html.unescape(re.sub(r"<[^>]*>|\[sound:[^\]]*\]", "", cell))
    return unshield(" ".join(cell.split()))


def shield(cell: str) -> str:
    """Quote a cell that a spreadsheet would run as a formula: `=1+1 -> '=1+1`."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unshield(cell: str) -> str:
    """The inverse of `shield`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _named_columns(names: Sequence[str]) -> tuple[int, int] | None:
    """The columns of question and answer, if these cells are a heading that names them; else None."""
    known = [f" {re.sub(r'[ .:*_#?()-]', '', name.lower())} " for name in names]
    asking, answering, *spoken = ([column for column, name in enumerate(known) if name in group]
                                  for group in (_QUESTIONS, _ANSWERS, *_LANGUAGES))
    if asking and answering:
        return asking[0], answering[0]
    return next(((columns[0], columns[1]) for columns in spoken if len(columns) > 1), None)
