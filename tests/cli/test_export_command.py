"""The command `export`: the files of a run that one takes away."""

import io
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from echo_core import tables
from echo_core.config import RunConfig
from echo_core.evaluation.scores import take_snapshot
from echo_core.store.progress import ProgressOfRuns
from echo_core.workers.attempt import records_of
from tests.helpers.command import TINY, TINY_CONFIG, echo_core

pytestmark = pytest.mark.usefixtures("environment")


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
