"""View: the picture of the network carries the values of one window, step by step."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from echo_app.charts.network import LARGE, has_gates, has_meters, network_picture
from echo_app.charts.network_words import asked_places, names, sentences, summary
from echo_app.charts.steps import Card, Frame, frames
from echo_app.components.diagram import diagram
from echo_app.panels.inside.look import TIMESTEP, Look, inside
from echo_core.evaluation.asking import expected_answer
from echo_core.studies.gates import OPEN, SHUT
from echo_core.studies.inside import Inside

TITLE = "Step by step"

_HOW_TO_READ = "Follow one window through the network, a timestep at a time: play it, or take steps yourself."
_BARS = (" Bars in a cell are its gates, from shut to open. A bar above a number is how much is still in memory of "
         "what was written at its timestep; whether the number itself can be read from it, another view shows.")


def draw(look: Look) -> None:
    """Draw the picture, its player and the numbers behind it."""
    config, read = look.config, names(look.config, look.window)
    right = expected_answer(config, look.window)
    expected = None if right is None else [word or None for word in names(config, right)]
    said = ["?"] * config.output_length if expected is None else ["?" if word else "" for word in expected]
    picture = network_picture(config, read, said, asked_places(config), LARGE)
    steps = frames(config, picture, read, expected, inside(look))
    st.markdown(_HOW_TO_READ + (_BARS if has_meters(config) else ""))
    diagram(picture.data(), summary(config), sentences(config), "inside_steps", frames=steps,
            start=st.session_state.get(TIMESTEP, 1), on_pick=_move_cursor)
    with st.expander("The numbers"):
        st.dataframe(_table(steps), hide_index=True, alt="What happens at each step, in words")
        if has_gates(config):
            st.dataframe(_gates(inside(look)), hide_index=True, alt="What each gate lets through at each timestep")


def _move_cursor(step: int) -> None:
    st.session_state[TIMESTEP] = step


def _table(steps: Sequence[Frame]) -> pd.DataFrame:
    return pd.DataFrame([{"step": step["title"], **{card["heading"]: _in_words(card) for card in step["cards"]}}
                         for step in steps])


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
