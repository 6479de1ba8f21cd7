"""Owners of a run: who can stop it, how it goes on after a crash, and each visitor's share of the queue."""

from unittest.mock import Mock

import pytest
from sqlalchemy import update

from echo_core import engine as engines
from echo_core.config import TRAINING_VERSION
from echo_core.records import State
from echo_core.settings import Limits, QueueFull, Settings
from echo_core.store import Signal
from echo_core.store.queue import CLOSED, MAX_FRUITLESS_RESTARTS
from echo_core.store.schema import RUNS, WATCHERS
from tests.helpers.samples import EVALUATION, checkpoint, config, progress

UNWATCHED_SECONDS = 300.0


def age(store, table, seconds, *columns):
    """Make times of rows look older than they are."""
    with store.database.write() as connection:
        connection.execute(update(table).values({name: getattr(table.c, name) - seconds for name in columns}))


def state_of(store, run_id):
    return store.runs.get(run_id).state


# --- on a hosted copy a run is its visitor's ---------------------------------------------------

@pytest.mark.parametrize("away_seconds", [0, 16, 200])
@pytest.mark.parametrize("is_running", [True, False])
def test_stranger_cannot_stop_a_run_while_its_visitor_is_away(store, away_seconds, is_running):
    run_id = store.queue.request(config(1), "a", "a")
    ticket = store.queue.claim("w") if is_running else None
    age(store, WATCHERS, away_seconds, "seen_at")
    assert store.queue.stop(run_id, "b", only_own=True) is False
    assert state_of(store, run_id).is_active
    if ticket:
        assert store.attempts.beat(ticket, UNWATCHED_SECONDS) is Signal.GO_ON
    assert store.queue.stop(run_id, "a", only_own=True) is True


def test_who_joins_a_run_holds_it_too_and_lets_go_of_no_more_than_that(store):
    run_id = store.queue.request(config(1), "a", "a")
    ticket = store.queue.claim("w")
    age(store, WATCHERS, 100, "seen_at")
    store.queue.request(config(1), "b", "b")
    assert store.queue.stop(run_id, "b", only_own=True) is False
    assert store.attempts.beat(ticket, UNWATCHED_SECONDS) is Signal.GO_ON
    store.queue.request(config(1), "b", "b")
    assert store.queue.stop(run_id, "a", only_own=True) is False  # B goes on
    assert store.queue.stop(run_id, "b", only_own=True) is True
    assert store.attempts.beat(ticket, UNWATCHED_SECONDS) is Signal.STOP


def test_run_that_paused_by_itself_is_of_whoever_goes_on_with_it(store):
    run_id = store.queue.request(config(1), "a", "a")
    store.attempts.pause(store.queue.claim("w"), checkpoint(3), "Nobody was here.")
    store.queue.request(config(1), "b", "b")
    assert store.queue.stop(run_id, "a", only_own=True) is False
    assert store.queue.stop(run_id, "b", only_own=True) is True


# --- after a crash it goes on by itself --------------------------------------------------------

def come_back(store, holder):
    """A holder is here a moment after what has ended by now: SQLite's clock has milliseconds."""
    age(store, RUNS, 0.01, "ended_at")
    store.queue.renew([holder])


def interrupted(store, number=1, epoch=3):
    """A run of `a` whose app was killed."""
    run_id = store.queue.request(config(number), "a", "a")
    ticket = store.queue.claim("w")
    store.attempts.start(ticket, 2)
    store.attempts.append(ticket, progress(epoch))
    store.attempts.save_checkpoint(ticket, checkpoint(epoch))
    age(store, RUNS, 30, "heartbeat_at")
    age(store, WATCHERS, 30, "seen_at")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    assert state_of(store, run_id) is State.INTERRUPTED
    return run_id


def test_interrupted_run_goes_on_by_itself_before_all_others_once_its_holder_is_back(store):
    run_id = interrupted(store)
    other = store.queue.request(config(2), "b", "b")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    assert state_of(store, run_id) is State.INTERRUPTED
    come_back(store, "b")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    assert state_of(store, run_id) is State.INTERRUPTED
    come_back(store, "a")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    assert store.queue.order() == [run_id, other]
    run = store.runs.get(run_id)
    assert (run.state, run.reason, run.restarts, run.ended_at) == (State.QUEUED, None, 1, None)
    again = store.queue.claim("w")
    assert (again.run_id, again.attempt) == (run_id, 2)
    assert store.attempts.start(again, 2).checkpoint.epoch == 3


def test_holder_who_left_again_before_anybody_looked_is_not_back(store):
    run_id = interrupted(store)
    come_back(store, "a")
    age(store, WATCHERS, 60, "seen_at")
    age(store, RUNS, 120, "ended_at")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    assert state_of(store, run_id) is State.INTERRUPTED


def test_run_that_was_to_stop_when_its_app_was_killed_stays_paused(store):
    run_id = store.queue.request(config(1), "a", "a")
    store.queue.claim("w")
    store.queue.stop(run_id, "a")
    age(store, RUNS, 30, "heartbeat_at")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    come_back(store, "a")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    run = store.runs.get(run_id)
    assert (run.state, run.reason, run.stop_requested) == (State.PAUSED, None, False)


