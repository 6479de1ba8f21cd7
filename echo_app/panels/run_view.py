"""The panel of a run: its progress, curves and windows, and its replay once it has ended."""

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import streamlit as st

from echo_app import cached_reads, charts, state, store_outages
from echo_app.charts import grid
from echo_app.components import network
from echo_app.components.copy_button import copy_button
from echo_app.components.windows import windows
from echo_app.panels import ask, progress, replay
from echo_app.panels.behind import tabs
from echo_core.config import RunConfig
from echo_core.records import Snapshot, State
from echo_core.store import RunRow

#: Seconds between two polls of a run by up to FEW_SESSIONS sessions, more for each further session, and the most.
_POLL, _POLL_PER_SESSION, _SLOWEST_POLL = 0.3, 0.05, 2.5
#: The timer is set again when its interval is wrong by this factor; setting it redraws the page.
_STEP = 1.5
#: After _LASTING_SECONDS of training a run is polled half as often: on a small machine the browser takes much of the
#: processor that trains.
_LASTING_SECONDS, _LASTING_POLL = 5.0, 0.6
#: A rerun after Train waits at most _NEWS_SECONDS for the first record, and then at most _TRAINED_SECONDS for the first
#: trained epoch, which comes at once if the program is compiled. It polls every _CHECK_SECONDS. So the first picture
#: needs no second rerun. A rerun after Stop waits at most _STOP_SECONDS for the pause: most runs pause in that time.
_NEWS_SECONDS, _CHECK_SECONDS, _TRAINED_SECONDS, _STOP_SECONDS = 0.4, 0.02, 0.05, 0.2
#: Pixels of the panel on a window 1,280 pixels wide, and the least and the most that the grid of windows gets of them.
_PANEL, _GRID = 870, (350, 550)
#: Seconds between two polls of a stopped run, while its score may come and later.
_JUDGED_POLL, _RESTING_POLL = 0.5, 2.5


def run_panel(run: RunRow) -> None:
    """Draw a run in one fragment, which is redrawn while the run is under way or replayed."""
    panel = store_outages.fragment(_panel, run_every=_interval(run), key="panel")
    panel(run.run_id, run.state.is_active, pace_of(run))
    if (seconds := watch_seconds(run)) is not None:
        store_outages.fragment(watch, run_every=seconds, key="watch")(run.run_id, standing_of(run))


def preview(config: RunConfig) -> None:
    """Draw the windows and empty charts of these settings, before there is a run."""
    with st.container():  # the same layout as `_panel`, so that Train replaces these elements
        with st.container(key="before"):
            network.draw(config)
        left, right = _columns(config)
    with left:
        _windows(config, None)
        st.markdown(tabs.how_to_read(config))
    with right:
        _curves(config, *cached_reads.NO_CURVES)  # their charts then get the run's first point


def _columns(config: RunConfig) -> Sequence[Any]:
    """A place for the windows, as wide as they need, and one for the curves."""
    share = min(max(grid.width(config), _GRID[0]), _GRID[1]) / _PANEL
    return st.columns([share, 1 - share], gap="small")


def _interval(run: RunRow) -> float | None:
    """Seconds until the panel is redrawn; None if the run has ended and is not replayed."""
    picture = state.frame_seconds() if st.session_state[state.PLAYING] else None
    if not run.state.is_active:
        return picture
    return min(pace_of(run), picture or math.inf)


def watch_seconds(run: RunRow) -> float | None:
    """Seconds until a page checks again whether a stopped run was judged or continued; None of other runs.

    Anybody with its link can continue it, in another browser or tab.
    """
    if run.state.is_active or run.state is State.FINISHED:
        return None
    return max(_JUDGED_POLL if progress.is_being_judged(run) else _RESTING_POLL, pace_of(run))


def standing_of(run: RunRow) -> tuple[object, ...]:
    """The parts of a stopped run whose change redraws its page."""
    return run.state, run.attempt, run.evaluation is None, progress.is_being_judged(run)


def watch(run_id: str, standing: tuple[object, ...]) -> None:
    """Draw nothing; rerun the whole page once the run has changed."""
    if not store_outages.is_fragment_rerun():
        return
    run = state.shown_run()
    if run is None or run.run_id != run_id or standing_of(run) != standing:
        st.rerun()


def pace_of(run: RunRow) -> float:
    """Seconds between two polls of a run under way, given the sessions that are connected now."""
    crowd = max(0, state.engine().num_connected - state.FEW_SESSIONS)
    poll = _LASTING_POLL if run.seconds > _LASTING_SECONDS else _POLL
    return min(_SLOWEST_POLL, poll + _POLL_PER_SESSION * crowd)


