"""The view of other lengths: its picture, its sentence, and what it says where there is nothing to judge."""

import json

import numpy as np
import pandas as pd
import pytest

from echo_app.panels.inside import lengths
from echo_core.config import RunConfig
from echo_core.evaluation.lengths import ladder, ways
from tests.helpers.drawn_views import look_at, open_views, said
from tests.helpers.hostile import PAIRS
from tests.helpers.samples import COMBINATIONS, MORE, TABLE, WORDS, each, small

#: The first combination of each network.
KINDS = {chosen["variant"]: COMBINATIONS[name] for name, chosen in reversed(TABLE.items())}


def perfect() -> tuple[RunConfig, list[np.ndarray]]:
    """A network that says each number as it reads it, and is sure of it."""
    return small(variant="no_memory", output_length=3), [100 * np.eye(7, dtype="f"), np.zeros(7, "f")]


def table(way: str, *shares: float, trained: int) -> pd.DataFrame:
    """A table of these shares of windows at the lengths from 1 on."""
    return pd.DataFrame([{
        "input_length": 9 if way == "output" else place, "output_length": place, "trained": place == trained,
        "window_accuracy": share, "token_accuracy": share**0.5} for place, share in enumerate(shares, 1)])


@pytest.mark.parametrize("config", [*KINDS.values(), small(variant="encoder_decoder", representation="linear"),
                                    small(variant="encoder_decoder", missing="mask"), PAIRS],
                         ids=lambda config: f"{config.variant}-{config.task}-{config.representation}-{config.missing}")
def test_the_view_is_drawn_or_says_why_not_for_every_network(config: RunConfig):
    page = open_views(look_at(config), "lengths")
    charts = page.get("vega_lite_chart")
    assert len(charts) + len(page.info) == 1
    if page.info:
        assert page.info[0].value.startswith("This network cannot be judged on other lengths, because it ")


@pytest.mark.slow
@each(COMBINATIONS | MORE)
def test_the_view_is_drawn_or_says_why_not_for_every_kind_of_run(config: RunConfig):
    open_views(look_at(config), "lengths")


def test_a_network_that_copies_is_said_to_work_at_every_length_and_why():
    text = said(open_views(look_at(*perfect()), "lengths"))
    assert "**It works at every length here**, from 1 to 12: every window is right." in text
    assert "Each number is said in the step that reads it, so a longer window asks for nothing new." in text
    assert "Each dot rests on 2,000 new windows." in text


def test_what_has_another_length_can_be_chosen_where_there_is_a_choice():
    config = small(variant="attention", output_length=3)
    page = open_views(look_at(config), "lengths")
    control = "lengths_both_input_output"
    assert page.segmented_control(key=control).options == ["Window and answer", "Window alone", "Answer alone"]
    for way in ways(config):
        page.segmented_control(key=control).set_value(way).run()
        assert not page.exception
        spec = json.loads(page.get("vega_lite_chart")[0].proto.spec)
        domain = spec["layer"][2]["encoding"]["x"]["scale"]["domain"]
        first, *_, last = ladder(config, way, 100)
        assert domain == [first - 0.5, last + 0.5]


def test_a_large_network_is_judged_on_fewer_windows_first_and_on_all_when_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("echo_core.evaluation.lengths.affordable_windows", lambda config: 100 * config.input_length)
    page = open_views(look_at(small()), "lengths")
    assert "Each dot rests on 100 to 1,200 new windows." in said(page)
    page.button(key="lengths_more").click().run()
    assert "Each dot rests on 2,000 new windows." in said(page)
    assert "lengths_more" not in {button.key for button in page.button}


@pytest.mark.parametrize(("shares", "words"), [
    ((0.2, 0.95, 0.99, 0.92, 0.4, 0.1), "At the trained length, 3, **99.0 %** of the windows are right, and at least "
     "90 % are **from 2 to 4**. At 6 it is 10.0 % of the windows and 31.6 % of the single numbers."),
    ((0.2, 0.5, 0.99, 0.3), "at least 90 % are **at no other length here**. At 4 it is 30.0 %"),
    ((0.2, 0.95, 0.99, 0.95), "at least 90 % are **from 2 to 4**. At 1 it is 20.0 %"),
    ((0.95, 0.2, 0.99, 0.2, 0.95), "at least 90 % are **at no other length here**. At 5 it is 95.0 %"),
    ((0.95, 0.96, 0.99), "**It works at every length here**, from 1 to 3: at least 95.0 % of the windows"),
    ((0.1, 0.2, 0.5, 0.1), "**There is little to carry over:** at the trained length, 3, 50.0 % of the windows are "
                           "right, and 70.7 % of the single numbers.")])
def test_the_range_in_which_a_network_works_is_named_with_what_is_beyond(shares: tuple[float, ...], words: str):
    for way in ("both", "output"):
        config = small(variant="encoder_decoder", output_length=3)
        assert words in lengths.finding(config, way, table(way, *shares, trained=3))


def test_why_a_length_is_hard_is_said_of_each_kind_of_network():
    reasons = [lengths.why(small(**settings), way) for way, settings in (
        ("both", {}), ("both", {"task": "lag", "lag": 2}), ("input", {"variant": "padded"}),
        ("input", {"variant": "no_memory"}), ("output", {"variant": "attention"}),
        ("input", {"variant": "attention"}), ("both", {"variant": "encoder_decoder"}),
        ("input", {"variant": "many_to_one"}))]
    assert len(set(reasons)) == len(reasons)
    assert "begin its answer at the 2nd step" in reasons[2]
    assert "number" not in lengths.why(small(variant="encoder_decoder", text=WORDS, vocab_size=6), "input")
