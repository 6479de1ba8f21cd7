"""The card of each place of an answer: what is said, whether it is right, and the likeliest answers."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_app.charts.answers import STYLE, answer
from echo_core.evaluation.asking import Choice, Place, Reply, ask
from tests.helpers.samples import small
from tests.helpers.weights import random_weights


def place(said: str | int, *likeliest: tuple[str | int, float]) -> Place:
    return Place(said, tuple(Choice(*choice) for choice in likeliest), None)


def test_each_place_has_a_card_with_its_sign():
    html = answer(Reply((4, 5), (place(4, (4, 0.9)), place(7, (7, 0.6), (5, 0.3))), (4, 5)))
    cards = re.findall(r'<li class="(\w+)">', html)
    assert cards == ["right", "wrong"]
    assert (html.count("✓"), html.count("✗")) == (1, 1)
    assert html.count("expected 5") == 1
    assert "expected 4" not in html


@pytest.mark.parametrize(("places", "kind"), [(5, "echo-answer"), (6, "echo-answer many"), (20, "echo-answer many")])
def test_cards_of_many_places_are_small_so_that_none_is_out_of_sight(places: int, kind: str):
    html = answer(Reply((4,) * places, (place(4, (4, 0.9)),) * places, None))
    assert html.startswith(f'<ul class="{kind}" ')
    assert html.count('<li class="open">') == places
    assert "overflow-y" not in STYLE
    assert "max-height" not in STYLE


def test_an_answer_that_nobody_knows_has_no_sign():
    html = answer(Reply((4,), (place(4, (4, 0.9)),), None))
    assert '<li class="open">' in html
    assert "✓" not in html
    assert "✗" not in html


def test_probabilities_are_all_or_nothing_only_if_they_are():
    html = answer(Reply((4,), (place(4, (4, 0.9994), (5, 0.0006), (6, 0.0)),), (4,)))
    assert re.findall(r"<span>([\d.]+ %)</span>", html) == ["99.9 %", "0.1 %", "0 %"]


def test_a_scaled_number_is_shown_before_it_was_rounded():
    html = answer(Reply((4,), (Place(4, (), None, 4.37),), (4,)))
    assert "4.37, rounded" in html
    assert "<ol" not in html


def test_a_word_is_never_markup():
    html = answer(Reply(("<b>",), (place("<img src=x>", ("<img src=x>", 1.0)),), ("<i>",)))
    assert "<img" not in html
    assert "expected &lt;i&gt;" in html


ODD = ["<b>", "who", "·", "&amp;", "</li>", "**x**", "1e3", "٣", "[1", "2]", ",", "\x00", "\ud800"]
TYPED = st.text(max_size=80) | st.lists(st.integers(-5, 120).map(str) | st.sampled_from(ODD), max_size=12).map(" ".join)
NETWORKS = {name: (config, random_weights(config)) for name, config in {
    "numbers": small(variant="encoder_decoder"), "one at a time": small(variant="padded", cell="gru"),
    "scaled": small(variant="encoder_decoder", representation="linear"),
    "masked": small(variant="encoder_decoder", missing="mask"),
    "words": small(variant="encoder_decoder", text="who <b> is &amp; </li> who **x** is who <b> is", vocab_size=6,
                   sequence_length=10),
    "pairs": small(task="pairs", variant="attention")}.items()}
#: Every tag that a card has of its own.
OUR_TAGS = re.compile(r'</?(?:ul|ol|li|span|small|i)(?: (?:class|aria-label|style|tabindex)="[\w .:%,-]*")*>')


def check_typed(name: str, typed: str) -> None:
    config, weights = NETWORKS[name]
    try:
        html = answer(ask(config, weights, typed))
    except ValueError as error:
        html, said = "", str(error)
    else:
        said = "question must be read"
    assert said.startswith("question must")
    assert "<" not in OUR_TAGS.sub("", html)


@given(st.sampled_from(sorted(NETWORKS)), TYPED)
def test_whatever_is_typed_is_answered_or_refused_and_never_markup(name: str, typed: str):
    check_typed(name, typed)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(st.sampled_from(sorted(NETWORKS)), TYPED)
def test_ten_thousand_things_that_are_typed_are_answered_or_refused(name: str, typed: str):
    check_typed(name, typed)
