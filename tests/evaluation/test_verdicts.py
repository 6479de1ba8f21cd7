"""Messages about runs that went wrong. Nothing is trained here."""

from dataclasses import replace

import pytest

from echo_core.config import RunConfig
from echo_core.config.repair import with_settings
from echo_core.evaluation.verdicts import after_training, before_training, not_finite
from echo_core.records import State
from tests.helpers.samples import EVALUATION

NUMBERS = RunConfig(variant="encoder_decoder", output_length=2, learning_rate=0.3)
MOSTLY_YES = "\n".join([*(f"q{k} => yes" for k in range(6)), "q6 => no", "q7 => perhaps"])
LEARNT = replace(EVALUATION, sameness=0.02, same_accuracy=0.0)


def of_pairs(text: str) -> RunConfig:
    return with_settings(RunConfig(), {"task": "pairs", "variant": "encoder_decoder", "text": text})


def said(*arguments) -> str:
    return " ".join(map(str, after_training(*arguments)))


def test_nothing_is_said_of_a_run_that_went_well():
    assert after_training(NUMBERS, LEARNT, 0.1) == []
    assert after_training(of_pairs("a => b\nc => d"), replace(LEARNT, window_accuracy=1.0), 0.1) == []


@pytest.mark.parametrize("epochs", [0, 1])
def test_an_untrained_loss_is_not_called_diverged(epochs: int):
    unlearnt = replace(LEARNT, token_accuracy=0.01, window_accuracy=0.0)
    for representation, loss in (("one_hot", 4.7), ("linear", 0.4)):
        config = NUMBERS.model_copy(update={"representation": representation, "epochs": epochs})
        assert after_training(config, unlearnt, loss) == []


@pytest.mark.parametrize(("representation", "loss"), [("one_hot", 1005.0), ("one_hot", 5.9), ("linear", 3.0)])
def test_a_loss_far_above_guessing_is_called_diverged_with_what_to_try(representation: str, loss: float):
    config = NUMBERS.model_copy(update={"representation": representation})
    verdict, = after_training(config, replace(LEARNT, token_accuracy=0.01), loss)
    assert verdict.kind == "diverged"
    assert f"its loss ended at {loss:,.4g}, where pure guessing has {config.chance_loss:.3g}" in str(verdict)
    assert "Try clip_norm=1 or a lower learning_rate, such as learning_rate=0.03; received learning_rate=0.3, " \
        "clip_norm=0." in str(verdict)


def test_a_network_that_gets_most_tokens_right_has_not_diverged_whatever_the_others_cost():
    assert after_training(NUMBERS, replace(LEARNT, token_accuracy=0.9), 50.0) == []


def test_clipping_is_not_suggested_to_a_run_that_clips():
    assert "Try a lower learning_rate" in str(not_finite(NUMBERS.model_copy(update={"clip_norm": 0.5}), 2))


@pytest.mark.parametrize(("sameness", "words"), [
    (1.0, "gives the same answer"), (0.95, "gives nearly the same answer")])
def test_the_same_answer_to_everything_is_named_for_numbers_and_for_pairs(sameness: float, words: str):
    same = replace(EVALUATION, sameness=sameness, same_accuracy=0.75, window_accuracy=0.75)
    assert f"The network {words} for every question, which alone scores 75.0 % of pairs." in said(
        of_pairs(MOSTLY_YES), same, 1.0)
    assert f"The network {words} for every window, which alone scores 75.0 % of windows." in said(NUMBERS, same, 1.0)


def test_a_network_that_learnt_the_exceptions_is_not_said_to_give_the_same_answer():
    assert after_training(of_pairs(MOSTLY_YES), replace(
        EVALUATION, sameness=0.9, same_accuracy=0.9, window_accuracy=1.0, token_accuracy=1.0), 0.1) == []


def test_pairs_that_score_no_more_than_their_most_common_answer_are_named():
    worse = replace(EVALUATION, sameness=0.3, same_accuracy=0.75, window_accuracy=0.25, token_accuracy=0.25)
    assert 'The same answer for every question, "yes", alone scores 75.0 % of pairs, and this network does no better' \
        in said(of_pairs(MOSTLY_YES), worse, 1.0)
    assert after_training(of_pairs("a => b\nc => d"), worse, 1.0) == []  # no two have the same answer


def test_a_run_that_was_judged_before_sameness_was_counted_gets_no_verdict_on_it():
    assert after_training(NUMBERS, EVALUATION, 1.0) == []


def test_questions_with_several_answers_are_named_with_the_best_score_that_can_be():
    text = "a => b\na => c\nd => e\nd => e\nf g => h\nf g => i\nf g => k"
    verdict, = before_training(of_pairs(text))
    assert verdict.kind == "contradictory_pairs"
    assert '"a" has two answers, "b" and "c"; "f g" has 3 answers, "h", "i" and "k"' in str(verdict)
    assert '"d"' not in str(verdict)
    assert "No network can learn both, so at most 57.1 % of these pairs" in str(verdict)  # 1 + 2 + 1 of 7


def test_many_and_long_contradictions_stay_short():
    text = "\n".join(f"q{k} => {'a' * 100}\nq{k} => b" for k in range(20))
    verdict, = before_training(of_pairs(text))
    assert "20 questions in all" in str(verdict)
    assert len(str(verdict)) < 800


def test_a_pair_that_is_there_twice_contradicts_nothing():
    assert before_training(of_pairs("a => b\na => b")) == before_training(NUMBERS) == []


def test_a_failed_run_is_told_by_its_reason_alone():
    reason = str(not_finite(NUMBERS, 7))
    diverged, = after_training(NUMBERS, None, 9.0, State.FAILED, reason)
    assert (diverged.kind, str(diverged)) == ("diverged", reason)
    other, = after_training(NUMBERS, None, 9.0, State.FAILED, "ValueError: no luck")
    assert other.kind == "failed"
