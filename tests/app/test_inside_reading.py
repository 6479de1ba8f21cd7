"""What can be read: the picture equals the study, and its words say what is in it."""

import numpy as np
import pandas as pd
import pytest

from echo_app.panels.inside import reading
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.inspection.inspecting import INSPECTIONS
from echo_core.inspection.probing import probe, probe_steps
from tests.helpers.drawn_views import look_at, open_views, said
from tests.helpers.samples import small
from tests.helpers.shaded import cells, percent

CONFIG = small(variant="encoder_decoder", units=5)


def table_of(accuracies: list[list[float]], control: str = "none") -> pd.DataFrame:
    """Rows of a probe: for each timestep, the accuracy of each position that has been read."""
    return pd.DataFrame([{"control": control, "timestep": t, "position": p, "accuracy": accuracy, "low": accuracy,
                          "high": accuracy, "n": 100}
                         for t, row in enumerate(accuracies, 1) for p, accuracy in enumerate(row, 1)])


def test_the_picture_says_the_study_in_percent_with_the_controls_beside_it():
    look = look_at(CONFIG)
    table = probe(CONFIG, look.weights, 80, untrained=look_at(CONFIG, epoch=0).weights)
    table = table[(table.state == "hc") & (table.probe == "linear")]
    pictures = reading.probe_pictures(CONFIG, table).split("<table")[1:]
    assert len(pictures) == 3
    for picture, control in zip(pictures, ("none", "untrained", "shuffled"), strict=True):
        values = table[table.control == control].set_index(["position", "timestep"]).accuracy
        for position, (label, *row) in enumerate(cells(picture), 1):
            assert label == (f"{position}, asked for" if position <= 2 else str(position))
            assert row[:3] == ["" if step < position else percent(values[position, step]) for step in (1, 2, 3)]


def test_the_fate_of_a_number_is_said_only_when_all_timesteps_have_been_read():
    begun, whole = table_of([[1.0], [1.0, 1.0]]), table_of([[1.0], [1.0, 1.0], [1.0, 1.0, 0.1]])
    assert "kept to the end" not in reading.probe_pictures(CONFIG, begun)
    assert "kept to the end" in reading.probe_pictures(CONFIG, whole)


def test_a_cell_says_its_interval_and_number_of_sequences():
    html = reading.probe_pictures(CONFIG, table_of([[0.5]]).assign(low=0.4, high=0.6, n=1200))
    assert 'title="50.0\u00a0%, 95 % interval 40.0\u00a0% to 60.0\u00a0%, n = 1,200"' in html


@pytest.mark.parametrize(("accuracies", "words"), [
    ([1.0, 0.99, 0.98], "kept to the end"), ([None, 0.99, 0.2], "readable until timestep 2"),
    ([None, None, 0.11], "hardly stored: 11\u00a0% at best"), ([0.9, 0.1, 0.6], "kept to the end"),
    ([None, None, 0.94], "just read")])
def test_the_fate_of_a_number_is_said_beside_its_row(accuracies: list[float | None], words: str):
    assert reading.fate(accuracies) == words


def test_the_summary_says_what_is_held_what_is_never_stored_and_what_is_let_go():
    words = reading.summary(CONFIG, table_of([[1.0], [1.0, 1.0], [1.0, 0.9, 0.1]]))
    assert words == ("**It holds numbers 1 and 2, which it will be asked for, to the end.** It does not store number 3 "
                     "in the first place: it will not be asked for it.")
    config = small(variant="encoder_decoder", input_length=6, sequence_length=9)
    steps = [[1.0], [1.0, 1.0], [1.0, 0.9, 0.5], [1.0, 0.9, 0.3, 0.17], [1.0, 0.9, 0.2, 0.1, 0.49],
             [1.0, 0.9, 0.1, 0.1, 0.3, 0.02]]
    assert reading.summary(config, table_of(steps)) == (
        "**It holds numbers 1 and 2, which it will be asked for, to the end.** It does not store numbers 4 to 6 in the "
        "first place: it will not be asked for them. It lets go of number 3, which nobody will ask for: learning to "
        "remember is learning to forget.")


def test_the_summary_and_the_words_beside_the_rows_agree_on_what_is_stored():
    table = table_of([[1.0], [1.0, 1.0], [1.0, 0.9, 0.1]])
    for third, is_stored in ((0.499, False), (0.5, True)):
        table.loc[len(table) - 1, "accuracy"] = third
        assert ("hardly stored" not in reading.probe_pictures(CONFIG, table)) == is_stored
        assert ("does not store number 3" not in reading.summary(CONFIG, table)) == is_stored


def test_what_is_hardly_stored_is_said_to_be_read_in_less_than_half_also_in_its_cell():
    html = reading.probe_pictures(CONFIG, table_of([[1.0], [1.0, 1.0], [1.0, 1.0, 0.4999]]))
    assert "hardly stored: 49\u00a0% at best" in html
    assert cells(html)[-1][3] == "49"
    assert 'title="49.9\u00a0%,' in html


