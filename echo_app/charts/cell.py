"""A recurrent cell at one timestep: what it keeps, what it adds and what it shows, as numbers and as a picture.

The picture has one arrangement for a wide place and one for a narrow one, with the same ids, so one set of values
serves both.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from echo_app.charts.diagram import Edge, Label, Node, Picture, fitting
from echo_core.config import RunConfig
from echo_core.inspection.inside import LayerInside
from echo_core.records import Floats

#: Numbers of a cell at a timestep, by name; None where there is none: at a gap no gate acts.
Values = dict[str, float | None]
#: Name of a gate, what open and shut mean, and what it does with its share.
_GATES: Mapping[str, tuple[str, str, str]] = MappingProxyType({
    "forget": ("forget gate", "open keeps, shut drops", "keeps {}"),
    "input": ("input gate", "open lets the new in", "lets in {}"),
    "output": ("output gate", "open shows the memory", "shows {}"),
    "update": ("update gate", "open keeps, shut replaces", "keeps {}"),
    "rest": ("1 − update gate", "fills what is not kept", "lets in {}"),
    "reset": ("reset gate", "open looks back at h", "looks at {}")})
#: Parts of the picture -> the middle of each, in a wide place and in a narrow one.
_WIDE: Mapping[str, tuple[float, float]] = MappingProxyType({
    "before": (34, 66), "keep": (104, 66), "add": (292, 66), "after": (374, 66), "squash": (438, 66), "show": (494, 66),
    "hidden": (566, 66), "let": (292, 114), "forget": (104, 180), "update": (104, 180), "input": (234, 180),
    "rest": (244, 180), "candidate": (350, 180), "output": (494, 180), "reset": (494, 180), "reads": (56, 250),
    "h": (164, 250)})
_TALL: Mapping[str, tuple[float, float]] = MappingProxyType({
    "before": (40, 52), "keep": (40, 112), "add": (40, 212), "after": (40, 276), "squash": (40, 326), "show": (40, 374),
    "hidden": (40, 434), "let": (128, 212), "forget": (242, 112), "update": (242, 112), "input": (242, 180),
    "rest": (242, 180), "candidate": (242, 244), "output": (242, 374), "reset": (242, 316), "reads": (190, 46),
    "h": (288, 46)})
_PLAIN: Mapping[str, tuple[float, float]] = MappingProxyType({
    "before": (40, 66), "add": (125, 66), "squash": (200, 66), "after": (290, 66), "reads": (125, 140)})
#: Width and height of a part, unless it is a sign in a circle.
_SIZES: Mapping[str, tuple[float, float]] = MappingProxyType({
    "before": (60, 26), "after": (60, 26), "hidden": (60, 26), "squash": (40, 24), "candidate": (80, 52),
    "reads": (92, 24), "h": (88, 24), **dict.fromkeys(_GATES, (120, 52))})
_SIGNS: Mapping[str, str] = MappingProxyType({"keep": "×", "add": "+", "let": "×", "show": "×", "squash": "tanh"})
_CIRCLE = 22.0
#: Arrows of each cell, each a kind and its two ends.
_ARROWS: Mapping[str, Sequence[tuple[str, str, str]]] = MappingProxyType({
    "lstm": (("state", "before", "keep"), ("state", "keep", "add"), ("state", "add", "after"),
             ("state", "after", "squash"), ("state", "squash", "show"), ("state", "show", "hidden"),
             ("gate", "forget", "keep"), ("gate", "input", "let"), ("new", "candidate", "let"), ("new", "let", "add"),
             ("gate", "output", "show")),
    "gru": (("state", "before", "keep"), ("state", "keep", "add"), ("state", "add", "after"),
            ("gate", "update", "keep"), ("gate", "update", "rest"), ("gate", "rest", "let"),
            ("gate", "reset", "candidate"), ("new", "candidate", "let"), ("new", "let", "add")),
    "simple_rnn": (("state", "before", "add"), ("new", "reads", "add"), ("state", "add", "squash"),
                   ("state", "squash", "after"))})
#: What looks at the number just read and at h.
_LOOKS: Mapping[str, Sequence[str]] = MappingProxyType({
    "lstm": ("forget", "input", "candidate", "output"), "gru": ("update", "candidate", "reset"), "simple_rnn": ()})
#: What a cell computes, in words.
_SUMS: Mapping[str, str] = MappingProxyType({
    "lstm": "Old memory × forget gate + new × input gate is the new memory c; its tanh × output gate is h.",
    "gru": "h before × update gate + new × what that gate leaves is the new h, memory and output in one."})
#: Ends of the note, which take the same room, so that nothing below moves when a unit is chosen.
_MEANS = (" Gates are means over the units, and other numbers mean sizes, which do not multiply exactly. Choose a "
          "unit, and they do.")
_ONE = (" Here are the numbers of one unit, which multiply exactly. The sentence and the cards below are means over "
        "all units.")


# --- values -------------------------------------------------------------------------------------------


def memory_parts(layer: LayerInside) -> Iterator[Floats]:
    """The first window's memory after each timestep, as what each timestep up to it wrote: (timesteps so far, units).

    An LSTM's memory is c, a GRU's is h. Both keep a share of what they held and add something new, so the memory is
    exactly the sum of its parts. A simple RNN has no parts, because it passes all that it holds through one tanh.
    """
    if layer.candidate is None:
        return
    if layer.cell is not None:
        keeps, writes = layer.gates["forget"][0], layer.gates["input"][0] * layer.candidate[0]
    else:
        keeps = layer.gates["update"][0]
        writes = (1 - keeps) * layer.candidate[0]
    keeps, writes = np.nan_to_num(keeps, nan=1.0), np.nan_to_num(writes)  # a gap keeps everything and writes nothing
    parts = np.empty_like(writes)  # (timesteps, units)
    for t in range(len(writes)):
        parts[:t] *= keeps[t]
        parts[t] = writes[t]
        yield parts[:t + 1]


def memory_left(layer: LayerInside) -> Floats | None:
    """The sizes of these parts, summed over units: row t has what is left after timestep t, (timesteps, timesteps).

    None for a simple RNN.
    """
    if layer.candidate is None:
        return None
    steps = layer.hidden.shape[1]
    left = np.zeros((steps, steps), np.float32)
    for t, parts in enumerate(memory_parts(layer)):
        left[t, :t + 1] = np.abs(parts).sum(axis=-1)
    return left


def cell_values(layer: LayerInside, t: int, unit: int | None = None) -> Values:
    """What a cell computes at a timestep of the first window, from 0.

    An LSTM: `after = kept + new` with `kept = forget · before` and `new = input · candidate`, all of c, and
    `hidden = output · squashed` with `squashed = tanh(after)`. A GRU: the same of h with `update` for `forget` and
    `rest = 1 - update` for `input`. A simple RNN has `before` and `after` alone.

    Args:
        unit: From 1; None gives means over the units: of gates, and of the sizes of all that has a sign.
    """
    memory = layer.hidden if layer.cell is None else layer.cell
    zero = np.zeros_like(memory[0, 0])
    found = {"before": memory[0, t - 1] if t else zero, "after": memory[0, t]}
    gates = {name: gate[0, t] for name, gate in layer.gates.items()}
    if layer.candidate is not None:
        keeps = gates.get("forget", gates.get("update", zero))
        if "update" in gates:
            gates["rest"] = 1 - gates["update"]
        lets_in = gates.get("input", gates.get("rest", zero))
        found |= {"candidate": layer.candidate[0, t], "kept": keeps * found["before"],
                  "new": lets_in * layer.candidate[0, t]}
    if layer.cell is not None:
        found |= {"squashed": np.tanh(found["after"]), "hidden": layer.hidden[0, t],
                  "h": layer.hidden[0, t - 1] if t else zero}
    sizes = {name: _one(values if unit else np.abs(values), unit) for name, values in found.items()}
    return {**{name: _one(values, unit) for name, values in gates.items()}, **sizes}


def _one(values: Floats, unit: int | None) -> float | None:
    value = float(values[unit - 1] if unit else values.mean())
    return None if math.isnan(value) else value


# --- picture ------------------------------------------------------------------------------------------


def cell_pictures(config: RunConfig) -> dict[str, Picture]:
    """The picture of a run's cell without its values, arranged for a `wide` and for a `tall` place."""
    if config.cell == "simple_rnn":
        plain = _picture(config.cell, _PLAIN, 340, 164, is_tall=False)
        return {"wide": plain, "tall": plain}
    return {"wide": _picture(config.cell, _WIDE, 600, 270, is_tall=False),
            "tall": _picture(config.cell, _TALL, 340, 458 if config.cell == "lstm" else 352, is_tall=True)}


