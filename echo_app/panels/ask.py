"""Ask it yourself: a visitor types a window, and the trained network answers at once."""

import streamlit as st

from echo_app import cached_reads, state, store_outages
from echo_app.charts import answers
from echo_app.formatting import plain
from echo_core.config import RunConfig
from echo_core.data import generate_sequence
from echo_core.evaluation.asking import ask, example_question, parse_question, spell_question
from echo_core.records import Checkpoint, Ints
from echo_core.store import RunRow
from echo_core.text.plurals import shortened

#: The page answers while one types, this long after the last key.
_AFTER = "50ms"
#: Characters of a window in a sentence.
_LONGEST = 60
#: Relative widths of the question and its answer.
HALVES = (2, 3)
#: Key of `st.session_state`: a window of the grid was picked.
_PICKED = "picked_window"
#: Key of `st.session_state`: *Look inside* was pressed.
_INSIDE = "wants_inside"


def panel(run: RunRow) -> None:
    """Draw the question and the answer of a run's newest weights, in a fragment of its own, and the way inside."""
    if run.state.is_active or cached_reads.weights(run) is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="ask_head"):
        st.subheader("Ask it yourself", anchor=False, width="content")
        st.button("Look inside", key="look_inside", icon=":material/visibility:", type="tertiary",
                  on_click=_look_inside, help="Its gates, its memory and what it uses of it, step by step.")
    store_outages.fragment(_panel, key="ask_panel")(run.run_id)


def wants_inside() -> bool:
    """Whether *Look inside* was pressed, once. A callback noted it, so the press outlives a rerun that is cut short."""
    return bool(st.session_state.pop(_INSIDE, False))


def _look_inside() -> None:
    st.session_state[_INSIDE] = True


def _panel(run_id: str) -> None:
    run = state.shown_run() if store_outages.is_fragment_rerun() else state.seen_run()
    checkpoint = cached_reads.newest_checkpoint(run) if run else None
    if run is None or run.run_id != run_id or checkpoint is None:
        st.rerun()
    question(run, checkpoint)


def question(run: RunRow, checkpoint: Checkpoint, has_pictures: bool = False) -> Ints:
    """Draw the question and its answer. Returns the window at hand: the last question that this network could read.

    Args:
        has_pictures: Whether pictures of the window at hand are drawn below.
    """
    config, session = run.config, st.session_state
    _begin(run)
    left, right = st.columns(HALVES, gap="medium")
    with left.container(horizontal=True, vertical_alignment="bottom", key="ask"):
        st.text_input(_label(config), key=state.ASKED, persist_state="session", live=_AFTER,
                      autocomplete="off")
        st.button("Roll", key="roll", icon=":material/casino:", on_click=_roll, args=(config,),
                  help="Ask one of your pairs." if config.task == "pairs" else "Draw them at random.")
    try:
        session[state.WINDOW] = run.run_id, parse_question(config, session[state.ASKED])
        right.html(answers.answer(ask(config, checkpoint.weights, session[state.ASKED])))
    except ValueError as error:  # what the network cannot read, or weights that are not finite
        still = f" The pictures below still show {_shown(config)}." if has_pictures else ""
        right.error(plain(str(error).replace("question must be", "Type", 1) + still), icon=":material/edit_note:")
    window: Ints = session[state.WINDOW][1]
    return window


def _shown(config: RunConfig) -> str:
    """The window at hand, as one would type it."""
    return shortened(spell_question(config, st.session_state[state.WINDOW][1]), _LONGEST)


def _begin(run: RunRow) -> None:
    """Give the question an example that the network can read, if it was asked of another network that reads others."""
    session, held = st.session_state, st.session_state[state.WINDOW]
    if held and held[0] == run.run_id and state.ASKED in session:
        if not store_outages.is_fragment_rerun():
            # Sent to the browser again, which may have dropped it while it changed pages and would show an empty box.
            session[state.ASKED] = session[state.ASKED]
        return
    try:
        window = parse_question(run.config, session.get(state.ASKED) or "")
    except ValueError:
        session[state.ASKED] = example_question(run.config)
        window = parse_question(run.config, session[state.ASKED])
    session[state.WINDOW] = run.run_id, window


def pick(config: RunConfig, place: int) -> None:
    """Called for a click on a window of the grid: ask that window."""
    windows = cached_reads.shown_windows(config)
    if 0 <= place < len(windows):
        st.session_state[state.ASKED] = spell_question(config, windows[place])
        st.session_state[_PICKED] = True


def was_picked() -> bool:
    """Whether a window was picked in this run of the script: the question is drawn outside of the grid's fragment."""
    return store_outages.is_fragment_rerun() and bool(st.session_state.pop(_PICKED, False))


def _label(config: RunConfig) -> str:
    if config.task == "pairs":
        return f"A question of at most {config.input_length} words that it knows"
    what = "words that it knows" if config.text else f"numbers from 0 to {config.vocab_size - 1:,}"
    return f"{config.input_length} {what}"


def _roll(config: RunConfig) -> None:
    """Callback: ask random numbers or words, or one of the pairs."""
    if config.task == "pairs":
        windows = cached_reads.shown_windows(config)
        place, = generate_sequence(1, len(windows))
        st.session_state[state.ASKED] = spell_question(config, windows[place])
    else:
        window = generate_sequence(config.input_length, config.vocab_size)
        st.session_state[state.ASKED] = spell_question(config, window)
