"""The visitor's own words: kept in one form, cut into tokens, and packed for links.

A text of the tasks echo and reverse is a row of words. One of the task pairs has a pair a line,
`how are you ? => i'm fine`. Whatever somebody typed, it stays text: nobody renders it as HTML.
"""

import base64
import binascii
import csv
import unicodedata
import zlib
from typing import NamedTuple

#: Bytes that a text may have, once it is in its form.
MAX_BYTES = 4096
#: Characters that are looked at, before a text is in its form: to sort the accents of a megabyte takes minutes.
MAX_CHARACTERS = 4 * MAX_BYTES
#: Between the two sides of a pair.
ARROW = "=>"
#: Spreadsheets put it before their first cell, where it would hide that cell's quotes.
BYTE_ORDER_MARK = "\ufeff"
#: How a packed text begins.
PACKED = "zip:"

Tokens = tuple[str, ...]


class Pair(NamedTuple):
    """What is read and what should come back, in tokens."""

    question: Tokens
    answer: Tokens


def read(text: str) -> str:
    """A text as it comes, packed or not, in its form.

    Raises:
        ValueError: If it was damaged on its way, or is too long.
    """
    given = unpack(text)
    if len(given) > MAX_CHARACTERS:
        raise ValueError(f"text must have at most {MAX_BYTES:,} bytes; received {len(given):,} characters. "
                         "Try a shorter one.")
    formed = normalise(given)
    if (size := len(formed.encode())) > MAX_BYTES:
        raise ValueError(f"text must have at most {MAX_BYTES:,} bytes; received {size:,}. Try a shorter one.")
    return formed


def normalise(text: str) -> str:
    """The one form of a text: composed characters, one space between words, no empty lines, nothing invisible.

    `normalise(" how  are you?=> fine ") -> "how are you? => fine"`
    """
    composed = unicodedata.normalize("NFC", text)
    lines = ("".join(character if _is_shown(character) else " " for character in line)
             for line in composed.replace(ARROW, f" {ARROW} ").splitlines())
    return "\n".join(filter(None, (" ".join(line.split()) for line in lines)))


def words(text: str) -> Tokens:
    """All tokens of a text in its form, line after line."""
    return tuple(text.split())


def pairs(text: str) -> tuple[Pair, ...]:
    """The pairs of a text in its form, one a line.

    Raises:
        ValueError: If a line is no pair; it names the line.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        sides = [tuple(side.split()) for side in line.split(ARROW)]
        if len(sides) != 2 or not all(sides):
            raise ValueError(f"text must have a pair a line, question {ARROW} answer, with words on both sides; "
                             f"received {_cut(line)!r} in line {number}. Try \"how are you ? {ARROW} i'm fine\".")
        found.append(Pair(*sides))
    return tuple(found)


def vocabulary(text: str) -> Tokens:
    """The different tokens of a text in their order by Unicode, the arrow aside: token `k` is `vocabulary(text)[k]`."""
    return tuple(sorted({*words(text)} - {ARROW}))


def pack(text: str) -> str:
    """A text in few characters that a link may have: `zip:…`."""
    return PACKED + base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def unpack(text: str) -> str:
    """The inverse of `pack`; anything else is a text as it is, as is one with spaces: nothing packed has any.

    Raises:
        ValueError: If it begins like a packed text and is none, or is larger than a text may be.
    """
    # A text to train on has two words at least, so one of these that begins with "zip:" is safe.
    if not text.startswith(PACKED) or len(text.split(None, 1)) > 1:
        return text
    packed = text.removeprefix(PACKED).rstrip()
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        whole = unpacker.decompress(data, MAX_BYTES + 1)  # never more, whatever a stranger has packed
        if len(whole) > MAX_BYTES or not unpacker.eof:
            raise ValueError
        return whole.decode()
    except (ValueError, binascii.Error, zlib.error):
        raise ValueError("text cannot be read, as the link that brought it was damaged; "
                         f"received {_cut(text)!r}. Try the link again, or type the text.") from None


def from_csv(text: str) -> str:
    """Pairs out of a table of two columns: `how are you ?,fine -> how are you ? => fine`. Text with arrows stays.

    Raises:
        ValueError: If a cell is larger than any table's.
    """
    if ARROW in text:
        return text
    lines = text.removeprefix(BYTE_ORDER_MARK).splitlines(keepends=True)
    try:
        rows = [[" ".join(cell.split()) for cell in row] for row in csv.reader(lines)]
    except csv.Error as error:
        raise ValueError(f"text must be a table of two columns, question and answer; received one that cannot be "
                         f"read: {error}. Try a pair a line, question {ARROW} answer.") from None
    return "\n".join(f" {ARROW} ".join(row) for row in rows if any(row))


def _cut(text: str, longest: int = 40) -> str:
    return text if len(text) <= longest else text[:longest] + "…"


def _is_shown(character: str) -> bool:
    # Control and format characters, surrogates, private ones: nobody sees them, and some turn text around.
    return character == " " or unicodedata.category(character)[0] not in "CZ"
