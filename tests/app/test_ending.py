"""An app that is asked to end by SIGTERM while it trains, as a container's is: nothing is lost and nothing is left."""

import asyncio
import subprocess
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs

import psutil
import pytest

from echo_core.records import State
from echo_core.store import Store
from tests.helpers.first_process import UNSHARE
from tests.helpers.page import ENDLESS, small
from tests.helpers.server import QUICK, serve
from tests.helpers.visitor import Browser
from tests.helpers.waiting import until

pytestmark = pytest.mark.slow

#: Seconds that an app may take to end. Docker ends it by force after ten.
MOST_SECONDS = 8.0


def can_be_first() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False


async def press_train(url: str) -> str:
    """Press Train and leave; the run's `run_id`."""
    async with Browser(url).open(small(epochs=ENDLESS)[1:]) as page:
        await page.run(train=True)
        return parse_qs(page.query)["run"][0]


def workers_of(app: psutil.Process) -> list[psutil.Process]:
    return [child for child in app.children(recursive=True) if any("spawn_main" in word for word in child.cmdline())]


@pytest.mark.parametrize("module", ["quick_app", "first_process"])
def test_app_that_is_asked_to_end_keeps_its_last_epoch_and_leaves_no_process(tmp_path: Path, module: str):
    if module == "first_process" and not can_be_first():
        pytest.skip("no namespace can be made here")
    with serve(tmp_path, f"tests.helpers.{module}", **QUICK) as server, closing(
            Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        app = server.process.children()[0] if module == "first_process" else server.process
        run_id = asyncio.run(press_train(server.url))

        until(lambda: store.runs.get(run_id).epoch > 100)
        (killed,) = workers_of(app)
        killed.kill()
        further = store.runs.get(run_id).epoch + 100  # until it begins again, a run has the epoch of its last attempt
        until(lambda: store.runs.get(run_id).attempt == 2 and store.runs.get(run_id).epoch > further)
        family = app.children(recursive=True)
        assert [child for child in family if child.status() == psutil.STATUS_ZOMBIE] == []
        epoch, began = store.runs.get(run_id).epoch, time.monotonic()
        app.terminate()
        until(lambda: not server.process.is_running() or server.process.status() == psutil.STATUS_ZOMBIE)
        assert time.monotonic() - began < MOST_SECONDS
        assert psutil.wait_procs(family, timeout=5)[1] == []
        run, kept = store.runs.get(run_id), store.progress.checkpoint(run_id)
        assert run.state is State.PAUSED
        assert "It goes on by itself" in run.reason
        assert kept.epoch == run.epoch >= epoch
