"""Accuracy against length. Oracles: `judge_run`, a plain loop over Keras, and a network that copies."""

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.data import network_input, to_windows, unseen_sequences
from echo_core.evaluation.judging import judge_run, with_lengths
from echo_core.evaluation.lengths import (
    WAYS,
    affordable_windows,
    judge_length,
    ladder,
    multiple_of_length,
    parse_lengths,
    way_of,
    ways,
    why_none,
)
from echo_core.models import build_model, first_weights
from tests.helpers.samples import ALL, small
from tests.helpers.trained import last
from tests.helpers.weights import random_weights


def has_ways(config: RunConfig) -> bool:
    try:
        return bool(ways(config))
    except ValueError:
        return False


TAKE_OTHERS = {name: config for name, config in ALL.items() if config.cell == "lstm" and has_ways(config)}


# --- the lengths -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "known"), [
    ({}, "both"), ({"task": "lag", "lag": 1}, "both"), ({"variant": "no_memory", "task": "lag"}, "both"),
    ({"variant": "encoder_decoder"}, "input output"),
    ({"variant": "encoder_decoder", "output_length": 3}, "both input output"),
    ({"variant": "attention", "output_length": 3}, "both input output"),
    ({"variant": "attention", "output_length": 3, "task": "reverse"}, "both"),
    ({"variant": "attention", "task": "reverse"}, "input"), ({"variant": "many_to_one"}, "input"),
    ({"variant": "padded"}, "input"), ({"variant": "padded", "output_length": 3}, "both input"),
    ({"variant": "no_memory"}, "input")])
def test_what_can_have_another_length_follows_from_network_and_task(settings: dict[str, object], known: str):
    assert " ".join(ways(small(**settings))) == known


@pytest.mark.parametrize(("config", "line"), [
    (small(variant="one_to_one"), "variant must be another one to be judged on other lengths, because it reads all "
     "numbers in one step, with weights of their own for each; received one_to_one. Try a run of "
     "variant=encoder_decoder."),
    (small(variant="many_to_one", task="reverse", output_length=3), "variant must be another one to be judged on other "
     "lengths, because its readout gives all numbers at once"),
    (small(task="pairs", variant="attention"), "task must be another one to be judged on other lengths, because it has "
     "learnt its questions by heart and there are no others; received pairs. Try a run of task=echo.")])
def test_a_network_that_takes_no_other_length_is_refused_with_the_reason(config: RunConfig, line: str):
    with pytest.raises(ValueError, match=r"^(variant|task) must be another one") as refused:
        ways(config)
    assert str(refused.value).startswith(line)
    assert f"because {why_none(config)};" in str(refused.value)


@pytest.mark.parametrize("config", TAKE_OTHERS.values(), ids=TAKE_OTHERS)
def test_a_network_can_read_each_length_of_its_ladder_and_no_shorter_one(config: RunConfig):
    for way in ways(config):
        lengths, (field, *_) = ladder(config, way, 100), WAYS[way]
        trained = getattr(config, field)
        assert lengths == sorted(set(lengths))
        assert trained in lengths
        for length in lengths:
            assert with_lengths(config, dict.fromkeys(WAYS[way], length)).num_parameters == config.num_parameters
        if lengths[0] < trained - 1 or config.lag:  # else a fifth of the trained length is longer than the shortest
            with pytest.raises(ValueError, match=r"must be|greater than"):
                with_lengths(config, dict.fromkeys(WAYS[way], lengths[0] - 1))
        assert lengths[-1] == (config.input_length - config.echo_start if way == "output" else 4 * trained)


def test_a_ladder_ends_at_what_the_host_allows_but_has_the_trained_length():
    config = PRESETS["attention_20"].config
    assert ladder(config, "both", 50) == [4, 8, 12, 16, 19, 20, 21, 24, 28, 32, 36, 40, 50]
    assert ladder(config, "both", 10) == [4, 8, 12, 16, 19, 20]
    assert ladder(config, "output", 10) == [4, 8, 12, 16, 19, 20]
    assert ladder(config, "input", 30)[:3] == [20, 21, 24]


@pytest.mark.parametrize(("preset", "half", "double"), [
    ("whole", ("both", 3), ("both", 10)), ("quick", ("input", 3), ("input", 10)), ("lag", ("both", 3), ("both", 12)),
    ("attention_20", ("both", 10), ("both", 40)), ("one_to_one", None, None), ("pairs", None, None)])
def test_half_a_length_is_rounded_up_and_a_network_of_one_length_has_none(preset: str, half, double):
    config = PRESETS[preset].config
    assert (multiple_of_length(config, 0.5), multiple_of_length(config, 2)) == (half, double)


def test_half_a_length_still_asks_for_the_whole_answer():
    config = small(variant="encoder_decoder", input_length=5, output_length=4)
    assert multiple_of_length(config, 0.5) == ("input", 4)
    assert multiple_of_length(small(task="lag", lag=4, input_length=5, output_length=5), 0.5) == ("both", 5)


@pytest.mark.parametrize(("text", "lengths"), [
    ("5", [5]), ("2-4", [2, 3, 4]), ("8,2-4", [2, 3, 4, 8]), (" 3 , 3 - 4 ", [3, 4]), ("7-7", [7])])
def test_lengths_are_read_as_people_write_them(text: str, lengths: list[int]):
    assert parse_lengths(text) == lengths


@pytest.mark.parametrize("text", ["", "0", "0-4", "4-2", "2,", "-3", "2-", "1.5", "2 3", "ten", "1000000", "²"])
def test_what_is_no_length_is_refused(text: str):
    with pytest.raises(ValueError, match=rf"^lengths must be whole numbers from 1 .*; received {text}\. Try --lengt"):
        parse_lengths(text)


