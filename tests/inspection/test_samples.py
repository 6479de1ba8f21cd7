"""Sequences for inspections, the slices that bound memory, and intervals."""

import math

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.data import shown_examples, text_examples, to_examples
from echo_core.evaluation.scores import slices
from echo_core.inspection.inside import look_inside
from echo_core.inspection.samples import (
    Stream,
    accuracy_by_output,
    mean_interval,
    random_windows,
    sample,
    share_row,
)
from tests.helpers.samples import ALL, small
from tests.helpers.weights import random_weights

UNSEEN = {name: config for name, config in ALL.items() if config.task != "pairs" and config.missing == "drop"}


@pytest.mark.parametrize("config", UNSEEN.values(), ids=UNSEEN)
def test_answers_are_those_of_the_task_for_each_window(config: RunConfig):
    judged = sample(config, 6, stream=Stream.INFLUENCE)
    one_window = config.model_copy(update={"sequence_length": config.input_length})
    np.testing.assert_array_equal(judged.expected, to_examples(one_window, judged.windows).expected)


def test_pairs_are_sampled_as_they_are_and_at_most_once():
    config = small(task="pairs", variant="attention")
    inputs, expected = text_examples(config)
    judged = sample(config, 1000, stream=Stream.INFLUENCE)
    np.testing.assert_array_equal(judged.windows, inputs)
    np.testing.assert_array_equal(judged.expected, expected)
    assert len(sample(config, 2, stream=Stream.INFLUENCE).windows) == 2


def test_streams_and_seeds_share_no_windows_and_the_same_ones_repeat():
    config = RunConfig()
    drawn = {(stream, seed): sample(config, 50, stream, seed).windows for stream in Stream for seed in (0, 1)}
    rows = [tuple(row) for windows in drawn.values() for row in windows.tolist()]
    assert len(set(rows)) == len(rows)
    np.testing.assert_array_equal(sample(config, 50, Stream.SWAP, 1).windows, drawn[Stream.SWAP, 1])
    np.testing.assert_array_equal(sample(config, 50, Stream.SWAP).windows, drawn[Stream.SWAP, config.seed])
    assert not set(map(tuple, shown_examples(config).inputs.tolist())) & set(rows)


@pytest.mark.parametrize("number", [0, -3, 2.5, True])
def test_a_number_of_sequences_that_is_no_count_is_refused(number):
    for draw in (sample, random_windows):
        with pytest.raises(ValueError, match=r"^sequences must be a whole number of at least 1; received "):
            draw(RunConfig(), number, Stream.SWAP)


@pytest.mark.parametrize("windows", [1, 7, 4096, 5000])
def test_slices_cover_each_window_once(windows: int):
    config = PRESETS["partial"].config
    covered = [row for part in slices(config, windows) for row in range(windows)[part]]
    assert covered == list(range(windows))


def test_a_slice_of_a_large_network_stays_small_in_memory():
    config = RunConfig(variant="encoder_decoder", units=512, input_length=50, output_length=25, sequence_length=60,
                       batch_size=11)
    part = next(slices(config, 100_000))
    windows = random_windows(config, part.stop, Stream.INFLUENCE)[:2]
    inside = look_inside(config, random_weights(config, scale=0.05), windows)
    numbers = sum(array.size for layer in inside.layers
                  for array in (*layer.gates.values(), layer.candidate, layer.hidden, layer.cell)) // 2
    assert 1 <= part.stop * numbers * 4 <= 2**26


def test_an_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    mean, low, high = mean_interval(values)
    half = 1.959964 * np.std(values, ddof=1) / 2
    assert (mean, low, high) == pytest.approx((4, 4 - half, 4 + half))
    assert math.isnan(mean_interval(values[:1])[1])


def test_a_share_of_nothing_is_no_number():
    row = share_row(np.empty(0, bool))
    assert row.pop("n") == 0
    assert all(math.isnan(value) for value in row.values())


def test_only_places_at_which_something_is_expected_are_counted():
    config = small(variant="encoder_decoder")
    expected = np.array([[1, 7], [2, 7], [3, 4]])
    table = accuracy_by_output(config, np.array([[1, 0], [0, 0], [3, 4]]), expected)
    assert table.accuracy.tolist() == pytest.approx([2 / 3, 1])
    assert table.n.tolist() == [3, 1]
