"""axe-core finds no serious or critical violation on any page, light or dark."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from echo_core.store import RunRow, Store
from echo_core.studies.study import Axis, Study
from tests.helpers.page import settled
from tests.helpers.samples import small
from tests.helpers.server import Server, serve_quick
from tests.helpers.steps import history, tick
from tests.helpers.stored import add_finished

pytestmark = pytest.mark.browser

VisitAt = Callable[..., Page]
IN_BOTH = pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["light", "dark"])
STUDY = Study(small(seed=5), (Axis("units", (4, 5)),), seeds=3)
#: With attention, as its views show everything that others show.
CONFIGS = [small(variant="attention", seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def runs_and_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[RunRow], Server]]:
    """A server whose store has two finished runs."""
    folder = tmp_path_factory.mktemp("app")
    with closing(Store(f"sqlite:///{folder / 'runs.db'}")) as store:
        runs = [add_finished(store, config) for config in CONFIGS]
        for trial in STUDY.trials():
            add_finished(store, trial.config)
        store.studies.ask(STUDY.study_id, STUDY.to_json(), "nobody")
    with serve_quick(folder) as running:
        yield runs, running
        assert running.trouble() == []


def violations(page: Page) -> list[str]:
    """What is serious or critical, and where. While Streamlit draws anew, it fades elements: axe then looks again."""
    found: list[str] = []
    for _ in range(5):
        settled(page)
        response = Axe().run(page).response
        assert response["passes"]
        found = [f"{violation['id']} ({violation['impact']}): {node['target']} {node['html'][:200]}"
                 for violation in response["violations"] if violation["impact"] in ("serious", "critical")
                 for node in violation["nodes"]]
        if not found:
            break
    return found


@IN_BOTH
def test_the_train_page_has_no_violation_before_and_after_training(
        visit_at: VisitAt, runs_and_server: tuple[list[RunRow], Server], dark: bool):
    runs, server = runs_and_server
    page = visit_at(server, dark=dark)
    assert violations(page) == []
    page.goto(f"{server.url}/?run={runs[0].run_id}")
    expect(page.locator(".st-key-ask input")).to_be_visible()
    assert violations(page) == []


@IN_BOTH
def test_history_and_a_comparison_have_no_violation(
        visit_at: VisitAt, runs_and_server: tuple[list[RunRow], Server], dark: bool):
    page = visit_at(runs_and_server[1], dark=dark)
    history(page)
    assert violations(page) == []
    tick(page, 0)
    expect(page.get_by_text("1 picked")).to_be_visible()
    tick(page, 1)
    expect(page.locator(".echo-differences")).to_be_visible()
    assert violations(page) == []


@IN_BOTH
def test_the_studies_page_has_no_violation_with_its_form_and_with_a_study(
        visit_at: VisitAt, runs_and_server: tuple[list[RunRow], Server], dark: bool):
    page = visit_at(runs_and_server[1], f"?study={STUDY.study_id}", dark=dark, shown=".st-key-study_chart svg")
    expect(page.locator(".echo-study tbody tr")).to_have_count(2)
    assert violations(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_finding_has_a_violation(
        visit_at: VisitAt, runs_and_server: tuple[list[RunRow], Server], dark: bool):
    page = visit_at(runs_and_server[1], dark=dark)
    page.get_by_role("link", name="Findings").click()
    page.get_by_role("radio").first.wait_for(state="attached")
    for question in page.get_by_role("radio").all():
        question.check(force=True)
        expect(page.get_by_text("The numbers").first).to_be_visible()
        assert violations(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_view_of_the_inside_page_has_a_violation(
        visit_at: VisitAt, runs_and_server: tuple[list[RunRow], Server], dark: bool):
    runs, server = runs_and_server
    page, found = visit_at(server, f"?run={runs[0].run_id}", dark=dark), {}
    page.get_by_role("link", name="Inside").click()
    page.get_by_role("tab", name="Step by step").wait_for()
    for tab in page.get_by_role("tab").all():
        tab.click()
        drawn = page.get_by_role("tabpanel").locator("[data-testid=stExpander]").locator("visible=true")
        expect(drawn.first).to_be_visible()  # the numbers behind a picture
        found[tab.inner_text()] = violations(page)
    assert len(found) > 5
    assert not any(found.values()), found
