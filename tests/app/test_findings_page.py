"""The Findings page by Streamlit's own test runner: each question has its answer, its picture and its command."""

import pytest
from streamlit.testing.v1 import AppTest

from echo_app.panels.studies import form
from echo_core.studies import findings
from tests.helpers.apptest import open_script

pytestmark = pytest.mark.usefixtures("own_engine")
FOUND = findings.read()


def open_findings(**query: str) -> AppTest:
    """The Findings page alone."""
    def script() -> None:
        import streamlit as st

        from echo_app.pages.findings import findings_page

        findings_page(lambda: st.session_state.update(opened_studies=True))

    return open_script(script, **query)


@pytest.mark.parametrize("name", FOUND)
def test_a_link_opens_a_question_with_its_answer_and_what_repeats_it(name: str):
    page, finding = open_findings(finding=name), FOUND[name]
    assert page.subheader[0].value == finding.question.question
    assert [each.value for each in page.code] == [
        asked.command(asked.measures[0]) for asked in finding.question.asked]
    assert len(page.get("vega_lite_chart")) == len(finding.question.asked)


def test_an_unknown_question_in_the_address_opens_the_first():
    assert open_findings(finding="luck").subheader[0].value == next(iter(FOUND.values())).question.question


def test_a_question_can_be_asked_here():
    name = next(iter(FOUND))
    page = open_findings(finding=name)
    page.button(key=f"ask_{name}_0").click().run()
    assert page.session_state.opened_studies
    asked = FOUND[name].question.asked[0]
    assert page.session_state[form.SEEDS] == asked.seeds
    assert page.session_state[form.LOOK_AT] == asked.measures[0]
