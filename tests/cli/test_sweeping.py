"""The command `sweep`, with real workers: its table, what it refuses, and that it goes on after it was killed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from statistics import mean

import psutil
import pytest

from echo_core.config import RunConfig
from echo_core.records import State
from echo_core.store import Store
from echo_core.studies.study import Axis, Study
from tests.helpers.clusters import dask_cluster
from tests.helpers.command import echo_core
from tests.helpers.postgres import Server
from tests.helpers.stored import add_finished
from tests.helpers.waiting import PATIENCE, until

ROOT = Path(__file__).parents[2]
#: A network that is compiled in a second and trained in a blink.
TINY = ["--set", "variant=encoder_decoder", "--set", "vocab_size=10", "--set", "sequence_length=8",
        "--set", "input_length=3", "--set", "output_length=2", "--set", "units=6", "--set", "batch_size=6"]

pytestmark = pytest.mark.usefixtures("environment")


@pytest.mark.parametrize(("arguments", "said"), [
    (["--over", "units=8,8"], "units must have different values"),
    (["--over", "seed=1,2"], "a seed is chance and no setting"),
    (["--over", "units=8", "--over", "units=9"], "two different settings"),
    (["--over", "units=8", "--seeds", "0"], "0 is not in the range"),
    (["--over", "units=8", "--preset", "slow"], "preset must be one of"),
    (["--over", "units=8,5000"], "units must be at most 1024 on this host"),
    (["--over", "learning_rate=0.1", "--tune"], "tune must be off"),
    (["--over", "units=8", "--measure", "luck"], "'luck' is not one of"),
    ([], "Missing option '--over'")])
def test_what_cannot_be_asked_is_refused_in_one_line_before_anything_starts(store, arguments: list[str], said: str):
    result = echo_core("sweep", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert store.runs.newest() == []


def test_a_study_whose_runs_are_all_known_is_told_at_once_and_says_where_it_is_drawn(store):
    base = RunConfig(variant="encoder_decoder", vocab_size=10, sequence_length=8, input_length=3, output_length=2,
                     units=6, batch_size=6)
    study = Study(base, (Axis("units", (4, 6)),), seeds=3)
    for trial in study.trials():
        add_finished(store, trial.config)
    result = echo_core("sweep", *TINY, "--over", "units=4,6", "--seeds", "3")
    assert result.exit_code == 0
    assert "units 4: windows right" in result.stdout
    assert f"?study={study.study_id} behind it" in result.stdout


def heed_ctrl_c() -> None:
    """A shell has its background processes ignore Ctrl-C, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def sweep(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    surroundings = {**os.environ, "DATABASE_URL": f"sqlite:///{folder / 'runs.db'}",
                    "ECHO_XLA_CACHE": str(folder / "xla"), "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen([sys.executable, "-m", "echo_core", "sweep", *TINY, "--json", *arguments], text=True,
                            cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=heed_ctrl_c)


def attempts(store: Store) -> dict[str, int]:
    return {run.run_id: run.attempt for run in store.runs.newest(1000) if run.state is State.FINISHED}


def end(process: subprocess.Popen[str]) -> None:
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.communicate()


def test_a_sweep_that_ctrl_c_stopped_goes_on_and_trains_nothing_twice(tmp_path: Path):
    grid = ["--set", "epochs=10000", "--over", "learning_rate=0.01,0.02", "--seeds", "3"]
    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        first = sweep(tmp_path, *grid)
        try:
            until(lambda: attempts(store))
            first.send_signal(signal.SIGINT)
            out, said = first.communicate(timeout=PATIENCE)
        finally:
            end(first)
        assert (first.returncode, out) == (130, "")
        assert "of 6 runs have ended. The same command goes on" in said
        before = attempts(store)
        assert 1 <= len(before) < 6

        second = sweep(tmp_path, *grid)
        out, said = second.communicate(timeout=PATIENCE)
        assert second.returncode == 0, said
        after = attempts(store)
        assert {run_id: after[run_id] for run_id in before} == before
        rows = json.loads(out)["rows"]
        for row in rows:
            scores = [store.runs.get(each["run_id"]).evaluation.window_accuracy for each in row["runs"]]
            assert (row["n"], row["failures"], row["waiting"]) == (3, 0, 0)
            assert row["mean"] == pytest.approx(mean(scores))
            assert row["low"] <= row["mean"] <= row["high"]
        assert [row["learning_rate"] for row in rows] == [0.01, 0.02]


def kill_listener(family: psutil.Process, port: int) -> None:
    """Kill the process among the descendants of one that listens on a port."""
    next(child for child in family.children(recursive=True)
         if any(place.laddr.port == port for place in child.net_connections() if place.status == "LISTEN")).kill()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["a worker", "the process"])
def test_a_kill_costs_time_and_changes_no_row(tmp_path: Path, victim: str):
    grid = ["--set", "epochs=20000", "--over", "learning_rate=0.01,0.02", "--seeds", "3"]
    undisturbed = sweep(tmp_path, *grid, DATABASE_URL=f"sqlite:///{tmp_path / 'other.db'}")
    expected, said = undisturbed.communicate(timeout=3 * PATIENCE)
    assert undisturbed.returncode == 0, said
    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        killed = sweep(tmp_path, *grid)
        try:
            until(lambda: len(attempts(store)) >= 1)
            until(lambda: any(run.state is State.RUNNING and run.epoch > 100 for run in store.runs.newest()))
            if victim == "a worker":
                worker = next(run.worker for run in store.runs.newest() if run.state is State.RUNNING)
                kill_listener(psutil.Process(killed.pid), int(worker.rpartition(":")[2]))
                out, said = killed.communicate(timeout=3 * PATIENCE)
            else:
                killed.kill()
                killed.communicate()
                time.sleep(1.0)
                before = attempts(store)
                again = sweep(tmp_path, *grid)
                out, said = again.communicate(timeout=3 * PATIENCE)
                assert {run_id: attempts(store)[run_id] for run_id in before} == before
        finally:
            end(killed)
        assert json.loads(out) == json.loads(expected), said


@pytest.mark.slow
def test_a_cluster_of_separate_processes_trains_a_study_and_a_lost_worker_costs_it_nothing_but_time(
        tmp_path: Path, postgres_server: Server):
    grid = ["--set", "epochs=20000", "--over", "learning_rate=0.01,0.02", "--seeds", "4"]
    with postgres_server.database() as url, closing(Store(url)) as store:
        common = {"DATABASE_URL": url, "ECHO_XLA_CACHE": str(tmp_path / "xla")}
        with dask_cluster(tmp_path, 2, **common) as address:
            started = sweep(tmp_path, *grid, **common, DASK_SCHEDULER_ADDRESS=address)
            try:
                until(lambda: len({run.worker for run in store.runs.newest() if run.state is State.RUNNING}) == 2)
                lost = next(run for run in store.runs.newest() if run.state is State.RUNNING)
                kill_listener(psutil.Process(), int(str(lost.worker).rpartition(":")[2]))
                out, said = started.communicate(timeout=4 * PATIENCE)
            finally:
                end(started)
        assert started.returncode == 0, said
        rows = json.loads(out)["rows"]
        assert [(row["n"], row["failures"], row["waiting"]) for row in rows] == [(4, 0, 0), (4, 0, 0)]
        assert len(store.runs.newest()) == 8
        assert store.runs.get(lost.run_id).restarts == 1
