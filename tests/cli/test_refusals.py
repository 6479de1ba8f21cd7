"""What commands refuse before they do anything: in one clear line, with its exit status."""

import subprocess
import sys
from pathlib import Path

import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from tests.helpers.command import echo_core
from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("environment")


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
