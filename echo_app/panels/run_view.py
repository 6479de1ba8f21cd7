"""The panel of a run: where it stands, its curves, its windows, and its replay when it is over."""

import math
import time
from bisect import bisect_right
from typing import Any

import pyarrow as pa
import streamlit as st

from echo_app import cached_reads, charts, session, store_outages
from echo_app.formatting import duration, ordinal, percent, plain
from echo_app.panels import findings, tabs
from echo_app.web import focus
from echo_core.config import RunConfig
from echo_core.evaluation.verdicts import after_training
from echo_core.records import Evaluation, Snapshot, State
from echo_core.store import RunRow
from echo_core.text.plurals import counted

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
#: Seconds for a stopped run: between checks while its score may come, the longest such wait, between later checks.
_JUDGED_POLL, _JUDGING_SECONDS, _RESTING_POLL = 0.5, 60.0, 2.5
#: Pictures of a replay by which a browser may be late.
_LATE = 3
#: What the engine's status adds to a run that waits.
_STATUS = {"ready": "", "warming": "", "starting": ". The workers are starting …"}


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
    replay = frame_seconds() if st.session_state[session.PLAYING] else None
    if not run.state.is_active:
        return replay
    if run.stop_requested and session.is_quiet_here():
        return _LOOK_SECONDS
    return min(pace_of(run), replay or math.inf)


def watch_seconds(run: RunRow) -> float | None:
    """Seconds until a page checks again whether a stopped run was judged or went on.

    Anybody who has its link may go on with it, in another browser or another tab. A finished run stays as it is.
    """
    if run.state.is_active or run.state is State.FINISHED:
        return None
    return max(_JUDGED_POLL if _is_being_judged(run) else _RESTING_POLL, pace_of(run))


def standing_of(run: RunRow) -> tuple[object, ...]:
    """The parts of a stopped run whose change redraws its page."""
    return run.state, run.attempt, run.evaluation is None, _is_being_judged(run)


def watch(run_id: str, standing: tuple[object, ...]) -> None:
    """Draws nothing itself, but reruns the whole page once the run has changed."""
    if not store_outages.is_alone():
        return
    run = session.shown_run()
    if run is None or run.run_id != run_id or standing_of(run) != standing:
        st.rerun()


def pace_of(run: RunRow) -> float:
    """Seconds between two looks at a run that goes on, for as many as are here now."""
    crowd = max(0, session.engine().num_connected - session.FEW_SESSIONS)
    poll = _LASTING_POLL if run.seconds > _LASTING_SECONDS else _POLL
    return min(_SLOWEST_POLL, poll + _POLL_PER_SESSION * crowd)


def _is_being_judged(run: RunRow) -> bool:
    """Whether a stopped run may still get its score, which comes after it has paused: with many windows, later."""
    if run.state is not State.PAUSED or run.evaluation is not None or run.epoch == 0 or store_outages.is_away():
        return False
    try:  # by the store's clock, as this machine's may be another
        return session.store().now() - (run.ended_at or 0) < _JUDGING_SECONDS
    except store_outages.FAULTS as error:
        store_outages.note(error)
        return False


def _panel(run_id: str, was_active: bool, pace: float) -> None:
    run = _next_news(session.shown_run() if store_outages.is_alone() else session.seen_run())
    if run is None or run.run_id != run_id or (run.state.is_active != was_active and not store_outages.is_alone()):
        st.rerun()
    is_active, state = run.state.is_active, st.session_state
    if is_active and (trouble := session.engine().trouble):
        store_outages.note(trouble)
    # A replay is shown to its end, even when somebody goes on with the run meanwhile.
    is_replayed = not is_active or state[session.PLAYING] or state[session.REPLAY_AT] is not None
    seen = cached_reads.look_or_last(run, all_snapshots=is_replayed)
    _tab_title(run)
    if is_active:
        _progress(run, seen)
    else:
        with st.container(key="progress"):
            _outcome(run)
            _going_on(run)
    windows, curves = _halves()
    with windows:
        with st.container(key="replay_panel"):
            if is_active and run.restarts:  # here, as beside the progress it would leave no room for the bar
                st.caption(":material/restart_alt: A worker was lost; the run went on by itself from its last "
                           "checkpoint.")
            shown = _replay(seen.snapshots) if is_replayed else _newest(seen.snapshots)
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
    state, began = st.session_state, time.monotonic()
    until = began + _NEWS_SECONDS
    while run and _is_awaited(run) and session.is_quiet_here() and not store_outages.is_away():
        news = "stopping" if run.stop_requested else "begun" if run.seconds > 0 else None
        if news and state.get(session.DRAWN) != (run.run_id, run.attempt, news):
            until = min(until, time.monotonic() + _NEXT_NEWS_SECONDS[news])
            state[session.DRAWN] = (run.run_id, run.attempt, news)
        if time.monotonic() >= until or (run.state is State.QUEUED and cached_reads.wait_of(run.run_id).place):
            break
        time.sleep(_LOOK_SECONDS)
        run = session.shown_run()
    return run


