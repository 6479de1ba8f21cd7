"""What happens at each step of a network that reads one window: the frames of the player of `components/diagram.py`.

A frame has a title, a sentence, cards that say what goes in, what the gates let through, what is kept and what comes
out, the changes of the picture's parts by id, and those of the picture of the cell.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from echo_app.charts.cell import cell_changes, cell_in_words, cell_values, memory_left, percent
from echo_app.charts.diagram import Node, Picture, fitting
from echo_app.charts.network import has_decoder, num_steps
from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.data import unscale
from echo_core.evaluation.asking import LIKELIEST, PADDING
from echo_core.inspection.gates import OPEN, SHUT
from echo_core.inspection.inside import Inside
from echo_core.records import Floats
from echo_core.text.plurals import counted

Card = dict[str, Any]
Frame = dict[str, Any]

#: What a gate does with its share.
_GATES = {"input": "lets in {} of the new", "forget": "keeps {} of the memory", "output": "shows {} of the memory",
          "update": "keeps {} of the memory", "reset": "looks at {} of the memory"}
#: What it does while the memory is empty: its value is a share of nothing.
_AT_FIRST = {"forget": "has nothing to keep yet", "update": "has nothing to keep yet",
             "reset": "has nothing to look at yet"}
_WHICH_WAY = {"forget": " (open keeps, shut drops)", "update": " (open keeps, shut replaces)"}
#: Bars of a card, and timesteps of a sentence, at most.
_MOST = 6
#: Pixels that a bar of a gate needs for a letter.
_LETTER = 12.0


def frames(config: RunConfig, picture: Picture, read: Sequence[str], expected: Sequence[str | None] | None,
           inside: Inside, unit: int | None = None) -> list[Frame]:
    """One frame for each step, as plain data.

    Args:
        picture: Of the same config, drawn with room for the values.
        read: What is read at each timestep, (input_length,); empty at a gap.
        expected: The right answer, (output_length,), None where nothing is expected; None if nobody knows it.
        inside: What the network computes for the one window.
        unit: The unit, from 1, whose values the picture of the cell carries; None for means over the units.
    """
    story = _Story(config, picture, read, expected, inside, unit)
    return [story.frame(step) for step in range(1, num_steps(config) + 1)]


class _Story:
    def __init__(self, config: RunConfig, picture: Picture, read: Sequence[str],
                 expected: Sequence[str | None] | None, inside: Inside, unit: int | None) -> None:
        self._config, self._picture, self._inside, self._unit = config, picture, inside, unit
        self._read, self._expected = read, expected
        self._left = [memory_left(layer) for layer in inside.layers]
        self._noun = "word" if config.text else "number"

    def frame(self, step: int) -> Frame:
        """All that is shown at a step, from 1."""
        c = self._config
        is_decoder = has_decoder(c) and step > c.input_length
        layer, t = (1, step - c.input_length - 1) if is_decoder else (0, step - 1)
        goes_in, out = self._goes_in(layer, t), self._comes_out(step)
        cards = [goes_in, *self._layer_cards(layer, t), *self._attention_card(step), out]
        who = "Decoder" if is_decoder else "Encoder" if has_decoder(c) else "Network"
        return {
            "title": f"Step {step}: {who}, timestep {t + 1}",
            "says": " ".join(card["says"] for card in cards if card["says"]),
            "cards": cards,
            "changes": self._changes(step, layer, t),
            "cell": self._cell(layer, t) if self._inside.layers else None}

    # --- cards -----------------------------------------------------------------------------------------

    def _goes_in(self, layer: int, t: int) -> Card:
        c, traits = self._config, self._config.traits
        if layer:
            zero = " Its own state begins at zero." if not t else ""
            return _card("Goes in", f"The context: h of the encoder's last timestep, {c.units:,} values, the same at "
                         f"every step.{zero}", says="The decoder reads the context, the encoder's last h.")
        if traits.reads_all_at_once:
            return _card("Goes in", f"All {c.input_length:,} {self._noun}s at once, as features of a single timestep.",
                         says=f"All {c.input_length:,} {self._noun}s go in at once.")
        if not self._read[t]:
            return _card("Goes in", "A gap. The mask lets the state stay as it was.", says="A gap is skipped.")
        which = f"{self._read[t]}, {self._noun} {t + 1:,} of {c.input_length:,}"
        if not traits.num_recurrent_layers:
            seen = t >= c.input_length - c.output_length
            return _card("Goes in", f"{which}. {'The dense layer sees it alone.' if seen else 'No layer looks at it.'}",
                         says=f"{which}, {'is all that the dense layer sees' if seen else 'is not looked at'}.")
        before = "The state before it is zero." if not t else "With it comes the state of the timestep before."
        reader = "encoder" if has_decoder(c) else "network"
        return _card("Goes in", f"{which}. {before}", says=f"The {reader} reads {which}.")

    def _layer_cards(self, number: int, t: int) -> list[Card]:
        if not self._inside.layers:
            return [_card("Memory", "None: no layer hands anything on, so no gate is needed.")]
        layer, left = self._inside.layers[number], self._left[number]
        size = f"The hidden state h, which is handed on, has a mean size of {np.abs(layer.hidden[0, t]).mean():.2f}."
        if left is None:
            return [_card("Gates", "A simple RNN has none: every step overwrites the whole state."),
                    _card("Memory", f"All of h is new at each step: a tanh of what it reads and of the last h. {size}")]
        return [self._gates_card(number, t), self._memory_card(number, t, size)]

    def _gates_card(self, number: int, t: int) -> Card:
        units, bars, said, layer = self._config.units, [], [], self._inside.layers[number]
        is_empty = not (layer.hidden if layer.cell is None else layer.cell)[0, :t].any()
        for name, gate in layer.gates.items():
            values = gate[0, t]
            if np.isnan(values).any():
                return _card("Gates", "No gate acts at a gap.")
            opened, shut = int((values > OPEN).sum()), int((values < SHUT).sum())
            of_nothing = is_empty and name in _AT_FIRST
            does = _AT_FIRST[name] if of_nothing else _GATES[name].format(percent(values.mean()))
            bars.append(_bar(f"{name.capitalize()} gate{_WHICH_WAY.get(name, '')}: {does}", [("open", opened / units),
                             ("between", 1 - (opened + shut) / units)],
                             f"nearly open {opened:,}, nearly shut {shut:,} of {units:,}"))
            if not of_nothing:
                one = f" (unit {self._unit:,}: {percent(values[self._unit - 1])})" if self._unit else ""
                said.append(f"its {name} gate {does}{one}")
        text = f"Means over {counted(units, 'unit')}.{' The memory is still empty.' * is_empty}"
        return _card("Gates", text, bars, says=f"On average over {counted(units, 'unit')}, {', '.join(said)}."
                     if said else "")

    def _memory_card(self, number: int, t: int, size: str) -> Card:
        left = self._left[number]
        assert left is not None
        now, noun = left[t, :t + 1], "the cell state c" if self._config.cell == "lstm" else "the hidden state h"
        new = float(now[-1] / max(now.sum(), 1e-9))
        stays = [f"{place + 1:,}: {percent(_still_there(left, t, place, place + 1))}" for place in range(t)]
        end = ", and so on." if len(stays) > _MOST else "."
        kept = f" Still there of what was written at timestep {', '.join(stays[:_MOST])}{end}" if stays else ""
        fresh = round(100 * new)
        made_of = f"Of {noun}, {100 - fresh}\u00a0% is from before and {fresh}\u00a0% was written now."
        return _card("Memory", f"{made_of}{kept} {size}",
                     [_bar("From before, and new", [("kept", 1 - new), ("new", new)])])

    def _attention_card(self, step: int) -> list[Card]:
        if self._inside.attention is None:
            return []
        places = self._places(step)
        if not places:
            return [_card("Looks back at", "Attention looks back only when the decoder answers.")]
        weights = self._inside.attention[0, places[0]]
        most = np.argsort(-weights, kind="stable")[:LIKELIEST]
        names = [f"{self._read[place] or 'gap'} (timestep {place + 1:,})" for place in most]
        return [_card("Looks back at", "", [_bar(name, [("look", float(weights[place]))], percent(weights[place]))
                                            for name, place in zip(names, most, strict=True)],
                      says=f"It looks back mostly at {names[0]}.")]

    def _comes_out(self, step: int) -> Card:
        places = self._places(step)
        if len(places) > 1:
            return self._all_at_once(places)
        if places:
            text = self._verdict(places[0])
            bars = self._likeliest_bars(self._row(places[0]), places[0])
            likeliest = bars[0]["label"]
        elif self._config.traits.has_padding:
            bars = self._likeliest_bars(step - 1, None)
            likeliest = bars[0]["label"]
            text = "✓ It should wait." if likeliest == PADDING else "✗ It should wait and say padding."
        else:
            reads = self._config.traits.num_recurrent_layers > 0
            return _card("Comes out", "Nothing yet: it answers when it has read everything." if reads else "Nothing.",
                         says="Nothing is said yet.")
        sure = f", {bars[0]['note']} sure" if bars[0]["parts"] else ""
        return _card("Comes out", text, bars, says=f"It says {likeliest}{sure}. {text}")

    def _all_at_once(self, places: Sequence[int]) -> Card:
        bars = [self._likeliest_bars(self._row(place), place)[0] for place in places[:_MOST]]
        named = [{**bar, "label": f"{place + 1:,}: {bar['label']} {self._sign(place)}"}
                 for place, bar in zip(places, bars, strict=False)]
        right = sum(self._sign(place) == "✓" for place in places)
        text = f"The whole answer. {right:,} of {len(places):,} right." if self._expected else "The whole answer."
        more = f" The first {_MOST} are listed." if len(places) > _MOST else ""
        return _card("Comes out", text + more, named, says=f"It says {', '.join(bar['label'] for bar in bars)}. {text}")

    def _likeliest_bars(self, row: int, place: int | None) -> list[dict[str, Any]]:
        """The likeliest answers at one timestep of the output; of a scaled number the number itself."""
        c, probabilities = self._config, self._inside.probabilities
        if probabilities is None:
            value = float(unscale(self._inside.logits[0, row], c.vocab_size)[0])
            return [_bar(self._said(row), [], f"{value:.1f}, rounded. It guesses a size, so nothing has a probability")]
        shares = probabilities[0, row]
        most = np.argsort(-shares, kind="stable")[:LIKELIEST]
        wanted = self._expected[place] if self._expected and place is not None else None
        return [_bar(name := self._name(int(token)), [("right" if name == wanted else "share", float(shares[token]))],
                     percent(shares[token])) for token in most]

    # --- the picture -----------------------------------------------------------------------------------

    def _changes(self, step: int, layer: int, t: int) -> dict[str, dict[str, Any]]:
        """What changes in the picture at a step, by the id of its part."""
        changes: dict[str, dict[str, Any]] = {}
        for node in self._picture.nodes:
            first, last = node.steps
            if first < last and last + 1 == step and node.text:
                changes[node.id] = {"text": "…", "sign": "", "mark": None}
            elif node.kind == "meter" and layer == 0 and (left := self._left[0]) is not None:
                changes[node.id] = {"levels": [round(_still_there(left, t, first - 1, last), 3)]}
            elif first <= step <= last:
                changes |= self._node_changes(node, step, layer, t)
        return changes

    def _node_changes(self, node: Node, step: int, layer: int, t: int) -> dict[str, dict[str, Any]]:
        """What a node that is at work shows."""
        match node.kind:
            case "read" if node.steps[0] < node.steps[1]:
                return {node.id: {"text": fitting(self._read[t] or "·", node.width)}}
            case "cell":
                gates = self._inside.layers[layer].gates
                levels = [round(float(np.nan_to_num(values[0, t]).mean()), 3) for values in gates.values()]
                letters = "".join(name[0] for name in gates) if node.width > _LETTER * len(gates) else ""
                return {node.id: {"levels": levels, "letters": letters}}
            case "mix":
                return self._attention_changes(node, step)
            case "waits":
                said = self._said(step - 1)
                mark, sign, text = ("right", "✓", "·") if said == PADDING else ("wrong", "✗", said)
                return {node.id: {"mark": mark, "sign": sign, "text": fitting(text, node.width)}}
            case "answer" | "unasked":
                if self._config.traits.one_vector_for_all:
                    place = int(node.id.removeprefix("answer-")) - 1
                    if node.text == "…":
                        return {}
                else:
                    place = self._places(step)[0]
                sign, said = self._sign(place), self._said(self._row(place))
                return {node.id: {"text": fitting(said, node.width), "title": said, "sign": sign,
                                  "mark": {"✓": "right", "✗": "wrong"}.get(sign)}}
        return {}

    def _attention_changes(self, mix: Node, step: int) -> dict[str, dict[str, Any]]:
        assert self._inside.attention is not None
        weights, cells = self._inside.attention[0, self._places(step)[0]], self._picture.nodes
        return {f"{cell.id}>{mix.id}": {"weight": round(float(weights[cell.steps[0] - 1:cell.steps[1]].sum()), 3)}
                for cell in cells if cell.kind == "cell" and cell.steps[1] <= self._config.input_length}

    def _cell(self, number: int, t: int) -> dict[str, Any]:
        """What the picture of the cell shows, and the same in words."""
        c, unit = self._config, self._unit
        values = cell_values(self._inside.layers[number], t, unit)
        who = CELLS[c.cell].title if not has_decoder(c) else "decoder" if number else "encoder"
        whose = f"unit {unit:,} of {c.units:,}" if unit else f"means over {counted(c.units, 'unit')}"
        title = f"In the {who}'s cell at timestep {t + 1:,}: {whose}"
        reads = ("context" if number else f"all {c.input_length:,}" if c.traits.reads_all_at_once else
                 self._read[t] or "a gap")
        return {"changes": {"title": {"text": title}, **cell_changes(values, reads)},
                "summary": f"{title}. It reads {reads}. {cell_in_words(c, values)}"}

    # --- answers ---------------------------------------------------------------------------------------

    def _places(self, step: int) -> list[int]:
        """The places of the answer, from 0, that are said at a step."""
        c = self._config
        if c.traits.one_vector_for_all:
            return list(range(c.output_length)) if step == num_steps(c) else []
        place = step - 1 - (num_steps(c) - c.output_length)
        return [place] if place >= 0 else []

    def _row(self, place: int) -> int:
        return self._config.answer_steps - self._config.output_length + place

    def _said(self, row: int) -> str:
        if self._inside.probabilities is None:
            return str(round(float(unscale(self._inside.logits[0, row], self._config.vocab_size)[0])))
        return self._name(int(self._inside.probabilities[0, row].argmax()))

    def _name(self, token: int) -> str:
        if token == self._config.vocab_size:
            return PADDING
        return self._config.vocabulary[token] if self._config.text else str(token)

    def _sign(self, place: int) -> str:
        wanted = self._expected[place] if self._expected else None
        return "" if wanted is None else "✓" if self._said(self._row(place)) == wanted else "✗"

    def _verdict(self, place: int) -> str:
        if self._expected is None:
            return "Nobody has said what the right answer is."
        wanted = self._expected[place]
        if wanted is None:
            return "Nothing is asked for here."
        return "✓ Right." if self._sign(place) == "✓" else f"✗ Wrong: {wanted} was asked for."


def _still_there(left: Floats, t: int, first: int, end: int) -> float:
    """The share of what was written at timesteps from `first` to before `end` that is left after timestep t.

    Args:
        left: See `memory_left`.
    Returns:
        0 where nothing has been written.
    """
    written = float(np.diagonal(left)[first:min(end, t + 1)].sum())
    return min(1.0, float(left[t, first:end].sum()) / written) if written else 0.0


def _card(heading: str, text: str, bars: Sequence[dict[str, Any]] = (), says: str = "") -> Card:
    return {"heading": heading, "text": text, "bars": list(bars), "says": says}


def _bar(label: str, parts: Sequence[tuple[str, float]], note: str = "") -> dict[str, Any]:
    return {"label": label, "parts": [[kind, round(float(share), 4)] for kind, share in parts], "note": note}
