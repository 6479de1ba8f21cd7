"""The queue: what each state does when a run is asked for, whose turn it is, and what becomes of lost runs."""

import subprocess
import sys
import textwrap
import threading
import time
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from echo_core.config import TRAINING_VERSION, RunConfig
from echo_core.records import State
from echo_core.settings import QueueFull
from echo_core.store import Superseded, upkeep
from echo_core.store.queue import MAX_FRUITLESS_RESTARTS, Waiting, begin_order
from echo_core.store.schema import METADATA, RUNS, WATCHERS
from tests.helpers.samples import EVALUATION, checkpoint, config, progress
from tests.helpers.strategies import fewer_examples


def age(store, table, seconds, **columns):
    """Make times of rows look older than they are."""
    with store.database.write() as connection:
        connection.execute(update(table).values({name: getattr(table.c, name) - seconds for name in columns}))


def empty(store):
    """Forget what an example before this one left."""
    with store.database.write() as connection:
        for table in reversed(METADATA.sorted_tables):
            connection.execute(delete(table))


def at_once(number, action):
    """Do it in so many threads at the same time; what they raised."""
    errors, start = [], threading.Barrier(number)

    def act(index):
        start.wait()
        try:
            action(index)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=act, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def state_of(store, run_id):
    return store.runs.get(run_id).state


# --- asking ------------------------------------------------------------------------------------

def test_unknown_run_is_queued_with_its_config(store):
    run_id = store.queue.request(config(1), "me", "my browser")
    run = store.runs.get(run_id)
    assert (run.run_id, run.config, run.state, run.session) == (config(1).run_id, config(1), State.QUEUED, "me")
    assert (run.attempt, run.epoch, run.reason, run.started_at) == (0, 0, None, None)


def test_queued_and_running_runs_are_joined(store):
    store.queue.request(config(1), "me", "mine")
    store.queue.request(config(1), "you", "yours")
    assert store.queue.claim("w").run_id == config(1).run_id
    assert store.queue.request(config(1), "she", "hers") == config(1).run_id
    assert store.queue.claim("v") is None
    assert store.runs.get(config(1).run_id).session == "me"


def test_finished_run_is_its_own_answer(store):
    run_id = store.queue.request(config(1))
    ticket = store.queue.claim("w")
    store.attempts.finish(ticket, checkpoint(60), EVALUATION)
    before = store.runs.get(run_id)
    assert store.queue.request(config(1), "you", "yours", max_queue=0) == run_id
    assert store.runs.get(run_id) == before


def test_paused_run_goes_on_with_what_it_reached(store):
    run_id = store.queue.request(config(1), "me")
    ticket = store.queue.claim("w")
    store.attempts.append(ticket, progress(3))
    store.attempts.pause(ticket, checkpoint(3), "a reason")
    store.queue.request(config(1), "you")
    run = store.runs.get(run_id)
    assert (run.state, run.epoch, run.reason, run.session) == (State.QUEUED, 3, None, "you")
    again = store.queue.claim("w")
    assert again.attempt == 2
    assert store.attempts.start(again, 2).checkpoint.epoch == 3


def test_failed_run_starts_from_nothing_and_keeps_the_old_reason(store):
    run_id = store.queue.request(config(1))
    ticket = store.queue.claim("w")
    store.attempts.append(ticket, progress(3))
    store.attempts.save_checkpoint(ticket, checkpoint(3))
    store.attempts.fail(ticket, "ValueError: no luck")
    assert (state_of(store, run_id), store.runs.get(run_id).reason) == (State.FAILED, "ValueError: no luck")
    store.queue.request(config(1))
    assert (state_of(store, run_id), store.runs.get(run_id).reason) == (State.QUEUED, "ValueError: no luck")
    again = store.queue.claim("w")
    assert store.attempts.start(again, 2).checkpoint is None
    assert store.runs.get(run_id).reason == "ValueError: no luck"
    store.attempts.finish(again, checkpoint(60), EVALUATION)
    assert store.runs.get(run_id).reason is None


