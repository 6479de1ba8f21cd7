"""The picture of a network unrolled in time, worked out from its settings.

Rows are, from top to bottom, what is read, the layer, and what is said. Which parts there are follows from the
network's record (`echo_core/config/variants.py`).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from echo_app.charts.diagram import LETTER, Column, Drawing, Edge, Node, Picture, letters_in
from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.inspection.remembering import state_values
from echo_core.text.plurals import counted

#: Space between parts, and the least of it where all that is remembered must pass.
_MARGIN, _NARROW = 14.0, 96.0
#: With more columns than this they stand closer.
_MANY = 20


class Style(NamedTuple):
    """Sizes of a picture: the middle of each row, heights, and columns of a row at most.

    Attributes:
        spare: What a box is wider than its text needs, unless there are many.
        meter: Height of a bar above each number that is read; 0 for none.
    """

    read: float
    cell: float
    said: float
    height: float
    cell_height: float
    most: int
    spare: float
    meter: float = 0.0
    box: float = 24.0


COMPACT = Style(read=36, cell=88, said=142, height=162, cell_height=30, most=12, spare=5)
LARGE = Style(read=72, cell=138, said=214, height=246, cell_height=52, most=24, spare=20, meter=28)


def num_steps(config: RunConfig) -> int:
    """Steps of the network from its first number to its last answer: the timesteps of encoder and decoder."""
    if config.traits.reads_all_at_once:
        return 1
    return config.input_length + (config.output_length if has_decoder(config) else 0)


def has_decoder(config: RunConfig) -> bool:
    """Whether a second recurrent layer answers, in timesteps of its own, when the first one has read everything."""
    return config.traits.num_recurrent_layers > 1 and not config.traits.answers_while_reading


def has_gates(config: RunConfig) -> bool:
    """Whether it has a layer whose gates decide how much of its memory is kept."""
    return config.traits.num_recurrent_layers > 0 and CELLS[config.cell].num_gates > 1


def has_meters(config: RunConfig) -> bool:
    """Whether its gates do so from timestep to timestep."""
    return has_gates(config) and not config.traits.reads_all_at_once


def network_picture(config: RunConfig, read: Sequence[str], said: Sequence[str], asked: Sequence[int] = (),
                    style: Style = COMPACT) -> Picture:
    """The picture of a network and one window of it.

    Kinds of nodes: `read`, `meter` above it, `context`, `cell`, `dense`, `mix` of attention, `vector`, `frame` around
    all that is read at once, `answer`, `waits` (a padding) and `unasked`. Kinds of edges: `feeds`, `state`, `carried`
    from batch to batch, `missing`, `context`, `pinch` and `attention`.

    Args:
        read: What is read at each timestep, (input_length,); empty at a gap.
        said: What stands at each place of the answer, (output_length,); empty where nothing is asked for.
        asked: Places of the window, from 0, that must be said again.
    """
    unrolled = _Unrolled(config, read, said, frozenset(asked), style)
    if config.traits.reads_all_at_once:
        unrolled.in_one_step()
    elif config.traits.answers_while_reading:
        unrolled.while_reading()
    else:
        unrolled.after_reading()
    unrolled.draw.x += _MARGIN
    return unrolled.draw.picture()


class _Unrolled:
    """A network while it is drawn."""

    def __init__(self, config: RunConfig, read: Sequence[str], said: Sequence[str], asked: frozenset[int],
                 style: Style) -> None:
        self.config, self._style = config, style
        self._read, self._said, self._asked = read, said, asked
        names = config.vocabulary or [str(config.vocab_size - 1)]
        columns = min(config.input_length, style.most) + min(config.output_length, style.most)
        self.draw = Drawing(style.height, letters_in(names), style.spare, is_tight=columns > _MANY)
        self._label_rows()

    def while_reading(self) -> None:
        """One row of columns that answer, or do not yet; where they begin to, all that is remembered must pass."""
        c, layers = self.config, list[Node]()
        due = c.lag or c.input_length - c.output_length
        parts = [(0, due), (due, c.input_length)] if due else [(0, c.input_length)]
        most = self._style.most // len(parts) if c.input_length > self._style.most else self._style.most
        for first, end in parts:
            if first and c.bits:
                self._narrow_place(first)
            words = self._words_before() if end == due else self._words_while_answering()
            for column in self.draw.columns(words, end - first, most, first):
                if layer := self._column_while_reading(column, is_due=end != due):
                    layers.append(layer)
        if c.traits.num_recurrent_layers:
            self._states(layers)
        else:
            self._missing(layers)

    def after_reading(self) -> None:
        """A row of columns that reads; then a decoder with a row of its own, or one vector with all answers."""
        c, layers = self.config, list[Node]()
        for column in self.draw.columns(self._words_while_reading(), c.input_length, self._style.most):
            read = self._reads(column)
            layers.append(self._layer("cell", 1, column))
            self.draw.arrow("feeds", read, layers[-1])
        self._states(layers)
        if c.traits.has_attention:
            self.draw.x += 3 * _MARGIN
        else:
            self._narrow_place(c.input_length)
        if has_decoder(c):
            self._decoder(layers)
        else:
            self._vector(layers[-1])

    def in_one_step(self) -> None:
        """All numbers side by side before one layer, and one vector with all answers."""
        c, step = self.config, (1, 1)
        columns = self.draw.columns("all timesteps as one: 0 bits to keep", c.input_length, self._style.most)
        reads = [self._reads(column, step) for column in columns]
        left, right = reads[0].x - reads[0].width / 2 - 5, reads[-1].x + reads[-1].width / 2 + 5
        middle = Column(round((left + right) / 2, 1), 0, 0)
        title = f"One timestep of {c.input_shape[1]:,} features"
        self.draw.nodes.insert(0, Node("frame", "frame", middle.x, self._style.read, round(right - left, 1),
                                       self._style.box + 10, "", title, step))
        cell = self._layer("cell", 1, middle)
        for read in reads:
            self.draw.arrow("feeds", read, cell)
        self._states([cell])
        self.draw.x += 2 * _MARGIN
        self._vector(cell)

    # --- parts -----------------------------------------------------------------------------------------

    def _column_while_reading(self, column: Column, is_due: bool) -> Node | None:
        """A timestep of a network that answers while it reads; its layer, unless none looks at what it reads."""
        c, style = self.config, self._style
        read = self._reads(column)
        if not is_due and not c.lag and not c.traits.num_recurrent_layers:
            return None
        layer = self._layer("cell" if c.traits.num_recurrent_layers else "dense", 1, column)
        self.draw.arrow("feeds", read, layer)
        if is_due or c.lag:
            place = column.first - (c.input_length - c.output_length)
            self.draw.arrow("feeds", layer, self._answers(column, place))
        elif c.traits.has_padding:
            waits = self.draw.box(f"waits-{column.first + 1}", "waits", column, style.said, style.box, "·",
                                  "Padding: it waits")
            self.draw.arrow("feeds", layer, waits)
        return layer

    def _decoder(self, encoders: Sequence[Node]) -> None:
        c, style, draw, layers = self.config, self._style, self.draw, list[Node]()
        before, words = encoders[-1], f"decoder answers {c.output_length:,}"
        for column in draw.columns(words, c.output_length, style.most):
            steps = c.input_length + column.first + 1, c.input_length + column.last + 1
            context = draw.box(f"context-{column.first + 1}", "context", column, style.read, style.box, "h",
                               "The context: h of the encoder's last timestep", steps)
            (draw.arrow if layers else draw.rising_arrow)("context", before, context)
            before = context
            layers.append(self._layer("cell", 2, column, steps))
            draw.arrow("feeds", context, layers[-1])
            source = self._mix(column, encoders, layers[-1]) if c.traits.has_attention else layers[-1]
            draw.arrow("feeds", source, self._answers(column, column.first, steps))
        self._states(layers)
        if c.traits.has_attention:
            draw.label("bits", (encoders[0].x + encoders[-1].x) / 2, style.height - 8, narrow_words(c))

    def _mix(self, column: Column, encoders: Sequence[Node], decoder: Node) -> Node:
        """What attention finds at one step of the answer, with an arrow from each timestep that it looks at."""
        style = self._style
        y = (style.cell + style.cell_height / 2 + style.said - style.box / 2) / 2 - 1
        mix = Node(f"mix-{column.first + 1}", "mix", column.x, y, 8, 8, "", "What attention finds", decoder.steps)
        self.draw.nodes.append(mix)
        self.draw.arrow("feeds", decoder, mix)
        for encoder in encoders:
            x, top, end = encoder.x, encoder.y + encoder.height / 2, mix.x - mix.width / 2
            self.draw.edge("attention", encoder, mix,
                           f"M{x:g} {top:g}C{x:g} {y + 10:g} {end - 40:g} {y + 16:g} {end:g} {y:g}")
        return mix

    def _vector(self, source: Node) -> None:
        """The readout's one vector, cut into the places of the answer."""
        c, style, draw = self.config, self._style, self.draw
        step = num_steps(c), num_steps(c)
        columns = draw.columns("one vector: the whole answer", c.output_length, style.most)
        left, right = columns[0].x - draw.pitch / 2 + 3, columns[-1].x + draw.pitch / 2 - 3
        title, middle = f"{c.output_length:,} × {c.num_classes:,} values", round((left + right) / 2, 1)
        vector = Node("vector", "vector", middle, style.cell, round(right - left, 1), style.box, "", title, step)
        draw.nodes.append(vector)
        draw.arrow("context", source, vector)
        for column in columns:
            draw.arrow("feeds", vector._replace(x=column.x), self._answers(column, column.first, step))

    def _narrow_place(self, step: int) -> None:
        """Widen the gap after a timestep, where all that is remembered must pass, and say how much that is."""
        c, y, draw = self.config, self._style.cell, self.draw
        has_state = c.traits.num_recurrent_layers > 0
        above, below = _bits(c), counted(state_values(c), "value") if has_state else "no way through"
        gap = max(_NARROW, LETTER * max(len(above), len(below)) + _MARGIN)
        x = round(draw.x + gap / 2, 1)
        draw.x += gap
        draw.label("bits", x, y - 21, above)
        draw.label("bits", x, y + 31, below)
        hourglass = f"M{x - 18:g} {y - 14:g}l18 10l18-10v28l-18-10l-18 10z"
        draw.edges.append(Edge("narrow", "pinch", hourglass, (step, step)) if has_state else
                          Edge("narrow", "missing", _crossed_out(x - 30, x + 30, y), (step, step)))

    def _states(self, layers: Sequence[Node]) -> None:
        """What passes from timestep to timestep: of an LSTM two vectors, h and c."""
        lines, first = CELLS[self.config.cell].num_states, layers[0]
        if self.config.carries_state:
            path = f"M{first.x - first.width / 2 - 12:g} {first.y + 9:g}h12m-4-3l4 3l-4 3"
            self.draw.edges.append(Edge(f"before>{first.id}", "carried", path, first.steps))
        for one, other in pairwise(layers):
            self.draw.arrow("state", one, other, lines)

    def _missing(self, layers: Sequence[Node]) -> None:
        """The arrow that a network without memory lacks, crossed out."""
        for one, other in pairwise(layers):
            start, end = one.x + one.width / 2, other.x - other.width / 2
            self.draw.edge("missing", one, other, _crossed_out(start, end, one.y))

    def _reads(self, column: Column, steps: tuple[int, int] | None = None) -> Node:
        style, text = self._style, self._read[column.first]
        if style.meter and has_meters(self.config):
            y = style.read - (style.box + style.meter) / 2 - 3
            self.draw.box(f"meter-{column.first + 1}", "meter", column, y, style.meter, "",
                          "The share of what was written here that is still in memory")
        asked = any(place in self._asked for place in range(column.first, column.last + 1))
        return self.draw.box(f"read-{column.first + 1}", "read", column, style.read, style.box, text or "·",
                             text or "A gap, which is skipped", steps, asked)

    def _layer(self, kind: str, number: int, column: Column, steps: tuple[int, int] | None = None) -> Node:
        return self.draw.box(f"cell-{number}-{column.first + 1}", kind, column, self._style.cell,
                             self._style.cell_height, steps=steps)

    def _answers(self, column: Column, place: int, steps: tuple[int, int] | None = None) -> Node:
        text = next(filter(None, self._said[place:place + column.last - column.first + 1]), "")
        return self.draw.box(f"answer-{place + 1}", "answer" if text else "unasked", column, self._style.said,
                             self._style.box, text or "·", text or "Nothing is asked for here", steps)

    # --- words -----------------------------------------------------------------------------------------

    def _words_while_reading(self) -> str:
        read = counted(self.config.input_length, "word" if self.config.text else "number")
        return f"encoder reads {read}" if has_decoder(self.config) else f"reads {read}"

    def _words_before(self) -> str:
        return "not due yet" if self.config.lag else "waits" if self.config.traits.has_padding else "not looked at"

    def _words_while_answering(self) -> str:
        c = self.config
        if not c.bits:
            return "answers as it reads: 0 bits to keep"
        return f"{counted(c.lag, 'step')} behind" if c.lag else "answers"

    def _label_rows(self) -> None:
        """Name the rows at the left."""
        c, style = self.config, self._style
        layer = [CELLS[c.cell].title, counted(c.units, "unit")] if c.traits.num_recurrent_layers else ["Dense", "layer"]
        rows = [("reads", style.read + 4), (layer[0], style.cell - 3), (layer[1], style.cell + 11),
                ("says", style.said + 4)]
        if style.meter and has_meters(c):
            rows.append(("memory", style.read - (style.box + style.meter) / 2))
        for text, y in rows:
            self.draw.label("row", 2, y, text, "start")
        widest = max((LETTER - 0.6) * len(text) for text, _ in rows)
        self.draw.x = widest + (2 * _MARGIN if c.carries_state else _MARGIN)


def narrow_words(config: RunConfig) -> str:
    """The bits that must pass, and through how many values, in a few words: `13.3 bits through 64 values`."""
    values = (f"{config.input_length:,} × {config.units:,} values" if config.traits.has_attention
              else counted(state_values(config), "value"))
    return f"{_bits(config)} through {values}"


def _bits(config: RunConfig) -> str:
    return f"{'up to ' if config.task == 'pairs' else ''}{config.bits:,.1f} bits"


def _crossed_out(start: float, end: float, y: float) -> str:
    return f"M{start:.1f} {y:g}H{end:.1f}M{(start + end) / 2 - 5:.1f} {y - 5:g}l10 10m0-10l-10 10"
