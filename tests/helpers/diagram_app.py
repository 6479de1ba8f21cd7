"""A page for tests/browser/test_diagram.py: the player of an untrained network, whose weights change every second
with `?changing=1`."""

import streamlit as st

from echo_app.charts.cell import cell_note, cell_pictures
from echo_app.charts.network import LARGE, network_picture
from echo_app.charts.network_words import asked_places, example, names, sentences, summary
from echo_app.charts.steps import frames
from echo_app.components.diagram import diagram
from echo_core.config.presets import PRESETS
from echo_core.inspection.inside import look_inside
from tests.helpers.hostile import PAIRS
from tests.helpers.weights import random_weights

query = st.query_params
config = PAIRS if query.get("preset") == "hostile" else PRESETS[query.get("preset", "quick")].config


def player():
    """Draw the player, and the step that was picked."""
    st.session_state.runs = st.session_state.get("runs", 0) + 1
    window, answer = example(config)
    read, expected = names(config, window), [word or None for word in names(config, answer)]
    picture = network_picture(config, read, ["?"] * config.output_length, asked_places(config), LARGE)
    inside = look_inside(config, random_weights(config, seed=st.session_state.runs), window[None])
    diagram(picture.data(), summary(config), sentences(config), "player",
            frames=frames(config, picture, read, expected, inside),
            start=st.session_state.get("picked", 1), on_pick=lambda step: st.session_state.update(picked=step),
            cell={**{name: cell.data() for name, cell in cell_pictures(config).items()},
                  "note": cell_note(config, None)})
    st.text(f"picked {st.session_state.get('picked', 'none')}")


st.fragment(player, run_every=1 if "changing" in query else None)()
