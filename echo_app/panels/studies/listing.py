"""The studies from before, newest first, and the one that was just removed."""

import streamlit as st

from echo_app import state
from echo_app.formatting import plain
from echo_app.panels.studies import acting, reading, words
from echo_core.store.studies import StudyRow
from echo_core.text.plurals import shortened

#: Studies in sight; the others are behind a press.
_MOST, _ALL = 8, 50
_SHOW_ALL = "study_list_all"
_LONGEST = 110


def removed() -> None:
    """Draw what was just removed, with Undo."""
    row: StudyRow | None = st.session_state.get(acting.REMOVED)
    if row is None:
        return
    study = reading.study_of(row)
    with st.container(horizontal=True, vertical_alignment="center", key="study_removed_note"):
        name = shortened(words.title_of(study, longest=80), _LONGEST) if study else "A study"
        st.markdown(f":material/delete: Removed: {plain(name)}. Its runs stay.", width="stretch")
        st.button("Undo", key="study_undo", icon=":material/undo:", on_click=acting.bring_back)


def studies() -> None:
    """Draw the studies that this visitor asked for, or on a local copy all of them."""
    hosted = state.engine().settings.hosted
    rows = state.store().studies.newest(state.visitor() if hosted else None, _ALL)
    if not rows:
        return
    st.caption("Your studies" if hosted else "Studies")
    shows_all = len(rows) > _MOST and st.session_state.get(_SHOW_ALL, False)
    with st.container(key="study_list", gap=None):
        for row in rows if shows_all else rows[:_MOST]:
            is_shown = row.study_id == st.session_state[state.STUDY]
            st.button(_line(row), key=f"study_open_{row.study_id}", type="tertiary", on_click=acting.show,
                      args=(row.study_id,), icon=":material/visibility:" if is_shown else ":material/query_stats:")
    if len(rows) > _MOST:
        st.toggle(f"All {len(rows)}", key=_SHOW_ALL)


def _line(row: StudyRow) -> str:
    study = reading.study_of(row)
    if study is None:
        return "A study of another version"
    far = reading.standing_of(study, is_resting=not row.is_wanted)
    # The list is drawn less often than the study beside it, so a count of one under way would be old.
    how_far = "done" if far.is_done else "under way" if row.is_wanted else f"{far.ended:,} of {far.total:,} runs"
    paused = ", paused" if not (acting.wants(row) or far.is_done) else ""
    return plain(f"{shortened(words.title_of(study, longest=80), _LONGEST)} ({how_far}{paused})")
