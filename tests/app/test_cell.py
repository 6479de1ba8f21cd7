"""The picture of a recurrent cell: its numbers against the equations of LSTM and GRU, and where its parts are."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from echo_app.charts.cell import cell_note, cell_pictures, cell_values, number, percent
from echo_app.charts.network import LARGE, has_decoder, network_picture, num_steps
from echo_app.charts.network_words import asked_places, example, names
from echo_app.charts.steps import frames
from echo_app.panels.inside.look import UNIT
from echo_app.panels.inside.steps import by_change
from echo_core.config import RunConfig
from echo_core.inspection.inside import Inside, look_inside
from echo_core.records import Ints
from tests.helpers.samples import ALL, small
from tests.helpers.weights import random_weights, some_windows


def drawn(config: RunConfig, unit: int | None = None, window: Ints | None = None) -> tuple[list[dict], Inside]:
    """What the picture of the cell shows at each step, and what the network computes."""
    read = example(config)[0] if window is None else window
    picture = network_picture(config, names(config, read), ["?"] * config.output_length, asked_places(config), LARGE)
    inside = look_inside(config, random_weights(config), read[None])
    return [frame["cell"] for frame in frames(config, picture, names(config, read), None, inside, unit)], inside


def texts(cell: dict) -> dict[str, str]:
    return {name: change["text"] for name, change in cell["changes"].items()}


def timesteps(inside: Inside) -> list[tuple[int, int]]:
    """The layer and timestep of each step."""
    return [(layer, t) for layer, each in enumerate(inside.layers) for t in range(each.hidden.shape[1])]


@pytest.mark.parametrize("variant", ["encoder_decoder", "padded", "one_to_one"])
def test_a_unit_of_an_lstm_is_drawn_as_the_equations_have_it(variant: str):
    config, unit = small(variant=variant, units=5), 3
    cells, inside = drawn(config, unit)
    for cell, (number_of_layer, t) in zip(cells, timesteps(inside), strict=True):
        layer, at = inside.layers[number_of_layer], (0, t, unit - 1)
        i, f, o = (layer.gates[name][at] for name in ("input", "forget", "output"))
        g, before = layer.candidate[at], layer.cell[0, t - 1, unit - 1] if t else 0.0
        c = f * before + i * g
        shown = texts(cell)
        assert shown["before"] == number(before)
        assert shown["forget"] == (f"keeps {percent(f)}" if t else f"{percent(f)} open")  # at first it keeps nothing
        assert shown["kept"] == f"kept {number(f * before)}"
        assert shown["input"] == f"lets in {percent(i)}"
        assert shown["candidate"] == number(g)
        assert shown["new"] == f"new {number(i * g)}"
        assert shown["after"] == number(c)
        assert shown["squashed"] == number(np.tanh(c))
        assert shown["output"] == f"shows {percent(o)}"
        assert shown["hidden"] == number(o * np.tanh(c))
        assert shown["h"] == f"h before {number(layer.hidden[0, t - 1, unit - 1] if t else 0.0)}"
        for gate, level in (("forget", f), ("input", i), ("output", o)):
            assert cell["changes"][gate]["levels"] == [pytest.approx(level, abs=1e-3)]
        assert f"unit {unit} of 5" in cell["summary"]
        assert f"Forget gate: {shown['forget']}." in cell["summary"]


@pytest.mark.parametrize("variant", ["encoder_decoder", "padded"])
def test_a_unit_of_a_gru_is_drawn_as_the_equations_have_it(variant: str):
    config, unit = small(variant=variant, cell="gru", units=5), 2
    cells, inside = drawn(config, unit)
    for cell, (number_of_layer, t) in zip(cells, timesteps(inside), strict=True):
        layer, at = inside.layers[number_of_layer], (0, t, unit - 1)
        z, r, n = layer.gates["update"][at], layer.gates["reset"][at], layer.candidate[at]
        before = layer.hidden[0, t - 1, unit - 1] if t else 0.0
        shown = texts(cell)
        assert shown["update"] == (f"keeps {percent(z)}" if t else f"{percent(z)} open")
        assert shown["rest"] == f"lets in {percent(1 - z)}"
        assert shown["reset"] == (f"looks at {percent(r)}" if t else f"{percent(r)} open")
        assert shown["kept"] == f"kept {number(z * before)}"
        assert shown["new"] == f"new {number((1 - z) * n)}"
        assert shown["after"] == number(z * before + (1 - z) * n)


def test_without_a_chosen_unit_gates_are_means_and_states_mean_sizes():
    config = small(variant="encoder_decoder", units=7)
    cells, inside = drawn(config)
    layer, shown = inside.layers[0], texts(cells[1])
    assert shown["forget"] == f"keeps {percent(layer.gates['forget'][0, 1].mean())}"
    assert shown["before"] == number(np.abs(layer.cell[0, 0]).mean())
    assert shown["after"] == number(np.abs(layer.cell[0, 1]).mean())
    assert "means over 7 units" in shown["title"]
    assert "mean sizes" in cell_note(config, None)
    assert "mean sizes" not in cell_note(config, 1)
    assert abs(len(cell_note(config, None)) - len(cell_note(config, 1))) < 5  # so the buttons below stay where they are


def test_at_a_gap_no_gate_acts_and_the_memory_stays():
    config = small(variant="encoder_decoder", missing="mask")
    cells, _ = drawn(config, 1, np.array([3, config.vocab_size, 5]))
    shown = texts(cells[1])
    assert shown["reads"] == "reads a gap"
    assert {shown[gate] for gate in ("forget", "input", "output")} == {"no gate at a gap"}
    assert shown["after"] == shown["before"] == texts(cells[0])["after"]
    assert (shown["kept"], shown["new"]) == ("", "")


@pytest.mark.parametrize("config", ALL.values(), ids=ALL)
def test_every_cell_has_a_picture_with_a_place_for_all_that_is_told(config: RunConfig):
    cells, inside = drawn(config)
    assert len(cells) == num_steps(config)
    if not inside.layers:
        assert set(map(type, cells)) == {type(None)}
        return
    for picture in cell_pictures(config).values():
        parts = {part.id for part in (*picture.nodes, *picture.labels)}
        filled = {node.id for node in picture.nodes if not node.text} | {"title"}
        for cell in cells:
            assert filled <= cell["changes"].keys()
            assert cell["changes"].keys() - parts <= {"h"}
    reads = [texts(cell)["reads"] for cell in cells]
    assert (reads[-1] == "reads context") == has_decoder(config)


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
@pytest.mark.parametrize("place", ["wide", "tall"])
def test_no_part_of_the_picture_covers_another_or_leaves_it(place: str, cell: str):
    picture = cell_pictures(small(variant="padded", cell=cell))[place]
    for node in picture.nodes:
        assert node.width / 2 <= node.x <= picture.width - node.width / 2
        assert node.height / 2 <= node.y <= picture.height - node.height / 2
    for one, other in combinations(picture.nodes, 2):
        assert (abs(one.x - other.x) >= (one.width + other.width) / 2 + 3
                or abs(one.y - other.y) >= (one.height + other.height) / 2 + 3), (one.id, other.id)
    assert picture.width <= (600 if place == "wide" else 340)


def test_a_simple_rnn_has_no_gates_and_says_so():
    config = small(variant="padded", cell="simple_rnn")
    cells, inside = drawn(config, 1)
    assert {node.kind for node in cell_pictures(config)["wide"].nodes} == {"held", "op", "reads"}
    assert "has no gates" in cell_note(config, 1)
    assert texts(cells[1])["after"] == number(inside.layers[0].hidden[0, 1, 0])


def test_a_layer_that_takes_one_step_has_nothing_to_keep():
    config = small(variant="one_to_one")
    assert "nothing to keep" in cell_note(config, None)
    assert "next timestep" not in cell_note(config, None)
    assert texts(drawn(config)[0][0])["before"] == "0.00"


def test_a_state_is_written_with_a_minus_and_never_as_minus_zero():
    assert [number(value) for value in (-0.251, -0.001, 0.0, 1.0, None)] == ["−0.25", "0.00", "0.00", "1.00", "none"]


def view(variant: str, unit: int | None) -> None:
    """A page with the view, and a cursor that another view has put on a unit."""
    from types import SimpleNamespace

    import streamlit as st

    from echo_app.panels.inside import steps
    from echo_app.panels.inside.look import UNIT, Look
    from tests.helpers.samples import small
    from tests.helpers.weights import random_weights, some_windows

    config = small(variant=variant, units=5)
    st.session_state.setdefault(UNIT, unit)
    run = SimpleNamespace(config=config, run_id=config.run_id, attempt=1)
    steps.draw(Look(run, SimpleNamespace(weights=random_weights(config), epoch=3), some_windows(config)[0]))


def table_of_cells(page: AppTest) -> dict[str, list]:
    return next(table.value for table in page.dataframe if "before" in table.value).to_dict("list")


def test_the_unit_of_the_cursor_is_drawn_and_can_be_chosen_here_too():
    page = AppTest.from_function(view, kwargs={"variant": "encoder_decoder", "unit": 4}, default_timeout=30).run()
    assert page.selectbox(key="inside_cell_unit").value == 4
    assert set(table_of_cells(page)["unit"]) == {4}
    page.selectbox(key="inside_cell_unit").set_value(2).run()
    assert page.session_state[UNIT] == 2
    config = small(variant="encoder_decoder", units=5)
    layer = look_inside(config, random_weights(config), some_windows(config)[:1]).layers[0]
    expected = cell_values(layer, 1, 2)
    assert {name: values[1] for name, values in table_of_cells(page).items() if name in expected} == expected
    page.selectbox(key="inside_cell_unit").set_value(0).run()
    assert page.session_state[UNIT] is None
    assert set(table_of_cells(page)["unit"]) == {"mean"}


def test_the_list_begins_with_the_units_whose_memory_changes_most_and_says_that_each_layer_has_them():
    config = small(variant="encoder_decoder", units=5)
    inside, changes = look_inside(config, random_weights(config), some_windows(config)[:1]), {}
    for unit in range(1, 6):
        memories = [[0.0, *layer.cell[0, :, unit - 1].tolist()] for layer in inside.layers]
        changes[unit] = sum(abs(new - old) for memory in memories for old, new in pairwise(memory))
    assert by_change(inside) == sorted(changes, key=lambda unit: -changes[unit])
    page = AppTest.from_function(view, kwargs={"variant": "encoder_decoder", "unit": None}, default_timeout=30).run()
    assert page.selectbox(key="inside_cell_unit").options == [
        "all units (mean)", *(f"unit {unit} of each layer" for unit in by_change(inside))]


def test_a_unit_that_this_network_does_not_have_gives_means():
    page = AppTest.from_function(view, kwargs={"variant": "padded", "unit": 6}, default_timeout=30).run()
    assert page.selectbox(key="inside_cell_unit").value == 0


def test_a_network_without_a_recurrent_layer_says_that_it_has_no_cell():
    page = AppTest.from_function(view, kwargs={"variant": "no_memory", "unit": None}, default_timeout=30).run()
    assert not page.exception
    assert not page.selectbox
    assert "no recurrent layer" in page.markdown[0].value
