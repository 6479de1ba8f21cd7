"""The command `train`, as scripts and people meet it. What trains here is tiny."""

import re
from dataclasses import replace
from unittest import mock

import pytest

from echo_core.cli.training import how_it_goes
from echo_core.config import RunConfig
from echo_core.records import Checkpoint, Progress, State
from echo_core.store.runs import Runs
from tests.helpers.command import LAST_FIELDS, TINY, TINY_CONFIG, echo_core, objects

PROGRESS_FIELDS = ["epoch", "loss", "accuracy", "seconds"]
pytestmark = pytest.mark.usefixtures("environment")


#: One of each variant, cell, task and way, as people would ask for them.
ASKED_FOR = [
    "variant=padded output_length=2", "variant=attention output_length=2 cell=gru", "variant=no_memory",
    "variant=one_to_one output_length=2 cell=simple_rnn", "variant=many_to_one output_length=3 representation=linear",
    "variant=encoder_decoder task=reverse echo_start=1 output_length=2 schedule=cosine clip_norm=1",
    *(pytest.param(settings, marks=pytest.mark.slow) for settings in (
        "variant=attention output_length=2 missing=mask batch_size=13", "missing=mask batch_size=29",
        "stateful=false batch_size=1"))]


@pytest.mark.parametrize("settings", ASKED_FOR)
def test_what_makes_sense_is_trained_and_judged(settings):
    wanted = [word for setting in settings.split() for word in ("--set", setting)]
    result = echo_core("train", "--no-store", "--json", "--set", "units=4", "--set", "epochs=2", *wanted)
    assert (result.exit_code, result.stderr) == (0, "")
    last = objects(result.stdout)[-1]
    assert (last["state"], last["judged_on"], last["epochs"]) == ("finished", "unseen", 2)
    assert last["windows"] >= 2000


def test_pairs_of_a_file_are_learnt_and_judged_on_themselves(tmp_path):
    (tmp_path / "pairs.txt").write_text("how are you ? => i'm fine\nwho ? => me\n", encoding="utf-8-sig")
    result = echo_core("train", "--no-store", "--json", "--preset", "pairs", "--text", str(tmp_path / "pairs.txt"),
                       "--set", "epochs=150")
    assert (result.exit_code, result.stderr) == (0, "")
    last = objects(result.stdout)[-1]
    assert (last["window_accuracy"], last["windows"], last["judged_on"]) == (1.0, 2, "training")


def test_a_table_is_learnt_and_what_was_left_out_of_it_is_said(tmp_path):
    (tmp_path / "cards.csv").write_text("question;answer\nhow are you ?;fine\nwho ?;me\n", encoding="utf-8-sig")
    result = echo_core("train", "--no-store", "--json", "--preset", "pairs", "--text", str(tmp_path / "cards.csv"),
                       "--set", "epochs=1")
    assert (result.exit_code, objects(result.stdout)[-1]["windows"]) == (0, 2)
    assert result.stderr == ("Line 1 of the file was taken for a heading and left out. "
                             "If it is a pair, move it further down.\n")


