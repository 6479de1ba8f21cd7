"""The engine with real worker processes, real training and a real SIGKILL."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError

from echo_core.config import RunConfig
from echo_core.engine import Busy, Engine
from echo_core.records import State
from echo_core.settings import LimitExceeded, Limits, QueueFull, Settings
from echo_core.store import Store
from echo_core.store.schema import CHECKPOINTS, RUNS
from echo_core.workers import cluster, dispatcher, roster
from echo_core.workers.roster import Entry
from tests.helpers.samples import TINY, config
from tests.helpers.waiting import PATIENCE, until

LONG = TINY.model_copy(update={"epochs": 40_000})  # one to two seconds on a quiet machine
ENDLESS = TINY.model_copy(update={"epochs": 10_000_000})
LIMITS = Limits(max_epochs=10_000_000)


@pytest.fixture(scope="module")
def xla_cache(tmp_path_factory):
    """The programs of these tests compile once."""
    return tmp_path_factory.mktemp("xla")


@pytest.fixture(scope="module")
def lab(tmp_path_factory, xla_cache):
    """An engine with one worker, which all tests here share."""
    url = f"sqlite:///{tmp_path_factory.mktemp('lab') / 'runs.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatcher.worker, "WARM_UP_STEPS", ("import",))  # the presets take long to compile
        with Engine(Settings(DATABASE_URL=url, workers=1, standby=False, xla_cache=xla_cache), LIMITS) as engine:
            yield engine


def raiser(error):
    """A function that raises it, whatever it is called with."""
    def call(*_):
        raise error

    return call


def until_it_trains(engine, run_id):
    """Wait until a worker has taken a run some way further than it was."""
    before = engine.store.runs.get(run_id).epoch

    def trains():
        run = engine.store.runs.get(run_id)
        return run.state is State.RUNNING and run.epoch > before + 100

    until(trains)


def worker_processes():
    """The worker processes of engines in this process."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it ended meanwhile
            if any("spawn_main" in word for word in child.cmdline()):
                found.append(child)
    return found