def test_train_takes_back_a_stop_that_was_not_obeyed_yet(store):
    run_id = store.queue.request(config(1))
    ticket = store.queue.claim("w")
    assert store.queue.stop(run_id)
    assert store.runs.get(run_id).stop_requested
    store.queue.request(config(1))
    assert not store.runs.get(run_id).stop_requested
    assert store.attempts.pause(ticket, checkpoint(1), if_signalled=True) is False
    assert state_of(store, run_id) is State.RUNNING


def test_full_queue_refuses_new_runs_and_still_lets_one_join(store):
    first = store.queue.request(config(1), max_queue=2)
    store.queue.request(config(2), max_queue=2)
    with pytest.raises(QueueFull, match="2 runs wait on this host already, and it lets 2 wait"):
        store.queue.request(config(3), max_queue=2)
    assert store.runs.get(config(3).run_id) is None
    assert store.queue.request(config(1), max_queue=2) == first
    store.queue.claim("w")
    store.queue.request(config(3), max_queue=2)


def test_take_begins_a_run_past_the_queue_unless_it_is_under_way_or_finished(store):
    store.queue.request(config(1))
    ticket = store.queue.take(config(2), "here")
    assert (ticket.run_id, state_of(store, ticket.run_id)) == (config(2).run_id, State.RUNNING)
    assert store.queue.take(config(2), "there") is None
    store.attempts.finish(ticket, checkpoint(60), EVALUATION)
    assert store.queue.take(config(2), "there") is None
    assert state_of(store, config(1).run_id) is State.QUEUED


# --- stopping ----------------------------------------------------------------------------------

def test_stop_pauses_a_queued_run_at_once_and_asks_a_running_one(store):
    queued, running = store.queue.request(config(2)), store.queue.request(config(1))
    store.queue.take(config(1), "w")
    assert store.queue.stop(queued)
    assert store.queue.stop(running)
    assert state_of(store, queued) is State.PAUSED
    assert state_of(store, running) is State.RUNNING
    assert store.runs.get(running).stop_requested


def test_stop_of_one_of_two_holders_ends_their_hold_and_not_the_run(store):
    run_id = store.queue.request(config(1), "a", "a")
    store.queue.request(config(1), "b", "b")
    assert store.queue.stop(run_id, "a") is False
    assert state_of(store, run_id) is State.QUEUED
    assert store.queue.stop(run_id, "b") is True
    assert state_of(store, run_id) is State.PAUSED


def test_stop_is_not_kept_from_by_a_holder_who_has_gone(store):
    run_id = store.queue.request(config(1), "a", "a")
    age(store, WATCHERS, 16, seen_at=True)
    store.queue.request(config(1), "b", "b")
    assert store.queue.stop(run_id, "b") is True


def test_renewed_holder_is_there_again_but_not_for_runs_that_ended(store):
    for holder in ("a", "b"):
        mine, ended = (store.queue.request(config(number), holder, holder) for number in (1, 2))
    store.queue.stop(ended)
    age(store, WATCHERS, 100, seen_at=True)
    store.queue.renew(["a"])
    assert store.queue.stop(mine, "b") is False
    assert store.queue.stop(ended, "b") is True


# --- whose turn it is --------------------------------------------------------------------------

def test_twelve_runs_of_three_sessions_are_begun_in_turn(store):
    names = {}
    for session in "ABC":
        for number in range(1, 5):
            run_id = store.queue.request(config(len(names)), session)
            names[run_id] = f"{session}{number}"
    begun = []
    while ticket := store.queue.claim("w"):
        begun.append(names[ticket.run_id])
        store.attempts.finish(ticket, checkpoint(60), EVALUATION)
    assert " ".join(begun) == "A1 B1 C1 A2 B2 C2 A3 B3 C3 A4 B4 C4"


def test_session_with_a_long_run_under_way_waits_for_one_that_was_served_later(store):
    for number, session in enumerate("ZABAB"):
        store.queue.request(config(number), session)
    for name in ("u", "v"):
        store.queue.claim(name)  # Z's and A's, which go on
    store.attempts.finish(store.queue.claim("w"), checkpoint(60), EVALUATION)  # B's
    assert [store.queue.place(config(number).run_id) for number in (3, 4)] == [1, 0]
    assert store.queue.claim("w").run_id == config(4).run_id


