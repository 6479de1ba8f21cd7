"""What is known of a run before it trains: layers, matrix products, and memory held to the peaks of processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from echo_core.config import RunConfig
from echo_core.config.sizes import flops_per_window, sized_layers, training_mb
from tests.helpers.strategies import configs


@given(configs())
def test_layers_give_an_answer_for_each_step_and_add_up_to_the_parameters(config):
    layers = sized_layers(config)
    assert layers[-1].gives == (config.answer_steps, config.num_classes)
    assert sum(layer.parameters for layer in layers) == config.num_parameters
    assert flops_per_window(config) > 0


# A product of a vector of n with a matrix of n by m takes 2nm multiplications and additions. Here 10 units read 5 of
# 100 numbers: a step of an LSTM takes 2 * 4 * 10 * 10 = 800, and the readout of one step 2 * 10 * 100 = 2,000.
@pytest.mark.parametrize(("settings", "flops"), [
    ({}, 14_000),                                                      # 5 * 800 + 5 * 2,000
    ({"cell": "gru"}, 13_000),                                         # 5 * 600 + 5 * 2,000
    ({"cell": "simple_rnn"}, 11_000),                                  # 5 * 200 + 5 * 2,000
    ({"variant": "padded", "output_length": 2}, 14_100),               # 5 * 800 + 5 * 2 * 10 * 101
    ({"variant": "encoder_decoder", "output_length": 2}, 10_400),      # (5 + 2 + 1) * 800 + 2 * 2,000
    ({"variant": "encoder_decoder", "output_length": 2, "representation": "linear"}, 6_440),  # 8 * 800 + 2 * 20
    ({"variant": "attention", "output_length": 2}, 14_800),            # 8 * 800 + 2 * 2 * 2,000 + 4 * 10 * 5 * 2
    ({"variant": "one_to_one", "output_length": 2}, 4_800),            # 800 + 2 * 2,000
    ({"variant": "many_to_one", "output_length": 2}, 8_000),           # 5 * 800 + 2 * 2,000
    ({"variant": "no_memory", "output_length": 2}, 4_000),             # 2 * 2,000
])
def test_flops_of_a_window_are_those_of_its_matrix_products(settings, flops):
    assert flops_per_window(RunConfig(**settings, units=10)) == flops


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
