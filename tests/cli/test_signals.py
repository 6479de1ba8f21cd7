"""Commands that are ended from outside: by signals, and by a reader that closes their output."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from echo_core.cli import training
from echo_core.cli.signals import Ended, signals_as_ctrl_c
from echo_core.config import RunConfig
from echo_core.records import State
from echo_core.store import upkeep
from echo_core.workers.cluster import has_ended, local_name
from tests.helpers.command import echo_core
from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
TINY = ["--set", "units=4", "--set", "vocab_size=10", "--set", "epochs=6"]
TINY_CONFIG = RunConfig(units=4, vocab_size=10, epochs=6)


pytestmark = pytest.mark.usefixtures("environment")


def ended_process() -> str:
    """The worker name of a process that has ended as a zombie: its parent has not waited for it."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with mock.patch.object(os, "getpid", return_value=child.pid):
        name = local_name("cli-0123")
    assert has_ended(name)
    child.wait()
    return name


def at_record(number: int, act):
    """Call `act` once training has printed that many records."""
    shown, print_json = [], training.print_json

    def watched(values):
        print_json(values)
        shown.append(values)
        if len(shown) == number:
            act()

    return mock.patch.object(training, "print_json", watched)


@pytest.fixture
def interruptible():
    """Signals end this process; a shell has its background commands ignore Ctrl-C, and `nohup` a hang-up."""
    before = {number: signal.signal(number, handler) for number, handler in (
        (signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL), (signal.SIGHUP, signal.SIG_DFL))}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_pauses_the_run_and_resume_goes_on_at_once_to_the_same_weights(store, number, interruptible):
    with (at_record(3, lambda: signal.raise_signal(number)),
          mock.patch("echo_core.training.chunks.next_chunk", return_value=1)):
        stopped = echo_core("train", *TINY, "--json")
    assert stopped.exit_code == 128 + number
    row = store.runs.get(TINY_CONFIG.run_id)
    assert (row.state, row.epoch, store.progress.checkpoint(row.run_id).epoch) == (State.PAUSED, 2, 2)
    resumed = echo_core("resume", row.run_id, "--json")
    assert (resumed.exit_code, resumed.stderr) == (0, "")
    finished = store.runs.get(row.run_id)
    assert finished.state is State.FINISHED
    assert "with the same fingerprint" in echo_core("train", *TINY, "--json").stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_second_signal_does_not_disturb_the_pause_and_an_ignored_one_stays_ignored(number, interruptible):
    def twice():
        with signals_as_ctrl_c():
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(number)

    with pytest.raises(Ended):
        twice()
    assert signal.getsignal(number) is signal.SIG_DFL
    signal.signal(number, signal.SIG_IGN)
    try:
        with signals_as_ctrl_c():
            signal.raise_signal(number)
    finally:
        signal.signal(number, signal.SIG_DFL)


def test_a_run_whose_process_was_killed_goes_on_after_seconds_that_are_said(store, monkeypatch):
    for module in (training, upkeep):
        monkeypatch.setattr(module, "ORPHANED_SECONDS", 1.0)
    store.queue.take(TINY_CONFIG, worker=ended_process())
    result = echo_core("resume", TINY_CONFIG.run_id, "--json")
    assert result.exit_code == 0
    assert result.stderr == f"The process that trained run {TINY_CONFIG.run_id} has ended. It goes on in 1 s …\n"
    assert store.runs.get(TINY_CONFIG.run_id).state is State.FINISHED


def test_training_the_settings_of_a_run_whose_process_was_killed_goes_on_with_it(store, monkeypatch):
    for module in (training, upkeep):
        monkeypatch.setattr(module, "ORPHANED_SECONDS", 0.1)
    store.queue.take(TINY_CONFIG, worker=ended_process())
    assert echo_core("train", *TINY, "--json").exit_code == 0
    assert store.runs.get(TINY_CONFIG.run_id).state is State.FINISHED


def test_a_run_under_way_elsewhere_is_refused_with_the_seconds_after_which_it_would_count_as_lost(store):
    store.queue.take(TINY_CONFIG, worker="another machine")
    result = echo_core("resume", TINY_CONFIG.run_id)
    assert result.exit_code == 2
    assert result.stderr in [f"Error: run {TINY_CONFIG.run_id} is under way already. Stop it, or try again when it has "
                             f"paused. If its process was killed, try again in {left} s.\n" for left in range(1, 21)]


@pytest.mark.parametrize("where", [[], ["--no-store"]], ids=["stored", "not stored"])
def test_a_reader_that_is_gone_pauses_the_run_without_a_word(store, where):
    def gone():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with at_record(2, gone), mock.patch("echo_core.training.chunks.next_chunk", return_value=1):
        result = echo_core("train", *TINY, "--json", *where)
    assert (result.exit_code, result.stderr) == (141, "")
    if not where:
        row = store.runs.get(TINY_CONFIG.run_id)
        assert (row.state, row.epoch, row.reason) == (State.PAUSED, 1, None)


@pytest.mark.parametrize("arguments", [["--help"], ["runs"], ["runs", "--json"], ["train", "--set", "units=0"]],
                         ids=" ".join)
def test_any_command_ends_quietly_where_nobody_reads_it(store, arguments):
    store.queue.request(TINY_CONFIG)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as broken:
        command = [sys.executable, "-m", "echo_core", *arguments]
        assert subprocess.run(command, stdout=broken, stderr=broken, cwd=ROOT, timeout=PATIENCE).returncode == 141


@pytest.mark.parametrize("encoding", ["cp1252", "shift_jis", "utf-8"])
def test_words_that_the_terminal_cannot_write_are_escaped(store, encoding):
    words = "日本 語 東京 日本 語"
    store.queue.request(RunConfig(task="pairs", variant="encoder_decoder", text=f"{words} => 東", vocab_size=4, units=4,
                            sequence_length=5, input_length=5, output_length=1, batch_size=1, stateful=False))
    result = subprocess.run([sys.executable, "-m", "echo_core", "runs"], cwd=ROOT, capture_output=True,
                            env={**os.environ, "PYTHONIOENCODING": encoding}, timeout=PATIENCE)
    assert (result.returncode, result.stderr) == (0, b"")
    shown = "日本" if encoding != "cp1252" else r"\u65e5\u672c"
    assert shown in result.stdout.decode(encoding)
