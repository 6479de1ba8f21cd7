"""The tutorial's functions against three oracles: a plain loop, the tutorial's pandas, and Keras."""

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.data import (
    generate_sequence,
    get_data,
    network_input,
    one_hot_decode,
    one_hot_encode,
    scale,
    shift_table,
    shown_examples,
    shown_sequence,
    text_examples,
    to_examples,
    to_supervised,
    to_windows,
    unscale,
    unseen_sequences,
)

# The tutorial's printed example, framed 5 -> 3: row i is numbers i..i+4 -> numbers i..i+2.
PRINTED = [86, 81, 88, 1, 23, 78, 64, 7, 99, 23, 2, 36, 73, 26, 27, 33, 24, 51, 73, 64, 13, 13, 53, 40, 64]
FIRST_AND_LAST_PRINTED_ROWS = {
    0: ([86, 81, 88, 1, 23], [86, 81, 88]),
    1: ([81, 88, 1, 23, 78], [81, 88, 1]),
    20: ([13, 13, 53, 40, 64], [13, 13, 53]),
}


@st.composite
def framings(draw):
    """A sequence with a vocabulary, and lengths that fit it."""
    vocab_size = draw(st.integers(2, 30))
    sequence = draw(st.lists(st.integers(0, vocab_size - 1), min_size=1, max_size=40))
    input_length = draw(st.integers(1, len(sequence)))
    return sequence, vocab_size, input_length, draw(st.integers(1, input_length))


def framed_by_a_loop(sequence, input_length, output_length):
    windows, echoes = [], []
    for start in range(len(sequence)):
        window = list(sequence[start:start + input_length])
        if len(window) == input_length:
            windows.append(window)
            echoes.append(window[:output_length])
    return windows, echoes


def framed_as_the_tutorial_does(encoded, input_length, output_length):
    """Lag columns side by side, incomplete rows dropped, the leading columns again as the target."""
    rows = pd.DataFrame(encoded)
    width = rows.shape[1]
    complete = pd.concat([rows.shift(input_length - 1 - i) for i in range(input_length)], axis=1).dropna()
    flat = complete.to_numpy()
    return (flat.reshape(len(flat), input_length, width),
            flat[:, :output_length * width].reshape(len(flat), output_length, width))


# --- framing -------------------------------------------------------------------------------------


def test_the_printed_example_gives_its_21_rows():
    windows, echoes = to_supervised(one_hot_encode(PRINTED), 5, 3)
    assert windows.shape == (21, 5, 100)
    assert echoes.shape == (21, 3, 100)
    assert one_hot_decode(windows) == [PRINTED[i:i + 5] for i in range(21)]
    assert one_hot_decode(echoes) == [PRINTED[i:i + 3] for i in range(21)]
    for row, (window, echo) in FIRST_AND_LAST_PRINTED_ROWS.items():
        assert (one_hot_decode(windows[row]), one_hot_decode(echoes[row])) == (window, echo)


def test_one_to_five_framed_five_to_one_is_a_single_row():
    windows, echoes = to_supervised(one_hot_encode([1, 2, 3, 4, 5]), 5, 1)
    assert one_hot_decode(windows) == [[1, 2, 3, 4, 5]]
    assert one_hot_decode(echoes) == [[1]]


@given(framings())
def test_windows_match_a_plain_loop(framing):
    sequence, vocab_size, input_length, output_length = framing
    windows, echoes = to_supervised(one_hot_encode(sequence, vocab_size), input_length, output_length)
    expected_windows, expected_echoes = framed_by_a_loop(sequence, input_length, output_length)
    assert one_hot_decode(windows) == expected_windows
    assert one_hot_decode(echoes) == expected_echoes
    assert to_windows(sequence, input_length).tolist() == expected_windows


@given(framings())
def test_windows_match_the_tutorials_pandas(framing):
    sequence, vocab_size, input_length, output_length = framing
    encoded = one_hot_encode(sequence, vocab_size)
    windows, echoes = to_supervised(encoded, input_length, output_length)
    expected_windows, expected_echoes = framed_as_the_tutorial_does(encoded, input_length, output_length)
    np.testing.assert_array_equal(windows, expected_windows)
    np.testing.assert_array_equal(echoes, expected_echoes)
    assert windows.dtype == echoes.dtype == np.float32


def test_windows_of_several_sequences_never_cross_from_one_into_the_next():
    assert to_windows([[1, 2, 3], [7, 8, 9]], 2).tolist() == [[1, 2], [2, 3], [7, 8], [8, 9]]


