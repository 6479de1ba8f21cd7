"""How TensorFlow and Keras are loaded: settings from outside do not change the weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from echo_core.models import build_model, first_weights
from echo_core.networks.backend import float32
from echo_core.networks.environment import pin
from tests.helpers.trained import SMALL, last
from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
DISTURBING = {
    "KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": "1", "TF_DETERMINISTIC_OPS": "1", "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF2_BEHAVIOR": "0", "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --no_such_flag",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true --no_such_flag"}
FINGERPRINT = "from tests.helpers.trained import SMALL, last; print(last(SMALL).checkpoint.fingerprint)"
NO_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
#: A process is forked, and a second one ends what hangs, so that a failure is not a wait.
FORK = """
import os, signal, sys
{used}
child = os.fork()
if child == 0:
    signal.alarm(60)
    from echo_core.training import train
    from tests.helpers.samples import TINY
    try:
        print(list(train(TINY.model_copy(update=dict(epochs=1))))[-1].epoch, flush=True)
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, **environment}, timeout=PATIENCE)


def home(tmp_path: Path, settings: str) -> str:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(settings)
    return str(tmp_path)


def test_a_library_and_a_worker_compile_the_same_way():
    by_the_library = "import echo_core.training"
    by_a_worker = ("from echo_core.settings import Settings; from echo_core.workers.process import load_training; "
                   "load_training(Settings())")
    flags = [run(f"{way}; import os; print(os.environ['XLA_FLAGS'])").stdout for way in (by_the_library, by_a_worker)]
    assert flags == ["--xla_cpu_prefer_vector_width=512\n"] * 2


def test_variables_of_others_are_removed_and_harmless_ones_stay(monkeypatch):
    for name, value in DISTURBING.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    pin({"XLA_FLAGS": "--ours"})
    assert {name: os.environ.get(name) for name in [*DISTURBING, "TF_CPP_MIN_LOG_LEVEL"]} == {
        **dict.fromkeys(DISTURBING), "KERAS_BACKEND": "tensorflow", "XLA_FLAGS": "--ours", "TF_CPP_MIN_LOG_LEVEL": "1"}
    pin()  # what the library's door does: all is pinned already
    assert os.environ["XLA_FLAGS"] == "--ours"


def test_a_run_comes_out_the_same_whatever_the_environment_says_of_keras_and_tensorflow(tmp_path):
    settings = {"backend": "torch", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    disturbed = run(FINGERPRINT, HOME=home(tmp_path, json.dumps(settings)), **DISTURBING)
    assert disturbed.returncode == 0, disturbed.stderr
    assert disturbed.stdout.strip() == last(SMALL).checkpoint.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("settings", ['{"backend": "jax"}', '{"floatx": "float64"}', '{"floatx": "none"}', "{damaged"])
def test_the_command_line_trains_the_same_whatever_the_settings_file_of_keras_says(tmp_path, settings):
    trained = []
    for environment in ({}, {"HOME": home(tmp_path, settings), **DISTURBING}):
        command = [sys.executable, "-m", "echo_core", "train", "--no-store", "--json", "--set", "epochs=20"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
                                env={**os.environ, **environment})
        trained.append(json.loads(result.stdout.splitlines()[-1])["fingerprint"])
    assert trained[0] == trained[1]


@pytest.mark.parametrize("floats", ["float16", "float64"])
def test_networks_are_made_of_32_bit_floats_whatever_keras_was_set_to_and_it_stays_set(floats: str):
    wanted, before = first_weights(SMALL), (keras.config.floatx(), keras.config.dtype_policy())
    try:
        keras.config.set_floatx(floats)
        keras.config.set_dtype_policy("mixed_float16")
        for mine, theirs in zip(first_weights(SMALL), wanted, strict=True):
            np.testing.assert_array_equal(mine, theirs, strict=True)
        assert {layer.dtype_policy.name for layer in build_model(SMALL).layers} == {"float32"}
        assert (keras.config.floatx(), keras.config.dtype_policy().name) == (floats, "mixed_float16")
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
    with float32():
        assert keras.config.floatx() == "float32"


def test_keras_that_was_imported_with_another_backend_is_refused_in_a_line():
    result = run("import sys, types; keras = sys.modules['keras'] = types.ModuleType('keras')\n"
                 "keras.config = types.SimpleNamespace(backend=lambda: 'jax')\nimport echo_core.training")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "ImportError: echo_core trains with Keras on TensorFlow, but keras was imported with the backend jax in this "
        "process already. Try importing echo_core.training before keras, or set KERAS_BACKEND=tensorflow.")


@NO_FORK
@pytest.mark.parametrize("used", [
    "import tensorflow as tf; tf.ones(3) + 1",
    "from echo_core.models import build_model; from tests.helpers.samples import TINY; build_model(TINY)",
], ids=["by TensorFlow itself", "by a model of ours"])
def test_training_is_refused_in_a_process_forked_from_one_that_used_tensorflow(used: str):
    result = run(FORK.format(used=used))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("TensorFlow was used in process ")
    assert 'Try multiprocessing.get_context("spawn"), or fork before training.' in result.stdout
    assert result.stdout.count("\n") == 1


@NO_FORK
@pytest.mark.slow
def test_a_process_that_was_forked_before_tensorflow_was_used_trains():
    assert run(FORK.format(used="import echo_core.training")).stdout == "1\n"
