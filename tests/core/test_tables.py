import csv
import io
import math
import random
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from echo_core import tables
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.data import shown_examples, shown_sequence
from echo_core.records import Checkpoint, Evaluation, Point, Progress, Snapshot
from echo_core.store import ProgressRow, Store
from echo_core.text import files
from tests.helpers.samples import MORE, progress, small

CONFIG = RunConfig(variant="encoder_decoder", output_length=2, batch_size=21)


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'runs.db'}")
    yield opened
    opened.close()


def finish(store: Store, config: RunConfig, seconds: float) -> None:
    """Put a finished run into the store that took so long."""
    checkpoint = Checkpoint(config.epochs, 1, (np.zeros(1, np.float32),))
    ticket = store.queue.take(config, worker="test")
    store.attempts.start(ticket, threads=1)
    store.attempts.append(ticket, Progress(config.epochs, 0.1, 1.0, seconds, (), checkpoint))
    store.attempts.finish(ticket, checkpoint, Evaluation(1.0, 1.0, 2016, (1.0, 1.0)))


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


def test_speed_is_that_of_the_newest_records():
    assert tables.speed([(0, 0.1), (1, 2.0), (101, 3.0), (1101, 6.0)]) == pytest.approx(1000 / 3)


def test_speed_is_unknown_before_two_trained_records():
    assert math.isnan(tables.speed([(0, 0.1)]))
    assert math.isnan(tables.speed([(0, 0.1), (1, 0.2)]))


def test_speed_leaves_out_a_record_in_which_a_program_was_compiled():
    steady = [(100 * k, 0.25 * k) for k in range(1, 9)]
    compiled = [(epoch + 1, seconds + 5) for epoch, seconds in steady[4:]]
    assert tables.speed([*steady[:4], *compiled]) == pytest.approx(400, rel=0.01)


def records(epochs: int, seconds_an_epoch: float, compiling: float, snapshot: float = 0.05) -> list[tuple[int, float]]:
    """Epoch and seconds of each record, as training makes them: one epoch at first, more after each, all of them with
    a snapshot in the beginning; the first waits for the program to be compiled."""
    due = sorted(set(np.geomspace(1, epochs, 60).round().astype(int).tolist()))
    made, now, chunk = [(0, 0.1)], 0.1, 1
    while made[-1][0] < epochs:
        epoch = made[-1][0]
        next_due = next(each for each in due if each > epoch)
        step = min(chunk, next_due - epoch)
        took = step * seconds_an_epoch + (compiling if epoch == 0 else 0)
        now += took + (snapshot if epoch + step == next_due else 0)
        made.append((epoch + step, now))
        chunk = max(1, int(min(step * 0.25 / took, 4 * step + 4)))
    return made


def lefts(made: list[tuple[int, float]], expected: float) -> list[float]:
    """The seconds left that a page shows after each record."""
    epochs = made[-1][0]
    return [tables.time_left(epoch, epochs, made[max(0, k - 59):k + 1], expected) for k, (epoch, _) in enumerate(made)]


@pytest.mark.parametrize("compiling", [0.0, 3.0, 40.0])
@pytest.mark.parametrize(("epochs", "seconds_an_epoch"), [
    (500, 0.001), (5000, 0.0015), (5000, 0.02), (100_000, 0.01), (60, 10.0), (300, 1.0)])
def test_time_left_begins_with_the_forecast_and_never_rises_by_a_jump(epochs, seconds_an_epoch, compiling):
    made = records(epochs, seconds_an_epoch, compiling)
    expected = 1.5 + epochs * seconds_an_epoch
    shown = lefts(made, expected)
    assert shown[1] == pytest.approx(expected, rel=0.7)
    assert all(left <= 1.1 * before + 0.2 for before, left in pairwise(shown))
    true = [made[-1][1] - seconds for _, seconds in made]
    half = next(k for k, (epoch, _) in enumerate(made) if epoch >= epochs / 2)
    assert shown[half] == pytest.approx(true[half], rel=0.3, abs=0.5)
    assert shown[-1] == 0


@pytest.mark.parametrize("wrong_by", [0.1, 0.25, 4.0, 10.0])
def test_time_left_moves_smoothly_to_the_measured_pace_where_the_forecast_was_wrong(wrong_by: float):
    made = records(5000, 0.02, compiling=3.0)
    shown = lefts(made, 1.5 + 100 * wrong_by)
    ratios = [left / before for before, left in pairwise(shown) if left]
    assert max(ratios) < 1.2
    true = [made[-1][1] - seconds for _, seconds in made]
    settled = next(k for k, (_, seconds) in enumerate(made) if seconds > 20)
    assert all(left == pytest.approx(truth, rel=0.15, abs=0.5)
               for left, truth in zip(shown[settled:], true[settled:], strict=True))


def test_time_left_is_steady_on_a_machine_that_others_use_too():
    chance = random.Random(4)
    made = [(0, 0.1), (1, 3.0)]
    while made[-1][0] < 6000:
        made.append((made[-1][0] + 25, made[-1][1] + 25 * 0.008 * chance.choice((0.5, 1.0, 1.0, 2.0))))
    shown = lefts(made, 1.5 + 10.0)  # a fifth of what it takes
    assert max(left / before for before, left in pairwise(shown) if left) < 1.15
    settled = [left for left, (_, seconds) in zip(shown, made, strict=True) if seconds > 15]
    assert all(left <= before * 1.06 for before, left in pairwise(settled))


