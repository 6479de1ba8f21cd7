"""What a worker writes is what a page reads, and only the current attempt writes."""

import json
import math
import threading
from dataclasses import asdict, replace

import numpy as np
import pytest
from sqlalchemy import update

from echo_core.records import Milestone, Point, State
from echo_core.store import Glance, ProgressRow, Signal, Store, Superseded, Ticket
from echo_core.store.schema import RUNS
from echo_core.workers.attempt import reason_of
from tests.helpers.samples import EVALUATION, TINY, checkpoint, config, progress


@pytest.fixture
def ticket(store):
    """A run under way."""
    store.queue.request(TINY, "me", "my browser")
    return store.queue.claim("a worker")


def test_history_and_snapshots_come_back_as_they_were_written(store, ticket):
    for epoch in (0, 1, 4):
        store.attempts.append(ticket, progress(epoch, seconds=epoch / 2, with_snapshot=epoch != 1))
    assert repr(store.progress.history(ticket.run_id)) == repr([
        ProgressRow(epoch, 2.5, 0.25, epoch / 2, (Point(epoch, 2.5, 0.25),)) for epoch in (0, 1, 4)])
    snapshots = store.progress.snapshots(ticket.run_id)
    assert [snapshot.epoch for snapshot in snapshots] == [0, 4]
    np.testing.assert_array_equal(snapshots[1].predicted, np.full((6, 2), 4))
    np.testing.assert_array_equal(snapshots[1].confidence, np.full((6, 2), 0.5, np.float32))
    run = store.runs.get(ticket.run_id)
    assert (run.epoch, run.seconds) == (4, 2.0)


def test_record_that_is_written_twice_is_there_once(store, ticket):
    """A worker writes again where the answer to its write was lost."""
    for _ in range(2):
        store.attempts.append(ticket, progress(3, with_snapshot=True))
    assert [row.epoch for row in store.progress.history(ticket.run_id)] == [3]
    assert [snapshot.epoch for snapshot in store.progress.snapshots(ticket.run_id)] == [3]


def test_milestones_of_a_chunk_are_records_of_their_own_without_points(store, ticket):
    milestones = tuple(Milestone(epoch, 3 - epoch, epoch / 10, epoch / 2, progress(epoch, with_snapshot=True).snapshot)
                       for epoch in (1, 2))
    for _ in range(2):  # the second time as after an answer that was lost
        store.attempts.append(ticket, replace(progress(4, seconds=2.0), milestones=milestones))
    assert repr(store.progress.history(ticket.run_id)) == repr([
        ProgressRow(1, 2.0, 0.1, 0.5, ()), ProgressRow(2, 1.0, 0.2, 1.0, ()),
        ProgressRow(4, 2.5, 0.25, 2.0, (Point(4, 2.5, 0.25),))])
    assert [(each.epoch, each.predicted[0, 0]) for each in store.progress.snapshots(ticket.run_id)] == [(1, 1), (2, 2)]


def test_history_and_newest_snapshots_are_in_the_order_of_epochs(store, ticket):
    for epoch in range(5):
        store.attempts.append(ticket, progress(epoch, with_snapshot=True))
    assert [row.epoch for row in store.progress.history(ticket.run_id)] == [0, 1, 2, 3, 4]
    assert [snapshot.epoch for snapshot in store.progress.snapshots(ticket.run_id, newest=2)] == [3, 4]
    assert store.progress.history("unknown") == []
    assert store.progress.snapshots("unknown") == []


def test_glance_is_the_curve_the_newest_answers_and_the_pace_of_the_newest_records(store, ticket):
    for epoch in range(100):
        record = progress(epoch, seconds=epoch / 3, with_snapshot=epoch % 40 == 0)
        store.attempts.append(ticket, record if epoch % 10 == 0 else replace(record, points=()))
    glance, history = store.progress.glance(ticket.run_id), store.progress.history(ticket.run_id)
    assert repr(glance.points) == repr([point for row in history for point in row.points])
    assert [point.epoch for point in glance.points] == list(range(0, 100, 10))
    newest, = store.progress.snapshots(ticket.run_id, newest=1)
    assert repr(glance.snapshot) == repr(newest)
    assert glance.pace == [(row.epoch, pytest.approx(row.seconds)) for row in history[-60:]]


def test_glance_of_a_run_that_has_not_begun_is_empty(store, ticket):
    for run_id in (ticket.run_id, "unknown"):
        assert store.progress.glance(run_id) == Glance([], [], None)


def test_loss_that_is_no_number_is_kept(store, ticket):
    store.attempts.append(ticket, progress(1, loss=math.nan))
    row, = store.progress.history(ticket.run_id)
    assert math.isnan(row.loss)
    assert isinstance(row.points[0], Point)
    assert math.isnan(row.points[0].loss)


