import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.data import (
    judged_examples,
    network_input,
    one_hot_encode,
    shown_examples,
    shown_sequence,
    text_examples,
    to_windows,
    unseen_sequences,
)
from echo_core.evaluation import answer, ask_again, attention_weights, evaluate, judge, predict
from echo_core.evaluation.scores import shown_loss, take_snapshot
from echo_core.models import build_model, first_weights
from echo_core.networks.in_numpy import forward
from echo_core.text.words import pairs
from tests.helpers.samples import small

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


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if preset.config.task != "pairs"])
def test_at_least_two_thousand_unseen_windows_are_judged(preset: str):
    evaluation = evaluate(PRESETS[preset].config, first_weights(PRESETS[preset].config))
    assert evaluation.windows >= 2000
    assert evaluation.judged_on == "unseen"


def test_pairs_are_judged_on_themselves_and_what_no_answer_has_counts_nowhere():
    config = small(task="pairs", variant="encoder_decoder")
    judged, weights = evaluate(config, first_weights(config)), first_weights(config)
    assert (judged.windows, judged.judged_on) == (4, "training")
    said, right, whole = answer(config, weights, text_examples(config).inputs).predicted, [], []
    for row, pair in zip(said, pairs(config.text), strict=True):
        words = [config.vocabulary[number] for number in row]
        right += [word == expected for word, expected in zip(words, pair.answer, strict=False)]
        whole.append(words[:len(pair.answer)] == list(pair.answer))
    assert len(right) == 2 + 1 + 4 + 1
    assert judged.token_accuracy == pytest.approx(np.mean(right))
    assert judged.window_accuracy == pytest.approx(np.mean(whole))
    assert len(judged.by_timestep) == config.output_length


def test_rows_with_gaps_are_right_where_all_that_they_have_is_right():
    config = small(variant="encoder_decoder", missing="mask")
    examples = judged_examples(config)
    right, present = judge(config, examples, examples.expected.astype(np.int32))
    assert right.sum() == present.sum() < right.size
    assert judge(config, examples, np.zeros_like(examples.expected))[0].mean() < 0.5


def test_padded_answers_are_read_off_after_the_wait():
    config, weights = small(variant="padded", input_length=5), first_weights(small(variant="padded", input_length=5))
    inputs = shown_examples(config).inputs
    said = answer(config, weights, inputs)
    np.testing.assert_array_equal(said.predicted, predict(config, weights, inputs)[:, 3:].argmax(-1))


def test_scaled_numbers_are_rounded_to_the_nearest_integer_of_the_vocabulary():
    config = small(variant="many_to_one", representation="linear")
    inputs, weights = shown_examples(config).inputs, first_weights(config)
    said, told = answer(config, weights, inputs), predict(config, weights, inputs)[..., 0]
    nearest = np.abs(told[..., None] - np.arange(7) / 6).argmin(-1)
    np.testing.assert_array_equal(said.predicted, nearest)
    np.testing.assert_allclose(said.confidence, np.clip(6 * told, 0, 6), rtol=1e-5)


@pytest.mark.parametrize("settings", [{"vocab_size": 2}, {"vocab_size": 100}, {"vocab_size": 1000}], ids=str)
def test_chance_loss_of_scaled_numbers_is_that_of_always_saying_the_middle(settings: dict):
    config = small(variant="many_to_one", representation="linear", **settings)
    numbers = np.arange(config.vocab_size) / (config.vocab_size - 1)
    assert config.chance_loss == pytest.approx(((numbers - 0.5) ** 2).mean())


