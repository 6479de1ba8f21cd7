"""View: the picture of the network carries the values of one window, step by step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from echo_app.charts.cell import cell_note, cell_pictures, cell_values
from echo_app.charts.network import LARGE, has_decoder, has_gates, has_meters, network_picture
from echo_app.charts.network_words import asked_places, names, sentences, summary
from echo_app.charts.steps import Card, Frame, frames
from echo_app.components.diagram import diagram
from echo_app.panels.inside import reading
from echo_app.panels.inside.look import TIMESTEP, UNIT, Look, inside
from echo_core.config import RunConfig
from echo_core.config.sizes import needs_memory
from echo_core.evaluation.asking import expected_answer
from echo_core.inspection.gates import OPEN, SHUT
from echo_core.inspection.inside import Inside, gate_names

TITLE = "Step by step"

_HOW_TO_READ = "Follow one window through the network, a timestep at a time: play it, or take steps yourself."
_IDLE = (" **It needs no memory:** no number has to wait for its answer. Its gates and memory move, but are idle for "
         "what it says.")
#: What each gate does, by its name; its letter stands below its bar.
_GATES = {"input": "**i**, the input gate, lets news in", "output": "**o**, the output gate, shows the memory",
          "forget": "**f**, the forget gate, keeps the memory when open and drops it when shut",
          "update": "**u**, the update gate, keeps the memory when open and replaces it when shut",
          "reset": "**r**, the reset gate, looks at the old memory"}
_MEMORY = (" The orange bar above a number: how much is left of what was written into the memory at its timestep, "
           "as a share. It is empty where nothing has been written. "
           f"*{reading.TITLE}* shows whether the number itself can be found in it.")
_COUNTED = (f" The bars of the card *Gates* count units: filled, those whose gate is nearly open (above {OPEN}); "
            f"hatched, those in between; empty, those nearly shut (below {SHUT}).")

_NO_CELL = ("There is no cell to look into: this network has no recurrent layer, so it has no memory and no gates, and "
            "its dense layer sees one number at a time.")
_OF_EACH = " Encoder and decoder have units of their own: the cell shows the unit of the one that is at work."
#: Key of `st.session_state`: the unit in the box above the picture.
_CELL = "inside_cell_unit"


def draw(look: Look) -> None:
    """Draw the picture, its player and the numbers behind it."""
    config, read = look.config, names(look.config, look.window)
    right = expected_answer(config, look.window)
    expected = None if right is None else [word or None for word in names(config, right)]
    said = ["?"] * config.output_length if expected is None else ["?" if word else "" for word in expected]
    picture = network_picture(config, read, said, asked_places(config), LARGE)
    unit = _pick_unit(config, inside(look))
    steps = frames(config, picture, read, expected, inside(look), unit)
    diagram(picture.data(), summary(config), sentences(config), "inside_steps", frames=steps,
            start=st.session_state.get(TIMESTEP, 1), on_pick=_move_cursor, cell=_cell(config, unit))
    with st.expander("The numbers"):
        st.dataframe(_table(steps), hide_index=True, alt="What happens at each step, in words")
        if inside(look).layers:
            st.dataframe(_cells(inside(look), unit), hide_index=True, alt="The values of the cell at each timestep")
        if has_gates(config):
            st.dataframe(_gates(inside(look)), hide_index=True, alt="What each gate lets through at each timestep")


def _pick_unit(config: RunConfig, values: Inside) -> int | None:
    """Say how to read the view, and draw the box of the unit whose values the cell shows; None for means."""
    if not config.traits.num_recurrent_layers:
        st.markdown(f"{_HOW_TO_READ} {_NO_CELL}")
        return None
    text, box = st.columns((4, 1), vertical_alignment="bottom")
    text.markdown(_HOW_TO_READ + ("" if needs_memory(config) else _IDLE))
    if gates := gate_names(config):
        text.caption(f"Bars in a cell are its gates, full when open: {'; '.join(_GATES[gate] for gate in gates)}."
                     + (_MEMORY if has_meters(config) else "") + _COUNTED)
    unit = st.session_state.get(UNIT) or 0
    st.session_state[_CELL] = unit if unit <= config.units else 0
    of = " of each layer" * has_decoder(config)
    picked: int = box.selectbox("The cell shows", [0, *by_change(values)], key=_CELL, on_change=_choose_unit,
                                format_func=lambda unit: f"unit {unit:,}{of}" if unit else "all units (mean)",
                                help="Units whose memory changes most in this window come first. Type a number to "
                                     "find a unit." + (_OF_EACH if of else ""))
    return picked or None


def by_change(values: Inside) -> list[int]:
    """The units, from 1, those first whose memory changes most over the timesteps of all layers."""
    changes = 0
    for layer in values.layers:
        memory = (layer.hidden if layer.cell is None else layer.cell)[0]  # (timesteps, units)
        changes = changes + np.abs(np.diff(memory, axis=0, prepend=0)).sum(axis=0)
    return [int(place) + 1 for place in np.argsort(-changes, kind="stable")]


def _choose_unit() -> None:
    st.session_state[UNIT] = st.session_state[_CELL] or None


def _cell(config: RunConfig, unit: int | None) -> dict[str, Any] | None:
    if not config.traits.num_recurrent_layers:
        return None
    pictures = {name: picture.data() for name, picture in cell_pictures(config).items()}
    return {**pictures, "note": cell_note(config, unit)}


def _move_cursor(step: int) -> None:
    st.session_state[TIMESTEP] = step


def _table(steps: Sequence[Frame]) -> pd.DataFrame:
    return pd.DataFrame([{"step": step["title"], **{card["heading"]: _in_words(card) for card in step["cards"]}}
                         for step in steps])


def _cells(inside: Inside, unit: int | None) -> pd.DataFrame:
    """A row for each timestep and a column for each number in the picture of the cell."""
    return pd.DataFrame([{"layer": layer.name, "timestep": t + 1, "unit": unit or "mean", **cell_values(layer, t, unit)}
                         for layer in inside.layers for t in range(layer.hidden.shape[1])])


def _gates(inside: Inside) -> pd.DataFrame:
    """Means over the units; gaps, where no gate acts, are left out."""
    return pd.DataFrame([
        {"layer": layer.name, "timestep": t + 1, "gate": name, "mean": float(values.mean()),
         "nearly open": int((values > OPEN).sum()), "nearly shut": int((values < SHUT).sum()), "units": values.size}
        for layer in inside.layers for name, gate in layer.gates.items() for t, values in enumerate(gate[0])
        if not np.isnan(values).any()])


def _in_words(card: Card) -> str:
    bars = [f"{bar['label']} ({bar['note']})" if bar["note"] else "" for bar in card["bars"]]
    return " ".join(filter(None, [card["text"], *bars]))
