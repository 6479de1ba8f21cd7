"""Callbacks of the Studies page: start, pause, go on, remove and undo a study, open one, and open one of its runs."""

from dataclasses import replace

import streamlit as st

from echo_app import actions, links, state
from echo_app.store_outages import needs_store, refuse
from echo_app.web import focus
from echo_core.settings import LimitExceeded
from echo_core.store.studies import StudyRow
from echo_core.studies.measures import Measure
from echo_core.studies.running import pause as pause_study
from echo_core.studies.study import Study

#: Keys of `st.session_state`: the measure of the study at hand, the setting that others are compared with, the setting
#: whose seeds are listed, the study that was removed last, and whether a run was picked.
MEASURE, AGAINST, SEEDS_OF = "study_measure", "study_against", "study_seeds_of"
REMOVED, _RUN_PICKED = "study_removed", "study_run_picked"


@needs_store
def start(study: Study, measure: Measure | None = None) -> None:
    """Callback of Start, Go on and of more seeds: have a study trained, and show it."""
    try:
        check_limits(study)
    except LimitExceeded as error:
        refuse(str(error))
        return
    state.store().studies.ask(study.study_id, study.to_json(), st.session_state[state.HOLDER])
    focus.move_to("study_pause")
    show(study.study_id, measure)
    st.session_state[state.PRESSED] = True


@needs_store
def pause(study: Study) -> None:
    """Callback of Pause: ask for no more of its runs, and stop those under way, unless another visitor wants them."""
    focus.move_to("study_go_on")
    pause_study(study, state.engine(), st.session_state[state.HOLDER])


@needs_store
def remove(row: StudyRow, study: Study | None) -> None:
    """Callback of Cancel and of Remove: pause a study and take it out of this visitor's list. Its runs stay."""
    focus.move_to("study_undo")
    if study:
        pause_study(study, state.engine(), st.session_state[state.HOLDER])
    state.store().studies.forget(row.study_id, state.visitor() or None)
    st.session_state[REMOVED] = row
    show(None)


@needs_store
def bring_back() -> None:
    """Callback of Undo: ask for the removed study again, which goes on where it was."""
    focus.move_to("study_pause", "study_remove")
    row: StudyRow = st.session_state[REMOVED]
    state.store().studies.ask(row.study_id, row.spec, st.session_state[state.HOLDER])
    if not wants(row):
        state.store().studies.rest(row.study_id, state.visitor() or None)
    st.session_state[REMOVED] = None
    show(row.study_id)


def show(study_id: str | None, measure: Measure | None = None) -> None:
    """Callback of the list: show a study, or none, and put it into the address."""
    session = st.session_state
    session[state.STUDY], session[AGAINST], session[SEEDS_OF] = study_id, None, 0
    if measure:
        session[MEASURE] = measure
    put_address()


def put_address() -> None:
    """Make the study at hand the page's address."""
    study_id = st.session_state[state.STUDY]
    wanted = {links.STUDY: study_id, links.LOOK_AT: str(st.session_state[MEASURE])} if study_id else {}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


@needs_store
def open_run(run_id: str) -> None:
    """Callback of a dot and of a seed: show its run on the Train page."""
    if run := state.store().runs.get(run_id):
        actions.show_other(run)
        st.session_state[_RUN_PICKED] = True
    else:
        refuse("This run is not in the store any more. Press Go on, and the study trains it again.")


def is_run_picked(once: bool = False) -> bool:
    """Whether a run was picked that the Train page is to show; with `once`, only the first call says so."""
    session = st.session_state
    return bool(session.pop(_RUN_PICKED, False) if once else session.get(_RUN_PICKED))


def tuned(study: Study) -> Study:
    """The same question with the learning rate chosen for each setting first."""
    return replace(study, tune=True)


def check_limits(study: Study) -> None:
    """Raise `LimitExceeded` if this host does not allow a study of so many runs, or one of its runs."""
    limits = state.engine().limits
    limits.check_study(study.num_runs)
    for setting in study.settings:
        limits.check(study.config_of(setting, study.base.seed)[0])


def is_own(row: StudyRow) -> bool:
    """Whether this visitor has asked for a study, and may pause and remove it; on a local copy everybody has."""
    return not state.visitor() or state.visitor() in row.visitors


def refusal(row: StudyRow, study: Study) -> str | None:
    """Why this copy trains no more runs of this visitor's study for now; None if it does."""
    try:
        check_limits(study)
    except LimitExceeded as error:  # a limit that was lowered since
        return str(error)
    return state.engine().study_refusal(state.visitor()) if state.visitor() in row.holders else None


def wants(row: StudyRow) -> bool:
    """Whether this visitor wants a study trained; on a local copy, whether anybody does."""
    return row.is_wanted if not state.visitor() else state.visitor() in row.holders
