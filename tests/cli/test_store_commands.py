"""The commands `runs`, `resume` and `delete`, on the store of the runs."""


import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from tests.helpers.command import LAST_FIELDS, TINY, TINY_CONFIG, echo_core, objects

pytestmark = pytest.mark.usefixtures("environment")


def test_runs_of_an_empty_store_say_how_to_begin(store):
    assert echo_core("runs").stdout == "No runs yet. Try `python -m echo_core train --preset quick`.\n"
    assert echo_core("runs", "--json").stdout == ""


def test_runs_lists_the_store_newest_first(store):
    for config in (PRESETS["partial"].config, RunConfig(units=8, seed=4)):
        store.queue.request(config)
    table = echo_core("runs").stdout.splitlines()
    assert table[0].split() == ["run", "state", "epochs", "windows", "seconds", "settings"]
    assert [line.split()[:2] for line in table[1:]] == [
        [RunConfig(units=8, seed=4).run_id, "queued"], [PRESETS["partial"].config.run_id, "queued"]]
    assert table[1].endswith("whole, units=8, seed=4")
    assert table[2].endswith("partial, seed 0")
    newest = objects(echo_core("runs", "--json").stdout)[0]
    assert list(newest)[:len(LAST_FIELDS)] == LAST_FIELDS
    assert RunConfig(**newest["config"]) == RunConfig(units=8, seed=4)


def test_resuming_what_is_not_there_is_refused(store):
    result = echo_core("resume", "0123456789abcdef")
    assert (result.exit_code, result.stderr) == (
        2, "Error: there is no run 0123456789abcdef in the store. Try `runs`, which lists them.\n")


def test_resuming_what_is_under_way_is_refused(store):
    store.queue.take(TINY_CONFIG, worker="somebody else")
    result = echo_core("resume", TINY_CONFIG.run_id)
    assert result.exit_code == 2
    assert "is under way already" in result.stderr


def test_resuming_what_is_finished_shows_it(store):
    trained = objects(echo_core("train", *TINY, "--json").stdout)[-1]
    assert objects(echo_core("resume", TINY_CONFIG.run_id, "--json").stdout) == [trained]


def test_run_trained_longer_goes_on_from_where_it_was_and_equals_one_trained_at_once(store):
    trained = objects(echo_core("train", *TINY, "--json").stdout)[-1]
    longer = objects(echo_core("resume", TINY_CONFIG.run_id, "--epochs", "8", "--json").stdout)
    at_once = objects(echo_core("train", *TINY[:4], "--set", "epochs=8", "--no-store", "--json").stdout)[-1]
    assert longer[0]["epoch"] == 4
    assert (longer[-1]["fingerprint"], longer[-1]["run_id"]) == (at_once["fingerprint"], at_once["run_id"])
    assert longer[-1]["seconds"] > trained["seconds"]
    assert [row.epoch for row in store.progress.history(at_once["run_id"])][:2] == [0, 1]
    assert store.runs.get(trained["run_id"]).epoch == 3
    assert objects(echo_core("resume", TINY_CONFIG.run_id, "--epochs", "8", "--json").stdout) == longer[-1:]


def test_run_is_not_trained_longer_to_less_or_along_a_cosine(store):
    echo_core("train", *TINY)
    result = echo_core("resume", TINY_CONFIG.run_id, "--epochs", "2")
    assert (result.exit_code, result.stderr) == (
        2, f"Error: epochs must be more than the 3 that run {TINY_CONFIG.run_id} has trained, because it is the new "
           "total; received 2. Try epochs=1003.\n")
    config = TINY_CONFIG.model_copy(update={"schedule": "cosine"})
    store.queue.take(config, worker="somebody else")
    result = echo_core("resume", config.run_id, "--epochs", "5")
    assert result.exit_code == 2


def test_operator_deletes_a_run_for_good_but_not_one_under_way(store):
    echo_core("train", *TINY)
    running = TINY_CONFIG.model_copy(update={"seed": 1})
    store.queue.take(running, worker="somebody else")
    result = echo_core("delete", TINY_CONFIG.run_id, running.run_id, "--yes")
    assert result.stdout.splitlines() == [
        f"Deleted {TINY_CONFIG.run_id}.", f"Left {running.run_id}, which is under way. Stop it first."]
    store.runs.bring_back([TINY_CONFIG.run_id])
    assert store.runs.get(TINY_CONFIG.run_id) is None
    assert echo_core("delete", TINY_CONFIG.run_id, "--yes").exit_code == 2
