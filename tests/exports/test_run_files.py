import io
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from echo_core import tables
from echo_core.config import RunConfig
from echo_core.data import network_input, shown_examples
from echo_core.evaluation import ask_again, predict
from echo_core.evaluation.scores import take_snapshot
from echo_core.exports import run_files
from echo_core.models import build_model, first_weights, keras_file
from echo_core.records import Checkpoint, Point, Snapshot
from echo_core.store import ProgressRow
from echo_core.workers import worker
from tests.helpers.samples import ALL, MORE, each, small
from tests.helpers.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("environment")  # a worker's functions change it

CONFIG = small(variant="encoder_decoder", text=MORE["own words"].text, vocab_size=6)
HISTORY = [ProgressRow(0, 1.75, 0.125, 0.1, (Point(0, 1.75, 0.125),)),
           ProgressRow(2, 1.25, 0.5, 0.2, (Point(1, 1.5, 0.25), Point(2, 1.25, 0.5)))]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint(2, 4, first_weights(CONFIG))


@pytest.fixture(scope="module")
def files(checkpoint: Checkpoint) -> dict[str, bytes]:
    return dict(run_files.export(CONFIG, checkpoint, HISTORY))


def test_an_export_has_every_file_but_the_model(files: dict[str, bytes]):
    assert {run_files.MODEL, *files} == set(run_files.file_names(CONFIG))
    stateful = CONFIG.model_copy(update={"stateful": True})
    assert {run_files.MODEL, run_files.STATEFUL_MODEL, *files} == set(run_files.file_names(stateful))


def test_an_export_is_the_same_each_time_but_for_the_dates_in_the_archive(files, checkpoint: Checkpoint):
    again = run_files.export(CONFIG, checkpoint, HISTORY)
    assert {name for name in files if again[name] != files[name]} <= {run_files.WEIGHTS}


def test_settings_come_back(files: dict[str, bytes]):
    assert RunConfig.model_validate_json(files["config.json"].decode()) == CONFIG
    assert set(RunConfig.model_fields) == set(pd.read_json(io.BytesIO(files["config.json"]), typ="series").index)


def test_the_history_is_the_curve(files: dict[str, bytes]):
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(files["history.csv"])), tables.curve(HISTORY))
    assert files["history.csv"].decode().splitlines()[1] == "0,1.75,0.125,0.1"


def test_the_windows_are_what_these_weights_answer(checkpoint: Checkpoint):
    answers = take_snapshot(CONFIG, checkpoint.weights, 2)
    right_now = Snapshot(2, np.zeros_like(answers.predicted), answers.confidence)
    earlier = Snapshot(1, np.zeros_like(answers.predicted), answers.confidence)
    for snapshot, shown in ((None, answers), (earlier, answers), (right_now, right_now)):
        written = run_files.export(CONFIG, checkpoint, HISTORY, snapshot)["windows.csv"].decode()
        assert written == tables.answers(CONFIG, shown).to_csv(index=False)


#: Every network: what else there is makes no other layers.
NETWORKS = {name: config for name, config in ALL.items()
            if not config.stateful and config.task != "reverse" and config.representation == "one_hot"}


@each(NETWORKS)
def test_weights_are_named_as_keras_names_them_and_in_its_order(config: RunConfig):
    model = build_model(config)
    weights = [np.full(variable.shape, number, np.float32) for number, variable in enumerate(model.trainable_variables)]
    named = [(f"{layer.name}/{variable.name}", id(variable)) for layer in model.layers
             for variable in layer.trainable_variables]
    assert [of for _, of in named] == [id(variable) for variable in model.trainable_variables]
    with np.load(io.BytesIO(run_files.named_weights(config, weights)), allow_pickle=False) as archive:
        assert archive.files == [name for name, _ in named]
        for name, weight in zip(archive.files, weights, strict=True):
            np.testing.assert_array_equal(archive[name], weight)


def test_weights_of_another_network_are_refused(checkpoint: Checkpoint):
    with pytest.raises(ValueError, match="shorter"):
        run_files.named_weights(CONFIG, checkpoint.weights[1:])
    with pytest.raises(ValueError, match="shorter"):
        keras_file(CONFIG, checkpoint.weights[:-1])
    with pytest.raises(ValueError, match="shape"):
        keras_file(CONFIG, checkpoint.weights[::-1])


