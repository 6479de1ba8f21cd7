"""Prints the index of the decisions.

`python -m tests.helpers.decisions_index > docs/decisions/README.md` writes it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"

HEAD = """# Decisions

One page for each choice between real alternatives: context, options considered, decision, consequences. When things
change, a new decision supersedes or amends the old one, and both say so. A page names files as they are now.
A few numbers were never used. `python -m tests.helpers.decisions_index` prints this index.

| number | title | date | status |
|---|---|---|---|"""


class Decision(NamedTuple):
    """The head of a page: `# NNNN: Title`, an empty line, `Status: …. Date: YYYY-MM-DD.` and more."""

    file: str
    number: str
    title: str
    status: str
    date: str
    text: str


def decisions() -> list[Decision]:
    """Every decision, the oldest first. Raises ValueError where a head is not as above."""
    found = []
    for path in sorted(FOLDER.glob("[0-9]*.md")):
        text = path.read_text()
        head = re.match(r"# (\d{4}): (.+)\n\nStatus: (.+?)\. Date: (\d{4}-\d\d-\d\d)\.", text)
        if head is None:
            raise ValueError(f"{path.name} must begin with `# NNNN: Title` and `Status: …. Date: YYYY-MM-DD.`")
        found.append(Decision(path.name, head[1], head[2], head[3], head[4], text))
    return found


def index() -> Iterator[str]:
    """The lines of the index."""
    yield HEAD
    for each in decisions():
        yield f"| [{each.number}]({each.file}) | {each.title} | {each.date} | {each.status} |"


if __name__ == "__main__":
    print("\n".join(index()))
