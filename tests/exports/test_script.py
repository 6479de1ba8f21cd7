"""The script and the notebook of a run answer as it did. What they print is held to the app's table of answers."""

import io
import os
import re
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.data import shown_examples
from echo_core.evaluation.scores import take_snapshot
from echo_core.exports.notebook import keras_notebook
from echo_core.exports.run_files import named_weights
from echo_core.exports.script import keras_script
from echo_core.exports.snippets import TRIED_WITH
from echo_core.models import first_weights
from echo_core.records import Floats
from echo_core.tables import answers
from tests.helpers.samples import ALL, MORE, NASTY, each, small, unused
from tests.helpers.waiting import PATIENCE

#: Where the windows that are shown are not all there are, or do not fill the batches.
CUT = {
    "more windows than are shown": small(variant="encoder_decoder", sequence_length=101, stateful=True, batch_size=99),
    "more rows with gaps than are shown": small(variant="encoder_decoder", sequence_length=80, missing="mask"),
    "more pairs than are shown": small(task="pairs", variant="attention", batch_size=70,
                                       text="\n".join(f"q {n} => a{n} b{n % 3}" for n in range(70))),
    "own words that fill no batch": small(variant="encoder_decoder", stateful=True, sequence_length=9, batch_size=7,
                                          vocab_size=6, text="a rose is a rose is a rose and so on"),
    "words in many lines": small(variant="many_to_one", text=" ".join(f"{NASTY} w{n}" for n in range(9)),
                                 vocab_size=len(set(NASTY.split())) + 9),
}
EVERY = ALL | CUT
#: What cell it is makes no difference to the task.
ASKED = {name: config for name, config in EVERY.items() if config.task != "reverse" or config.cell == "lstm"}


def some_weights(config: RunConfig) -> list[Floats]:
    """Weights that answer this and that, surely enough that no rounding turns an answer."""
    rng = np.random.default_rng(3)
    return [2 * rng.normal(size=weight.shape).astype(np.float32) for weight in first_weights(config)]


def printed_for(config: RunConfig, weights: list[Floats]) -> list[str]:
    """What a script should print, from the table that the app shows and gives away."""
    table = answers(config, take_snapshot(config, weights, 0)).astype(str)
    lines = []
    for _, row in table.iterrows():
        read, wanted, said = ([row[name] for name in table if name.startswith(f"{part}_")]
                              for part in ("input", "expected", "predicted"))
        said = [word if asked else "" for word, asked in zip(said, wanted, strict=True)]
        if config.task == "pairs":
            read, wanted, said = ([word for word in part if word] for part in (read, wanted, said))
        read, wanted, said = (" ".join(word or "·" for word in part) for part in (read, wanted, said))
        sign = "✓" if row["right"] == "True" else "✗"
        lines.append(f"input {read} | expected {wanted} | predicted {said} {sign}")
    kind = "pairs" if config.task == "pairs" else "windows"
    return [*lines, f"{table['right'].eq('True').sum()} of {len(table)} {kind} are right."]


def put(config: RunConfig, weights: list[Floats], folder: Path) -> Path:
    """Write a script and its weights."""
    (folder / "weights.npz").write_bytes(named_weights(config, weights))
    script = folder / "run.py"
    script.write_text(keras_script(config, 3), encoding="utf-8")
    return script


