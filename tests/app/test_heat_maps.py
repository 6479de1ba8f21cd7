"""What the browser gets of heat maps: bytes that stand for values, and a description of them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from echo_app.components.heat_maps import NOTHING, STEPS, Cell, HeatMap, Layer, packed, quantised

SCALES = [(-0.2, 0.2), (-5.0, 5.0), (0.0, 1.0)]


def value_of(byte: int, low: float, high: float) -> float:
    """As the browser reads a byte."""
    return low + (high - low) * byte / STEPS


@pytest.mark.parametrize(("low", "high"), SCALES)
@given(share=arrays(np.float32, 20, elements=st.floats(0, 1, width=32)))
def test_a_value_comes_back_within_half_a_step_of_its_scale(low: float, high: float, share: np.ndarray):
    values = low + (high - low) * share.astype(float)
    back = [value_of(int(byte), low, high) for byte in quantised(values, low, high)]
    assert np.abs(back - values).max() <= (high - low) / STEPS / 2 * 1.0001


@pytest.mark.parametrize(("low", "high"), SCALES)
def test_the_ends_and_zero_are_exact(low: float, high: float):
    found = quantised(np.array([low, 0.0, high]), low, high)
    assert [value_of(int(byte), low, high) for byte in found] == [low, 0.0, high]


def test_values_outside_of_the_scale_are_at_its_ends_and_nan_is_a_byte_of_its_own():
    assert quantised(np.array([-9.0, 9.0, np.nan]), -1, 1).tolist() == [0, STEPS, NOTHING]


def test_the_bytes_of_the_maps_follow_their_description_map_by_map_layer_by_layer_row_by_row():
    rng = np.random.default_rng(0)
    layers = [Layer("encoder", 1, ["reads a", "reads <b>"], ["a", "<b>"], [3, 1, 2], [(1, 2), (2, 1)]),
              Layer("decoder", 3, ["writes answer 1"], ["y1"], [2, 1])]
    maps = [HeatMap("Memory", "c", -2, 2, [0, 1], [rng.uniform(-2, 2, (3, 2)), rng.uniform(-2, 2, (2, 1))]),
            HeatMap("Gate", "g", 0, 1, [1], [rng.uniform(size=(2, 1))])]
    data = packed(maps, layers, "what they show", Cell(0, 2, 3), 2)
    length = int.from_bytes(data[:4], "little")
    said, rest = json.loads(data[4:4 + length]), list(data[4 + length:])
    assert said["cursor"] == [0, 2, 3]
    assert (said["label"], said["columns"]) == ("what they show", 2)
    assert [layer["units"] for layer in said["layers"]] == [[3, 1, 2], [2, 1]]
    assert said["layers"][0]["steps"] == ["reads a", "reads <b>"]
    assert said["layers"][0]["groups"] == [[1, 2], [2, 1]]
    for described, one in zip(said["maps"], maps, strict=True):
        assert described == {"title": one.title, "name": one.name, "of": "", "low": one.low, "high": one.high,
                             "layers": list(one.layers)}
        for values in one.values:
            for value in values.ravel():  # row by row
                half_a_step = (one.high - one.low) / STEPS / 2
                assert abs(value_of(rest.pop(0), one.low, one.high) - value) <= half_a_step * 1.0001
    assert rest == []
