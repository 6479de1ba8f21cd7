"""Workers and apps that are killed in the midst of it cost time and nothing else; `benchmarks/kills.py` at length."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from echo_core.records import State
from echo_core.store.upkeep import STALE_SECONDS
from echo_core.workers.cluster import has_ended, local_name
from tests.helpers.dice import dice
from tests.helpers.samples import TINY
from tests.helpers.trial import Trial
from tests.helpers.waiting import PATIENCE

LONG = TINY.model_copy(update={"epochs": 30_000})  # a second or two on a quiet machine


def test_worker_of_an_app_that_is_there_or_of_another_machine_has_not_ended():
    name = local_name("tcp://127.0.0.1:4000")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    of_child = name.replace(f" {psutil.Process().pid} ", f" {child.pid} ")
    assert [has_ended(each) for each in (name, of_child, f"x{of_child}", "tcp://10.0.0.1:4000", "cli-0123")] == [
        False, True, False, False, False]


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with closing(Trial(tmp_path, real_every=10, ECHO_XLA_CACHE=str(tmp_path / "xla"), ECHO_WORKERS="1")) as begun:
        yield begun


def until_it_trains(trial: Trial, run_id: str) -> int:
    """Wait until a run is further than it was; its epoch then."""
    run, deadline = trial.store.runs.get(run_id), time.monotonic() + PATIENCE
    before = run.epoch
    while not (run.state is State.RUNNING and run.epoch > before):
        assert time.monotonic() < deadline, run
        trial.look()
        time.sleep(0.01)
        run = trial.store.runs.get(run_id)
    return run.epoch


@pytest.mark.slow
def test_killed_workers_and_apps_lose_no_run_and_change_no_bit(trial: Trial):
    drawn = dice()
    first, second = (trial.ask(LONG.model_copy(update={"seed": seed})) for seed in (0, 1))
    until_it_trains(trial, first)
    trial.kill_worker(drawn)
    until_it_trains(trial, first)
    trial.store.queue.stop(first)
    while trial.store.runs.get(first).state is not State.PAUSED:
        time.sleep(0.01)
    kept = trial.store.progress.checkpoint(first).epoch
    until_it_trains(trial, second)

    trial.kill_app()
    began = time.monotonic()
    while trial.store.runs.get(second).state is State.RUNNING:  # its ended worker is noticed after a moment
        assert time.monotonic() - began < STALE_SECONDS  # found by its dead app, and not only by its old heartbeat
        time.sleep(0.05)
    assert trial.store.runs.get(second).state is State.INTERRUPTED
    assert trial.store.progress.checkpoint(first).epoch == kept
    trial.look_on(PATIENCE)
    assert [same for _, same in trial.judge()] == [True, True]
    assert trial.troubles == []
