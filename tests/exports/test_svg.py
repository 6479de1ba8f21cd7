"""The picture of a run says what its curve says, whatever is in it."""

import math
from xml.etree import ElementTree

import pandas as pd
import pytest

from echo_core.config import RunConfig
from echo_core.exports.svg import picture, ticks_up_to

CURVE = pd.DataFrame({"epoch": [0, 250, 500], "loss": [4.6, 2.3, 0.0], "accuracy": [0.0, 0.5, 1.0]})


def paths(svg: str) -> list[str]:
    return [path.attrib["d"] for path in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}path")]


def test_curves_begin_at_the_left_and_fall_or_rise_as_they_should():
    loss, accuracy = paths(picture(RunConfig(), CURVE))
    points = [tuple(map(float, point[1:].split())) for point in loss.replace(" L", ",L").split(",")]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)  # downwards
    assert accuracy.startswith("M")


def test_loss_that_is_no_number_breaks_the_line_and_an_empty_curve_has_none():
    broken = pd.concat([CURVE, pd.DataFrame({"epoch": [1, 2], "loss": [math.nan, 1], "accuracy": [0, 0]})])
    assert paths(picture(RunConfig(), broken))[0].count("M") == 2
    assert paths(picture(RunConfig(), CURVE[:0])) == ["", ""]


def test_words_that_somebody_typed_are_text_in_it():
    config = RunConfig(text="a <script>alert(1)</script> & b " * 3)
    assert "<script" not in picture(config, CURVE, said="1 < 2")


@pytest.mark.parametrize("top", [0.003, 0.9, 1, 4.61, 7, 12, 999, 5000, 12345, 100_000])
def test_ticks_are_few_and_reach_the_top(top):
    ticks = ticks_up_to(top)
    assert ticks[0] == 0
    assert ticks[-1] >= top * (1 - 1e-9)
    assert ticks[-2] < top
    assert 3 <= len(ticks) <= 8
