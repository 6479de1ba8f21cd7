"""Where a network fails, against counting in a plain loop."""

from collections import Counter

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.evaluation import answer, predict
from echo_core.inspection.errors import confusions, errors, sameness, symbols, worst
from echo_core.inspection.samples import Stream, sample
from tests.helpers.samples import small
from tests.helpers.weights import random_weights

CONFIG = small(variant="encoder_decoder")
WEIGHTS = random_weights(CONFIG, scale=2.0)
JUDGED = sample(CONFIG, 90, stream=Stream.ERRORS, seed=1)
PREDICTED = answer(CONFIG, WEIGHTS, JUDGED.windows).predicted


def table(inspection, config: RunConfig = CONFIG, weights=WEIGHTS):
    return inspection(config, weights, sequences=90, seed=1)


def test_accuracy_by_place_equals_counting():
    found = table(errors)
    assert found.accuracy.tolist() == pytest.approx((JUDGED.expected == PREDICTED).mean(axis=0).tolist())
    assert list(found.columns) == ["output", "accuracy", "low", "high", "n"]


def test_places_without_an_expected_answer_are_left_out():
    config = small(task="lag", lag=1)
    assert table(errors, config, random_weights(config)).output.tolist() == [2, 3]


def test_accuracy_by_symbol_equals_counting_and_the_worst_come_first():
    found = table(symbols)
    for row in found.itertuples():
        said = [p for p, e in zip(PREDICTED.ravel(), JUDGED.expected.ravel(), strict=True) if e == row.symbol]
        assert (row.accuracy, row.n) == (pytest.approx(said.count(row.symbol) / len(said)), len(said))
    assert found.accuracy.is_monotonic_increasing
    assert found.n.sum() == JUDGED.expected.size


def test_what_is_said_instead_is_counted():
    found = table(confusions)
    expected = Counter((e, p) for e, p in zip(JUDGED.expected.ravel().tolist(), PREDICTED.ravel().tolist(), strict=True)
                       if e != p)
    assert dict(zip(zip(found.expected, found.predicted, strict=True), found["count"], strict=True)) == dict(expected)
    assert found["count"].is_monotonic_decreasing
    first = found.iloc[0]
    assert first["share"] == pytest.approx(first["count"] / (JUDGED.expected == first["expected"]).sum())


def test_a_network_that_is_always_right_is_confused_by_nothing():
    config = small(variant="no_memory", input_length=3, output_length=3)
    right = [100 * np.eye(7, dtype="f"), np.zeros(7, "f")]
    found = table(confusions, config, right)
    assert (len(found), list(found.columns)) == (0, ["expected", "predicted", "count", "share"])
    assert (table(errors, config, right).accuracy == 1).all()


def test_the_worst_windows_have_the_most_wrong_places_and_then_the_least_likely_answers():
    found = table(worst)
    wrong = (JUDGED.expected != PREDICTED).sum(axis=1)
    given = predict(CONFIG, WEIGHTS, JUDGED.windows)
    likelihood = np.take_along_axis(given, JUDGED.expected[..., None], axis=-1)[..., 0].mean(axis=1)
    order = sorted(range(90), key=lambda row: (-wrong[row], likelihood[row]))[:20]
    assert found.window.tolist() == JUDGED.windows[order].tolist()
    assert found.predicted.tolist() == PREDICTED[order].tolist()
    assert found.likelihood.tolist() == pytest.approx(likelihood[order].tolist())


def test_symbols_of_a_text_are_its_words_and_gaps_are_empty():
    config = small(task="pairs", variant="attention")
    weights = random_weights(config)
    found = table(worst, config, weights)
    assert {word for window in found.window for word in window} <= {*config.vocabulary, None}
    assert any(None in window for window in found.window)
    assert set(table(symbols, config, weights).symbol) <= set(config.vocabulary)


def test_sameness_is_the_share_of_the_most_common_answer():
    found = table(sameness)
    for output, row in enumerate(found.itertuples()):
        (common, count), = Counter(PREDICTED[:, output].tolist()).most_common(1)
        assert (row.answer, row.share) == (common, pytest.approx(count / 90))
        assert row.expected_share == pytest.approx((JUDGED.expected[:, output] == common).mean())


def test_a_network_that_says_the_same_whatever_it_reads_has_a_share_of_one():
    zeros = [np.zeros_like(weight) for weight in WEIGHTS]
    zeros[-1][4] = 1
    found = table(sameness, CONFIG, zeros)
    assert found.answer.tolist() == [4, 4]
    assert found.share.tolist() == [1, 1]


def test_a_padding_that_is_said_instead_of_a_number_has_a_name():
    config = small(variant="padded")
    padding = [np.zeros_like(weight) for weight in random_weights(config)]
    padding[-1][7] = 1
    assert set(table(confusions, config, padding).predicted) == {"(padding)"}
    assert table(sameness, config, padding).answer.tolist() == ["(padding)"] * 2
    assert table(worst, config, padding).predicted[0] == ["(padding)"] * 2


@pytest.mark.parametrize("config", [small(representation="linear"), small(variant="padded")],
                         ids=["linear", "padded"])
def test_scaled_numbers_and_paddings_are_counted_too(config: RunConfig):
    weights = random_weights(config)
    judged = sample(config, 90, stream=Stream.ERRORS, seed=1)
    right = (answer(config, weights, judged.windows).predicted == judged.expected).mean(axis=0)
    assert table(errors, config, weights).accuracy.tolist() == pytest.approx(right.tolist())
    found = table(worst, config, weights)
    assert found.likelihood.max() <= 1
    assert found.wrong.is_monotonic_decreasing
