"""A run's progress with Stop beside it, or how it ended, what to try next, and the buttons that continue it."""

import math
from datetime import UTC, datetime

import streamlit as st

from echo_app import actions, cached_reads, state, store_outages
from echo_app.formatting import duration, ordinal, percent, plain
from echo_app.panels import verdicts
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS, changes
from echo_core.evaluation.conclusions import Conclusion, conclude
from echo_core.evaluation.verdicts import after_training
from echo_core.forecast import Wait
from echo_core.records import Evaluation, Snapshot, State
from echo_core.store import RunRow
from echo_core.text.plurals import counted

#: Seconds after a run has paused in which its score may still come.
JUDGING_SECONDS = 60.0
#: The engine's status -> what it adds to the line of a queued run.
_STATUS = {"ready": "", "warming": "", "starting": ". The workers are starting …"}
#: Relative widths of a box and of the buttons beside it.
_BESIDE = (7, 3)


def under_way(run: RunRow, records: cached_reads.RunRecords, newest: Snapshot | None, is_replayed: bool) -> None:
    """Draw what to watch for, and the bar with its line (place in the queue, or epoch, speed, time left) and Stop.

    Args:
        newest: The newest snapshot, whose epoch may be an older one.
        is_replayed: Whether the page shows an older snapshot, with controls that take the place of what to watch for.
    """
    if is_replayed:
        newest = None
    elif run.restarts:
        st.info("A worker was lost; the run went on by itself from its last checkpoint.", icon=":material/restart_alt:")
    elif run.background:
        st.info("A study trains this run. Pause the study to stop it.", icon=":material/query_stats:")
    else:
        st.info(_watch_for(run.config), icon=":material/visibility:")
    with st.container(horizontal=True, vertical_alignment="bottom", key="bar"):
        st.progress(min(1.0, run.epoch / run.config.epochs), text=_line(run, records, newest))
        st.button("Stop", key="stop", icon=":material/stop:", on_click=actions.stop, args=(run.run_id,),
                  disabled=run.stop_requested or run.background)


def _watch_for(config: RunConfig) -> str:
    """What to watch for: the words of the preset, if nothing but the seed differs."""
    return next((preset.watch_for for preset in PRESETS.values() if changes(config, preset.config).keys() <= {"seed"}),
                "Watch the loss fall below pure guessing, and wrong answers (✗) turn into right ones (✓).")


def _line(run: RunRow, records: cached_reads.RunRecords, newest: Snapshot | None) -> str:
    if run.state is State.QUEUED:
        return queued_in_words(cached_reads.wait_of(run.run_id), state.workers_status())
    if run.stop_requested:
        return f"Stopping at epoch {run.epoch:,} …"
    left = "" if math.isnan(records.seconds_left) else f" · {duration(records.seconds_left)} left"
    if run.epoch == 0:
        return (f"Epoch 0: the untrained network. Compiling its program …{left}" if records.has_begun else
                "Its worker is starting …")
    pace = "" if math.isnan(records.speed) else f" · {_speed(records.speed)}"
    older = f" · windows of epoch {newest.epoch:,}" if newest and newest.epoch != run.epoch else ""
    return f"Epoch {run.epoch:,} of {run.config.epochs:,}{pace}{left}{older}"


def queued_in_words(wait: Wait, status: str) -> str:
    """The line of a queued run: `Next in the queue, about 12 s`; `Starting …` where a worker is free.

    Args:
        status: Of the workers; see `Engine.status`.
    """
    if wait.place == 0 and wait.seconds == 0 and status in ("ready", "warming"):
        return "Starting …"
    ahead = ("Next in the queue" if wait.place == 0 else
             f"In the queue: {wait.place} run{'s' * (wait.place > 1)} ahead of yours")
    about = "" if math.isnan(wait.seconds) else f", about {duration(max(1, round(wait.seconds)))}"
    return ahead + about + _STATUS.get(status, f". {plain(status)}")


def _speed(epochs_a_second: float) -> str:
    """Two digits of a slow speed, as "0 epochs/s" would look like a run that hangs."""
    shown = f"{epochs_a_second:,.0f}" if epochs_a_second >= 10 else f"{epochs_a_second:.2g}"
    return f"{shown} {'epoch' if shown == '1' else 'epochs'}/s"


def ended(run: RunRow) -> None:
    """Draw how a run ended, and beside it what to try next and the buttons that continue or repeat it."""
    conclusion = conclude(run.config, run.evaluation, run.loss) if (
        run.state is State.FINISHED and run.evaluation) else None
    box, buttons = st.columns(_BESIDE, vertical_alignment="center")
    with box:
        if conclusion:
            _verdict(run, conclusion)
        else:
            _stopped(run)
    with buttons, st.container(key="going_on"):
        if (conclusion and (step := conclusion.step)
                and st.button(step.label, key="next_step", icon=":material/arrow_forward:", width="stretch",
                              on_click=actions.train_settings, args=(step.config,),
                              help="Trains the settings that do it.")):
            st.rerun()  # the controls are outside of this fragment
        if run.state is State.FINISHED:
            st.button("Train anew", key="train_again", icon=":material/replay:", on_click=actions.resume,
                      args=(run.run_id, True), width="stretch", type="tertiary",
                      help="From nothing. The same settings give the same result, bit for bit.")
        elif run.state is State.FAILED:
            st.button("Try again", key="train_again", icon=":material/replay:", on_click=actions.resume,
                      args=(run.run_id,), width="stretch")
        elif run.seconds <= state.engine().limits.max_seconds:
            st.button("Go on", key="go_on", icon=":material/resume:", on_click=actions.resume, args=(run.run_id,),
                      width="stretch")


