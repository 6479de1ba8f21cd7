"""Widgets for the settings of a run. The key of each is its field's name, and its help the field's description.

Each control of a setting persists: otherwise Streamlit drops its value when a fragment of another page is redrawn.
"""

from typing import Any

import streamlit as st

from echo_app import actions, state
from echo_app.formatting import first_lines
from echo_core.config import divisors
from echo_core.config.compatibility import AXES, offered
from echo_core.config.labels import TITLES, help_of, label_of
from echo_core.config.presets import PRESETS
from echo_core.config.repair import following
from echo_core.config.variants import VARIANTS
from echo_core.text import words as texts
from echo_core.text.plurals import counted

#: Pixels, so that two controls fit side by side at 1280 pixels and on a telephone: plain, and in the expander.
_WIDTH, _FRAMED_WIDTH = 130, 117


def preset_controls() -> None:
    """What to start from, with what to watch for and the preset that makes clear what it is about."""
    session = st.session_state
    st.selectbox("Start from", [*PRESETS, state.OWN], key=state.PRESET, persist_state="session",
                 on_change=actions.load_preset,
                 format_func=lambda name: PRESETS[name].title if name in PRESETS else "Your own settings",
                 help="Settings worth starting from. Each sets all the controls below. *Tutorial* is Jason "
                      "Brownlee's of 2017 on echoing random numbers, from which this page grew.")
    preset = PRESETS.get(session[state.PRESET])
    st.caption(preset.watch_for if preset else "Settings of your own. Choose one above to begin afresh.")
    with st.container():  # also without a contrast, so that Streamlit keeps the widgets below
        if preset and preset.contrast:
            st.button(f"Compare: {preset.contrast.shows}", key="contrast", type="tertiary",
                      icon=":material/compare_arrows:", on_click=actions.train_settings,
                      args=(PRESETS[preset.contrast.preset].config,), help="Trains it in place of this one.")


def main_controls() -> None:
    """The controls that everybody needs."""
    session, limits = st.session_state, state.engine().limits
    _choice("task", AXES["task"], on_change=actions.task_changed)
    with st.container():  # also without pairs, so that Streamlit keeps the widgets below
        if session.task == "pairs":
            _pairs()
    _choice("variant", offered("variant", {"task": session.task}))
    with st.container(horizontal=True):
        _number("units", limits.max_units)
        _number("epochs", limits.max_epochs, step=100)
        whole, pairs = VARIANTS[session.variant].answers_every_step, session.task == "pairs"
        if session.task == "lag":  # in place of the output length, which is the input length
            _number("lag", session.input_length - 1, least=0)
        else:
            _number("output_length", max(session.input_length, session.output_length), disabled=whole or pairs,
                    more=" This network answers at every step, so it is the input length." if whole else
                    " It is the longest answer of your pairs." if pairs else "")


def advanced_controls(num_windows: int) -> None:
    """The other settings in an expander. Options that contradict other settings are not offered."""
    session, limits, framed = st.session_state, state.engine().limits, _FRAMED_WIDTH
    follows = following({"task": session.task, "text": session[state.SETTLED_TEXT]})
    pairs = session.task == "pairs"
    with st.expander("Advanced", key="advanced"):
        if not pairs:
            _own_words()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            for field in ("cell", "representation", "missing"):
                others = {name: session[name] for name in AXES if name != field}
                _choice(field, offered(field, others), width=framed)
            _number("echo_start", max(0, session.input_length - session.output_length), least=0,
                    disabled=pairs or session.task == "lag" or VARIANTS[session.variant].answers_every_step,
                    width=framed)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            _number("input_length", min(limits.max_input_length, session.sequence_length),
                    disabled="input_length" in follows, width=framed)
            _number("sequence_length", limits.max_sequence_length, disabled=pairs, width=framed)
            _number("vocab_size", limits.max_vocab_size, least=2, disabled="vocab_size" in follows,
                    more=" It follows from the words." if follows else "", width=framed)
            _number("sequences_per_epoch", limits.max_windows, disabled=pairs, width=framed)
            st.selectbox(label_of("batch_size"), divisors(num_windows), key="batch_size", persist_state="session",
                         help=help_of("batch_size"), width=framed)
            st.number_input(label_of("learning_rate"), min(1e-6, session.learning_rate), 1.0, key="learning_rate",
                            persist_state="session", step=0.001, format="%g", width=framed,
                            help=help_of("learning_rate"))
            _choice("schedule", ("constant", "cosine"), width=framed)
            st.number_input(label_of("clip_norm"), 0.0, max(1000.0, session.clip_norm), key="clip_norm",
                            persist_state="session", step=0.5, format="%g", help=help_of("clip_norm"), width=framed)
            _number("seed", 2**31 - 1, least=0, width=framed)
        several = session.sequences_per_epoch > 1
        st.toggle(label_of("stateful"), key="stateful", persist_state="session", disabled=several or pairs,
                  help=help_of("stateful") + (" Only with one sequence an epoch." if several else ""))


def _pairs() -> None:
    """Where visitors type pairs of questions and answers, or upload a file of them."""
    st.text_area("Question => answer, a pair a line", key="text", persist_state="session", height=160,
                 help=help_of("text"), on_change=actions.text_changed)
    _bytes_left()
    st.file_uploader("Or a .txt, .csv or .tsv file of pairs", ["txt", "csv", "tsv"], key=state.UPLOAD,
                     on_change=actions.take_upload, max_upload_size=1)
    file_errors(state.UPLOAD)
    if notes := st.session_state[state.UPLOAD_NOTES]:
        st.text("\n".join(notes))
    _text_error()


def _own_words() -> None:
    """Where visitors type words that replace the random numbers."""
    st.toggle("Your own words", key=state.OWN_WORDS, persist_state="session",
              on_change=actions.own_words_changed, help=help_of("text"))
    if st.session_state[state.OWN_WORDS]:
        st.text_area("Words, with spaces between them", key="text", persist_state="session", height=90)
        _bytes_left()
        _text_error()


def file_errors(uploader: str) -> None:
    """Draw below an uploader why its file was refused, or which of its settings were not accepted."""
    if found := st.session_state[state.FILE_ERRORS].get(uploader):
        heading, lines = found
        st.error(heading, icon=":material/block:")
        st.text(first_lines(lines))  # as plain text, as it quotes the file


def _bytes_left() -> None:
    """Draw how many bytes may still be typed; letters other than English ones take several."""
    left = texts.MAX_BYTES - state.text_bytes()
    st.caption(f"{counted(left, 'byte')} of {texts.MAX_BYTES:,} left" if left >= 0 else
               f"{counted(-left, 'byte')} too many: a text has at most {texts.MAX_BYTES:,}")


def _text_error() -> None:
    if st.session_state[state.TEXT_ERROR]:
        st.error("These words cannot be learnt as they are:", icon=":material/edit_note:")
        st.text(st.session_state[state.TEXT_ERROR])  # as plain text, as it quotes what was typed


def _choice(field: str, options: tuple[str | bool, ...], **more: Any) -> None:
    """A select box for a field."""
    st.selectbox(label_of(field), options, key=field, persist_state="session",
                 format_func=TITLES[field].__getitem__, help=help_of(field),
                 **more)


def _number(field: str, most: int, *, least: int = 1, step: int = 1, disabled: bool = False,
            more: str = "", width: int = _WIDTH) -> None:
    # A link may ask for more than this host allows: the control shows it, and a message refuses it.
    most = max(most, int(st.session_state[field]))
    st.number_input(label_of(field), least, most, key=field, persist_state="session", step=step, disabled=disabled,
                    help=help_of(field) + more, width=width)