def test_worker_with_a_run_under_way_gets_no_second_one(store):
    store.queue.request(config(1))
    store.queue.request(config(2))
    ticket = store.queue.claim("w")
    assert store.queue.claim("w") is None
    store.attempts.finish(ticket, checkpoint(60), EVALUATION)
    assert store.queue.claim("w").run_id == config(2).run_id


def test_run_of_another_training_version_is_left_to_its_like(store):
    store.queue.request(config(1))
    with store.database.write() as connection:
        connection.execute(update(RUNS).values(training_version=TRAINING_VERSION + 1))
    assert store.queue.claim("w") is None
    assert store.queue.place(config(1).run_id) is None


def test_many_who_claim_at_once_get_different_runs(store):
    for number in range(12):
        store.queue.request(config(number), str(number % 3))
    tickets = []
    assert at_once(12, lambda index: tickets.append(store.queue.claim(f"worker {index}"))) == []
    assert len({ticket.run_id for ticket in tickets}) == 12


def test_processes_that_claim_at_once_get_different_runs(store):
    for number in range(40):
        store.queue.request(config(number), str(number % 3))
    script = textwrap.dedent("""
        import sys, time
        from echo_core.store import Store
        store = Store(sys.argv[1])
        time.sleep(max(0, float(sys.argv[3]) - time.time()))
        for number in range(10):
            print(store.queue.claim(f"worker {sys.argv[2]} {number}").run_id)
        store.close()
    """)
    together = str(time.time() + 1.5)
    processes = [subprocess.Popen([sys.executable, "-c", script, store.url, str(number), together], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) for number in range(4)]
    said = [process.communicate() for process in processes]
    assert [errors for _, errors in said] == [""] * 4
    assert len({run_id for found, _ in said for run_id in found.split()}) == 40


def test_two_tabs_of_one_browser_hold_and_renew_a_run_at_once(store):
    runs = [store.queue.request(config(number), holder="mine") for number in range(4)]

    def hold(index):
        for number in range(4) if index % 2 else reversed(range(4)):
            store.queue.request(config(number), holder="mine")
            store.queue.renew(["mine"])
            store.queue.request(config(0), holder="mine")

    assert at_once(6, hold) == []
    with store.database.read() as connection:
        assert sorted(connection.scalars(select(WATCHERS.c.run_id))) == sorted(runs)


def test_a_run_comes_after_the_newest_one_even_if_the_clock_is_a_little_behind(store):
    first = store.queue.request(config(1))
    age(store, RUNS, -0.5, created_at=True)  # the newest run is half a second ahead of the clock
    second = store.queue.request(config(2))
    assert store.runs.get(first).created_at < store.runs.get(second).created_at


def test_many_who_ask_for_the_same_run_at_once_join_it(store):
    assert at_once(8, lambda index: store.queue.request(config(1), str(index), str(index), max_queue=1)) == []
    assert len(store.queue.order()) == 1


events = st.lists(st.one_of(
    st.tuples(st.just("request"), st.sampled_from("ABCD")), st.tuples(st.just("claim"), st.none()),
    st.tuples(st.just("finish"), st.integers(0, 2)), st.tuples(st.just("lose"), st.integers(0, 2))), max_size=40)


