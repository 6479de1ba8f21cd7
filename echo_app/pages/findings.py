"""The Findings page: what the tutorial leaves open, answered by studies that came with this version."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import streamlit as st

from echo_app import store_outages
from echo_app.formatting import plain
from echo_app.pages import setup
from echo_app.pages.setup import prepare
from echo_app.panels.studies import form, picture, tables, words
from echo_core.studies import findings
from echo_core.studies.findings import Finding
from echo_core.studies.measures import MEASURES, Measure
from echo_core.studies.questions import Asked
from echo_core.studies.results import Results

#: The parameter of a link to a finding, and the key of `st.session_state` of the one that is shown.
_LINK, _SHOWN = "finding", "finding_shown"
#: Key of `st.session_state`: *Ask it here* was pressed.
_ASKED = "finding_asked"


def findings_page(open_studies: Callable[[], None]) -> None:
    """From top to bottom: the questions; the answer to one of them, its pictures and its numbers.

    Args:
        open_studies: Opens the Studies page, whose form has the question that was picked.
    """
    st.html(setup.STYLE + tables.STYLE + _STYLE)
    store_outages.draw_page(lambda: _page(open_studies))


@lru_cache(maxsize=1)
def _found() -> Mapping[str, Finding]:
    return findings.read()


def _page(open_studies: Callable[[], None]) -> None:
    if st.session_state.pop(_ASKED, False):
        open_studies()
    prepare()
    found = _found()
    linked = st.query_params.get(_LINK)
    if _SHOWN not in st.session_state:
        st.session_state[_SHOWN] = linked if linked in found else next(iter(found))
    left, right = st.columns([2, 3], gap="large")
    with left:
        name = st.radio("Questions", list(found), key=_SHOWN, persist_state="session",
                        format_func=lambda name: found[name].question.question)
        st.caption(plain(findings.machine()) + " `make findings` trains all of it again.")
    st.query_params[_LINK] = str(name)
    with right:
        _finding(found[str(name)])


def _finding(finding: Finding) -> None:
    st.subheader(finding.question.question, anchor=False)
    st.markdown(plain(finding.answer))
    st.caption(plain(f"Expected: {finding.question.guess}"))
    for number, (asked, of_measure) in enumerate(zip(finding.question.asked, finding.tables, strict=True)):
        _study(asked, of_measure, f"{finding.question.name}_{number}")


def _study(asked: Asked, of_measure: Mapping[Measure, Results], key: str) -> None:
    """Draw a study: what was trained, its picture, its numbers and the command that repeats it."""
    st.markdown(f"**{plain(words.title_of(asked.study))}**")
    measures = list(of_measure)
    measure = measures[0] if len(measures) == 1 else st.segmented_control(
        "Look at", measures, default=measures[0], required=True, key=f"look_{key}", label_visibility="collapsed",
        format_func=lambda one: MEASURES[one].title)
    found = of_measure[Measure(str(measure))]
    drawn = picture.picture(found)
    st.vega_lite_chart(drawn.table, drawn.spec, key=f"picture_{key}", alt=drawn.alt)
    st.caption(drawn.reading)
    with st.expander("The numbers"):
        st.html(tables.to_html(found))
        st.caption("Repeat it on a command line:")
        st.code(asked.command(found.measure), language=None, wrap_lines=True)
    st.button("Ask it here", key=f"ask_{key}", icon=":material/query_stats:", type="tertiary", on_click=_ask,
              args=(asked, found.measure),
              help="Opens Studies with this question in its form: train it yourself, or change it.")


def _ask(asked: Asked, measure: Measure) -> None:
    """Callback: put the question into the form of the Studies page."""
    form.load(asked.study)
    st.session_state[form.LOOK_AT] = measure
    st.session_state[_ASKED] = True


_STYLE = """<style>
[data-testid="stRadio"] label { margin-bottom: 0.35rem; }
</style>"""
