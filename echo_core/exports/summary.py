"""The layers of a run's network, and what `model.summary()` prints for them.

It is text only, so the app's process can show it without importing Keras; tests compare it with Keras.
"""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from types import MappingProxyType
from typing import NamedTuple

from echo_core.config import NUM_STATES, RunConfig
from echo_core.config.compatibility import Cell

Shape = tuple[int | None, ...]

#: Keras's class for each cell.
CELL_LAYERS: Mapping[Cell, str] = MappingProxyType({"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"})


class Layer(NamedTuple):
    """One layer as `summary()` lists it.

    Attributes:
        shapes: The shape of each output; the first axis is the batch, None if it may vary.
        connected_to: The outputs that it reads. Keras lists them for networks that are not a plain row of layers.
    """

    name: str
    kind: str
    shapes: tuple[Shape, ...]
    parameters: int = 0
    connected_to: tuple[str, ...] = ()


def layers(config: RunConfig) -> list[Layer]:
    """The layers of `build_model(config)` as its summary has them, with their output shapes and parameters."""
    if config.variant == "attention":
        return _attention_layers(config)
    c, kind, batch = config, CELL_LAYERS[config.cell], _batch(config)
    *recurrent, dense = c.layer_parameters
    answer = (batch, c.answer_steps, c.num_classes)
    readout = Layer("readout", "Dense", (answer,), dense)
    row = [Layer("gaps", "Masking", ((batch, c.input_length, c.num_features),))] if c.has_gaps else []
    if c.variant in ("whole", "padded"):
        row += [Layer(c.cell, kind, ((batch, c.input_length, c.units),), recurrent[0]), readout]
    elif c.variant == "encoder_decoder":
        row += [Layer("encoder", kind, ((batch, c.units),), recurrent[0]),
                Layer("context", "RepeatVector", ((batch, c.output_length, c.units),)),
                Layer("decoder", kind, ((batch, c.output_length, c.units),), recurrent[1]),
                readout]
    elif c.variant == "no_memory":
        row += [Layer("newest", "Cropping1D", ((batch, c.output_length, c.num_features),)), readout]
    else:  # one_to_one and many_to_one
        row += [Layer(c.cell, kind, ((batch, c.units),), recurrent[0]),
                Layer("readout", "Dense", ((batch, c.output_length * c.num_classes),), dense),
                Layer("blocks", "Reshape", (answer,))]
        if c.representation == "one_hot":
            row += [Layer("probabilities", "Activation", (answer,))]
    return row


def line_length(config: RunConfig) -> int:
    """The `line_length` of `keras_summary`: 70, or 80 for `attention`, whose fourth column needs the space."""
    return 80 if config.variant == "attention" else 70


def keras_summary(config: RunConfig) -> str:
    """What `build_model(config).summary(line_length=line_length(config))` prints in a new process.

    In a process that built other models, Keras may number operations of a masked `attention`: `not_equal_1`, `any_1`.
    """
    listed = layers(config)
    head: list[str] = ["Layer (type)", "Output Shape", "Param #"]
    rows = [[f"{layer.name} ({layer.kind})", _shapes(layer.shapes), f"{layer.parameters:,}"] for layer in listed]
    widths: tuple[int, ...] = (28, 21, 11)
    if config.variant == "attention":
        head.append("Connected to")
        for row, layer in zip(rows, listed, strict=True):
            row.append(", ".join(layer.connected_to) or "-")
        widths = (21, 17, 11, 18)

    def rule(left: str, middle: str, right: str, line: str) -> str:
        return left + middle.join(line * (width + 2) for width in widths) + right

    between = "\n" + rule("├", "┼", "┤", "─") + "\n"
    params = f"{config.num_parameters:,} ({_memory(4 * config.num_parameters)})"
    return "\n".join([
        f'Model: "{config.variant}"', rule("┏", "┳", "┓", "━"), _row("┃", head, widths), rule("┡", "╇", "┩", "━"),
        between.join(_row("│", row, widths) for row in rows), rule("└", "┴", "┘", "─"),
        f" Total params: {params}", f" Trainable params: {params}", " Non-trainable params: 0 (0.00 B)", ""])


def _attention_layers(c: RunConfig) -> list[Layer]:
    """The layers of `attention`, which is no plain row. Two operations beside Masking mark gaps for the encoder."""
    kind, batch = CELL_LAYERS[c.cell], _batch(c)
    encoder, decoder, dense = c.layer_parameters
    read, said = (batch, c.input_length), (batch, c.output_length)
    masking = [
        Layer("not_equal", "NotEqual", ((*read, c.num_features),), 0, ("windows[0][0]",)),
        Layer("gaps", "Masking", ((*read, c.num_features),), 0, ("windows[0][0]",)),
        Layer("any", "Any", (read,), 0, ("not_equal[0][0]",)),
    ]
    states = ((batch, c.units),) * NUM_STATES[c.cell]
    return [
        Layer("windows", "InputLayer", ((*read, c.num_features),)),
        *(masking if c.has_gaps else []),
        Layer("encoder", kind, ((*read, c.units), *states), encoder,
              ("gaps[0][0]", "any[0][0]") if c.has_gaps else ("windows[0][0]",)),
        Layer("context", "RepeatVector", ((*said, c.units),), 0, ("encoder[0][1]",)),
        Layer("decoder", kind, ((*said, c.units),), decoder, ("context[0][0]",)),
        Layer("attention", "Attention", ((*said, c.units),), 0, ("decoder[0][0]", "encoder[0][0]")),
        Layer("joined", "Concatenate", ((*said, 2 * c.units),), 0, ("decoder[0][0]", "attention[0][0]")),
        Layer("readout", "Dense", ((*said, c.num_classes),), dense, ("joined[0][0]",)),
    ]


def _batch(config: RunConfig) -> int | None:
    return config.batch_size if config.stateful else None


def _shapes(shapes: Sequence[Shape]) -> str:
    written = ", ".join(f"({', '.join(map(str, shape))})" for shape in shapes)
    return f"[{written}]" if len(shapes) > 1 else written


def _row(edge: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    """The lines of one row: texts are wrapped in their columns, and long words end in an ellipsis."""
    columns = [[line if len(line) <= width else line[:width - 1] + "…"
                for line in textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False)]
               for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for parts in zip_longest(*columns, fillvalue=""):
        name, shape, count, *connected = map(str.ljust, parts, widths)
        padded = (name, shape, count.rstrip().rjust(widths[2]), *connected)
        lines.append(edge + edge.join(f" {part} " for part in padded) + edge)
    return "\n".join(lines)


def _memory(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} TB"
