import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice, pairwise, zip_longest

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.config.variants import VARIANTS
from echo_core.data import (
    judged_examples,
    one_hot_decode,
    one_hot_encode,
    paddings,
    shift_table,
    shown_examples,
    to_supervised,
)
from echo_core.evaluation import evaluate, predict
from echo_core.evaluation.scores import shown_loss, take_snapshot
from echo_core.models import first_weights
from echo_core.records import Checkpoint, Diverged, Progress, Snapshot
from echo_core.training import chunks, snapshot_epochs, train
from echo_core.training.program import MAX_MILESTONES, Rate, train_epoch
from tests.helpers.samples import WORDS, small
from tests.helpers.strategies import fewer_examples
from tests.helpers.trained import DIVERGING, PARTIAL, SMALL, STATELESS, last, sampled, with_
from tests.helpers.waiting import PATIENCE


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    return one.fingerprint == other.fingerprint


@fewer_examples(1 / 3)
@given(seed=st.integers(0, 2**31 - 1), epoch=st.integers(1, 10**6), sequences=st.integers(1, 3),
       length=st.integers(2, 9), data=st.data())
def test_windows_sampled_in_the_graph_are_those_that_the_tutorials_framing_gives(seed, epoch, sequences, length, data):
    input_length = data.draw(st.integers(1, length))
    output_length = data.draw(st.integers(1, input_length))
    config = RunConfig(variant="encoder_decoder", vocab_size=7, sequence_length=length, input_length=input_length,
                       output_length=output_length, sequences_per_epoch=sequences, stateful=False, batch_size=1,
                       seed=seed)
    windows, targets = sampled(config, epoch)
    # Sequences are recovered from their windows: the first of each row, and the rest of the last.
    per_sequence = windows.reshape(sequences, -1, input_length)
    for rows, echoes in zip(per_sequence, targets.reshape(sequences, -1, output_length), strict=True):
        sequence = np.concatenate([rows[:, 0], rows[-1, 1:]])
        framed, expected = to_supervised(one_hot_encode(sequence, 7), input_length, output_length)
        np.testing.assert_array_equal(rows, one_hot_decode(framed))
        np.testing.assert_array_equal(echoes, one_hot_decode(expected))


@fewer_examples(1 / 3)
@given(seed=st.integers(0, 2**31 - 1), length=st.integers(2, 9), data=st.data())
def test_rows_kept_with_their_gaps_are_those_of_the_shift_table_that_have_a_part_of_their_echo(seed, length, data):
    input_length = data.draw(st.integers(1, length))
    output_length = data.draw(st.integers(1, input_length))
    config = RunConfig(variant="encoder_decoder", vocab_size=7, sequence_length=length, input_length=input_length,
                       output_length=output_length, batch_size=1, seed=seed, missing="mask")
    windows, targets = sampled(config, 1)
    plain, _ = sampled(config.model_copy(update={"missing": "drop"}), 1)
    sequence = np.concatenate([plain[:, 0], plain[-1, 1:]])
    table = shift_table(sequence, input_length, output_length)
    echoes = [name for name in table if name.startswith("y")]
    table = table[table[echoes].notna().any(axis=1)].fillna(7).astype(int)
    np.testing.assert_array_equal(windows, table.drop(columns=echoes))
    np.testing.assert_array_equal(targets, table[echoes])


def test_gaps_before_and_after_are_those_of_the_tutorials_shift_table():
    framed = RunConfig(variant="encoder_decoder", output_length=2, missing="mask", stateful=False, batch_size=1)
    assert (paddings(framed), framed.num_windows) == ((1, 4), 26)
    assert paddings(with_(framed, echo_start=2)) == (3, 2)
    assert paddings(with_(framed, missing="drop")) == (0, 0)


@pytest.mark.parametrize(("settings", "block"), [
    ({"echo_start": 0}, slice(0, 2)), ({"echo_start": 2}, slice(2, 4)), ({"echo_start": 3}, slice(3, 5)),
    ({"task": "reverse", "echo_start": 1}, [2, 1]), ({"task": "reverse", "echo_start": 3}, [4, 3])])