def test_files_are_written_to_a_folder_that_is_made_and_nothing_else_is_left(tmp_path: Path):
    run_files.write({"a": b"1", "b": b"2"}, tmp_path / "new" / "folder")
    run_files.write({"a": b"3"}, tmp_path / "new" / "folder")
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()} == {"a": b"3", "b": b"2"}


def test_files_that_cannot_be_written_leave_those_before_as_they_were(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(OSError, match="not-there"):
        run_files.write({"a": b"2", "not-there/b": b"2"}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"1"}


OF_KERAS = {
    "whole": small(stateful=True),
    "encoder-decoder": small(variant="encoder_decoder", stateful=True, task="reverse"),
    "padded": small(variant="padded", stateful=True),
    "attention, masked": small(variant="attention", missing="mask", cell="gru", stateful=True),
    "at once": small(variant="one_to_one", cell="simple_rnn", stateful=True),
    "no memory": small(variant="no_memory", stateful=True),
    "by size": small(variant="many_to_one", representation="linear", stateful=True),
    "pairs": small(task="pairs", variant="encoder_decoder"),
}


def load(data: bytes, folder: Path) -> keras.Model:
    (folder / "model.keras").write_bytes(data)
    return keras.saving.load_model(folder / "model.keras", safe_mode=True)


@pytest.mark.parametrize("name", OF_KERAS)
def test_the_keras_file_answers_any_number_of_windows_as_the_run_each_time(name: str, tmp_path: Path):
    config = OF_KERAS[name]
    weights, inputs = first_weights(config), shown_examples(config).inputs
    model = load(worker.keras_file(config, weights), tmp_path)
    asked, expected = network_input(config, inputs), predict(config, weights, inputs)
    for windows in (slice(None), slice(None), slice(1), slice(1), slice(4)):  # all, again, one, again, no whole batch
        np.testing.assert_allclose(np.array(model(asked[windows])), expected[windows], atol=1e-5)


def test_predict_takes_one_window_of_a_stateful_run_and_answers_the_same_twice(tmp_path: Path):
    config = OF_KERAS["encoder-decoder"]
    weights, inputs = first_weights(config), shown_examples(config).inputs[:1]
    model = load(worker.keras_file(config, weights), tmp_path)
    for _ in range(2):
        np.testing.assert_allclose(model.predict(network_input(config, inputs), verbose=0),
                                   predict(config, weights, inputs), atol=1e-5)


@pytest.mark.parametrize("name", ["whole", "attention, masked"])
def test_the_stateful_keras_file_goes_on_with_the_state_of_the_batch_before(name: str, tmp_path: Path):
    config = OF_KERAS[name]
    assert run_files.models_of(config) == {"model.keras": False, "model_stateful.keras": True}
    weights, inputs = first_weights(config), shown_examples(config).inputs[:config.batch_size]
    model = load(worker.keras_file(config, weights, stateful=True), tmp_path)
    for answers in ask_again(config, weights, inputs, times=2):
        outputs = np.array(model(network_input(config, inputs)))[:, -config.output_length:]
        np.testing.assert_allclose(outputs.max(-1), answers.confidence, atol=1e-5)


@pytest.mark.parametrize("config", [small(), small(variant="no_memory", stateful=True),
                                    small(task="pairs", variant="attention")])
def test_a_run_without_a_state_that_goes_on_has_one_keras_file(config: RunConfig):
    assert run_files.models_of(config) == {"model.keras": False}


@pytest.mark.slow
def test_the_keras_file_loads_in_a_fresh_process_without_the_project(tmp_path: Path):
    config = small(variant="attention", missing="mask", stateful=True)
    weights, inputs = first_weights(config), shown_examples(config).inputs[:config.batch_size]
    (tmp_path / "model.keras").write_bytes(keras_file(config, weights))
    np.save(tmp_path / "inputs.npy", network_input(config, inputs))
    code = ("import sys, keras, numpy as np\n"
            "model = keras.saving.load_model('model.keras', safe_mode=True)\n"
            "np.save('outputs.npy', np.array(model(np.load('inputs.npy'))))\n"
            "assert not any(name.startswith('echo') for name in sys.modules)")
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True, timeout=PATIENCE)
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), predict(config, weights, inputs), atol=1e-5)