@settings(fewer_examples(2 / 3), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=events, num_workers=st.integers(1, 3))
def test_places_are_the_order_in_which_runs_are_then_handed_out(store, events, num_workers):
    """Whatever happened before: from here on, runs end in the order they began."""
    empty(store)
    workers = [f"w{number}" for number in range(num_workers)]
    under_way, asked = [], 0
    for event, which in events:
        if event == "request":
            store.queue.request(config(asked), which)
            asked += 1
        elif event == "claim":
            free = [name for name in workers if name not in dict(under_way)]
            if free and (ticket := store.queue.claim(free[0])):
                under_way.append((free[0], ticket))
        elif under_way:
            _, ticket = under_way.pop(which % len(under_way))
            store.attempts.finish(ticket, checkpoint(60), EVALUATION) if event == "finish" else store.queue.lose(ticket)
    # Runs wait because all workers are busy: whoever is free takes one first.
    for name in workers:
        if name not in dict(under_way) and (ticket := store.queue.claim(name)):
            under_way.append((name, ticket))

    foretold = {number: store.queue.place(config(number).run_id) for number in range(asked)}
    expected = sorted((place, config(number).run_id) for number, place in foretold.items() if place is not None)
    assert [place for place, _ in expected] == list(range(len(expected)))
    handed_out = []
    while under_way:
        name, ticket = under_way.pop(0)
        store.attempts.finish(ticket, checkpoint(60), EVALUATION)
        if ticket := store.queue.claim(name):
            handed_out.append(ticket.run_id)
            under_way.append((name, ticket))
    assert handed_out == [run_id for _, run_id in expected]


@given(queued=st.lists(st.sampled_from("ABC"), min_size=1, max_size=20))
def test_no_session_is_begun_twice_more_often_than_another_that_waits(queued):
    waiting = [Waiting(str(number), session, float(number)) for number, session in enumerate(queued)]
    begun, left = defaultdict(int), {session: queued.count(session) for session in queued}
    for run_id in begin_order(waiting, [], {}):
        session = queued[int(run_id)]
        assert begun[session] <= min(begun[other] for other in left if left[other])
        begun[session] += 1
        left[session] -= 1


# --- what becomes of lost runs -----------------------------------------------------------------

def test_lost_run_goes_to_the_front_and_its_old_attempt_writes_no_more(store):
    for number, session in enumerate("ABC"):
        store.queue.request(config(number), session)
    lost = store.queue.claim("w")
    store.attempts.save_checkpoint(lost, checkpoint(5))
    store.queue.lose(lost)
    run = store.runs.get(lost.run_id)
    assert (run.state, run.restarts, store.queue.place(lost.run_id)) == (State.QUEUED, 1, 0)
    with pytest.raises(Superseded):
        store.attempts.append(lost, progress(6))
    again = store.queue.claim("w")
    assert (again.run_id, again.attempt) == (lost.run_id, lost.attempt + 1)
    assert store.attempts.start(again, 2).checkpoint.epoch == 5
    store.queue.lose(lost)
    assert state_of(store, lost.run_id) is State.RUNNING


def test_run_that_was_to_stop_is_paused_when_its_worker_is_lost(store):
    run_id = store.queue.request(config(1))
    ticket = store.queue.claim("w")
    store.queue.stop(run_id)
    store.queue.lose(ticket)
    assert state_of(store, run_id) is State.PAUSED


def test_run_that_loses_every_worker_without_getting_further_fails_and_says_so(store):
    run_id = store.queue.request(config(1))
    for _ in range(MAX_FRUITLESS_RESTARTS + 1):
        ticket = store.queue.claim("w")
        store.attempts.start(ticket, 2)
        store.attempts.append(ticket, progress(7))
        assert state_of(store, run_id) is State.RUNNING
        store.queue.lose(ticket)
    run = store.runs.get(run_id)
    assert (run.state, run.restarts) == (State.FAILED, MAX_FRUITLESS_RESTARTS)
    assert "died 4 times without getting further than epoch 7" in run.reason


def test_who_presses_train_for_a_run_that_was_interrupted_gives_it_new_tries(store):
    run_id = store.queue.request(config(1))
    for _ in range(MAX_FRUITLESS_RESTARTS):
        store.queue.lose(store.queue.claim("w"))
    store.queue.claim("w")
    age(store, RUNS, 21, heartbeat_at=True)
    store.upkeep.sweep(300)
    store.queue.request(config(1))
    for _ in range(MAX_FRUITLESS_RESTARTS):
        store.queue.lose(store.queue.claim("w"))
    assert state_of(store, run_id) is State.QUEUED


