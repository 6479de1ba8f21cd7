"""The views about what a trained network does: which input matters, what is missing, where it fails, what it keeps."""

import numpy as np
import pandas as pd
import pytest

from echo_app import state
from echo_app.panels.inside import dependence, failures, missing, reading, remembering, steps
from echo_app.panels.inside.look import VIEW, affordable
from echo_core.config import RunConfig
from echo_core.inspection.influence import Dependence
from echo_core.inspection.inside import look_inside
from echo_core.inspection.inspecting import inspect
from echo_core.inspection.interventions import parts
from tests.helpers.drawn_views import look_at, open_views, said
from tests.helpers.hostile import PAIRS
from tests.helpers.samples import COMBINATIONS, MORE, TABLE, each, small
from tests.helpers.trained import with_
from tests.helpers.weights import random_weights

ALL_VIEWS = ("dependence", "missing", "failures", "remembering")
#: The first combination of each network.
KINDS = {chosen["variant"]: COMBINATIONS[name] for name, chosen in reversed(TABLE.items())}


def perfect() -> tuple[RunConfig, list[np.ndarray]]:
    """A network that says each number as it reads it, and is sure of it."""
    config = small(variant="no_memory", input_length=3, output_length=3)
    return config, [100 * np.eye(7, dtype="f"), np.zeros(7, "f")]


def stuck(config: RunConfig, number: int = 4) -> list[np.ndarray]:
    """Weights of a network that says one number whatever it reads."""
    weights = [np.zeros_like(weight) for weight in random_weights(config)]
    weights[-1][number] = 9
    return weights


# --- every kind of run -----------------------------------------------------------------------------


@pytest.mark.parametrize("config", [*KINDS.values(), small(variant="encoder_decoder", representation="linear"),
                                    small(variant="encoder_decoder", missing="mask"), PAIRS],
                         ids=lambda config: f"{config.variant}-{config.task}-{config.representation}-{config.missing}")
def test_every_view_is_drawn_or_says_why_not_for_every_network(config: RunConfig):
    page = open_views(look_at(config), *ALL_VIEWS)
    assert len(said(page)) > 500


@pytest.mark.slow
@each(COMBINATIONS | MORE)
def test_every_view_is_drawn_or_says_why_not_for_every_kind_of_run(config: RunConfig):
    open_views(look_at(config), *ALL_VIEWS)


@pytest.mark.parametrize(("config", "views", "why"), [
    (small(variant="no_memory"), "missing", "neither a gate to pin nor a unit to silence"),
    (small(representation="linear"), "remembering", "gives no probabilities, so there are no bits to count"),
    (small(task="pairs", variant="attention"), "remembering", "nothing says how long a word is held"),
])
def test_what_cannot_be_shown_of_a_network_is_said_with_the_reason(config: RunConfig, views: str, why: str):
    page = open_views(look_at(config), views)
    assert any(why in info.value for info in page.info)


def test_weights_that_are_not_finite_are_refused_in_words():
    config = small(variant="encoder_decoder")
    weights = random_weights(config)
    weights[0][0, 0] = np.nan
    assert "must be finite" in said(open_views(look_at(config, weights), "failures", "remembering")).replace("\\", "")


# --- which input matters ---------------------------------------------------------------------------


def test_a_network_that_repeats_what_it_reads_depends_on_the_input_that_it_repeats():
    page = open_views(look_at(*perfect()), "dependence")
    assert "**Each output depends most on the very input that it must repeat.**" in said(page)
    assert "Output 1 depends most on input 1 (100 % of sequences), output 2 on input 2" in said(page)
    assert "**The gradient** agrees" in said(page)
    assert "How often they agree, where a replacement moves an output" in [each.label for each in page.expander]


def test_a_network_that_always_says_the_same_depends_on_no_input():
    config = small(variant="encoder_decoder")
    page = open_views(look_at(config, stuck(config)), "dependence")
    assert "**No input matters:**" in said(page)
    assert "**The gradient** cannot be compared" in said(page)
    assert not any("agree" in expander.label for expander in page.expander)
    assert "Where they disagree" not in said(page)


