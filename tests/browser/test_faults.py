"""What a visitor sees while the store fails, and afterwards: real servers, a real Chromium, real faults."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from echo_core.records import State
from echo_core.store import Store
from tests.helpers import faults
from tests.helpers.page import press, settled, small
from tests.helpers.postgres import Server as Postgres
from tests.helpers.server import Server, serve_quick

pytestmark = pytest.mark.browser

VisitAt = Callable[..., Page]
MESSAGE = ".st-key-store_trouble"


def says(page: Page, cause: str) -> None:
    expect(page.locator(MESSAGE)).to_contain_text(f"The store of the runs cannot be used: {cause}")
    expect(page.locator(MESSAGE)).to_contain_text("Runs under way go on")


def is_calm(page: Page) -> None:
    expect(page.locator(MESSAGE)).to_have_count(0)


def goes_on(page: Page) -> None:
    expect(page.locator(".st-key-progress")).to_contain_text(re.compile(r"Epoch [1-9].*epochs/s"))


def finishes(page: Page) -> None:
    expect(page.locator(".st-key-progress")).to_contain_text("Finished")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk for a store where one can be mounted, or a folder."""
    folder = tmp_path_factory.mktemp("disk")
    with ExitStack() as stack:
        with suppress(pytest.skip.Exception):
            stack.enter_context(faults.small_disk(folder, megabytes=64))
        yield folder


@pytest.fixture(scope="module")
def on_a_file(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Store]]:
    """A server that keeps its runs in a file, and its store."""
    url = f"sqlite:///{disk / 'runs.db'}"
    with serve_quick(tmp_path_factory.mktemp("app"), DATABASE_URL=url) as server, closing(Store(url)) as store:
        yield server, store


@pytest.fixture
def on_postgres(postgres_server: Postgres, migrated: str, tmp_path: Path) -> Iterator[Server]:
    """A server that keeps its runs in PostgreSQL."""
    with postgres_server.database(migrated) as url, serve_quick(tmp_path, DATABASE_URL=url) as server:
        yield server


@pytest.fixture
def too_early(postgres_server: Postgres, migrated: str, tmp_path: Path) -> Iterator[tuple[Server, ExitStack]]:
    """A server that is started while its PostgreSQL is not there, and what ends that."""
    with postgres_server.database(migrated) as url, ExitStack() as until_it_comes:
        until_it_comes.enter_context(faults.crashed(postgres_server))
        with serve_quick(tmp_path, DATABASE_URL=url) as server:
            yield server, until_it_comes


@pytest.mark.slow
def test_a_database_that_crashes_in_mid_run_is_said_in_words_and_all_goes_on_when_it_is_back(
        postgres_server: Postgres, on_postgres: Server, visit_at: VisitAt):
    page = visit_at(on_postgres, small(seed=61, epochs=20_000, learning_rate=1e-5))
    history = visit_at(on_postgres)
    history.get_by_role("link", name="History").click()
    expect(history.locator(".st-key-runs_text")).to_be_visible()
    press(page, "train")
    goes_on(page)
    with faults.crashed(postgres_server):
        says(page, "it does not answer")
        expect(page.locator(".st-key-windows")).to_contain_text("✗")  # what was learnt so far stays in sight
        expect(page.locator(".st-key-units input")).to_have_value("32")
        press(page, "train")
        expect(page.get_by_text("That was not done")).to_be_visible()
        history.locator(".st-key-runs_text input").fill("no such run")
        history.locator(".st-key-runs_text input").press("Enter")
        says(history, "it does not answer")
        late = visit_at(on_postgres, shown=MESSAGE)
        says(late, "it does not answer")
    for each in (page, history, late):
        is_calm(each)
    expect(late.locator(".st-key-train button")).to_be_enabled()
    expect(history.get_by_text("No run is like that.")).to_be_visible()
    finishes(page)


@pytest.mark.slow
def test_an_app_that_is_started_before_its_database_waits_for_it(too_early: tuple[Server, ExitStack],
                                                                visit_at: VisitAt):
    server, until_it_comes = too_early
    page = visit_at(server, small(seed=62), shown=MESSAGE)
    says(page, "it does not answer")
    until_it_comes.close()
    press(page, "train")
    finishes(page)


@pytest.mark.slow
def test_a_locked_store_is_said_in_words_and_nothing_is_lost(on_a_file: tuple[Server, Store], visit_at: VisitAt):
    server, store = on_a_file
    page = visit_at(server, small(seed=63, epochs=20_000))
    press(page, "train")
    goes_on(page)
    with faults.locked(store):
        page.locator(".st-key-units input").fill("37")
        page.locator(".st-key-units input").press("Enter")
        expect(page.get_by_text("Your controls are set to")).to_be_visible()
        press(page, "train")
        refused = page.get_by_text("the store cannot be used, because another program has locked it")
        expect(refused).to_be_visible()
        says(page, "another program has locked it")
        expect(page.locator(".st-key-units input")).to_have_value("37")
    is_calm(page)
    expect(refused).to_have_count(0)
    finishes(page)
    run = store.runs.newest()[0]
    assert (run.config.seed, run.state, run.attempt, run.restarts) == (63, State.FINISHED, 1, 0)


@pytest.mark.slow
def test_a_full_disk_is_said_in_words_and_nothing_is_lost(on_a_file: tuple[Server, Store], disk: Path,
                                                         visit_at: VisitAt):
    if not disk.is_mount():
        pytest.skip("no disk can be mounted here")
    server, store = on_a_file
    page = visit_at(server, small(seed=64, epochs=20_000))
    press(page, "train")
    goes_on(page)
    with faults.filled(disk):
        says(page, "its disk is full")
        page.get_by_role("link", name="History").click()
        expect(page.locator(".st-key-runs_table")).to_be_visible()
        settled(page)
        page.get_by_role("link", name="Train").click()
        expect(page.locator(".st-key-windows")).to_be_visible()
    is_calm(page)
    finishes(page)
    run = store.runs.newest()[0]
    assert (run.config.seed, run.state, run.attempt, run.restarts) == (64, State.FINISHED, 1, 0)
