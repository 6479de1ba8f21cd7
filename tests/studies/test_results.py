"""The table of a study: its means are those of its runs, and nothing is dropped without a word."""

import csv
import io
import math
from statistics import mean

import pytest

from echo_core.config.presets import PRESETS
from echo_core.evaluation.lengths import judge_length
from echo_core.records import Point
from echo_core.studies.measures import Measure, epochs_until
from echo_core.studies.results import results, tuned_rates
from echo_core.studies.study import RATES, Axis, Study
from tests.helpers.ended import end
from tests.helpers.samples import TINY
from tests.helpers.trained import SMALL, last, with_

STUDY = Study(TINY, (Axis("units", (4, 6)),), seeds=3)


def trial_of(study: Study, place: int, seed: int):
    return next(trial.config for trial in study.trials() if (trial.place, trial.config.seed) == (place, seed))


def test_the_mean_of_a_setting_is_that_of_its_seeds(store):
    scores = {(0, 0): 0.5, (0, 1): 0.7, (0, 2): 0.9, (1, 0): 1.0, (1, 1): 1.0, (1, 2): 0.97}
    for (place, seed), score in scores.items():
        end(store, trial_of(STUDY, place, seed), score)
    found = results(STUDY, store, Measure.WINDOWS)
    assert found.is_complete
    for place, row in enumerate(found.rows):
        expected = [score for (at, _), score in scores.items() if at == place]
        assert row.estimate.mean == pytest.approx(mean(expected))
        assert row.estimate.low <= row.estimate.mean <= row.estimate.high
        assert row.values == {seed: scores[place, seed] for seed in range(3)}


def test_an_untrained_study_has_rows_without_a_mean(store):
    rows = results(STUDY, store, Measure.WINDOWS).to_dict()["rows"]
    assert [(row["units"], row["n"], row["mean"], row["low"], row["waiting"]) for row in rows] == [
        (4, 0, None, None, 3), (6, 0, None, None, 3)]


def test_failed_seeds_are_counted_and_not_in_the_mean(store):
    end(store, trial_of(STUDY, 0, 0), 0.8)
    end(store, trial_of(STUDY, 0, 1), failed=True)
    row = results(STUDY, store, Measure.WINDOWS).to_dict()["rows"][0]
    assert (row["n"], row["failures"], row["waiting"], row["mean"]) == (1, 1, 1, 0.8)
    learnt = results(STUDY, store, Measure.LEARNT).to_dict()["rows"][0]
    assert (learnt["n"], learnt["failures"], learnt["mean"]) == (2, 1, 0.0)


def test_seeds_that_never_got_there_are_missed(store):
    study = Study(TINY.model_copy(update={"epochs": 200}), (Axis("units", (4,)),), seeds=2)
    needed = 20  # a tenth of the curve: a thousand numbers, of 6 windows with 2 numbers each, are 84 epochs
    end(store, trial_of(study, 0, 0), curve=tuple(Point(epoch, 0.1, 1.0) for epoch in range(1, 201)), seconds=6.0)
    end(store, trial_of(study, 0, 1), curve=tuple(Point(epoch, 1.0, 0.9) for epoch in range(1, 201)))
    row = results(study, store, Measure.EPOCHS).to_dict()["rows"][0]
    assert (row["n"], row["missed"], row["no_value"], row["mean"]) == (1, 1, 0, needed)
    seconds = results(study, store, Measure.SECONDS).to_dict()["rows"][0]
    assert seconds["mean"] == pytest.approx(6.0 * needed / 200)


def test_a_seed_whose_curve_has_made_room_has_no_value_and_is_not_one_that_never_got_there(store):
    end(store, trial_of(STUDY, 0, 0), curve=())
    for measure in (Measure.EPOCHS, Measure.SECONDS):
        row = results(STUDY, store, measure).rows[0]
        assert (row.missed, row.valueless) == (0, 1)


