"""Callbacks of widgets: presets, uploads, Train, Stop, resume. Those that use the store are marked `needs_store`."""

import time
from collections.abc import Sequence

import streamlit as st

from echo_app import links, state
from echo_app.store_outages import needs_store, refuse
from echo_app.web import focus
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.config.repair import explain, repair_settings, settings_from_json
from echo_core.records import State
from echo_core.store import RunRow, extended_config
from echo_core.text import files

REFUSED = "This file cannot be used:"
PARTLY_ACCEPTED = "Some settings of this file were not accepted:"
#: Seeds of one press.
NUM_SEEDS = 5
SAMPLE_WORDS = "to be or not to be that is the question"


def load_preset() -> None:
    """Callback of the preset control: a preset's settings replace those of the controls."""
    if not state.restore_loaded() and (name := st.session_state[state.PRESET]) in PRESETS:
        state.load(PRESETS[name].config)


def task_changed() -> None:
    """Callback of the task control: switching to or from pairs restores the settings last used there."""
    if state.restore_loaded():
        return
    session, before, after = st.session_state, st.session_state[state.TASK], st.session_state["task"]
    session["lag"] = max(1, session["lag"]) if after == "lag" else 0  # with a lag of 0 it would be whole echo
    if "pairs" not in (before, after):
        return
    fields = {name: session[name] for name in state.FIELDS}
    session[state.BEFORE][before] = RunConfig(**{**fields, "task": before, "text": session[state.SETTLED_TEXT]})
    known = PRESETS["pairs"].config if after == "pairs" else RunConfig()
    restored = session[state.BEFORE].get(after) or repair_settings({**known.model_dump(), "task": after})[0]
    state.load(restored)


def own_words_changed() -> None:
    """Callback of the switch for one's own words: set sample words, or remove the words."""
    st.session_state["text"] = SAMPLE_WORDS if st.session_state[state.OWN_WORDS] else ""


def text_changed() -> None:
    """Callback of the pairs: remove the notes about an uploaded file, as the text now differs from it."""
    st.session_state[state.UPLOAD_NOTES], st.session_state[state.FILE_ERRORS] = (), {}


def take_upload() -> None:
    """Callback of the upload: a file's pairs replace the typed ones."""
    file, session = st.session_state.get(state.UPLOAD), st.session_state
    text_changed()
    if file is None:
        return
    try:
        session["text"], session[state.UPLOAD_NOTES] = files.read_pairs(file.getvalue())
    except ValueError as error:
        session[state.FILE_ERRORS] = {state.UPLOAD: (REFUSED, [str(error)])}


def take_config() -> None:
    """Callback of the import: load settings from a file that Share has made."""
    file, session = st.session_state.get(state.IMPORT), st.session_state
    session[state.FILE_ERRORS] = {}
    if file is None:
        return
    try:
        settings, notes = repair_settings(settings_from_json(file.getvalue()))
    except ValueError as error:
        session[state.FILE_ERRORS] = {state.IMPORT: (REFUSED, [str(error)])}
    else:
        state.load(settings)
        session[state.FILE_ERRORS] = {state.IMPORT: (PARTLY_ACCEPTED, notes)} if notes else {}


@needs_store
def train() -> None:
    """Callback of Train: submit the run of these settings, or join it, or show it."""
    state.settle()  # a changed control may arrive in the same request as the press
    wanted = state.config()
    known = state.store().runs.get(wanted.run_id)
    if _submit([wanted]) and known and known.state is State.FINISHED:
        st.session_state[state.TRAINED_BEFORE] = known.run_id
        play(True, 0)


@needs_store
def train_seeds() -> None:
    """Callback of Train 5 times: submit these settings with this seed and the next ones."""
    state.settle()
    _submit(links.with_seeds(state.config(), NUM_SEEDS))


@needs_store
def extend(run_id: str) -> None:
    """Callback of Train longer: submit the run with `MORE` more epochs, which begins at its end."""
    focus.move_to("stop")
    run = state.store().runs.get(run_id)
    if run is None:
        return
    try:
        wanted = extended_config(run, run.config.epochs + st.session_state[state.MORE])
    except ValueError as error:
        refuse("; ".join(explain(error)))
        return
    if _submit([wanted]):
        state.load(wanted)


