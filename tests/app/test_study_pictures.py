"""The pictures of a study: each seed and mean is where its numbers put it, and the right picture is drawn."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from echo_app.charts.studies import maps, seeds
from echo_app.charts.studies.seeds import FAILED, MEAN, MISSED, SEED, Measured
from echo_app.panels.studies import words
from echo_app.panels.studies.picture import picture
from echo_core.records import State
from echo_core.studies.intervals import Difference, estimate
from echo_core.studies.measures import MEASURES, Measure
from echo_core.studies.results import Outcome, Results, Row
from echo_core.studies.study import Axis, Study
from tests.helpers.samples import TINY
from tests.helpers.specs import fields

SHARE = Measured("Windows right", 1.0, True, False, True)


def results(over: tuple[Axis, ...], values: list[list[float | None]], measure: Measure = Measure.WINDOWS,
            failed: set[tuple[int, int]] = frozenset()) -> Results:
    """Results of a study with these values, a list for each setting."""
    study = Study(TINY, over, seeds=len(values[0]))
    rows = []
    for place, setting in enumerate(study.settings):
        outcomes = tuple(Outcome(seed, f"run-{place}-{seed}",
                                 State.FAILED if (place, seed) in failed else State.FINISHED,
                                 None if (place, seed) in failed else value)
                         for seed, value in enumerate(values[place]))
        known = [outcome.number for outcome in outcomes if outcome.number is not None]
        rows.append(Row(setting, {}, None, outcomes, estimate(known, MEASURES[measure].kind, 2000)))
    return Results(study, measure, tuple(rows), 2000)


UNITS = Axis("units", (4, 8, 16))
CELLS = Axis("cell", ("lstm", "gru"))
LENGTHS = Axis("output_length", (1, 2, 3))
ALL = {
    "a number": (UNITS,), "one number": (Axis("units", (4,)),), "a choice": (CELLS,), "a number and a choice": (
        UNITS, CELLS), "a choice and a number": (CELLS, UNITS), "two numbers": (UNITS, LENGTHS),
    "two choices": (CELLS, Axis("schedule", ("constant", "cosine"))),
    "many numbers": (Axis("units", (2, 3, 4, 5, 6)), Axis("epochs", (1, 2, 3, 4, 5)))}


@pytest.mark.parametrize("name", ALL)
def test_a_picture_draws_columns_that_its_table_has_and_brings_no_data(name: str):
    number = Study(TINY, ALL[name], 2).num_runs // 2
    drawn = picture(results(ALL[name], [[0.5, 0.75]] * number))
    assert len(drawn.table)
    assert set(fields(drawn.spec)) <= set(drawn.table.columns)
    assert not {"data", "datasets"} & set(drawn.spec)
    assert drawn.alt
    assert drawn.reading.endswith(".")


def test_numbers_become_lines_choices_rows_and_many_of_both_a_heat_map():
    def marks(name: str) -> set[str]:
        number = Study(TINY, ALL[name], 2).num_runs // 2
        return {layer["mark"]["type"] for layer in picture(results(ALL[name], [[0.5, 0.75]] * number)).spec["layer"]}
    for name in ("a number", "a number and a choice", "a choice and a number", "two numbers"):
        assert "line" in marks(name), name
    assert marks("a choice") == marks("one number") == {"bar", "point"}
    for name in ("two choices", "many numbers"):
        assert marks(name) == {"rect", "text"}, name


def test_values_that_double_are_at_equal_distances_and_others_are_not():
    def scale(values: tuple[float, ...]) -> str:
        spec = picture(results((Axis("units", values),), [[0.5, 0.6]] * len(values))).spec
        return spec["layer"][0]["encoding"]["x"]["scale"]["type"]
    assert scale((4, 8, 16)) == "log"
    assert scale((1, 2, 3)) == "linear"
    assert scale((16, 4, 8)) == "log"


@pytest.mark.parametrize("name", ["a number", "a number and a choice", "two numbers"])
def test_every_seed_stands_nearest_to_its_own_setting_and_no_two_of_a_setting_on_each_other(name: str):
    number = Study(TINY, ALL[name], 5).num_runs // 5
    table = picture(results(ALL[name], [[0.5] * 5] * number)).table
    dots = table[table.role == SEED]
    for units in UNITS.values:
        own = dots[dots.setting.str.contains(f"units {units}(?:,|$)", regex=True)]
        assert len(own) == 5 * number / 3
        assert all(min(UNITS.values, key=lambda value: abs(value - x)) == units for x in own.x)
        assert own.groupby("series").x.nunique().eq(5).all()
        ends = sorted((line.x.min(), line.x.max()) for _, line in own.groupby("series"))
        assert all(before[1] < after[0] for before, after in pairwise(ends))


@pytest.mark.parametrize("seeds_of_each", [2, 3, 4, 5, 100])
def test_dots_reach_equally_far_on_both_sides_of_the_mean(seeds_of_each: int):
    table = picture(results((CELLS,), [[0.5] * seeds_of_each] * len(CELLS.values))).table
    own = table[(table.role == SEED) & (table.row.round() == 0)].row
    assert len(own) == seeds_of_each
    assert own.min() == pytest.approx(-own.max())
    assert own.abs().min() > 0  # none is on the mean


def test_means_and_intervals_are_those_of_the_results():
    found = results((UNITS,), [[0.5, 0.7, 0.9], [1.0, 1.0, 0.97], [0.2, 0.3, 0.1]])
    table = picture(found).table
    means = table[table.role == MEAN]
    assert list(means.value) == [row.estimate.mean for row in found.rows]
    assert list(means.low) == [row.estimate.low for row in found.rows]
    assert list(means.x) == list(UNITS.values)


def test_failed_and_missed_seeds_stand_at_the_worse_edge_with_their_own_shapes():
    for measure, is_above in ((Measure.WINDOWS, False), (Measure.EPOCHS, True)):
        found = results((UNITS,), [[0.5, math.inf, 0.9]] * 3, measure, failed={(0, 0)})
        drawn = picture(found)
        roles = dict(zip(drawn.table.run_id, drawn.table.role, strict=True))
        assert (roles["run-0-0"], roles["run-0-1"], roles["run-0-2"]) == (FAILED, MISSED, SEED)
        edge = drawn.table[drawn.table.role.isin([FAILED, MISSED])].value
        inside = drawn.table[drawn.table.role == SEED].value
        assert edge.min() > inside.max() if is_above else edge.max() < 0
        low, high = drawn.spec["layer"][2]["encoding"]["y"]["scale"]["domain"]
        assert low < edge.min() <= edge.max() < high
        assert "1 failed or diverged" in drawn.reading
        assert "3 never got there" in drawn.reading


def test_seeds_without_a_value_are_counted_and_not_drawn_as_if_they_had_missed():
    drawn = picture(results((UNITS,), [[0.5, None, 0.9]] * 3, Measure.DOUBLE_LENGTH))
    assert not set(drawn.table.run_id) & {"run-0-1", "run-1-1", "run-2-1"}
    assert "not drawn: 3 without a value" in drawn.reading
    assert "never got there" not in drawn.reading


def test_seeds_that_have_not_ended_are_not_drawn():
    found = results((UNITS,), [[0.5, 0.7]] * 3)
    waiting = replace(found.rows[0].outcomes[0], state=State.QUEUED, value=None)
    rows = (replace(found.rows[0], outcomes=(waiting, found.rows[0].outcomes[1])), *found.rows[1:])
    assert "run-0-0" not in set(picture(replace(found, rows=rows)).table.run_id)


def test_a_cell_of_a_heat_map_has_the_place_of_its_setting():
    found = results(ALL["many numbers"], [[place / 100] * 2 for place in range(25)])
    table = picture(found).table
    assert picture(found).picks_setting
    assert [(row.row, row.column) for row in table.itertuples()] == [
        (str(row.setting["units"]), str(row.setting["epochs"])) for row in found.rows]
    assert list(table.place) == list(range(25))


def test_ticks_of_numbers_are_the_values_themselves():
    """Vega rounds `format` to the digits that automatic ticks need: it wrote 60 and 300 for 64 and 256."""
    axis = fields_of_x(seeds.by_number(SHARE, "Units", (64.0, 256.0), True))
    assert (axis["values"], axis["labelExpr"]) == ([64.0, 256.0], "format(datum.value, ',~r')")
    assert "format" not in axis


def fields_of_x(spec) -> dict:
    return next(layer["encoding"]["x"]["axis"] for layer in spec["layer"] if "x" in layer["encoding"])


def test_a_spec_is_the_same_object_each_time_so_that_a_rerun_sends_only_rows():
    assert seeds.by_number(SHARE, "Units", (4.0, 8.0), True) is seeds.by_number(SHARE, "Units", (4.0, 8.0), True)
    assert maps.means("x", ("a",), ("b",), "r", "c", 1.0, True) is maps.means("x", ("a",), ("b",), "r", "c", 1.0, True)


# --- words -----------------------------------------------------------------------------------------


def difference(mean: float, low: float, high: float, can_tell: bool, more: int | None = None) -> Difference:
    return Difference(mean, low, high, 5, 0.983, can_tell, more, "…")


@pytest.mark.parametrize(("measure", "found", "expected"), [
    (Measure.WINDOWS, difference(0.123, 0.031, 0.202, True),
     "**a** is **12.3 percentage points better** than b (95 % interval 3.1 to 20.2, 5 seeds)."),
    (Measure.WINDOWS, difference(-0.123, -0.202, -0.031, True),
     "**a** is **12.3 percentage points worse** than b (95 % interval 3.1 to 20.2, 5 seeds)."),
    (Measure.EPOCHS, difference(-120.0, -150.0, -90.0, True),
     "**a** is **120 epochs sooner** than b (95 % interval 90 to 150, 5 seeds)."),
    (Measure.WINDOWS, difference(0.01, -0.03, 0.05, False, 7),
     "**a** or b: **cannot tell yet**; about 7 more seeds would. It is 1.0 percentage points better so far "
     "(95 % interval −3.0 to 5.0, 5 seeds)."),
    (Measure.WINDOWS, difference(-0.0001, -0.0003, 0.004, False, 32),
     "**a** or b: **cannot tell yet**; about 32 more seeds would. They are alike so far (95 % interval −0.4 to 0.0, "
     "5 seeds)."),
    (Measure.WINDOWS, difference(0.0001, -0.2, 0.2, False),
     "**a** or b: **cannot tell**: if there is a difference, it is too small for any number of seeds that one would "
     "train. They are alike so far (95 % interval −20.0 to 20.0, 5 seeds)."),
    (Measure.EPOCHS, Difference(math.nan, None, None, 0, 0.95, False, None, "none"),
     "**a** and b cannot be compared: no seed has a value in both."),
    (Measure.WINDOWS, difference(0.0, 0.0, 0.0, False), "**a** and b are exactly alike in 5 seeds."),
    (Measure.WINDOWS, Difference(0.01, -0.95, 1.0, 2, 0.95, False, 3, "…", has_spread=False),
     "**a** or b: **cannot tell yet**: two seeds hardly show how much seeds differ. Train 3 more.")])
def test_a_difference_is_said_in_the_direction_that_it_has(measure: Measure, found: Difference, expected: str):
    assert words.difference_in_words(measure, "a", "b", found) == expected


def test_a_title_names_what_varies_and_what_does_not():
    from echo_core.config.presets import PRESETS
    study = Study(PRESETS["quick"].config, (Axis("units", (8, 16)), CELLS), seeds=1, tune=True)
    assert words.title_of(study) == ("Units 8, 16 × cell LSTM, GRU: Quick partial echo, 1 seed, learning rate chosen "
                                     "for each")
    many = Study(PRESETS["quick"].config, (Axis("units", tuple(range(1, 12))),))
    assert words.title_of(Study(PRESETS["whole"].config, (Axis("epochs", (500,)),), seeds=100)) == (
        "Whole echo, epochs 500: 100 seeds")
    assert words.title_of(many) == "Units 1, 2, 3, 4, 5, 6, 7 … 11: Quick partial echo, 5 seeds"
