"""Commands as processes of their own: side by side, ended by a signal, and with one thread of NumPy."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from echo_core.config import RunConfig
from echo_core.records import State
from tests.helpers.command import TINY, objects
from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("environment")


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
