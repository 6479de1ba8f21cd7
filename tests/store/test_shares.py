"""What one visitor may have of a hosted copy: runs under way, runs an hour, megabytes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import insert, select, update

from echo_core import engine as engines
from echo_core.engine import Engine
from echo_core.records import State
from echo_core.settings import LimitExceeded, Limits, QueueFull, Settings, Share
from echo_core.store import Store
from echo_core.store.schema import REQUESTS, RUNS, now
from echo_core.studies.running import LOOK_SECONDS, Runner, pause, standing, top_up
from echo_core.studies.study import Axis, Study
from tests.helpers.samples import EVALUATION, TINY, checkpoint, config, progress
from tests.helpers.waiting import until

MB = 2**20
Lab = Callable[..., Engine]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Makes an engine without workers, of a hosted copy unless a test says otherwise."""
    monkeypatch.setattr(engines, "Dispatcher", Mock())
    opened: list[Engine] = []

    def make(hosted: bool = True, **limits: int) -> Engine:
        settings = Settings(DATABASE_URL=f"sqlite:///{tmp_path / f'{len(opened)}.db'}", workers=1, hosted=hosted)
        opened.append(Engine(settings, Limits(**{"max_queue_per_visitor": 100, **limits})))
        return opened[-1]

    yield make
    for engine in opened:
        engine.close()


def keep(store: Store, run_id_of: str, megabytes: float, session: str) -> str:
    """A finished run of somebody whose curves take so much."""
    wanted = config(int(run_id_of))
    ticket = store.queue.take(wanted, "w", session, session)
    store.attempts.append(ticket, progress(3))
    store.attempts.pause(ticket, checkpoint(3))
    with store.database.write() as connection:
        connection.execute(update(RUNS).where(RUNS.c.run_id == wanted.run_id).values(
            size=int(megabytes * MB), session=session))
    return wanted.run_id


def test_runs_that_train_count_as_those_that_wait(lab: Lab):
    engine = lab(max_active_per_visitor=3)
    for number in range(3):
        engine.submit(config(number), holder="greedy")
        engine.store.queue.claim(f"w{number}")
    with pytest.raises(QueueFull, match=r"3 of your runs are under way already, and this host lets each visitor have 3 "
                                        r".*Try again in (a moment|about \d+ \w+): then the next one ends\."):
        engine.submit(config(3), holder="greedy")
    engine.submit(config(0), holder="greedy")  # joins its own
    engine.submit(config(3), holder="modest")
    engine.submit(config(4))  # a program


def test_a_visitor_who_has_used_up_the_hour_is_told_when_a_part_of_it_is_over(lab: Lab):
    engine = lab(max_hourly_per_visitor=3)
    with engine.store.database.write() as connection:
        for minutes in (59, 50, 20):
            connection.execute(insert(REQUESTS).values(visitor="busy", asked_at=now() - 60 * minutes))
    with pytest.raises(QueueFull, match=r"3 runs within the last hour, and this host lets each visitor ask for 3 "
                                        r".*Try again in about (59|60) seconds: then the hour of one of them is over"):
        engine.submit(config(0), holder="busy")
    assert engine.store.runs.get(config(0).run_id) is None
    engine.submit(config(0), holder="idle")
    engine.submit(config(0), holder="busy")  # joining trains nothing


def test_every_way_of_having_a_run_trained_counts_and_looking_at_one_does_not(lab: Lab):
    engine = lab(max_hourly_per_visitor=3)
    run_id = engine.submit(config(0), holder="a")
    engine.stop(run_id, "a")
    engine.submit(config(0), holder="a")  # goes on
    ticket = engine.store.queue.claim("w")
    engine.store.attempts.fail(ticket, "ValueError: x")
    engine.submit(config(0), holder="a")  # tries again
    engine.submit(config(0), holder="a")  # is under way
    with pytest.raises(QueueFull, match="3 runs within the last hour"):
        engine.submit(config(1), holder="a")


def test_hours_that_are_over_leave_no_row(lab: Lab):
    engine = lab(max_hourly_per_visitor=2)
    with engine.store.database.write() as connection:
        connection.execute(insert(REQUESTS).values(visitor="of yesterday", asked_at=now() - 86_400))
    engine.submit(config(0), holder="a")
    with engine.store.database.read() as connection:
        assert connection.scalars(select(REQUESTS.c.visitor)).all() == ["a"]


def test_two_tabs_cannot_both_have_the_last_run(store: Store):
    """On both databases, with a connection for each tab."""
    share, outcomes, ready = Share(under_way=3, an_hour=4), [], threading.Barrier(8)

    def ask(number: int) -> None:
        ready.wait()
        try:
            store.queue.request(config(number), "a", "a", share=share)
            outcomes.append("accepted")
        except QueueFull:
            outcomes.append("refused")

    tabs = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join(60)
    assert sorted(outcomes) == ["accepted"] * 3 + ["refused"] * 5
    assert len(store.queue.use("a").ages) == 3


def test_space_is_for_each_visitor_and_old_runs_make_room(lab: Lab):
    engine = lab(max_mb_per_visitor=10)
    kept = keep(engine.store, "0", 9.9, "full")
    use, share = engine.store.queue.use("full"), Share(megabytes=5)
    assert use.movable == use.kept
    with pytest.raises(QueueFull, match=r"Your runs take 10 MB of this host, and it keeps 5 MB of each visitor "
                                        r"\(ECHO_MAX_MB_PER_VISITOR\)\."):
        share.check(use)
    engine.submit(config(1), holder="another")
    engine.store.upkeep.evict_shares(5 * MB)
    assert engine.store.progress.history(kept) == []
    share.check(engine.store.queue.use("full"))