def test_the_block_that_comes_back_is_the_one_that_was_asked_for(settings: dict, block):
    config = small(variant="encoder_decoder", input_length=5, output_length=2, **settings)
    windows, targets = sampled(config, 1)
    np.testing.assert_array_equal(targets, windows[:, block])
    np.testing.assert_array_equal(judged_examples(config).expected, judged_examples(config).inputs[:, block])


@pytest.mark.parametrize("lag", [0, 1, 4])
def test_a_lag_asks_at_each_step_for_the_number_of_that_many_steps_before(lag: int):
    config = small(task="lag", lag=lag, input_length=5, output_length=5)
    windows, targets = sampled(config, 1)
    judged = judged_examples(config)
    for read, asked in [*zip(windows, targets, strict=True), *zip(judged.inputs, judged.expected, strict=True)]:
        assert asked.tolist() == [read[step - lag] if step >= lag else 7 for step in range(5)]


def test_the_steps_before_there_is_a_number_to_say_count_neither_in_loss_nor_in_accuracy():
    config = small(task="lag", lag=2, sequence_length=6, input_length=5, output_length=5, batch_size=2)
    windows, targets = sampled(config, 1)
    weights = first_weights(config)
    moments = tuple(map(tf.zeros_like, weights))
    _, loss, accuracy = train_epoch(config, (tuple(map(tf.constant, weights)), moments, moments, tf.constant(0)),
                                    tf.constant(windows.T, tf.int32), tf.constant(targets.T, tf.int32), Rate(0.01, 1))
    probabilities = predict(config, weights, windows)[:, 2:]  # (windows, 3, vocab_size)
    asked = targets[:, 2:]
    assert float(loss) == pytest.approx(
        -np.log(np.take_along_axis(probabilities, asked[..., None], axis=-1)).mean(), rel=1e-5)
    assert float(accuracy) == pytest.approx((probabilities.argmax(-1) == asked).mean())
    judged = evaluate(config, weights)
    assert judged.by_timestep[:2] == (None, None)
    assert None not in judged.by_timestep[2:]


def test_padded_targets_are_paddings_first_and_then_the_echo():
    windows, targets = sampled(small(variant="padded", input_length=5, output_length=2), 1)
    assert (targets[:, :3] == 7).all()
    np.testing.assert_array_equal(targets[:, 3:], windows[:, :2])


def test_each_epoch_has_data_of_its_own_and_so_has_each_seed():
    def sample(seed: int, epoch: int) -> bytes:
        return sampled(with_(SMALL, seed=seed), epoch)[0].tobytes()

    assert len({sample(seed, epoch) for seed in range(5) for epoch in range(1, 6)}) == 25
    assert sample(3, 4) == sample(3, 4)


@pytest.mark.parametrize("config", [*(small(variant=variant) for variant in VARIANTS),
                                    small(representation="linear", sequence_length=60)], ids=[*VARIANTS, "linear"])
def test_the_first_point_counts_loss_and_accuracy_as_training_does(config: RunConfig):
    examples, weights = shown_examples(config), tuple(map(tf.constant, first_weights(config)))
    waits = config.answer_steps - config.output_length
    targets = tf.pad(tf.constant(examples.expected.T, tf.int32), [[waits, 0], [0, 0]], constant_values=7)
    zeros = tuple(map(tf.zeros_like, weights))
    rate = Rate(tf.constant(0.0), tf.constant(1))
    whole = config.model_copy(update={"batch_size": config.num_windows})
    _, loss, accuracy = train_epoch(whole, (weights, zeros, zeros, tf.constant(0)),
                                    tf.constant(examples.inputs.T, tf.int32), targets, rate)
    assert shown_loss(config, first_weights(config)) == pytest.approx((float(loss), float(accuracy)), abs=1e-5)


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
    monkeypatch.setattr("echo_core.training.chunks.next_chunk", lambda *_: 7)
    assert same_weights(last(SMALL).checkpoint, once)


