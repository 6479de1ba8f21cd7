"""The commands `ask` and `judge`, which read a trained network without TensorFlow."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from echo_core.evaluation import answer
from tests.helpers.command import TINY, TINY_CONFIG, echo_core
from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("environment")


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
