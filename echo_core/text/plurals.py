"""English for messages: a count with its noun."""


def counted(number: float, noun: str, bold: bool = False) -> str:
    """`1 window`, `2 windows`, `1,000 windows`, `0 windows`; the number in bold for Markdown."""
    shown = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{f'**{shown}**' if bold else shown} {noun}{'' if number == 1 else 's'}"