def test_the_summary_says_what_is_asked_for_and_not_held():
    words = reading.summary(CONFIG, table_of([[1.0], [0.1, 1.0], [0.1, 0.1, 0.95]]))
    assert words == "It will be asked for numbers 1 and 2 and does not hold them."


def test_the_summary_of_attention_says_why_it_need_not_hold_what_it_is_asked_for():
    config = small(variant="attention", input_length=6, output_length=5, sequence_length=11)
    words = reading.summary(config, table_of([[0.1] * 6]))
    assert words == ("It will be asked for numbers 1 to 5 and does not hold them: with attention it need not, as it "
                     "may look back at earlier outputs.")


def test_the_summary_of_a_network_that_answers_at_once_promises_nothing():
    assert reading.summary(small(), table_of([[1.0], [0.7, 1.0]])).startswith(
        "After the last timestep it still holds number 1. Number 2 can be read because it has only just been read.")
    nothing = reading.summary(small(), table_of([[1.0], [0.1, 0.2]]))
    assert nothing == "After the last timestep no number can be read any more."


def test_a_number_that_has_just_been_read_is_not_called_held_and_the_untrained_network_is_named():
    config = small(variant="encoder_decoder", output_length=3)
    trained, before = table_of([[1.0], [0.1, 1.0], [0.1, 0.1, 0.94]]), table_of([[1.0], [0.1, 1.0], [0.1, 0.1, 1.0]])
    assert reading.summary(config, reading.with_control(trained, before)) == (
        "It will be asked for numbers 1 and 2 and does not hold them. Number 3 can be read because it has only just "
        "been read: before training a probe reads it in 100\u00a0%. That does not mean that the answer uses it.")


def test_positions_that_are_asked_for_are_those_of_the_echo():
    assert reading.asked_for(CONFIG) == {1, 2}
    assert reading.asked_for(small(variant="many_to_one", task="reverse", echo_start=1)) == {2, 3}
    assert reading.asked_for(small(task="pairs", variant="attention")) == set()


def test_the_table_with_the_control_equals_the_study_with_untrained_weights():
    look, before = look_at(CONFIG), look_at(CONFIG, epoch=0)
    rows, controls = (pd.DataFrame([row for found in probe_steps(CONFIG, weights, 40) for row in found])
                      for weights in (look.weights, before.weights))
    expected = probe(CONFIG, look.weights, 40, untrained=before.weights)
    columns = ["control", "state", "probe", "timestep", "position", "accuracy", "n"]
    found = reading.with_control(rows, controls)
    assert found[columns].sort_values(columns[:5]).values.tolist() == (
        expected[columns].sort_values(columns[:5]).values.tolist())


@pytest.mark.parametrize("name", ["quick", "partial"])
def test_small_networks_are_read_with_all_sequences_at_once(name: str):
    assert reading.sequences_for(PRESETS[name].config, "c", "linear") == INSPECTIONS["probe"].sequences


def test_large_networks_are_read_with_fewer_sequences_but_enough_for_a_fit():
    large = RunConfig(variant="encoder_decoder", units=512, input_length=50, output_length=25, sequence_length=60,
                      batch_size=11)
    assert reading.sequences_for(large, "hc", "nonlinear") == 2000


@pytest.mark.parametrize("config", [CONFIG, small(cell="gru"), small(variant="one_to_one")],
                         ids=lambda config: config.variant)
def test_the_view_is_drawn_with_its_numbers_interval_and_chance(config: RunConfig, monkeypatch: pytest.MonkeyPatch):
    weights = {"none": None, "some": look_at(config, epoch=0).weights}
    for name, controls in (("none", 2), ("some", 3)):
        monkeypatch.setattr(reading, "untrained", lambda look, name=name: weights[name])
        page = open_views(look_at(config), "reading")
        shown = next(html.proto.body for html in page.get("html") if "shuffled labels" in html.proto.body)
        assert shown.count("<table") == controls
    words = said(page)
    assert "12,000 random sequences" in words
    assert "Measured on" not in words  # twice the same
    assert "chance is 14.2 %." in words  # 1 in 7
    assert ("2408.10920" in words) == (config.cell == "gru")
    assert "the *donor*" in words


def test_a_swap_that_changes_no_answer_leaves_its_cell_empty():
    table = pd.DataFrame([{"timestep": 1, "output": 1, "follows_donor": np.nan, "low": np.nan, "high": np.nan, "n": 0},
                          {"timestep": 2, "output": 1, "follows_donor": 0.25, "low": 0.2, "high": 0.3, "n": 40}])
    assert cells(reading.swap_picture(table)) == [["answer 1", "", "25"]]


def test_swaps_of_pairs_say_how_many_pairs_there_are_and_refuse_a_single_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "untrained", lambda look: None)
    two = small(task="pairs", variant="attention", text="ask => answer\nanswer => ask")
    assert "Of 2 sequences those count" in said(open_views(look_at(two), "reading"))
    one = RunConfig(**{**two.model_dump(), "text": "ask => answer", "batch_size": 1})
    assert "text must have at least 2 pairs for swap" in said(open_views(look_at(one), "reading"))
