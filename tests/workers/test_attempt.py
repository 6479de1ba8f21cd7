"""An attempt writes what training yields to the store, keeps its heartbeat, and stops when it should.

Training is a stand-in here that yields records by hand, so nothing compiles. Tests of real training in real worker
processes are in test_engine.py.
"""

import sys
import threading
import time
from contextlib import closing
from itertools import count, pairwise
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from echo_core.config import RunConfig
from echo_core.records import State
from echo_core.store import Store, database
from echo_core.workers import attempt
from tests.helpers import faults
from tests.helpers.samples import EVALUATION, TINY, checkpoint, config, progress
from tests.helpers.waiting import PATIENCE, until

LONG = TINY.model_copy(update={"epochs": 10_000})


class Trainer:
    """Stands in for `echo_core.training`: an epoch each `pace` seconds, and what a test does to it."""

    def __init__(self):
        self.pace = 0.01
        self.fails_at = None
        self.compiles_for = 0.0
        self.began_at = []
        self.ended = threading.Event()

    def train(self, config, start=None, until=None):
        began = time.perf_counter()
        first = start.epoch if start else 0
        self.began_at.append(first)
        try:
            for epoch in count(first):
                yield progress(epoch, time.perf_counter() - began, with_snapshot=True)
                if epoch == first:
                    time.sleep(self.compiles_for)
                if epoch == self.fails_at:
                    raise ValueError("the loss\nis no number")
                if epoch >= config.epochs:
                    return
                time.sleep(self.pace)
        finally:
            self.ended.set()


@pytest.fixture
def trainer(monkeypatch):
    stand_in = Trainer()
    monkeypatch.setattr(attempt, "LONGEST_PAUSE_SECONDS", 0.2)  # so that no test waits long for the store
    monkeypatch.setitem(sys.modules, "echo_core.training", SimpleNamespace(train=stand_in.train, PROGRAM_ERRORS=()))
    monkeypatch.setitem(sys.modules, "echo_core.evaluation", SimpleNamespace(evaluate=lambda *_: EVALUATION))
    return stand_in


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'runs.db'}")
    yield opened
    opened.close()


class Lost(Exception):
    """The way to the database broke."""


class Drained:
    """An attempt drained in a thread of its own, as a worker would."""

    def __init__(self, store, config, **options):
        self.run_id = config.run_id
        self.store, self.error = store, None
        self.ticket = store.queue.take(config, "a worker", holder="my browser")
        self._options = {"threads": 2, **options}
        self._thread = threading.Thread(target=self._drain)
        self._thread.start()

    def _drain(self):
        try:
            for _ in attempt.drain(self.store, self.ticket, **self._options):
                pass
        except Exception as error:
            self.error = error

    @property
    def state(self):
        return self.store.runs.get(self.run_id).state

    def until(self, condition, seconds=PATIENCE):
        """Wait for a condition on the run's row; how long it took."""
        return until(lambda: condition(self.store.runs.get(self.run_id)), seconds)

    def join(self):
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.store.runs.get(self.run_id)


# --- the usual way -----------------------------------------------------------------------------

def test_records_are_in_the_store_when_they_are_yielded_and_the_run_finishes(store, trainer):
    ticket = store.queue.take(config(1), "w")
    epochs = []
    for record in attempt.drain(store, ticket, threads=3):
        assert store.progress.history(ticket.run_id)[-1].epoch == record.epoch
        epochs.append(record.epoch)
    run = store.runs.get(ticket.run_id)
    assert epochs == list(range(61))
    assert (run.state, run.epoch, run.evaluation, run.threads) == (State.FINISHED, 60, EVALUATION, 3)
    assert run.fingerprint == checkpoint(60).fingerprint
    assert len(store.progress.snapshots(ticket.run_id)) == 61


