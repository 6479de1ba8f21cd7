"""The command line as scripts and people meet it. What trains here is tiny."""

import io
import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from echo_core import tables
from echo_core.cli.training import how_it_goes
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.evaluation import answer
from echo_core.evaluation.scores import take_snapshot
from echo_core.records import Checkpoint, Progress, State
from echo_core.store.progress import ProgressOfRuns
from echo_core.store.runs import Runs
from echo_core.workers.attempt import records_of
from tests.helpers.command import command_store, echo_core
from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
TINY = ["--set", "units=4", "--set", "vocab_size=10", "--set", "epochs=3"]
TINY_CONFIG = RunConfig(units=4, vocab_size=10, epochs=3)
PROGRESS_FIELDS = ["epoch", "loss", "accuracy", "seconds"]
LAST_FIELDS = ["state", "run_id", "epochs", "token_accuracy", "window_accuracy", "windows", "judged_on", "seconds",
               "fingerprint", "notes"]


pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def store(tmp_path, environment):
    with command_store(tmp_path) as opened:
        yield opened


def objects(stdout):
    return [json.loads(line) for line in stdout.splitlines()]


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "line"), [
    (["--preset", "hole"], f"preset must be one of {', '.join(PRESETS)}; received hole."),
    (["--set", "units=0"], "units must be at least 1; received 0. Try units=20."),
    (["--set", "units=0", "--set", "epochs=x"],
     "units must be at least 1; received 0. Try units=20. epochs must be a whole number; received x. Try epochs=500."),
    (["--set", "neurons=5"], f"neurons is not a setting. Try one of {', '.join(RunConfig.model_fields)}."),
    (["--set", "units"], "a setting must be FIELD=VALUE; received units. Try units=64."),
    (["--preset", "partial", "--set", "batch_size=6"],
     "batch_size must divide the 21 windows of an epoch, because a compiled epoch needs equal batches; received 6. "
     "Try one of [1, 3, 7, 21]."),
    (["--set", "units=2000"],
     "units must be at most 1024 on this host (ECHO_MAX_UNITS); received 2000. Try units=1024, or run your own copy."),
    (["--set", f"seed={2**31 - 1}", "--repeat", "2"],
     "seed must be less than 2147483648; received 2147483648. Try seed=0."),
    (["--repeat", "0"], "Invalid value for '--repeat': 0 is not in the range x>=1."),
    (["--zzz"], "No such option '--zzz'."),
    (["--set", "output_length=2"],
     "output_length must equal input_length (5) for variant whole, because it answers at every timestep that it reads; "
     "received 2. Try output_length=5, or variant=encoder_decoder."),
    (["--set", "task=reverse"],
     "task cannot be reverse with variant=whole, because it answers while it still reads, and would have to say "
     "numbers that it has not read yet. Try task=echo, or variant=encoder_decoder."),
    (["--preset", "attention_20", "--set", "representation=linear"],
     "representation cannot be linear with variant=attention, because the question whether scaled numbers are enough "
     "is put to the tutorial's own networks. Try representation=one_hot, or variant=encoder_decoder."),
    (["--set", "task=pairs", "--set", "variant=attention"],
     'text must have the pairs that task pairs learns; received an empty text. '
     'Try text="how are you ? => i\'m fine", a pair a line.'),
    (["--preset", "pairs", "--set", "text=how are you ?"],
     "text must have a pair a line, question => answer, with words on both sides; received 'how are you ?' in line 1. "
     'Try "how are you ? => i\'m fine".'),
    (["--set", "units=8", "--set", "epochs=2", "--set", "units=9"],
     "units must be set once; received 8 and 9. Try only the one that you mean."),
    (["--preset", "quick", "--preset=partial"],
     "--preset must be given once; received 2 of it. Try only the one that you mean."),
    (["--set", "text= "], "text must have words; received only blanks. Try words of your own, or no text at all."),
    (["--preset", "pairs", "--set", "vocab_size=7"],
     "vocab_size must be 59 with this text, because it follows from its words; received 7. Try vocab_size=59."),
])
def test_bad_settings_get_one_clear_line_and_status_2(arguments, line):
    result = echo_core("train", "--no-store", *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {line}\n")


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


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xfe\x00")
    result = echo_core("train", "--preset", "pairs", "--text", str(tmp_path / "pairs.txt"))
    assert result.exit_code == 2
    assert result.stderr == "Error: text must be a file in UTF-8; this one is not. Save it as UTF-8 and try again.\n"


@pytest.mark.parametrize(("content", "settings", "line"), [
    (" \n\n", [], "text must be a file with words; received a blank one. Try another file, or none."),
    ("a" + "é" * 8_998 + " b\n", [], "text must have at most 4,096 bytes; received 18,000. Try a shorter one."),
    ("é => b\n" * 2_000, ["task=pairs", "variant=attention"],
     "text must have at most 4,096 bytes; received 16,000. Try a shorter one."),
    ("aé " * 300_000, [], "text must have at most 4,096 bytes; received 1,200,000. Try a shorter one."),
    ("a b", ["text=a b c"], "text must be given once; received --text and --set text=…. Try one of them."),
])
def test_a_text_that_cannot_be_learnt_is_refused_with_its_size(tmp_path, content, settings, line):
    (tmp_path / "words.txt").write_text(content, encoding="utf-8")
    result = echo_core("train", "--text", str(tmp_path / "words.txt"), *[w for s in settings for w in ("--set", s)])
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {line}\n")


def test_the_size_of_a_pipe_without_an_end_is_said_as_far_as_it_was_read():
    pipe = subprocess.Popen(["yes", "é"], stdout=subprocess.PIPE)
    command = [sys.executable, "-m", "echo_core", "train", "--text", "-"]
    result = subprocess.run(command, stdin=pipe.stdout, capture_output=True, cwd=ROOT, text=True, timeout=PATIENCE)
    pipe.kill()
    pipe.communicate()
    assert (result.returncode, result.stderr) == (2, "Error: text must have at most 4,096 bytes; received more than "
                                                     "1,000,000. Try a shorter one.\n")


def test_a_table_is_learnt_and_what_was_left_out_of_it_is_said(tmp_path):
    (tmp_path / "cards.csv").write_text("question;answer\nhow are you ?;fine\nwho ?;me\n", encoding="utf-8-sig")
    result = echo_core("train", "--no-store", "--json", "--preset", "pairs", "--text", str(tmp_path / "cards.csv"),
                       "--set", "epochs=1")
    assert (result.exit_code, objects(result.stdout)[-1]["windows"]) == (0, 2)
    assert result.stderr == ("Line 1 of the file was taken for a heading and left out. "
                             "If it is a pair, move it further down.\n")


def test_a_limit_of_the_host_is_refused_before_anything_is_trained(environment):
    environment["ECHO_MAX_EPOCHS"] = "400"
    result = echo_core("train", "--preset", "whole")
    assert result.exit_code == 2
    assert result.stderr == ("Error: epochs must be at most 400 on this host (ECHO_MAX_EPOCHS); received 500. "
                             "Try epochs=400, or run your own copy.\n")


def test_a_bad_environment_is_named_as_such(environment):
    environment["ECHO_THREADS"] = "0"
    result = echo_core("runs")
    assert (result.exit_code, result.stderr) == (
        2, "Error: in the environment (ECHO_…): threads must be at least 1; received 0.\n")


def test_a_store_that_cannot_be_opened_is_said_in_one_line(environment):
    environment["DATABASE_URL"] = "nonsense"
    result = echo_core("runs")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: DATABASE_URL is not a database's URL.")
    assert result.stderr.count("\n") == 1


# --- training ------------------------------------------------------------------------------------


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


# --- the store -----------------------------------------------------------------------------------


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
    assert "schedule=cosine cannot be extended" in result.stderr


# --- taking a run away ---------------------------------------------------------------------------


FILES = ["model.keras", "model_stateful.keras", "weights.npz", "config.json", "history.csv", "windows.csv",
         "curves.svg", "run.py", "run.ipynb", "requirements.txt"]


def test_an_export_writes_every_file_and_says_where(store, tmp_path):
    echo_core("train", *TINY)
    folder = tmp_path / "new" / "folder"
    result = echo_core("export", TINY_CONFIG.run_id, "--to", str(folder))
    assert (result.exit_code, result.stdout.splitlines()) == (0, [str(folder / name) for name in FILES])
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert RunConfig.model_validate_json((folder / "config.json").read_text()) == TINY_CONFIG
    with np.load(folder / "weights.npz") as weights:
        for name, weight in zip(weights.files, store.progress.checkpoint(TINY_CONFIG.run_id).weights, strict=True):
            np.testing.assert_array_equal(weights[name], weight)
    assert (folder / "history.csv").read_text().splitlines()[0] == "epoch,loss,accuracy,seconds"
    assert len((folder / "history.csv").read_text().splitlines()) == 1 + 4


def test_a_paused_run_is_exported_as_its_checkpoint_has_it(store, tmp_path):
    ticket = store.queue.take(TINY_CONFIG, worker="test")
    store.attempts.start(ticket, threads=1)
    records = list(records_of(TINY_CONFIG))[:2]
    for progress in records:
        store.attempts.append(ticket, progress)
    store.attempts.pause(ticket, records[1].checkpoint)
    assert echo_core("export", TINY_CONFIG.run_id, "--to", str(tmp_path)).exit_code == 0
    assert "its weights after 1 epoch," in (tmp_path / "run.py").read_text(encoding="utf-8")
    shown = tables.answers(TINY_CONFIG, take_snapshot(TINY_CONFIG, records[1].checkpoint.weights, 1))
    exported = pd.read_csv(tmp_path / "windows.csv")
    pd.testing.assert_frame_equal(exported, pd.read_csv(io.StringIO(shown.to_csv(index=False))), rtol=1e-5)


def test_an_export_of_what_is_not_there_is_refused(store, tmp_path):
    result = echo_core("export", "0123456789abcdef", "--to", str(tmp_path / "new"))
    assert (result.exit_code, result.stderr) == (
        2, "Error: there is no run 0123456789abcdef in the store. Try `runs`, which lists them.\n")
    assert not (tmp_path / "new").exists()


def test_an_export_before_there_are_weights_is_refused(store, tmp_path):
    store.queue.request(TINY_CONFIG)
    result = echo_core("export", TINY_CONFIG.run_id, "--to", str(tmp_path / "new"))
    assert (result.exit_code, result.stderr) == (
        2, f"Error: run {TINY_CONFIG.run_id} has no weights yet. Try again when it has trained for a while.\n")
    assert not (tmp_path / "new").exists()


def test_an_export_of_a_finished_run_whose_weights_were_given_up_is_refused(store, tmp_path):
    echo_core("train", *TINY)
    with mock.patch.object(ProgressOfRuns, "checkpoint", return_value=None):
        result = echo_core("export", TINY_CONFIG.run_id, "--to", str(tmp_path))
    assert (result.exit_code, result.stderr) == (
        2, f"Error: run {TINY_CONFIG.run_id} has no weights any more: the store was full and gave up its oldest "
           "ones.\n")


def test_an_export_replaces_files_only_if_it_is_told_to(store, tmp_path):
    echo_core("train", *TINY)
    for name in ("run.py", "mine.txt"):
        (tmp_path / name).write_text("mine")
    result = echo_core("export", TINY_CONFIG.run_id, "--to", str(tmp_path))
    assert (result.exit_code, result.stdout, result.stderr) == (
        2, "", f"Error: {tmp_path} has run.py already. Try another folder, or --force to replace them.\n")
    assert (tmp_path / "run.py").read_text() == "mine"
    assert echo_core("export", TINY_CONFIG.run_id, "--to", str(tmp_path), "--force").exit_code == 0
    assert TINY_CONFIG.run_id in (tmp_path / "run.py").read_text(encoding="utf-8")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_an_export_to_where_no_folder_can_be_is_said_in_one_line(store, tmp_path):
    echo_core("train", *TINY)
    (tmp_path / "file").write_text("mine")
    result = echo_core("export", TINY_CONFIG.run_id, "--to", str(tmp_path / "file"))
    assert (result.exit_code, result.stderr) == (
        2, f"Error: Invalid value for '--to': Directory '{tmp_path / 'file'}' is a file.\n")
    result = echo_core("export", TINY_CONFIG.run_id, "--to", str(tmp_path / "file" / "below"))
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        1, f"Error: {tmp_path / 'file' / 'below'} cannot be written to: Not a directory.")


