"""Two apps, one store, and workers that belong to neither, all processes of their own."""

import os
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from echo_core.config import RunConfig
from echo_core.records import State
from echo_core.store import Store
from tests.helpers.clusters import dask_cluster, runs_begun
from tests.helpers.samples import TINY, config
from tests.helpers.server import ROOT
from tests.helpers.waiting import until

ENDLESS = TINY.model_copy(update={"epochs": 99_000, "units": 16})

APP = textwrap.dedent("""
    import sys

    from echo_core.workers import dispatcher, worker
    from echo_core.config import RunConfig
    from echo_core.engine import Engine

    worker.WARM_UP_STEPS = ("import",)  # the presets take long to compile
    dispatcher.ASK_AGAIN_SECONDS = 1.0
    if __name__ == "__main__":
        with Engine() as engine:
            for line in sys.stdin:
                what, of = line.split(maxsplit=1)
                match what:
                    case "train":
                        answer = engine.submit(RunConfig.model_validate_json(of))
                    case "stop":
                        answer = engine.stop(of.strip())
                    case "status":
                        answer = engine.status()
                print(answer, flush=True)
""")


class App:
    """An engine in a process of its own, spoken to line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def say(self, what: str, of: str = "-") -> None:
        self._process.stdin.write(f"{what} {of}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        return self._process.stdout.readline().strip()

    def ask(self, what: str, of: str = "-") -> str:
        self.say(what, of)
        return self.answer()


@contextmanager
def app(cwd: Path, **environment: str) -> Iterator[App]:
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    with (cwd / "app.log").open("a") as log:
        process = subprocess.Popen([sys.executable, "-c", APP], cwd=cwd, env=surroundings, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    try:
        yield App(process)
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.stdout.close()


@pytest.mark.slow
def test_run_that_one_app_began_is_stopped_in_the_other_and_each_run_is_executed_once(postgres_server, migrated,
                                                                                      tmp_path):
    from distributed import Client

    programs = {"ECHO_XLA_CACHE": str(tmp_path / "xla"), "ECHO_THREADS": "1"}
    with ExitStack() as running:
        url = running.enter_context(postgres_server.database(migrated))
        address = running.enter_context(dask_cluster(tmp_path, 2, **programs))
        surroundings = {"DATABASE_URL": url, "DASK_SCHEDULER_ADDRESS": address}
        one, other = (running.enter_context(app(tmp_path, **surroundings)) for _ in range(2))
        store = running.enter_context(closing(Store(url)))

        long = one.ask("train", ENDLESS.model_dump_json())
        until(lambda: store.runs.get(long).epoch > 0)
        assert other.ask("train", ENDLESS.model_dump_json()) == long  # joins it
        assert other.ask("stop", long) == "True"
        until(lambda: not store.runs.get(long).state.is_active)
        assert (store.runs.get(long).state, store.runs.get(long).attempt) == (State.PAUSED, 1)

        wanted: list[RunConfig] = [config(number) for number in range(7)]
        for number, each in enumerate(wanted):
            for asked in {one, other} if number == 6 else {(one, other)[number % 2]}:
                asked.say("train", each.model_dump_json())
        until(lambda: all((run := store.runs.get(each.run_id)) and run.state is State.FINISHED for each in wanted))
        runs = [store.runs.get(each.run_id) for each in wanted]
        assert {run.attempt for run in runs} == {1}
        assert len({run.worker for run in runs}) == 2
        with Client(address, set_as_default=False) as client:
            begun = Counter(key for keys in client.run(runs_begun).values() for key in keys)
        assert begun == Counter(f"run-{run_id}-1" for run_id in [long, *(each.run_id for each in wanted)])


@pytest.mark.slow
@pytest.mark.parametrize("there", [None, "another store"])
def test_cluster_whose_workers_do_not_see_the_apps_file_is_refused_until_they_do(tmp_path, there):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    if there:
        Store(f"sqlite:///{elsewhere / 'runs.db'}").close()
    with dask_cluster(tmp_path, 1, cwd=elsewhere) as address, \
            app(here, DATABASE_URL="sqlite:///runs.db", DASK_SCHEDULER_ADDRESS=address) as refused, \
            closing(Store(f"sqlite:///{here / 'runs.db'}")) as store:
        run_id = refused.ask("train", config(1).model_dump_json())
        until(lambda: "is refused" in refused.ask("status"))
        why = "its workers see another store than the app. Set" if there else \
            "its workers cannot open the app's store (there is no store at sqlite:///runs.db.) Set"
        assert refused.ask("status") == (f"The cluster at {address} is refused: {why} DATABASE_URL to one that both "
                                         "reach, such as PostgreSQL.")
        assert store.runs.get(run_id).state is State.QUEUED
        for file in elsewhere.glob("runs.db*"):
            file.unlink()
        (elsewhere / "runs.db").symlink_to(here / "runs.db")  # as when a disk is mounted
        until(lambda: store.runs.get(run_id).state is not State.QUEUED)
        assert refused.ask("status") in ("warming", "ready")
        assert refused.ask("stop", run_id) == "True"
