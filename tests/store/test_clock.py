"""All times are by the database's clock: a wrong clock of an app or a worker changes nothing."""

import math
import time

import pytest

from echo_core.records import State
from echo_core.store import Signal
from echo_core.store.upkeep import STALE_SECONDS
from tests.helpers.samples import EVALUATION, checkpoint, config, progress

UNWATCHED_SECONDS = 300.0
#: How far a machine's clock may be off, in seconds.
OFFSETS = [-60, 600]


@pytest.fixture(params=OFFSETS, ids=str)
def elsewhere(request, monkeypatch):
    """Do something as on a machine whose clock is off."""
    real = time.time

    def act(action, *args, **kwargs):
        monkeypatch.setattr(time, "time", lambda: real() + request.param)
        try:
            return action(*args, **kwargs)
        finally:
            monkeypatch.setattr(time, "time", real)

    return act


def test_run_of_a_worker_whose_clock_is_off_is_neither_interrupted_nor_paused(store, elsewhere):
    run_id = store.queue.request(config(1), "a", "a")
    ticket = elsewhere(store.queue.claim, "w")
    elsewhere(store.attempts.start, ticket, 2)
    elsewhere(store.attempts.append, ticket, progress(3))
    assert elsewhere(store.attempts.beat, ticket, UNWATCHED_SECONDS) is Signal.GO_ON
    store.upkeep.sweep(UNWATCHED_SECONDS, STALE_SECONDS)
    assert store.runs.get(run_id).state is State.RUNNING
    assert not elsewhere(store.attempts.pause, ticket, checkpoint(3), if_signalled=True,
                         unwatched_seconds=UNWATCHED_SECONDS)
    elsewhere(store.attempts.finish, ticket, checkpoint(60), EVALUATION)
    assert store.runs.get(run_id).state is State.FINISHED


def test_app_whose_clock_is_off_interrupts_pauses_and_deletes_nothing_of_others(store, elsewhere):
    running, queued = store.queue.request(config(1), "a", "a"), store.queue.request(config(2), "a", "a")
    ticket = store.queue.claim("w")
    gone = store.queue.request(config(3))
    store.queue.stop(gone)
    store.runs.delete([gone])
    elsewhere(store.upkeep.sweep, UNWATCHED_SECONDS, STALE_SECONDS)
    elsewhere(store.upkeep.purge)
    store.runs.bring_back([gone])
    states = [store.runs.get(run_id).state for run_id in (running, queued, gone)]
    assert states == [State.RUNNING, State.QUEUED, State.PAUSED]
    assert store.attempts.beat(ticket, UNWATCHED_SECONDS) is Signal.GO_ON


def test_holder_of_an_app_whose_clock_is_off_is_there(store, elsewhere):
    run_id = elsewhere(store.queue.request, config(1), "a", "a")
    store.queue.request(config(1), "b", "b")
    elsewhere(store.queue.renew, ["a"])
    assert store.queue.stop(run_id, "b") is False


def test_queue_keeps_the_order_in_which_apps_of_different_clocks_asked(store, elsewhere):
    first = elsewhere(store.queue.request, config(1), "a", "a")
    second = store.queue.request(config(2), "a", "a")
    third = elsewhere(store.queue.request, config(3), "a", "a")
    assert store.queue.order() == [first, second, third]
    assert [run.run_id for run in store.runs.newest()] == [third, second, first]


def test_many_requests_within_a_millisecond_keep_their_order(store):
    asked = [store.queue.request(config(number)) for number in range(30)]
    assert store.queue.order() == asked


def test_clock_of_a_store_is_the_time_of_day(store):
    assert math.isclose(store.now(), time.time(), abs_tol=5)
    before = store.now()
    run_id = store.queue.request(config(1))
    assert before <= store.runs.get(run_id).created_at <= store.now() + 0.01


def test_token_of_an_app_whose_clock_is_off_can_be_taken(store, elsewhere):
    token = elsewhere(store.leave_handshake)
    store.leave_handshake()
    assert elsewhere(store.take_handshake, token)