@pytest.mark.parametrize("config", [CONFIG, RunConfig(vocab_size=6, units=8)], ids=["partial", "whole"])
def test_a_network_that_is_never_reset_answers_as_a_stateful_keras_model_does(config: RunConfig):
    inputs, weights, model = shown_examples(config).inputs, first_weights(config), build_model(config)
    said = ask_again(config, weights, inputs, 3)
    for again in said:
        expected = np.concatenate([model(network_input(config, inputs[start:start + config.batch_size]))
                                   for start in range(0, len(inputs), config.batch_size)])
        np.testing.assert_allclose(again.confidence, expected.max(-1), atol=1e-6)
    first = slice(0, config.batch_size)
    np.testing.assert_allclose(said[0].confidence[first], answer(config, weights, inputs).confidence[first], atol=1e-6)
    assert not np.allclose(said[1].confidence, said[0].confidence)


GAPPED = small(variant="encoder_decoder", missing="mask")


@pytest.mark.parametrize(("windows", "words"), [
    ([[-1, 0, 1, 2, 3]], r"windows must hold integers in \[0, 6\), the vocabulary; received -1\."),
    ([[0, 1, 2, 3, 6]], r"windows must hold integers in \[0, 6\), the vocabulary; received 6\."),
    ([[0, 1, 2]], r"windows must have shape \(windows, 5\), as input_length is 5; received shape \(1, 3\)"),
    ([0, 1, 2, 3, 4], r"windows must have shape \(windows, 5\).*received shape \(5,\)"),
    (np.zeros((1, 5, 6), int), r"windows must have shape \(windows, 5\).*received shape \(1, 5, 6\)"),
    ([[0, 1, 2, 3, 4.5]], r"windows must hold integers; received 4\.5"),
    ([[0, 1, 2, 3, float("nan")]], "windows must hold integers; received nan"),
    ([["0", "1", "2", "3", "4"]], "windows must hold integers; received 0"),
    ([[True] * 5], "windows must hold integers; received True"),
    ([[0, 1, 2, 3, 4], [1]], "windows must hold integers, each row as many"),
    ([], "windows must hold at least one integer"),
    (np.zeros((0, 5), int), "windows must hold at least one integer"),
])
def test_windows_that_a_network_cannot_read_are_refused_whoever_asks(windows, words):
    attentive = CONFIG.model_copy(update={"variant": "attention"})
    for ask in (lambda: answer(CONFIG, first_weights(CONFIG), windows),
                lambda: predict(CONFIG, first_weights(CONFIG), windows),
                lambda: forward(CONFIG, first_weights(CONFIG), windows),
                lambda: ask_again(CONFIG, first_weights(CONFIG), windows, 2),
                lambda: attention_weights(attentive, first_weights(attentive), windows)):
        with pytest.raises(ValueError, match=words):
            ask()


def test_a_gap_is_asked_only_where_the_network_masks_it():
    gap = [[0, 1, GAPPED.vocab_size]]
    assert answer(GAPPED, first_weights(GAPPED), gap).predicted.shape == (1, 2)
    with pytest.raises(ValueError, match=r"integers in \[0, 7\), the vocabulary, or 7 where nothing is; received 8"):
        answer(GAPPED, first_weights(GAPPED), [[0, 1, 8]])


@pytest.mark.parametrize("windows", [[[0, 1, 2, 3, 4]], ((0, 1, 2, 3, 4),), np.array([[0, 1, 2, 3, 4]], np.uint8),
                                     np.array([[0.0, 1, 2, 3, 4]])])
def test_windows_may_be_lists_and_any_whole_numbers(windows):
    expected = answer(CONFIG, first_weights(CONFIG), np.array([[0, 1, 2, 3, 4]]))
    np.testing.assert_array_equal(answer(CONFIG, first_weights(CONFIG), windows).predicted, expected.predicted)


def test_weights_of_another_network_and_batches_that_are_not_whole_are_refused():
    weights, windows = first_weights(CONFIG), shown_examples(CONFIG).inputs
    arrays = len(weights)
    with pytest.raises(ValueError, match=rf"weights must be {arrays} arrays with .*; received.* {arrays - 1} "):
        answer(CONFIG, weights[1:], windows)
    with pytest.raises(ValueError, match="windows must be whole batches of 21"):
        ask_again(CONFIG, weights, windows[:20], 2)
    with pytest.raises(ValueError, match="times must be a whole number of at least 1; received 0"):
        ask_again(CONFIG, weights, windows, 0)
    with pytest.raises(ValueError, match=r"predicted must have the shape of what is expected, \(21, 2\)"):
        judge(CONFIG, shown_examples(CONFIG), np.zeros((21, 3), np.int32))