# --- asking a trained network ---------------------------------------------------------------------


def test_a_trained_network_is_asked_and_judged_without_tensorflow(store):
    echo_core("train", *TINY)
    code = ("import sys; from echo_core.cli import cli\n"
            "for words in (['ask', RUN, '9 8 7 6 5', '--json'], ['ask', RUN, '9', '8', '7', '6', '5'],\n"
            "              ['judge', RUN, '--set', 'input_length=7', '--json'],\n"
            "              ['judge', RUN, '--set', 'sequence_length=25', '--json'],\n"
            "              ['judge', RUN, '--lengths', '5,7', '--json']):\n"
            "    cli(words, standalone_mode=False)\n"
            "assert not {'tensorflow', 'keras'} & set(sys.modules)").replace("RUN", repr(TINY_CONFIG.run_id))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                          timeout=PATIENCE)
    asked, said, longer, same, table = done.stdout.splitlines()
    weights = store.progress.checkpoint(TINY_CONFIG.run_id).weights
    expected = answer(TINY_CONFIG, weights, np.array([[9, 8, 7, 6, 5]])).predicted[0].tolist()
    asked = json.loads(asked)
    assert (asked["question"], asked["answer"], asked["expected"]) == ([9, 8, 7, 6, 5], expected, [9, 8, 7, 6, 5])
    assert (asked["run_id"], asked["epoch"], asked["right"]) == (TINY_CONFIG.run_id, 3, expected == [9, 8, 7, 6, 5])
    assert [sum(place["probabilities"].values()) for place in asked["places"]] == pytest.approx([1] * 5)
    assert said == " ".join(map(str, expected))
    longer, same, table = json.loads(longer), json.loads(same), json.loads(table)
    assert (longer["input_length"], longer["output_length"], longer["windows"] >= 2000) == (7, 7, True)
    assert longer["window_low"] <= longer["window_accuracy"] <= longer["window_high"]
    assert list(table) == ["run_id", "epoch", "vary", "seed", "chance", "method", "rows"]
    assert (table["run_id"], table["epoch"], table["vary"], table["seed"], table["chance"], table["method"]) == (
        TINY_CONFIG.run_id, 3, "both", 0, 0.1, "Wilson, 95 %")
    assert [(row["input_length"], row["trained"]) for row in table["rows"]] == [(5, True), (7, False)]
    assert table["rows"][1] == {**{name: longer[name] for name in table["rows"][1] if name != "trained"},
                                "trained": False}
    evaluation = store.runs.get(TINY_CONFIG.run_id).evaluation
    assert (same["token_accuracy"], same["windows"]) == (evaluation.token_accuracy, evaluation.windows)