@needs_store
def resume(run_id: str, again: bool = False) -> None:
    """Callback of Go on and Train anew: submit the shown run with its own settings, not those of the controls.

    Args:
        again: Whether to train a finished run again, from nothing.
    """
    focus.move_to("stop")
    is_own = run_id in state.wanted().shared or state.store().runs.belongs_to(run_id, state.visitor())
    if state.engine().settings.hosted and not is_own:
        refuse("This run is another visitor's. Press Train to train its settings yourself.")
    elif again and _is_kept_for_others(run_id):
        refuse("Other visitors have this run too, so it stays as it is. Train it with another seed.")
    elif (run := state.store().runs.get(run_id)) and _submit([run.config], again):
        state.load(run.config)


def _is_kept_for_others(run_id: str) -> bool:
    """Whether other visitors would lose a finished run if it were trained from nothing."""
    others = state.engine().settings.hosted and state.store().runs.others_have(run_id, state.visitor())
    return others and state.store().progress.checkpoint(run_id) is not None


def _submit(configs: list[RunConfig], again: bool = False) -> bool:
    """Submit runs until this host refuses one, and show them. Returns whether any was accepted."""
    session, run_ids, refused = st.session_state, [], None
    for wanted in configs:
        try:
            run_ids.append(state.engine().submit(wanted, None, session[state.HOLDER], again))
        except ValueError as error:  # a limit of this host
            refused = str(error)
            break
    state.stored_row.clear()
    if run_ids:
        session[state.PRESSED_RUNS] += [run_id for run_id in run_ids if run_id not in session[state.PRESSED_RUNS]]
        session[state.PRESSED] = True
        show(run_ids[0], configs[0], configs if len(configs) > 1 else ())
    if refused and run_ids:
        were = "was" if len(run_ids) == 1 else "were"
        refused = f"{len(run_ids)} of the {len(configs)} seeds {were} asked for, and then: {refused}"
    refuse(refused)
    return bool(run_ids)


@needs_store
def stop(run_id: str) -> None:
    """Callback of Stop: end this visitor's hold, and stop the run unless somebody else holds it."""
    focus.move_to("go_on", "extend", "train_again")
    stopped = state.engine().stop(run_id, holder=st.session_state[state.HOLDER])
    state.stored_row.clear()
    if not stopped:
        refuse("Somebody else pressed Train for this run: it goes on until they stop it or have been away for a while."
               if state.engine().settings.hosted else
               "Somebody else who pressed Train is here, so the run goes on for them. Press Stop again to stop it for "
               "everybody.")


@needs_store
def stop_seeds() -> None:
    """Callback of Stop all: like `stop`, for each of the seeds on the page that is under way."""
    found = [state.store().runs.get(seed.run_id) for seed in st.session_state[state.SEEDS]]
    runs = [run for run in found if run and run.state.is_active]
    # Queued runs first: otherwise one of them would start in place of a stopped one.
    runs.sort(key=lambda run: run.state is not State.QUEUED)
    going_on = sum(not state.engine().stop(run.run_id, holder=st.session_state[state.HOLDER]) for run in runs)
    state.stored_row.clear()
    if going_on:
        goes = "goes" if going_on == 1 else "go"
        refuse(f"{going_on} of {len(runs)} {goes} on for somebody else who pressed Train too.")


def show_other(run: RunRow) -> None:
    """Callback: show a run and load its settings."""
    state.load(run.config)
    show(run.run_id, run.config)


@needs_store
def show_seed(run_id: str) -> None:
    """Callback of a row of seeds: show its run below them. The controls keep the settings of all seeds."""
    seeds = st.session_state[state.SEEDS]
    if (run := state.store().runs.get(run_id)) and run.config in seeds:
        show(run_id, run.config, seeds)


def play(playing: bool, start: int | None) -> None:
    """Callback of Play and Pause: play the replay from an epoch on, or from where it is if `start` is None."""
    session = st.session_state
    session[state.PLAYING], session[state.NEXT_AT] = playing, time.monotonic() + state.frame_seconds()
    if start is not None:
        session[state.REPLAY_AT] = start


def try_settings(config: RunConfig) -> None:
    """Callback of Back to shown: load these settings."""
    state.load(config)
    focus.move_to("train")


def train_settings(config: RunConfig) -> None:
    """Callback of Compare and of what to try next: load these settings, and train them or show how they were."""
    focus.move_to("stop")
    state.load(config)
    train()


def show(run_id: str, config: RunConfig, seeds: Sequence[RunConfig] = ()) -> None:
    """Make this the run on the page and in its address, alone or below several seeds."""
    session = st.session_state
    session[state.RUN], session[state.SEEDS] = run_id, tuple(seeds)
    session[state.PLAYING], session[state.REPLAY_AT], session[state.TRAINED_BEFORE] = False, None, None
    refuse(None)
    st.query_params.from_dict(links.address(config, run_id))
