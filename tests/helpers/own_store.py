"""The fixture that keeps tests and benchmarks away from the developer's own runs and settings."""

import os
from collections.abc import Iterator

import pytest

FROM_OUTSIDE = ("DATABASE_URL", "DASK_SCHEDULER_ADDRESS")


@pytest.fixture(scope="session", autouse=True)
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the settings and runs of the developer from all tests and the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ECHO_") or name in FROM_OUTSIDE]:
            patch.delenv(name)
        patch.setenv("DATABASE_URL", f"sqlite:///{tmp_path_factory.mktemp('store') / 'runs.db'}")
        yield