def test_run_that_gets_further_each_time_may_lose_any_number_of_workers(store):
    run_id = store.queue.request(config(1))
    for epoch in range(1, 21):
        ticket = store.queue.claim("w")
        store.attempts.start(ticket, 2)
        store.attempts.append(ticket, progress(epoch))
        store.queue.lose(ticket)
    assert (state_of(store, run_id), store.runs.get(run_id).restarts) == (State.QUEUED, 20)


def test_only_a_stale_heartbeat_interrupts_a_run(store):
    store.queue.request(config(1))
    stale = store.queue.claim("w")
    age(store, RUNS, 21, heartbeat_at=True)
    store.queue.request(config(2))
    fresh = store.queue.claim("v")
    store.upkeep.sweep(unwatched_seconds=300)
    assert state_of(store, fresh.run_id) is State.RUNNING
    run = store.runs.get(stale.run_id)
    assert (run.state, run.reason) == (State.INTERRUPTED, "Nothing was heard of its worker any more.")
    with pytest.raises(Superseded):
        store.attempts.append(stale, progress(1))
    store.queue.request(config(1))
    assert state_of(store, stale.run_id) is State.QUEUED


def test_run_whose_app_is_known_to_have_ended_is_interrupted_sooner_once_it_is_silent(store):
    workers = ("orphan", "orphan that beats", "worker")
    tickets = [store.queue.take(config(n), worker) for n, worker in enumerate(workers)]
    age(store, RUNS, 6, heartbeat_at=True)
    store.attempts.beat(tickets[1])
    store.upkeep.sweep(300, has_ended=lambda worker: worker.startswith("orphan"))
    assert [state_of(store, config(number).run_id) for number in range(3)] == [
        State.INTERRUPTED, State.RUNNING, State.RUNNING]


def test_sweep_that_had_to_wait_for_the_store_interrupts_nothing_as_workers_had_to_wait_too(store, monkeypatch):
    monkeypatch.setattr(upkeep, "MAX_SWEEP_WAIT_SECONDS", 0.2)
    run_id = store.queue.request(config(1))
    store.queue.claim("w")
    age(store, RUNS, 21, heartbeat_at=True)
    with store.database.write(exclusive=True):
        sweep = threading.Thread(target=store.upkeep.sweep, args=(300,))
        sweep.start()
        time.sleep(0.5)
    sweep.join()
    assert state_of(store, run_id) is State.RUNNING
    store.upkeep.sweep(300)
    assert state_of(store, run_id) is State.INTERRUPTED


def test_queued_run_that_nobody_holds_is_paused(store):
    left, held = store.queue.request(config(1), "a", "a"), store.queue.request(config(2), "b", "b")
    age(store, RUNS, 301, queued_at=True)
    age(store, WATCHERS, 301, seen_at=True)
    store.queue.renew(["b"])
    store.upkeep.sweep(unwatched_seconds=300)
    assert state_of(store, held) is State.QUEUED
    assert state_of(store, left) is State.PAUSED
    assert store.runs.get(left).reason == "Nobody who pressed Train for it has been here for 300 seconds."


def test_on_a_hosted_copy_a_viewer_cannot_stop_what_somebody_there_holds(store):
    run_id = store.queue.request(RunConfig(), holder="owner")
    assert store.queue.stop(run_id, holder="viewer", only_own=True) is False
    assert store.runs.get(run_id).state is State.QUEUED
    assert store.queue.stop(run_id, holder="viewer") is True
    assert store.runs.get(run_id).state is State.PAUSED


def test_tally_counts_runs_by_state_the_longest_wait_and_the_bytes_of_the_database(store):
    assert (store.upkeep.tally().runs, store.upkeep.tally().oldest_wait) == ({}, 0.0)
    for number in range(3):
        store.queue.request(config(number))
        age(store, RUNS, 100, queued_at=RUNS)
    store.queue.claim("a worker")  # the oldest
    found = store.upkeep.tally()
    assert found.runs == {State.QUEUED: 2, State.RUNNING: 1}
    assert found.oldest_wait == pytest.approx(200, abs=30)
    assert found.bytes > 100_000
