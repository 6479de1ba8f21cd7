"""What pages read of studies: how far they are and what they found, with values of runs that are computed once."""

import time
from typing import Any

import streamlit as st

from echo_app import state
from echo_app.formatting import duration
from echo_app.store_outages import FAULTS
from echo_app.web.shared_cache import shared_cache
from echo_core.store import RunRow
from echo_core.store.studies import StudyRow
from echo_core.studies.measures import MEASURES, Measure, value_of
from echo_core.studies.results import Results, ValueOf, results
from echo_core.studies.running import Standing, standing
from echo_core.studies.study import Study

#: Seconds for which a standing is shared by all sessions: of a study at hand, and of one in the list that rests.
_AT_HAND, _RESTING = 0.5, 60.0
#: Seconds between two polls of a study, more for each of its runs and for each session beyond a few, and the most.
_POLL, _POLL_PER_RUN, _POLL_PER_SESSION, _SLOWEST_POLL = 1.0, 0.005, 0.1, 4.0
#: Seconds after which counting shows how far it is.
_PATIENCE = 0.4

_HASH_STUDY: Any = {Study: lambda study: study.study_id}
_HASH_RUN: Any = {RunRow: lambda run: (run.run_id, run.attempt, run.state)}


def pace(study: Study) -> float:
    """Seconds between two polls of a study, given the sessions that are connected now."""
    crowd = max(0, state.engine().num_connected - state.FEW_SESSIONS)
    return min(_SLOWEST_POLL, _POLL + _POLL_PER_RUN * study.num_runs + _POLL_PER_SESSION * crowd)


def study_of(row: StudyRow) -> Study | None:
    """The study of a row; None if this version cannot read it."""
    try:
        return Study.from_json(row.spec)
    except ValueError:
        return None


def study_at(study_id: str | None) -> Study | None:
    """A study by its id; None if this copy does not have it, or while the store cannot be read."""
    try:
        row = state.store().studies.get(study_id) if study_id else None
    except FAULTS:
        return None
    return study_of(row) if row else None


@shared_cache(max_entries=128, hash_funcs=_HASH_STUDY)
def _standing(study: Study, time_bucket: int) -> Standing:
    return standing(study, state.store(), state.engine().num_workers)


def standing_of(study: Study, is_resting: bool = False) -> Standing:
    """How far a study is; one that rests in a list may be some seconds old."""
    return _standing(study, state.time_bucket(_RESTING if is_resting else _AT_HAND))


def standing_now(study: Study) -> Standing:
    """How far a study is, read now."""
    return standing(study, state.store(), state.engine().num_workers)


@shared_cache(max_entries=8192, hash_funcs=_HASH_RUN)
def _value(measure: str, run: RunRow) -> float | None:
    return value_of(Measure(measure), state.store(), run)


def results_of(study: Study, measure: Measure, ended: int) -> Results:
    """What a study has found so far, with a bar if the values of its runs take a while to compute.

    Args:
        ended: Runs that have ended, with those that tune.
    """
    place = st.empty()
    found = results(study, state.store(), measure, _with_progress(place, ended - study.num_tuning_runs))
    place.empty()
    return found


def _with_progress(place: Any, total: int) -> ValueOf:
    began, done = time.monotonic(), 0

    def value(measure: Measure, run: RunRow) -> float | None:
        nonlocal done
        found = _value(str(measure), run)
        done += 1
        if (passed := time.monotonic() - began) > _PATIENCE and 0 < done < total:
            left = duration(max(1, round(passed / done * (total - done))))
            place.progress(done / total, f"{MEASURES[measure].title}: {done} of {total} runs, about {left} left")
        return found

    return value


def is_under_way(row: StudyRow, far: Standing) -> bool:
    """Whether somebody wants it trained, and it is not done."""
    return row.is_wanted and not far.is_done


