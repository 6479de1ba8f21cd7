"""A trial with kills: the app and its workers are killed while a visitor waits for runs to finish."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from echo_core.config import RunConfig
from echo_core.engine import Engine
from echo_core.records import State
from echo_core.store import RunRow, Store
from tests.helpers.server import ROOT, serve

#: Requested runs at a time: one that trains and one that waits.
AT_A_TIME = 2
#: Seconds that workers may outlive their app, and seconds that all runs may take to finish after the last kill.
ORPHANS_SECONDS, PATIENCE = 15.0, 900.0
#: Of this many starts of the app, one starts the real server.
REAL_EVERY = 4

#: The holder of a visitor without a browser. The queue is in the store, so Train only writes a row.
VISITOR = "a visitor"
RENEW_SECONDS = 5.0


def be_an_app() -> None:
    """Run an engine until standard input ends. It replaces the app, because it starts sooner."""
    with Engine():
        sys.stdin.read()


@contextmanager
def engine_process(folder: Path, **environment: str) -> Iterator[psutil.Process]:
    """An engine in a process of its own, with the store of `serve`."""
    command = [sys.executable, "-c", "from tests.helpers.trial import be_an_app; be_an_app()"]
    surroundings = {**os.environ, "DATABASE_URL": f"sqlite:///{folder / 'runs.db'}", **environment}
    with (folder / "engine.log").open("a") as log:
        started = subprocess.Popen(command, cwd=ROOT, env=surroundings, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        yield psutil.Process(started.pid)
    finally:
        assert started.stdin is not None
        started.stdin.close()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def visited_server(folder: Path, **environment: str) -> Iterator[psutil.Process]:
    """The real server with one page open: its engine starts with the first visitor."""
    with serve(folder, **environment) as server, connect(
            server.url.replace("http", "ws") + "/_stcore/stream", subprotocols=[Subprotocol("streamlit")],
            max_size=None, open_timeout=30, ping_interval=None, close_timeout=1) as page:
        message = BackMsg()
        message.rerun_script.query_string = ""
        page.send(message.SerializeToString())
        yield server.process


class Trial:
    """A store, an app that trains its runs, and a visitor who wants every run finished.

    Attributes:
        asked: The requested runs, by `run_id`.
        finished: The fingerprints of finished runs when they were first seen finished.
        troubles: Sentences about things that must not happen.
    """

    def __init__(self, folder: Path, real_every: int = REAL_EVERY, **environment: str) -> None:
        self.asked: dict[str, RunConfig] = {}
        self.finished: dict[str, str | None] = {}
        self.troubles: list[str] = []
        self.store = Store(f"sqlite:///{folder / 'runs.db'}")
        self._folder, self._environment, self._real_every = folder, environment, real_every
        self._starts, self._app = count(1), ExitStack()
        self._renewed_at = 0.0
        self.start()

    def close(self) -> None:
        """End the app."""
        self._app.close()
        self.store.close()

    def start(self) -> None:
        """Start an engine, or at every few starts the real server."""
        self.is_real = next(self._starts) % self._real_every == 0
        begin = visited_server if self.is_real else engine_process
        self.process = self._app.enter_context(begin(self._folder, **self._environment))

    def ask(self, config: RunConfig) -> str:
        """Request a run, as Train does."""
        self.asked[config.run_id] = config
        return self.store.queue.request(config, VISITOR, VISITOR)

    def look(self) -> list[RunRow]:
        """Read all runs, press Train for those that stopped, and check that finished ones stay finished."""
        if time.monotonic() - self._renewed_at > RENEW_SECONDS:
            self.store.queue.renew([VISITOR])
            self._renewed_at = time.monotonic()
        rows = []
        for run_id, config in self.asked.items():
            run = self.store.runs.get(run_id)
            if run is None:
                self.troubles.append(f"{run_id} is gone")
                continue
            rows.append(run)
            if run.state is State.FINISHED:
                if self.finished.setdefault(run_id, run.fingerprint) != run.fingerprint:
                    self.troubles.append(f"{run_id} was finished and has got another fingerprint")
            elif run_id in self.finished:
                self.troubles.append(f"{run_id} was finished and is {run.state}")
            elif run.state is State.FAILED:
                self.troubles.append(f"{run_id} failed: {run.reason}")
            if not run.state.is_active and run.state is not State.FINISHED:
                self.store.queue.request(config, VISITOR, VISITOR)
        return rows

    def look_on(self, seconds: float, configs: Iterable[RunConfig] = ()) -> list[RunRow]:
        """Watch for a while or until all runs have finished, and request more while too few are under way."""
        deadline, more = time.monotonic() + seconds, iter(configs)
        while True:
            rows = self.look()
            if sum(run.state.is_active for run in rows) < AT_A_TIME and (config := next(more, None)):
                self.ask(config)
            elif len(self.finished) == len(self.asked) or time.monotonic() > deadline:
                return rows
            else:
                time.sleep(min(0.1, max(0.0, deadline - time.monotonic())))

    def until_it_trains(self, configs: Iterable[RunConfig] = ()) -> None:
        """Wait until a run is under way at another epoch than before."""
        before, deadline = {run.run_id: run.epoch for run in self.look()}, time.monotonic() + PATIENCE
        while not any(run.state is State.RUNNING and run.epoch not in (0, before.get(run.run_id))
                      for run in self.look_on(0.1, configs)):
            if time.monotonic() > deadline:
                return self.troubles.append(f"nothing was trained for {PATIENCE:g} s")

    def workers(self) -> list[psutil.Process]:
        """The worker processes, including those that are still starting."""
        found = []
        for child in self.process.children(recursive=True):
            with suppress(psutil.Error):  # it has ended meanwhile
                if any("spawn_main" in word for word in child.cmdline()):
                    found.append(child)
        return found

    def moment(self, rows: Iterable[RunRow]) -> str:
        """A description of the runs that are under way."""
        said = []
        for run in rows:
            if run.state.is_active:
                kept = self.store.progress.checkpoint(run.run_id)
                said.append(f"{run.state} at {run.epoch:,} of {run.config.epochs:,}"
                            + (f" with {kept.epoch:,} kept" if kept else ""))
        return ", ".join(said) or "nothing under way"

    def kill_worker(self, dice: random.Random) -> str:
        """Kill a worker with SIGKILL. Returns a sentence that names it."""
        while not (workers := self.workers()):
            time.sleep(0.05)
        chosen = dice.choice(workers)
        chosen.kill()
        return f"a worker of {len(workers)}" if len(workers) > 1 else "the worker"

    def kill_app(self) -> str:
        """Kill the app with SIGKILL, check that its workers end too, and start another app."""
        workers, began = self.workers(), time.monotonic()
        self.process.kill()
        _, left = psutil.wait_procs(workers, timeout=ORPHANS_SECONDS)
        if left:
            self.troubles.append(f"{len(left)} workers outlived their app by {ORPHANS_SECONDS:g} s")
        said = f"the {'server' if self.is_real else 'engine'}; workers gone in {time.monotonic() - began:.1f} s"
        self._app.close()
        self.start()
        return said

    def judge(self) -> list[tuple[RunRow, bool]]:
        """Check that the weights of each run, also those in the store, equal those of an undisturbed training."""
        expected = undisturbed(self.asked.values(), **self._environment)
        judged = []
        for run in self.look():
            kept = self.store.progress.checkpoint(run.run_id)
            fingerprints = {run.fingerprint, kept.fingerprint if kept else None}
            judged.append((run, run.state is State.FINISHED and fingerprints == {expected[run.run_id]}))
            if not judged[-1][1]:
                self.troubles.append(f"{run.run_id} is {run.state} and has other weights than undisturbed")
        return judged


def undisturbed(configs: Iterable[RunConfig], **environment: str) -> dict[str, str]:
    """The fingerprints of runs that the command line trains without interruption, by `run_id`. Runs that differ in
    their seed alone share a process."""
    kinds: dict[str, list[RunConfig]] = {}
    for config in configs:
        kinds.setdefault(config.model_copy(update={"seed": 0}).run_id, []).append(config)
    found: dict[str, str] = {}
    for kind in kinds.values():
        seeds = [config.seed for config in kind]
        pairs = [f"{name}={value}" for name, value in kind[0].to_query().items() if value and name != "seed"]
        command = [sys.executable, "-m", "echo_core", "train", "--no-store", "--json",
                   "--repeat", str(max(seeds) - min(seeds) + 1), "--set", f"seed={min(seeds)}",
                   *(word for pair in pairs for word in ("--set", pair))]
        said = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE)
        ends = [line for line in map(json.loads, said.stdout.splitlines()) if "fingerprint" in line]
        found |= {line["run_id"]: line["fingerprint"] for line in ends}
    return found
