"""A run's progress with Stop beside it, or how it ended and the buttons that continue it."""

import math

import streamlit as st

from echo_app import actions, cached_reads, state, store_outages
from echo_app.formatting import duration, ordinal, percent, plain
from echo_app.panels import findings
from echo_core.config import RunConfig
from echo_core.evaluation.verdicts import after_training
from echo_core.records import Evaluation, State
from echo_core.store import RunRow
from echo_core.text.plurals import counted

#: Seconds after a run has paused in which its score may still come.
JUDGING_SECONDS = 60.0
#: The engine's status -> what it adds to the line of a queued run.
_STATUS = {"ready": "", "warming": "", "starting": ". The workers are starting …"}


def progress_bar(run: RunRow, records: cached_reads.RunRecords) -> None:
    """Draw the bar with its line (place in the queue, or epoch, speed and time left), and Stop beside it."""
    if run.state is State.QUEUED:
        wait = cached_reads.wait_of(run.run_id)
        ahead = ("Next in the queue" if wait.place == 0 else
                 f"In the queue: {wait.place} run{'s' * (wait.place > 1)} ahead of yours")
        about = "" if math.isnan(wait.seconds) else f", about {duration(max(1, round(wait.seconds)))}"
        status = state.workers_status()
        text = ahead + about + _STATUS.get(status, f". {plain(status)}")
    elif run.stop_requested:
        text = f"Stopping at epoch {run.epoch:,} …"
    elif run.epoch == 0:
        text = ("Epoch 0: the untrained network. Compiling its program …" if records.has_begun else
                "Its worker is starting …")
    else:
        pace = "" if math.isnan(records.speed) else f" · {_speed(records.speed)}"
        left = "" if math.isnan(records.seconds_left) else f" · {duration(records.seconds_left)} left"
        text = f"Epoch {run.epoch:,} of {run.config.epochs:,}{pace}{left}"
    with st.container(key="progress", horizontal=True, vertical_alignment="bottom"):
        st.progress(min(1.0, run.epoch / run.config.epochs), text=text)
        st.button("Stop", key="stop", icon=":material/stop:", on_click=actions.stop, args=(run.run_id,),
                  disabled=run.stop_requested)


def _speed(epochs_a_second: float) -> str:
    """Two digits of a slow speed, as "0 epochs/s" would look like a run that hangs."""
    shown = f"{epochs_a_second:,.0f}" if epochs_a_second >= 10 else f"{epochs_a_second:.2g}"
    return f"{shown} {'epoch' if shown == '1' else 'epochs'}/s"


def outcome(run: RunRow) -> None:
    """Draw how a run ended."""
    judged = run.evaluation
    took = f"{counted(run.epoch, 'epoch')} in {duration(run.seconds)}"
    match run.state:
        case State.FINISHED if judged:
            st.success(f"{_judged(run.config, judged)} {_by_timestep(judged.by_timestep)}",
                       icon=":material/check_circle:", title=f"Finished: {took}")
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
            st.text(state.public(run.reason or "No reason is known."))
    if run.state is not State.FAILED:
        findings.show(after_training(run.config, judged, run.loss, run.state))


def continue_buttons(run: RunRow) -> None:
    """Draw the buttons that continue a stopped run, and that extend or repeat a finished one."""
    with st.container(horizontal=True, vertical_alignment="center", key="going_on"):
        stopped = run.state is not State.FINISHED
        if run.state is State.FAILED:
            st.button("Try again", key="train_again", icon=":material/replay:", on_click=actions.resume,
                      args=(run.run_id,))
        elif stopped and run.seconds <= state.engine().limits.max_seconds:
            st.button("Go on", key="go_on", icon=":material/resume:", on_click=actions.resume, args=(run.run_id,))
        if not stopped and cached_reads.weights(run) is None:
            st.markdown("Its weights were given up to make room for newer runs; curves and answers stay.",
                        width="content")
            st.button("Train again", key="train_again", icon=":material/replay:", on_click=actions.resume,
                      args=(run.run_id, True))
        if not stopped and run.config.schedule == "constant":
            st.button("Train longer:", key="extend", icon=":material/more_time:", on_click=actions.extend,
                      args=(run.run_id,))
            st.number_input("More epochs", 1, None, 1000, 100, key=state.MORE, width=130,
                            label_visibility="collapsed")
            st.markdown("more epochs", width="content")


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
