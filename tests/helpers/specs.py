"""What a Vega-Lite specification draws."""

from collections.abc import Iterator


def fields(part: object) -> Iterator[str]:
    """The columns of the page's table that a spec, or a part of one, draws."""
    if isinstance(part, dict):
        if isinstance(part.get("field"), str):
            yield part["field"]
        for value in part.values():
            yield from fields(value)
    elif isinstance(part, list):
        for value in part:
            yield from fields(value)
