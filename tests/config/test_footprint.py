"""The memory that training takes is foreseen: held to the peaks of fresh processes, then and now."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from echo_core.config import RunConfig
from echo_core.config.footprint import training_mb

LONG = {"stateful": False, "units": 128, "sequence_length": 1000, "input_length": 100, "output_length": 100,
        "sequences_per_epoch": 2, "batch_size": 1802}
#: Settings beside those of an encoder-decoder, and the peak in MB of the process that trained and judged it.
MEASURED = [
    ({"output_length": 2, "units": 150, "batch_size": 21}, 839),
    ({"output_length": 2, "units": 512, "batch_size": 21}, 1038),
    ({"output_length": 2, "units": 1024, "batch_size": 21}, 1416),
    ({"output_length": 2, "units": 1024, "batch_size": 21, "vocab_size": 1000}, 1630),
    (LONG | {"sequence_length": 300, "input_length": 50, "output_length": 50, "sequences_per_epoch": 4,
             "batch_size": 1004}, 1511),
    (LONG, 3195),
    (LONG | {"cell": "gru"}, 2709),
    (LONG | {"cell": "simple_rnn"}, 1644),
    (LONG | {"variant": "attention"}, 3693),
    (LONG | {"variant": "whole", "units": 64, "sequences_per_epoch": 4, "batch_size": 3604}, 2309),
]


def config_of(settings: dict[str, object]) -> RunConfig:
    return RunConfig.model_validate({"variant": "encoder_decoder", "stateful": False, **settings})


@pytest.mark.parametrize(("settings", "peak"), MEASURED)
def test_memory_of_training_is_foreseen_within_a_third(settings: dict[str, object], peak: int):
    assert 0.75 * peak < training_mb(config_of(settings)) < 1.33 * peak


@pytest.mark.slow
@pytest.mark.parametrize("settings", [MEASURED[3][0], LONG, LONG | {"units": 16, "vocab_size": 1000,
                                                                  "sequences_per_epoch": 1, "batch_size": 901}])
def test_processes_take_what_was_foreseen(settings: dict[str, object], tmp_path: Path):
    script = """
import json, resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "echo_core", "train", "--no-store", "--json", *sys.argv[1:]],
                      capture_output=True, check=True)
print(json.dumps(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024))
"""
    config = config_of({**settings, "epochs": 1})
    pairs = [word for name, value in config.model_dump(exclude={"text"}).items()
             for word in ("--set", f"{name}={json.dumps(value) if isinstance(value, bool) else value}")]
    done = subprocess.run([sys.executable, "-c", script, *pairs], cwd=Path(__file__).parents[2], check=True,
                          capture_output=True, text=True)
    assert 0.7 * int(done.stdout) < training_mb(config) < 1.4 * int(done.stdout)
