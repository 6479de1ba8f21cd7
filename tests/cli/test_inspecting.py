"""The command `inspect`, as scripts and people meet it. What trains here is tiny."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.data import text_examples
from echo_core.inspection.inspecting import INSPECTIONS
from echo_core.inspection.inspecting import inspect as table_of
from echo_core.models import first_weights
from echo_core.records import State
from echo_core.workers.worker import moment
from tests.helpers.command import echo_core
from tests.helpers.samples import TINY, small
from tests.helpers.trained import last, with_
from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
CONFIG = with_(TINY, epochs=4)
SETTINGS = [word for name, value in CONFIG.model_dump().items() if name != "text"
            for word in ("--set", f"{name}={str(value).lower()}")]
pytestmark = pytest.mark.usefixtures("environment")  # the commands change it

FIELDS = ["run_id", "epoch", "what", "sequences", "source", "seed", "method", "chance", "state_values", "rows"]


@pytest.fixture(scope="module")
def weights():
    return last(CONFIG).checkpoint.weights


@pytest.fixture
def run_id(store) -> str:
    assert echo_core("train", *SETTINGS, "--json").exit_code == 0
    return CONFIG.run_id


def printed(*arguments: str) -> dict:
    result = echo_core("inspect", *arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def test_json_is_one_object_with_the_rows_of_the_table(run_id: str, weights):
    found = printed(run_id, "--what", "influence", "--sequences", "20", "--seed", "3")
    assert list(found) == FIELDS
    rows = table_of(CONFIG, weights, "influence", 20, 3).to_dict("records")
    assert found.pop("rows") == rows
    assert found == {"run_id": run_id, "epoch": 4, "what": "influence", "sequences": 20,
                     "source": "random", "seed": 3, "method": None, "chance": 0.1, "state_values": 6}


def test_json_of_pairs_says_how_many_there_were_and_that_nothing_was_random(store):
    config = with_(small(task="pairs", variant="attention"), epochs=2)
    settings = [word for name, value in config.model_dump().items() for word in ("--set", f"{name}={value}")]
    found = printed(*settings, "--what", "swap", "--untrained", "--seed", "3")
    pairs = len(text_examples(config).inputs)
    assert [found[name] for name in ("sequences", "source", "seed", "chance")] == [pairs, "pairs", None, None]
    assert max(row["n"] for row in found["rows"]) <= pairs


def test_view_is_another_name_of_what_and_the_same_command_prints_the_same(run_id: str):
    one, again = (echo_core("inspect", run_id, name, "errors", "--sequences", "50", "--json").stdout
                  for name in ("--what", "--view"))
    assert one == again
    assert one != echo_core("inspect", run_id, "--what", "errors", "--sequences", "50", "--seed", "9", "--json").stdout


def test_without_json_the_table_is_printed_with_what_it_says(run_id: str):
    lines = echo_core("inspect", run_id, "--what", "errors", "--sequences", "50").stdout.splitlines()
    assert lines[0] == "accuracy by place:"
    assert lines[1].split() == ["output", "accuracy", "low", "high", "n"]
    assert len(lines) == 4


def test_what_is_no_number_is_null_in_json(run_id: str):
    rows = printed(run_id, "--what", "bits", "--sequences", "1")["rows"]
    assert [row["low"] for row in rows] == [None, None]


def test_the_probe_has_the_untrained_network_as_a_control(run_id: str, weights):
    rows = printed(run_id, "--what", "probe", "--sequences", "30", "--seed", "1")["rows"]
    assert {row["control"] for row in rows} == {"none", "shuffled", "untrained"}
    assert rows == table_of(CONFIG, weights, "probe", 30, 1, untrained=first_weights(CONFIG)).to_dict("records")


def test_a_unit_is_silenced_where_it_is_asked_for(run_id: str):
    rows = printed(run_id, "--what", "ablation", "--sequences", "20", "--unit", "2", "--unit", "5")["rows"]
    assert {"encoder unit 2", "decoder unit 5"} <= {row["part"] for row in rows}


def test_a_run_of_settings_is_trained_where_the_store_does_not_have_it(store, weights):
    result = echo_core("inspect", *SETTINGS, "--what", "errors", "--sequences", "20", "--seed", "0", "--json")
    assert (result.exit_code, store.runs.get(CONFIG.run_id).state) == (0, State.FINISHED)
    assert json.loads(result.stdout)["rows"] == table_of(CONFIG, weights, "errors", 20, 0).to_dict("records")
    assert printed(*SETTINGS, "--what", "errors", "--sequences", "20", "--seed", "0") == json.loads(result.stdout)


def test_inspecting_loads_no_tensorflow(run_id: str):
    code = ("import sys; from echo_core.cli import cli\n"
            f"for what in {[name for name in INSPECTIONS if name not in ('probe', 'attention')]}:\n"
            f"    cli(['inspect', {run_id!r}, '--what', what, '--sequences', '200'], standalone_mode=False)\n"
            "assert not {'tensorflow', 'keras'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE)


# --- moments of a run ------------------------------------------------------------------------------


def test_a_moment_of_a_run_equals_to_the_bit_the_run_stopped_there():
    long = with_(TINY, epochs=60)
    for epoch in (0, 1, 7, 60):
        stopped = last(with_(TINY, epochs=epoch)).checkpoint.weights if epoch else first_weights(TINY)
        found = moment(long, epoch)
        assert found.epoch == epoch
        for mine, theirs in zip(found.weights, stopped, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_moment_of_a_falling_rate_is_that_of_the_whole_run_and_can_go_on_from_a_checkpoint():
    config = RunConfig(**{**TINY.model_dump(), "schedule": "cosine", "epochs": 9})
    from echo_core.training import train
    reached = {epoch: list(train(config, until=epoch))[-1].checkpoint for epoch in (2, 5, 7)}
    for found in (moment(config, 5), moment(config, 5, reached[2]), moment(config, 5, reached[7])):
        for mine, theirs in zip(found.weights, reached[5].weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_an_earlier_epoch_is_inspected_as_it_was(run_id: str):
    found = printed(run_id, "--what", "errors", "--sequences", "20", "--epoch", "2")
    earlier = table_of(CONFIG, last(with_(CONFIG, epochs=2)).checkpoint.weights, "errors", 20)
    assert (found["epoch"], found["rows"]) == (2, earlier.to_dict("records"))


def test_a_run_of_another_version_of_the_training_has_no_moments_but_the_stored_one(run_id: str, monkeypatch):
    monkeypatch.setattr(RunConfig, "training_version", 2)
    assert moment_epoch(run_id, 4) == 4
    result = echo_core("inspect", run_id, "--what", "errors", "--epoch", "3")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: epoch must be 4 for a run of another version of the training (1; here it is 2), as it would be trained "
        "to other weights here; received 3.\n")


def moment_epoch(run_id: str, epoch: int) -> int:
    return printed(run_id, "--what", "errors", "--sequences", "5", "--epoch", str(epoch))["epoch"]


def test_the_untrained_network_is_inspected_before_the_run_exists(store):
    found = printed(*SETTINGS, "--what", "bits", "--sequences", "20", "--untrained")
    assert (found["epoch"], store.runs.newest()) == (0, [])
    assert found["rows"] == table_of(CONFIG, first_weights(CONFIG), "bits", 20).to_dict("records")
    assert printed(*SETTINGS, "--what", "bits", "--sequences", "20", "--epoch", "0") == found


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "line"), [
    (["RUN", "--what", "feelings"], f"what must be one of {', '.join(INSPECTIONS)}; received feelings. "
                                    "Try --what influence."),
    (["RUN", "--what", "attention"], "variant must be attention to have attention weights; received encoder_decoder."),
    (["RUN", "--what", "errors", "--unit", "1"], "unit must be given for ablation alone, which silences it; received "
                                                 "--unit for errors. Try --what ablation."),
    (["RUN", "--what", "ablation", "--unit", "7"], "unit must be from 1 to 6, the units of a layer; received 7."),
    (["RUN", "--what", "errors", "--epoch", "5"], "epoch must be from 0, the untrained network, to 4, the run's last "
                                                  "one; received 5."),
    (["RUN", "--what", "errors", "--epoch", "5", "--untrained"], "epoch must be 0 with --untrained; received 5. Try "
                                                                 "one of them."),
    (["--what", "errors"], "a run must be given as RUN_ID, or by --preset and --set; received neither. Try `runs`, "
                           "which lists the runs of the store."),
    (["RUN", "--preset", "quick", "--what", "errors"], "a run must be given as RUN_ID, or by --preset and --set; "
                                                       "received both. Try `runs`, which lists the runs of the store."),
    (["--preset", "slow", "--what", "errors"], "preset must be one of "),
    (["--set", "units=0", "--what", "errors"], "units must be at least 1; received 0."),
    (["0123456789abcdef", "--what", "errors"], "there is no run 0123456789abcdef in the store. Try `runs`, which lists "
                                               "them."),
    (["RUN", "--what", "swap", "--sequences", "1"], "sequences must be at least 2 for swap; received 1. Try 500, its "
                                                    "default."),
    (["RUN", "--what", "errors", "--sequences", "0"], "Invalid value for '--sequences': 0 is not in the range x>=1."),
])
def test_what_cannot_be_inspected_is_refused_in_one_line(run_id: str, words: list[str], line: str):
    result = echo_core("inspect", *[run_id if word == "RUN" else word for word in words])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"Error: {line}")
