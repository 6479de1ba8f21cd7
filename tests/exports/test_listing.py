import ast
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.config.sizes import sized_layers
from echo_core.data import Examples, network_input, one_hot_encode, shown_examples, shown_sequence, to_examples
from echo_core.evaluation.scores import shown_loss
from echo_core.exports.listing import keras_listing
from echo_core.models import first_weights
from tests.helpers.samples import ALL, MORE, NASTY, each, small, unused
from tests.helpers.waiting import PATIENCE

#: A listing of each kind, for what takes longer.
VARIED = {name: config for name, config in ALL.items()
          if name in MORE or (config.cell == "lstm" and not config.stateful)}


@cache
def defined(config: RunConfig) -> dict[str, Any]:
    """The names of a script that has run until it would train."""
    names: dict[str, Any] = {}
    exec(keras_listing(config).split("\nmodel.summary()\n")[0], names)
    return names


def data_of(config: RunConfig, sequences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the script makes of some sequences, or of its pairs."""
    names = defined(config)
    if config.task == "pairs":
        return names["questions"], names["answers"]
    if config.text:
        return names["get_data"](sequences)
    names["rng"] = SimpleNamespace(integers=lambda largest, size: sequences)
    return names["get_data"](len(sequences))


def expected_outputs(config: RunConfig, examples: Examples) -> np.ndarray:
    """What the network should give, with -1 for gaps."""
    if config.variant == "padded":
        waits = config.answer_steps - config.output_length
        padded = np.pad(examples.expected, ((0, 0), (waits, 0)), constant_values=config.vocab_size)
        return one_hot_encode(padded, config.num_classes)
    return network_input(config, examples.expected).reshape(len(examples.expected), config.output_length, -1)


@each(ALL)
def test_the_listing_builds_the_network_of_the_run(config: RunConfig):
    model = defined(config)["model"]
    assert [(layer.name, type(layer).__name__, layer.count_params()) for layer in model.layers
            if type(layer).__name__ != "InputLayer"] == [
        (sized.layer.name, sized.keras_class, sized.parameters) for sized in sized_layers(config)]
    assert model.count_params() == config.num_parameters
    assert model.name == config.variant
    assert model.output_shape == (config.batch_size if config.stateful else None, config.answer_steps,
                                  config.num_classes)
    assert [layer.name for layer in model.layers if getattr(layer, "stateful", False)] == \
        ([layer.name for layer in model.layers if hasattr(layer, "reset_state")] if config.stateful else [])


@each(ALL)
def test_the_listing_makes_the_data_of_the_run(config: RunConfig):
    shape = config.sequences_per_epoch, config.sequence_length
    sequences = np.random.default_rng(1).integers(config.vocab_size, size=shape)
    examples = shown_examples(config) if config.task == "pairs" else to_examples(config, sequences)
    windows, echo = data_of(config, sequences)
    np.testing.assert_allclose(windows, network_input(config, examples.inputs), atol=1e-6)
    np.testing.assert_allclose(echo, expected_outputs(config, examples), atol=1e-6)
    if config.has_target_gaps:
        np.testing.assert_array_equal(defined(config)["present"](echo), examples.present(config.vocab_size))


@each(VARIED)
def test_the_listing_counts_loss_and_accuracy_as_the_run_does(config: RunConfig):
    names, weights = defined(config.model_copy(update={"stateful": False})), first_weights(config)
    windows, echo = data_of(config.model_copy(update={"stateful": False}), shown_sequence(config)[None])
    windows, echo = windows[:len(shown_examples(config).inputs)], echo[:len(shown_examples(config).inputs)]
    model, there = names["model"], names["present"](echo) if config.has_target_gaps else None
    model.set_weights(weights)
    given = model(windows)
    loss, accuracy = shown_loss(config, weights)
    assert float(model.compute_loss(windows, echo, given, there)) == pytest.approx(loss, rel=1e-4)
    assert float(model.compute_metrics(windows, echo, given, there)["accuracy"]) == pytest.approx(accuracy, abs=1e-6)


def test_the_listing_steps_as_the_run_does():
    plain = defined(small())["model"].optimizer
    assert (plain.get_config()["learning_rate"], plain.global_clipnorm) == (pytest.approx(0.01), None)
    config = small(schedule="cosine", clip_norm=0.5, epochs=10, sequences_per_epoch=2, batch_size=3)
    optimizer = defined(config)["model"].optimizer
    assert optimizer.global_clipnorm == 0.5
    schedule = optimizer.get_config()["learning_rate"]["config"]
    assert (schedule["initial_learning_rate"], schedule["decay_steps"]) == (0.01, 10 * config.updates_per_epoch)
    assert (schedule["alpha"], schedule["warmup_steps"]) == (0.0, 0)


@each(ALL)
def test_the_listing_has_nothing_that_it_does_not_need(config: RunConfig):
    code = keras_listing(config)
    tree = ast.parse(code)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node).split()[1] for node in imports] == ["keras", "numpy", "keras.layers"]
    assert unused(code) == set()
    assert [line for line in code.splitlines() if len(line) > 120] == []


def test_words_that_were_typed_come_back_unharmed():
    config = RunConfig(text=NASTY, variant="encoder_decoder", sequence_length=8, input_length=3, output_length=2,
                       batch_size=3, units=4)
    assert (defined(config)["TEXT"], tuple(defined(config)["WORDS"])) == (NASTY.split(), config.vocabulary)


def test_pairs_that_were_typed_come_back_unharmed():
    config = RunConfig(task="pairs", text=f"{NASTY} => fine\n who  =>{NASTY}", variant="encoder_decoder", units=4)
    assert defined(config)["PAIRS"] == [(NASTY, "fine"), ("who", NASTY)]
    assert tuple(defined(config)["WORDS"]) == config.vocabulary


RUN = {
    "whole": PRESETS["whole"].config,
    "partial": PRESETS["partial"].config,
    "attention, masked": small(variant="attention", missing="mask", stateful=True),
    "padded": small(variant="padded", cell="gru"),
    "by size": small(variant="encoder_decoder", representation="linear", missing="mask"),
    "at once": small(variant="one_to_one", schedule="cosine", clip_norm=1),
    "no memory": small(variant="no_memory", stateful=True),
    "own words": MORE["own words"],
    "own words, padded": MORE["own words, padded"],
}


def check_what_is_printed(config: RunConfig, printed: str) -> None:
    assert f"Total params: {config.num_parameters:,}" in printed
    assert f"epoch {config.epochs} {{'" in printed
    rows = len(config.text.split()) - config.input_length + 1 if config.text else config.num_windows
    rows = config.num_windows if config.task == "pairs" else rows
    assert sum("expected" in line and "predicted" in line for line in printed.splitlines()) == rows


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_the_listing_runs_to_its_end(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = RUN[name].model_copy(update={"epochs": 2})
    script = tmp_path / "listing.py"
    script.write_text(keras_listing(config), encoding="utf-8")
    runpy.run_path(str(script))
    check_what_is_printed(config, capsys.readouterr().out)


@pytest.mark.slow
def test_the_listing_runs_by_itself(tmp_path: Path):
    config = small(task="pairs", variant="attention", epochs=2)
    script = tmp_path / "listing.py"
    script.write_text(keras_listing(config), encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", script], capture_output=True, text=True, check=True, timeout=PATIENCE)
    check_what_is_printed(config, done.stdout)