def _does(name: str, values: Values) -> str:
    """What a gate does with its share; of an empty memory it keeps nothing, however far it is open."""
    value = values[name]
    if value is None:
        return "no gate at a gap"
    of_nothing = name in ("forget", "update", "reset") and values["before"] == 0
    return ("{} open" if of_nothing else _GATES[name][2]).format(percent(value))


def cell_changes(values: Values, reads: str) -> dict[str, dict[str, Any]]:
    """What the picture shows at a timestep, by the id of its part."""
    changes: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if name in _GATES:
            changes[name] = {"text": _does(name, values), "levels": [round(value or 0.0, 3)]}
        elif name in ("kept", "new"):
            changes[name] = {"text": "" if value is None else f"{name} {number(value)}"}
        else:
            changes[name] = {"text": number(value)}
    before = values.get("h", values["before"])
    return {**changes, "reads": {"text": fitting(f"reads {reads}", _SIZES["reads"][0]), "title": f"reads {reads}"},
            "h": {"text": f"h before {number(before)}"}}


def cell_in_words(config: RunConfig, values: Values) -> str:
    """The picture with its values in a sentence for each part, from the old memory to what is shown."""
    memory = "c" if config.cell == "lstm" else "h"
    gates = [f"{_GATES[name][0].capitalize()}: {_does(name, values)}."
             for name, value in values.items() if name in _GATES and value is not None]
    parts = [f"{name.capitalize()}: {number(values[name])}." for name in ("candidate", "kept", "new") if name in values]
    shown = [f"h, the output: {number(values['hidden'])}."] if "hidden" in values else []
    return " ".join([f"{memory} before: {number(values['before'])}.", *gates, *parts,
                     f"{memory} after: {number(values['after'])}.", *shown])