def tops(*places: list[list[int]]) -> Dependence:
    """Measures of four inputs that are 1 at these places, (windows, outputs), of influence, gradient and attention."""
    return Dependence(*(np.eye(4, dtype="f")[np.array(each)] for each in places))


def test_the_places_at_which_measures_disagree_are_named_with_how_often():
    influence = [[0, 1]] * 4
    found = tops(influence, [[0, 1], [0, 1], [0, 2], [0, 2]], influence)
    sentence = dependence.disagreement(found, "gradient")
    assert "**The gradient** disagrees in 25.0 % of the cases" in sentence
    assert "at output 2 (50.0 %: input 3 in place of input 2)." in sentence
    assert "output 1" not in sentence
    assert "**Attention** agrees" in dependence.disagreement(found, "attention")


def test_outputs_that_no_input_moves_neither_agree_nor_disagree():
    influence, gradient, _ = tops([[0, 1]], [[0, 2]], [[0, 1]])
    influence[:, 1] = 0
    found = Dependence(influence, gradient)
    assert "**The gradient** agrees:" in dependence.disagreement(found, "gradient")
    config = small(variant="encoder_decoder", input_length=4, output_length=2)
    assert "No input moves output 2." in dependence.finding(config, found)
    assert "cannot be compared" in dependence.disagreement(Dependence(influence * 0, gradient), "gradient")


def test_a_finding_of_other_inputs_than_those_to_be_repeated_says_at_how_many_outputs_they_are():
    config = small(variant="encoder_decoder", input_length=4, output_length=2)
    sentences = dependence.finding(config, tops([[0, 3], [0, 3], [0, 1]], [[0, 3], [0, 3], [0, 3]]))
    assert sentences == ("Output 1 depends most on input 1 (100 % of sequences) and output 2 on input 4 (66.6 % of "
                         "sequences). At 1 of 2 outputs it is the input that must be repeated.")


# --- attention that looks elsewhere ----------------------------------------------------------------


def test_attention_that_is_made_to_look_evenly_gives_the_answer_of_even_weights():
    config = small(variant="attention")
    look = look_at(config, random_weights(config, scale=2.0))
    page = open_views(look, "dependence")
    own = look_inside(config, look.weights, look.window[None]).logits[0].argmax(axis=-1)
    assert answers(page, "Answer now") == answers(page, "By itself") == own.tolist()
    page.selectbox(key="dependence_place").set_value(0).run()
    even = look_inside(config, look.weights, look.window[None], np.full((2, 3), 1 / 3)).logits[0].argmax(axis=-1)
    assert answers(page, "Answer now") == even.tolist()
    assert answers(page, "By itself") == own.tolist()
    page.button(key="dependence_reset").click().run()
    assert answers(page, "Answer now") == own.tolist()


def test_one_output_can_be_made_to_look_at_one_input():
    config = small(variant="attention")
    look = look_at(config, random_weights(config, scale=2.0))
    page = open_views(look, "dependence")
    page.selectbox(key="dependence_output").set_value(2).run()
    page.selectbox(key="dependence_place").set_value(3).run()
    shown = look_inside(config, look.weights, look.window[None]).attention[0].copy()
    shown[1] = [0, 0, 1]
    expected = look_inside(config, look.weights, look.window[None], shown).logits[0].argmax(axis=-1)
    assert answers(page, "Answer now") == expected.tolist()
    assert page.dataframe[0].value["Looks at"][1].startswith("input 3: ")
    page.selectbox(key="dependence_output").set_value(1).run()
    assert page.selectbox(key="dependence_place").value == -1  # as it does by itself
    page.selectbox(key="dependence_place").set_value(0).run()
    assert page.dataframe[0].value["Looks at"][0] == "all evenly"
    assert page.dataframe[0].value["Looks at"][1].endswith("(100\u00a0%)")


def answers(page, column: str) -> list[int]:
    """The answers in a column of the table, without ✓ and ✗."""
    return [int(answer.split()[0]) for answer in page.dataframe[0].value[column]]