@pytest.mark.parametrize(("words", "line"), [
    (["ask", "RUN", "9 8 7"], "question must be 5 numbers, as many as this network reads; these are 3. Try "),
    (["ask", "RUN", "9", "8", "7", "6", "-1"], "question must be numbers from 0 to 9; -1 is none of these"),
    (["ask", "0123456789abcdef", "9 8 7 6 5"], "there is no run 0123456789abcdef in the store."),
    (["judge", "RUN", "--set", "units=5"], "units cannot be set to judge a run"),
    (["judge", "RUN", "--set", "input_length=101"], "input_length must be at most 100 on this host"),
    (["judge", "RUN", "--set", "input_length"], "a setting must be FIELD=VALUE; received input_length."),
    (["judge", "RUN", "--lengths", "2-101"], "input_length must be at most 100 on this host"),
    (["judge", "RUN", "--lengths", "ten"], "lengths must be whole numbers from 1 such as 2,5,8, or a range such as "
                                           "2-20; received ten. Try --lengths 2-20."),
    (["judge", "RUN", "--lengths", ""], "lengths must be whole numbers from 1"),
    (["judge", "RUN", "--lengths", "5", "--vary", "output"], "vary must be one of both for this run's network and "
                                                             "task; received output. Try --vary both."),
    (["judge", "RUN", "--lengths", "5", "--set", "input_length=4"], "input_length must not be set where it has each "
                                                                    "of the lengths (vary=both); received 4. Try "
                                                                    "leaving it out."),
    (["judge", "RUN", "--vary", "both"], "vary must be given with --lengths; received --vary both alone."),
])
def test_what_a_trained_network_cannot_read_is_refused_in_one_line(store, words, line):
    echo_core("train", *TINY)
    result = echo_core(*(TINY_CONFIG.run_id if word == "RUN" else word for word in words))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {line}")
    assert len(result.stderr.splitlines()) == 1