def test_data_of_one_epoch_is_a_new_sequence_framed():
    windows, echoes = get_data(5, 3, rng=7)
    sequence = generate_sequence(25, 100, rng=7)
    assert one_hot_decode(windows) == framed_by_a_loop(sequence, 5, 3)[0]
    assert one_hot_decode(echoes) == framed_by_a_loop(sequence, 5, 3)[1]


# --- shift table ---------------------------------------------------------------------------------


def test_shift_table_of_one_to_five_has_six_rows_of_which_the_first_and_last_miss_a_value():
    nan = float("nan")
    expected = pd.DataFrame({"t-1": [nan, 1, 2, 3, 4, 5], "t": [1, 2, 3, 4, 5, nan], "y1": [nan, 1, 2, 3, 4, 5]})
    pd.testing.assert_frame_equal(shift_table([1, 2, 3, 4, 5], 2, 1), expected)


def test_shift_table_names_its_columns_by_lag_and_echo():
    assert list(shift_table(PRINTED, 5, 2).columns) == ["t-4", "t-3", "t-2", "t-1", "t", "y1", "y2"]


@given(framings())
def test_shift_table_without_its_nan_rows_is_the_windows(framing):
    sequence, vocab_size, input_length, output_length = framing
    table = shift_table(sequence, input_length, output_length)
    assert len(table) == len(sequence) + input_length - 1
    windows, echoes = to_supervised(one_hot_encode(sequence, vocab_size), input_length, output_length)
    complete = table.dropna().to_numpy()
    np.testing.assert_array_equal(complete[:, :input_length], one_hot_decode(windows))
    np.testing.assert_array_equal(complete[:, input_length:], one_hot_decode(echoes))


# --- one-hot -------------------------------------------------------------------------------------


@given(framings())
def test_one_hot_equals_keras_to_categorical(framing):
    sequence, vocab_size, _, _ = framing
    np.testing.assert_array_equal(one_hot_encode(sequence, vocab_size),
                                  keras.utils.to_categorical(sequence, vocab_size))


@given(framings())
def test_one_hot_there_and_back_is_the_sequence(framing):
    sequence, vocab_size, _, _ = framing
    assert one_hot_decode(one_hot_encode(sequence, vocab_size)) == sequence


