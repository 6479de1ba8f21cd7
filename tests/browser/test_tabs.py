"""Tabs that are hidden or closed, and several visitors of a hosted copy: one server, a real Chromium."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from echo_core.records import State
from echo_core.store import Store
from tests.helpers.page import ENDLESS, address, press, small
from tests.helpers.server import Server, serve_quick
from tests.helpers.steps import history, run_of, tick

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
UNWATCHED_SECONDS = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A hosted copy that waits for nobody for long."""
    with serve_quick(tmp_path_factory.mktemp("app"), ECHO_UNWATCHED_SECONDS=str(UNWATCHED_SECONDS),
                     ECHO_HOSTED="true") as running:
        yield running
        assert running.trouble() == []


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{server.log.parent / 'runs.db'}")) as opened:
        yield opened


def begin_long(page: Page) -> str:
    """Train for longer than any test; the run's id."""
    press(page, "train")
    expect(page.locator(".st-key-progress")).to_contain_text("epochs/s")
    return run_of(page)


def epoch(page: Page) -> int:
    found = re.search(r"Epoch ([\d,]+)", page.locator(".st-key-progress").inner_text())
    return int(found.group(1).replace(",", "")) if found else -1


@pytest.mark.slow
def test_a_hidden_tab_loses_no_run_and_shows_it_when_it_is_looked_at_again(visit: Visit, store: Store):
    """A page is frozen three times as long as an unwatched run goes on.

    That stands for ten minutes with the 300 seconds of a real host, twice as long: what holds a run is the open
    connection, which the server's side renews every five seconds by a clock of its own; nothing of it depends on how
    long the page has been still, only on whether that is longer than the limit and than those five seconds.
    """
    page = visit(small(seed=71, epochs=ENDLESS))
    run_id = begin_long(page)
    before = epoch(page)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    seen = []
    for _ in range(4):
        time.sleep(3 * UNWATCHED_SECONDS / 4)
        run = store.runs.get(run_id)
        assert run is not None
        assert run.state is State.RUNNING
        seen.append(run.epoch)
    assert before < seen[0] < seen[1] < seen[2] < seen[3]
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    page.wait_for_function("least => Number((document.querySelector('.st-key-progress')?.innerText ?? '')"
                           ".match(/Epoch ([\\d,]+)/)?.[1].replaceAll(',', '')) >= least", arg=seen[3])
    press(page, "stop")
    expect(page.locator(".st-key-progress")).to_contain_text("Paused")


@pytest.mark.slow
def test_a_closed_tab_pauses_its_run_after_a_while_and_says_why(visit: Visit, store: Store):
    page = visit(small(seed=72, epochs=ENDLESS))
    run_id = begin_long(page)
    page.context.close()
    closed_at = time.monotonic()
    while (run := store.runs.get(run_id)) and run.state is State.RUNNING:
        assert time.monotonic() - closed_at < UNWATCHED_SECONDS + 20
        time.sleep(0.1)
    assert time.monotonic() - closed_at > UNWATCHED_SECONDS - 1
    assert run is not None
    assert (run.state, run.reason) == (
        State.PAUSED, f"Nobody who pressed Train for it has been here for {UNWATCHED_SECONDS} seconds.")
    assert run.epoch > 0
    again = visit(f"?run={run_id}")
    expect(again.locator(".st-key-progress")).to_contain_text("Nobody who pressed Train for it has been here")


def listed(page: Page, count: int) -> None:
    expect(page.locator(".st-key-runs_pages")).to_contain_text(f"1 to {count} of {count}")


@pytest.mark.slow
def test_visitors_of_a_hosted_copy_see_their_own_runs_and_the_presets_alone(visit: Visit):
    first, second = visit(address("whole", seed=73, epochs=60)), visit(address("whole"))
    for page in (first, second):
        press(page, "train")
    for page in (first, second):
        expect(page.locator(".st-key-progress")).to_contain_text("Finished")
        history(page)
    listed(first, 2)   # its own, and that of a preset, whoever trained it
    listed(second, 1)  # not the other's

    tick(first, 0)
    expect(first.get_by_text("1 picked")).to_be_visible()
    expect(first.locator(".st-key-runs_delete")).to_have_count(0)
    first.get_by_role("button", name="Rename").click()
    first.get_by_placeholder("two bits too few").fill("the preset, as I call it")
    first.get_by_placeholder("two bits too few").press("Enter")
    expect(first.locator(".st-key-runs_table")).to_contain_text("the preset, as I call it")
    first.keyboard.press("Escape")
    tick(second, 0)
    expect(second.get_by_text("1 picked")).to_be_visible()
    expect(second.locator(".st-key-runs_delete")).to_have_count(0)
    expect(second.locator(".st-key-runs_table")).to_contain_text("Whole echo")
    expect(second.locator(".st-key-runs_table")).not_to_contain_text("as I call it")
    press(first, "runs_hide")
    listed(first, 1)
    history(second)
    listed(second, 1)
