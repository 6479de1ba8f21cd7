"""What the scores of a run come to, and what to try next. Nothing is trained here."""

import math
from dataclasses import replace

import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.config.repair import with_settings
from echo_core.evaluation.conclusions import Conclusion, conclude
from echo_core.records import Evaluation


def concluded(config: RunConfig, windows: float, tokens: float | None = None, loss: float = 1.0) -> Conclusion:
    return conclude(config, Evaluation(windows if tokens is None else tokens, windows, 2004, (windows,),
                                       sameness=0.1, same_accuracy=0.0), loss)


def preset(name: str, right: float) -> Conclusion:
    return concluded(PRESETS[name].config, right)


@pytest.mark.parametrize(("windows", "tokens", "headline"), [
    (1.0, 1.0, "Learnt it: 2,004 of 2,004 windows"), (0.95, 0.97, "Learnt it: 1,904 of 2,004 windows"),
    (0.94, 0.97, "Partly learnt: 1,884 of 2,004 windows"), (0.0, 0.5, "Partly learnt: 0 of 2,004 windows"),
    (0.04, 0.2, "Did not learn it: 80 of 2,004 windows"), (0.0, 0.01, "Did not learn it: 0 of 2,004 windows")])
def test_headline_says_how_many_windows_are_right_and_whether_that_is_the_task(windows, tokens, headline):
    assert concluded(PRESETS["quick"].config, windows, tokens).headline == headline


@pytest.mark.parametrize(("name", "why"), [
    ("ten_without_attention", "As expected: training finds no way to keep 66 bits in this state. Its 128 values could "
                              "hold far more"),
    ("too_small", "As expected: training finds no way to keep 13.3 bits in this state."),
    ("no_memory", "As expected: 13.3 bits must be remembered, and this network has no memory."),
    ("linear", "As expected: it guesses a number by its size, which comes near and is rarely exact.")])
def test_presets_that_are_made_to_fail_are_told_why_that_was_expected(name: str, why: str):
    assert preset(name, 0.0).why.startswith(why)


def test_a_state_that_is_too_small_keeps_as_many_bits_as_the_loss_says():
    config, bits = PRESETS["ten_without_attention"].config, 26
    loss = math.log(100) - bits / 10 * math.log(2)  # nats, of each of ten numbers out of a hundred
    assert concluded(config, 0.0, loss=loss).why.endswith(
        "within 2,000 epochs they have come to keep only about 26 bits, by its loss. Inside measures them.")
    assert "only about 0 bits" in concluded(config, 0.0, loss=math.log(100) + 0.1).why


@pytest.mark.parametrize("name", [name for name, each in PRESETS.items() if "(fails)" not in each.title])
def test_no_failure_of_a_preset_that_works_was_expected(name: str):
    assert "expected" not in preset(name, 0.0).why


@pytest.mark.parametrize(("name", "why"), [
    ("whole", "no memory was needed"), ("one_to_one", "All numbers reach it in one step"),
    ("quick", "Its state of 64 values holds the 13.3 bits"), ("attention_20", "found out where to look"),
    ("pairs", "by heart")])
def test_what_was_learnt_is_told_by_what_it_took(name: str, why: str):
    assert why in preset(name, 1.0).why


def test_a_network_that_answers_everything_the_same_has_not_learnt_it_however_often_that_is_right():
    pairs = with_settings(RunConfig(), {"task": "pairs", "variant": "encoder_decoder",
                                        "text": "\n".join(f"q{k} => {'no' if k == 9 else 'yes'}" for k in range(10))})
    same = Evaluation(0.9, 0.9, 10, (0.9,), "training", sameness=1.0, same_accuracy=0.9)
    found = conclude(pairs, same, 1.0)
    assert found.headline == "Did not learn it: 9 of 10 pairs"
    assert "the same answer whatever it reads" in found.why
    assert conclude(pairs, replace(same, sameness=0.9, window_accuracy=1.0, token_accuracy=1.0), 0.1).degree == "learnt"


def test_a_diverged_run_is_told_so_and_offered_smaller_steps():
    config = PRESETS["quick"].config.model_copy(update={"learning_rate": 0.3})
    found = concluded(config, 0.0, loss=1005.0)
    assert "diverged" in found.why
    assert (found.step.config.learning_rate, found.step.config.clip_norm) == (0.03, 1)


@pytest.mark.parametrize(("name", "changed"), [
    ("ten_without_attention", {"variant": "attention"}), ("too_small", {"units": 64}),
    ("no_memory", {"variant": "encoder_decoder", "units": 64}), ("linear", {"representation": "one_hot"}),
    ("quick", {"epochs": 1600}), ("whole", {"epochs": 1000})])
def test_what_to_try_next_changes_what_stands_in_the_way_and_nothing_else(name: str, changed: dict):
    config = PRESETS[name].config
    assert preset(name, 0.0).step.config == config.model_copy(update=changed)


@pytest.mark.parametrize(("name", "harder"), [
    ("whole", "quick"), ("quick", "partial_5"), ("partial_5", "ten_without_attention"), ("published", "attention_20"),
    ("attention_20", "reverse_10")])
def test_a_task_that_was_learnt_is_followed_by_a_harder_one(name: str, harder: str):
    assert preset(name, 1.0).step.config == PRESETS[harder].config


def test_a_lag_that_was_learnt_is_followed_by_a_longer_one_while_it_fits():
    assert preset("lag", 1.0).step.config.lag == 3
    longest = PRESETS["lag"].config.model_copy(update={"lag": 3})
    assert concluded(longest, 1.0).step is None