def test_one_hot_keeps_the_axes_that_it_is_given():
    assert one_hot_encode([[1, 0], [2, 2]], 3).shape == (2, 2, 3)
    assert one_hot_decode([[[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]]) == [[1, 0]]


def test_whole_numbers_written_as_floats_are_integers_too():
    assert one_hot_decode(one_hot_encode([3.0, 1.0], 4)) == [3, 1]


# --- random sequences ----------------------------------------------------------------------------


def test_generated_sequence_has_the_tutorials_defaults():
    sequence = generate_sequence()
    assert len(sequence) == 25
    assert {type(number) for number in sequence} == {int}
    assert 0 <= min(sequence) <= max(sequence) <= 99


def test_generated_sequence_repeats_with_its_seed_and_differs_without():
    assert generate_sequence(3, 10, rng=0) == [8, 6, 5]
    assert generate_sequence(rng=1) == generate_sequence(rng=1)
    assert generate_sequence(rng=1) != generate_sequence(rng=2)
    assert generate_sequence() != generate_sequence()


def test_generated_sequences_use_the_whole_vocabulary_and_nothing_else():
    assert set(generate_sequence(2000, 5, rng=0)) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("config", [preset.config for preset in PRESETS.values() if preset.config.task != "pairs"]
                         + [RunConfig(sequence_length=5, batch_size=1), RunConfig(sequence_length=3000, batch_size=7)])
def test_at_least_2000_unseen_windows_are_judged(config):
    sequences = unseen_sequences(config)
    assert sequences.shape[1] == config.sequence_length
    windows = to_windows(sequences, config.input_length)
    assert 2000 <= len(windows) < 2000 + config.windows_per_sequence


def test_shown_and_unseen_sequences_belong_to_the_seed_and_differ_from_each_other():
    config = RunConfig(seed=3)
    assert shown_sequence(config).tolist() == shown_sequence(RunConfig(seed=3, units=8)).tolist()
    assert shown_sequence(config).tolist() != shown_sequence(RunConfig(seed=4)).tolist()
    assert shown_sequence(config).tolist() not in unseen_sequences(config).tolist()


def test_a_run_is_watched_on_all_windows_of_its_shown_sequence_but_64_at_most():
    config = RunConfig(seed=3)
    assert shown_examples(config).inputs.tolist() == to_windows(shown_sequence(config), 5).tolist()
    long = RunConfig(sequence_length=305, input_length=50, output_length=50, batch_size=256)
    assert shown_examples(long).inputs.tolist() == to_windows(shown_sequence(long), 50)[:64].tolist()


def test_a_run_on_own_words_is_watched_on_these_words_and_judged_on_others():
    config = RunConfig(text="to be or not to be", input_length=4, output_length=4, batch_size=1)
    assert config.vocabulary == ("be", "not", "or", "to")
    assert shown_sequence(config).tolist() == [3, 0, 2, 1, 3, 0]
    assert unseen_sequences(config).max() == 3


def test_pairs_are_numbers_of_their_words_with_gaps_after_the_shorter_ones():
    config = RunConfig(task="pairs", variant="attention", text="a b => c\nc => b a")
    assert text_examples(config).inputs.tolist() == [[0, 1], [2, 3]]
    assert text_examples(config).expected.tolist() == [[2, 3], [1, 0]]
    assert shown_examples(config).present(3).tolist() == [[True, False], [True, True]]


def test_a_network_is_shown_one_hot_rows_or_scaled_numbers_and_gaps_as_minus_one():
    base = {"input_length": 3, "output_length": 2, "vocab_size": 5, "batch_size": 1}
    one_hot = network_input(RunConfig(variant="encoder_decoder", **base), np.array([[4, 0, 5]]))
    assert one_hot.tolist() == [[[0, 0, 0, 0, 1], [1, 0, 0, 0, 0], [-1] * 5]]
    linear = network_input(RunConfig(variant="many_to_one", representation="linear", **base), np.array([[4, 1, 5]]))
    assert linear.tolist() == [[[1], [0.25], [-1]]]
    assert network_input(RunConfig(variant="one_to_one", **base), np.array([[4, 0, 2]])).tolist() == [[
        [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0]]]


@given(st.integers(2, 5000), st.data())
def test_scaling_and_back_gives_every_number_again(vocab_size, data):
    number = data.draw(st.integers(0, vocab_size - 1))
    assert round(float(unscale(scale(np.array([number]), vocab_size), vocab_size)[0])) == number


def test_values_beyond_the_vocabulary_count_as_its_nearest_number():
    assert unscale([-0.3, 0.5, 1.2], 11).tolist() == [0, 5, 10]


def test_drawing_leaves_the_global_random_state_alone():
    state = np.random.get_state()[1].tolist()
    generate_sequence(rng=1)
    unseen_sequences(RunConfig())
    assert np.random.get_state()[1].tolist() == state


# --- as the tutorial calls them ------------------------------------------------------------------


def test_functions_are_called_by_the_tutorials_names_as_by_ours():
    sequence = generate_sequence(25, n_unique=50)
    encoded = one_hot_encode(sequence, n_unique=50)
    assert encoded.shape == (25, 50)
    assert one_hot_decode(encoded_seq=encoded) == one_hot_decode(encoded) == sequence
    by_theirs = to_supervised(sequence=encoded, n_in=5, n_out=3)
    for ours, theirs in zip(to_supervised(encoded, 5, output_length=3), by_theirs, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(get_data(5, 3, vocab_size=9, rng=1), get_data(n_in=5, n_out=3, n_unique=9, rng=1),
                            strict=True):
        np.testing.assert_array_equal(ours, theirs)
    pd.testing.assert_frame_equal(shift_table(sequence, n_in=3, n_out=2), shift_table(sequence, 3, 2))


@pytest.mark.parametrize(("refused", "ours", "theirs"), [
    (lambda: one_hot_encode([1], 5, n_unique=5), "vocab_size", "n_unique"),
    (lambda: one_hot_encode([1], vocab_size=5, n_unique=5), "vocab_size", "n_unique"),
    (lambda: to_supervised([[1.0]], 1, n_in=1, n_out=1), "input_length", "n_in"),
    (lambda: to_supervised([[1.0]], 1, 1, sequence=[[1.0]]), "encoded", "sequence"),
    (lambda: get_data(5, output_length=2, n_out=2), "output_length", "n_out"),
])
def test_two_names_of_the_same_argument_are_refused(refused, ours, theirs):
    with pytest.raises(TypeError, match=f"^{ours} must be given once; received {theirs} too"):
        refused()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(("refused", "words"), [
    (lambda: one_hot_encode([1, 100]), r"sequence must hold integers in \[0, 100\).*received 100.*at least 101"),
    (lambda: one_hot_encode([-1, 5]), r"sequence must hold integers in \[0, 100\).*received -1\."),
    (lambda: one_hot_encode([1.0, 2.5]), r"sequence must hold integers; received 2\.5\. Try rounding it\."),
    (lambda: one_hot_encode([1, float("nan")]), "sequence must hold integers; received nan"),
    (lambda: one_hot_encode([1, float("inf")]), "sequence must hold integers; received inf"),
    (lambda: one_hot_encode([1e300]), r"sequence must hold integers of at most 2\*\*53.*received 1e\+300"),
    (lambda: one_hot_encode(np.array([2**64 - 1], np.uint64)), "sequence must hold integers of at most"),
    (lambda: one_hot_encode(["How", "are"]), "sequence must hold integers; received How"),
    (lambda: one_hot_encode([True, False]), "sequence must hold integers; received True"),
    (lambda: one_hot_encode([None]), "sequence must hold integers; received None"),
    (lambda: one_hot_encode([[1, 2], [3]]), "sequence must hold integers, each row as many"),
    (lambda: one_hot_encode([]), "sequence must hold at least one integer; received an empty one"),
    (lambda: one_hot_encode([1], 0), "vocab_size must be a whole number of at least 1; received 0"),
    (lambda: one_hot_decode([]), r"encoded must hold at least one row of numbers; received shape \(0,\)"),
    (lambda: one_hot_decode([["a", "b"]]), "encoded must hold numbers; received a"),
    (lambda: one_hot_decode([[1, 0], [1]]), "encoded must hold numbers, each row as many"),
    (lambda: one_hot_decode([[0.5, float("nan")]]), "encoded must hold numbers; received nan"),
    (lambda: to_windows([[[1, 2]]], 1), r"sequences must have shape \(sequences, length\); received shape \(1, 1, 2\)"),
    (lambda: to_examples(RunConfig(), [[1, 2, 3, 4, 100]]), r"sequences must hold integers in \[0, 100\).*ed 100"),
    (lambda: network_input(RunConfig(), [[1, 2, 3, 4, -1]]), r"inputs must hold integers in \[0, 100\).*received -1"),
    (lambda: network_input(RunConfig(), [1, 2]), r"inputs must have shape \(windows, timesteps\); .* \(2,\)"),
    (lambda: scale([1], 1), "vocab_size must be a whole number of at least 2; received 1"),
    (lambda: unscale([1.0], 1), "vocab_size must be a whole number of at least 2; received 1"),
    (lambda: generate_sequence(0), "length must be a whole number of at least 1; received 0"),
    (lambda: generate_sequence(2.5), r"length must be a whole number of at least 1; received 2\.5"),
    (lambda: generate_sequence(5, True), "vocab_size must be a whole number of at least 1; received True"),
    (lambda: to_supervised(one_hot_encode([1, 2, 3]), 2, 3), r"output_length must be at most input_length \(2\)"),
    (lambda: to_supervised(one_hot_encode([1, 2, 3]), 4, 1),
     r"input_length must be at most the sequence's length \(3\).*received 4"),
    (lambda: to_supervised(one_hot_encode([1, 2, 3]), 2, 0), "output_length must be a whole number of at least 1"),
    (lambda: to_supervised([1, 2, 3], 2, 1), r"encoded must have shape \(sequence_length, features\).*one_hot_encode"),
    (lambda: to_supervised([], 2, 1), r"encoded must have shape .* and not be empty"),
    (lambda: to_supervised(np.zeros((3, 0)), 2, 1), r"encoded must have shape .*received shape \(3, 0\)"),
    (lambda: to_supervised(np.zeros((3, 2, 2)), 2, 1), r"encoded must have shape .*received shape \(3, 2, 2\)"),
    (lambda: to_supervised([["a"]], 1, 1), "encoded must hold numbers"),
    (lambda: to_supervised([[1.0], [float("nan")]], 1, 1), "encoded must hold no NaN"),
    (lambda: shift_table([], 2, 1), "sequence must hold at least one integer"),
    (lambda: shift_table([[1, 2]], 2, 1), r"sequence must have one axis; received shape \(1, 2\)"),
    (lambda: shift_table([1, 2], 3, 1), r"input_length must be at most the sequence's length \(2\)"),
    (lambda: shift_table([1, 2], 1, 2), r"output_length must be at most input_length \(1\)"),
    (lambda: to_windows([1, 2], 3), r"input_length must be at most the sequence's length \(2\)"),
    (lambda: get_data(5, 6), r"output_length must be at most input_length \(5\)"),
    (lambda: get_data(5, 2, length=4), r"input_length must be at most the sequence's length \(4\)"),
])
def test_bad_input_is_refused_with_argument_rule_and_value(refused, words):
    with pytest.raises(ValueError, match=words):
        refused()
