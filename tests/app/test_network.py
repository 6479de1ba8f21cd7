"""The picture of a network, worked out from its settings: which parts it has, where, and what it says in words."""

import json
import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_app.charts.diagram import Picture, fitting, letters_in, spans_of
from echo_app.charts.network import COMPACT, LARGE, Style, network_picture, num_steps
from echo_app.charts.network_words import asked_places, example, names, sentences, summary
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.config.variants import VARIANTS
from echo_core.data import shown_sequence, to_examples
from tests.helpers.samples import ALL, WORDS, small
from tests.helpers.strategies import configs

#: The most SVG elements that a page draws quickly, and what one box is made of besides its levels.
MOST_ELEMENTS, OF_A_NODE = 3000, 5


def draw(config: RunConfig, style: Style = COMPACT) -> Picture:
    read, said = (names(config, tokens) for tokens in example(config))
    return network_picture(config, read, said, asked_places(config), style)


def kinds(picture: Picture) -> Counter[str]:
    return Counter(part.kind for part in (*picture.nodes, *picture.edges))


def ways(picture: Picture, kind: str) -> set[tuple[str, ...]]:
    """The boxes that edges of a kind connect."""
    return {tuple(edge.id.split(">")) for edge in picture.edges if edge.kind == kind}


def said_in(picture: Picture, kind: str) -> list[str]:
    return [label.text for label in picture.labels if label.kind == kind]


def check_that_it_can_be_drawn(config: RunConfig, style: Style) -> Picture:
    picture = draw(config, style)
    assert json.loads(json.dumps(picture.data(), allow_nan=False)) == json.loads(json.dumps(picture.data()))
    parts = (*picture.nodes, *picture.edges, *picture.labels)
    assert len({part.id for part in parts}) == len(parts)
    assert len(picture.nodes) * OF_A_NODE + len(picture.edges) + len(picture.labels) <= MOST_ELEMENTS
    for node in picture.nodes:
        assert 0 <= node.x - node.width / 2 < node.x + node.width / 2 <= picture.width
        assert 0 <= node.y - node.height / 2 < node.y + node.height / 2 <= picture.height
        assert node.kind == "mix" or letters_in([node.text]) <= node.width / 6
    for row in {node.y for node in picture.nodes}:
        ends = sorted((node.x - node.width / 2, node.x + node.width / 2) for node in picture.nodes
                      if node.y == row and node.kind not in ("frame", "vector"))
        assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    known = {node.id for node in picture.nodes} | {"before", "narrow", "pinch"}
    assert {end for edge in picture.edges for end in edge.id.split(">")} <= known
    return picture


@pytest.mark.parametrize("style", [COMPACT, LARGE], ids=["compact", "large"])
@pytest.mark.parametrize("config", ALL.values(), ids=ALL)
def test_every_kind_of_run_can_be_drawn(config: RunConfig, style: Style):
    check_that_it_can_be_drawn(config, style)


@given(configs(), st.sampled_from([COMPACT, LARGE]))
def test_any_config_gives_a_picture_of_few_elements_within_its_frame(config: RunConfig, style: Style):
    picture = check_that_it_can_be_drawn(config, style)
    steps = [step for node in picture.nodes if node.kind == "read" for step in range(node.steps[0], node.steps[1] + 1)]
    assert config.traits.reads_all_at_once or steps == list(range(1, config.input_length + 1))
    assert max(node.steps[1] for node in picture.nodes) == num_steps(config)
    assert all(sentence.endswith(".") for sentence in (summary(config), *sentences(config)))


def test_one_sees_at_a_glance_how_the_networks_differ():
    seen = {name: frozenset(kinds(draw(small(variant=name))).items()) for name in VARIANTS}
    assert len(set(seen.values())) == len(VARIANTS)


def test_a_network_that_answers_as_it_reads_has_an_answer_below_each_number_and_nothing_to_keep():
    picture = draw(PRESETS["whole"].config)
    assert kinds(picture) == {"read": 5, "cell": 5, "answer": 5, "feeds": 10, "state": 4, "carried": 1}
    assert [node.text for node in picture.nodes if node.kind == "read"] == [
        node.text for node in picture.nodes if node.kind == "answer"]
    assert said_in(picture, "phase") == ["answers as it reads: 0 bits to keep"]
    assert said_in(picture, "bits") == []


def test_between_encoder_and_decoder_passes_the_context_and_no_state():
    picture = draw(PRESETS["quick"].config)
    assert ways(picture, "context") == {("cell-1-5", "context-1"), ("context-1", "context-2")}
    assert ways(picture, "state") == {("cell-1-1", "cell-1-2"), ("cell-1-2", "cell-1-3"), ("cell-1-3", "cell-1-4"),
                                      ("cell-1-4", "cell-1-5"), ("cell-2-1", "cell-2-2")}
    assert kinds(picture)["pinch"] == 1
    assert said_in(picture, "bits") == ["13.3 bits", "64 values"]


def test_attention_can_look_from_each_answer_at_each_number_and_nothing_is_squeezed():
    picture = draw(small(variant="attention", input_length=4, output_length=3))
    assert ways(picture, "attention") == {(f"cell-1-{read}", f"mix-{said}") for read in range(1, 5)
                                          for said in range(1, 4)}
    assert kinds(picture)["pinch"] == 0
    assert said_in(picture, "bits") == ["8.4 bits through 4 × 4 values"]


