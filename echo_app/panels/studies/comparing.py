"""The settings of a study against one of them, over the same seeds, and what to do where they cannot be told apart."""

import streamlit as st

from echo_app.formatting import duration, plain
from echo_app.panels.studies import acting, form, reading, words
from echo_core.studies.results import Results
from echo_core.studies.running import Standing
from echo_core.studies.study import MAX_SEEDS, Study
from echo_core.text.plurals import counted

#: Sentences that are in sight at once, and seeds that one would train for as many answers as they give.
_MOST, _FEW = 8, 20


def comparison(found: Results, far: Standing) -> None:
    """Draw the comparison, and say what it is worth."""
    if found.study.ranks_untuned:
        _untuned(found.study)
    if len(found.rows) < 2 or not any(row.values for row in found.rows):
        return
    names = [words.setting_in_words(found.study, row.setting) for row in found.rows]
    session = st.session_state
    if session.get(acting.AGAINST) not in range(len(names)):
        session[acting.AGAINST] = _own_place(found)
    st.markdown("**Against each other**")
    place = st.selectbox("Compare with", range(len(names)), key=acting.AGAINST, format_func=names.__getitem__,
                         persist_state="session", width=260)
    if not found.rows[place].values:
        st.caption("None of its seeds has a value, so nothing can be compared with it. Pick another one.")
        return
    differences = found.compared_with(place)
    corrected = f", corrected for {len(differences)} comparisons" if len(differences) > 1 else ""
    st.caption(f"Each pair is compared over the seeds that both have. Each 95 % interval is of the "
               f"difference{corrected}; where it holds 0, chance may have made it. Two means whose intervals "
               "overlap above may still differ for sure, because each seed is compared with itself.")
    lines = [words.difference_in_words(found.measure, plain(names[other]), plain(names[place]), difference)
             for other, difference in differences.items()]
    st.markdown("\n".join(f"- {line}" for line in lines[:_MOST]))
    if len(lines) > _MOST:
        more = st.expander(f"{len(lines) - _MOST} more", key="study_more_differences")
        more.markdown("\n".join(f"- {line}" for line in lines[_MOST:]))
    open_ones = [difference.more_seeds for difference in differences.values() if difference.more_seeds]
    if open_ones and far.is_done:
        _more_seeds(found.study, max((more for more in open_ones if more <= _FEW), default=min(open_ones)))


def _own_place(found: Results) -> int:
    """The place of the setting that the study began with, or else of the first; of those with a value."""
    base, known = found.study.base, [place for place, row in enumerate(found.rows) if row.values]
    return next((place for place in known if all(
        getattr(base, field) == value for field, value in found.rows[place].setting.items())), known[0])


def _more_seeds(study: Study, more: int) -> None:
    """Draw the button that trains so many more seeds of each setting."""
    seeds = min(MAX_SEEDS, study.seeds + more)
    if seeds == study.seeds:
        st.caption(f"A study has at most {MAX_SEEDS} seeds.")
        return
    try:
        longer = study.with_seeds(seeds)
    except ValueError as error:  # too many runs
        st.caption(plain(str(error)))
        return
    far = reading.standing_of(longer)
    if st.button(f"Train {counted(seeds - study.seeds, 'more seed')}", key="study_more_seeds", icon=":material/add:",
                 on_click=acting.start, args=(longer,)):
        st.rerun()
    st.caption(f"{counted(far.total - far.ended, 'new run')}, {seeds - study.seeds} of each setting: about "
               f"{duration(max(1, round(far.seconds_left)))}.")


def _untuned(study: Study) -> None:
    st.info("All have the same learning rate, and which network is best at one rate says little about which is the "
            "better one (arXiv 2508.19029).", icon=":material/info:", title="Networks compared untuned")
    if st.button("Choose the rate for each first", key="study_tune_first", type="tertiary", icon=":material/tune:",
                 on_click=form.load, args=(acting.tuned(study),), help="Puts it into the form, with the tick."):
        st.rerun()
