"""Influence by replacement, by gradient and by attention: each against a plain loop or TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf

from echo_core.config import RunConfig
from echo_core.data import network_input
from echo_core.evaluation import attention_weights, predict
from echo_core.inspection.influence import (
    Dependence,
    agreement,
    agreement_table,
    attention,
    gradient_on,
    influence,
    influence_on,
)
from echo_core.inspection.samples import Stream, sample
from echo_core.models import build_model
from tests.helpers.samples import small
from tests.helpers.weights import random_weights, some_windows

VARIED = [small(variant="encoder_decoder"), small(variant="attention", cell="gru"), small(variant="one_to_one"),
          small(variant="many_to_one", cell="simple_rnn"), small(variant="padded"), small(variant="no_memory"),
          small(variant="encoder_decoder", representation="linear"), small(variant="encoder_decoder", missing="mask"),
          small(task="pairs", variant="attention"), small(task="lag")]
each_kind = pytest.mark.parametrize("config", VARIED, ids=lambda c: f"{c.task}-{c.variant}-{c.representation}")


def by_replacing(config: RunConfig, weights, windows) -> np.ndarray:
    """The mean distance over every other symbol, a window and a place at a time."""
    def answered(window):
        return predict(config, weights, window[None])[0, -config.output_length:]

    moved = np.zeros((len(windows), config.output_length, config.input_length))
    for row, window in enumerate(windows):
        for place, token in enumerate(window):
            others = [symbol for symbol in range(config.vocab_size) if symbol != token]
            for symbol in others if token < config.vocab_size else []:
                other = window.copy()
                other[place] = symbol
                distance = np.abs(answered(other) - answered(window)).sum(axis=-1)
                moved[row, :, place] += distance / len(others) / (1 if config.representation == "linear" else 2)
    return moved


@each_kind
def test_influence_is_the_mean_distance_over_all_other_symbols(config: RunConfig):
    weights, windows = random_weights(config), some_windows(config)[:4]
    expected = by_replacing(config, weights, windows)
    np.testing.assert_allclose(influence_on(config, weights, windows), expected, atol=1e-5)


def by_tensorflow(config: RunConfig, weights, windows) -> np.ndarray:
    """Gradient times input of each answer's centred score, by the Keras model and TensorFlow's tape."""
    model = build_model(config.model_copy(update={"stateful": False}))
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        variable.assign(weight)
    shown = tf.constant(network_input(config, windows))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(shown)
        answered = model(shown)[:, -config.output_length:]
        if config.representation == "linear":
            scores = answered[..., 0]
        else:  # softmax's logarithm is the logit less a constant, which the mean takes away too
            logs = tf.math.log(answered)
            scores = tf.reduce_max(logs, axis=-1) - tf.reduce_mean(logs, axis=-1)
        of_outputs = tf.unstack(tf.reduce_sum(scores, axis=0))  # no window depends on another one
    slopes = np.stack([tape.gradient(score, shown) for score in of_outputs], axis=1) * shown.numpy()[:, None]
    by_place = slopes.reshape(len(windows), config.output_length, config.input_length, -1).sum(axis=-1)
    return np.where((windows < config.vocab_size)[:, None], np.abs(by_place), 0)


@each_kind
def test_the_gradient_is_that_of_tensorflow(config: RunConfig):
    weights, windows = random_weights(config), some_windows(config)[:4]
    np.testing.assert_allclose(gradient_on(config, weights, windows), by_tensorflow(config, weights, windows),
                               atol=2e-3, rtol=5e-3)


def test_only_what_an_answer_reads_has_influence():
    config = small(variant="no_memory")
    weights, windows = random_weights(config), some_windows(config)
    for values in (influence_on(config, weights, windows), gradient_on(config, weights, windows)):
        np.testing.assert_array_equal((values > 0).all(axis=0), [[False, True, False], [False, False, True]])
        np.testing.assert_array_equal((values == 0).all(axis=0), [[True, False, True], [True, True, False]])


def test_fewer_symbols_are_tried_where_fewer_windows_may_be_answered():
    config = small(variant="encoder_decoder")
    weights, windows = random_weights(config), some_windows(config)
    few = influence_on(config, weights, windows, max_answered=1)
    other = windows.copy()
    other[:, 0] = (other[:, 0] + 1) % config.vocab_size
    distance = np.abs(predict(config, weights, other) - predict(config, weights, windows)).sum(axis=-1) / 2
    np.testing.assert_allclose(few[:, :, 0], distance, atol=1e-6)


def test_many_windows_that_are_answered_in_several_passes_are_measured_as_each_of_them_alone():
    config = small(variant="encoder_decoder")
    weights = random_weights(config)
    windows = sample(config, 800, stream=Stream.INFLUENCE).windows  # 2,400 rows of one place each
    alone = [windows[:1], windows[682:683], windows[-1:]]  # the middle one is on both sides of a pass's end
    for measure in (lambda read: influence_on(config, weights, read, max_answered=1),
                    lambda read: gradient_on(config, weights, read)):
        expected = np.concatenate([measure(window) for window in alone])
        np.testing.assert_allclose(measure(windows)[[0, 682, -1]], expected, atol=2e-3)


def test_the_table_has_the_mean_and_the_share_of_maxima_of_each_place():
    config = small(variant="encoder_decoder")
    weights = random_weights(config)
    table = influence(config, weights, sequences=30, seed=4)
    windows = sample(config, 30, stream=Stream.INFLUENCE, seed=4).windows
    assert list(table.columns) == ["output", "input", "influence", "top_share", "gradient", "gradient_top_share", "n"]
    for column, top, values in (("influence", "top_share", influence_on(config, weights, windows)),
                                ("gradient", "gradient_top_share", gradient_on(config, weights, windows))):
        for row in table.itertuples():
            at = values[:, row.output - 1]
            assert getattr(row, column) == pytest.approx(at[:, row.input - 1].mean())
            assert getattr(row, top) == pytest.approx((at.argmax(axis=1) == row.input - 1).mean())
    assert table.groupby("output").top_share.sum().tolist() == pytest.approx([1, 1])


def test_the_table_of_attention_has_the_mean_weights_and_rows_that_add_up_to_one():
    config = small(variant="attention")
    weights = random_weights(config)
    table = attention(config, weights, sequences=30, seed=4)
    looked = attention_weights(config, weights, sample(config, 30, stream=Stream.INFLUENCE, seed=4).windows)
    assert table.weight.tolist() == pytest.approx(looked.mean(axis=0).ravel().tolist())
    assert table.groupby("output").weight.sum().tolist() == pytest.approx([1, 1])
    with pytest.raises(ValueError, match=r"^variant must be attention to have attention weights; received whole\.$"):
        attention(small(), random_weights(small()))


def test_agreement_is_the_share_of_sequences_that_name_the_same_input():
    config = small(variant="attention")
    weights = random_weights(config)
    table = agreement(config, weights, sequences=40, seed=4).set_index(["output", "by"])
    windows = sample(config, 40, stream=Stream.INFLUENCE, seed=4).windows
    measured = influence_on(config, weights, windows)
    moved, top = measured.max(axis=-1) >= 0.01, measured.argmax(axis=-1)
    for name, values in (("gradient", gradient_on(config, weights, windows)),
                         ("attention", attention_weights(config, weights, windows))):
        expected = ((values.argmax(axis=-1) == top) & moved).sum(axis=0) / moved.sum(axis=0)
        assert [table.agrees[output, name] for output in (1, 2)] == pytest.approx(expected.tolist())
        assert [table.n[output, name] for output in (1, 2)] == moved.sum(axis=0).tolist()
    assert ((table.low <= table.agrees) & (table.agrees <= table.high)).all()
    plain = small(variant="encoder_decoder")
    assert set(agreement(plain, random_weights(plain), sequences=5).by) == {"gradient"}


def test_sequences_in_which_no_replacement_moves_an_output_count_for_no_agreement():
    top = np.eye(3, dtype="f")[[[0, 1, 2], [0, 1, 2], [0, 1, 2], [1, 1, 2]]]  # (windows, outputs, inputs)
    gradient = np.eye(3, dtype="f")[[[0, 1, 2], [0, 1, 2], [1, 1, 2], [1, 1, 2]]]
    moved = np.array([[1, 0.009, 0.01], [1, 0.009, 0], [1, 0, 0], [0.005, 0, 0]], "f")
    table = agreement_table(Dependence(top * moved[..., None], gradient))
    assert table.n.tolist() == [3, 0, 1]
    assert table.agrees.tolist() == pytest.approx([2 / 3, np.nan, 1], nan_ok=True)
    assert table.loc[1, ["low", "high"]].isna().all()