@pytest.mark.parametrize("until", [0, 1, 23, 60, 1000])
def test_training_until_an_epoch_ends_with_the_weights_of_the_run_at_that_moment(until: int):
    *_, stopped = train(SMALL, until=until)
    assert stopped.epoch == min(until, SMALL.epochs)
    moments = {record.epoch: record.checkpoint for record in train(SMALL)}
    if stopped.epoch in moments:
        assert same_weights(stopped.checkpoint, moments[stopped.epoch])
    assert same_weights(last(SMALL, stopped.checkpoint).checkpoint, moments[SMALL.epochs])


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


@given(epochs=st.integers(1, 100_000))
def test_at_least_40_snapshots_are_due_from_the_first_epoch_to_the_last(epochs: int):
    due = snapshot_epochs(epochs)
    assert len(due) >= min(40, epochs)
    assert len(due) <= 60
    assert {0, 1, epochs} <= due
    assert max(due) == epochs


def snapshots_of(records: Iterable[Progress]) -> list[Snapshot]:
    return [each.snapshot for record in records for each in record.moments if each.snapshot]


def test_every_snapshot_that_is_due_is_taken_in_the_order_of_epochs():
    records = list(train(with_(SMALL, epochs=300)))
    taken = [each.epoch for each in snapshots_of(records)]
    assert taken == sorted(set(taken))
    assert set(taken) >= snapshot_epochs(300)
    assert any(record.milestones for record in records)


NETWORKS = {**{variant: small(variant=variant) for variant in VARIANTS},
            **{cell: small(variant="encoder_decoder", cell=cell) for cell in ("gru", "simple_rnn")},
            "linear": small(representation="linear", variant="encoder_decoder"),
            "masked": small(variant="encoder_decoder", missing="mask"), "stateful": SMALL,
            "words": small(variant="encoder_decoder", text=WORDS, vocab_size=6)}  # more windows than in training


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS)
def test_answers_at_a_milestone_are_those_of_the_weights_at_that_epoch(config: RunConfig):
    config = with_(config, epochs=40)
    records = list(train(config))
    between = [milestone for record in records for milestone in record.milestones]
    assert len(between) > 20
    for milestone in between[::6]:
        *_, reached = train(config, until=milestone.epoch)
        expected = take_snapshot(config, reached.checkpoint.weights, milestone.epoch)
        assert milestone.snapshot.epoch == milestone.epoch
        np.testing.assert_array_equal(milestone.snapshot.predicted, expected.predicted)
        np.testing.assert_allclose(milestone.snapshot.confidence, expected.confidence, atol=1e-5)
        assert (milestone.loss, milestone.accuracy) == (reached.loss, reached.accuracy)


def test_a_milestone_is_as_many_seconds_into_its_chunk_as_it_has_epochs():
    before, *_ = records = list(train(with_(SMALL, epochs=300)))
    for record in records[1:]:
        for milestone in record.milestones:
            share = (milestone.epoch - before.epoch) / (record.epoch - before.epoch)
            assert before.seconds < milestone.seconds < record.seconds
            # The call began a little after the record before it.
            assert milestone.seconds >= before.seconds + share * (record.seconds - before.seconds)
        before = record


def test_a_call_has_no_more_milestones_than_its_buffers_hold(monkeypatch):
    monkeypatch.setattr(chunks, "next_chunk", lambda *_: 10_000)
    records = list(train(with_(SMALL, epochs=2000)))
    assert max(len(record.milestones) for record in records) == MAX_MILESTONES - 1
    assert {each.epoch for each in snapshots_of(records)} >= snapshot_epochs(2000)
    assert same_weights(records[-1].checkpoint, last(with_(SMALL, epochs=2000)).checkpoint)


def test_going_on_from_weights_alone_is_refused():
    first = next(iter(train(SMALL)))
    with pytest.raises(ValueError, match="checkpoint must hold Adam's moments"):
        train(SMALL, replace(first.checkpoint, moments=()))


def test_going_on_past_the_end_is_refused_with_what_to_try():
    record = last(SMALL)
    with pytest.raises(ValueError, match=r"within the run's 5 epochs; received epoch 60. Try a config with more"):
        train(with_(SMALL, epochs=5), record.checkpoint)


def test_a_finished_checkpoint_is_shown_as_it_is():
    record = last(SMALL)
    assert [again.epoch for again in train(SMALL, record.checkpoint)] == [SMALL.epochs]


