"""An app that is killed, two apps on one store, and a cluster that does not see it, as a visitor meets them."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, Page

from tests.helpers.clusters import dask_cluster
from tests.helpers.page import ENDLESS, WAIT, press, said, settled, small
from tests.helpers.postgres import Server as Postgres
from tests.helpers.server import ROOT, Server, serve_quick

pytestmark = pytest.mark.browser

TRAINS = r"Epoch [1-9][\d,]* of 9,000,000 · [\d,]+ epochs/s"


def visit(chromium: Browser, server: Server, query: str) -> Page:
    """A page of a visitor with a browser of their own."""
    page = chromium.new_context().new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"{server.url}/{query}")
    page.wait_for_selector(".st-key-train button")
    settled(page)
    return page


def stopped_at(page: Page) -> int:
    press(page, "stop")
    said(page, "Paused at epoch")
    found = re.search(r"Paused at epoch ([\d,]+)", page.locator(".st-key-progress").inner_text())
    assert found is not None
    return int(found[1].replace(",", ""))


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster whose workers were started elsewhere."""
    folder = tmp_path_factory.mktemp("cluster")
    with dask_cluster(folder, 2, cwd=folder, ECHO_THREADS="1") as found:
        yield found


@pytest.mark.slow
def test_run_of_a_server_that_was_killed_is_interrupted_and_goes_on_from_its_checkpoint_in_the_next(
        chromium: Browser, tmp_path: Path):
    with serve_quick(tmp_path) as server:
        page = visit(chromium, server, small(seed=21, epochs=ENDLESS))
        press(page, "train")
        said(page, TRAINS)
        kept = stopped_at(page)  # with a checkpoint
        press(page, "go_on")
        said(page, TRAINS)
        link = "?" + urlparse(page.url).query
        server.process.kill()
    with serve_quick(tmp_path) as server:
        page.goto(f"{server.url}/{link}")  # the same browser, which holds the run
        settled(page)
        said(page, "Interrupted at epoch")
        said(page, "Its worker or its server ended while it trained. Press Go on to continue from the last checkpoint.")
        press(page, "go_on")
        said(page, TRAINS)
        assert stopped_at(page) >= kept  # the epochs that were lost may not have been trained again yet
        page.context.close()
        assert server.trouble() == []


@pytest.mark.slow
def test_run_that_was_begun_in_one_app_is_watched_and_stopped_in_another(
        chromium: Browser, tmp_path: Path, scheduler: str, postgres_server: Postgres, migrated: str):
    with ExitStack() as running:
        url = running.enter_context(postgres_server.database(migrated))
        servers = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            servers.append(running.enter_context(serve_quick(tmp_path / name, DATABASE_URL=url,
                                                             DASK_SCHEDULER_ADDRESS=scheduler)))
        page = visit(chromium, servers[0], small(seed=22, epochs=ENDLESS))
        press(page, "train")
        page.wait_for_url("**run=*")
        other = visit(chromium, servers[1], "?" + urlparse(page.url).query)
        for each in (page, other):
            said(each, TRAINS)
        epoch = stopped_at(other)
        said(page, f"Paused at epoch {epoch:,}")
        for each in (page, other):
            each.context.close()
        assert [server.trouble() for server in servers] == [[], []]


@pytest.mark.slow
def test_cluster_that_does_not_see_the_apps_store_is_refused_in_words_where_a_run_waits(
        chromium: Browser, tmp_path: Path, scheduler: str):
    # The same address is another place for whoever was started in another folder.
    here = os.path.relpath(tmp_path / "runs.db", ROOT)
    with serve_quick(tmp_path, DATABASE_URL=f"sqlite:///{here}", DASK_SCHEDULER_ADDRESS=scheduler) as server:
        page = visit(chromium, server, small(seed=23))
        press(page, "train")
        said(page, "Next in the queue.*" + re.escape(
            f"The cluster at {scheduler} is refused: its workers cannot open the app's store (there is no store at "
            f"sqlite:///{here}.) Set DATABASE_URL to one that both reach, such as PostgreSQL."))
        page.context.close()
