"""What the player says of each step, against what the network computes."""

import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from echo_app.charts.cell import memory_left, memory_parts, percent
from echo_app.charts.diagram import Picture
from echo_app.charts.network import LARGE, network_picture, num_steps
from echo_app.charts.network_words import asked_places, example, names
from echo_app.charts.steps import Frame, frames
from echo_core.config import RunConfig
from echo_core.inspection.inside import Inside, look_inside
from echo_core.records import Ints
from tests.helpers.samples import ALL, small
from tests.helpers.weights import random_weights, some_windows


def told(config: RunConfig, window: Ints | None = None, unit: int | None = None) -> tuple[Picture, list[Frame], Inside]:
    """The picture and frames of one window, and what the network computes for it."""
    first, answer = example(config)
    read = first if window is None else window
    picture = network_picture(config, names(config, read), ["?"] * config.output_length, asked_places(config), LARGE)
    inside = look_inside(config, random_weights(config), read[None])
    expected = [word or None for word in names(config, answer)]
    return picture, frames(config, picture, names(config, read), expected, inside, unit), inside


def shown_until(steps: list[Frame], step: int) -> dict[str, dict]:
    """What the picture shows at a step: all changes up to it."""
    shown: dict[str, dict] = {}
    for frame in steps[:step]:
        for name, change in frame["changes"].items():
            shown[name] = {**shown.get(name, {}), **change}
    return shown


def card(frame: Frame, heading: str) -> dict:
    return next(card for card in frame["cards"] if card["heading"] == heading)


@pytest.mark.parametrize("config", ALL.values(), ids=ALL)
def test_every_kind_of_run_is_told_step_by_step(config: RunConfig):
    picture, steps, inside = told(config)
    assert len(steps) == num_steps(config)
    json.dumps(steps, allow_nan=False)
    parts = {part.id for part in (*picture.nodes, *picture.edges)}
    for frame in steps:
        assert frame["says"]
        assert frame["changes"].keys() <= parts
    assert len({tuple(card["heading"] for card in frame["cards"]) for frame in steps}) == 1  # so that nothing jumps
    marks = [change.get("sign") for name, change in shown_until(steps, len(steps)).items() if name.startswith("answer")]
    _, answer = example(config)
    if inside.probabilities is not None:
        said = inside.probabilities[0, -config.output_length:].argmax(axis=-1)
        assert marks == ["" if wanted == config.vocab_size else "✓" if wanted == given else "✗"
                         for wanted, given in zip(answer, said, strict=True)]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("variant", ["encoder_decoder", "padded"])
def test_the_parts_of_the_memory_add_up_to_the_memory(variant: str, cell: str):
    config = small(variant=variant, cell=cell, input_length=6, sequence_length=9)
    for layer in look_inside(config, random_weights(config), some_windows(config)[:1]).layers:
        memory = layer.hidden if layer.cell is None else layer.cell
        left = memory_left(layer)
        for t, parts in enumerate(memory_parts(layer)):
            assert len(parts) == t + 1
            np.testing.assert_allclose(parts.sum(axis=0), memory[0, t], atol=1e-6)
            np.testing.assert_allclose(left[t, :t + 1], np.abs(parts).sum(axis=-1), rtol=1e-6)
            assert not left[t, t + 1:].any()


def test_what_is_left_of_a_timestep_only_shrinks():
    left = memory_left(told(small(variant="encoder_decoder", input_length=8, sequence_length=9))[2].layers[0])
    for written in range(8):
        assert (np.diff(left[written:, written]) <= 0).all()


@pytest.mark.parametrize(("cell", "keeps"), [("lstm", "forget"), ("gru", "update")])
def test_the_bar_above_a_number_and_the_card_are_the_share_that_the_gate_has_kept_of_it(cell: str, keeps: str):
    config = small(variant="encoder_decoder", cell=cell, units=1, input_length=5, sequence_length=9)
    _, steps, inside = told(config)
    gate = inside.layers[0].gates[keeps][0, :, 0]
    for t in range(5):
        shares = [gate[place + 1:t + 1].prod() for place in range(t + 1)]  # of a single unit
        shown, text = shown_until(steps, t + 1), card(steps[t], "Memory")["text"]
        np.testing.assert_allclose([shown[f"meter-{place + 1}"]["levels"][0] for place in range(5)],
                                   [*shares, *[0] * (4 - t)], atol=1e-3)
        for place, share in enumerate(shares[:-1], 1):
            assert f"{place}: {percent(share)}" in text