def test_a_visitor_whose_named_runs_fill_the_space_is_sent_to_a_copy_of_their_own(lab: Lab):
    store = lab().store
    store.runs.rename(keep(store, "0", 9.9, "full"), "mine", "full")
    with pytest.raises(LimitExceeded, match=r"of each visitor \(ECHO_MAX_MB_PER_VISITOR\)\. Try your own copy"):
        Share(megabytes=5).check(store.queue.use("full"))


def test_a_visitor_whose_weights_can_go_comes_back_in_a_minute(lab: Lab):
    engine = lab()
    keep(engine.store, "0", 0, "full")
    use = engine.store.queue.use("full")
    with pytest.raises(QueueFull) as refused:
        Share(megabytes=0).check(replace(use, movable=use.kept + 1))
    assert "your oldest runs have made room" in refused.value.then
    assert refused.value.seconds == 60


def test_the_keeper_makes_room_for_visitors_of_a_hosted_copy(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engines, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(engines, "TIDY_SECONDS", 0.1)
    engine = lab(max_mb_per_visitor=1)
    run_id = keep(engine.store, "0", 1.1, "full")
    until(lambda: engine.store.queue.use("full").kept < MB)
    assert engine.store.progress.checkpoint(run_id) is not None  # its curves took the space


def test_a_copy_of_ones_own_has_no_limit_but_the_queue(lab: Lab):
    engine = lab(hosted=False, max_active_per_visitor=1, max_hourly_per_visitor=1, max_mb_per_visitor=1)
    keep(engine.store, "9", 2.0, "me")
    for number in range(3):
        engine.submit(config(number), holder="me")


def test_a_study_has_its_runs_of_the_hour_and_then_waits(lab: Lab):
    engine = lab(max_hourly_per_visitor=2)
    study = Study(TINY, (Axis("units", (4, 6)),), seeds=3)
    engine.store.studies.ask(study.study_id, study.to_json(), "ada")
    for _ in range(3):
        assert not top_up(study, engine, "ada")
    runs = engine.store.runs.of([trial.config.run_id for trial in study.trials()])
    assert len(runs) == 2
    with pytest.raises(QueueFull):
        engine.submit(config(99), holder="ada")
    assert "Try again in about 60 minutes" in engine.study_refusal("ada")
    assert engine.study_refusal("eve") is None


def test_a_study_that_has_no_room_for_more_runs_waits_and_says_why(lab: Lab):
    engine = lab(max_mb_per_visitor=1)
    named = keep(engine.store, "9", 2.0, "ada")
    engine.store.runs.rename(named, "mine", "ada")
    study = Study(TINY, (Axis("units", (4, 6)),), seeds=3)
    engine.store.studies.ask(study.study_id, study.to_json(), "ada")
    with pytest.raises(LimitExceeded, match="Try your own copy, which has room"):
        top_up(study, engine, "ada")
    engine.connect("ada")
    with closing(Runner(engine)):
        time.sleep(3 * LOOK_SECONDS)
    assert engine.store.studies.get(study.study_id).is_wanted
    assert "Try your own copy, which has room" in engine.study_refusal("ada")


def test_a_run_that_trained_as_long_as_the_host_allows_keeps_no_study_from_its_end(lab: Lab):
    engine = lab(hosted=False, max_seconds=10)
    study = Study(TINY, (Axis("units", (4, 6)),), seeds=1)
    slow, other = (trial.config for trial in study.trials())
    ticket = engine.store.queue.take(slow, "w")
    engine.store.attempts.append(ticket, progress(3, seconds=11.0))
    engine.store.attempts.pause(ticket, checkpoint(3), "This host trains a run for at most 10 seconds.")
    assert not top_up(study, engine)
    assert [run.run_id for run in engine.store.runs.active().values()] == [other.run_id]
    ticket = engine.store.queue.claim("w")
    engine.store.attempts.finish(ticket, checkpoint(60), EVALUATION)
    assert top_up(study, engine)
    now_is = standing(study, engine.store)
    assert (now_is.ended, now_is.is_done, now_is.paused_why) == (
        1, False, "This host trains a run for at most 10 seconds.")


def test_a_study_of_more_runs_than_the_host_allows_is_refused():
    Limits(max_study_runs=20).check_study(20)
    with pytest.raises(LimitExceeded, match=r"at most 20 runs on this host \(ECHO_MAX_STUDY_RUNS\); received 21"):
        Limits(max_study_runs=20).check_study(21)


def test_a_stranger_who_asks_the_same_can_not_end_the_study_of_another(lab: Lab):
    engine = lab()
    study = Study(TINY, (Axis("units", (4, 6)),), seeds=1)
    for visitor in ("ada", "eve"):
        engine.store.studies.ask(study.study_id, study.to_json(), visitor)
    top_up(study, engine, "ada")
    pause(study, engine, "eve")
    pause(study, engine, "a stranger with the link")
    runs = engine.store.runs.of([trial.config.run_id for trial in study.trials()]).values()
    assert {run.state for run in runs} == {State.QUEUED}
    assert engine.store.studies.get(study.study_id).holders == ("ada",)
    pause(study, engine, "ada")
    runs = engine.store.runs.of([trial.config.run_id for trial in study.trials()]).values()
    assert {run.state for run in runs} == {State.PAUSED}