def cell_note(config: RunConfig, unit: int | None) -> str:
    """How to read the picture, what computes its gates, and what this network's cell lacks."""
    steps_once = config.traits.reads_all_at_once
    end = ("This layer takes one step: its memory begins at zero, so there is nothing to keep, and nothing goes on."
           if steps_once else f"{'c and h go' if config.cell == 'lstm' else 'h goes'} on to the next timestep.")
    read = "all that is read" if steps_once else f"the {'word' if config.text else 'number'} just read"
    read += " (in the decoder the context)" * (config.traits.num_recurrent_layers > 1 and not
                                               config.traits.answers_while_reading)
    if config.cell == "simple_rnn":
        return (f"A simple RNN has no gates, so nothing is kept as it was: at every step h is made anew, as the tanh "
                f"of a weighted mixture of {read} and h before. {end}")
    return (f"Each gate is a small layer that looks at {read} and at h, and opens for each unit from 0\u00a0% to "
            f"100\u00a0%. {_SUMS[config.cell]} {end}{_ONE if unit else _MEANS}")


def _picture(cell: str, places: Mapping[str, tuple[float, float]], width: float, height: float,
             is_tall: bool) -> Picture:
    ids = {end for _, *ends in _ARROWS[cell] for end in ends} | ({"reads", "h"} if _LOOKS[cell] else {"reads"})
    nodes = {id: _node(id, *places[id]) for id in places if id in ids}
    edges = [Edge(f"{source}>{target}", kind, _arrow(nodes[source], nodes[target], is_tall), (0, 0))
             for kind, source, target in _ARROWS[cell]]
    if looks := [nodes[id] for id in _LOOKS[cell]]:
        edges.insert(0, Edge("looks", "gate", _bus([nodes["reads"], nodes["h"]], looks, is_tall), (0, 0)))
    return Picture(width, height, list(nodes.values()), edges, _labels(cell, nodes, is_tall))


def _node(id: str, x: float, y: float) -> Node:
    width, height = _SIZES.get(id, (_CIRCLE, _CIRCLE))
    kind = ("valve" if id in _GATES else "op" if id in _SIGNS else id if id in ("candidate", "reads") else
            "held")
    return Node(id, kind, x, y, width, height, _SIGNS.get(id, ""), "", (0, 0), bold=id in ("before", "after", "hidden"))