def test_resumed_run_goes_on_from_its_checkpoint_and_counts_all_seconds(store, trainer):
    first = store.queue.take(config(1), "w")
    for epoch in (0, 1, 2):
        store.attempts.append(first, progress(epoch, seconds=100.0 + epoch))
    store.attempts.pause(first, checkpoint(2))
    again = store.queue.take(config(1), "w")
    epochs = [record.epoch for record in attempt.drain(store, again, threads=2)]
    assert trainer.began_at == [2]
    assert epochs == list(range(3, 61))
    history = store.progress.history(first.run_id)
    assert [row.epoch for row in history] == list(range(61))
    assert all(row.seconds > 102 for row in history[3:])
    assert store.runs.get(first.run_id).seconds > 102


def test_run_whose_checkpoint_is_its_end_is_judged_and_finished(store, trainer):
    first = store.queue.take(config(1), "w")
    store.attempts.pause(first, checkpoint(60))
    assert list(attempt.drain(store, store.queue.take(config(1), "w"), threads=2)) == []
    assert store.runs.get(first.run_id).state is State.FINISHED


# --- stopping ----------------------------------------------------------------------------------

def test_stop_pauses_at_the_newest_record_and_judges_what_was_reached(store, trainer):
    run = Drained(store, LONG)
    run.until(lambda row: row.epoch >= 5)
    store.queue.stop(run.run_id)
    run.until(lambda row: row.state is State.PAUSED)
    row = run.join()
    assert (row.reason, row.evaluation) == (None, EVALUATION)
    assert store.progress.checkpoint(run.run_id).epoch == row.epoch == store.progress.history(run.run_id)[-1].epoch


def test_stop_while_a_program_compiles_does_not_wait_for_it_and_the_trainer_quits_quietly(store, trainer, caplog):
    trainer.compiles_for = 4
    run = Drained(store, LONG)
    run.until(lambda row: bool(store.progress.history(row.run_id)))
    store.queue.stop(run.run_id)
    run.until(lambda row: row.state is State.PAUSED, seconds=3)
    assert not trainer.ended.is_set()
    again = store.queue.take(LONG, "another")
    run.join()
    assert (trainer.ended.is_set(), run.error, caplog.text) == (True, None, "")
    row = store.runs.get(run.run_id)
    assert (row.state, row.attempt, row.epoch) == (State.RUNNING, again.attempt, 0)
    assert store.progress.checkpoint(run.run_id).epoch == 0


def test_stop_that_is_taken_back_before_it_is_done_stops_nothing(store, trainer):
    trainer.pace = 0.3
    run = Drained(store, LONG)
    run.until(lambda row: row.epoch >= 1)
    store.queue.stop(run.run_id)
    store.queue.request(LONG)
    epoch = store.runs.get(run.run_id).epoch
    run.until(lambda row: row.epoch >= epoch + 3)
    assert run.state is State.RUNNING
    store.queue.stop(run.run_id)
    run.join()


def test_run_that_nobody_watches_pauses_and_says_so(store, trainer):
    run = Drained(store, LONG, unwatched_seconds=0.5)
    row = run.join()
    assert (row.state, row.reason) == (State.PAUSED, "Nobody who pressed Train for it has been here for 0.5 seconds.")
    assert store.progress.checkpoint(run.run_id).epoch == row.epoch


def test_holder_of_its_own_keeps_a_run_watched(store, trainer, monkeypatch):
    monkeypatch.setattr(attempt, "HOLD_EVERY_SECONDS", 0.1)
    run = Drained(store, LONG, unwatched_seconds=1.5, holder="my browser")
    time.sleep(2)
    assert run.state is State.RUNNING
    store.queue.stop(run.run_id)
    run.join()


def test_run_pauses_when_it_has_trained_as_long_as_the_host_allows(store, trainer):
    row = Drained(store, LONG, max_seconds=0.3).join()
    assert row.state is State.PAUSED
    assert row.reason == "This host trains a run for at most 0.3 seconds (ECHO_MAX_SECONDS)."


def test_caller_who_wants_no_more_pauses_the_run(store, trainer):
    ticket = store.queue.take(LONG, "w")
    with closing(attempt.drain(store, ticket, threads=2)) as records:
        for record in records:
            if record.epoch == 4:
                break
    run = store.runs.get(ticket.run_id)
    assert (run.state, store.progress.checkpoint(ticket.run_id).epoch) == (State.PAUSED, 4)


