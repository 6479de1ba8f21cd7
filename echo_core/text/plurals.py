"""English for messages: a count with its noun, and a text cut short."""


def counted(number: float, noun: str, bold: bool = False) -> str:
    """`1 window`, `2 windows`, `1,000 windows`, `0 windows`; the number in bold for Markdown."""
    shown = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{f'**{shown}**' if bold else shown} {noun}{'' if number == 1 else 's'}"


def shortened(text: str, longest: int = 40) -> str:
    """The first `longest` characters of a text, with `…` in place of the rest."""
    return text if len(text) <= longest else text[:longest] + "…"