def test_a_padded_network_waits_below_the_numbers_before_its_echo():
    picture = draw(PRESETS["padded"].config)
    assert [node.kind for node in picture.nodes if node.y == COMPACT.said] == ["waits"] * 3 + ["answer"] * 2
    assert said_in(picture, "phase") == ["waits", "answers"]
    [pinch] = [edge for edge in picture.edges if edge.kind == "pinch"]
    before, after = (next(node.x for node in picture.nodes if node.id == f"cell-1-{t}") for t in (3, 4))
    assert before < float(re.match(r"M([\d.]+)", pinch.path).group(1)) < after


def test_a_network_of_one_step_reads_all_numbers_into_a_single_cell():
    picture = draw(PRESETS["one_to_one"].config)
    assert kinds(picture)["cell"] == 1
    assert kinds(picture)["state"] == kinds(picture)["pinch"] == 0
    assert {pair for pair in ways(picture, "feeds") if pair[1] == "cell-1-1"} == {
        (f"read-{t}", "cell-1-1") for t in range(1, 6)}
    assert said_in(picture, "phase")[0] == "all timesteps as one: 0 bits to keep"


def test_one_vector_gives_all_numbers_of_the_answer():
    picture = draw(PRESETS["many_to_one"].config)
    assert {pair for pair in ways(picture, "feeds") if pair[0] == "vector"} == {
        ("vector", "answer-1"), ("vector", "answer-2")}
    assert ways(picture, "context") == {("cell-1-5", "vector")}


def test_a_network_without_memory_lacks_the_arrow_and_looks_only_at_the_newest_numbers():
    picture = draw(PRESETS["no_memory"].config)
    assert kinds(picture) == {"read": 5, "dense": 2, "answer": 2, "feeds": 4, "missing": 2}
    assert ways(picture, "feeds") == {("read-4", "cell-1-4"), ("read-5", "cell-1-5"), ("cell-1-4", "answer-1"),
                                      ("cell-1-5", "answer-2")}
    assert said_in(picture, "bits") == ["13.3 bits", "no way through"]


def test_a_lag_asks_for_nothing_at_first_and_then_holds_as_many_numbers():
    picture = draw(PRESETS["lag"].config)
    assert [node.kind for node in picture.nodes if node.y == COMPACT.said] == ["unasked"] * 2 + ["answer"] * 4
    assert said_in(picture, "bits") == ["13.3 bits", "256 values"]


@pytest.mark.parametrize(("cell", "lines"), [("lstm", 2), ("gru", 1), ("simple_rnn", 1)])
def test_as_many_lines_pass_along_as_the_state_has_vectors(cell: str, lines: int):
    states = [edge for edge in draw(small(variant="padded", cell=cell)).edges if edge.kind == "state"]
    assert states
    assert all(edge.path.count("M") == lines for edge in states)


@pytest.mark.parametrize(("stateful", "arrows"), [(True, 2), (False, 0)])
def test_a_carried_state_has_an_arrow_into_each_layer(stateful: bool, arrows: int):
    assert kinds(draw(small(variant="encoder_decoder", stateful=stateful)))["carried"] == arrows


def test_numbers_that_must_be_said_again_stand_out():
    picture = draw(small(variant="encoder_decoder", input_length=5, sequence_length=9, echo_start=2))
    assert [node.bold for node in picture.nodes if node.kind == "read"] == [False, False, True, True, False]


def test_a_long_network_is_drawn_with_an_ellipsis_for_its_middle():
    picture = draw(small(variant="attention", input_length=60, output_length=50, sequence_length=61))
    reads = [node for node in picture.nodes if node.kind == "read"]
    assert len(reads) == COMPACT.most
    assert [(node.steps, node.title) for node in reads if node.text == "…"] == [((7, 55), "Timesteps 7 to 55")]


@given(st.integers(1, 10_000), st.integers(3, 30))
def test_columns_stand_for_every_timestep_once_and_in_order(length: int, most: int):
    spans = spans_of(length, most)
    assert [t for first, last in spans for t in range(first, last + 1)] == list(range(length))
    assert len(spans) == min(length, most)
    assert sum(last > first for first, last in spans) == (length > most)


@given(st.text(min_size=1, max_size=30), st.floats(20, 90))
def test_a_cut_text_begins_like_the_whole_and_says_that_it_is_cut(text: str, width: float):
    cut = fitting(text, width)
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]) and len(cut) <= len(text))


@pytest.mark.parametrize("config", [config for config in ALL.values() if config.task != "pairs"
                                    and config.missing == "drop"])
def test_the_example_is_the_first_window_that_pages_show(config: RunConfig):
    examples = to_examples(config, shown_sequence(config))
    window, answer = example(config)
    assert window.tolist() == examples.inputs[0].tolist()
    assert answer.tolist() == examples.expected[0].tolist()


def test_long_words_are_cut_in_their_box_and_whole_in_its_title():
    config = small(variant="encoder_decoder", text=f"{'x' * 40} b {WORDS}", vocab_size=8)
    [node] = [node for node in draw(config).nodes if node.text.startswith("xx")][:1]
    assert node.text.endswith("…")
    assert node.title == "x" * 40