def _is_awaited(run: RunRow) -> bool:
    """Whether somebody has pressed Train or Stop and has not seen yet what comes of it."""
    return run.state.is_active and not st.session_state[session.PLAYING] and (run.epoch == 0 or run.stop_requested)


def _halves() -> tuple[Any, Any]:
    """Where the windows go and where the curves go: side by side, one below the other on a telephone."""
    windows, curves = st.columns([3, 2], gap="medium")
    return windows, curves


def _tab_title(run: RunRow) -> None:
    done = math.floor(100 * run.epoch / run.config.epochs)
    title = {State.RUNNING: f"{done} % · Echo Lab", State.QUEUED: "Waiting · Echo Lab"}.get(run.state, "Echo Lab")
    st.set_page_config(page_title=title)


def _progress(run: RunRow, seen: cached_reads.Look) -> None:
    """The bar, and in words: place in the queue, or epoch, speed and time left. Stop stands beside it."""
    if run.state is State.QUEUED:
        wait = cached_reads.wait_of(run.run_id)
        ahead = ("Next in the queue" if wait.place == 0 else
                 f"In the queue: {wait.place} run{'s' * (wait.place > 1)} ahead of yours")
        about = "" if math.isnan(wait.seconds) else f", about {duration(max(1, round(wait.seconds)))}"
        status = session.workers_status()
        text = ahead + about + _STATUS.get(status, f". {plain(status)}")
    elif run.stop_requested:
        text = f"Stopping at epoch {run.epoch:,} …"
    elif run.epoch == 0:
        text = ("Epoch 0: the untrained network. Compiling its program …" if seen.has_begun else
                "Its worker is starting …")
    else:
        pace = "" if math.isnan(seen.speed) else f" · {_speed(seen.speed)}"
        left = "" if math.isnan(seen.seconds_left) else f" · {duration(seen.seconds_left)} left"
        text = f"Epoch {run.epoch:,} of {run.config.epochs:,}{pace}{left}"
    with st.container(key="progress", horizontal=True, vertical_alignment="bottom"):
        st.progress(min(1.0, run.epoch / run.config.epochs), text=text)
        st.button("Stop", key="stop", icon=":material/stop:", on_click=session.stop, args=(run.run_id,),
                  disabled=run.stop_requested)


def _speed(epochs_a_second: float) -> str:
    shown = f"{epochs_a_second:,.0f}" if epochs_a_second >= 10 else f"{epochs_a_second:.2g}"  # 0 would mean it hangs
    return f"{shown} {'epoch' if shown == '1' else 'epochs'}/s"


def _outcome(run: RunRow) -> None:
    """How a run ended, in plain words."""
    judged = run.evaluation
    took = f"{counted(run.epoch, 'epoch')} in {duration(run.seconds)}"
    match run.state:
        case State.FINISHED if judged:
            st.success(f"{_judged(run.config, judged)} {_by_timestep(judged.by_timestep)}",
                       icon=":material/check_circle:", title=f"Finished: {took}")
        case State.PAUSED:
            score = (f" So far it gets {percent(judged.window_accuracy)} of {_kind(judged)} right." if judged else
                     " How much it gets right is being judged …" if _is_being_judged(run) else "")
            used_up = run.seconds > session.engine().limits.max_seconds
            then = "" if used_up else " Press Train to go on from there."
            st.info(f"{run.reason or 'It was stopped.'}{score}{then}",
                    icon=":material/pause_circle:", title=f"Paused at epoch {run.epoch:,} of {run.config.epochs:,}")
        case State.INTERRUPTED:
            st.warning("Its worker or its server ended while it trained. Press Train to go on from the last "
                       "checkpoint.", icon=":material/restart_alt:", title=f"Interrupted at epoch {run.epoch:,}")
        case State.FAILED:
            st.error("The settings are as they were; change them, or press Train to try again.",
                     icon=":material/error:", title=f"Failed at epoch {run.epoch:,}")
            st.text(session.public(run.reason or "No reason is known."))
    if run.state is not State.FAILED:
        findings.show(after_training(run.config, judged, run.loss, run.state))


def _going_on(run: RunRow) -> None:
    """Train a stopped run to its end, and any one longer."""
    if run.state is State.FAILED:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="going_on"):
        stopped = run.state is not State.FINISHED
        if stopped and run.seconds <= session.engine().limits.max_seconds:
            st.button("Go on", key="go_on", icon=":material/resume:", on_click=session.resume, args=(run.run_id,))
        if not stopped and cached_reads.weights(run) is None:
            st.markdown("Its weights were given up to make room for newer runs; curves and answers stay.",
                        width="content")
            st.button("Train again", key="train_again", icon=":material/replay:", on_click=session.resume,
                      args=(run.run_id, True))
        if not stopped and run.config.schedule == "constant":
            st.button("Train longer:", key="extend", icon=":material/more_time:", on_click=session.extend,
                      args=(run.run_id,))
            st.number_input("More epochs", 1, None, 1000, 100, key=session.MORE, width=130,
                            label_visibility="collapsed")
            st.markdown("more epochs", width="content")