def test_superseded_trainer_quits_without_a_word(store, trainer, caplog):
    run = Drained(store, LONG)
    run.until(lambda row: row.epoch >= 2)
    store.queue.lose(run.ticket)
    run.join()
    assert (run.error, run.state, caplog.text) == (None, State.QUEUED, "")


# --- failing and saving ------------------------------------------------------------------------

def test_training_that_raises_fails_the_run_with_one_line_and_the_log_has_the_trace(store, trainer, caplog):
    trainer.fails_at = 3
    run = Drained(store, LONG)
    row = run.join()
    assert (row.state, row.reason, row.epoch) == (State.FAILED, "ValueError: the loss is no number", 3)
    assert isinstance(run.error, ValueError)
    assert "Traceback" in caplog.text


def test_a_run_that_was_queued_by_another_version_of_the_training_is_not_trained_to_other_weights(
        store, trainer, monkeypatch):
    ticket = store.queue.take(LONG, "a worker", holder="my browser")
    monkeypatch.setattr(RunConfig, "training_version", 99)
    with pytest.raises(ValueError, match="begun by another version of the training"):
        list(attempt.drain(store, ticket, threads=1))
    row = store.runs.get(ticket.run_id)
    assert (row.state, row.epoch, trainer.began_at) == (State.FAILED, 0, [])
    assert f"here its settings are run {LONG.run_id}" in row.reason


def test_reason_is_one_line_that_any_database_can_keep():
    assert attempt.reason_of(ValueError("a \0 and\n a lone \ud800")) == "ValueError: a ? and a lone ?"
    away = OperationalError("INSERT INTO progress", {"points": "[]" * 1000}, Lost("database is locked"))
    assert attempt.reason_of(away) == "OperationalError: database is locked"


def test_checkpoints_are_written_now_and_then_and_less_often_when_they_are_slow(store, trainer, monkeypatch):
    written = []
    save = store.attempts.save_checkpoint
    monkeypatch.setattr(attempt, "CHECKPOINT_SECONDS", 0.2)
    monkeypatch.setattr(store.attempts, "save_checkpoint",
                        lambda *args: (written.append(time.monotonic()), save(*args)))
    run = Drained(store, LONG)
    run.until(lambda _: len(written) >= 3)
    store.queue.stop(run.run_id)
    run.join()
    assert all(later - earlier >= 0.2 for earlier, later in pairwise(written[:3]))
    slow = []
    monkeypatch.setattr(store.attempts, "save_checkpoint",
                        lambda *args: (slow.append(time.monotonic()), time.sleep(0.1)))
    Drained(store, LONG.model_copy(update={"seed": 1}), max_seconds=1.5).join()
    assert len(slow) == 1


def test_heartbeat_goes_on_while_a_program_compiles(store, trainer):
    trainer.compiles_for = 2.0
    run = Drained(store, LONG)
    run.until(lambda row: bool(store.progress.history(row.run_id)))
    before = store.runs.get(run.run_id).heartbeat_at
    run.until(lambda row: row.heartbeat_at > before + 1.0, seconds=2.0)
    assert not trainer.ended.is_set()
    store.queue.stop(run.run_id)
    run.join()


# --- a store that goes away --------------------------------------------------------------------

