"""The app from a read-only folder whose path has spaces and é, from another folder, with a base path."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from echo_core.records import State
from echo_core.store import Store
from tests.helpers.page import small
from tests.helpers.visitor import Session
from tests.helpers.waiting import until

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def read_only_copy(tmp_path: Path) -> Iterator[Path]:
    """What the app consists of, on a disk that nobody can write to."""
    folder = tmp_path / "Mon écho" / "Écho Lab é"
    for name in ("echo_core", "echo_app", ".streamlit"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "streamlit_app.py", folder)
    for options in (["--bind", folder, folder], ["-o", "remount,bind,ro", folder]):
        done = subprocess.run(["mount", *options], check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no folder can be made read-only here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def address(read_only_copy: Path, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ECHO_", "PYTHONPATH"))}
    started = psutil.Popen(
        [sys.executable, "-m", "streamlit", "run", read_only_copy / "streamlit_app.py", "--server.address=127.0.0.1",
         f"--server.port={port}", "--server.baseUrlPath=a/b", "--server.headless=true"], cwd="/",
        env={**kept, "DATABASE_URL": f"sqlite:///{tmp_path / 'runs.db'}"})
    at = f"127.0.0.1:{port}/a/b"

    def answers() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://{at}/_stcore/health", timeout=1):
            return True
        return False

    until(answers)
    yield at
    family = [*started.children(recursive=True), started]
    started.terminate()
    psutil.wait_procs(family, 10)
    for member in family:
        with suppress(psutil.Error):
            member.kill()


def test_it_trains_a_run_there(address: str, read_only_copy: Path, tmp_path: Path):
    async def train() -> None:
        async with connect(f"ws://{address}/_stcore/stream", subprotocols=[Subprotocol("streamlit")], max_size=None,
                           open_timeout=30) as stream:
            page = Session(stream, small()[1:])
            await page.run()
            await asyncio.to_thread(until, lambda: (tmp_path / "runs.db").exists())
            with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
                await page.run(train=True)
                await asyncio.to_thread(
                    until, lambda: [run.state for run in store.runs.newest()] == [State.FINISHED])
            assert page.errors == []

    asyncio.run(train())
    assert not (read_only_copy / ".echo").exists()


def test_without_a_place_for_runs_the_command_line_says_in_one_line_what_to_set(read_only_copy: Path):
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "PYTHONPATH")}
    done = subprocess.run([sys.executable, "-m", "echo_core", "train", "--preset=quick"], cwd=read_only_copy, env=kept,
                          check=False, capture_output=True, text=True)
    [line] = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert "Read-only file system. Set DATABASE_URL to a file in a folder that this user can write to" in line