def freeze(engine, process):
    """Suspend a worker between two writes: one that sleeps with SQLite's write lock stops everybody."""
    while True:
        process.suspend()
        until(lambda: process.status() == psutil.STATUS_STOPPED)  # a busy machine takes its time
        time.sleep(0.05)  # for its other threads, which stop with it
        with closing(sqlite3.connect(engine.store.database.url.database, timeout=0.5)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                process.resume()


def forget(engine, run_id):
    """Remove a run, so that the same config trains again from nothing; what it came to."""
    # Its next first attempt will have the key of this one, whose result Dask must not hold any more.
    until(lambda: all(each.ticket is None for each in engine.dispatcher.roster))
    run = engine.store.runs.get(run_id)
    with engine.store.database.write() as connection:
        connection.execute(delete(RUNS).where(RUNS.c.run_id == run_id))
    return run


def train(engine, config):
    run_id = engine.submit(config)
    assert engine.wait(run_id, PATIENCE) is State.FINISHED, engine.store.runs.get(run_id)
    return run_id


@pytest.fixture(scope="module")
def undisturbed(lab):
    """The fingerprint of `LONG`, trained at one go."""
    return forget(lab, train(lab, LONG)).fingerprint


def test_submitted_run_finishes_and_a_second_submit_is_answered_at_once(lab):
    run_id = train(lab, config(1))
    run = lab.store.runs.get(run_id)
    assert (run.epoch, run.evaluation.windows >= 2000, run.threads) == (60, True, lab.settings.threads)
    assert lab.store.progress.history(run_id)[-1].epoch == 60
    assert len(lab.store.progress.snapshots(run_id)) >= 40
    assert lab.submit(config(1)) == run_id
    assert lab.wait(run_id, timeout=0) is State.FINISHED
    assert lab.store.runs.get(run_id).attempt == 1


def test_app_process_has_no_tensorflow_after_a_run_and_nothing_of_it_is_left(tmp_path, xla_cache):
    script = textwrap.dedent("""
        import sys, threading, time

        from echo_core.engine import Engine
        from tests.helpers.samples import config
        from tests.helpers.waiting import PATIENCE
        assert "distributed" not in sys.modules and "alembic" not in sys.modules

        if __name__ == "__main__":
            engine = Engine()
            assert engine.status() == "starting", "the store was made, and nobody waited for workers"
            assert engine.wait(engine.submit(config(1)), PATIENCE) == "finished"
            while engine.status() == "warming":
                time.sleep(0.01)
            assert engine.status() == "ready", engine.status()
            engine.close()
            engine.close()
            assert "tensorflow" not in sys.modules and "keras" not in sys.modules
            left = [thread.name for thread in threading.enumerate() if "echo" in thread.name]
            assert not left, left
    """)
    (tmp_path / "app.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "ECHO_WORKERS": "1",
                   "DATABASE_URL": f"sqlite:///{tmp_path / 'runs.db'}", "ECHO_XLA_CACHE": str(xla_cache)}
    app = subprocess.run([sys.executable, "-W", "error", "app.py"], cwd=tmp_path, env=environment, capture_output=True,
                         text=True, timeout=PATIENCE, check=False)
    assert (app.returncode, app.stdout) == (0, ""), app.stderr
    assert "Traceback" not in app.stderr
    assert "distributed" not in app.stderr


def test_a_worker_makes_the_keras_file_and_says_what_it_lacks(lab, monkeypatch):
    run_id = lab.submit(TINY)
    assert lab.wait(run_id, PATIENCE) is State.FINISHED
    assert lab.keras_file(run_id)[:2] == b"PK"
    with pytest.raises(LookupError, match="run 0123456789abcdef has no weights"):
        lab.keras_file("0123456789abcdef")
    monkeypatch.setattr(lab.dispatcher.errands, "take", lambda: None)  # as if every worker trained
    with pytest.raises(Busy, match="all workers are training"):
        lab.keras_file(run_id, timeout=0.3)


def test_a_worker_trains_a_run_again_up_to_a_moment_of_it(lab):
    run_id, stopped_id = lab.submit(TINY), lab.submit(TINY.extended(7))
    assert {lab.wait(each, PATIENCE) for each in (run_id, stopped_id)} == {State.FINISHED}
    assert lab.moment(run_id, 7).fingerprint == lab.store.runs.get(stopped_id).fingerprint
    assert lab.moment(run_id, TINY.epochs).fingerprint == lab.store.runs.get(run_id).fingerprint
    assert lab.moment(run_id, 0).epoch == 0
    with pytest.raises(ValueError, match="epoch must be from 0, the untrained network, to 60"):
        lab.moment(run_id, 61)
    with pytest.raises(LookupError, match=r"run 0123456789abcdef is not in the store\."):
        lab.moment("0123456789abcdef", 1)


@pytest.mark.slow
def test_a_worker_makes_the_keras_file_beside_its_run_which_trains_the_same(lab, undisturbed):
    done_id, endless_id = train(lab, config(12)), lab.submit(ENDLESS)
    until_it_trains(lab, endless_id)
    assert lab.keras_file(done_id)[:2] == b"PK"
    assert lab.store.runs.get(endless_id).state is State.RUNNING
    lab.stop(endless_id)
    run_id = lab.submit(LONG)
    while lab.store.runs.get(run_id).state.is_active:
        lab.keras_file(done_id)
    run = forget(lab, run_id)
    assert (run.state, run.attempt, run.fingerprint) == (State.FINISHED, 1, undisturbed)


def test_what_the_host_does_not_allow_is_refused_before_it_is_queued(lab, monkeypatch):
    with pytest.raises(LimitExceeded, match="units must be at most 1024"):
        lab.submit(RunConfig(units=2000))
    monkeypatch.setattr(Engine, "limits", LIMITS.model_copy(update={"max_queue": 1}))
    monkeypatch.setattr(lab.dispatcher, "wake", lambda: None)
    first = lab.submit(ENDLESS.model_copy(update={"seed": 1}))
    until(lambda: lab.store.runs.get(first).state is State.RUNNING)
    queued = lab.submit(ENDLESS.model_copy(update={"seed": 2}))
    with pytest.raises(QueueFull):
        lab.submit(ENDLESS.model_copy(update={"seed": 3}))
    assert lab.stop(queued)
    assert lab.wait(queued) is State.PAUSED
    lab.stop(first)
    assert lab.wait(first, PATIENCE) is State.PAUSED


def test_wait_gives_up_after_its_time_and_knows_only_what_is_there(lab):
    run_id = lab.submit(ENDLESS)
    assert lab.wait(run_id, timeout=0.1).is_active
    lab.stop(run_id)
    assert lab.wait(run_id, PATIENCE) is State.PAUSED
    with pytest.raises(KeyError, match=r"runs\.db; received 'nonsense'"):
        lab.wait("nonsense")


def test_stopped_run_goes_on_and_the_resumed_run_equals_the_uninterrupted(lab, undisturbed):
    run_id = lab.submit(LONG)
    for _ in range(2):
        epoch = lab.store.runs.get(run_id).epoch
        until_it_trains(lab, run_id)
        assert lab.stop(run_id)
        assert lab.wait(run_id, PATIENCE) is State.PAUSED
        paused = lab.store.runs.get(run_id)
        assert paused.epoch == lab.store.progress.checkpoint(run_id).epoch > epoch
        until(lambda: lab.store.runs.get(run_id).evaluation is not None)
        lab.submit(LONG)
    assert lab.wait(run_id, PATIENCE) is State.FINISHED
    run = forget(lab, run_id)
    assert (run.fingerprint, run.attempt, run.epoch) == (undisturbed, 3, LONG.epochs)


def test_three_hundred_epochs_and_two_hundred_more_are_five_hundred_at_once(lab):
    longer = lab.extend(train(lab, TINY.model_copy(update={"epochs": 300, "seed": 7})), 500)
    assert lab.wait(longer, PATIENCE) is State.FINISHED
    assert next(row.epoch for row in lab.store.progress.history(longer)) == 0  # with the curve of what it goes on from
    extended = forget(lab, longer)
    forget(lab, TINY.model_copy(update={"epochs": 300, "seed": 7}).run_id)
    at_once = lab.store.runs.get(train(lab, extended.config))
    assert (extended.fingerprint, extended.epoch, at_once.attempt) == (at_once.fingerprint, 500, 1)


def test_killed_worker_costs_nothing_but_time(lab, undisturbed):
    run_id = lab.submit(LONG)
    until_it_trains(lab, run_id)
    doomed, = worker_processes()
    os.kill(doomed.pid, signal.SIGKILL)
    until(lambda: lab.store.runs.get(run_id).restarts == 1)
    assert lab.wait(run_id, PATIENCE) is State.FINISHED
    run = forget(lab, run_id)
    assert (run.fingerprint, run.restarts, run.attempt, run.reason) == (undisturbed, 1, 2, None)
    successor, = worker_processes()
    assert successor.pid != doomed.pid


def test_worker_that_is_too_busy_to_beat_is_vouched_for_as_long_as_it_was_heard_of(lab, monkeypatch):
    run_id = lab.submit(ENDLESS)
    until_it_trains(lab, run_id)
    frozen, = worker_processes()
    monkeypatch.setattr(dispatcher, "VOUCH_SECONDS", 0.0)
    freeze(lab, frozen)
    try:
        time.sleep(0.3)
        before = lab.store.runs.get(run_id).heartbeat_at
        until(lambda: lab.store.runs.get(run_id).heartbeat_at > before)
        monkeypatch.setattr(dispatcher, "HEARD_SECONDS", 0.0)
        time.sleep(0.5)
        before = lab.store.runs.get(run_id).heartbeat_at
        time.sleep(0.6)
        assert lab.store.runs.get(run_id).heartbeat_at == before
    finally:
        frozen.resume()
        lab.stop(run_id)
    assert lab.wait(run_id, PATIENCE) is State.PAUSED
    assert lab.store.runs.get(run_id).restarts == 0


@pytest.mark.slow
def test_worker_that_takes_too_much_memory_is_replaced_between_runs_and_trains_the_same(lab, undisturbed, monkeypatch):
    before, = worker_processes()
    train(lab, config(2))
    monkeypatch.setattr(lab.dispatcher.roster, "settings", lab.settings.model_copy(update={"worker_mb": 1}))
    run_id = lab.submit(LONG)
    until(lambda: not before.is_running())
    monkeypatch.undo()
    assert lab.wait(run_id, PATIENCE) is State.FINISHED
    run = forget(lab, run_id)
    assert (run.fingerprint, run.restarts, run.attempt) == (undisturbed, 0, 1)


@pytest.mark.slow
def test_idle_worker_that_has_grown_is_replaced_after_a_rest(lab, monkeypatch):
    train(lab, config(3))
    before, = worker_processes()
    monkeypatch.setattr(roster, "REST_SECONDS", 0.0)
    monkeypatch.setattr(roster, "FAR_TOO_MUCH", 1e9)
    monkeypatch.setattr(lab.dispatcher.roster, "settings", lab.settings.model_copy(update={"worker_mb": 1}))
    until(lambda: not before.is_running())
    monkeypatch.undo()
    until(lambda: lab.status() == "ready")
    assert worker_processes()[0].pid != before.pid


@pytest.mark.slow
def test_worker_that_the_cluster_has_given_up_comes_back(lab):
    before, = worker_processes()
    dask_cluster = lab.dispatcher.cluster.local
    for nanny in list(dask_cluster.workers.values()):
        dask_cluster.sync(nanny.close)
    assert not before.is_running()
    train(lab, config(4))
    assert len(worker_processes()) == 1


def test_run_that_no_connected_holder_watches_pauses_at_a_checkpoint(lab, monkeypatch):
    train(lab, config(10))  # its worker has its programs then, and comes to a checkpoint in time
    monkeypatch.setattr(lab.dispatcher, "settings", lab.settings.model_copy(update={"unwatched_seconds": 1.0}))
    run_id = lab.submit(ENDLESS, holder="a browser that went away")
    assert lab.wait(run_id, PATIENCE) is State.PAUSED
    run = lab.store.runs.get(run_id)
    assert run.reason == "Nobody who pressed Train for it has been here for 1 second."
    assert lab.store.progress.checkpoint(run_id).epoch == run.epoch


def test_connected_holder_is_renewed_until_its_last_tab_is_gone(lab, monkeypatch):
    monkeypatch.setattr("echo_core.engine.RENEW_SECONDS", 0.0)
    renewed = []
    monkeypatch.setattr(lab.store.queue, "renew", renewed.append)
    lab.connect("tab")
    lab.connect("tab")
    lab.disconnect("tab")
    until(lambda: renewed and "tab" in renewed[-1])
    lab.disconnect("tab")
    until(lambda: "tab" not in renewed[-1])
    lab.disconnect("tab")
    assert lab.num_connected == 0


def test_nothing_is_swept_up_for_a_moment_after_the_store_was_away(lab, monkeypatch, caplog):
    monkeypatch.setattr("echo_core.engine.SWEEP_SECONDS", 0.05)
    monkeypatch.setattr("echo_core.engine.SPARED_SECONDS", 2.0)
    ticket = lab.store.queue.take(config(5), "a worker elsewhere")
    with monkeypatch.context() as patch:
        patch.setattr(lab.store.upkeep, "sweep", raiser(ConnectionError("no answer")))
        patch.setattr(lab.store.queue, "renew", raiser(ConnectionError("no answer")))
        until(lambda: "the store did not answer the keeper" in caplog.text)
        with lab.store.database.write() as connection:
            connection.execute(update(RUNS).where(RUNS.c.run_id == ticket.run_id).values(heartbeat_at=0.0))
        time.sleep(0.3)
        assert lab.trouble is not None
    assert caplog.text.count("did not answer the keeper") == 1
    time.sleep(0.3)
    assert lab.store.runs.get(ticket.run_id).state is State.RUNNING
    until(lambda: lab.store.runs.get(ticket.run_id).state is State.INTERRUPTED)
    assert lab.trouble is None


def test_run_whose_worker_gave_up_on_the_store_goes_on_from_its_checkpoint(lab, monkeypatch):
    monkeypatch.setattr(lab.dispatcher, "employ", lambda *_: None)
    ticket = lab.store.queue.take(config(6), "a worker")
    away = pickle.loads(pickle.dumps(OperationalError("INSERT", {}, ConnectionError("no answer"))))
    future = SimpleNamespace(status="error", exception=lambda: away, release=lambda: None)
    lab.dispatcher.settle(Entry("tcp://nowhere", "a process", future, ticket, is_greeted=True))
    run = lab.store.runs.get(ticket.run_id)
    assert (run.state, run.reason, run.restarts) == (State.QUEUED, None, 1)
    lab.stop(run.run_id)


def test_failed_run_keeps_its_reason_and_starts_again_from_nothing(lab, undisturbed):
    store, run_id = lab.store, LONG.run_id
    ticket = store.queue.take(LONG, "somebody")
    with store.database.write() as connection:
        connection.execute(CHECKPOINTS.insert().values(run_id=run_id, epoch=5, data=b"damaged"))
    store.attempts.pause(ticket, None)
    lab.submit(LONG)
    assert lab.wait(run_id, PATIENCE) is State.FAILED
    failed = store.runs.get(run_id)
    assert failed.reason.startswith(("BadZipFile", "ValueError", "OSError", "EOFError"))
    assert "\n" not in failed.reason
    lab.submit(LONG)
    assert lab.wait(run_id, PATIENCE) is State.FINISHED
    run = forget(lab, run_id)
    assert (run.fingerprint, run.reason) == (undisturbed, None)


def test_twelve_runs_of_three_sessions_are_fair_and_none_is_lost_and_places_are_true(lab):
    blocker = lab.submit(ENDLESS.model_copy(update={"seed": 99}), session="Z")
    until(lambda: lab.store.runs.get(blocker).state is State.RUNNING)
    names = {}
    for session in "ABC":
        for number in range(1, 5):
            run_id = lab.submit(TINY.model_copy(update={"seed": 1000 + len(names), "epochs": 20}), session=session)
            names[run_id] = f"{session}{number}"
    places = {run_id: lab.store.queue.place(run_id) for run_id in names}
    lab.stop(blocker)
    assert {lab.wait(run_id, PATIENCE) for run_id in names} == {State.FINISHED}
    runs = sorted((lab.store.runs.get(run_id) for run_id in names), key=lambda run: run.started_at)
    assert " ".join(names[run.run_id] for run in runs) == "A1 B1 C1 A2 B2 C2 A3 B3 C3 A4 B4 C4"
    assert [places[run.run_id] for run in runs] == list(range(12))
    assert {run.attempt for run in runs} == {1}


@pytest.mark.slow
def test_two_workers_train_side_by_side_and_give_what_each_gives_alone(tmp_path, xla_cache, undisturbed, monkeypatch):
    monkeypatch.setattr(dispatcher.worker, "WARM_UP_STEPS", ("import",))
    settings = Settings(DATABASE_URL=f"sqlite:///{tmp_path / 'runs.db'}", workers=2, xla_cache=xla_cache)
    with Engine(settings) as engine:
        ids = [engine.submit(LONG.model_copy(update={"seed": seed})) for seed in (0, 1)]
        until(lambda: all(engine.store.runs.get(run_id).state is State.RUNNING for run_id in ids))
        assert {engine.wait(run_id, PATIENCE) for run_id in ids} == {State.FINISHED}
        assert engine.store.runs.get(ids[0]).fingerprint == undisturbed
        assert len({engine.store.runs.get(run_id).worker for run_id in ids}) == 2


@pytest.mark.slow
def test_a_warm_worker_stands_by_when_another_has_to_be_replaced(tmp_path, xla_cache, undisturbed, monkeypatch):
    monkeypatch.setattr(dispatcher.worker, "WARM_UP_STEPS", ("import",))
    others = {process.pid for process in worker_processes()}
    settings = Settings(DATABASE_URL=f"sqlite:///{tmp_path / 'runs.db'}", workers=1, xla_cache=xla_cache)
    with Engine(settings) as engine:
        first = engine.store.runs.get(train(engine, config(1)))
        old, = (process for process in worker_processes() if process.pid not in others)
        monkeypatch.setattr(roster, "FAR_TOO_MUCH", 1e3)
        monkeypatch.setattr(roster, "REST_SECONDS", 1e3)
        monkeypatch.setattr(cluster, "OTHERS_MB", -1e9)  # as much memory as it may take
        monkeypatch.setattr(engine.dispatcher.roster, "settings", settings.model_copy(update={"worker_mb": 1}))
        mine = old.environ()
        until(lambda: not old.is_running())
        later = [process.environ() for process in worker_processes() if process.pid not in others]
        assert later
        assert all(each == mine for each in later)  # Dask's own would make it compile a third slower
        ids = [engine.submit(LONG.model_copy(update={"seed": seed})) for seed in (0, 1)]
        running = set()

        def over():
            states = [engine.store.runs.get(run_id).state for run_id in ids]
            running.add(states.count(State.RUNNING))
            return set(states) == {State.FINISHED}

        until(over)
        assert max(running) == 1
        second = engine.store.runs.get(ids[0])
        assert (second.fingerprint, second.restarts) == (undisturbed, 0)
        assert second.worker != first.worker


def test_closing_pauses_runs_at_a_checkpoint_and_leaves_no_process(tmp_path, xla_cache):
    before = {process.pid for process in worker_processes()}
    settings = Settings(DATABASE_URL=f"sqlite:///{tmp_path / 'runs.db'}", workers=1, xla_cache=xla_cache)
    engine = Engine(settings, LIMITS)
    run_id = engine.submit(ENDLESS)
    until_it_trains(engine, run_id)
    engine.close()
    store = Store(settings.database_url)
    run = store.runs.get(run_id)
    assert run.state is State.PAUSED
    assert store.progress.checkpoint(run_id).epoch == run.epoch > 100
    assert {process.pid for process in worker_processes()} == before
    store.close()


@pytest.fixture(scope="module")
def remote():
    """A cluster as somebody else would run it."""
    from distributed import LocalCluster
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, memory_limit=0, dashboard_address=None,
                      scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}) as cluster:
        yield cluster.scheduler_address


