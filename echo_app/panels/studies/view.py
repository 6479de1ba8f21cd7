"""A study at hand: how far it is, its picture, its settings against each other, its table and its seeds."""

from collections.abc import Callable
from typing import Literal

import streamlit as st

from echo_app import state, store_outages
from echo_app.components.copy_button import copy_button
from echo_app.formatting import duration, plain
from echo_app.panels.studies import acting, comparing, form, picture, reading, tables, words
from echo_app.panels.studies.acting import MEASURE
from echo_core.store.studies import StudyRow
from echo_core.studies.measures import MEASURES, Measure
from echo_core.studies.results import Results
from echo_core.studies.running import Standing
from echo_core.studies.study import Study
from echo_core.text.plurals import counted

_CHART = "study_chart"
#: Pixels of Pause and of Go on, which take each other's place.
_BUTTON = 105
#: Seconds between two looks at a study that rests: somebody may go on with it elsewhere.
_RESTING_POLL = 5.0


def panel(study_id: str, link: Callable[[], str]) -> None:
    """Draw a study, and redraw it while it is trained.

    Args:
        link: The address that opens it.
    """
    row = state.store().studies.get(study_id)
    if row is None:
        return _unknown()
    study = reading.study_of(row)
    if study is None:
        return _unreadable(row)
    far = reading.standing_of(study)
    live = reading.is_under_way(row, far)
    every = reading.pace(study) if live else None if far.is_done else _RESTING_POLL
    store_outages.fragment(_panel, run_every=every, key="study_panel")(study_id, live, link)


def _unknown() -> None:
    st.warning("Its link may be of another copy of Echo Lab, or it was removed. Ask the question again at the left.",
               title="This study is not on this copy", icon=":material/link_off:")


def _unreadable(row: StudyRow) -> None:
    st.warning("It was made by another version of Echo Lab. Its runs are in the History, and the question can be asked "
               "again.", title="This version cannot read this study", icon=":material/history:")
    st.button("Remove", key="study_remove", icon=":material/delete:", on_click=acting.remove, args=(row, None))


def _panel(study_id: str, was_live: bool, link: Callable[[], str]) -> None:
    is_fragment_rerun, session = store_outages.is_fragment_rerun(), st.session_state
    if is_fragment_rerun and (session[state.STUDY] != study_id or acting.is_run_picked()):
        st.rerun()
    row = state.store().studies.get(study_id)
    study = reading.study_of(row) if row else None
    if row is None or study is None:
        st.rerun()
    far = reading.standing_now(study)
    is_live = reading.is_under_way(row, far)
    if is_live and (trouble := state.engine().trouble):
        store_outages.report(trouble)
    if is_fragment_rerun:
        acting.put_address()
    st.subheader(plain(words.title_of(study)), anchor=False)
    _progress(row, study, far)
    measure = _look_at(link, study)
    found = reading.results_of(study, measure, far.ended)
    if far.ended:
        _picture(found, far)
    elif not is_live:
        st.caption("Nothing has been trained yet.")
    comparing.comparison(found, far)
    if far.ended:
        tables.table(found)
        tables.seeds(found)
    if is_fragment_rerun and is_live != was_live:
        st.rerun()  # sets or ends the timer, and redraws the list


def _progress(row: StudyRow, study: Study, far: Standing) -> None:
    """Draw how far a study is, and the buttons that pause, go on or end it."""
    alignment: Literal["center", "bottom"] = "center" if far.is_done else "bottom"
    with st.container(horizontal=True, vertical_alignment=alignment, key="study_bar"):
        if not far.is_done:
            st.progress(far.ended / far.total, text=_line(row, study, far))
        else:
            st.markdown(f":material/check_circle: All **{counted(far.total, 'run')}** have ended"
                        f"{f', {far.failed} of them failed' if far.failed else ''}.", width="content")
        if not acting.is_own(row):
            return
        if far.is_done:
            st.button("Remove", key="study_remove", icon=":material/delete:", type="tertiary",
                      on_click=acting.remove, args=(row, study), help="Takes it out of the list. Its runs stay.")
        else:
            if acting.wants(row):
                st.button("Pause", key="study_pause", icon=":material/pause:", on_click=acting.pause, args=(study,),
                          width=_BUTTON)
            else:
                st.button("Go on", key="study_go_on", icon=":material/resume:", on_click=acting.start, args=(study,),
                          width=_BUTTON)
            st.button("Cancel", key="study_cancel", icon=":material/close:", on_click=acting.remove, args=(row, study),
                      help="Ends it and takes it out of the list. Runs that have ended stay.")


