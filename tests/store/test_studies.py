"""Studies in the store, and the place of their runs behind those of people."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import select, text

from echo_core.records import State
from echo_core.store import migrations
from echo_core.store.runs import Wanted
from echo_core.store.schema import MOMENTS
from tests.helpers.samples import EVALUATION, TINY, checkpoint


def numbered(seed: int):
    return TINY.model_copy(update={"seed": seed})


def test_a_study_is_held_until_it_rests_and_can_be_asked_for_again(store):
    store.studies.ask("one", "{}", "ada")
    store.studies.ask("two", "{}", "bob")
    assert [row.study_id for row in store.studies.held(["ada", "bob", "eve"])] == ["one", "two"]
    store.studies.rest("one")
    assert store.studies.held(["ada"]) == []
    assert (store.studies.get("one").holders, store.studies.get("one").visitors) == ((), ("ada",))
    store.studies.ask("one", "{}", "ada")
    assert [row.study_id for row in store.studies.held(["bob", "ada"])] == ["two", "one"]
    assert {row.study_id for row in store.studies.newest()} == {"one", "two"}
    store.studies.forget("one")
    assert store.studies.get("one") is None


def test_two_who_ask_for_the_same_study_share_it_and_neither_ends_it_for_the_other(store):
    store.studies.ask("one", "{}", "ada")
    store.studies.ask("one", "{}", "eve")
    assert store.studies.get("one").holders == ("ada", "eve")
    store.studies.rest("one", "eve")
    store.studies.rest("one", "somebody who has not asked")
    assert [row.study_id for row in store.studies.held(["ada"])] == ["one"]
    assert store.studies.held(["eve"]) == []
    store.studies.forget("one", "eve")
    store.studies.forget("one", "somebody who has not asked")
    assert store.studies.newest("eve") == []
    assert [row.holders for row in store.studies.newest("ada")] == [("ada",)]
    store.studies.forget("one", "ada")
    assert store.studies.get("one") is None


def test_a_run_that_somebody_asks_for_comes_before_all_runs_of_studies(store):
    for seed in range(3):
        store.queue.request(numbered(seed), "study-a", "ada", background=True)
    store.queue.request(numbered(9), "bob", "bob")
    assert store.queue.order()[0] == numbered(9).run_id
    assert store.queue.claim("w").run_id == numbered(9).run_id


def test_a_run_of_a_study_that_lost_its_worker_still_waits_behind_people(store):
    store.queue.request(numbered(0), "study-a", "ada", background=True)
    ticket = store.queue.claim("w")
    store.queue.lose(ticket)
    store.queue.request(numbered(1), "bob", "bob")
    assert store.queue.order() == [numbered(1).run_id, numbered(0).run_id]


def test_a_study_run_that_somebody_presses_train_for_becomes_theirs(store):
    for seed in range(2):
        store.queue.request(numbered(seed), "study-a", "ada", background=True)
    store.queue.request(numbered(1), "bob", "bob")
    assert store.queue.order() == [numbered(1).run_id, numbered(0).run_id]
    assert [each.run.run_id for each in store.runs.find(Wanted()).runs] == [numbered(1).run_id]
    listed = store.runs.find(Wanted(studies=True))
    assert (listed.total, {each.run.run_id for each in listed.runs}) == (2, {numbered(0).run_id, numbered(1).run_id})


def test_a_finished_study_run_is_listed_once_somebody_asks_for_it(store):
    store.queue.request(numbered(0), "study-a", "ada", background=True)
    ticket = store.queue.claim("w")
    store.attempts.start(ticket, threads=1)
    store.attempts.finish(ticket, checkpoint(TINY.epochs), EVALUATION)
    assert store.runs.find(Wanted()).total == 0
    store.queue.request(numbered(0), "bob", "bob")
    assert store.runs.find(Wanted()).total == 1


def test_a_run_of_somebody_stays_theirs_when_a_study_needs_it(store):
    store.queue.request(numbered(0), "bob", "bob")
    store.queue.request(numbered(0), "study-a", "ada", background=True)
    assert store.runs.find(Wanted()).total == 1


def test_runs_of_studies_keep_no_moments(store):
    for seed, background in enumerate((True, False)):
        store.queue.request(numbered(seed), "s", "ada", background=background)
        ticket = store.queue.claim("w")
        store.attempts.start(ticket, threads=1)
        store.attempts.finish(ticket, checkpoint(TINY.epochs), EVALUATION)
        assert store.runs.get(ticket.run_id).state is State.FINISHED
    with store.database.read() as connection:
        assert list(connection.scalars(select(MOMENTS.c.run_id))) == [numbered(1).run_id]


def test_many_runs_are_read_at_once(store):
    ids = [store.queue.request(numbered(seed), "s", "ada") for seed in range(5)]
    found = store.runs.of([*ids, "unknown"])
    assert set(found) == set(ids)
    assert found[ids[3]] == store.runs.get(ids[3])
    assert store.runs.of([]) == {}


def test_studies_of_an_older_store_stay_with_whoever_asked_for_them(store):
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with store.database.write() as connection:
        alembic.attributes["connection"] = connection
        command.downgrade(alembic, "0003")
        into = "INSERT INTO studies (study_id, spec, created_at, asked_at, visitor, holder) VALUES "
        connection.execute(text(into + "('wanted', '{}', 1, 2, 'ada', 'ada'), ('paused', '{}', 1, 3, 'ada', NULL), "
                                "('taken', '{}', 1, 4, 'ada', 'eve')"))
    with store.database.write() as connection:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "head")
    found = {row.study_id: (row.visitors, row.holders) for row in store.studies.newest()}
    assert found == {"wanted": (("ada",), ("ada",)), "paused": (("ada",), ()), "taken": (("ada", "eve"), ("eve",))}
