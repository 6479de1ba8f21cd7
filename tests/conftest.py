"""What all tests share: a store of their own, be it SQLite or PostgreSQL, and examples that do not race the clock."""

import os
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, closing
from pathlib import Path
from unittest import mock

import hypothesis
import pytest

from echo_core.store import Store, upkeep
from tests.helpers.own_store import own_store
from tests.helpers.postgres import NoPostgres, Server, in_ci, postgres

__all__ = ["own_store"]

# An example has no deadline: the machine that runs the tests is slow at times, which is no fault of the code.
# `make test-all` asks for the thorough profile by pytest's option --hypothesis-profile.
hypothesis.settings.register_profile("lab", deadline=None, max_examples=60)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=600)
hypothesis.settings.load_profile("lab")

#: The slowest files, the slowest first. If one of them started last, the other process would wait for it.
LONG_FILES = ("test_train_page", "test_history_page", "test_train_screen", "test_engine", "test_arithmetic",
              "test_faults", "test_worker", "test_train_command", "test_outages", "test_two_apps", "test_ahead",
              "test_tabs", "test_apps_that_end", "test_reruns", "test_accessibility", "test_inside_app", "test_kills",
              "test_train_app", "test_training", "test_models", "test_script", "test_listing", "test_run_files")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow files first, and keep the order within a file."""
    places = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(autouse=True)
def patient_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep does its work however long a busy machine lets it wait for the store; a test may shorten that."""
    monkeypatch.setattr(upkeep, "MAX_SWEEP_WAIT_SECONDS", 600.0)


@pytest.fixture
def environment() -> Iterator[MutableMapping[str, str]]:
    """The environment of this process, restored after the test: commands that train change it."""
    with mock.patch.dict(os.environ):
        yield os.environ


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One real PostgreSQL for all tests; each gets a database of its own."""
    with ExitStack() as running:
        try:
            server = running.enter_context(postgres())
        except NoPostgres as error:
            (pytest.fail if in_ci() else pytest.skip)(str(error))
        yield server


@pytest.fixture(scope="session")
def migrated(postgres_server: Server) -> str:
    """The name of a database on the server that is an empty store, to copy."""
    postgres_server.create("migrated")
    Store(postgres_server.url("migrated")).close()
    return "migrated"


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store of each kind that does not exist yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'folder' / 'that is new' / 'runs.db'}"
    else:
        with request.getfixturevalue("postgres_server").database() as url:
            yield url


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "sqlite":
        with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as opened:
            yield opened
    else:
        server, template = request.getfixturevalue("postgres_server"), request.getfixturevalue("migrated")
        with server.database(template) as url, closing(Store(url)) as opened:
            yield opened