@pytest.fixture
def impatient_store(tmp_path, monkeypatch):
    """One that waits for others only a moment."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    with closing(Store(f"sqlite:///{tmp_path / 'impatient.db'}")) as opened:
        yield opened


def said(caplog, words):
    return [record for record in caplog.records if words in record.getMessage()]


def ride_out(store, fault, caplog):
    """Train while a fault begins and ends; the run when it is over."""
    run = Drained(store, TINY.model_copy(update={"epochs": 200}))
    run.until(lambda row: row.epoch >= 5)
    with fault:
        until(lambda: said(caplog, "training waits for the store"))
        time.sleep(0.5)
    row = run.join()
    assert (run.error, row.state, row.attempt, row.epoch, row.reason) == (None, State.FINISHED, 1, 200, None)
    assert [row.epoch for row in store.progress.history(run.run_id)] == list(range(201))
    assert [snapshot.epoch for snapshot in store.progress.snapshots(run.run_id)] == list(range(201))
    assert row.fingerprint == checkpoint(200).fingerprint
    assert len(said(caplog, "pulse")) <= 1


@pytest.mark.parametrize("fault", [
    pytest.param(faults.locked, marks=pytest.mark.slow), pytest.param(faults.full, marks=pytest.mark.slow),
    faults.read_only])
def test_training_waits_for_a_file_that_cannot_be_written_and_loses_nothing(impatient_store, trainer, fault, caplog):
    ride_out(impatient_store, fault(impatient_store), caplog)


def test_training_waits_for_a_server_that_restarts_and_loses_nothing(postgres_server, migrated, trainer, caplog):
    with postgres_server.database(migrated) as url, closing(Store(url)) as store:
        ride_out(store, faults.crashed(postgres_server), caplog)


def test_run_whose_store_stays_away_is_given_up_and_found_by_its_old_heartbeat(impatient_store, trainer, monkeypatch):
    monkeypatch.setattr(attempt, "OUTAGE_SECONDS", 0.5)
    run = Drained(impatient_store, LONG)
    run.until(lambda row: row.epoch >= 5)
    with faults.locked(impatient_store):
        row = run.join()
    assert (type(run.error).__name__, row.state) == ("OperationalError", State.RUNNING)
    impatient_store.upkeep.sweep(300, stale_seconds=0)
    assert run.state is State.INTERRUPTED


def cut(function, times):
    """Do what `function` does, and lose the answer so many times."""
    left = iter(range(times))

    def call(*args, **options):
        answer = function(*args, **options)
        if next(left, None) is not None:
            raise OperationalError("COMMIT", {}, Lost("server closed the connection unexpectedly"))
        return answer

    return call


@pytest.mark.parametrize("write", ["start", "append", "save_checkpoint", "finish"])
def test_write_whose_answer_was_lost_is_made_once(store, trainer, write, monkeypatch):
    monkeypatch.setattr(attempt, "CHECKPOINT_SECONDS", 0.1)
    monkeypatch.setattr(store.attempts, write, cut(getattr(store.attempts, write), times=2))
    run = Drained(store, config(1))
    row = run.join()
    assert (run.error, row.state, row.fingerprint) == (None, State.FINISHED, checkpoint(60).fingerprint)
    assert [row.epoch for row in store.progress.history(run.run_id)] == list(range(61))


def test_pause_whose_answer_was_lost_is_a_pause(store, trainer, monkeypatch):
    monkeypatch.setattr(store.attempts, "pause", cut(store.attempts.pause, times=1))
    run = Drained(store, LONG, max_seconds=0.3)
    row = run.join()
    assert (run.error, row.state, "at most 0.3 seconds" in row.reason) == (None, State.PAUSED, True)


def test_attempt_that_was_superseded_while_the_store_was_away_ends_quietly(store, trainer, monkeypatch, caplog):
    append = store.attempts.append
    away = cut(append, times=1000)
    is_back = threading.Event()
    monkeypatch.setattr(store.attempts, "append", lambda *args: (append if is_back.is_set() else away)(*args))
    run = Drained(store, LONG)
    until(lambda: said(caplog, "training waits for the store"))
    store.queue.lose(run.ticket)
    is_back.set()
    run.join()
    assert (run.error, run.state) == (None, State.QUEUED)


def test_holders_are_given_a_moment_to_be_renewed_after_the_store_was_away(store, trainer, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(store.attempts, "beat", cut(store.attempts.beat, times=1000))
        run = Drained(store, LONG, unwatched_seconds=0.8)
        time.sleep(1.2)
    time.sleep(0.3)
    store.queue.renew(["my browser"])
    assert run.state is State.RUNNING
    store.queue.stop(run.run_id)
    run.join()
