"""Two visitors of a hosted copy, each with a browser of their own: what one has typed and trains is not the other's."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlencode, urlparse

import pytest
from playwright.sync_api import Page, expect

from echo_core.config import RunConfig
from echo_core.store import Store
from tests.helpers.page import ENDLESS, press, said, settled, small
from tests.helpers.server import Server, serve_quick
from tests.helpers.steps import history, run_of, tick

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Visit = Callable[..., Page]
WORDS = "zebra quokka zebra okapi narwhal okapi " * 3
CONFIG = RunConfig(variant="encoder_decoder", text=WORDS, vocab_size=4, sequence_length=8, input_length=3,
                   output_length=2, units=6, batch_size=6, epochs=ENDLESS, learning_rate=1e-5)
TRAINS = r"Epoch [1-9][\d,]* of 9,000,000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve_quick(tmp_path_factory.mktemp("hosted"), ECHO_HOSTED="true", ECHO_MAX_HOURLY_PER_VISITOR="3",
                     ECHO_UNWATCHED_SECONDS="3600") as running:
        yield running
        assert running.trouble() == []


@pytest.fixture(scope="module")
def store(server: Server) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{server.log.parent / 'runs.db'}")) as opened:
        yield opened


def open_studies(page: Page) -> None:
    page.get_by_role("link", name="Studies").click()
    expect(page.locator(".st-key-study_start button")).to_be_visible()
    settled(page)


def test_b_meets_nothing_of_a_but_by_as_link_and_ends_nothing(visit: Visit, server: Server, store: Store):
    a, b = visit("?" + urlencode(CONFIG.to_query())), visit()
    press(a, "train")
    said(a, TRAINS)
    link = "?" + urlparse(a.url).query
    run_id = run_of(a)
    history(a)
    tick(a, 0)
    a.locator(".st-key-runs_actions").get_by_text("Rename").click()
    a.locator(f".st-key-runs_name_{run_id} input").fill("<b>of A alone</b>")
    a.keyboard.press("Enter")
    settled(a)

    history(b)
    expect(b.locator(".st-key-runs_table")).to_have_count(0)
    b.locator(".st-key-runs_text input").fill("zebra")
    b.keyboard.press("Enter")
    settled(b)
    for page in ("Studies", "Inside", "Findings", "Train"):
        b.get_by_role("link", name=page).click()
        settled(b)
        assert not any(word in b.content() for word in ("quokka", "okapi", "of A alone", run_id))

    b.goto(f"{server.url}/{link}")
    said(b, TRAINS)
    expect(b.locator(".st-key-windows")).to_contain_text("quokka")
    assert "of A alone" not in b.content()
    press(b, "stop")
    expect(b.get_by_text("it goes on until they stop it or have been away for a while")).to_be_visible()
    history(b)  # looking makes it not B's
    expect(b.locator(".st-key-runs_table")).to_have_count(0)

    a.close()  # and A's being away does not, either
    b.goto(f"{server.url}/{link}")
    settled(b)
    press(b, "stop")
    expect(b.get_by_text("it goes on until they stop it or have been away for a while")).to_be_visible()
    run = store.runs.get(run_id)
    assert run is not None
    assert (run.state.is_active, run.stop_requested) == (True, False)
    store.queue.stop(run_id)  # the operator, for the tests below


def test_two_who_start_the_same_study_share_it_and_one_who_removes_it_leaves_it(visit: Visit, store: Store):
    a, b = visit(), visit()
    for page in (a, b):
        open_studies(page)
        press(page, "study_start")
        expect(page.locator(".st-key-study_pause button")).to_be_visible()
    [row] = store.studies.newest()
    assert len(row.holders) == 2
    press(b, "study_cancel")
    expect(b.locator(".st-key-study_undo")).to_be_visible()
    expect(a.locator(".st-key-study_pause button")).to_be_visible()
    [left] = store.studies.newest()
    assert left.holders == row.holders[:1]
    press(a, "study_cancel")
    expect(a.locator(".st-key-study_undo")).to_be_visible()
    assert store.studies.newest() == []


def test_a_visitor_who_has_used_up_the_hour_reads_beside_train_when_to_come_back(visit: Visit):
    page = visit(small(seed=81, epochs=200))
    press(page, "train_seeds")
    expect(page.get_by_text(re.compile(
        "3 of the 5 seeds were asked for, and then:\u2060? You have asked for 3 runs within the last hour.* "
        "Try again in about 60 minutes:\u2060? then the hour of one of them is over"))).to_be_visible()
    expect(page.get_by_text("3 of 5 finished")).to_be_visible()
