import numpy as np
import pytest

from echo_core.config import PRESETS, RunConfig
from echo_core.data import one_hot_encode, shown_sequence, shown_windows, to_windows, unseen_sequences
from echo_core.evaluation import evaluate, predict, shown_loss, take_snapshot
from echo_core.models import build_model, first_weights

CONFIG = RunConfig(variant="encoder_decoder", vocab_size=6, units=8, output_length=2, batch_size=21)


def test_evaluation_equals_counting_in_a_plain_loop():
    weights = first_weights(CONFIG)
    model = build_model(CONFIG.model_copy(update={"stateful": False}))
    tokens_right = windows_right = windows = 0
    for sequence in unseen_sequences(CONFIG):
        for start in range(CONFIG.windows_per_sequence):
            window = sequence[start:start + CONFIG.input_length]
            answer = np.argmax(model(one_hot_encode(window, CONFIG.vocab_size)[None])[0], axis=-1)
            right = answer == window[:CONFIG.output_length]
            tokens_right, windows_right, windows = tokens_right + right.sum(), windows_right + right.all(), windows + 1
        if windows > 200:
            break
    judged = to_windows(unseen_sequences(CONFIG), CONFIG.input_length)[:windows]
    right = predict(CONFIG, weights, judged).argmax(-1) == judged[:, :2]
    assert (right.sum(), right.all(axis=1).sum()) == (tokens_right, windows_right)
    whole = evaluate(CONFIG, weights)
    right = predict(CONFIG, weights, to_windows(unseen_sequences(CONFIG), 5)).argmax(-1) == \
        to_windows(unseen_sequences(CONFIG), 5)[:, :2]
    assert whole.token_accuracy == pytest.approx(right.mean())
    assert whole.window_accuracy == pytest.approx(right.all(axis=1).mean())
    assert whole.by_timestep == pytest.approx(tuple(right.mean(axis=0)))


@pytest.mark.parametrize("preset", PRESETS)
def test_at_least_two_thousand_unseen_windows_are_judged(preset: str):
    evaluation = evaluate(PRESETS[preset].config, first_weights(PRESETS[preset].config))
    assert evaluation.windows >= 2000
    assert evaluation.judged_on == "unseen"


def test_an_untrained_network_is_near_chance():
    config = PRESETS["whole"].config
    assert evaluate(config, first_weights(config)).token_accuracy < 0.05


def test_predicting_twice_gives_the_same_answer_though_the_model_is_stateful():
    windows, weights = shown_windows(CONFIG), first_weights(CONFIG)
    np.testing.assert_array_equal(predict(CONFIG, weights, windows), predict(CONFIG, weights, windows))


def test_windows_predicted_alone_have_the_answers_they_have_together():
    windows, weights = to_windows(unseen_sequences(CONFIG), CONFIG.input_length)[:600], first_weights(CONFIG)
    together = predict(CONFIG, weights, windows)
    np.testing.assert_allclose(predict(CONFIG, weights, windows[555:556])[0], together[555], atol=1e-6)


def test_unseen_sequences_are_other_than_the_shown_one_and_other_for_another_seed():
    other = CONFIG.model_copy(update={"seed": 1})
    assert not any(np.array_equal(shown_sequence(CONFIG), sequence) for sequence in unseen_sequences(CONFIG))
    assert not np.array_equal(shown_sequence(CONFIG), shown_sequence(other))


def test_a_snapshot_holds_the_answers_and_how_sure_the_network_was():
    weights = first_weights(CONFIG)
    snapshot = take_snapshot(CONFIG, weights, epoch=3)
    probabilities = predict(CONFIG, weights, shown_windows(CONFIG))
    assert snapshot.epoch == 3
    np.testing.assert_array_equal(snapshot.predicted, probabilities.argmax(-1))
    np.testing.assert_array_equal(snapshot.confidence, probabilities.max(-1))


def test_loss_of_an_untrained_network_is_near_that_of_guessing():
    config = PRESETS["partial"].config
    loss, accuracy = shown_loss(config, first_weights(config))
    assert loss == pytest.approx(config.chance_loss, abs=0.05)
    assert accuracy < 0.2