@pytest.mark.parametrize("in_time", [True, False])
def test_run_of_an_app_that_was_closed_goes_on_once_its_holder_is_back(store, in_time):
    run_id = store.queue.request(config(1), "a", "a")
    ticket = store.queue.claim("w")
    store.queue.close_down(run_id)
    assert store.attempts.beat(ticket) is Signal.STOP
    if in_time:
        assert store.attempts.pause(ticket, checkpoint(3), if_signalled=True)
        assert (state_of(store, run_id), store.runs.get(run_id).reason) == (State.PAUSED, CLOSED)
    else:
        age(store, RUNS, 30, "heartbeat_at")
        store.upkeep.sweep(UNWATCHED_SECONDS)
        assert state_of(store, run_id) is State.INTERRUPTED
    come_back(store, "a")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    assert (state_of(store, run_id), store.runs.get(run_id).reason) == (State.QUEUED, None)


@pytest.mark.parametrize("end", ["stopped", "stopped before", "unwatched", "finished", "failed"])
def test_run_that_ended_otherwise_waits_for_a_press(store, end):
    run_id = store.queue.request(config(1), "a", "a")
    ticket = store.queue.claim("w")
    if end == "stopped before":
        store.queue.stop(run_id, "a")
        store.queue.close_down(run_id)
    if end == "stopped":
        store.queue.close_down(run_id)
        store.queue.stop(run_id, "a")
    if end in ("stopped", "stopped before"):
        store.attempts.pause(ticket, checkpoint(3), if_signalled=True)
    elif end == "unwatched":
        store.attempts.pause(ticket, checkpoint(3), "Nobody was here.")
    elif end == "finished":
        store.attempts.finish(ticket, checkpoint(60), EVALUATION)
    else:
        store.attempts.fail(ticket, "It failed.")
    before = state_of(store, run_id)
    come_back(store, "a")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    assert state_of(store, run_id) is before
    assert not before.is_active


def test_run_that_is_interrupted_again_and_again_without_getting_further_fails(store):
    run_id = interrupted(store)
    for attempt in range(2, MAX_FRUITLESS_RESTARTS + 3):
        come_back(store, "a")
        store.upkeep.sweep(UNWATCHED_SECONDS)
        if state_of(store, run_id) is State.FAILED:
            break
        assert store.queue.claim("w").attempt == attempt
        age(store, RUNS, 30, "heartbeat_at")
        store.upkeep.sweep(UNWATCHED_SECONDS)
    assert state_of(store, run_id) is State.FAILED
    assert "without getting further than epoch 3" in store.runs.get(run_id).reason


def test_interrupted_run_of_another_training_version_or_that_was_deleted_is_left(store):
    old, deleted = interrupted(store, 1), interrupted(store, 2)
    with store.database.write() as connection:
        connection.execute(update(RUNS).where(RUNS.c.run_id == old).values(training_version=TRAINING_VERSION + 1))
    store.runs.delete([deleted])
    come_back(store, "a")
    store.upkeep.sweep(UNWATCHED_SECONDS)
    store.runs.bring_back([deleted])
    assert [state_of(store, run_id) for run_id in (old, deleted)] == [State.INTERRUPTED] * 2


# --- a share of the queue ----------------------------------------------------------------------

@pytest.fixture
def lab(tmp_path, monkeypatch):
    """An engine without workers."""
    monkeypatch.setattr(engines, "Dispatcher", Mock())
    settings = Settings(DATABASE_URL=f"sqlite:///{tmp_path / 'runs.db'}", ECHO_WORKERS=1)
    with engines.Engine(settings, Limits(max_queue_per_visitor=3, max_queue=6)) as engine:
        yield engine


def test_visitor_whose_share_of_the_queue_is_used_up_is_told_when_to_come_back_and_others_are_served(lab):
    for number in range(3):
        lab.submit(config(number), holder="greedy")
    with pytest.raises(QueueFull) as caught:
        lab.submit(config(3), holder="greedy")
    assert "3 of your runs wait already, and this host lets 3 of each visitor wait" in str(caught.value)
    assert "Try again in " in str(caught.value)
    lab.submit(config(0), holder="greedy")  # joins its own
    assert lab.submit(config(4), holder="modest") == config(4).run_id
    lab.store.queue.claim("w")
    lab.submit(config(3), holder="greedy")


def test_whole_queue_that_is_full_says_when_to_come_back(lab):
    for number in range(6):
        lab.submit(config(number), holder=str(number))
    with pytest.raises(QueueFull, match=r"6 runs wait on this host already.* Try again in "):
        lab.submit(config(6), holder="late")


def test_who_runs_an_engine_or_the_command_line_has_no_share(lab):
    for number in range(5):
        lab.submit(config(number))
    assert lab.store.queue.take(config(5), "cli", session="cli", holder="cli") is not None


def test_visitors_with_several_pages_take_turns_with_those_who_have_one(store):
    for number in range(4):
        store.queue.request(config(number), "greedy", "greedy")
    store.queue.request(config(4), "modest", "modest")
    assert store.queue.order().index(config(4).run_id) == 1


def test_share_of_a_visitor_is_a_setting(monkeypatch):
    assert Limits().max_queue_per_visitor == 10
    monkeypatch.setenv("ECHO_MAX_QUEUE_PER_VISITOR", "4")
    assert Limits().max_queue_per_visitor == 4
