"""A trained network's answers to typed questions. Oracles: the app's answers, and the output itself."""

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.data import shown_examples
from echo_core.evaluation import answer, predict
from echo_core.evaluation.asking import GAP, MAX_LISTED_CLASSES, ask, parse_question
from echo_core.records import Floats
from tests.helpers.samples import ALL, WORDS, small

ONE_OF_EACH = {name: config for name, config in ALL.items() if config.cell == "lstm" and not config.stateful}
PAIRS = small(task="pairs", variant="encoder_decoder")


def weights_of(config: RunConfig) -> list[Floats]:
    """Weights with the shapes of a run's network, without Keras."""
    from echo_core.models import first_weights

    rng = np.random.default_rng(5)
    return [rng.normal(size=weight.shape).astype(np.float32) for weight in first_weights(config)]


def typed(config: RunConfig, window: np.ndarray) -> str:
    """A window as somebody would type it."""
    names = config.vocabulary or [str(number) for number in range(config.vocab_size)]
    gap = "" if config.task == "pairs" else GAP
    return " ".join(names[token] if token < config.vocab_size else gap for token in window)


@pytest.mark.parametrize("config", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_an_answer_is_that_of_the_run_with_the_probabilities_of_the_output(config: RunConfig):
    weights, window = weights_of(config), shown_examples(config).inputs[1]
    reply = ask(config, weights, typed(config, window))
    said, output = answer(config, weights, window[None]), predict(config, weights, window[None])
    names = [*(config.vocabulary or range(config.vocab_size)), "(padding)"]
    assert reply.answer == tuple(names[token] for token in said.predicted[0])
    if config.representation == "linear":
        assert [place.before_rounding for place in reply.places] == pytest.approx(said.confidence[0])
        assert [place.likeliest for place in reply.places] == [()] * config.output_length
        return
    for place, row in zip(reply.places, output[0, -config.output_length:], strict=True):
        assert list(place.probabilities.values()) == pytest.approx(row)
        assert [choice.probability for choice in place.likeliest] == pytest.approx(sorted(row, reverse=True)[:3])
        assert all(place.probabilities[str(choice.answer)] == choice.probability for choice in place.likeliest)


@pytest.mark.parametrize("config", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_what_is_expected_is_what_the_run_expects(config: RunConfig):
    examples, weights = shown_examples(config), weights_of(config)
    names = [*(config.vocabulary or range(config.vocab_size)), None]
    for window, expected in zip(examples.inputs, examples.expected, strict=True):
        reply = ask(config, weights, typed(config, window))
        assert reply.expected == tuple(names[token] for token in expected)


@pytest.mark.parametrize("question", [
    "97 81 29 75 6", "97,81,29,75,6", "[97, 81, 29, 75, 6]", "97\t81\t29\t75\t6\n", "(97; 81; 29; 75; 6)",
    " 97   81 29 075 6 "])
def test_numbers_are_understood_however_they_are_separated(question: str):
    assert parse_question(RunConfig(), question).tolist() == [97, 81, 29, 75, 6]


@pytest.mark.parametrize(("config", "question", "line"), [
    (RunConfig(), "97 81 29", 'question must be 5 numbers, as many as this network reads; these are 3. Try "97 81'),
    (RunConfig(), "", "question must be 5 numbers, as many as this network reads; these are 0. Try"),
    (RunConfig(), "1 2 3 4 100", "question must be numbers from 0 to 99; 100 is none of these. Try"),
    (RunConfig(), "1 2 3 4 -1", "question must be numbers from 0 to 99; -1 is none of these."),
    (RunConfig(), "1 2 3 4 5.5", "question must be whole numbers from 0 to 99; '5.5' is none."),
    (RunConfig(), "a rose is a rose", "question must be whole numbers from 0 to 99"),
    (RunConfig(), "1 2 3 4 " + "9" * 5000, "question must be whole numbers from 0 to 99"),
    (RunConfig(), "1 2 3 4 ·", "question must be whole numbers from 0 to 99"),
    (RunConfig(), "1 " * 20_000, "question must be at most 16,384 characters; these are 40,000."),
    (PAIRS, "who is thiss", "question must be words that this network knows; 'thiss' is none of its 10. Try one "
                            "of this"),
    (PAIRS, "who => me", "question must be words that this network knows; '=>' is none of its 10."),
    (PAIRS, "who who who who who", "question must be 1 to 4 words, as many as this network reads; these are 5."),
    (PAIRS, " ", "question must be 1 to 4 words, as many as this network reads; these are 0."),
])
def test_a_question_that_the_network_cannot_read_is_refused(config: RunConfig, question: str, line: str):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is compared as a whole
        parse_question(config, question)
    assert str(refused.value).startswith(line)
    example = str(refused.value).rsplit("Try ", 1)[1]
    if example.startswith('"'):
        parse_question(config, example.strip('".'))  # what it says to try can be read


def test_a_short_question_of_pairs_is_filled_up_as_in_training():
    window = parse_question(PAIRS, "who")
    assert window.tolist() == shown_examples(PAIRS).inputs[1].tolist()
    reply = ask(PAIRS, weights_of(PAIRS), "who")
    assert (reply.question, reply.expected) == (("who",), ("me", *[None] * (PAIRS.output_length - 1)))


def test_nobody_knows_the_answer_to_a_question_that_is_no_pair_or_has_two_answers():
    assert ask(PAIRS, weights_of(PAIRS), "test this").is_right is None
    both = small(task="pairs", variant="encoder_decoder", text="who => me\nwho => you\nme => me")
    assert ask(both, weights_of(both), "who").expected is None
    assert ask(both, weights_of(both), "me").expected == ("me",)


def test_words_are_read_in_the_form_of_the_text():
    config = small(variant="encoder_decoder", text=WORDS, vocab_size=6)
    expected = [config.vocabulary.index(word) for word in ("a", "rose", "is")]
    assert parse_question(config, "a\trose\u200b  is").tolist() == expected


def test_a_large_vocabulary_lists_the_likeliest_alone():
    config = small(vocab_size=MAX_LISTED_CLASSES + 1)
    place = ask(config, weights_of(config), "1 2 128").places[0]
    assert (place.probabilities, len(place.likeliest)) == (None, 3)


def test_weights_that_are_not_finite_are_refused():
    weights = weights_of(RunConfig())
    weights[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="weights must be finite numbers to be asked; received NaN"):
        ask(RunConfig(), weights, "1 2 3 4 5")
