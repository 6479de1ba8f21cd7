"""Real training, in a worker's process or in ours, into stores that go away while it lasts, and come back.

`test_attempt.py` tests the same with a stand-in; here the weights must be those of an undisturbed run.
"""

import threading
import time
from contextlib import closing, suppress
from functools import partial

import pytest

from echo_core.engine import Engine
from echo_core.records import State
from echo_core.settings import Limits, Settings
from echo_core.store import OUTAGES, Store, database
from echo_core.store.upkeep import STALE_SECONDS
from echo_core.workers import attempt, dispatcher
from tests.helpers import faults, waiting
from tests.helpers.samples import TINY, config

LONG = TINY.model_copy(update={"epochs": 40_000})  # one to two seconds on a quiet machine
LIMITS = Limits(max_epochs=10_000_000)


def until(condition):
    """Wait for a condition, however often the store cannot be asked meanwhile."""
    def holds():
        with suppress(*OUTAGES):
            return condition()
        return False

    waiting.until(holds)


@pytest.fixture(scope="module")
def undisturbed():
    """The fingerprint of each config, trained at one go and without a store."""
    known = {}

    def fingerprint(config):
        if config not in known:
            *_, known[config] = (record.checkpoint.fingerprint for record in attempt.records_of(config))
        return known[config]

    return fingerprint


def train_disturbed(store, disturb, caplog):
    """Train `LONG` into a store in this process while something befalls it; the run when it is over."""
    ticket = store.queue.take(LONG, "a worker")
    errors = []

    def train():
        try:
            for _ in attempt.drain(store, ticket, threads=2):
                pass
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    until(lambda: store.runs.get(ticket.run_id).epoch > 100)
    with disturb(store):
        until(lambda: "training waits for the store" in caplog.text)
        time.sleep(0.3)  # it tries again meanwhile, in vain
    thread.join(waiting.PATIENCE)
    assert errors == []
    return store.runs.get(ticket.run_id)


@pytest.fixture
def train_here(caplog):
    return partial(train_disturbed, caplog=caplog)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [faults.locked, faults.full, faults.read_only])
def test_weights_are_the_same_though_the_file_could_not_be_written_meanwhile(tmp_path, monkeypatch, fault, train_here,
                                                                             undisturbed):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        run = train_here(store, fault)
        assert (run.state, run.attempt, run.fingerprint) == (State.FINISHED, 1, undisturbed(LONG))


@pytest.mark.slow
def test_weights_are_the_same_though_the_disk_was_full_meanwhile(tmp_path, train_here, undisturbed):
    with faults.small_disk(tmp_path) as folder, closing(Store(f"sqlite:///{folder / 'runs.db'}")) as store:
        run = train_here(store, lambda _: faults.filled(folder))
        assert (run.state, run.attempt, run.fingerprint) == (State.FINISHED, 1, undisturbed(LONG))


@pytest.mark.slow
def test_weights_are_the_same_though_the_server_crashed_meanwhile(postgres_server, migrated, train_here, undisturbed):
    with postgres_server.database(migrated) as url, closing(Store(url)) as store:
        run = train_here(store, lambda _: faults.crashed(postgres_server))
        assert (run.state, run.attempt, run.fingerprint) == (State.FINISHED, 1, undisturbed(LONG))


@pytest.fixture(scope="module")
def lab(postgres_server, migrated, tmp_path_factory):
    """An engine with one worker that keeps its runs in PostgreSQL."""
    with pytest.MonkeyPatch.context() as patch, postgres_server.database(migrated) as url:
        patch.setattr(dispatcher.worker, "WARM_UP_STEPS", ("import",))
        settings = Settings(DATABASE_URL=url, workers=1, standby=False, xla_cache=tmp_path_factory.mktemp("xla"))
        with Engine(settings, LIMITS) as engine:
            yield engine


@pytest.mark.slow
def test_run_is_trained_stopped_and_gone_on_with_on_postgres_as_on_sqlite(lab, undisturbed):
    run_id = lab.submit(LONG)
    until(lambda: lab.store.runs.get(run_id).epoch > 100)
    assert lab.stop(run_id)
    assert lab.wait(run_id, waiting.PATIENCE) is State.PAUSED
    assert 100 < lab.store.progress.checkpoint(run_id).epoch == lab.store.runs.get(run_id).epoch < LONG.epochs
    lab.submit(LONG)
    assert lab.wait(run_id, waiting.PATIENCE) is State.FINISHED
    run = lab.store.runs.get(run_id)
    assert (run.attempt, run.epoch, run.fingerprint) == (2, LONG.epochs, undisturbed(LONG))
    assert lab.store.progress.history(run_id)[-1].epoch == LONG.epochs
    assert len(lab.store.progress.snapshots(run_id)) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [pytest.param(1.0, id="soon"),
                                     pytest.param(STALE_SECONDS + 5.0, id="after its heartbeat is stale")])
def test_run_outlives_a_crash_of_the_server_and_so_does_the_queue(lab, postgres_server, undisturbed, seconds):
    long = LONG.model_copy(update={"seed": int(seconds)})
    run_id, next_id = lab.submit(long), lab.submit(config(int(seconds)))
    until(lambda: lab.store.runs.get(run_id).epoch > 100)
    with faults.crashed(postgres_server):
        time.sleep(seconds)
    until(lambda: not lab.store.runs.get(next_id).state.is_active)
    run, following = lab.store.runs.get(run_id), lab.store.runs.get(next_id)
    assert (run.state, run.attempt, run.restarts, run.reason) == (State.FINISHED, 1, 0, None)
    assert run.fingerprint == undisturbed(long)
    assert (following.state, following.attempt) == (State.FINISHED, 1)