def _judged(config: RunConfig, judged: Evaluation) -> str:
    right, single = percent(judged.window_accuracy), percent(judged.token_accuracy)
    if config.task == "pairs":
        return (f"Of the {counted(judged.windows, 'pair')} that it was trained on, the network gets **{right}** right "
                f"from the first word to the last, and **{single} of single words**. It knows them by heart: a "
                "question that it has not learnt gets an answer that means nothing.")
    tokens = "words" if config.text else "numbers"
    return (f"On {counted(judged.windows, 'window')} that it had never seen, the network got **{right} of windows** "
            f"right at every step, and **{single} of single {tokens}**.")


def _kind(judged: Evaluation) -> str:
    return "its pairs" if judged.judged_on == "training" else "unseen windows"


def _by_timestep(shares: tuple[float | None, ...]) -> str:
    asked = [(place, share) for place, share in enumerate(shares, 1) if share is not None]
    if len(asked) < 2 or all(share == 1 for _, share in asked):
        return ""
    named = ", ".join(f"{percent(share)} of the {ordinal(place)}" for place, share in asked[:10])
    return f"By place in the answer: {named}{' …' if len(asked) > 10 else ''}."


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


def _replay(snapshots: list[Snapshot]) -> Snapshot | None:
    """The kept snapshots under a slider, with Play, slow and step; the one that is to be shown."""
    if not snapshots:
        return None
    state, epochs = st.session_state, [snapshot.epoch for snapshot in snapshots]
    newest, held = len(epochs) - 1, state[session.REPLAY_AT]
    at = newest if held is None else max(0, bisect_right(epochs, held) - 1)
    # By the clock: the page runs for other reasons as well, and each picture stays for its time.
    if state[session.PLAYING] and time.monotonic() >= state[session.NEXT_AT]:
        if at == newest:
            state[session.PLAYING], state[session.REPLAY_AT] = False, None
            st.rerun()  # so that the timer ends
        at += 1
        state[session.NEXT_AT] = time.monotonic() + 0.8 * frame_seconds()  # the timer is not exact
    state[session.REPLAY_AT] = epochs[at] if at < newest or state[session.PLAYING] else None
    with st.container(horizontal=True, vertical_alignment="center", key="replay_buttons"):
        st.markdown("**Replay**", width="content")
        st.button("", icon=":material/skip_previous:", key="step_back", disabled=at == 0, help="One snapshot back",
                  on_click=_show, args=(epochs[max(at - 1, 0)],))
        start = epochs[0] if at == newest else None
        label, icon, then = (("Pause", "pause", (False, None)) if state[session.PLAYING] else
                             ("Play", "play_arrow", (True, start)))
        pressed = st.button(label, icon=f":material/{icon}:", key="play", on_click=_play, args=then)
        st.button("", icon=":material/skip_next:", key="step", disabled=at == newest,
                  help="One snapshot on", on_click=_show, args=(epochs[min(at + 1, newest)],))
        slow = st.toggle("Slow", key="slow_toggle", value=state[session.SLOW])
    if pressed or slow != state[session.SLOW]:
        state[session.SLOW] = slow
        st.rerun()  # the timer is armed by a run of the whole page alone
    state[session.REPLAY] = epochs[at]  # each time: with other epochs it is another slider, which begins at 0
    st.select_slider("Epoch", epochs, key=session.REPLAY, format_func="{:,}".format, label_visibility="collapsed",
                     on_change=_slide, args=(epochs[max(0, at - _LATE):at + 1],))
    return snapshots[at]


def _show(epoch: int) -> None:
    focus.follow("step_back", "step")
    st.session_state[session.PLAYING], st.session_state[session.REPLAY_AT] = False, epoch


def _slide(just_shown: list[int]) -> None:
    state = st.session_state
    # A timer may send an old position of the slider, from before this page moved it on: the visitor has not moved it.
    if not (state[session.PLAYING] and state[session.REPLAY] in just_shown):
        state[session.REPLAY_AT] = state[session.REPLAY]


def _play(playing: bool, start: int | None) -> None:
    st.session_state[session.PLAYING] = playing
    st.session_state[session.NEXT_AT] = time.monotonic() + frame_seconds()
    if start is not None:
        st.session_state[session.REPLAY_AT] = start


def frame_seconds() -> float:
    """Seconds for which a replay shows one snapshot."""
    return 0.6 if st.session_state[session.SLOW] else 0.15


def _table(run: RunRow) -> None:
    """Expected and predicted as a table, to copy and to download."""
    csv, text = cached_reads.answers(run)
    with st.container(horizontal=True):
        st.download_button("Download as CSV", lambda: csv, "windows.csv", "text/csv",  # a function as in `share`
                           icon=":material/download:", key="download_windows", on_click="ignore")
        with st.popover("Copy as text", icon=":material/content_copy:"):
            st.code(text, language=None, height=300)
