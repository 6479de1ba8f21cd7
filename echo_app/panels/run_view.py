"""The panel of a run: where it stands, its curves, its windows, and its replay when it is over."""

import math
import time
from typing import Any

import pyarrow as pa
import streamlit as st

from echo_app import cached_reads, charts, state, store_outages
from echo_app.panels import progress, replay, tabs
from echo_core.config import RunConfig
from echo_core.records import Snapshot, State
from echo_core.store import RunRow

#: Seconds between two looks at the store: for one visitor, and more for each of many.
_POLL, _POLL_PER_SESSION, _SLOWEST_POLL = 0.3, 0.05, 2.5
#: When the crowd has grown or shrunk so much that the pace should be this many times another, the timer is set anew.
_STEP = 1.5
#: A run that has trained for so long is looked at half as often: a browser on a small machine of one's own takes
#: much of what it could train with.
_LASTING_SECONDS, _LASTING_POLL = 5.0, 0.6
#: Before the first trained epoch, and after Stop, a page of few visitors waits on the server for what there is to
#: draw next, at most so long: who has just pressed a button sees what comes of it at once, and a browser with
#: nothing new to draw leaves the processor to the compiler.
_NEWS_SECONDS, _LOOK_SECONDS = 0.4, 0.02
#: After the first record one of a trained epoch may follow at once, and most runs stop so soon that they need not
#: be drawn as stopping: so long these wait for what comes next.
_NEXT_NEWS_SECONDS = {"begun": 0.05, "stopping": 0.2}
#: Seconds between two looks at a stopped run, while its score may come and later.
_JUDGED_POLL, _RESTING_POLL = 0.5, 2.5


def run_panel(run: RunRow) -> None:
    """Draw a run, and go on drawing it while it changes: one fragment, whatever state the run is in."""
    panel = st.fragment(store_outages.part(_panel), run_every=_interval(run), key="panel")
    panel(run.run_id, run.state.is_active, pace_of(run))
    if (seconds := watch_seconds(run)) is not None:
        st.fragment(store_outages.part(watch), run_every=seconds, key="watch")(run.run_id, standing_of(run))


def preview(config: RunConfig) -> None:
    """What a run of these settings will be asked, before there is one."""
    with st.container():  # the places of `_panel`, so that Train replaces what is here instead of adding to it
        st.container()
        windows, curves = _halves()
    with windows:
        st.subheader("What the network will be asked", anchor=False)
        _windows(config, None)
        st.subheader("How to read it", anchor=False)
        st.markdown(tabs.how_to_read(config))
    with curves:
        _curves(config, *cached_reads.NO_CURVES)  # so that the first point of a run is drawn into charts that are there


def _interval(run: RunRow) -> float | None:
    """Seconds until the panel is drawn again: while the run goes on or is replayed."""
    picture = replay.frame_seconds() if st.session_state[state.PLAYING] else None
    if not run.state.is_active:
        return picture
    if run.stop_requested and state.is_quiet_here():
        return _LOOK_SECONDS
    return min(pace_of(run), picture or math.inf)


def watch_seconds(run: RunRow) -> float | None:
    """Seconds until a page checks again whether a stopped run was judged or went on.

    Anybody who has its link may go on with it, in another browser or another tab. A finished run stays as it is.
    """
    if run.state.is_active or run.state is State.FINISHED:
        return None
    return max(_JUDGED_POLL if progress.is_being_judged(run) else _RESTING_POLL, pace_of(run))


def standing_of(run: RunRow) -> tuple[object, ...]:
    """The parts of a stopped run whose change redraws its page."""
    return run.state, run.attempt, run.evaluation is None, progress.is_being_judged(run)


def watch(run_id: str, standing: tuple[object, ...]) -> None:
    """Draws nothing itself, but reruns the whole page once the run has changed."""
    if not store_outages.is_alone():
        return
    run = state.shown_run()
    if run is None or run.run_id != run_id or standing_of(run) != standing:
        st.rerun()


def pace_of(run: RunRow) -> float:
    """Seconds between two looks at a run that goes on, for as many as are here now."""
    crowd = max(0, state.engine().num_connected - state.FEW_SESSIONS)
    poll = _LASTING_POLL if run.seconds > _LASTING_SECONDS else _POLL
    return min(_SLOWEST_POLL, poll + _POLL_PER_SESSION * crowd)


