"""What all tests share: a store of their own, be it SQLite or PostgreSQL, and examples that do not race the clock."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import hypothesis
import pytest
from postgres import NoPostgres, Server, in_ci, postgres

from echo_core.store import Store

# No deadline for an example: the machine that runs the tests is shared and slow at times, which is no fault of the code.
# `make test-all` asks for the thorough profile by pytest's option --hypothesis-profile.
hypothesis.settings.register_profile("lab", deadline=None, max_examples=60)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=600)
hypothesis.settings.load_profile("lab")

FROM_OUTSIDE = ("DATABASE_URL", "DASK_SCHEDULER_ADDRESS")


@pytest.fixture(scope="session", autouse=True)
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads the settings, or writes to the runs, of whoever runs it; nor do processes it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ECHO_") or name in FROM_OUTSIDE]:
            patch.delenv(name)
        patch.setenv("DATABASE_URL", f"sqlite:///{tmp_path_factory.mktemp('store') / 'runs.db'}")
        yield


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
    """The name of a database in it to copy: a store that is empty."""
    postgres_server.create("migrated")
    Store(postgres_server.url("migrated")).close()
    return "migrated"


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a store of each kind can be made, with nothing there yet."""
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
