"""Runs are found page by page, named, hidden, deleted and brought back, and the store stays in its bounds."""

import json
import math
from contextlib import closing
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import func, select, text, update

from echo_core.config.presets import PRESETS
from echo_core.records import Checkpoint, Evaluation, Point, Progress, State, curve_stride
from echo_core.store import Store, Ticket, Wanted, extended_config, migrations
from echo_core.store.database import Database
from echo_core.store.schema import RUNS
from tests.helpers.samples import EVALUATION, TINY, checkpoint, config, progress


def finish(store: Store, number: int = 0, right: float = 0.5, visitor: str = "me", weights: int = 0) -> Ticket:
    """A finished run of its own for each number, with weights of so many bytes and some more."""
    store.queue.request(config(number), "a session", visitor)
    ticket = store.queue.claim("a worker")
    assert ticket is not None
    for epoch in (0, 30, 60):
        store.attempts.append(ticket, progress(epoch, seconds=epoch + number, loss=3 - epoch / 60, with_snapshot=True))
    large = np.zeros(weights // 4, np.float32)
    store.attempts.finish(ticket, Checkpoint(60, 60, (large,), (large, large)) if weights else checkpoint(60),
                 Evaluation(0.75, right, 2000, (1.0, 0.5)))
    return ticket


def ids(page) -> list[str]:
    return [entry.run.run_id for entry in page.runs]


def test_page_has_some_of_the_runs_and_says_how_many_there_are(store):
    made = [finish(store, number).run_id for number in range(5)]
    page = store.runs.find(Wanted(), limit=2, offset=1)
    assert (ids(page), page.total) == (made[::-1][1:3], 5)


def test_runs_are_sorted_by_what_is_asked_and_those_without_it_come_last(store):
    low, high = finish(store, 1, right=0.25).run_id, finish(store, 2, right=0.75).run_id
    none = store.queue.request(config(3), "a session", "me")
    assert ids(store.runs.find(Wanted(sort="window_accuracy"))) == [high, low, none]
    assert ids(store.runs.find(Wanted(sort="window_accuracy", descending=False))) == [low, high, none]
    assert ids(store.runs.find(Wanted(sort="seconds"))) == [high, low, none]


def test_run_whose_loss_is_no_number_has_none_to_be_sorted_by(store):
    wild, low, high = (store.queue.take(config(number), "a worker") for number in range(3))
    for ticket, loss in ((wild, math.nan), (low, 1.0), (high, 2.0)):
        store.attempts.append(ticket, progress(1, loss=loss))
    assert ids(store.runs.find(Wanted(sort="loss"))) == [high.run_id, low.run_id, wild.run_id]
    assert ids(store.runs.find(Wanted(sort="loss", descending=False))) == [low.run_id, high.run_id, wild.run_id]
    assert store.runs.get(wild.run_id).loss is None


def test_runs_are_filtered_by_state_variant_name_and_id(store):
    finished = finish(store, 1).run_id
    queued = store.queue.request(config(2), "a session", "me")
    store.runs.rename(finished, "my  best % run")
    assert ids(store.runs.find(Wanted(states=[State.QUEUED]))) == [queued]
    assert ids(store.runs.find(Wanted(variants=["whole"]))) == []
    assert ids(store.runs.find(Wanted(text="BEST"))) == [finished]
    assert ids(store.runs.find(Wanted(text="%"))) == [finished]
    assert ids(store.runs.find(Wanted(text=queued[:5]))) == [queued]
    assert store.runs.name_of(finished) == "my best % run"
    store.runs.rename(finished, "  ")
    assert store.runs.name_of(finished) is None


def listed(store: Store, text: str, **which) -> list[str]:
    return ids(store.runs.find(Wanted(text=text, **which)))


def test_runs_are_found_by_their_preset_network_task_settings_state_and_name(store):
    wanted = {name: PRESETS[name].config for name in ("quick", "attention_20", "pairs")}
    made = {name: store.queue.request(config, "a session", "me") for name, config in wanted.items()}
    near = store.queue.request(wanted["quick"].model_copy(update={"units": 65}), "a session", "me")
    store.runs.rename(made["pairs"], "ÜBUNG eins")
    assert listed(store, "quick") == listed(store, "QUICK partial echo") == [near, made["quick"]]
    assert listed(store, "attention") == [made["pairs"], made["attention_20"]]
    assert listed(store, "pairs") == listed(store, "questions of your own") == [made["pairs"]]
    assert listed(store, "units=65") == listed(store, "65 units quick") == [near]
    assert listed(store, "übung") == [made["pairs"]]
    assert len(listed(store, "queued")) == 4
    assert listed(store, "finished") == []


def test_found_runs_come_in_their_order_and_page_by_page(store):
    made = [finish(store, number, right=number / 10).run_id for number in range(5)]
    store.queue.request(PRESETS["quick"].config, "a session", "me")
    page = store.runs.find(Wanted(text="units=6", sort="window_accuracy"), limit=2, offset=2)
    assert (ids(page), page.total) == ([made[2], made[1]], 5)


def test_search_of_a_stranger_finds_their_own_runs_and_shared_ones_and_no_other_name(store):
    mine, other = finish(store, 1, visitor="me").run_id, finish(store, 2, visitor="somebody").run_id
    store.runs.rename(other, "a secret name", "somebody")
    assert listed(store, "units=6", visitor="me", only_own=True) == [mine]
    assert listed(store, "units=6", visitor="me", only_own=True, shared=[other]) == [other, mine]
    assert listed(store, "secret", visitor="me", only_own=True, shared=[other]) == []


@pytest.mark.parametrize("epochs", [(0, 1, 2, 3, 5, 8, 13, 20, 31, 48, 60), (0, 60), range(61), (0, 1, 60)])
def test_sparkline_shows_the_loss_at_equal_steps_of_epochs_wherever_records_were_made(store, epochs):
    ticket = store.queue.take(config(0), "a worker")
    for epoch in epochs:
        store.attempts.append(ticket, progress(epoch, loss=4 - epoch / 20))
    losses = store.runs.find(Wanted()).runs[0].losses
    assert losses == pytest.approx([4 - epoch / 20 for epoch in np.linspace(0, 60, len(losses))])
    assert 40 <= len(losses) <= 100


def test_sparkline_of_a_long_run_is_thinned_and_leaves_out_what_is_no_number(store):
    long = config(0).model_copy(update={"epochs": 10_000_000})
    ticket = store.queue.take(long, "a worker")
    for epoch in [0, *range(1, 9_000_000, 30_000)]:
        store.attempts.append(ticket, progress(epoch, loss=5.0 if epoch == 0 else 1.0))
    store.attempts.append(ticket, progress(10_000_000, loss=math.nan))
    losses = store.runs.find(Wanted()).runs[0].losses
    assert losses[0] == 5.0
    assert losses[1:] == (1.0,) * (len(losses) - 1)
    assert len(losses) <= 100


def test_run_without_records_has_no_sparkline(store):
    store.queue.request(config(0), "a session", "me")
    assert store.runs.find(Wanted()).runs[0].losses == ()


def test_stranger_sees_their_own_runs_and_shared_ones_and_their_names_are_theirs(store):
    mine, other = finish(store, 1, visitor="me").run_id, finish(store, 2, visitor="somebody").run_id
    store.runs.rename(mine, "called so by me", "me")
    wanted = Wanted(visitor="me", only_own=True)
    assert ids(store.runs.find(wanted)) == [mine]
    assert ids(store.runs.find(Wanted(visitor="me", only_own=True, shared=[other]))) == [other, mine]
    assert [entry.name for entry in store.runs.find(Wanted(visitor="somebody")).runs] == [None, None]
    store.queue.request(config(1), "a session", "somebody")  # finished already, and now theirs too
    assert set(ids(store.runs.find(Wanted(visitor="somebody", only_own=True)))) == {mine, other}


def test_hidden_runs_are_in_a_list_of_their_own(store):
    first, second = finish(store, 1).run_id, finish(store, 2).run_id
    store.runs.hide([first])
    assert (ids(store.runs.find(Wanted())), ids(store.runs.find(Wanted(hidden=True)))) == ([second], [first])
    store.runs.hide([first], hidden=False)
    assert len(ids(store.runs.find(Wanted()))) == 2


def test_deleted_run_is_gone_can_be_brought_back_and_is_purged_after_a_while(store):
    run_id = finish(store).run_id
    under_way = store.queue.request(config(9), "a session", "me")
    assert store.runs.delete([run_id, under_way, "unknown"]) == [run_id]
    assert store.runs.get(run_id) is None
    assert ids(store.runs.find(Wanted())) == [under_way]
    store.upkeep.purge()
    store.runs.bring_back([run_id])
    assert store.runs.get(run_id).evaluation is not None
    store.runs.delete([run_id])
    store.upkeep.purge(undo_seconds=-1)
    store.runs.bring_back([run_id])
    assert store.runs.get(run_id) is None
    assert store.progress.history(run_id) == []


def test_train_brings_a_deleted_run_back(store):
    run_id = finish(store).run_id
    store.runs.delete([run_id])
    store.queue.request(config(0), "a session", "me")
    assert store.runs.get(run_id).state is State.FINISHED


def test_moments_are_evicted_first_then_weights_of_the_oldest_without_a_name(store):
    named, old, new = (finish(store, number, weights=100_000) for number in (1, 2, 3))
    store.runs.rename(named.run_id, "keep me")
    size = store.upkeep.size()
    assert size > 900_000
    assert store.upkeep.evict(size) == 0
    assert store.upkeep.evict(size - 500_000) == 3  # moments of all
    assert [store.progress.checkpoint(run.run_id) is not None for run in (named, old, new)] == [True, True, True]
    assert store.upkeep.evict(store.upkeep.size() - 1) == 1
    assert [store.progress.checkpoint(run.run_id) is not None for run in (named, old, new)] == [True, False, True]
    store.upkeep.evict(0)
    assert [store.progress.checkpoint(run.run_id) is not None for run in (named, old, new)] == [False, False, False]
    assert store.runs.get(old.run_id).evaluation is not None


def test_curves_and_snapshots_of_the_oldest_without_a_name_go_once_they_take_more_than_half(store):
    named, old, new = (finish(store, number) for number in (1, 2, 3))
    under_way = store.queue.request(config(4), "a session", "me")
    ticket = store.queue.claim("a worker")
    store.attempts.append(ticket, progress(0, with_snapshot=True))
    store.runs.rename(named.run_id, "keep me")

    def kept() -> list[bool]:
        return [bool(store.progress.history(run_id)) and bool(store.progress.snapshots(run_id))
                for run_id in (named.run_id, old.run_id, new.run_id, under_way)]

    with store.database.read() as connection:
        whole = connection.scalar(select(func.sum(RUNS.c.size)))
        of_old = connection.scalar(select(RUNS.c.size).where(RUNS.c.run_id == old.run_id))
    assert store.upkeep.evict(100 * whole) == 0
    assert kept() == [True, True, True, True]
    store.upkeep.evict(2 * (whole - of_old))
    assert kept() == [True, False, True, True]
    store.upkeep.evict(0)
    assert kept() == [True, False, False, True]
    assert store.runs.get(old.run_id).evaluation is not None
    assert store.queue.request(config(2), "a session", "me", again=True) == old.run_id
    store.attempts.start(store.queue.claim("another worker"), threads=2)


@pytest.mark.parametrize("evicted", [False, True])
def test_finished_run_is_trained_again_from_nothing_when_asked(store, evicted: bool):
    run_id = finish(store).run_id
    if evicted:
        store.upkeep.evict(0)
    store.queue.request(config(0), "a session", "me")
    assert store.runs.get(run_id).state is State.FINISHED
    store.queue.request(config(0), "a session", "me", again=True)
    begun = store.attempts.start(store.queue.claim("a worker"), threads=2)
    assert (begun.checkpoint, store.progress.history(run_id)) == (None, [])


def test_longer_run_goes_on_from_where_a_shorter_one_ended(store):
    source = finish(store)
    extended = extended_config(store.runs.get(source.run_id), 100)
    store.queue.request(extended, "a session", "me")
    ticket = store.queue.claim("a worker")
    begun = store.attempts.start(ticket, threads=2)
    assert begun.checkpoint is None  # the shorter one was trained by hand, on no known threads
    for threads in (1, 3, 2):
        store.attempts.pause(ticket, None)
        with store.database.write() as connection:
            connection.execute(update(RUNS).values(threads=threads))
        store.queue.request(extended, "a session", "me")
        if threads != 2:  # other threads give other weights
            ticket = store.queue.claim("a worker")
            assert store.attempts.start(ticket, threads=2).checkpoint is None
    begun = store.attempts.start(store.queue.claim("a worker"), threads=2)
    assert (begun.checkpoint.epoch, begun.checkpoint.step, begun.seconds) == (60, 120, 60)
    assert len(begun.checkpoint.moments) == 4
    assert [row.epoch for row in store.progress.history(extended.run_id)] == [0, 30, 60]
    assert [snapshot.epoch for snapshot in store.progress.snapshots(extended.run_id)] == [0, 30, 60]
    assert store.progress.checkpoint(source.run_id).moments == ()


@pytest.mark.parametrize(("short", "long"), [(5000, 10_000), (5000, 6000), (500, 1000), (400, 500), (60, 100)])
def test_a_longer_run_keeps_the_curve_of_the_shorter_one_about_as_dense_as_its_own(store, short: int, long: int):
    ticket = store.queue.take(TINY.model_copy(update={"epochs": short}), "a worker")
    ended = checkpoint(short)
    store.attempts.start(ticket, threads=2)
    points = tuple(Point(epoch, 1.0, 0.5) for epoch in range(0, short + 1, curve_stride(short)))
    for begun in range(0, len(points), 7):
        some = points[begun:begun + 7]
        store.attempts.append(ticket, Progress(some[-1].epoch, 1.0, 0.5, 1.0, some, ended))
    store.attempts.finish(ticket, ended, Evaluation(0.75, 0.5, 2000, (1.0, 0.5)))
    extended = extended_config(store.runs.get(ticket.run_id), long)
    store.queue.request(extended, "a session", "me")
    store.attempts.start(store.queue.claim("a worker"), threads=2)
    kept = [point.epoch for row in store.progress.history(extended.run_id) for point in row.points]
    steps = [after - before for before, after in pairwise(kept)]
    assert kept[0] == 0
    assert curve_stride(long) <= min(steps)
    assert max(steps) < curve_stride(short) + curve_stride(long)


def test_run_is_not_extended_to_less_than_it_has_nor_where_epochs_shape_its_rate(store):
    run = store.runs.get(finish(store).run_id)
    with pytest.raises(ValueError, match="epochs must be more than the 60 that run"):
        extended_config(run, 60)
    with pytest.raises(ValueError, match="schedule=cosine cannot be extended, because epochs shapes"):
        TINY.model_copy(update={"schedule": "cosine"}).extended(100)


def test_store_of_the_first_revision_is_filled_in(fresh_url):
    alembic = Config()
    alembic.set_main_option("script_location", str(next(iter(migrations.__path__))))
    with closing(Database(fresh_url)) as database, database.write(exclusive=True) as connection:
        alembic.attributes["connection"] = connection
        command.downgrade(alembic, "0001")
        config = json.dumps(TINY.model_dump(exclude={"lag"}))  # a field that came later
        connection.execute(
            text("INSERT INTO runs (run_id, config, training_version, state, attempt, session, urgent, created_at, "
                 "queued_at, stop_requested, epoch, seconds, restarts, fruitless, furthest, evaluation) VALUES "
                 "(:run_id, :config, 1, 'finished', 1, 's', false, 1, 1, false, 60, 3, 0, 0, 0, :evaluation)"),
            {"run_id": TINY.run_id, "config": config, "evaluation": json.dumps(asdict(EVALUATION))})
        for values in ("progress VALUES (:run_id, 60, 1.5, 0.5, 3, '[]')",
                       "watchers VALUES (:run_id, 'my browser', 1)"):
            connection.execute(text(f"INSERT INTO {values}"), {"run_id": TINY.run_id})
    with closing(Store(fresh_url)) as store:
        page = store.runs.find(Wanted(visitor="my browser", only_own=True, variants=["encoder_decoder"], sort="loss"))
        assert page.total == 1
        assert page.runs[0].run.evaluation == EVALUATION
        assert page.runs[0].run.loss == 1.5
        with store.database.read() as connection:
            assert connection.execute(select(RUNS.c.family, RUNS.c.window_accuracy)).all() == [(TINY.family, 0.5)]