def test_time_left_does_not_jump_when_a_run_goes_on_and_is_compiled_again():
    made = [(100 * k, 0.25 * k) for k in range(1, 41)]
    resumed = [*made, *((4000 + 100 * k - 90, 10 + 30 + 0.25 * k) for k in range(1, 41))]
    shown = [tables.time_left(epoch, 10_000, resumed[max(0, k - 59):k + 1], 26.5)
             for k, (epoch, _) in enumerate(resumed)]
    assert all(left <= before * 1.05 for before, left in pairwise(shown))


def estimated(config: RunConfig, store: Store) -> float:
    return tables.Estimates(store).seconds(config)


def test_an_estimate_on_a_fresh_machine_is_of_the_right_order(store: Store):
    assert 1 < estimated(PRESETS["whole"].config, store) < 5
    assert 2 < estimated(PRESETS["partial"].config, store) < 15


def test_an_estimate_follows_what_the_same_network_took_here(store: Store):
    finish(store, CONFIG, seconds=21.5)
    longer = CONFIG.model_copy(update={"epochs": 1000, "seed": 1})
    assert estimated(longer, store) == pytest.approx(1.5 + 40)


def test_an_estimate_follows_how_slow_other_networks_were_here(store: Store):
    before = estimated(PRESETS["partial"].config, store)
    finish(store, PRESETS["quick"].config, seconds=3 * estimated(PRESETS["quick"].config, store))
    assert estimated(PRESETS["partial"].config, store) == pytest.approx(3 * before)


def test_an_estimate_is_made_once_for_all_seeds_of_a_network(store: Store, monkeypatch: pytest.MonkeyPatch):
    finish(store, PRESETS["quick"].config, seconds=3.0)
    estimates, count, counted = tables.Estimates(store), tables.flops_per_window, []
    monkeypatch.setattr(tables, "flops_per_window", lambda config: counted.append(config) or count(config))
    seeds = {estimates.seconds(CONFIG.model_copy(update={"seed": seed})) for seed in range(100)}
    assert (len(seeds), len(counted)) == (1, 1)
    assert estimates.seconds(CONFIG.model_copy(update={"epochs": 2 * CONFIG.epochs})) > seeds.pop()


def queued(store: Store, number: int, **changes) -> str:
    config = PRESETS["whole"].config.model_copy(update={"seed": number, **changes})
    return store.queue.request(config, session=f"S{number}")


def test_a_forecast_adds_up_what_is_left_of_the_runs_ahead(store: Store, monkeypatch: pytest.MonkeyPatch):
    finish(store, PRESETS["whole"].config, seconds=11.5)  # 10 s for its 500 epochs
    ids = [queued(store, 1), queued(store, 2, epochs=1000), queued(store, 3)]
    assert [(wait.place, wait.seconds) for wait in map(tables.forecast(store).get, ids)] == [
        (0, 0), (1, pytest.approx(11.5)), (2, pytest.approx(11.5 + 21.5))]
    ticket = store.queue.claim("a worker")
    assert ticket.run_id == ids[0]
    begun = store.runs.get(ids[0]).started_at
    monkeypatch.setattr(store, "now", lambda: begun + 3)
    waits = tables.forecast(store)
    assert set(waits) == set(ids[1:])
    assert waits[ids[1]].seconds == pytest.approx(11.5 - 3)
    store.attempts.start(ticket, 2)
    store.attempts.append(ticket, progress(400, 4.0))
    assert tables.forecast(store)[ids[2]] == tables.Wait(1, pytest.approx(2.0 + 21.5))


def test_a_wait_does_not_take_the_compiling_of_the_run_ahead_for_its_pace(store: Store):
    finish(store, PRESETS["whole"].config, seconds=11.5)
    running, waiting = queued(store, 1), queued(store, 2)
    ticket = store.queue.claim("a worker")
    assert ticket.run_id == running
    store.attempts.start(ticket, 2)
    for record in (progress(0, 0.1), progress(1, 40.0), progress(2, 40.02)):
        store.attempts.append(ticket, record)
    assert 9 < tables.forecast(store)[waiting].seconds < 11


def test_a_forecast_with_two_workers_lets_both_take_turns(store: Store):
    finish(store, PRESETS["whole"].config, seconds=11.5)
    running = [queued(store, number) for number in (1, 2)]
    for number, run_id in enumerate(running, start=1):
        ticket = store.queue.claim(f"worker {number}")
        assert ticket.run_id == run_id
        store.attempts.start(ticket, 2)
        store.attempts.append(ticket, progress(100 * number, 2.0))  # 8 s and 6 s left by the forecast
    ids = [queued(store, number) for number in (3, 4, 5)]
    seconds = [tables.forecast(store)[run_id].seconds for run_id in ids]
    assert seconds == [pytest.approx(6.0), pytest.approx(8.0), pytest.approx(6.0 + 11.5)]


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