@pytest.fixture
def run_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the script of a run in this process; the lines that it prints."""
    def run(config: RunConfig, weights: list[Floats], *arguments: str) -> list[str]:
        script = put(config, weights, tmp_path)
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        capsys.readouterr()
        runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out.splitlines()
    return run


def cells(config: RunConfig) -> list[str]:
    notebook = nbformat.reads(keras_notebook(config, 3), as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@each(EVERY)
def test_the_script_is_a_script_and_has_nothing_that_it_does_not_need(config: RunConfig):
    code = keras_script(config, 5000)
    compile(code, "run.py", "exec")
    assert unused(code) == set()
    assert [line for line in code.splitlines() if len(line) > 120 and NASTY not in config.text] == []
    assert f"Run {config.run_id} " in code
    assert "after 5,000 epochs" in code


@each(EVERY)
def test_the_notebook_is_a_notebook_and_always_the_same(config: RunConfig):
    written = keras_notebook(config, 5000)
    notebook = nbformat.reads(written, as_version=4)
    nbformat.validate(notebook)
    assert keras_notebook(config, 5000) == written
    assert notebook.metadata.kernelspec.name == "python3"
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"] * 6
    assert config.run_id in notebook.cells[0].source
    assert unused("\n".join(cells(config))) == set()


def test_the_versions_that_a_script_names_are_those_that_the_tests_run_with():
    pinned = (Path(__file__).parents[2] / "requirements.txt").read_text()
    for name, version in TRIED_WITH.items():
        assert re.search(rf"^{name}(-cpu)?=={re.escape(version)}\b", pinned, re.MULTILINE)


def test_an_old_keras_stops_script_and_notebook_with_a_line_that_says_what_to_install(
        run_script, monkeypatch: pytest.MonkeyPatch):
    config = small()
    monkeypatch.setattr(keras, "__version__", "3.3.3")
    line = ("This needs Keras 3.12 or newer; found 3.3.3. "
            "Try: pip install " + " ".join(f"{name}=={version}" for name, version in TRIED_WITH.items()))
    with pytest.raises(SystemExit) as stopped:
        run_script(config, some_weights(config))
    assert stopped.value.code == line
    with pytest.raises(SystemExit) as stopped:
        exec(cells(config)[0], {})
    assert stopped.value.code == line


def test_a_script_warns_of_other_versions_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture[str]):
    config = small()
    weights = some_weights(config)
    script = put(config, weights, tmp_path)
    monkeypatch.setattr(keras, "__version__", "3.99.0")
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr()
    assert printed.err.startswith("Warning: tried with other versions; found {'keras': '3.99.0', ")
    assert printed.out.splitlines() == printed_for(config, weights)


@each(ASKED)
def test_the_script_prints_what_the_app_showed(config: RunConfig, run_script, monkeypatch: pytest.MonkeyPatch):
    # To compile the prediction of each of them would take minutes; some below do.
    monkeypatch.setattr(keras.Model, "predict", lambda self, windows, verbose: np.array(self(windows)))
    monkeypatch.setattr(keras.Model, "compile", lambda self, **_: None)
    weights = some_weights(config)
    assert run_script(config, weights) == printed_for(config, weights)


REAL = {
    "whole": PRESETS["whole"].config,
    "encoder-decoder, stateful": small(variant="encoder_decoder", stateful=True),
    "attention": small(variant="attention", cell="gru"),
    "masked": small(variant="encoder_decoder", missing="mask", task="reverse"),
    "padded": small(variant="padded"),
    "by size": small(variant="encoder_decoder", representation="linear", missing="mask"),
    "no memory, of a fixed batch": PRESETS["no_memory"].config,
    "pairs": small(task="pairs", variant="attention"),
    "own words": MORE["own words"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_script_and_notebook_print_the_same(name: str, run_script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = REAL[name]
    weights = some_weights(config)
    expected = printed_for(config, weights)
    assert run_script(config, weights) == expected
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with redirect_stdout(io.StringIO()) as printed:
        for cell in cells(config):
            exec(compile(cell, "cell", "exec"), names)
    summary, lines = printed.getvalue().splitlines()[:-len(expected)], printed.getvalue().splitlines()[-len(expected):]
    assert lines == expected
    assert f" Total params: {config.num_parameters:,} " in "\n".join(summary)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["encoder-decoder, stateful", "by size", "padded", "pairs"])
def test_a_script_that_trains_learns_something_new_and_shows_it(name: str, run_script):
    config = REAL[name].model_copy(update={"epochs": 2})
    first, last, *windows = run_script(config, some_weights(config), "--train")
    assert (first.split("{")[0], last.split("{")[0]) == ("epoch 1 ", "epoch 2 ")
    assert len(windows) == len(shown_examples(config).inputs) + 1
    assert windows != printed_for(config, some_weights(config))


def test_words_that_were_typed_are_printed_unharmed(run_script):
    config = RunConfig(task="pairs", text=f"{NASTY} => fine\n who  =>{NASTY}", variant="encoder_decoder", units=4)
    weights = some_weights(config)
    printed = run_script(config, weights)
    assert printed == printed_for(config, weights)
    assert printed[0].startswith(f"input {NASTY} | expected fine | predicted ")


@pytest.mark.slow
def test_the_script_runs_by_itself_in_a_clean_environment_wherever_it_is_started(tmp_path: Path):
    config = small(variant="encoder_decoder", stateful=True, text=MORE["own words"].text, vocab_size=6)
    weights = some_weights(config)
    folder, elsewhere = tmp_path / "a folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    # Neither the project nor the settings of whoever runs it; and a terminal that knows no ✓.
    done = subprocess.run([sys.executable, "-I", put(config, weights, folder)], capture_output=True, check=True,
                          timeout=PATIENCE, cwd=elsewhere,
                          env={"PATH": os.defpath, "LC_ALL": "C", "HOME": str(tmp_path)})
    assert done.stdout.decode("utf-8").splitlines() == printed_for(config, weights)
