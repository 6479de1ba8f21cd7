"""Numbers as pages show them, and escaped text."""

import math
import re
from collections.abc import Sequence
from html import escape
from statistics import mean, stdev

__all__ = ["duration", "escape", "first_lines", "in_percent", "ordinal", "percent", "plain", "spread"]

MAX_LINES = 10

#: An invisible character without a line break. In a link or an emoji code it keeps programs from finding them.
_WORD_JOINER = "\u2060"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if math.isnan(seconds) or math.isinf(seconds):
        return "unknown time"
    if seconds < 9.95 and seconds != round(seconds):
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def percent(share: float) -> str:
    """A share as a percentage, rounded down, so that 100 % means all."""
    return "100 %" if share == 1 else f"{in_percent(share):.1f} %"


def in_percent(share: float) -> float:
    """A share in percent with one digit, rounded down."""
    return math.floor(share * 1000) / 10


def ordinal(number: int) -> str:
    """`1st`, `22nd`, `13th`."""
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def spread(shares: list[float]) -> str:
    """Mean and standard deviation of several shares: `98.2 % ± 1.4`."""
    if len(shares) < 2:
        return percent(mean(shares))
    return f"{percent(mean(shares))} ± {100 * stdev(shares):.1f}"


def first_lines(lines: Sequence[str]) -> str:
    """The first `MAX_LINES` lines, and the number of the others."""
    more = [f"and {len(lines) - MAX_LINES} more."] if len(lines) > MAX_LINES else []
    return "\n".join([*lines[:MAX_LINES], *more])


def plain(text: str) -> str:
    """Escape text for Streamlit's labels, captions and boxes, which render Markdown: it is shown as it was typed.

    Backslashes escape Markdown, LaTeX, HTML and colours. Streamlit then searches the rendered text for addresses,
    emoji codes, icons and arrows; word joiners break these up.
    """
    line = " ".join(text.split())
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line)
    return re.sub(r"(\\[:@<>~]|\\-(?=\\[->])|www)", rf"\1{_WORD_JOINER}", escaped, flags=re.IGNORECASE)
