"""Specs of the inspections' charts: every column that they draw is in the table of the inspection."""

from collections.abc import Iterator

import pytest

from echo_app.charts import inspection
from echo_core.inspection.inspecting import inspect
from tests.helpers.samples import small
from tests.helpers.specs import fields
from tests.helpers.weights import random_weights

CONFIG = small(variant="attention", task="reverse")
WEIGHTS = random_weights(CONFIG)


BY_LENGTH = [inspection.accuracy_by_length(("windows right", "numbers right"), "Numbers", 1, 20, 5, chance)
             for chance in (0.01, 0.1)]
DRAWN = {
    "influence": [inspection.dependence(2, 3, "influence", "Influence", 1.0, False),
                  inspection.dependence(20, 20, "gradient", "Gradient", 2.5, False)],
    "ablation": [inspection.accuracy_of_parts(8, 2), inspection.accuracy_by_name(8, "part", 0.9, 0.01)],
    "errors": [inspection.accuracy_by_place("output", "Output", 1, 2, 0.01)],
    "forgetting": [inspection.accuracy_by_place("lag", "Lag", 1, 5, None)],
    "symbols": [inspection.accuracy_by_name(7, "symbol", None, 0.01)],
    "confusions": [inspection.confusions(7), inspection.confusions(None)],
    "bits": [inspection.bits_by_place(6.64)],
}


@pytest.mark.parametrize("what", DRAWN)
def test_a_chart_draws_columns_that_its_table_has(what: str):
    columns = {*inspect(CONFIG, WEIGHTS, what, sequences=20).columns, *(["name"] if what == "ablation" else [])}
    for spec in DRAWN[what]:
        assert set(fields(spec)) <= columns


def test_accuracy_by_length_draws_both_shares_and_a_line_at_the_trained_length():
    for spec in BY_LENGTH:
        assert set(fields(spec)) == {"length", "share", "accuracy", "low", "high", "n"}
        rules = [layer["encoding"]["x"]["datum"] for layer in spec["layer"]
                 if layer["mark"]["type"] == "rule" and "x" in layer["encoding"]]
        assert rules == [5]
    levels = [[layer["encoding"]["y"]["datum"] for layer in spec["layer"] if layer["mark"]["type"] == "rule"
               and "y" in layer["encoding"]] for spec in BY_LENGTH]
    assert levels == [[], [0.1]]  # 1 % cannot be told from 0


def colour_scales(part: object) -> Iterator[dict]:
    """The scales of colours that stand for numbers of the table."""
    if isinstance(part, dict):
        colour = part.get("color")
        if isinstance(colour, dict) and "field" in colour and colour.get("type") == "quantitative":
            yield colour.get("scale", {})
        for value in part.values():
            yield from colour_scales(value)
    elif isinstance(part, list):
        for value in part:
            yield from colour_scales(value)


def test_a_scale_of_colours_has_its_ends_before_there_is_data():
    scales = [scale for specs in DRAWN.values() for spec in specs for scale in colour_scales(spec)]
    assert len(scales) >= 3
    assert [scale for scale in scales if len(scale.get("domain", [])) != 2] == []


def test_what_a_window_reads_is_in_the_tooltips_of_its_own_map_alone():
    assert "reads" in set(fields(inspection.dependence(2, 3, "influence", "Influence", 1.0, True)))
    assert "reads" not in set(fields(inspection.dependence(2, 3, "influence", "Influence", 1.0, False)))


def test_a_spec_brings_no_data_but_one_row_for_each_constant():
    for spec in (spec for specs in [*DRAWN.values(), BY_LENGTH] for spec in specs):
        assert not {"data", "datasets"} & set(spec)
        for layer in spec.get("layer", []):
            is_constant = not list(fields(layer["encoding"]))
            assert layer.get("data") == ({"values": [{}]} if is_constant else None)
            is_nameless = is_constant or layer["mark"]["type"] == "line"  # a line without points has no name
            assert layer["mark"].get("aria", True) != is_nameless


def test_chance_and_the_bits_asked_for_are_lines_at_their_values():
    def levels(spec: dict) -> list[float]:
        return [layer["encoding"]["y"]["datum"] for layer in spec["layer"] if layer["mark"]["type"] == "rule"
                and "datum" in layer["encoding"]["y"]]
    assert levels(inspection.accuracy_by_place("output", "Output", 1, 5, 0.25)) == [0.25]
    assert levels(inspection.accuracy_by_place("output", "Output", 1, 5, None)) == []
    spec = inspection.bits_by_place(6.64)
    assert levels(spec) == [6.64] < [spec["layer"][0]["encoding"]["y"]["scale"]["domain"][1]]


def test_a_large_map_has_no_numbers_on_its_cells():
    def marks(spec: dict) -> set[str]:
        return {layer["mark"]["type"] for layer in spec.get("layer", [spec])}
    assert marks(inspection.dependence(10, 10, "influence", "Influence", 1.0, False)) == {"rect", "text"}
    assert marks(inspection.dependence(10, 11, "influence", "Influence", 1.0, False)) == {"rect"}
    assert inspection.dependence(50, 50, "influence", "Influence", 1.0, False)["height"] <= 480


def test_a_spec_is_the_same_object_each_time_so_that_a_rerun_sends_only_rows():
    assert inspection.bits_by_place(6.64) is inspection.bits_by_place(6.64)
