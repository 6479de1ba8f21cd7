import re

import pytest

from echo_app.charts import accuracy_curve, band, loss_curve, one_hot, scaled_numbers
from echo_app.charts.curves import CURVE, KEPT, POSITION, ROWS
from echo_app.charts.one_hot import MAX_ROWS

CURVES = {"loss": loss_curve(500, 4.6, 5.3), "accuracy": accuracy_curve(500)}
EACH = pytest.mark.parametrize("column", CURVES)


@EACH
def test_a_curve_draws_its_points_from_the_first_epoch_to_the_last(column: str):
    line = CURVES[column]["layer"][0]
    assert line["mark"]["type"] == "line"
    assert line["transform"] == [{"filter": f"datum.role === {CURVE}"}]
    assert line["encoding"]["x"]["field"] == "epoch"
    assert line["encoding"]["x"]["scale"]["domain"] == [0, 500]
    assert line["encoding"]["y"]["field"] == column


@EACH
def test_the_position_of_the_replay_is_a_data_set_of_its_own_so_that_nothing_else_is_drawn_when_it_moves(column: str):
    line, kept, rule, *_ = CURVES[column]["layer"]
    assert rule["mark"]["type"] == "rule"
    assert rule["encoding"]["x"]["field"] == "epoch"
    assert [part["data"] for part in (line, kept, rule)] == [{"name": ROWS}, {"name": ROWS}, {"name": POSITION}]


@EACH
def test_a_click_anywhere_picks_the_kept_snapshot_that_is_nearest_in_time(column: str):
    spec = CURVES[column]
    kept = spec["layer"][1]
    assert kept["transform"] == [{"filter": f"datum.role === {KEPT}"}]
    [pick] = spec["params"]
    assert pick["name"] == "pick"
    assert pick["views"] == [kept["name"]]
    assert (pick["select"]["type"], pick["select"]["encodings"], pick["select"]["nearest"]) == ("point", ["x"], True)


def test_charts_that_stand_together_leave_their_axes_the_same_room():
    specs = [*CURVES.values(), band("loss", 500, 5.3), band("accuracy", 500, 1.0)]
    axes = [next(layer["encoding"]["y"]["axis"] for layer in spec["layer"] if "axis" in layer["encoding"]["y"])
            for spec in specs]
    assert len({(axis["minExtent"], axis["maxExtent"]) for axis in axes}) == 1
    assert all(axis["minExtent"] == axis["maxExtent"] for axis in axes)


def test_the_loss_of_pure_guessing_is_a_labelled_line_inside_the_chart():
    spec = CURVES["loss"]
    *_, rule, label = spec["layer"]
    assert rule["encoding"]["y"]["datum"] == 4.6 < spec["layer"][0]["encoding"]["y"]["scale"]["domain"][1]
    assert label["encoding"]["text"]["datum"] == "pure guessing"


def test_a_spec_is_the_same_object_each_time_so_that_a_poll_sends_only_rows():
    assert loss_curve(500, 4.6, 5.3) is loss_curve(500, 4.6, 5.3)


def test_a_spec_holds_no_data_set_that_is_not_there():
    for spec in (loss_curve(5, 4.6, 5.3), accuracy_curve(5), scaled_numbers(25, 100)):
        assert "datasets" not in spec
        assert {"name": "empty"} not in [part.get("data") for part in (spec, *spec.get("layer", []))]


def test_scaled_numbers_are_bars_between_0_and_1():
    spec = scaled_numbers(25, 100)
    assert spec["encoding"]["y"]["scale"]["domain"] == [0, 1]
    assert spec["encoding"]["x"]["scale"]["domain"] == list(range(1, 26))


def test_one_hot_is_a_row_of_cells_with_the_one_at_its_number():
    html = one_hot([3, 0], ["a", "b", "c", "d"])
    assert re.findall(r'<u style="left:([\d.]+)%;width:([\d.]+)%">', html) == [("75.0000", "25.0000"),
                                                                            ("0.0000", "25.0000")]
    assert html.count("background-size:25.0000% 100%") == 2  # a line between every two cells
    assert 'aria-label="The first 2 numbers as rows of 4 zeros with a single one"' in html


def test_one_hot_of_typed_words_is_text_and_a_long_sequence_is_cut():
    html = one_hot([1] * (MAX_ROWS + 5), ["a", "<img src=x>"])
    assert "<img" not in html
    assert html.count("<u ") == MAX_ROWS


def test_one_hot_of_a_large_vocabulary_has_no_lines_and_a_one_that_can_be_seen():
    html = one_hot([5], [str(number) for number in range(5000)])
    assert "linear-gradient" not in html.split("</style>")[1]
    assert "min-width: 3px" in html
