"""Boxes, arrows and labels with positions, of which a browser makes a picture (`components/diagram.js`).

Columns are timesteps, from left to right. Lengths are CSS pixels. Nothing here knows what a network is.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from unicodedata import east_asian_width

#: Width of a letter, and what a box needs around its text.
LETTER, _AROUND = 6.4, 7.0
#: Widths of a box, and the space between two, which is less in a picture of many.
_NARROWEST, _WIDEST, _BETWEEN, _LITTLE = 20.0, 76.0, 14.0, 7.0
#: An open arrowhead to the right, and one down.
_RIGHT, _DOWN = "m-4-3l4 3l-4 3", "m-3-4l3 4l3-4"


class Node(NamedTuple):
    """A box around (x, y).

    Attributes:
        title: What it is, for whoever points at it.
        steps: The first and last step, from 1, in which it is at work.
        bold: Whether its text stands out.
    """

    id: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    text: str
    title: str
    steps: tuple[int, int]
    bold: bool = False


class Edge(NamedTuple):
    """A line, as the `d` of an SVG path, and the steps in which something passes along it."""

    id: str
    kind: str
    path: str
    steps: tuple[int, int]


class Label(NamedTuple):
    """A short text at (x, y); its anchor is `start` or `middle`."""

    id: str
    kind: str
    x: float
    y: float
    text: str
    anchor: str = "middle"


class Column(NamedTuple):
    """A place from left to right, and the timesteps, from 0, that it stands for."""

    x: float
    first: int
    last: int

    @property
    def is_elided(self) -> bool:
        """Whether it stands for several timesteps, of which an ellipsis is drawn."""
        return self.last > self.first


class Picture(NamedTuple):
    """All that is drawn, each part with an id of its own."""

    width: float
    height: float
    nodes: list[Node]
    edges: list[Edge]
    labels: list[Label]

    def data(self) -> dict[str, Any]:
        """As plain data for a browser."""
        return {"width": self.width, "height": self.height, "nodes": [node._asdict() for node in self.nodes],
                "edges": [edge._asdict() for edge in self.edges], "labels": [label._asdict() for label in self.labels]}


class Drawing:
    """A picture under construction; `x` is where its right end is by now."""

    def __init__(self, height: float, letters: int, spare: float, is_tight: bool) -> None:
        """Begin a picture whose boxes have room for `letters`, or for as many as the widest box has.

        Args:
            spare: What a box is wider than its text needs.
            is_tight: Whether there are so many columns that nothing is spared.
        """
        self._box = min(_WIDEST, max(_NARROWEST, LETTER * letters + _AROUND + (0 if is_tight else spare)))
        self.pitch = self._box + (_LITTLE if is_tight else _BETWEEN)
        self.x, self._height = 0.0, height
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.labels: list[Label] = []

    def picture(self) -> Picture:
        """What has been drawn."""
        return Picture(round(self.x, 1), self._height, self.nodes, self.edges, self.labels)

    def columns(self, phase: str, length: int, most: int, first: int = 0) -> list[Column]:
        """Reserve a row of at most `most` columns, wide enough for the words above it."""
        spans = spans_of(length, most)
        width = max(len(spans) * self.pitch, (LETTER - 0.6) * len(phase) + 10)
        self.label("phase", self.x + width / 2, 12, phase)
        start = self.x + (width - (len(spans) - 1) * self.pitch) / 2
        self.x += width
        return [Column(round(start + place * self.pitch, 1), first + begin, first + end)
                for place, (begin, end) in enumerate(spans)]

    def box(self, id: str, kind: str, column: Column, y: float, height: float, text: str = "", title: str = "",
            steps: tuple[int, int] | None = None, bold: bool = False) -> Node:
        """Draw a box in a column, by default at work in the column's own timesteps, with as much text as it has room
        for."""
        if column.is_elided:
            text, title = "…" if text else "", f"Timesteps {column.first + 1:,} to {column.last + 1:,}"
        else:
            text = fitting(text, self._box)
        node = Node(id, kind, column.x, y, round(self._box, 1), height, text, title,
                    steps or (column.first + 1, column.last + 1), bold)
        self.nodes.append(node)
        return node

    def label(self, kind: str, x: float, y: float, text: str, anchor: str = "middle") -> None:
        """Draw a short text."""
        self.labels.append(Label(f"{kind}-{len(self.labels)}", kind, round(x, 1), y, text, anchor))

    def arrow(self, kind: str, source: Node, target: Node, lines: int = 1) -> None:
        """Draw an arrow from box to box: to the right in the same row (as two lines, say), else down."""
        if source.y == target.y:
            start, end, offsets = source.x + source.width / 2, target.x - target.width / 2, _spread(lines)
            path = "".join(f"M{start:.1f} {source.y + dy:g}H{end:.1f}{_RIGHT}" for dy in offsets)
        else:
            top, bottom = source.y + source.height / 2, target.y - target.height / 2
            turn = (top + bottom) / 2
            way = (f"V{bottom:g}" if source.x == target.x else
                   f"C{source.x:g} {turn:g} {target.x:g} {turn:g} {target.x:g} {bottom:g}")
            path = f"M{source.x:g} {top:g}{way}{_DOWN}"
        self.edge(kind, source, target, path)

    def rising_arrow(self, kind: str, source: Node, target: Node) -> None:
        """Draw an arrow to a box further up: to the right, then up, and into its left side."""
        start, end = source.x + source.width / 2, target.x - target.width / 2
        turn = end - 14
        self.edge(kind, source, target, f"M{start:.1f} {source.y:g}H{turn - 8:.1f}q8 0 8-8V{target.y + 8:g}q0-8 8-8"
                                        f"H{end:.1f}{_RIGHT}")

    def edge(self, kind: str, source: Node, target: Node, path: str) -> None:
        """Draw a line that is at work when its target is."""
        self.edges.append(Edge(f"{source.id}>{target.id}", kind, path, target.steps))


def fitting(text: str, width: float) -> str:
    """As much of a text as a box has room for."""
    taken, room = 0, int((width - _AROUND) / LETTER + 0.01)
    for place, letter in enumerate(text):
        taken += _width(letter)
        if taken > room:
            return text[:max(1, place - 1)] + "…"
    return text


def spans_of(length: int, most: int) -> list[tuple[int, int]]:
    """The timesteps, from 0, of each column: one each, or in the middle of a long row those of an ellipsis.

    `spans_of(9, 5) -> [(0, 0), (1, 1), (2, 6), (7, 7), (8, 8)]`
    """
    if length <= most:
        return [(t, t) for t in range(length)]
    before = most // 2
    after = most - before - 1
    return [*((t, t) for t in range(before)), (before, length - after - 1),
            *((t, t) for t in range(length - after, length))]


def letters_in(texts: Sequence[str]) -> int:
    """Letters of the widest of some texts; a Chinese one counts twice."""
    return max(sum(map(_width, text)) for text in texts)


def _width(letter: str) -> int:
    return 2 if east_asian_width(letter) in "WF" else 1


def _spread(lines: int) -> tuple[int, ...]:
    return (0,) if lines == 1 else (-5, 5)