def test_checkpoint_comes_back_bit_for_bit_and_only_the_newest_is_kept(store, ticket):
    assert store.progress.checkpoint(ticket.run_id) is None
    for epoch in (1, 2):
        store.attempts.save_checkpoint(ticket, checkpoint(epoch))
    found = store.progress.checkpoint(ticket.run_id)
    assert (found.epoch, found.step, found.fingerprint) == (2, 4, checkpoint(2).fingerprint)
    assert len(found.moments) == 4


def test_finished_run_keeps_its_evaluation_fingerprint_and_weights_only(store, ticket):
    store.attempts.append(ticket, progress(60, seconds=1.5))
    store.attempts.finish(ticket, checkpoint(60), EVALUATION)
    run = store.runs.get(ticket.run_id)
    assert (run.state, run.epoch, run.seconds, run.evaluation) == (State.FINISHED, 60, 1.5, EVALUATION)
    assert run.fingerprint == checkpoint(60).fingerprint
    assert run.ended_at >= run.started_at
    assert store.progress.checkpoint(ticket.run_id).moments == ()


def test_begin_drops_what_came_after_the_checkpoint(store, ticket):
    for epoch in (0, 1, 2, 3):
        store.attempts.append(ticket, progress(epoch, seconds=float(epoch), with_snapshot=True))
        if epoch == 1:
            store.attempts.save_checkpoint(ticket, checkpoint(1))
    store.queue.lose(ticket)
    begun = store.attempts.start(store.queue.claim("w"), threads=2)
    assert (begun.config, begun.checkpoint.epoch, begun.seconds) == (TINY, 1, 1.0)
    assert [row.epoch for row in store.progress.history(ticket.run_id)] == [0, 1]
    assert [snapshot.epoch for snapshot in store.progress.snapshots(ticket.run_id)] == [0, 1]
    run = store.runs.get(ticket.run_id)
    assert (run.epoch, run.seconds, run.threads) == (1, 1.0, 2)


@pytest.mark.parametrize("write", [
    lambda store, old: store.attempts.start(old, 2),
    lambda store, old: store.attempts.append(old, progress(9)),
    lambda store, old: store.attempts.save_checkpoint(old, checkpoint(9)),
    lambda store, old: store.attempts.pause(old, checkpoint(9)),
    lambda store, old: store.attempts.pause(old, checkpoint(9), if_signalled=True),
    lambda store, old: store.attempts.finish(old, checkpoint(9), EVALUATION),
    lambda store, old: store.attempts.fail(old, "too late"),
], ids=["start", "append", "checkpoint", "pause", "pause if signalled", "finish", "fail"])
def test_superseded_attempt_cannot_write(store, ticket, write):
    store.attempts.append(ticket, progress(1))
    store.queue.lose(ticket)
    new = store.queue.claim("another worker")
    before = store.runs.get(ticket.run_id), repr(store.progress.history(ticket.run_id))
    with pytest.raises(Superseded):
        write(store, ticket)
    assert (store.runs.get(ticket.run_id), repr(store.progress.history(ticket.run_id))) == before
    assert store.progress.checkpoint(ticket.run_id) is None
    assert store.attempts.beat(ticket) is Signal.SUPERSEDED
    assert store.attempts.beat(new) is Signal.GO_ON


def test_attempt_that_was_paused_cannot_write(store, ticket):
    store.attempts.pause(ticket, checkpoint(1))
    with pytest.raises(Superseded):
        store.attempts.append(ticket, progress(2))
    assert store.attempts.beat(ticket) is Signal.SUPERSEDED


def test_run_that_pauses_before_its_newest_record_has_the_epoch_of_its_checkpoint(store, ticket):
    store.attempts.append(ticket, progress(1))
    store.attempts.append(ticket, progress(2))
    store.attempts.pause(ticket, checkpoint(1))  # the pulse paused it while the training thread wrote its record
    assert store.runs.get(ticket.run_id).epoch == store.progress.checkpoint(ticket.run_id).epoch == 1


def test_beat_says_stop_and_when_nobody_watches(store, ticket):
    assert store.attempts.beat(ticket, unwatched_seconds=60) is Signal.GO_ON
    assert store.attempts.beat(ticket, unwatched_seconds=-1) is Signal.UNWATCHED
    store.queue.stop(ticket.run_id)
    assert store.attempts.beat(ticket) is Signal.STOP


def test_a_run_that_never_began_has_a_heartbeat_of_no_age(store):
    assert store.attempts.heartbeat_age("unknown") == 0
    assert store.attempts.heartbeat_age(store.queue.request(config(7))) == 0


def test_beat_renews_the_heartbeat_only_when_asked_to(store, ticket):
    before = store.runs.get(ticket.run_id).heartbeat_at
    store.attempts.beat(ticket, write=False)
    assert store.runs.get(ticket.run_id).heartbeat_at == before
    store.attempts.beat(ticket)
    assert store.runs.get(ticket.run_id).heartbeat_at > before


