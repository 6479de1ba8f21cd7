"""The Inside page: look into a trained network at any moment of its run."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import streamlit as st

from echo_app import actions, cached_reads, links, state, store_outages
from echo_app.charts import answers
from echo_app.pages import setup
from echo_app.pages.setup import prepare
from echo_app.panels import ask
from echo_app.panels.ask import HALVES
from echo_app.panels.inside import (
    compare,
    dependence,
    failures,
    lengths,
    missing,
    reading,
    remembering,
    states,
    steps,
)
from echo_app.panels.inside.look import VIEW, Look, pick_moment

#: Key of `st.session_state`: the run in the box above the views.
RUN = "inside_run"
#: Seconds after which a run without a checkpoint is looked at again.
_POLL = 2.0
#: Title -> what draws it.
VIEWS: Mapping[str, Callable[[Look], None]] = MappingProxyType({view.TITLE: view.draw for view in (
    steps, states, reading, dependence, missing, failures, remembering, lengths, compare)})


def inside_page(open_train: Callable[[], None]) -> None:
    """From top to bottom: the run, the moment, the question, and the views, of which one is open."""
    st.html(answers.STYLE + setup.STYLE)
    store_outages.draw_page(lambda: _page(open_train))


def _page(open_train: Callable[[], None]) -> None:
    prepare()
    links.put_address_back()
    runs = {run.run_id: run for run in cached_reads.runs_to_open()}
    if shown := state.shown_run():
        runs = {shown.run_id: shown, **runs}
    if not runs:
        return _nothing(open_train)
    run = shown or next(iter(runs.values()))
    if shown is None:
        actions.show_other(run)
        state.shown_run()
    titles = {run_id: cached_reads.title_of(known) for run_id, known in runs.items()}
    waits = run.state.is_active and cached_reads.newest_checkpoint(run) is None
    store_outages.fragment(_inside, run_every=_POLL if waits else None, key="inside")(run.run_id, waits, titles)


def _nothing(open_train: Callable[[], None]) -> None:
    """The empty state."""
    st.info("There is no network to look into yet. Train one, which takes seconds, and come back.",
            icon=":material/search_off:")
    if st.button("Train a network", type="primary", key="train_first", icon=":material/play_arrow:"):
        open_train()


@store_outages.needs_store
def _open() -> None:
    """Callback of the box of runs: make the picked one the run of all pages."""
    if run := state.store().runs.get(st.session_state[RUN]):
        actions.show_other(run)
        st.session_state[state.MOMENT] = None


def _inside(run_id: str, waits: bool, titles: Mapping[str, str]) -> None:
    run = state.shown_run() if store_outages.is_fragment_rerun() else state.seen_run()
    if run is None or run.run_id != run_id:
        st.rerun()
    st.session_state[RUN] = run_id
    left, right = st.columns(HALVES, gap="medium", vertical_alignment="bottom")
    left.selectbox("Run", list(titles), key=RUN, format_func=titles.__getitem__, on_change=_open)
    with right:
        checkpoint = pick_moment(run)
    if checkpoint is None:
        return
    if waits:
        st.rerun()  # ends the timer
    look = Look(run, checkpoint, ask.question(run, checkpoint, has_pictures=True))
    if not look.is_finite:  # the question has said so
        return
    for tab, draw in zip(st.tabs(list(VIEWS), on_change="rerun", key=VIEW), VIEWS.values(), strict=True):
        if tab.open:
            with tab:
                draw(look)
