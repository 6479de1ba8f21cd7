"""Bits kept and the forgetting curve, against plain loops and the examples of each task."""

import math

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.evaluation import answer, predict
from echo_core.inspection.remembering import bits, forgetting, sources, state_values
from echo_core.inspection.samples import Stream, sample
from tests.helpers.samples import ALL, small
from tests.helpers.weights import random_weights


def test_bits_kept_are_those_of_a_plain_loop():
    config = small(variant="encoder_decoder")
    weights = random_weights(config)
    weights[-2] *= 0.1  # answers near chance keep a fraction of a bit
    table = bits(config, weights, sequences=50, seed=1)
    judged = sample(config, 50, stream=Stream.BITS, seed=1)
    given = predict(config, weights, judged.windows)
    for output in range(2):
        found = [math.log2(7) + math.log2(given[row, output, judged.expected[row, output]]) for row in range(50)]
        half = 1.96 * np.std(found, ddof=1) / math.sqrt(50)
        row = table.iloc[output]
        assert row.asked == pytest.approx(math.log2(7))
        expected = np.clip([np.mean(found), np.mean(found) - half, np.mean(found) + half], 0, math.log2(7))
        assert [row.kept, row.low, row.high] == pytest.approx(expected.tolist(), abs=1e-4)
    assert list(table.columns) == ["output", "asked", "kept", "low", "high", "n"]


def perfect() -> tuple[RunConfig, list[np.ndarray]]:
    """A network that says each number as it reads it, and is sure of it."""
    config = small(variant="no_memory", input_length=3, output_length=3)
    return config, [100 * np.eye(7, dtype="f"), np.zeros(7, "f")]


def test_a_network_that_is_sure_and_right_keeps_every_bit_and_never_more():
    config, weights = perfect()
    table = bits(config, weights, sequences=20)
    assert table.kept.tolist() == pytest.approx([math.log2(7)] * 3)
    assert (table.high <= table.asked).all()


@pytest.mark.parametrize("sign", [0, -1])
def test_a_network_that_guesses_or_is_sure_of_wrong_numbers_keeps_nothing(sign: int):
    config, (kernel, bias) = perfect()
    table = bits(config, [sign * kernel, bias], sequences=20)
    assert table[["kept", "low", "high"]].abs().max(axis=None) < 1e-6


def test_scaled_numbers_have_no_bits():
    config = small(representation="linear")
    with pytest.raises(ValueError, match=r"^representation must be one_hot to count bits, because scaled numbers have"):
        bits(config, random_weights(config))


@pytest.mark.parametrize("config", [c for c in ALL.values() if c.task != "pairs" and c.cell in ("lstm", "simple_rnn")
                                    and c.missing == "drop" and not c.stateful and not c.text],
                         ids=lambda c: f"{c.task}-{c.variant}-{c.cell}-{c.representation}-{c.lag}-{c.echo_start}")
def test_the_source_of_each_output_is_where_the_task_takes_it_from(config: RunConfig):
    judged = sample(config, 5, stream=Stream.INFLUENCE)
    found = list(sources(config))
    assert [output for output, _, _ in found] == list(range(config.lag, config.output_length))
    for output, place, lag in found:
        np.testing.assert_array_equal(judged.expected[:, output], judged.windows[:, place])
        assert lag >= 0


@pytest.mark.parametrize(("settings", "lags"), [
    ({}, [0, 0, 0]), ({"variant": "no_memory", "output_length": 2}, [1, 1]), ({"task": "lag", "lag": 1}, [1, 1]),
    ({"variant": "encoder_decoder"}, [3, 3]), ({"variant": "encoder_decoder", "task": "reverse"}, [2, 4]),
    ({"variant": "padded"}, [1, 1]), ({"variant": "many_to_one"}, [2, 1]), ({"variant": "one_to_one"}, [0, 0])])
def test_the_lag_counts_timesteps_from_reading_to_saying(settings: dict, lags: list[int]):
    assert [lag for _, _, lag in sources(small(**settings))] == lags


def test_the_forgetting_curve_has_the_accuracy_of_each_place():
    config = small(variant="encoder_decoder", task="reverse")
    weights = random_weights(config, scale=2.0)
    table = forgetting(config, weights, sequences=80, seed=1)
    judged = sample(config, 80, stream=Stream.BITS, seed=1)
    right = (answer(config, weights, judged.windows).predicted == judged.expected).mean(axis=0)
    assert table.accuracy.tolist() == pytest.approx(right.tolist())
    assert list(table.columns) == ["output", "input", "lag", "accuracy", "low", "high", "n"]
    pairs = small(task="pairs", variant="attention")
    with pytest.raises(ValueError, match=r"^task must repeat numbers of the input to have a forgetting curve; r"):
        forgetting(pairs, random_weights(pairs))


@pytest.mark.parametrize(("settings", "values"), [
    ({"variant": "no_memory"}, 0), ({"variant": "one_to_one"}, 0), ({"variant": "encoder_decoder"}, 4),
    ({"variant": "many_to_one", "cell": "gru"}, 4), ({"variant": "attention"}, 12), ({}, 8), ({"cell": "gru"}, 4)])
def test_the_size_of_the_state_is_what_passes_from_reading_to_answering(settings: dict, values: int):
    assert state_values(small(**settings)) == values
