"""The visitor's own words: kept in one form, cut into tokens, and packed for links.

A text of the tasks echo and reverse is a row of words. One of the task pairs has a pair a line,
`how are you ? => i'm fine`. A typed text is never rendered as HTML.

The form, and with it the vocabulary and the run id, must be the same on every Python. Each Python brings the tables of
another Unicode version, so the sets of characters below are written out (decision 0026).
"""

import base64
import binascii
import re
import unicodedata
import zlib
from typing import NamedTuple

from echo_core.text.plurals import shortened

#: Bytes that a text may have, once it is in its form.
MAX_BYTES = 4096
#: Characters of a text that is normalised. Sorting the accents of a megabyte would take minutes.
MAX_CHARACTERS = 4 * MAX_BYTES
#: Between the two sides of a pair.
ARROW = "=>"
#: How a packed text begins.
PACKED = "zip:"

_LINE_END = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
#: Characters that look blank, including Braille's blank cell (U+2800).
_GAP = re.compile("[\t\x1f \xa0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]")

#: A flag such as Scotland's is a black flag followed by invisible letters. Those stay; other invisible letters go.
_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
_NO_CHARACTERS = "".join(chr(plane + last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF))
#: Invisible characters that join nothing: control characters, soft hyphens, marks of direction, fillers, surrogates.
_UNSEEN = re.compile(
    f"({_FLAG})|[\\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    f"\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff{_NO_CHARACTERS}]")

#: Variation selectors: invisible, they choose the look of the emoji, Chinese or Mongolian character before them.
_SELECTORS = "\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
#: Characters that can have such a choice. Letters of Europe and the Near East have none.
_SELECTABLE = "#*0-9\xa9\xae\u1000-\u180a\u1810-\u1fff\u2010-\ufdff\ufe10-\U000dffff"
_IDLE_SELECTOR = re.compile(f"(?<![{_SELECTABLE}])[{_SELECTORS}]")

#: Zero width non-joiner and joiner. They stay inside a word or an emoji, whose look depends on them.
_JOINERS = "\u200c\u200d"
#: At the end of a word of India a joiner after one of these changes how the word looks.
_VIRAMAS = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
_IDLE_JOINER = re.compile(f"(?<![^ \n])[{_JOINERS}]+|(?<![{_VIRAMAS}])[{_JOINERS}]+(?![^ \n])"
                          f"|(?<=\u200c)\u200c+|(?<=\u200d)\u200d+")

#: Marks that Unicode 15 and 15.1 added and that would compose or change places with their neighbours. Python 3.11 has
#: Unicode 14 and leaves them in place, so every Python leaves them in place.
_NEW_MARKS = re.compile("([\U00010efd-\U00010eff\U00011f41\U00011f42\U0001e08f\U0001e4ec-\U0001e4ef]+)")

Tokens = tuple[str, ...]


class Pair(NamedTuple):
    """A question and its expected answer, in tokens."""

    question: Tokens
    answer: Tokens


def read(text: str) -> str:
    """Normalise a given text, packed or not.

    Raises:
        ValueError: If a packed text is damaged, or the text is too long.
    """
    given = unpack(text)
    formed = normalise(given) if len(given) <= MAX_CHARACTERS else None
    size = len(given.encode(errors="surrogatepass") if formed is None else formed.encode())
    if formed is None or size > MAX_BYTES:
        raise too_long(f"{size:,}")
    return formed


def too_long(received: str) -> ValueError:
    """The error that says how long a text may be."""
    return ValueError(f"text must have at most {MAX_BYTES:,} bytes; received {received}. Try a shorter one.")


def refuse_blank(text: str) -> None:
    """Raise ValueError for a given text that has only blanks. An empty text is allowed."""
    if text and len(text) <= MAX_CHARACTERS and not normalise(unpack(text)):
        raise ValueError("text must have words; received only blanks. Try words of your own, or no text at all.")


def normalise(text: str) -> str:
    """The one form of a text: composed characters, one space between words, no empty lines, nothing invisible.

    `normalise(" how  are you?=> fine ") -> "how are you? => fine"`
    """
    gapped = _GAP.sub(" ", _LINE_END.sub("\n", text))
    seen = _UNSEEN.sub(lambda found: found[1] or "", gapped)
    composed = _compose(_IDLE_SELECTOR.sub("", _compose(seen)))
    lines = _IDLE_JOINER.sub("", composed.replace(ARROW, f" {ARROW} ")).split("\n")
    return "\n".join(filter(None, (" ".join(_split(line)) for line in lines)))


def _compose(text: str) -> str:
    """Unicode's form C, as of version 14: for characters that it has, no later version changes the form."""
    # Only between the new marks, because nothing composes with them in Python 3.11.
    return "".join(part if number % 2 else unicodedata.normalize("NFC", part)
                   for number, part in enumerate(_NEW_MARKS.split(text)))


def _split(line: str) -> list[str]:
    """The words of a line whose gaps are spaces. `str.split` would depend on the Unicode version of this Python."""
    return [word for word in line.split(" ") if word]


def words(text: str) -> Tokens:
    """All tokens of a text in its form, line after line."""
    return tuple(_split(text.replace("\n", " ")))


def pairs(text: str) -> tuple[Pair, ...]:
    """The pairs of a text in its form, one a line.

    Raises:
        ValueError: If a line is not a pair; the message names the line.
    """
    found = []
    for number, line in enumerate(text.split("\n") if text else [], 1):
        sides = [tuple(_split(side)) for side in line.split(ARROW)]
        if len(sides) != 2 or not all(sides):
            raise ValueError(f"text must have a pair a line, question {ARROW} answer, with words on both sides; "
                             f"received {shortened(line)!r} in line {number}. Try \"how are you ? {ARROW} i'm fine\".")
        found.append(Pair(*sides))
    return tuple(found)


def vocabulary(text: str) -> Tokens:
    """The different tokens of a text in their order by Unicode, the arrow aside: token `k` is `vocabulary(text)[k]`."""
    return tuple(sorted({*words(text)} - {ARROW}))


def pack(text: str) -> str:
    """Compress a text into characters that a link may contain: `zip:…`."""
    return PACKED + base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def unpack(text: str) -> str:
    """The inverse of `pack`. Other texts are returned unchanged, as is any text with a space: packed texts have none.

    Raises:
        ValueError: If it begins like a packed text but cannot be unpacked, or is larger than `MAX_BYTES`.
    """
    # A text to train on has at least two words, so it has a space and is never unpacked.
    if not text.startswith(PACKED) or len(text.split(None, 1)) > 1:
        return text
    packed = text.removeprefix(PACKED).rstrip()
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        whole = unpacker.decompress(data, MAX_BYTES + 1)  # a limit, because a stranger may have packed gigabytes
        if len(whole) > MAX_BYTES or not unpacker.eof:
            raise ValueError
        return whole.decode()
    except (ValueError, binascii.Error, zlib.error):
        raise ValueError("text cannot be read, as the link that brought it was damaged; "
                         f"received {shortened(text)!r}. Try the link again, or type the text.") from None