def test_nothing_can_be_made_to_look_at_a_gap():
    edited = dependence.elsewhere(np.full((2, 3), 1 / 3, "f"), {1: 0, 2: 3}, np.array([True, False, True]))
    assert edited.tolist() == [[0.5, 0, 0.5], [0, 0, 1]]


# --- what if a part were missing? ------------------------------------------------------------------


def test_each_part_of_a_network_has_a_row_and_a_silent_unit_another():
    config = small(variant="encoder_decoder")
    look = look_at(config)
    page = open_views(look, "missing")
    page.multiselect(key="missing_units_4").set_value([2]).run()
    assert not page.exception
    names = [missing.name_of(config, part.name) for part in parts(config, look.weights, units=[2])]
    assert names[0] == "Nothing: the whole network"
    assert {"Encoder: forget gate shut", "Decoder: unit 2", "Encoder: a tenth of the units"} <= set(names)
    assert missing.name_of(small(), "lstm input gate open") == "Input gate open"


def part_table(**accuracy: float) -> pd.DataFrame:
    return pd.DataFrame([{"name": missing.name_of(small(), part.replace("_", " ")), "output": output,
                          "accuracy": value} for part, value in accuracy.items() for output in (1, 2)])


def test_the_part_that_is_needed_most_is_named():
    table = part_table(none=0.99, lstm_forget_gate_shut=0.05, lstm_input_gate_open=0.985)
    said = missing.finding(small(), table)
    assert "gets **99.0 %** of the answers right. Most is lost with *Forget gate shut*: **5.0 %** stay" in said
    assert "Least is lost with *Input gate open*: 98.5 % stay right." in said


def test_parts_that_are_tied_are_counted_or_named_together():
    table = part_table(none=1.0, lstm_forget_gate_shut=0.05, lstm_output_gate_shut=0.0504, lstm_input_gate_open=1.0,
                       lstm_unit_1=1.0, lstm_unit_2=1.0)
    said = missing.finding(small(), table)
    assert "Most is lost with *Forget gate shut* or *Output gate shut*: **5.0 %** stay right." in said
    assert "Least is lost with any one of 3 parts: 100 % stay right." in said


def test_a_network_that_guesses_has_nothing_to_lose_and_one_with_spare_parts_needs_none():
    assert "**There is little to lose:**" in missing.finding(small(), part_table(none=0.1, lstm_unit_1=0.1))
    assert "**No single part is needed:**" in missing.finding(small(), part_table(none=0.99, lstm_unit_1=0.98))


# --- where does it fail? ---------------------------------------------------------------------------


def test_a_network_without_errors_is_said_to_have_none_and_where_to_see_some():
    text = said(open_views(look_at(*perfect()), "failures"))
    assert "There is nothing to see here: every answer was right." in text
    assert "open a run such as *Ten of ten without attention (fails)*." in text
    assert "Of these it was least sure" in text
    assert "0 wrong" not in text
    assert "same answer" not in text


def test_a_network_that_says_the_same_whatever_it_reads_is_named_as_that():
    config = small(variant="encoder_decoder")
    page = open_views(look_at(config, stuck(config)), "failures")
    assert [warning.value for warning in page.warning] == ["It has not learnt to tell them apart."]
    assert "The network gives the same answer for every window" in said(page)
    assert "Its most common answers: 4 at output 1 (100 %) and 4 at output 2 (100 %)." in said(page)


@pytest.mark.parametrize("view", [*ALL_VIEWS, "states", "reading"])
def test_every_table_of_a_view_has_a_name_of_its_own(view: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "untrained", lambda look: None)  # else a worker is waited for
    config = small(variant="encoder_decoder")
    labels = [expander.label for expander in open_views(look_at(config), view).expander]
    assert len(labels) == len(set(labels)) > 0


@pytest.mark.parametrize(("outputs", "words"), [(1, "The output is right in 0.0 % of cases."),
                                                 (2, "Each output is right in 0.0 % of cases.")])
def test_outputs_that_are_right_equally_often_are_said_to_be_so(outputs: int, words: str):
    config = small(variant="padded", input_length=3, output_length=outputs)
    waits_for_ever = stuck(config, number=config.vocab_size)
    assert words in said(open_views(look_at(config, waits_for_ever), "failures"))


