"""Widgets for the settings of a run. Each has its field's name as key, and that field's words as help."""

import streamlit as st

from echo_app import session
from echo_core.config import PRESETS, VARIANTS, RunConfig, divisors

VARIANT_TITLES = {
    "whole": "Whole: answers while it reads",
    "encoder_decoder": "Encoder–decoder: reads, then answers",
}


#: Pixels: two controls side by side in the column at 1280 pixels and on a telephone, framed or not.
_WIDTH, _FRAMED_WIDTH = 130, 117


def main_controls() -> None:
    """The controls that everybody needs."""
    state, limits = st.session_state, session.engine().limits
    st.selectbox("Start from", [*PRESETS, session.OWN], key=session.PRESET, on_change=session.load_preset,
                 format_func=lambda name: PRESETS[name].title if name in PRESETS else "Your own settings",
                 help="Settings worth starting from. Each sets all the controls below.")
    preset = PRESETS.get(state[session.PRESET])
    st.caption(preset.watch_for if preset else "Settings of your own. Choose one above to begin afresh.")
    st.selectbox("Network", VARIANTS, key="variant", format_func=VARIANT_TITLES.__getitem__, help=_help("variant"))
    with st.container(horizontal=True):
        _number("units", "Units", limits.max_units)
        _number("epochs", "Epochs", limits.max_epochs, step=100)
        whole = state.variant == "whole"
        _number("output_length", "Output length", state.input_length, disabled=whole,
                more=" Whole echo answers at every step, so it is the input length." if whole else "")


def advanced_controls(num_windows: int) -> None:
    """The other settings, folded away. Batches are offered that divide the windows of an epoch."""
    state, limits = st.session_state, session.engine().limits
    with st.expander("Advanced", key="advanced"):
        with st.container(horizontal=True):
            framed = _FRAMED_WIDTH
            _number("input_length", "Input length", min(limits.max_input_length, state.sequence_length), width=framed)
            _number("sequence_length", "Sequence", limits.max_sequence_length, width=framed)
            _number("vocab_size", "Vocabulary", limits.max_vocab_size, least=2, width=framed)
            _number("sequences_per_epoch", "Sequences", limits.max_windows, width=framed)
            st.selectbox("Batch size", divisors(num_windows), key="batch_size", help=_help("batch_size"), width=framed)
            st.number_input("Rate", min(1e-6, state.learning_rate), 1.0, key="learning_rate", step=0.001,
                            format="%g", help="Learning rate. " + _help("learning_rate"), width=framed)
            _number("seed", "Seed", 2**31 - 1, least=0, width=framed)
        several = state.sequences_per_epoch > 1
        st.toggle("Stateful", key="stateful", disabled=several, help=_help("stateful") + (
            " Only with one sequence an epoch." if several else ""))


def _number(field: str, label: str, most: int, *, least: int = 1, step: int = 1, disabled: bool = False,
            more: str = "", width: int = _WIDTH) -> None:
    # A link may bring more than this host allows; Train says so, the control shows it.
    most = max(most, int(st.session_state[field]))
    st.number_input(label, least, most, key=field, step=step, disabled=disabled, help=_help(field) + more, width=width)


def _help(field: str) -> str:
    return RunConfig.model_fields[field].description or ""