def test_a_number_that_is_written_with_little_has_a_bar_as_full_as_one_written_with_much():
    config = small(variant="encoder_decoder", input_length=5, sequence_length=9, units=8)
    _, steps, inside = told(config)
    left = memory_left(inside.layers[0])
    shown = shown_until(steps, 5)
    for place in range(5):
        share = left[4, place] / left[place, place]
        assert shown[f"meter-{place + 1}"]["levels"] == [pytest.approx(share, abs=1e-3)]
    assert shown["meter-5"]["levels"] == [1]


def test_the_bar_above_many_numbers_is_the_share_of_all_that_has_been_written_there_so_far():
    config = small(variant="attention", input_length=30, output_length=30, sequence_length=31)
    picture, steps, inside = told(config)
    [hidden] = [node for node in picture.nodes if node.kind == "meter" and node.steps[0] < node.steps[1]]
    left, (first, last) = memory_left(inside.layers[0]), hidden.steps
    for t in (first, (first + last) // 2, last, 30):
        read = slice(first - 1, min(last, t))
        share = left[t - 1, read].sum() / np.diagonal(left)[read].sum()
        assert shown_until(steps, t)[hidden.id]["levels"] == [pytest.approx(share, abs=1e-3)]


def test_a_gap_writes_nothing_and_keeps_everything():
    config = small(variant="encoder_decoder", missing="mask")
    window = np.array([3, config.vocab_size, 5])
    _, steps, inside = told(config, window)
    left = memory_left(inside.layers[0])
    assert left[1, 0] == left[0, 0]
    assert left[1, 1] == 0
    assert [shown_until(steps, 2)[f"meter-{place}"]["levels"] for place in (1, 2, 3)] == [[1], [0], [0]]
    assert "2: 0\u00a0%" in card(steps[2], "Memory")["text"]
    assert steps[1]["says"].startswith("A gap is skipped.")
    assert card(steps[1], "Gates")["text"] == "No gate acts at a gap."


def test_gates_are_told_as_their_mean_and_the_units_that_are_nearly_shut_or_open():
    config = small(variant="encoder_decoder", units=40)
    _, steps, inside = told(config)
    for step, (layer, t) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        gate = inside.layers[layer].gates["forget"][0, t]
        bar = card(steps[step], "Gates")["bars"][1]
        does = f"keeps {int(100 * gate.mean() + 1e-6)}\u00a0% of the memory" if t else "has nothing to keep yet"
        assert bar["label"] == f"Forget gate (open keeps, shut drops): {does}"
        assert card(steps[step], "Gates")["text"].startswith("Means over 40 units.")
        assert bar["note"] == f"nearly open {(gate > 0.9).sum()}, nearly shut {(gate < 0.1).sum()} of 40"
        levels = shown_until(steps, step + 1)[f"cell-{layer + 1}-{t + 1}"]["levels"]
        np.testing.assert_allclose(levels, [values[0, t].mean() for values in inside.layers[layer].gates.values()],
                                   atol=1e-3)


@pytest.mark.parametrize(("cell", "gates"), [("lstm", ("forget",)), ("gru", ("update", "reset"))])
def test_of_an_empty_memory_no_share_is_kept(cell: str, gates: tuple[str, ...]):
    config = small(variant="encoder_decoder", cell=cell, missing="mask")
    _, steps, _ = told(config, np.array([config.vocab_size, 3, 5]))  # a gap leaves the memory empty
    for frame, is_empty in zip(steps[1:], [True, False, True, False], strict=True):  # the decoder begins with its own
        words = f"{frame['says']} {card(frame, 'Gates')}"
        assert ("memory is still empty" in words) == is_empty
        for gate in gates:
            assert ("% open" in frame["cell"]["changes"][gate]["text"]) == is_empty
            assert (f"its {gate} gate" in frame["says"]) != is_empty
        assert bool(re.search(r"(keeps|looks at) (\d|under)", words)) != is_empty


def test_the_sentence_tells_the_chosen_unit_from_the_mean():
    config = small(variant="encoder_decoder", units=7)
    _, steps, inside = told(config, unit=3)
    gate = inside.layers[0].gates["forget"][0, 1]
    assert "On average over 7 units, " in steps[1]["says"]
    assert (f"its forget gate keeps {percent(gate.mean())} of the memory (unit 3: {percent(gate[2])})"
            in steps[1]["says"])
    assert "unit 3" not in told(config)[1][1]["says"]


def test_attention_is_as_wide_as_its_weights():
    config = small(variant="attention", input_length=4, sequence_length=8)
    _, steps, inside = told(config)
    shown = shown_until(steps, len(steps))
    for place in range(config.output_length):
        widths = [shown[f"cell-1-{t}>mix-{place + 1}"]["weight"] for t in range(1, 5)]
        np.testing.assert_allclose(widths, inside.attention[0, place], atol=1e-3)


def test_the_ellipsis_of_a_long_network_shows_the_timestep_at_hand_and_then_an_ellipsis_again():
    config = small(variant="attention", input_length=30, output_length=30, sequence_length=31)
    picture, steps, _ = told(config)
    [hidden] = [node for node in picture.nodes if node.kind == "read" and node.text == "…"]
    read = names(config, example(config)[0])
    for step in range(hidden.steps[0], hidden.steps[1] + 1):
        assert shown_until(steps, step)[hidden.id]["text"] == read[step - 1]
    assert shown_until(steps, hidden.steps[1] + 1)[hidden.id]["text"] == "…"
    last = shown_until(steps, 60)
    widths = [change["weight"] for name, change in last.items() if name.endswith(">mix-30")]
    assert sum(widths) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("variant", "settings", "heading", "says"), [
    ("encoder_decoder", {"cell": "simple_rnn"}, "Gates", "A simple RNN has none"),
    ("no_memory", {}, "Memory", "None: no layer hands anything on"),
    ("encoder_decoder", {"representation": "linear"}, "Comes out", "asked for")])