def test_paused_run_can_be_judged_until_it_goes_on(store, ticket):
    store.attempts.pause(ticket, checkpoint(1))
    store.attempts.save_score(ticket, EVALUATION)
    assert store.runs.get(ticket.run_id).evaluation == EVALUATION
    store.queue.request(TINY)
    again = store.queue.claim("w")
    store.attempts.start(again, 2)
    store.attempts.save_score(ticket, EVALUATION)
    assert store.runs.get(ticket.run_id).evaluation is None


def test_runs_are_listed_newest_first_up_to_a_limit(store):
    ids = [store.queue.request(config(number)) for number in range(5)]
    assert [run.run_id for run in store.runs.newest()] == ids[::-1]
    assert [run.run_id for run in store.runs.newest(limit=2)] == ids[:2:-1]


def test_config_that_this_version_cannot_read_breaks_no_listing_and_fails_when_begun(store):
    odd, even = store.queue.request(config(1)), store.queue.request(config(2))
    later = json.dumps({**json.loads(config(1).model_dump_json()), "field_of_next_year": 1})
    with store.database.write() as connection:
        connection.execute(update(RUNS).where(RUNS.c.run_id == odd).values(config=later))
    assert [run.run_id for run in store.runs.newest()] == [even]
    assert store.runs.get(odd) is None
    ticket = store.queue.claim("w")
    assert ticket.run_id == odd
    with pytest.raises(ValueError, match="field_of_next_year"):
        store.attempts.start(ticket, 2)
    store.attempts.fail(ticket, "unreadable")
    assert store.queue.claim("w").run_id == even


def test_reason_of_any_kind_is_kept(store, ticket):
    store.attempts.fail(ticket, reason_of(ValueError("a \0 and a \ud800")))
    assert store.runs.get(ticket.run_id).reason == "ValueError: a ? and a ?"


def test_a_failed_run_keeps_its_last_good_weights_and_starts_again_without_them(store, ticket):
    store.attempts.append(ticket, progress(1))
    store.attempts.fail(ticket, "Training diverged in epoch 3", checkpoint(1))
    failed = store.runs.get(ticket.run_id)
    assert (failed.state, failed.epoch, failed.fingerprint) == (State.FAILED, 1, checkpoint(1).fingerprint)
    assert store.progress.checkpoint(ticket.run_id).fingerprint == failed.fingerprint
    store.queue.request(failed.config)
    assert store.progress.checkpoint(ticket.run_id) is None
    assert store.runs.get(ticket.run_id).reason == "Training diverged in epoch 3"


def test_an_evaluation_of_an_earlier_version_is_read_without_what_was_not_counted_then(store, ticket):
    store.attempts.finish(ticket, checkpoint(1), EVALUATION)
    earlier = {name: value for name, value in asdict(EVALUATION).items() if not name.startswith("same")}
    with store.database.write() as connection:
        connection.execute(update(RUNS).values(evaluation=json.dumps(earlier)))
    assert store.runs.get(ticket.run_id).evaluation == EVALUATION


def test_unknown_run_is_none_everywhere(store):
    assert store.runs.get("unknown") is None
    assert store.progress.checkpoint("unknown") is None
    assert store.queue.place("unknown") is None
    assert store.attempts.beat(Ticket("unknown", 1)) is Signal.SUPERSEDED
    assert store.queue.stop("unknown")


def test_token_is_known_in_this_store_and_no_other(store, tmp_path):
    other = Store(f"sqlite:///{tmp_path / 'other.db'}")
    token = store.leave_handshake()
    assert not other.take_handshake(token)
    assert store.take_handshake(token)
    assert not store.take_handshake(token)
    other.close()


def test_pages_read_while_workers_write(store):
    tickets = [store.queue.take(config(number), f"w{number}") for number in range(2)]
    errors, read, over = [], [], threading.Event()

    def guarded(function, *args):
        try:
            function(*args)
        except Exception as error:
            errors.append(error)

    def write(ticket):
        for epoch in range(60):
            store.attempts.append(ticket, progress(epoch, with_snapshot=True))
            store.attempts.save_checkpoint(ticket, checkpoint(epoch))

    def poll(run_id):
        while not over.is_set():
            epochs = [row.epoch for row in store.progress.history(run_id)]
            assert epochs == list(range(len(epochs)))
            read.append(len(epochs))

    writers = [threading.Thread(target=guarded, args=(write, ticket)) for ticket in tickets]
    readers = [threading.Thread(target=guarded, args=(poll, tickets[number % 2].run_id)) for number in range(4)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    for thread in readers:
        thread.join()
    assert errors == []
    assert max(read) > 0
    assert all(len(store.progress.history(ticket.run_id)) == 60 for ticket in tickets)