def test_a_way_that_a_network_has_not_and_a_length_that_is_set_besides_are_refused():
    config = small(variant="encoder_decoder", output_length=3)
    assert [way_of(config, vary, {}) for vary in (None, "both", "output")] == ["both", "both", "output"]
    assert way_of(config, "input", {"output_length": 2, "seed": 4}) == "input"
    with pytest.raises(ValueError, match=r"^vary must be one of both for this run's .*; received input\. Try --vary b"):
        way_of(small(), "input", {})
    with pytest.raises(ValueError, match=r"^output_length must not be set where it has each of the lengths \(vary=both"
                                         r"\); received 2\. Try leaving it out, or --vary input\.$"):
        way_of(config, None, {"output_length": 2})


# --- the rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", TAKE_OTHERS.values(), ids=TAKE_OTHERS)
def test_the_row_of_the_trained_length_is_what_judge_says(config: RunConfig):
    weights = random_weights(config, scale=2.0)
    judged = judge_run(config, weights, {})
    for way in ways(config):
        row = judge_length(config, weights, way, getattr(config, WAYS[way][0]))
        assert row == {
            "input_length": config.input_length, "output_length": config.output_length, "trained": True,
            "window_accuracy": judged.evaluation.window_accuracy, "window_low": judged.window_interval[0],
            "window_high": judged.window_interval[1], "token_accuracy": judged.evaluation.token_accuracy,
            "token_low": judged.token_interval[0], "token_high": judged.token_interval[1],
            "windows": judged.evaluation.windows, "independent": judged.independent}


@pytest.mark.parametrize(("settings", "way", "length", "lengths"), [
    ({"variant": "attention", "task": "reverse", "output_length": 3}, "both", 5, (5, 5)),
    ({"variant": "encoder_decoder"}, "input", 6, (6, 2)), ({"variant": "encoder_decoder"}, "output", 3, (3, 3)),
    ({"variant": "many_to_one"}, "input", 6, (6, 2)), ({}, "both", 8, (8, 8))])
def test_a_row_of_another_length_counts_what_keras_answers(settings: dict[str, object], way: str, length: int,
                                                           lengths: tuple[int, int]):
    config = small(**settings)
    weights = first_weights(config)
    row = judge_length(config, weights, way, length)
    at = config.model_copy(update={"input_length": lengths[0], "output_length": lengths[1], "sequence_length":
                                   lengths[0], "batch_size": 2000})
    model = build_model(at)
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)
    windows = to_windows(unseen_sequences(at), at.input_length)
    right = np.asarray(model(network_input(at, windows))).argmax(-1) == (
        windows[:, ::-1] if config.task == "reverse" else windows[:, :at.output_length])
    assert (row["input_length"], row["output_length"], row["trained"], row["windows"]) == (*lengths, False, 2000)
    assert row["token_accuracy"] == pytest.approx(right.mean())
    assert row["window_accuracy"] == pytest.approx(right.all(axis=1).mean())


def test_a_network_that_copies_its_input_is_right_at_every_length():
    config = RunConfig(variant="no_memory", vocab_size=7, batch_size=1)
    copying = [50 * np.eye(7, dtype=np.float32), np.zeros(7, np.float32)]
    rows = [judge_length(config, copying, "both", length) for length in ladder(config, "both", 100)]
    assert [row["window_accuracy"] for row in rows] == [1.0] * len(rows)
    assert [row["input_length"] for row in rows if row["trained"]] == [5]


def test_of_a_large_network_the_first_of_its_windows_are_judged_and_all_of_them_when_asked():
    config = RunConfig(variant="encoder_decoder", units=512, vocab_size=10, input_length=50, output_length=2,
                       sequence_length=60, batch_size=11)
    few = affordable_windows(with_lengths(config, {"input_length": 100}))
    assert 50 <= few < 500
    assert affordable_windows(PRESETS["quick"].config) == 2000
    assert affordable_windows(config.model_copy(update={"units": 100_000})) == 50
    at = with_lengths(config, {})
    np.testing.assert_array_equal(unseen_sequences(at, few), unseen_sequences(at)[:few])
    light = small(variant="encoder_decoder")
    judged = judge_run(light, random_weights(light), {}, windows=few)
    assert judged.evaluation.windows == judged.independent == few


def test_fewer_windows_have_a_wider_interval(monkeypatch: pytest.MonkeyPatch):
    config = small(variant="encoder_decoder")
    weights = random_weights(config)
    monkeypatch.setattr("echo_core.evaluation.lengths.affordable_windows", lambda config: 100)
    few, many = (judge_length(config, weights, "input", 5, is_thorough=thorough) for thorough in (False, True))
    assert (few["windows"], many["windows"]) == (100, 2000)
    assert few["token_high"] - few["token_low"] > 3 * (many["token_high"] - many["token_low"])


# --- trained presets -------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_network_without_need_of_memory_works_at_any_length_and_one_that_keeps_two_numbers_cannot_say_five():
    whole, quick = PRESETS["whole"].config, PRESETS["quick"].config
    weights = last(whole).checkpoint.weights
    assert min(judge_length(whole, weights, "both", length)["token_accuracy"] for length in (1, 5, 20, 100)) > 0.99
    weights = last(quick).checkpoint.weights
    rows = [judge_length(quick, weights, "output", length) for length in (2, 5)]
    assert rows[0]["window_low"] > 0.95
    assert rows[1]["window_high"] < 0.05