def test_an_untrained_network_is_near_chance():
    config = PRESETS["whole"].config
    assert evaluate(config, first_weights(config)).token_accuracy < 0.05


def test_predicting_twice_gives_the_same_answer_though_the_model_is_stateful():
    windows, weights = shown_examples(CONFIG).inputs, first_weights(CONFIG)
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
    probabilities = predict(CONFIG, weights, shown_examples(CONFIG).inputs)
    assert snapshot.epoch == 3
    np.testing.assert_array_equal(snapshot.predicted, probabilities.argmax(-1))
    np.testing.assert_array_equal(snapshot.confidence, probabilities.max(-1))


def test_loss_of_a_padded_network_is_the_mean_over_its_paddings_and_its_echo():
    config = small(variant="padded", output_length=2)
    weights, examples = first_weights(config), shown_examples(config)
    told = predict(config, weights, examples.inputs)
    losses = []
    for window, expected in zip(told, examples.expected, strict=True):
        targets = [config.vocab_size] * (config.input_length - 2) + list(expected)
        losses += [-np.log(window[step, target]) for step, target in enumerate(targets)]
    assert shown_loss(config, weights)[0] == pytest.approx(np.mean(losses), rel=1e-5)


def test_loss_of_scaled_numbers_is_their_mean_squared_error():
    config = small(representation="linear")
    weights, examples = first_weights(config), shown_examples(config)
    answered = predict(config, weights, examples.inputs)[..., 0]
    wanted = examples.expected / (config.vocab_size - 1)
    assert shown_loss(config, weights)[0] == pytest.approx(np.mean((answered - wanted) ** 2), rel=1e-5)


def test_loss_of_an_untrained_network_is_near_that_of_guessing():
    config = PRESETS["partial"].config
    loss, accuracy = shown_loss(config, first_weights(config))
    assert loss == pytest.approx(config.chance_loss, abs=0.05)
    assert accuracy < 0.2


def test_sameness_and_the_score_of_the_same_answer_equal_counting_in_a_plain_loop():
    for config in (CONFIG, small(task="pairs", variant="encoder_decoder")):
        weights = first_weights(config)
        judged, examples = evaluate(config, weights), judged_examples(config)
        said, present = answer(config, weights, examples.inputs).predicted, examples.present(config.vocab_size)
        columns = [[row[step] for row, there in zip(said.tolist(), present, strict=True) if there[step]]
                   for step in range(config.output_length)]
        common = [max(sorted(set(column)), key=column.count) for column in columns]
        same = sum(column.count(token) for column, token in zip(columns, common, strict=True))
        assert judged.sameness == pytest.approx(same / sum(map(len, columns)))
        right = [all(token == wanted for token, wanted, there in zip(common, row, shown, strict=True) if there)
                 for row, shown in zip(examples.expected.tolist(), present, strict=True)]
        assert judged.same_accuracy == pytest.approx(np.mean(right))


@pytest.mark.parametrize("representation", ["one_hot", "linear"])
def test_a_network_that_always_says_the_same_has_a_sameness_of_one(representation: str):
    config = CONFIG.model_copy(update={"representation": representation})
    *others, bias = first_weights(config)
    silent = (*map(np.zeros_like, others), np.full_like(bias, 0.5) + np.arange(len(bias), dtype=np.float32))
    assert evaluate(config, silent).sameness == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_finite_numbers_are_not_judged(bad: float):
    *others, bias = first_weights(CONFIG)
    with pytest.raises(ValueError, match=r"weights must be finite numbers to be judged; received NaN or infinity\."):
        evaluate(CONFIG, (*others, np.full_like(bias, bad)))

