"""A Dask cluster that the app did not start: a scheduler and workers, each a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.helpers.server import ROOT

#: Seconds that a process of Dask may take to start, or to end.
START_SECONDS, END_SECONDS = 60.0, 10.0


@contextmanager
def dask_cluster(folder: Path, workers: int, cwd: Path = ROOT, **environment: str) -> Iterator[str]:
    """Start a scheduler and workers on loopback, each in its own process, and give the scheduler's address.

    Args:
        folder: Where they write.
        cwd: Where the workers are started.
    """
    contact = folder / "scheduler.json"
    with ExitStack() as running:
        running.enter_context(_dask("scheduler", folder, cwd, environment, "--port", "0", "--scheduler-file", contact))
        for number in range(workers):
            running.enter_context(_dask("worker", folder, cwd, environment, "--scheduler-file", contact, "--nthreads",
                                        "1", "--memory-limit", "0", "--name", f"w{number}"))
        deadline = time.monotonic() + START_SECONDS
        address = None
        while address is None:
            assert time.monotonic() < deadline, "no scheduler"
            time.sleep(0.05)
            with suppress(OSError, ValueError):  # the file is missing or not complete yet
                address = json.loads(contact.read_text())["address"]
        yield address


def runs_begun(dask_worker: Any) -> list[str]:
    """The runs that a worker has begun to train, from the keys of its tasks; called in the worker."""
    return [entry[0] for entry in dask_worker.state.log
            if str(entry[0]).startswith("run-") and entry[2:4] == ("executing", "executing")]


@contextmanager
def _dask(kind: str, folder: Path, cwd: Path, environment: dict[str, str], *options: str | Path) -> Iterator[None]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", "--no-dashboard", *options]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT),
                    "DASK_TEMPORARY_DIRECTORY": str(folder), **environment}
    with (folder / f"{kind}s.log").open("a") as log:
        started = subprocess.Popen(command, cwd=cwd, env=surroundings, stdout=log, stderr=log)
    try:
        yield
    finally:
        family = [psutil.Process(started.pid)] if started.poll() is None else []
        family += [child for parent in family for child in parent.children(recursive=True)]
        started.terminate()
        psutil.wait_procs(family, END_SECONDS)
        for member in family:
            with suppress(psutil.Error):
                member.kill()
        started.wait()
