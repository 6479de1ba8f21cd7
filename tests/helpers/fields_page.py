"""Prints docs/fields.md from `RunConfig`: `python -m tests.helpers.fields_page > docs/fields.md`."""

from collections.abc import Iterator
from typing import Any, get_args

from echo_core.config import RunConfig, written

HEAD = """# Fields of a run

A run is its settings: `--set FIELD=VALUE` on the command line, `?field=value` in a link, `RunConfig(field=value)` in
Python. The defaults are those of preset `whole`. Which values go together is in [combinations.md](combinations.md);
what a host allows is in [hosting.md](hosting.md). `python -m tests.helpers.fields_page` prints this page from
`echo_core/config/fields.py`.

| field | default | values | meaning |
|---|---|---|---|"""


def page() -> Iterator[str]:
    """The lines of the page."""
    yield HEAD
    for name, field in RunConfig.model_fields.items():
        default = written(field.default) or "empty"
        yield f"| `{name}` | {default} | {_values(field)} | {_cell(str(field.description))} |"


def _values(field: Any) -> str:
    if choices := get_args(field.annotation):
        return ", ".join(f"`{choice}`" for choice in choices)
    if field.annotation is bool:
        return "`true`, `false`"
    if field.annotation is str:
        return "text"
    limits = {kind: getattr(limit, kind) for limit in field.metadata for kind in ("ge", "gt", "le", "lt")
              if hasattr(limit, kind)}
    least = f"{limits['ge']:,}" if "ge" in limits else f"above {limits['gt']:,}"
    most = limits["le"] if "le" in limits else limits["lt"] - 1
    return f"{least} to {most:,}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    print("\n".join(page()))