def test_lengths_are_printed_as_a_table_that_marks_the_trained_one(store):
    echo_core("train", *TINY)
    result = echo_core("judge", TINY_CONFIG.run_id, "--lengths", "auto", "--set", "seed=4")
    heading, columns, *lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert heading.startswith("Trained on windows of 5 with an answer of 5. ")
    assert columns.split() == ["input", "output", "trained", "windows", "right", "numbers", "right", "windows"]
    assert [int(line.split()[0]) for line in lines] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20]
    assert [line.split()[0] for line in lines if " yes " in line] == ["5"]
    assert all(line.endswith(" 2,000") for line in lines)
    again = json.loads(echo_core("judge", TINY_CONFIG.run_id, "--lengths", "1", "--set", "seed=4", "--json").stdout)
    assert again["seed"] == 4
    share = math.floor(1000 * again["rows"][0]["window_accuracy"]) / 10
    assert f" {share} % (" in lines[0]


@pytest.mark.parametrize("words", [["ask", "9 8 7 6 5"], ["judge"]])
def test_a_run_without_weights_is_neither_asked_nor_judged(store, words):
    store.queue.request(TINY_CONFIG)
    result = echo_core(words[0], TINY_CONFIG.run_id, *words[1:])
    assert (result.exit_code, result.stderr) == (
        2, f"Error: run {TINY_CONFIG.run_id} has no weights yet. Try again when it has trained for a while.\n")


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