def _line(row: StudyRow, study: Study, far: Standing) -> str:
    """How far a study is, in a line."""
    ended = f"{far.ended:,} of {counted(far.total, 'run')} have ended"
    failed = f", {far.failed} failed" if far.failed else ""
    if not row.is_wanted:
        return f"Paused: {ended}{failed}{f'. {plain(far.paused_why)}' if far.paused_why else ''}"
    if acting.is_own(row) and not acting.wants(row):
        return f"You have paused it, and it goes on for somebody else: {ended}{failed}"
    left = f" · about {duration(max(1, round(far.seconds_left)))} left"
    if not far.training and not set(row.holders) & set(state.engine().holders):
        return f"Waits until whoever asked for it is back: {ended}{failed}"
    status = state.workers_status()
    if status not in ("ready", "starting", "warming"):
        return f"{ended}{failed}. {plain(status)}"
    if not far.training and (refusal := acting.refusal(row, study)):
        return f"{ended}{failed}. {plain(refusal)}"
    training = f" · {far.training} under way" if far.training else " · waiting for a worker"
    return f"{ended}{failed}{training}{left}"


def _look_at(link: Callable[[], str], study: Study) -> Measure:
    """Draw what is looked at, the link, and the question for the form."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="study_look"):
        measure = st.selectbox("Look at", list(Measure), key=MEASURE, persist_state="session", width=240,
                               format_func=lambda one: MEASURES[one].title, help=form.measures_in_words())
        copy_button("Copy link", link(), key="study_copy_link")
        if st.button("Change the question", key="study_change", icon=":material/edit:", type="tertiary",
                     on_click=form.load, args=(study,), help="Puts it into the form, to ask it in another way."):
            st.rerun()  # the form is outside of this fragment
    return Measure(str(measure))


def _picture(found: Results, far: Standing) -> None:
    """Draw the picture, and say that it is of a part of the runs while it is."""
    if not far.is_done:
        tuning = found.study.tune and any(row.rate is None for row in found.rows)
        first = " Learning rates are chosen first; a setting gets its seeds once its rate is known." if tuning else ""
        st.info(f"**Partial: {far.ended:,} of {counted(far.total, 'run')}.** Means and intervals still move.{first}",
                icon=":material/hourglass_top:")
    drawn = picture.picture(found)
    if drawn.table.empty:
        return
    st.vega_lite_chart(drawn.table, drawn.spec, key=_CHART, alt=drawn.alt,
                       on_select=_pick_setting if drawn.picks_setting else _pick_run)
    st.caption(f"{drawn.reading} "
               f"{'Press a cell for its seeds below.' if drawn.picks_setting else 'Press a dot to open its run.'}")
    st.caption(f"*{MEASURES[found.measure].title}*: {MEASURES[found.measure].help}")


def _picked(field: str) -> str | None:
    picked = st.session_state[_CHART]["selection"].get("pick")
    return str(picked[0][field]) if picked and picked[0].get(field) not in (None, "") else None


def _pick_run() -> None:
    """Callback of a click on a dot: open its run."""
    if run_id := _picked("run_id"):
        acting.open_run(run_id)


def _pick_setting() -> None:
    """Callback of a click on a cell: list the seeds of its setting."""
    if place := _picked("place"):
        st.session_state[acting.SEEDS_OF] = int(place)
