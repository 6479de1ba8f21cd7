import subprocess
import sys
from itertools import islice, pairwise, zip_longest

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_core.config import PRESETS, RunConfig
from echo_core.data import one_hot_decode, one_hot_encode, to_supervised
from echo_core.evaluation import evaluate
from echo_core.models import build_model, first_weights
from echo_core.records import Checkpoint, Progress
from echo_core.training import adam, sample_windows, snapshot_epochs, train

SMALL = RunConfig(vocab_size=9, units=6, sequence_length=12, input_length=4, output_length=4, batch_size=3, epochs=60)
PARTIAL = RunConfig(variant="encoder_decoder", vocab_size=9, units=6, sequence_length=12, input_length=4,
                    output_length=2, batch_size=3, epochs=60)
STATELESS = PARTIAL.model_copy(update={"stateful": False, "sequences_per_epoch": 2, "batch_size": 18})
LONG = RunConfig(variant="encoder_decoder", vocab_size=9, units=6, sequence_length=20, input_length=14,
                 output_length=12, batch_size=7, epochs=20)


def with_(config: RunConfig, **changes) -> RunConfig:
    return RunConfig(**{**config.model_dump(), **changes})


def last(config: RunConfig, checkpoint: Checkpoint | None = None) -> Progress:
    *_, progress = train(config, checkpoint)
    return progress


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    return one.fingerprint == other.fingerprint


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), epoch=st.integers(1, 10**6), sequences=st.integers(1, 3),
       length=st.integers(2, 9), data=st.data())
def test_windows_sampled_in_the_graph_are_those_that_the_tutorials_framing_gives(seed, epoch, sequences, length, data):
    input_length = data.draw(st.integers(1, length))
    config = RunConfig(variant="encoder_decoder", vocab_size=7, sequence_length=length, input_length=input_length,
                       output_length=1, sequences_per_epoch=sequences, stateful=False, batch_size=1)
    windows = sample_windows(config, tf.constant(seed), tf.constant(epoch)).numpy().T
    # Sequences are recovered from their windows: the first of each row, and the rest of the last.
    per_sequence = windows.reshape(sequences, -1, input_length)
    for rows in per_sequence:
        sequence = np.concatenate([rows[:, 0], rows[-1, 1:]])
        framed, _ = to_supervised(one_hot_encode(sequence, 7), input_length, 1)
        np.testing.assert_array_equal(rows, one_hot_decode(framed))


def test_each_epoch_has_data_of_its_own_and_so_has_each_seed():
    def sample(seed: int, epoch: int) -> bytes:
        return sample_windows(SMALL, tf.constant(seed), tf.constant(epoch)).numpy().tobytes()

    assert len({sample(seed, epoch) for seed in range(5) for epoch in range(1, 6)}) == 25
    assert sample(3, 4) == sample(3, 4)


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


@pytest.mark.parametrize("config", [SMALL, PARTIAL, STATELESS, LONG], ids=["whole", "partial", "stateless", "long"])
def test_an_epoch_moves_the_weights_as_keras_would(config: RunConfig):
    """Three epochs by Keras's own layers, loss and optimiser, batch after batch as the tutorial does."""
    model, optimiser = build_model(config), keras.optimizers.Adam(config.learning_rate)
    loss_of = keras.losses.CategoricalCrossentropy()
    for epoch in range(1, 4):
        windows = sample_windows(config, tf.constant(config.seed), tf.constant(epoch)).numpy().T
        for start in range(0, len(windows), config.batch_size):
            batch = one_hot_encode(windows[start:start + config.batch_size], config.vocab_size)
            with tf.GradientTape() as tape:
                loss = loss_of(batch[:, :config.output_length], model(batch))
            optimiser.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]),
                            model.trainable_variables)
        for layer in model.layers:
            if hasattr(layer, "reset_state"):
                layer.reset_state()
    trained = last(with_(config, epochs=3)).checkpoint
    for mine, theirs in zip(trained.weights, model.trainable_variables, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-4)
    assert trained.step == 3 * config.updates_per_epoch


