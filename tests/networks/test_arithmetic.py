"""Training against Keras: its layers, losses and optimiser, batch after batch, for each combination there is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from echo_core.config import RunConfig
from echo_core.config.compatibility import offered
from echo_core.config.variants import VARIANTS
from echo_core.data import network_input, scale
from echo_core.models import build_model, first_weights
from echo_core.training.program import Rate, adam, sample_examples, train_epoch
from tests.helpers.samples import COMBINATIONS, each, small
from tests.helpers.trained import LONG, PARTIAL, SMALL, STATELESS, last, sampled, with_


def test_our_adam_takes_the_steps_of_the_keras_optimiser():
    rng = np.random.default_rng(0)
    start = [rng.normal(size=(3, 4)).astype("f"), rng.normal(size=4).astype("f")]
    variables = [keras.Variable(value) for value in start]
    optimiser = keras.optimizers.Adam(learning_rate=0.01)
    ours, first, second = tuple(start), tuple(map(np.zeros_like, start)), tuple(map(np.zeros_like, start))
    for step in range(20):
        gradients = [rng.normal(size=value.shape).astype("f") * 10.0 ** -(step % 5) for value in start]
        optimiser.apply(gradients, variables)
        ours, first, second = adam(ours, first, second, gradients, tf.constant(step), tf.constant(0.01))
    for mine, theirs in zip(ours, variables, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def by_keras(config: RunConfig, epochs: int) -> list[np.ndarray]:
    """Weights after some epochs by Keras's own layers and optimiser, batch after batch as the tutorial does."""
    model, rate = build_model(config), config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, config.epochs * config.updates_per_epoch)
    optimiser = keras.optimizers.Adam(rate, global_clipnorm=config.clip_norm or None)
    for epoch in range(1, epochs + 1):
        windows, targets = sampled(config, epoch)
        for start in range(0, len(windows), config.batch_size):
            batch, expected = (part[start:start + config.batch_size] for part in (windows, targets))
            there = (expected < config.vocab_size) | (config.variant == "padded")
            with tf.GradientTape() as tape:
                told = model(network_input(config, batch))
                if config.representation == "linear":
                    losses = (told[..., 0] - scale(expected, config.vocab_size)) ** 2
                else:
                    losses = keras.losses.sparse_categorical_crossentropy(
                        np.where(there, expected, 0), told, from_logits=False)
                loss = tf.reduce_sum(losses * there) / there.sum()
            optimiser.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]),
                            model.trainable_variables)
        for layer in model.layers:
            if hasattr(layer, "reset_state"):
                layer.reset_state()
    return [variable.value.numpy() for variable in model.trainable_variables]


def without_compiling(config: RunConfig, epochs: int) -> list[np.ndarray]:
    """The same by what is compiled else, run as it stands."""
    weights = tuple(map(tf.constant, first_weights(config)))
    zeros = tuple(map(tf.zeros_like, weights))
    trained = (weights, zeros, zeros, tf.constant(0))
    rate = Rate(tf.constant(config.learning_rate), tf.constant(config.epochs * config.updates_per_epoch))
    for epoch in range(1, epochs + 1):
        examples = sample_examples(config, tf.constant(config.seed), tf.constant(epoch))
        trained, _, _ = train_epoch(config, trained, *examples, rate)
    return [weight.numpy() for weight in trained[0]]


@each(COMBINATIONS)
def test_every_combination_moves_its_weights_as_keras_would(config: RunConfig):
    for mine, theirs in zip(without_compiling(config, 1), by_keras(config, 1), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=3e-4)


#: A cell for each variant in turn, so that each variant and each cell is compiled; the others are slow.
QUICK_CELLS = {variant: cells[place % len(cells)] for place, variant in enumerate(VARIANTS)
               if (cells := offered("cell", {"variant": variant}))}


@pytest.mark.parametrize(("variant", "cell"), [
    pytest.param(variant, cell, marks=[] if cell == QUICK_CELLS[variant] else pytest.mark.slow)
    for variant in VARIANTS for cell in offered("cell", {"variant": variant})])
def test_every_variant_and_cell_compiles_to_the_same_arithmetic(variant: str, cell: str):
    config = small(variant=variant, cell=cell, stateful=True, schedule="cosine", clip_norm=0.5)
    for mine, plain in zip(last(config).checkpoint.weights, without_compiling(config, config.epochs), strict=True):
        np.testing.assert_allclose(mine, plain, atol=3e-4)


@pytest.mark.parametrize("config", [
    pytest.param(SMALL, id="whole"), pytest.param(STATELESS, id="stateless"),
    pytest.param(small(task="pairs", variant="attention"), id="pairs"),
    pytest.param(small(variant="many_to_one", representation="linear"), id="linear"),
    pytest.param(with_(LONG, cell="gru", missing="mask", sequence_length=21, batch_size=8), id="long-gru-mask"),
    pytest.param(PARTIAL, id="partial", marks=pytest.mark.slow), pytest.param(LONG, id="long", marks=pytest.mark.slow),
    pytest.param(small(variant="attention", missing="mask"), id="mask", marks=pytest.mark.slow)])
def test_a_compiled_epoch_moves_the_weights_as_keras_would(config: RunConfig):
    trained = last(with_(config, epochs=3)).checkpoint
    for mine, theirs in zip(trained.weights, by_keras(with_(config, epochs=3), 3), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=3e-4)
    assert trained.step == 3 * config.updates_per_epoch


@pytest.mark.parametrize("changes", [pytest.param({"schedule": "cosine"}, marks=pytest.mark.slow),
                                     pytest.param({"clip_norm": 0.05}, marks=pytest.mark.slow),
                                     {"schedule": "cosine", "clip_norm": 0.05}], ids=str)
def test_rates_that_fall_and_gradients_that_are_clipped_are_those_of_keras(changes: dict):
    config = with_(STATELESS, **changes, epochs=20, learning_rate=0.02)
    trained = last(config).checkpoint.weights
    for mine, theirs in zip(trained, by_keras(config, 20), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-3)
    plain = last(with_(STATELESS, epochs=20, learning_rate=0.02)).checkpoint.weights
    assert max(abs(a - b).max() for a, b in zip(trained, plain, strict=True)) > 0.02