# --- real processes ------------------------------------------------------------------------------


def process(*arguments):
    # Who starts the tests in the background has Ctrl-C ignored, and whatever they start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen([sys.executable, "-m", "echo_core", *arguments], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_two_processes_at_the_same_time_give_the_same_fingerprint_and_nothing_else_on_either_stream():
    both = [process("train", *TINY, "--no-store", "--json") for _ in range(2)]
    said = [each.communicate(timeout=PATIENCE) for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert [stderr for _, stderr in said] == ["", ""]
    assert len({objects(stdout)[-1]["fingerprint"] for stdout, _ in said}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_leaves_the_run_paused_and_resuming_ends_as_if_nothing_had_been(store, number):
    settings = ["--set", "units=8", "--set", "vocab_size=10", "--set", "epochs=15000"]
    config = RunConfig(units=8, vocab_size=10, epochs=15_000)
    stopped = process("train", *settings, "--json")
    for line in stopped.stdout:
        if json.loads(line)["epoch"] > 20:
            break
    stopped.send_signal(number)
    stdout, stderr = stopped.communicate(timeout=PATIENCE)
    assert (stopped.returncode, stderr) == (128 + number, "")
    last = objects(stdout)[-1]
    assert (last["state"], last["run_id"]) == ("paused", config.run_id)
    assert 20 < last["epochs"] < 15_000
    assert store.runs.get(config.run_id).state is State.PAUSED
    assert store.progress.checkpoint(config.run_id).epoch == last["epochs"]

    resumed, _ = process("resume", config.run_id, "--json").communicate(timeout=PATIENCE)
    undisturbed, _ = process("train", *settings, "--no-store", "--json").communicate(timeout=PATIENCE)
    assert objects(resumed)[0]["epoch"] > last["epochs"]
    assert objects(resumed)[-1]["state"] == "finished"
    assert objects(resumed)[-1]["fingerprint"] == objects(undisturbed)[-1]["fingerprint"]


def test_numpy_has_one_thread_in_a_command():
    # Without it, two threads spin for each other while a run trains beside the command.
    code = ("import threadpoolctl; from echo_core.cli import cli; cli(['combinations'], standalone_mode=False)\n"
            "print({each['num_threads'] for each in threadpoolctl.threadpool_info() if each['user_api'] == 'blas'})")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                          timeout=PATIENCE, env={**os.environ, "OPENBLAS_NUM_THREADS": "2"})
    assert done.stdout.splitlines()[-1] == "{1}"