def test_the_first_record_is_the_untrained_network_and_the_last_one_the_end():
    records = list(train(SMALL))
    assert [records[0].epoch, records[-1].epoch] == [0, SMALL.epochs]
    for mine, theirs in zip(records[0].checkpoint.weights, first_weights(SMALL), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert [r.epoch for r in records] == sorted({r.epoch for r in records})
    assert all(earlier.seconds < later.seconds for earlier, later in pairwise(records))


def test_loss_falls_and_accuracy_rises():
    records = list(train(with_(SMALL, epochs=400, learning_rate=0.01)))
    assert records[-1].loss < 0.5 * records[0].loss
    assert records[-1].accuracy > 0.9


@pytest.mark.parametrize("config", [SMALL, PARTIAL, STATELESS], ids=["whole", "partial", "stateless"])
def test_a_run_that_goes_on_from_any_checkpoint_equals_one_that_was_never_interrupted(config: RunConfig):
    records = list(train(config))
    for record in records[1::9]:
        stored = Checkpoint.from_bytes(record.checkpoint.to_bytes())
        assert same_weights(last(config, stored).checkpoint, records[-1].checkpoint)


def test_however_the_epochs_fall_into_chunks_the_weights_are_the_same(monkeypatch):
    once = last(SMALL).checkpoint
    monkeypatch.setattr("echo_core.training._next_chunk", lambda *_: 7)
    assert same_weights(last(SMALL).checkpoint, once)


def test_another_seed_gives_other_weights_and_the_same_seed_the_same():
    assert same_weights(last(PARTIAL).checkpoint, last(PARTIAL).checkpoint)
    assert not same_weights(last(with_(PARTIAL, seed=1)).checkpoint, last(PARTIAL).checkpoint)


def test_two_runs_in_turn_do_not_disturb_each_other():
    alone = [last(with_(PARTIAL, seed=seed)).checkpoint.fingerprint for seed in (0, 1)]
    ends: dict[int, Progress] = {}
    for records in zip_longest(train(with_(PARTIAL, seed=0)), train(with_(PARTIAL, seed=1))):
        ends |= {seed: record for seed, record in enumerate(records) if record}
    assert [ends[seed].epoch for seed in (0, 1)] == [PARTIAL.epochs] * 2
    assert [ends[seed].checkpoint.fingerprint for seed in (0, 1)] == alone


def test_a_curve_has_at_most_500_points_and_no_epoch_twice():
    points = [point.epoch for record in train(with_(SMALL, epochs=2345)) for point in record.points]
    assert len(points) == len(set(points)) <= 500
    assert (points[0], points[-1]) == (0, 2345)


@settings(max_examples=50, deadline=None)
@given(epochs=st.integers(1, 100_000))
def test_at_least_40_snapshots_are_due_from_the_first_epoch_to_the_last(epochs: int):
    due = snapshot_epochs(epochs)
    assert len(due) >= min(40, epochs)
    assert len(due) <= 60
    assert {0, 1, epochs} <= due
    assert max(due) == epochs


def test_every_snapshot_that_is_due_is_taken():
    taken = {record.epoch for record in train(with_(SMALL, epochs=300)) if record.snapshot}
    assert taken >= snapshot_epochs(300)


def test_going_on_from_weights_alone_is_refused():
    first = next(iter(train(SMALL)))
    with pytest.raises(ValueError, match="checkpoint must hold Adam's moments"):
        train(SMALL, first.checkpoint.without_moments())


def test_going_on_past_the_end_is_refused_with_what_to_try():
    record = last(SMALL)
    with pytest.raises(ValueError, match=r"within the run's 5 epochs; received epoch 60. Try a config with more"):
        train(with_(SMALL, epochs=5), record.checkpoint)


def test_a_finished_checkpoint_is_shown_as_it_is():
    record = last(SMALL)
    assert [again.epoch for again in train(SMALL, record.checkpoint)] == [SMALL.epochs]


@pytest.mark.slow
def test_a_process_alone_and_two_at_the_same_time_give_the_same_fingerprint():
    code = ("from echo_core.config import PRESETS; from echo_core.training import train\n"
            "*_, end = train(PRESETS['whole'].config); print(end.checkpoint.fingerprint)")

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                text=True)

    alone = start().communicate(timeout=120)[0].strip()
    together = [start(), start()]
    printed = {alone, *(process.communicate(timeout=120)[0].strip() for process in together)}
    assert len(printed) == 1
    assert len(printed.pop()) == 64


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "at_least"), [("whole", 0.96), ("partial", 0.98), ("quick", 1.0)])
def test_presets_learn_to_echo(preset: str, at_least: float):
    config = PRESETS[preset].config
    assert evaluate(config, last(config).checkpoint.weights).window_accuracy >= at_least


def test_a_reader_may_leave_at_any_time():
    assert [record.epoch for record in islice(train(SMALL), 2)] == [0, 1]