def _labels(cell: str, nodes: Mapping[str, Node], is_tall: bool) -> list[Label]:
    memory = "c" if cell == "lstm" else "h"
    found = [Label("title", "phase", 2, 14, "", "start")]
    for id, name, role in (("before", f"{memory} before", "old memory"), ("after", f"{memory} after", "new memory"),
                           ("hidden", "h", "the output")):
        if node := nodes.get(id):
            x, up, down = (node.x + 36, node.y - 2, node.y + 11) if is_tall else (node.x, node.y - 20, node.y + 27)
            anchor = "start" if is_tall else "middle"
            found += [Label(f"{id}-name", "name", x, up, name, anchor),
                      Label(f"{id}-role", "hint", x, down, role, anchor)]
    if "hidden" in nodes:
        node = nodes["squash"]
        found.append(Label("squashed", "flow", node.x + 26, node.y + 4, "", "start") if is_tall else
                     Label("squashed", "flow", node.x, node.y + 27, ""))
    for id, (name, hint, _) in _GATES.items():
        if node := nodes.get(id):
            found += [Label(f"{id}-name", "name", node.x, node.y - 13, name),
                      Label(f"{id}-hint", "hint", node.x, node.y + 20, hint)]
    if node := nodes.get("candidate"):
        found += [Label("candidate-name", "name", node.x, node.y - 13, "new"),
                  Label("candidate-hint", "hint", node.x, node.y + 20, "candidate")]
        kept, new = nodes["keep"], nodes["let"]
        found += [Label("kept", "flow", kept.x + 8, 162, "", "start") if is_tall else
                  Label("kept", "flow", (kept.x + new.x) / 2, kept.y - 8, ""),
                  Label("new", "flow", (kept.x + new.x) / 2, new.y - 8, "") if is_tall else
                  Label("new", "flow", new.x - 34, new.y - 20, "")]
    return found


def _arrow(source: Node, target: Node, is_tall: bool) -> str:
    """From box to box: straight, or around one corner, into the side of the target in a wide picture."""
    right, down = target.x - source.x, target.y - source.y
    if not right or (down and is_tall):
        side = math.copysign(1, down)
        start = (f"M{source.x:g} {source.y + side * source.height / 2:g}" if not right else
                 f"M{source.x + math.copysign(source.width / 2, right):g} {source.y:g}H{target.x:g}")
        return f"{start}V{target.y - side * target.height / 2:g}m-3 {-4 * side:g}l3 {4 * side:g}l3 {-4 * side:g}"
    side = math.copysign(1, right)
    start = (f"M{source.x + side * source.width / 2:g} {source.y:g}" if not down else
             f"M{source.x:g} {source.y + math.copysign(source.height / 2, down):g}V{target.y:g}")
    return f"{start}H{target.x - side * target.width / 2:g}m{-4 * side:g} -3l{4 * side:g} 3l{-4 * side:g} 3"


def _bus(sources: Sequence[Node], targets: Sequence[Node], is_tall: bool) -> str:
    """One line from what is looked at to all that look at it."""
    if is_tall:
        y, x = sources[0].y + 26, 318
        stems = "".join(f"M{each.x:g} {each.y + each.height / 2:g}V{y:g}" for each in sources)
        heads = "".join(f"M{x} {each.y:g}H{each.x + each.width / 2:g}m4-3l-4 3l4 3" for each in targets)
        return f"{stems}M{sources[0].x:g} {y:g}H{x}V{targets[-1].y:g}{heads}"
    y = sources[0].y - 26
    stems = "".join(f"M{each.x:g} {each.y - each.height / 2:g}V{y:g}" for each in sources)
    heads = "".join(f"M{each.x:g} {y:g}V{each.y + each.height / 2:g}m-3 4l3-4l3 4" for each in targets)
    return f"{stems}M{sources[0].x:g} {y:g}H{targets[-1].x:g}{heads}"


# --- words --------------------------------------------------------------------------------------------


def number(value: float | None) -> str:
    """A state as people read it: two digits, a minus sign, and no minus before zero."""
    return "none" if value is None else f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def percent(share: float | np.floating) -> str:
    """A share in percent, rounded down, so that 100 % means all."""
    return "under 1\u00a0%" if 0 < share < 0.01 else f"{math.floor(100 * share + 1e-6)}\u00a0%"