def test_json_is_a_line_for_each_record_and_last_of_each_seed_what_it_can_do(store):
    result = echo_core("train", *TINY, "--set", "seed=5", "--repeat", "2", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = objects(result.stdout)
    lasts = [line for line in lines if "state" in line]
    assert all(list(line) == PROGRESS_FIELDS for line in lines if "state" not in line)
    assert [line["epoch"] for line in lines if "state" not in line] == [0, 1, 2, 3] * 2
    assert [list(line) for line in lasts] == [LAST_FIELDS] * 2
    for seed, line in zip((5, 6), lasts, strict=True):
        assert line["run_id"] == TINY_CONFIG.model_copy(update={"seed": seed}).run_id
        assert (line["state"], line["epochs"], line["judged_on"]) == ("finished", 3, "unseen")
        assert line["windows"] >= 2000
        assert 0 <= line["window_accuracy"] <= line["token_accuracy"] <= 1
        assert line["seconds"] > 0
    assert lasts[0]["fingerprint"] != lasts[1]["fingerprint"]


def test_a_trained_run_is_in_the_store_and_is_trained_again_all_the_same_to_compare(store):
    first = objects(echo_core("train", *TINY, "--json").stdout)[-1]
    row = store.runs.get(TINY_CONFIG.run_id)
    assert (row.state, row.epoch, row.fingerprint) == (State.FINISHED, 3, first["fingerprint"])
    again = echo_core("train", *TINY, "--json")
    assert again.exit_code == 0
    assert again.stderr == "The store had this run already, with the same fingerprint.\n"
    assert objects(again.stdout)[-1]["fingerprint"] == first["fingerprint"]
    assert store.runs.get(TINY_CONFIG.run_id) == row


def test_a_run_that_came_out_otherwise_than_before_is_warned_of(store):
    echo_core("train", *TINY)
    row = store.runs.get(TINY_CONFIG.run_id)
    other = mock.Mock(wraps=row, fingerprint="0" * 64, threads=row.threads + 1)
    with mock.patch.object(Runs, "get", return_value=other):
        result = echo_core("train", *TINY, "--json")
    assert "ANOTHER fingerprint" in result.stderr
    assert f"trained on {row.threads + 1} threads, this on {row.threads}" in result.stderr


def test_without_store_nothing_is_kept(store):
    result = echo_core("train", *TINY, "--no-store")
    assert result.exit_code == 0
    assert store.runs.newest() == []


def test_without_json_there_is_a_summary_in_words(store):
    result = echo_core("train", *TINY, "--repeat", "2")
    assert result.exit_code == 0
    first, judged, fingerprint, *_, mean = result.stdout.splitlines()
    assert first.startswith(f"Run {TINY_CONFIG.run_id} finished after 3 epochs and ")
    assert judged.startswith("Of 2,016 unseen windows ")
    assert fingerprint == f"Fingerprint {store.runs.get(TINY_CONFIG.run_id).fingerprint}"
    assert mean.startswith("2 seeds: windows right ")


def test_time_left_is_told_by_the_speed_since_compiling():
    config = RunConfig(epochs=1000)
    def at(epoch, seconds):
        return Progress(epoch, 1.5, 0.25, seconds, (), Checkpoint(epoch, epoch, ()))
    compiled = at(1, 30.0)
    assert how_it_goes(compiled, compiled, config) == "loss 1.500, accuracy 0.250"
    assert how_it_goes(at(101, 31.0), compiled, config) == "loss 1.500, accuracy 0.250, 9 s left"
    assert how_it_goes(at(1000, 40.0), compiled, config) == "loss 1.500, accuracy 0.250"


def test_a_run_that_is_under_way_elsewhere_is_trained_here_but_not_kept(store):
    ticket = store.queue.take(TINY_CONFIG, worker="somebody else")
    result = echo_core("train", *TINY, "--json")
    assert result.exit_code == 0
    assert "under way elsewhere" in result.stderr
    assert objects(result.stdout)[-1]["state"] == "finished"
    assert store.runs.get(TINY_CONFIG.run_id).attempt == ticket.attempt


def test_a_loss_that_is_no_number_is_null_as_json_knows_no_nan():
    from echo_core.training import train

    def diverging(config, checkpoint=None, until=None):
        return (replace(progress, loss=float("nan"), milestones=()) for progress in train(config))

    with mock.patch("echo_core.training.train", diverging):
        result = echo_core("train", *TINY, "--json", "--no-store")
    assert [line["loss"] for line in objects(result.stdout)[:-1]] == [None] * 3


DIVERGES = ["cell=simple_rnn", "vocab_size=10", "sequence_length=64", "input_length=60", "output_length=60",
            "units=100", "batch_size=5", "learning_rate=1", "epochs=200", "seed=1"]
DIVERGING_ARGUMENTS = [argument for setting in DIVERGES for argument in ("--set", setting)]


@pytest.mark.parametrize("where", [[], ["--no-store"]], ids=["stored", "not stored"])
def test_a_run_that_diverges_fails_with_its_epoch_and_what_to_try(store, where):
    result = echo_core("train", *DIVERGING_ARGUMENTS, "--json", *where)
    assert result.exit_code == 1
    *records, last = objects(result.stdout)
    assert None not in [record["loss"] for record in records]
    reason = last["notes"][0]["text"]
    assert result.stderr == f"Error: the run failed. {reason}\n"
    assert re.match(r"Training diverged in epoch \d+: .* Try clip_norm=1 or a lower learning_rate", reason)
    assert (last["state"], last["epochs"], last["notes"][0]["kind"]) == ("failed", records[-1]["epoch"], "diverged")
    assert last["token_accuracy"] is last["window_accuracy"] is last["windows"] is None
    if not where:
        row, kept = store.runs.get(last["run_id"]), store.progress.checkpoint(last["run_id"])
        assert (row.state, row.reason, row.evaluation) == (State.FAILED, reason, None)
        assert kept.is_finite
        assert kept.fingerprint == row.fingerprint == last["fingerprint"]
        assert objects(echo_core("runs", "--json").stdout)[0]["notes"] == last["notes"]
        again = echo_core("resume", last["run_id"], "--json")
        assert (again.exit_code, objects(again.stdout)[-1]["fingerprint"]) == (1, last["fingerprint"])


def test_one_seed_that_diverges_does_not_keep_the_others_from_being_trained(store):
    result = echo_core("train", *DIVERGING_ARGUMENTS, "--repeat", "2", "--json")
    first, second = [line["state"] for line in objects(result.stdout) if "state" in line]
    assert first == "failed"
    assert second in ("failed", "finished")  # gradients that overflow do so on one kind of processor and not on another
    begins = {"failed": "Error: 2 runs failed. Seed 1: ", "finished": "Error: the run failed. "}[second]
    assert result.stderr.startswith(f"{begins}Training diverged in epoch ")
    assert result.exit_code == 1


def test_contradictory_pairs_are_named_before_training_and_after_it(store, tmp_path):
    (tmp_path / "pairs.txt").write_text("a => b\na => c\nd => e\n")
    result = echo_core("train", "--preset", "pairs", "--text", str(tmp_path / "pairs.txt"), "--set", "epochs=2",
                       "--set", "units=4")
    assert result.exit_code == 0
    words = 'The pairs contradict each other: "a" has two answers, "b" and "c". No network can learn both'
    assert result.stderr.startswith(f"Note: {words}")
    assert words in result.stdout


def test_a_network_that_says_the_same_to_everything_is_named_in_words_and_in_json(store):
    arguments = ["train", "--set", "variant=padded", "--set", "output_length=1", "--set", "units=2", "--set",
                 "vocab_size=10", "--set", "epochs=100", "--set", "learning_rate=0.03"]
    assert "the same answer for every window, which alone scores 0.0 % of windows." in echo_core(*arguments).stdout
    last = objects(echo_core(*arguments, "--json").stdout)[-1]
    assert [note["kind"] for note in last["notes"]] == ["same_answer"]