@pytest.mark.slow
def test_remote_cluster_that_shares_the_store_trains_and_goes_on_when_the_app_closes(remote, tmp_path, undisturbed):
    settings = Settings(DATABASE_URL=f"sqlite:///{tmp_path / 'runs.db'}", DASK_SCHEDULER_ADDRESS=remote)
    with Engine(settings) as engine:
        run_id = engine.submit(LONG)
        until_it_trains(engine, run_id)
    store = Store(settings.database_url)
    assert store.runs.get(run_id).state is State.RUNNING
    until(lambda: store.runs.get(run_id).state is State.FINISHED)
    assert store.runs.get(run_id).fingerprint == undisturbed
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize(("disguise", "said"), [
    (lambda patch: patch.setattr(dispatcher, "TRAINING_VERSION", 99), "this app by version 99"),
    (lambda patch: patch.setattr(Store, "leave_handshake", lambda self: "other"), "see another store than the app"),
], ids=["version", "store"])
def test_remote_cluster_of_another_version_or_store_is_refused(remote, tmp_path, monkeypatch, disguise, said):
    disguise(monkeypatch)
    settings = Settings(DATABASE_URL=f"sqlite:///{tmp_path / 'runs.db'}", DASK_SCHEDULER_ADDRESS=remote)
    with Engine(settings) as engine:
        run_id = engine.submit(config(1))
        until(lambda: "is refused" in engine.status())
        assert said in engine.status()
        assert remote in engine.status()
        assert engine.store.runs.get(run_id).state is State.QUEUED


def test_engine_that_is_closed_at_once_leaves_no_thread(tmp_path):
    before = set(threading.enumerate())
    Engine(Settings(DATABASE_URL=f"sqlite:///{tmp_path / 'runs.db'}", workers=1)).close()
    assert [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("echo")] == []
