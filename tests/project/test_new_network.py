"""Adding a network takes three places: its record, its computation and its Keras builder.

A copy of `echo_core` gets a network of two recurrent layers, by nothing else, and has it everywhere.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]

RECORD = '''\
    "stacked": Variant(
        title="Stacked", help="two layers that answer while they read", story="**Stacked.** One layer reads the other.",
        layers=(LayerSpec("recurrent", "lower", every_step=True),
                LayerSpec("recurrent", "upper", every_step=True), _READOUT),
        answers="every_step", refuses={"task": {"pairs": _ONE_PASS}}),'''

COMPUTATION = '''
def _stacked(ops: Ops, c: RunConfig, weights: Sequence[Array], tokens: Array, states: States) -> Answer:
    below, lower = _read(ops, c, LayerWeights(*weights[:3]), tokens, states[0])
    layer = LayerWeights(*weights[3:6])
    projected = ops.dense(below, layer.kernel, _input_bias(c, layer))  # (input_length, B, gates·units)
    above, upper = ops.recurrent(c.cell, projected, layer, states[1], c.input_length, _present(c, tokens))
    return Answer(ops.dense(above, *weights[6:]), (lower, upper))

'''

BUILDER = '''
def _build_stacked(c: RunConfig, layers: _Layers) -> keras.Model:
    return keras.Sequential([
        *layers.begin(),                                     # (B, input_length, features)
        layers.recurrent("lower", return_sequences=True),    # (B, input_length, units)
        layers.recurrent("upper", return_sequences=True),    # (B, input_length, units)
        layers.dense(c.num_classes),                         # (B, input_length, classes)
    ], name=c.variant)

'''

WITHOUT_KERAS = '''
from echo_core.config import RunConfig
from echo_core.config.compatibility import offered
from echo_core.config.labels import TITLES
from echo_core.config.repair import repair_settings
from echo_core.exports.listing import keras_listing
from echo_core.exports.notebook import keras_notebook
from echo_core.exports.script import keras_script
from echo_core.exports.summary import summary

config = RunConfig(variant="stacked", units=10, vocab_size=7)
assert "stacked" in offered("variant", {"task": "echo"})
assert "stacked" not in offered("variant", {"task": "pairs"})
assert TITLES["variant"]["stacked"] == "Stacked: two layers that answer while they read"
assert repair_settings({"variant": "stacked", "output_length": "4"})[0].input_length == 4
assert config.bits == 0
assert config.num_parameters == 4 * 10 * (7 + 10 + 1) + 4 * 10 * (10 + 10 + 1) + 7 * (10 + 1)
assert "upper (LSTM)" in summary(config)
assert "One layer reads the other." in keras_notebook(config, 1)
assert keras_script(config, 1).count("LSTM(10") == keras_listing(config).count("LSTM(10") == 2
'''

WITH_KERAS = '''
import itertools

import keras
import numpy as np

from echo_core.config import RunConfig
from echo_core.data import network_input, shown_examples
from echo_core.evaluation import predict
from echo_core.exports.listing import keras_listing
from echo_core.models import build_model
from echo_core.training import train

config = RunConfig(variant="stacked", vocab_size=7, stateful=False, epochs=300, learning_rate=0.01)
*_, last = train(config)
assert last.accuracy == 1, last
for cell, missing in itertools.product(("lstm", "gru", "simple_rnn"), ("drop", "mask")):
    config = RunConfig(**{**dict(config), "cell": cell, "missing": missing, "batch_size": 1})
    model, windows = build_model(config), shown_examples(config).inputs
    weights = [np.asarray(variable) for variable in model.trainable_variables]
    np.testing.assert_allclose(predict(config, weights, windows), model(network_input(config, windows)), atol=2e-6)
    assert model.count_params() == config.num_parameters
    names = {}
    exec(keras_listing(config).split("\\nmodel.summary()\\n")[0], names)
    assert [layer.name for layer in names["model"].layers] == [layer.name for layer in model.layers]
'''


def add(file: Path, mapping: str, entry: str, function: str = "") -> None:
    """Write an entry at the end of a mapping, and a function before the mapping."""
    before, name, after = file.read_text().partition(f"\n{mapping}: Mapping")
    entries, end, rest = after.partition("\n})\n")
    assert name
    assert end
    file.write_text(f"{before}{function}{name}{entries}\n{entry}{end}{rest}")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an `echo_core` that has one network more."""
    folder = tmp_path_factory.mktemp("new-network")
    core = folder / "echo_core"
    shutil.copytree(ROOT / "echo_core", core, ignore=shutil.ignore_patterns("__pycache__"))
    add(core / "config" / "variants.py", "VARIANTS", RECORD)
    add(core / "networks" / "definition.py", "NETWORKS", '    "stacked": _stacked,', COMPUTATION)
    add(core / "models.py", "MODEL_BUILDERS", '    "stacked": _build_stacked,', BUILDER)
    return folder


@pytest.mark.parametrize("script", [
    pytest.param(WITHOUT_KERAS, id="offered, sized and exported"),
    pytest.param(WITH_KERAS, id="trained as Keras would", marks=pytest.mark.slow)])
def test_a_network_is_its_record_its_computation_and_its_keras_builder(copy: Path, script: str):
    done = subprocess.run([sys.executable, "-c", script], cwd=copy, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