def test_a_press_of_a_bad_window_makes_it_the_window_at_hand_and_opens_it_step_by_step():
    config = small(variant="encoder_decoder")
    look = look_at(config)
    page = open_views(look, "failures")
    worst = dict.fromkeys(map(tuple, inspect(config, look.weights, "worst", 2000).window))
    for place, window in enumerate(list(worst)[:2]):
        page.button(key=f"worst_{place}").click().run()
        assert page.session_state[state.ASKED] == " ".join(map(str, window))
        assert page.session_state[VIEW] == steps.TITLE


def test_bad_windows_are_listed_once_and_what_is_not_expected_is_a_dot():
    config = small(task="lag", lag=2)
    page = open_views(look_at(config), "failures")
    labels = [button.label for button in page.button if button.key.startswith("worst_")]
    assert 1 < len(labels) == len(set(labels))
    assert "expected was · · " in said(page).replace("\\", "")


def test_the_words_of_a_visitor_are_no_markup_in_any_view():
    page = open_views(look_at(PAIRS), *ALL_VIEWS)
    for kind in ("markdown", "caption", "button"):
        for element in page.get(kind):
            shown = element.value if kind != "button" else element.label
            assert "![x](" not in shown
            assert "<b>" not in shown


# --- how much does it remember? --------------------------------------------------------------------


def test_a_network_that_says_what_it_reads_keeps_all_bits_and_needs_no_memory_for_them():
    text = said(open_views(look_at(*perfect()), "remembering"))
    assert "takes **8.4 bits**. The network keeps **8.4** of them" in text
    assert "None of them has to be remembered" in text
    assert "**no state**" in text
    assert "**none is held**" in text
    assert "**There is little to see here:** hardly a number is forgotten." in text


def test_a_network_that_guesses_keeps_nothing():
    config = small(variant="encoder_decoder")
    text = said(open_views(look_at(config, [np.zeros_like(each) for each in random_weights(config)]), "remembering"))
    assert "takes **5.6 bits**. The network keeps **0.0** of them, 0.0 %." in text
    assert "Every number is held equally long: **3 timesteps**" in text


@pytest.mark.parametrize(("config", "size"), [
    (small(variant="encoder_decoder"), "**4 values**: the last output h of 4 units"),
    (small(variant="many_to_one"), "**4 values**: the last output h of 4 units"),
    (small(variant="attention"), "**12 values**: 4 units × 3 timesteps"),
    (small(task="lag"), "**8 values**: 4 units × 2"), (small(task="lag", cell="gru"), "**4 values**: 4 units."),
    (small(variant="one_to_one"), "**no state** has to pass"), (small(variant="no_memory"), "**no state**")])
def test_the_size_of_the_state_is_what_passes_from_reading_to_answering(config: RunConfig, size: str):
    assert size in remembering.state_in_words(config)


def test_numbers_that_are_held_for_different_times_are_drawn_against_the_lag_and_the_place():
    config = small(variant="encoder_decoder", task="reverse")
    page = open_views(look_at(config), "remembering")
    assert "2 to 4 here" in said(page)
    assert page.segmented_control(key="forgetting_by").value == "lag"
    page.segmented_control(key="forgetting_by").set_value("output").run()
    assert not page.exception


# --- how many sequences ----------------------------------------------------------------------------


def test_a_large_network_is_judged_on_few_sequences_first_and_on_all_when_asked():
    config = with_(small(variant="encoder_decoder", input_length=20, sequence_length=40), units=200)
    look = look_at(config)
    page = open_views(look, "remembering")
    few = affordable(config, 2000)
    assert few < 2000
    assert f"Measured on {few:,} new sequences." in said(page)
    page.button(key="bits_more").click().run()
    assert "Measured on 2,000 new sequences." in said(page)
    assert "bits_more" not in {button.key for button in page.button}


def test_the_titles_of_the_views_are_what_one_sees():
    assert [view.TITLE for view in (dependence, missing, failures, remembering)] == [
        "Which input matters", "What if a part were missing?", "Where does it fail?", "How much does it remember?"]
