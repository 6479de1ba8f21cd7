import csv
import io
import math

import numpy as np
import pandas as pd
import pytest

from echo_core import tables
from echo_core.config import RunConfig
from echo_core.data import shown_examples, shown_sequence
from echo_core.records import Point, Snapshot
from echo_core.store import ProgressRow
from echo_core.text import files
from tests.helpers.samples import MORE, small

CONFIG = RunConfig(variant="encoder_decoder", output_length=2, batch_size=21)


def test_a_curve_has_one_row_a_point_in_order():
    history = [ProgressRow(0, 4.6, 0.0, 0.1, (Point(0, 4.6, 0.0),)),
               ProgressRow(2, 3.0, 0.5, 0.2, (Point(1, 4.0, 0.2), Point(2, 3.0, 0.5)))]
    curve = tables.curve(history)
    assert list(curve.columns) == ["epoch", "loss", "accuracy", "seconds"]
    assert curve["seconds"].tolist() == pytest.approx([0.1, 0.15, 0.2])
    assert curve.drop(columns="seconds").values.tolist() == [[0, 4.6, 0.0], [1, 4.0, 0.2], [2, 3.0, 0.5]]


def test_an_empty_history_gives_an_empty_curve_with_its_columns():
    assert list(tables.curve([]).columns) == ["epoch", "loss", "accuracy", "seconds"]


def test_answers_hold_each_window_with_its_echo_and_whether_it_is_right():
    expected = np.lib.stride_tricks.sliding_window_view(shown_sequence(CONFIG), 5)[:, :2]
    predicted = expected.astype(np.int32).copy()
    predicted[3, 1] = (predicted[3, 1] + 1) % 100
    table = tables.answers(CONFIG, Snapshot(9, predicted, np.full((21, 2), 0.5, np.float32)))
    assert list(table.columns) == ["window", "input_1", "input_2", "input_3", "input_4", "input_5", "expected_1",
                                   "expected_2", "predicted_1", "predicted_2", "confidence_1", "confidence_2", "right"]
    assert table["right"].tolist() == [k != 3 for k in range(21)]
    assert table[["input_1", "input_2"]].values.tolist() == table[["expected_1", "expected_2"]].values.tolist()


#: Of each kind in which something may not be expected.
WITH_GAPS = {
    "pairs": small(task="pairs", variant="encoder_decoder"),
    "pairs with attention": small(task="pairs", variant="attention", cell="gru"),
    "lag": small(task="lag", lag=2, output_length=3),
    "masked": small(variant="encoder_decoder", missing="mask"),
    "masked words": MORE["own words, masked"],
}


@pytest.mark.parametrize("config", WITH_GAPS.values(), ids=WITH_GAPS)
def test_where_nothing_is_expected_no_prediction_stands(config):
    expected = shown_examples(config).expected
    present = expected < config.vocab_size
    assert not present.all()
    snapshot = Snapshot(1, np.where(present, expected, 0).astype(np.int32), np.full(expected.shape, 0.5, np.float32))
    written = list(csv.DictReader(io.StringIO(tables.to_csv(tables.answers(config, snapshot)))))
    for row, there in zip(written, present, strict=True):
        for step, is_there in enumerate(there, 1):
            cells = [row[name] for name in row if name.endswith(f"_{step}") and not name.startswith("input")]
            assert [bool(cell) for cell in cells] == [is_there] * 3
        assert row["right"] == "True"


def test_no_cell_of_a_file_is_taken_for_a_formula_and_words_come_back():
    config = small(task="pairs", variant="encoder_decoder", text="=1+1 => @sum\n+cmd => -2\n'=a => 'b")
    expected = shown_examples(config).expected
    table = tables.answers(config, Snapshot(1, expected.astype(np.int32), np.ones(expected.shape, np.float32)))
    rows = list(csv.reader(io.StringIO(tables.to_csv(table))))
    assert [row[1:4] for row in rows[1:]] == [
        ["'=1+1", "'@sum", "'@sum"], ["'+cmd", "'-2", "'-2"], ["''=a", "'b", "'b"]]
    pairs = tables.to_csv(table[["input_1", "expected_1"]]).partition("\n")[2]
    assert files.read_pairs(pairs.encode()).text == config.text


def test_windows_as_text_stand_in_columns_with_what_was_read():
    table = pd.DataFrame({"window": [1, 2], "input_1": [5, 88], "input_2": [100, 7], "expected_1": [5, 88],
                          "predicted_1": [5, 1], "confidence_1": [0.5, 0.5], "right": [True, False]})
    assert tables.in_columns(table).splitlines() == [
        "window  input   expected  predicted  right",
        "     1   5 100   5        5          yes",
        "     2  88   7  88        1          no"]


def test_words_as_text_stand_in_columns_and_gaps_are_empty():
    table = pd.DataFrame({"window": [1, 2], "input_1": ["how", "<b>"], "input_2": ["", "is"],
                          "expected_1": ["a", "bcd"], "predicted_1": ["a", ""], "right": [True, False]})
    assert tables.in_columns(table).splitlines() == [
        "window  input   expected  predicted  right",
        "     1  how     a         a          yes",
        "     2  <b> is  bcd                  no"]


def test_numbers_of_a_file_stay_numbers():
    table = pd.DataFrame({"number": [-1, 2], "share": [-0.5, math.nan], "word": ["-1", "a"]})
    assert tables.to_csv(table) == "number,share,word\n-1,-0.5,'-1\n2,,a\n"


@pytest.mark.parametrize(("refused", "words"), [
    (lambda: tables.as_words(CONFIG, [[0, -1]]), r"numbers must hold integers in \[0, 100\).*received -1"),
    (lambda: tables.as_words(CONFIG, [101]), r"or 100 where nothing is; received 101"),
    (lambda: tables.as_words(CONFIG, ["a"]), "numbers must hold integers; received a"),
    (lambda: tables.answers(CONFIG, Snapshot(1, np.zeros((21, 3), np.int32), np.zeros((21, 3), np.float32))),
     r"predicted must have the shape of what is expected, \(21, 2\); received shape \(21, 3\)"),
    (lambda: tables.band([], "loss"), "curves must be at least one table with the column loss; received 0"),
    (lambda: tables.band([pd.DataFrame({"epoch": [1]})], "loss"), "with the column loss; received 1"),
    (lambda: tables.smoothed(pd.DataFrame(), -1), "points must be a whole number of at least 0; received -1"),
])
def test_what_is_no_answer_and_no_curve_is_refused_with_argument_rule_and_value(refused, words):
    with pytest.raises(ValueError, match=words):
        refused()


def test_a_band_is_the_mean_and_spread_of_the_seeds_that_have_come_so_far():
    curves = [pd.DataFrame({"epoch": [0, 1, 2], "loss": [4.0, 2.0, 1.0]}),
              pd.DataFrame({"epoch": [0, 1], "loss": [4, 3]})]
    band = tables.band(curves, "loss")
    assert band["mean"].tolist() == [4.0, 2.5, 1.0]
    assert band["high"].tolist() == pytest.approx([4.0, 2.5 + 0.5**0.5, 1.0])
    assert band["seeds"].tolist() == [2, 2, 1]


def test_a_smoothed_curve_is_the_mean_of_its_neighbours():
    curve = pd.DataFrame({"epoch": range(5), "loss": [0.0, 3, 0, 3, 0], "accuracy": [0.0] * 5, "seconds": range(5)})
    assert tables.smoothed(curve, 1)["loss"].tolist() == pytest.approx([1.5, 1, 2, 1, 1.5])
