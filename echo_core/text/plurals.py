"""English for messages: a count with its noun, a duration, and a text cut short."""

import math


def counted(number: float, noun: str, bold: bool = False) -> str:
    """`1 window`, `2 windows`, `1,000 windows`, `0 windows`; the number in bold for Markdown."""
    shown = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{f'**{shown}**' if bold else shown} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`1 second`, `2 minutes`, `3 hours`: rounded up, in seconds or minutes if there are fewer than 90 of them."""
    for unit, length in (("second", 1), ("minute", 60)):
        if seconds < 90 * length:
            return counted(max(1, math.ceil(seconds / length)), unit)
    return counted(math.ceil(seconds / 3600), "hour")


def shortened(text: str, longest: int = 40) -> str:
    """The first `longest` characters of a text, with `…` in place of the rest."""
    return text if len(text) <= longest else text[:longest] + "…"
