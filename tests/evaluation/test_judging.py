"""A trained network judged on other lengths. Oracles: evaluation, a scan of the score interval, and counted weights."""

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.config.repair import explain
from echo_core.config.sizes import sized_layers
from echo_core.evaluation import evaluate
from echo_core.evaluation.judging import judge_run, wilson_interval, with_lengths
from tests.helpers.samples import ALL, MORE, small

READABLE = {name: config for name, config in ALL.items()
            if config.cell == "lstm" and config.task != "pairs" and config.variant != "one_to_one"}


def some_weights(config: RunConfig) -> list[np.ndarray]:
    from echo_core.models import first_weights

    return list(first_weights(config))


@pytest.mark.parametrize("config", READABLE.values(), ids=READABLE)
def test_longer_windows_take_the_same_weights(config: RunConfig):
    judged = with_lengths(config, {"input_length": "9"})
    assert (judged.input_length, judged.num_parameters) == (9, config.num_parameters)
    assert [layer.parameters for layer in sized_layers(judged)] == [layer.parameters for layer in sized_layers(config)]
    assert judged.output_length == (9 if config.answers_every_step else config.output_length)


@pytest.mark.parametrize("variant", ["encoder_decoder", "attention", "padded", "no_memory"])
def test_answers_of_another_length_take_the_same_weights(variant: str):
    config = small(variant=variant)
    judged = with_lengths(config, {"input_length": "6", "output_length": "5"})
    assert (judged.output_length, judged.num_parameters) == (5, config.num_parameters)
    found = judge_run(config, some_weights(config), {"input_length": 6, "output_length": 5})
    assert found.evaluation.windows >= 2000
    assert len(found.evaluation.by_timestep) == 5


@pytest.mark.parametrize("name", ["own words, masked", "own words", "several sequences", "echo that starts later"])
def test_with_its_own_sequence_length_a_run_is_judged_as_when_it_was_trained(name: str):
    config = MORE[name]
    weights = some_weights(config)
    judged = judge_run(config, weights, {"sequence_length": config.sequence_length})
    assert judged.evaluation == evaluate(config, weights)
    # Overlapping windows are no trials of their own: 8 numbers hold two windows of 3.
    per_sequence = config.sequence_length // config.input_length
    assert judged.independent == -(-2000 // config.windows_per_sequence) * per_sequence
    assert judged.window_interval == wilson_interval(judged.evaluation.window_accuracy, judged.independent)


def test_by_default_no_two_judged_windows_share_a_number():
    judged = judge_run(small(), some_weights(small()), {"input_length": 5})
    assert judged.config.windows_per_sequence == 1
    assert judged.independent == judged.evaluation.windows == 2000


def test_a_network_that_copies_its_input_is_right_at_any_length():
    config = RunConfig(variant="no_memory", vocab_size=7, batch_size=1)
    copying = [50 * np.eye(7, dtype=np.float32), np.zeros(7, np.float32)]
    for length in (1, 5, 100):
        judged = judge_run(config, copying, {"input_length": length, "output_length": length})
        assert (judged.evaluation.window_accuracy, judged.window_interval[1]) == (1.0, 1.0)


@pytest.mark.parametrize(("config", "settings", "line"), [
    (small(variant="one_to_one"), {"input_length": "4"},
     "input_length must stay 3 for variant one_to_one, because it reads all numbers in one step, with weights of their "
     "own for each; received 4. Try a run of variant=encoder_decoder."),
    (small(variant="many_to_one"), {"output_length": "1"},
     "output_length must stay 2 for variant many_to_one, because its readout gives all numbers at once, with weights "
     "of their own for each; received 1. Try a run of variant=encoder_decoder."),
    (small(), {"units": "9"}, "units cannot be set to judge a run, because it is part of what was trained; received 9. "
                              "Try one of input_length, output_length, echo_start, sequence_length, seed."),
    (small(), {"size": "9"}, "size cannot be set to judge a run, as it is no setting; received 9. Try one of "),
    (small(task="pairs", variant="attention"), {}, "task must not be pairs to be judged on unseen windows"),
    (small(variant="encoder_decoder"), {"input_length": "1"}, "output_length must be at most input_length (1)"),
    (small(), {"input_length": "4", "output_length": "3"}, "output_length must equal input_length (4)"),
    (small(), {"input_length": "x"}, "input_length must be a whole number; received x."),
    (small(), {"input_length": "0"}, "input_length must be at least 1; received 0."),
])
def test_lengths_that_the_network_cannot_read_are_refused(config: RunConfig, settings: dict[str, object], line: str):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is compared
        with_lengths(config, settings)
    error = refused.value
    said = " ".join(explain(error))
    assert said.startswith(line)


def test_the_fixed_length_itself_may_be_named():
    assert with_lengths(small(variant="many_to_one"), {"output_length": "2", "input_length": "5"}).input_length == 5


@pytest.mark.parametrize(("right", "number", "more"), [(0, 2000, ()), (1, 10, ()), (7, 10, ()), (1000, 2016, ()),
                                                       (2000, 2000, ()), (7, 10, (2.575829,))])
def test_the_interval_holds_the_shares_whose_score_test_does_not_reject_what_was_seen(right: int, number: int,
                                                                                      more: tuple[float, ...]):
    share = right / number
    shares = np.linspace(1e-7, 1 - 1e-7, 2_000_001)
    accepted = shares[np.abs(share - shares) <= (more or (1.959964,))[0] * np.sqrt(shares * (1 - shares) / number)]
    low, high = wilson_interval(share, number, *more)
    assert (low, high) == (pytest.approx(accepted[0], abs=2e-6), pytest.approx(accepted[-1], abs=2e-6))