def _panel(run_id: str, was_active: bool, pace: float) -> None:
    run = _next_news(state.shown_run() if store_outages.is_alone() else state.seen_run())
    if run is None or run.run_id != run_id or (run.state.is_active != was_active and not store_outages.is_alone()):
        st.rerun()
    is_active, session = run.state.is_active, st.session_state
    if is_active and (trouble := state.engine().trouble):
        store_outages.note(trouble)
    # A replay is shown to its end, even when somebody goes on with the run meanwhile.
    is_replayed = not is_active or session[state.PLAYING] or session[state.REPLAY_AT] is not None
    seen = cached_reads.look_or_last(run, all_snapshots=is_replayed)
    progress.tab_title(run)
    if is_active:
        progress.progress_bar(run, seen)
    else:
        with st.container(key="progress"):
            progress.outcome(run)
            progress.continue_buttons(run)
    windows, curves = _halves()
    with windows:
        with st.container(key="replay_panel"):
            if is_active and run.restarts:  # here, as beside the progress it would leave no room for the bar
                st.caption(":material/restart_alt: A worker was lost; the run went on by itself from its last "
                           "checkpoint.")
            shown = replay.pick_snapshot(seen.snapshots) if is_replayed else _newest(seen.snapshots)
        _windows(run.config, shown)
        if shown and not is_active:
            _table(run)
    with curves:
        _curves(run.config, seen.loss, seen.accuracy)
    out_of_step = is_active and not 1 / _STEP < pace / pace_of(run) < _STEP
    if is_active != was_active or out_of_step:
        st.rerun()  # the rest of the page, and this panel's timer


def _next_news(run: RunRow | None) -> RunRow | None:
    """The run once there is something new to draw of it, or as it is after a while."""
    session, began = st.session_state, time.monotonic()
    until = began + _NEWS_SECONDS
    while run and _is_awaited(run) and state.is_quiet_here() and not store_outages.is_away():
        news = "stopping" if run.stop_requested else "begun" if run.seconds > 0 else None
        if news and session.get(state.DRAWN) != (run.run_id, run.attempt, news):
            until = min(until, time.monotonic() + _NEXT_NEWS_SECONDS[news])
            session[state.DRAWN] = (run.run_id, run.attempt, news)
        if time.monotonic() >= until or (run.state is State.QUEUED and cached_reads.wait_of(run.run_id).place):
            break
        time.sleep(_LOOK_SECONDS)
        run = state.shown_run()
    return run


def _is_awaited(run: RunRow) -> bool:
    """Whether somebody has pressed Train or Stop and has not seen yet what comes of it."""
    return run.state.is_active and not st.session_state[state.PLAYING] and (run.epoch == 0 or run.stop_requested)


def _halves() -> tuple[Any, Any]:
    """Where the windows go and where the curves go: side by side, one below the other on a telephone."""
    windows, curves = st.columns([3, 2], gap="medium")
    return windows, curves


def _curves(config: RunConfig, loss: pa.Table, accuracy: pa.Table) -> None:
    with st.container(key="loss_chart"):
        st.vega_lite_chart(loss, charts.loss_curve(config.epochs, *_scale(config)),
                           alt="Loss against epoch, with the loss of pure guessing as a dashed line")
    st.vega_lite_chart(accuracy, charts.accuracy_curve(config.epochs),
                       alt="Share of training numbers right against epoch")


def _scale(config: RunConfig) -> tuple[float, float]:
    """The loss of pure guessing, and the top of the axis, where the loss of the untrained network has room."""
    untrained = config.chance_loss * config.answer_steps / config.output_length
    return config.chance_loss, untrained * (2.5 if config.representation == "linear" else 1.15)


def _windows(config: RunConfig, snapshot: Snapshot | None) -> None:
    with st.container(key="windows"):
        st.html(cached_reads.windows(config, snapshot))


def _newest(snapshots: list[Snapshot]) -> Snapshot | None:
    return snapshots[-1] if snapshots else None


def _table(run: RunRow) -> None:
    """Expected and predicted as a table, to copy and to download."""
    csv, text = cached_reads.answers(run)
    with st.container(horizontal=True):
        st.download_button("Download as CSV", lambda: csv, "windows.csv", "text/csv",  # a function as in `share`
                           icon=":material/download:", key="download_windows", on_click="ignore")
        with st.popover("Copy as text", icon=":material/content_copy:"):
            st.code(text, language=None, height=300)