@pytest.mark.parametrize(("length", "count"), [(2000, 84), (400, 40), (9, 1)])
def test_epochs_until_99_percent_are_those_of_a_plain_loop(length: int, count: int):
    curve = [Point(epoch, 0.1, 0.0 if epoch < 4 or epoch == 90 else 1.0) for epoch in range(1, length + 1)]
    first = next(place for place in range(count, length + 1)
                 if sum(point.accuracy for point in curve[place - count:place]) >= 0.99 * count)
    assert epochs_until(TINY, curve) == curve[first - 1].epoch
    assert epochs_until(TINY, [Point(epoch, 0.1, 0.9) for epoch in range(1, length + 1)]) == math.inf
    assert epochs_until(TINY, [Point(0, 0.1, 1.0)]) is None


def test_a_perfect_run_of_few_points_with_few_numbers_each_got_there():
    """`published` has 455 points of two numbers each: a thousand numbers are 500 points."""
    assert epochs_until(PRESETS["published"].config, [Point(epoch, 0.0, 1.0) for epoch in range(11, 5001, 11)]) < 600


def test_the_table_is_the_same_as_csv(store):
    end(store, trial_of(STUDY, 0, 0), 0.8)
    found = results(STUDY, store, Measure.WINDOWS)
    lines = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [(line["units"], line["n"], line["mean"], line["method"]) for line in lines] == [
        (str(row["units"]), str(row["n"]), "" if row["mean"] is None else str(row["mean"]), row["method"])
        for row in found.to_dict()["rows"]]


def test_settings_are_compared_over_the_seeds_that_both_have(store):
    for seed, (low, high) in enumerate([(0.1, 0.9), (0.2, 0.95), (0.15, 0.97)]):
        end(store, trial_of(STUDY, 0, seed), low)
        if seed < 2:
            end(store, trial_of(STUDY, 1, seed), high)
    found = results(STUDY, store, Measure.WINDOWS).compared_with(0)
    assert list(found) == [1]
    assert (found[1].n, found[1].mean) == (2, pytest.approx(mean([0.8, 0.75])))


def test_the_rate_with_the_most_windows_right_is_taken_for_each_setting(store):
    study = Study(TINY, (Axis("cell", ("lstm", "gru")),), seeds=1, tune=True)
    best = {0: RATES[1], 1: RATES[2]}
    assert tuned_rates(study, store) == {}
    for trial in study.tuning_trials():
        if trial.place == 0 or trial.rate != RATES[0]:
            end(store, trial.config, 0.9 if trial.rate == best[trial.place] else 0.3, failed=trial.rate == RATES[3])
    assert tuned_rates(study, store) == {0: best[0]}  # the other has runs to come
    for trial in study.tuning_trials():
        if trial.place == 1 and trial.rate == RATES[0]:
            end(store, trial.config, 0.1)
    assert tuned_rates(study, store) == best
    rows = results(study, store, Measure.WINDOWS).to_dict()["rows"]
    assert [row["learning_rate"] for row in rows] == list(best.values())
    assert [len(row["runs"]) for row in rows] == [1, 1]


def test_windows_of_another_length_are_judged_with_the_weights_of_each_seed(store):
    study = Study(with_(SMALL, epochs=150, learning_rate=0.02), (Axis("units", (12,)),), seeds=2)
    weights = {seed: last(trial_of(study, 0, seed)).checkpoint.weights for seed in range(2)}
    for seed in range(2):
        end(store, trial_of(study, 0, seed), weights=weights[seed])
    for measure, length in ((Measure.HALF_LENGTH, 2), (Measure.DOUBLE_LENGTH, 8)):
        row, = results(study, store, measure).rows
        assert row.values == {seed: judge_length(trial_of(study, 0, seed), weights[seed], "both", length,
                                                 is_thorough=True)["window_accuracy"] for seed in range(2)}
        assert all(0.05 < value <= 1 for value in row.values.values())


def test_a_network_that_takes_one_length_has_no_value_at_another(store):
    study = Study(PRESETS["one_to_one"].config, (Axis("units", (4,)),), seeds=1)
    end(store, trial_of(study, 0, 0))
    for measure in (Measure.HALF_LENGTH, Measure.DOUBLE_LENGTH):
        row, = results(study, store, measure).rows
        assert (row.estimate.n, row.missed, row.valueless) == (0, 0, 1)