def _panel(run_id: str, was_active: bool, pace: float) -> None:
    is_fragment_rerun = store_outages.is_fragment_rerun()
    run = _wait_for_news(state.shown_run() if is_fragment_rerun else state.seen_run())
    if run is None or run.run_id != run_id or (run.state.is_active != was_active and not is_fragment_rerun):
        st.rerun()
    is_active, session = run.state.is_active, st.session_state
    if is_active and (trouble := state.engine().trouble):
        store_outages.report(trouble)
    # A replay is shown to its end, even if somebody continues the run meanwhile.
    is_replayed = not is_active or session[state.PLAYING] or session[state.REPLAY_AT] is not None
    records = cached_reads.run_records_or_last(run, all_snapshots=is_replayed)
    progress.tab_title(run)
    with st.container(key="progress"):
        shown = _progress(run, records, is_replayed)
    left, right = _columns(run.config)
    with left:
        _windows(run.config, shown, to_pick=not is_active and cached_reads.weights(run) is not None)
        if shown and not is_active:
            _table(run)
    with right:
        _curves(run.config, records.loss, records.accuracy, shown.epoch if shown and is_replayed else None)
        if not is_active:
            progress.details(run)
    is_out_of_pace = is_active and not 1 / _STEP < pace / pace_of(run) < _STEP
    if is_active != was_active or is_out_of_pace or ask.was_picked():
        st.rerun()  # redraws the rest of the page, and sets this panel's timer


def _progress(run: RunRow, records: cached_reads.RunRecords, is_replayed: bool) -> Snapshot | None:
    """Draw the progress of a run or how it ended, and its replay. Returns the snapshot to show.

    What stands here while a run is under way, and once it has ended, is equally high: the windows below stay in place.
    """
    shown = next(reversed(records.snapshots), None)
    if run.state.is_active:
        progress.under_way(run, records, shown, is_replayed)
    else:
        progress.ended(run)
    if is_replayed:
        with st.container(horizontal=True, vertical_alignment="center", key="replay_panel"):
            shown = replay.pick_snapshot(records.snapshots)
    return shown


def _wait_for_news(run: RunRow | None) -> RunRow | None:
    """Wait on the server, which shows the first points sooner and leaves the processor to the compiler meanwhile."""
    last = st.session_state.get(state.RECORDS)
    until = time.monotonic() + (_STOP_SECONDS if run and run.stop_requested else _NEWS_SECONDS)
    has_drawn_record = bool(run and last and last[0] == run.run_id and last[1].has_begun)
    while run and _is_awaited(run) and time.monotonic() < until:
        if run.seconds > 0 and not has_drawn_record:
            until = min(until, time.monotonic() + _TRAINED_SECONDS)
        time.sleep(_CHECK_SECONDS)
        run = state.shown_run()
    return run


def _is_awaited(run: RunRow) -> bool:
    """Whether a run may soon get its first record or trained epoch, or pause."""
    return (run.state.is_active and (run.epoch == 0 or run.stop_requested) and not st.session_state[state.PLAYING]
            and state.has_few_sessions() and not store_outages.is_store_down()
            and not (run.state is State.QUEUED and cached_reads.wait_of(run.run_id).place))


def _curves(config: RunConfig, loss: pa.Table, accuracy: pa.Table, at: int | None = None) -> None:
    """Draw the curves of a run, with a rule at the epoch of the replay if there is one."""
    position = pa.table({"epoch": pa.array([] if at is None else [at], pa.int64())})

    def curve(rows: pa.Table, spec: charts.Spec, key: str, alt: str) -> None:
        st.vega_lite_chart({**spec, "datasets": {charts.ROWS: rows, charts.POSITION: position}}, key=key, alt=alt,
                           on_select=partial(replay.jump, key))

    with st.container(key="loss_chart"):
        curve(loss, charts.loss_curve(config.epochs, *charts.loss_scale(config)), "loss_curve",
              "Loss against epoch, with the loss of pure guessing as a dashed line")
    curve(accuracy, charts.accuracy_curve(config.epochs), "accuracy_curve",
          "Share of training numbers right against epoch")


def _windows(config: RunConfig, snapshot: Snapshot | None, to_pick: bool = False) -> None:
    """Draw the grid of windows, of which one can be picked to be asked once there are weights."""
    html = cached_reads.windows_html(config, snapshot)
    st.html(grid.legend(config))
    with st.container(key="windows"):
        if to_pick:
            windows(html, key="windows_to_pick", on_pick=partial(ask.pick, config))
        else:
            st.html(html)


def _table(run: RunRow) -> None:
    """Draw buttons that copy and download the expected and predicted numbers."""
    csv, text = cached_reads.answers_as_text(run)
    if not csv:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button("Download as CSV", lambda: csv, "windows.csv", "text/csv",  # a function as in `share`
                           icon=":material/download:", key="download_windows", on_click="ignore")
        copy_button("Copy as text", text, key="copy_windows")
