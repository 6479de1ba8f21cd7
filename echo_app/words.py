"""Numbers as a page says them."""

import math
from html import escape

__all__ = ["duration", "escape", "in_percent", "ordinal", "percent", "spread"]


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
    """A share as a percentage, rounded down: 100 % means every one."""
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
    mean = sum(shares) / len(shares)
    if len(shares) < 2:
        return percent(mean)
    deviation = math.sqrt(sum((share - mean) ** 2 for share in shares) / (len(shares) - 1))
    return f"{percent(mean)} ± {100 * deviation:.1f}"
