"""What a page says when it shows a run of other settings than those of the controls."""

import streamlit as st

from echo_app import actions, state
from echo_app.components import network
from echo_app.formatting import plain
from echo_core.config import RunConfig
from echo_core.config.labels import name_in_words
from echo_core.config.presets import differing
from echo_core.text.plurals import shortened

#: Relative widths of the line and of the picture beside it.
_BESIDE = (2, 3)
#: Characters of a name.
_LONGEST = 120
#: Controls that are moved most. The line says no value of theirs, so that it stays as it is while they move on.
_MOVED = ("units", "epochs")
#: Settings that change what the picture of a network looks like.
_SHAPE = {"task", "text", "variant", "cell", "representation", "missing", "input_length", "output_length", "echo_start",
          "lag", "stateful"}


def names(shown: RunConfig, controls: RunConfig) -> tuple[str, str] | None:
    """What the shown run and the settings of the controls are called; None if they are the same.

    Several runs from different random starts, of which one is shown, are the same as the settings of the first.
    """
    fields = differing([shown, controls])
    if not fields or (fields == ["seed"] and shown in st.session_state[state.SEEDS]):
        return None
    second = name_in_words(controls, among=[field for field in fields if field not in _MOVED])
    if st.session_state[state.PRESET] == state.OWN:
        second = ", ".join([second, *(f"other {field}" for field in fields if field in _MOVED)])
    return shortened(name_in_words(shown, among=fields), _LONGEST), shortened(second, _LONGEST)


def shows_network(shown: RunConfig, controls: RunConfig) -> bool:
    """Whether the settings of the controls are of another network than the shown run, which is drawn then."""
    return not _SHAPE.isdisjoint(differing([shown, controls]))


def banner(shown: RunConfig, controls: RunConfig) -> None:
    """Draw above a run that it is not the one of the controls, and buttons for either way out."""
    found = names(shown, controls)
    if not found:
        return
    with st.container(key="banner"):
        text, picture = st.columns(_BESIDE, vertical_alignment="center") if shows_network(shown, controls) else (
            st.container(horizontal=True, vertical_alignment="center"), None)
        text.markdown(f"Showing *{plain(found[0])}*. Your controls are set to *{plain(found[1])}*.")
        with text.container(horizontal=True, width="content"):
            st.button("Train these", key="train_these", icon=":material/play_arrow:", on_click=actions.train,
                      disabled=st.session_state[state.TEXT_ERROR] is not None)
            st.button("Back to shown", key="back_to_shown", icon=":material/undo:", on_click=actions.try_settings,
                      args=(shown,))
        if picture:
            with picture:
                network.draw(controls, key="network_of_controls")
