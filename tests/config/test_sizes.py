"""What is known of a run before it trains: counts, bits, layers, matrix products, and memory held to real peaks."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_core.config import RunConfig, by_nearness, divisors
from echo_core.config.sizes import flops_per_window, needs_memory, sized_layers, training_mb
from tests.helpers.strategies import PAIRS, configs


# A cell has gates: an LSTM 4, a GRU 3, a simple one 1. Each gate has a weight for every feature that it reads, one
# for every unit, and a bias; a GRU has two biases: gates·u(f + u + 1). A readout has a weight for every unit that it
# sees, and a bias, for each class: c(u + 1). A number has 100 features one-hot and 1 by its size, and as many classes.
@pytest.mark.parametrize(("variant", "cell", "output_length", "units", "parameters"), [
    # 4*20*(100+20+1) = 9,680; 3*20*(100+20+2) = 7,320; 1*20*(100+20+1) = 2,420; 100*(20+1) = 2,100
    ("whole", "lstm", 5, 20, 11_780),                # 9,680 + 2,100
    ("whole", "gru", 5, 20, 9_420),                  # 7,320 + 2,100
    ("whole", "simple_rnn", 5, 20, 4_520),           # 2,420 + 2,100
    # The padding is one class more: 101*(20+1) = 2,121
    ("padded", "lstm", 2, 20, 11_801),               # 9,680 + 2,121
    ("padded", "lstm", 5, 20, 11_801),               # the same at every timestep, however many
    ("padded", "gru", 2, 20, 9_441),                 # 7,320 + 2,121
    ("padded", "simple_rnn", 2, 20, 4_541),          # 2,420 + 2,121
    # The encoder reads numbers: 4*150*(100+150+1) = 150,600; 3*150*(100+150+2) = 113,400; 150*(100+150+1) = 37,650
    # The decoder reads states:  4*150*(150+150+1) = 180,600; 3*150*(150+150+2) = 135,900; 150*(150+150+1) = 45,150
    # 100*(150+1) = 15,100
    ("encoder_decoder", "lstm", 2, 150, 346_300),    # 150,600 + 180,600 + 15,100
    ("encoder_decoder", "lstm", 5, 150, 346_300),    # the same for any length
    ("encoder_decoder", "gru", 2, 150, 264_400),     # 113,400 + 135,900 + 15,100
    ("encoder_decoder", "simple_rnn", 2, 150, 97_900),  # 37,650 + 45,150 + 15,100
    # The readout sees the decoder and what it found: 100*(2*150+1) = 30,100; to find it takes no weights
    ("attention", "lstm", 2, 150, 361_300),          # 150,600 + 180,600 + 30,100
    ("attention", "lstm", 5, 150, 361_300),          # the same for any length
    ("attention", "gru", 2, 150, 279_400),           # 113,400 + 135,900 + 30,100
    ("attention", "simple_rnn", 2, 150, 112_900),    # 37,650 + 45,150 + 30,100
    # Five numbers at once, 500 features: 4*150*(500+150+1) = 390,600; 3*150*(500+150+2) = 293,400;
    # 150*(500+150+1) = 97,650. A readout for each number of the answer: 2*15,100 = 30,200; 5*15,100 = 75,500
    ("one_to_one", "lstm", 2, 150, 420_800),         # 390,600 + 30,200
    ("one_to_one", "lstm", 5, 150, 466_100),         # 390,600 + 75,500
    ("one_to_one", "gru", 2, 150, 323_600),          # 293,400 + 30,200
    ("one_to_one", "simple_rnn", 2, 150, 127_850),   # 97,650 + 30,200
    ("many_to_one", "lstm", 2, 150, 180_800),        # 150,600 + 30,200
    ("many_to_one", "lstm", 5, 150, 226_100),        # 150,600 + 75,500
    ("many_to_one", "gru", 2, 150, 143_600),         # 113,400 + 30,200
    ("many_to_one", "simple_rnn", 2, 150, 67_850),   # 37,650 + 30,200
    # No units at all: 100*(100+1)
    ("no_memory", "lstm", 2, 150, 10_100),
    ("no_memory", "lstm", 5, 150, 10_100),           # the same for any length
])
def test_parameters_are_those_worked_out_by_hand(variant, cell, output_length, units, parameters):
    config = RunConfig(variant=variant, cell=cell, output_length=output_length, units=units)
    assert config.num_parameters == parameters


@pytest.mark.parametrize(("variant", "output_length", "units", "parameters"), [
    ("whole", 5, 20, 1_781),               # 4*20*(1+20+1) = 1,760 and 1*(20+1) = 21
    ("encoder_decoder", 2, 150, 271_951),  # 4*150*(1+150+1) = 91,200, 180,600 as above, and 1*(150+1) = 151
    ("many_to_one", 2, 150, 91_502),       # 91,200 and 2*151 = 302
])
def test_parameters_of_numbers_by_their_size_are_those_worked_out_by_hand(variant, output_length, units, parameters):
    config = RunConfig(variant=variant, output_length=output_length, units=units, representation="linear")
    assert config.num_parameters == parameters


@pytest.mark.parametrize(("settings", "carries"), [
    ({}, True), ({"stateful": False}, False), ({"variant": "no_memory"}, False), ({"variant": "attention"}, True)])
def test_a_state_is_carried_on_if_the_run_is_stateful_and_its_network_has_a_state(settings, carries):
    assert RunConfig(**settings).carries_state == carries


@pytest.mark.parametrize(("settings", "inputs", "targets"), [
    ({}, False, False), ({"task": "lag"}, False, False), ({"task": "lag", "lag": 1}, False, True),
    ({"missing": "mask", "batch_size": 29}, True, True),
    ({"task": "pairs", "variant": "attention", "text": PAIRS}, True, True)])
def test_gaps_are_where_a_window_or_only_its_answer_lacks_something(settings, inputs, targets):
    config = RunConfig(**settings)
    assert (config.has_gaps, config.has_target_gaps) == (inputs, targets)


@pytest.mark.parametrize(("settings", "rows"), [
    ({}, 21),                                                                              # 25 - 5 + 1
    ({"variant": "encoder_decoder", "output_length": 2}, 21),                              # whatever comes back
    ({"missing": "mask", "batch_size": 29}, 29),                                           # 25 + 5 - 1
    ({"missing": "mask", "variant": "encoder_decoder", "output_length": 2, "batch_size": 13}, 26),  # 25 + 2 - 1
    ({"missing": "mask", "variant": "encoder_decoder", "output_length": 2, "echo_start": 3, "batch_size": 13}, 26),
    ({"task": "pairs", "variant": "attention", "text": PAIRS}, 2),
])
def test_windows_are_the_rows_that_are_kept_or_the_pairs(settings, rows):
    config = RunConfig(**settings)
    assert (config.windows_per_sequence, config.num_windows) == (rows, rows)


@pytest.mark.parametrize(("settings", "numbers"), [
    ({}, 0),                                                           # each number is said as it is read
    ({"variant": "encoder_decoder"}, 5),
    ({"variant": "encoder_decoder", "output_length": 2}, 2),
    ({"variant": "encoder_decoder", "output_length": 2, "echo_start": 3}, 2),  # read to the end first
    ({"variant": "attention", "output_length": 2}, 2),
    ({"variant": "many_to_one", "output_length": 2}, 2),
    ({"variant": "one_to_one", "output_length": 2}, 0),                # it sees all of them at once
    ({"variant": "padded", "output_length": 2}, 2),
    ({"variant": "padded", "output_length": 2, "echo_start": 2}, 1),   # it says one as it reads the next
    ({"variant": "padded", "output_length": 2, "echo_start": 3}, 0),
    ({"variant": "padded", "output_length": 4}, 1),
    ({"task": "lag"}, 0),
    ({"task": "lag", "lag": 2}, 2),
    ({"task": "lag", "lag": 4}, 1),                                     # the others are never asked for
    ({"task": "lag", "lag": 3, "variant": "no_memory"}, 2),
    ({"variant": "no_memory", "output_length": 2}, 2),
    ({"variant": "no_memory", "output_length": 2, "echo_start": 3}, 0),
    ({"variant": "no_memory", "task": "reverse", "output_length": 2, "echo_start": 3}, 2),
])
def test_bits_are_the_bits_of_the_vocabulary_times_the_numbers_that_must_be_held(settings, numbers):
    config = RunConfig(**settings, vocab_size=64)
    assert config.bits == 6 * numbers
    assert needs_memory(config) == (numbers > 0)


def test_bits_of_the_tutorials_hundred_numbers():
    assert RunConfig().bits == 0
    assert RunConfig(variant="encoder_decoder", output_length=2).bits == pytest.approx(13.29, abs=0.005)
    assert RunConfig(variant="encoder_decoder").bits == pytest.approx(33.2, abs=0.05)


def test_chance_loss_of_a_hundred_numbers_is_the_tutorials():
    assert RunConfig().chance_loss == pytest.approx(4.61, abs=0.005)


def test_chance_loss_of_padded_echo_is_that_of_its_numbers_as_paddings_can_be_told():
    padded = RunConfig(variant="padded", output_length=2)
    assert padded.chance_loss == pytest.approx(math.log(100) * 2 / 5)


@given(st.integers(2, 300))
def test_chance_loss_of_numbers_by_their_size_is_the_variance_of_an_even_guess(vocab_size):
    scaled = [number / (vocab_size - 1) for number in range(vocab_size)]
    config = RunConfig(vocab_size=vocab_size, representation="linear")
    assert config.chance_loss == pytest.approx(sum((value - 0.5) ** 2 for value in scaled) / vocab_size)


@given(st.integers(1, 5000))
def test_divisors_match_a_plain_loop(number):
    assert divisors(number) == [n for n in range(1, number + 1) if number % n == 0]


def test_nearest_batch_sizes_are_nearest_in_ratio():
    assert by_nearness(6, 21) == [7, 3, 21, 1]
    assert by_nearness(7, 21)[0] == 7


def test_no_batch_size_is_offered_that_is_larger_than_may_be():
    assert by_nearness(9_999_991, 10_000_010)[0] == 5_000_005
    assert by_nearness(1, 10_000_000)[-1] == 10_000_000


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
    ({"output_length": 2, "units": 150, "batch_size": 21}, 851),
    ({"output_length": 2, "units": 512, "batch_size": 21}, 937),
    ({"output_length": 2, "units": 1024, "batch_size": 21}, 1349),
    ({"output_length": 2, "units": 1024, "batch_size": 21, "vocab_size": 1000}, 1488),
    (LONG | {"sequence_length": 300, "input_length": 50, "output_length": 50, "sequences_per_epoch": 4,
             "batch_size": 1004}, 1516),
    (LONG, 3194),
    (LONG | {"cell": "gru"}, 3441),
    (LONG | {"cell": "simple_rnn"}, 2057),
    (LONG | {"variant": "attention"}, 3746),
    (LONG | {"variant": "whole", "units": 64, "sequences_per_epoch": 4, "batch_size": 3604}, 2400),
]


def config_of(settings: dict[str, object]) -> RunConfig:
    return RunConfig.model_validate({"variant": "encoder_decoder", "stateful": False, **settings})


@pytest.mark.parametrize(("settings", "peak"), MEASURED)
def test_memory_of_training_is_foreseen_within_a_third(settings: dict[str, object], peak: int):
    assert 0.75 * peak < training_mb(config_of(settings)) < 1.33 * peak


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "epochs"), [
    (MEASURED[3][0], 20), (LONG, 1), (LONG | {"cell": "gru"}, 1), (LONG | {"cell": "simple_rnn"}, 1),
    (LONG | {"units": 16, "vocab_size": 1000, "sequences_per_epoch": 1, "batch_size": 901}, 1)])
def test_processes_take_what_was_foreseen(settings: dict[str, object], epochs: int, tmp_path: Path):
    script = """
import json, resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "echo_core", "train", "--no-store", "--json", *sys.argv[1:]],
                      capture_output=True, check=True)
print(json.dumps(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024))
"""
    config = config_of({**settings, "epochs": epochs})
    pairs = [word for name, value in config.model_dump(exclude={"text"}).items()
             for word in ("--set", f"{name}={json.dumps(value) if isinstance(value, bool) else value}")]
    done = subprocess.run([sys.executable, "-c", script, *pairs], cwd=Path(__file__).parents[2], check=True,
                          capture_output=True, text=True, env={**os.environ, "ECHO_XLA_CACHE": str(tmp_path)})
    assert 0.7 * int(done.stdout) < training_mb(config) < 1.4 * int(done.stdout)