@pytest.mark.slow
def test_a_process_alone_and_two_at_the_same_time_give_the_same_fingerprint():
    code = ("from echo_core.config.presets import PRESETS; from echo_core.training import train\n"
            "*_, end = train(PRESETS['whole'].config); print(end.checkpoint.fingerprint)")

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                text=True)

    alone = start().communicate(timeout=PATIENCE)[0].strip()
    together = [start(), start()]
    printed = {alone, *(process.communicate(timeout=PATIENCE)[0].strip() for process in together)}
    assert len(printed) == 1
    assert len(printed.pop()) == 64


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "at_least"), [("whole", 0.96), ("partial", 0.98), ("quick", 1.0)])
def test_presets_learn_to_echo(preset: str, at_least: float):
    config = PRESETS[preset].config
    assert evaluate(config, last(config).checkpoint.weights).window_accuracy >= at_least


@pytest.mark.parametrize(("seconds_an_epoch", "epochs"), [(0.001, 250), (0.03, 8), (0.1, 8), (0.25, 4), (2.0, 1)])
def test_a_call_takes_a_quarter_of_a_second_or_eight_long_epochs_in_a_second(seconds_an_epoch, epochs):
    num_epochs = 1
    for _ in range(8):
        num_epochs = chunks.next_chunk(num_epochs, num_epochs * seconds_an_epoch)
    assert num_epochs == epochs


def test_a_reader_may_leave_at_any_time():
    assert [record.epoch for record in islice(train(SMALL), 2)] == [0, 1]


# --- training that diverges ----------------------------------------------------------------------


def until_it_diverges(config: RunConfig) -> tuple[list[Progress], Diverged]:
    records = []
    try:
        for progress in train(config):
            records.append(progress)
    except Diverged as error:
        return records, error
    pytest.fail("it did not diverge")


@pytest.fixture(scope="module")
def diverged() -> tuple[list[Progress], Diverged]:
    return until_it_diverges(DIVERGING)


def test_training_stops_at_the_first_loss_that_is_not_finite_and_says_what_to_try(diverged):
    records, error = diverged
    assert all(np.isfinite([point.loss for record in records for point in record.points]))
    assert 1 < error.epoch < DIVERGING.epochs
    assert f"Training diverged in epoch {error.epoch}" in str(error)
    assert "Try clip_norm=1 or a lower learning_rate, such as learning_rate=0.1" in str(error)


def test_the_last_good_weights_of_a_diverged_run_are_finite_and_the_next_epochs_spoil_them(diverged):
    records, error = diverged
    assert error.checkpoint.is_finite
    assert same_weights(records[-1].checkpoint, error.checkpoint)
    assert records[-1].snapshot is not None
    with pytest.raises(Diverged) as again:
        next(train(DIVERGING, error.checkpoint))
    assert (again.value.epoch, again.value.checkpoint.epoch) == (error.epoch, error.checkpoint.epoch)


def test_where_training_diverged_does_not_depend_on_its_chunks(diverged, monkeypatch):
    _, error = diverged
    monkeypatch.setattr(chunks, "next_chunk", lambda *_: 1)
    records, other = until_it_diverges(DIVERGING)
    assert [record.epoch for record in records] == list(range(error.checkpoint.epoch + 1))
    assert (other.epoch, str(other)) == (error.epoch, str(error))
    assert same_weights(other.checkpoint, error.checkpoint)


def test_training_does_not_go_on_from_weights_that_are_not_finite():
    weights = tuple(np.full_like(weight, np.nan) for weight in first_weights(SMALL))
    with pytest.raises(Diverged, match="in epoch 7"):
        train(SMALL, Checkpoint(7, 7, weights, weights * 2))


def test_compilers_memory_is_given_back_once_for_each_program(monkeypatch):
    given_back: list[None] = []
    monkeypatch.setattr(chunks, "give_back_freed", lambda: given_back.append(None))
    config = with_(SMALL, units=29, epochs=3)  # no other test has compiled it in this process
    for seed in (1, 2):
        last(with_(config, seed=seed))
    assert len(given_back) == 1