def test_what_a_network_does_not_have_is_said(variant: str, settings: dict, heading: str, says: str):
    _, steps, _ = told(small(variant=variant, **settings))
    assert says in card(steps[-1], heading)["text"]


def test_a_scaled_number_has_no_probability():
    [bar] = card(told(small(variant="encoder_decoder", representation="linear"))[1][-1], "Comes out")["bars"]
    assert bar["parts"] == []
    assert "nothing has a probability" in bar["note"]


def test_a_gru_is_told_by_its_update_and_reset_gates():
    bars = card(told(small(variant="padded", cell="gru"))[1][-1], "Gates")["bars"]
    assert [bar["label"].split(" gate")[0] for bar in bars] == ["Update", "Reset"]


def test_a_question_without_a_known_answer_is_neither_right_nor_wrong():
    config = small(variant="attention", task="pairs")
    window, _ = example(config)
    picture = network_picture(config, names(config, window), ["?"] * config.output_length, (), LARGE)
    inside = look_inside(config, random_weights(config), window[None])
    steps = frames(config, picture, names(config, window), None, inside)
    assert card(steps[-1], "Comes out")["text"] == "Nobody has said what the right answer is."
    assert {change.get("sign") for name, change in shown_until(steps, len(steps)).items()
            if name.startswith("answer")} == {""}


def view(name: str) -> None:
    """A page with the view of an untrained network of `samples.ALL`, on its first window."""
    from types import SimpleNamespace

    from echo_app.panels.inside import steps
    from echo_app.panels.inside.look import Look
    from tests.helpers.samples import ALL
    from tests.helpers.weights import random_weights, some_windows

    config = ALL[name]
    run = SimpleNamespace(config=config, run_id=config.run_id, attempt=1)
    steps.draw(Look(run, SimpleNamespace(weights=random_weights(config), epoch=3), some_windows(config)[0]))


@pytest.mark.parametrize("name", [
    "later and masked", "own words, masked", "own words by size", "pairs-attention-gru-one_hot-drop-False",
    "lag-no_memory-lstm-one_hot-drop-False", "echo-one_to_one-simple_rnn-one_hot-drop-False",
    "reverse-encoder_decoder-simple_rnn-linear-mask-False"])
def test_the_view_draws_the_player_and_its_numbers(name: str):
    page = AppTest.from_function(view, kwargs={"name": name}, default_timeout=30).run()
    assert not page.exception
    [player] = page.get("bidi_component")
    has_hatched = '"between"' in player.proto.json
    assert any("hatched, those in between" in caption.value for caption in page.caption) == has_hatched
    assert len(json.loads(player.proto.json)["frames"]) == num_steps(ALL[name]) == len(page.dataframe[0].value)
    cells = [table.value for table in page.dataframe[1:] if "before" in table.value]
    assert [len(table) for table in cells] == ([] if "no_memory" in name else [num_steps(ALL[name])])
    for table in page.dataframe[1 + len(cells):]:
        assert table.value["mean"].between(0, 1).all()
        assert (table.value["nearly open"] + table.value["nearly shut"] <= table.value["units"]).all()