def _verdict(run: RunRow, conclusion: Conclusion) -> None:
    """Draw the box of a finished run: green if it has learnt its task, blue if partly, amber if not at all."""
    before = st.session_state[state.TRAINED_BEFORE] == run.run_id and run.ended_at
    day = f"{datetime.fromtimestamp(run.ended_at, UTC):%-d %b}" if before and run.ended_at else ""
    took = f"{counted(run.epoch, 'epoch')} in {duration(run.seconds)}"
    how = f"Trained before, {day}; this is its replay. Finished: {took}." if before else f"Finished: {took}."
    draw, icon = {"learnt": (st.success, "check_circle"), "partly": (st.info, "clock_loader_60"),
                  "not_at_all": (st.warning, "error")}[conclusion.degree]
    draw(f"{conclusion.why} {how}", icon=f":material/{icon}:", title=conclusion.headline)


def _stopped(run: RunRow) -> None:
    """Draw the box of a run that has ended without a verdict."""
    judged = run.evaluation
    match run.state:
        case State.PAUSED:
            windows = "its pairs" if run.config.task == "pairs" else "unseen windows"
            score = (f" So far it gets {percent(judged.window_accuracy)} of {windows} right." if judged else
                     " How much it gets right is being judged …" if is_being_judged(run) else "")
            used_up = run.seconds > state.engine().limits.max_seconds
            then = "" if used_up else " Press **Go on** to train it further."
            st.info(f"{run.reason or 'It was stopped.'}{score}{then}",
                    icon=":material/pause_circle:", title=f"Paused at epoch {run.epoch:,} of {run.config.epochs:,}")
        case State.INTERRUPTED:
            st.warning("Its worker or its server ended while it trained. Press **Go on** to continue from the last "
                       "checkpoint.", icon=":material/restart_alt:", title=f"Interrupted at epoch {run.epoch:,}")
        case State.FAILED:
            st.error("Press **Try again**, or change the settings and press Train.",
                     icon=":material/error:", title=f"Failed at epoch {run.epoch:,}")


def details(run: RunRow) -> None:
    """Draw the scores of a run that has ended, what is wrong with it, and how to train it longer."""
    judged = run.evaluation
    if run.state is State.FAILED:
        st.text(state.public(run.reason or "No reason is known."))
        return
    if judged and run.state is State.FINISHED:
        st.markdown(f"{_judged(run.config, judged)} {_by_timestep(judged.by_timestep)}")
    verdicts.show(after_training(run.config, judged, run.loss, run.state))
    if run.state is State.FINISHED:
        if cached_reads.weights(run) is None:
            st.markdown("Its weights were deleted to make room for newer runs, and perhaps its curves and answers. "
                        "**Train anew** brings them back.")
        _longer(run)


def _longer(run: RunRow) -> None:
    """Draw Train longer, disabled where the number of epochs has shaped every step of the run."""
    can_go_on = run.config.schedule == "constant"
    with st.container(horizontal=True, vertical_alignment="center", key="longer"):
        st.button("Train longer by", key="extend", icon=":material/more_time:", on_click=actions.extend,
                  args=(run.run_id,), disabled=not can_go_on)
        st.number_input("More epochs", 1, None, 1000, 100, key=state.MORE, width=105, label_visibility="collapsed",
                        disabled=not can_go_on)
        st.markdown("epochs", width="content")
    if not can_go_on:
        st.caption("It cannot go on: its learning rate has fallen to zero along a cosine over just these epochs. Set "
                   "more epochs at the left, and press Train.")


def is_being_judged(run: RunRow) -> bool:
    """Whether a paused run may still get its score, which its worker writes after the pause."""
    if run.state is not State.PAUSED or run.evaluation is not None or run.epoch == 0 or store_outages.is_store_down():
        return False
    try:  # by the store's clock, as this machine's may differ
        return state.store().now() - (run.ended_at or 0) < JUDGING_SECONDS
    except store_outages.FAULTS as error:
        store_outages.report(error)
        return False


def _judged(config: RunConfig, judged: Evaluation) -> str:
    right, single = percent(judged.window_accuracy), percent(judged.token_accuracy)
    if config.task == "pairs":
        return (f"Of the {counted(judged.windows, 'pair')} that it was trained on, the network gets **{right}** right "
                f"from the first word to the last, and **{single} of single words**. It knows them by heart: a "
                "question that it has not learnt gets an answer that means nothing.")
    tokens = "words" if config.text else "numbers"
    return (f"On {counted(judged.windows, 'window')} that it had never seen, the network got **{right} of windows** "
            f"right at every step, and **{single} of single {tokens}**.")


def _by_timestep(shares: tuple[float | None, ...]) -> str:
    asked = [(place, share) for place, share in enumerate(shares, 1) if share is not None]
    if len(asked) < 2 or all(share == 1 for _, share in asked):
        return ""
    named = ", ".join(f"{percent(share)} of the {ordinal(place)}" for place, share in asked[:10])
    return f"By place in the answer: {named}{' …' if len(asked) > 10 else ''}."


def tab_title(run: RunRow) -> None:
    """Show the progress in the title of the browser's tab."""
    done = math.floor(100 * run.epoch / run.config.epochs)
    title = {State.RUNNING: f"{done} % · Echo Lab", State.QUEUED: "Waiting · Echo Lab"}.get(run.state, "Echo Lab")
    st.set_page_config(page_title=title)
