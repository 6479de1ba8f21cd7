"""State and gates: the rows of the maps, the lines and the tables equal what the network computes."""

import re

import numpy as np
import pytest

from echo_app.charts import inside as pictures
from echo_app.charts.network import has_meters
from echo_app.components.heat_maps import Layer
from echo_app.panels.inside import states
from echo_app.panels.inside.look import inside, inspected
from echo_core.config import RunConfig
from echo_core.inspection.inside import look_inside
from tests.helpers.drawn_views import look_at, open_views, said
from tests.helpers.samples import small
from tests.helpers.shaded import cells, percent

LSTM = small(variant="encoder_decoder", units=5)
KINDS = [LSTM, small(cell="gru", variant="attention"), small(cell="simple_rnn"), small(variant="one_to_one"),
         small(task="pairs", variant="attention")]
each_kind = pytest.mark.parametrize("config", KINDS, ids=lambda config: f"{config.variant}-{config.cell}")


@each_kind
def test_each_row_of_a_map_is_the_unit_that_its_layer_names(config: RunConfig):
    look = look_at(config)
    layers = states.layers_of(look, states.order_of(look))
    computed = look_inside(config, look.weights, look.window[None]).layers
    for quantity in states.quantities(look):
        for rows, layer, truth in zip(states.rows_of(quantity, layers), layers, computed, strict=True):
            of = {"cell state c": truth.cell, "hidden state h": truth.hidden,
                  **{f"{gate} gate": values for gate, values in truth.gates.items()}}[quantity.name]
            assert rows.shape == (config.units, len(layer.steps))
            for row, unit in zip(rows, layer.units, strict=True):
                np.testing.assert_array_equal(row, of[0, :, unit - 1])


@each_kind
def test_units_are_drawn_in_the_order_of_the_table_with_the_best_carriers_of_a_position_together(config: RunConfig):
    look = look_at(config)
    table = inspected(look, "units")
    table = table[table.state == ("c" if config.cell == "lstm" else "h")]
    for layer, (_, order) in zip(states.layers_of(look, states.order_of(look)), table.groupby("layer", sort=False),
                                 strict=True):
        assert sorted(layer.units) == list(range(1, config.units + 1))
        assert layer.units == order.unit.tolist()
        positions = [position for position, count in layer.groups for _ in range(count)]
        assert positions == order.position.tolist() == sorted(positions)


def test_a_network_too_large_to_sort_at_once_has_its_units_in_the_order_of_their_numbers():
    large = small(variant="encoder_decoder", units=700, input_length=40, output_length=20, sequence_length=60)
    look = look_at(large)
    for layer in states.layers_of(look, states.order_of(look)):
        assert layer.units == list(range(1, 701))
        assert not layer.groups
        assert not any(layer.notes)


def test_timesteps_count_on_from_the_encoder_to_the_decoder_and_say_what_is_read():
    look = look_at(LSTM, window=np.array([4, 0, 2]))
    encoder, decoder = states.layers_of(look, states.order_of(look))
    assert (encoder.first, list(encoder.ticks), encoder.steps[1]) == (1, ["4", "0", "2"], "reads 0")
    assert (decoder.first, list(decoder.ticks)) == (4, ["y1", "y2"])


def test_h_and_c_and_each_gate_have_a_map_of_their_own():
    assert [each.name for each in states.quantities(look_at(LSTM))] == [
        "cell state c", "hidden state h", "forget gate", "input gate", "output gate"]
    assert [each.name for each in states.quantities(look_at(small(cell="gru")))] == [
        "hidden state h", "update gate", "reset gate"]
    assert [each.name for each in states.quantities(look_at(small(cell="simple_rnn")))] == ["hidden state h"]


def test_a_scale_of_a_state_is_centred_on_zero_and_holds_all_values_of_all_networks():
    weak, strong = (look_at(LSTM, [scale * weight for weight in look_at(LSTM).weights]) for scale in (0.1, 4.0))
    for first, second in zip(states.quantities(weak), states.quantities(strong), strict=True):
        low, high = states.scale_of(first, second)
        assert (low, high) == states.scale_of(second, first)
        if first.is_gate:
            assert (low, high) == (0, 1)
        else:
            assert low == -high
            assert high >= max(abs(values).max() for values in (*first.values, *second.values))
            assert high >= states.scale_of(first)[1]


def test_the_first_lines_are_of_units_that_move_as_their_number_is_read_and_then_stay():
    layer = Layer("encoder", 1, ["", "", ""], [], [4, 3, 2, 1], [(1, 2), (2, 1), (3, 1)], ["", "", "", ""])
    drifts, stays, late, last = [0.5, 1.0, 1.5], [0.4, 0.4, 0.45], [0.0, 0.9, 0.8], [0.0, 0.0, 5.0]
    state = np.array([last, late, stays, drifts]).T  # units 1 to 4
    assert states.remembering_units(state, layer) == [2, 3, 4, 1]
    unsorted = Layer("encoder", 1, ["", "", ""], [], [1, 2, 3, 4])
    assert states.remembering_units(state, unsorted) == [1, 2, 3, 4]


def test_lines_cover_the_timesteps_of_the_units_that_are_picked():
    spec = pictures.unit_lines(("decoder 1",), "Cell state c", -1, 1, (4, 5))
    assert spec["encoding"]["x"]["scale"]["domain"] == [4, 5]


def test_lines_are_the_values_of_the_picked_units():
    look = look_at(LSTM)
    layers = states.layers_of(look, states.order_of(look))
    quantity = states.quantities(look)[0]
    table = states.line_table(quantity, layers, ["encoder 2", "decoder 5"])
    encoder, decoder = inside(look).layers
    np.testing.assert_array_equal(table[table.unit == "encoder 2"].value, encoder.cell[0, :, 1])
    np.testing.assert_array_equal(table[table.unit == "decoder 5"].value, decoder.cell[0, :, 4])
    assert table[table.unit == "decoder 5"].timestep.tolist() == [4, 5]
    assert states.line_table(quantity, layers, []).empty


def test_the_table_behind_the_maps_has_their_rows():
    look = look_at(LSTM)
    layers, quantities = states.layers_of(look, states.order_of(look)), states.quantities(look)
    table = states.value_table(quantities, layers)
    assert len(table) == len(quantities) * 2 * LSTM.units
    for quantity in quantities:
        for layer, rows in zip(layers, states.rows_of(quantity, layers), strict=True):
            part = table[(table.quantity == quantity.name) & (table.layer == layer.name)]
            assert part.unit.tolist() == layer.units
            np.testing.assert_array_equal(part[[f"t{layer.first + step}" for step in range(rows.shape[1])]], rows)


def test_the_picture_of_keeping_says_the_inspection_in_percent():
    table = inspected(look_at(LSTM), "keeping")
    shown = cells(pictures.kept(table, inspected(look_at(LSTM), "gates"), "encoder", "kept"))
    values = table[table.layer == "encoder"].set_index(["written", "timestep"]).kept
    for written, (label, *row) in enumerate(shown, 1):
        assert label.startswith(f"written at {written} (")
        assert row == ["" if step < written else percent(values[written, step]) for step in (1, 2, 3)]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_row_of_keeping_says_how_much_of_the_new_its_layer_let_in_when_it_wrote(cell: str):
    look = look_at(small(variant="encoder_decoder", cell=cell, units=5))
    gates = inspected(look, "gates")
    for layer, timesteps in (("encoder", 3), ("decoder", 2)):
        mean = gates[gates.layer == layer].set_index(["gate", "timestep"])["mean"]
        shares = [mean["input", t] if cell == "lstm" else 1 - mean["update", t] for t in range(1, timesteps + 1)]
        assert [row[0] for row in cells(pictures.kept(inspected(look, "keeping"), gates, layer, "kept"))] == [
            f"written at {t} ({int(100 * share)}\u00a0% let in)" for t, share in enumerate(shares, 1)]


def test_the_number_of_units_that_carry_each_number_best_is_said():
    few = Layer("encoder", 1, [""], [], range(1, 51), [(1, 49), (2, 1)])
    assert states.groups_in_words([few]) == "49 units number 1, 1 unit number 2"
    many = Layer("decoder", 2, [""], [], range(1, 9), [(k, 1) for k in range(1, 9)])
    assert states.groups_in_words([few, many]) == (
        "encoder: 49 units number 1, 1 unit number 2; decoder: 1 unit number 1, 1 unit number 2, 1 unit number 3, "
        "1 unit number 4, 1 unit number 5, 1 unit number 6, and so on")
    look = look_at(LSTM)
    layers = states.layers_of(look, states.order_of(look))
    assert states.groups_in_words(layers) in said(open_views(look, "states"))


def test_the_picture_of_gates_has_the_decoder_after_the_encoder():
    table = inspected(look_at(LSTM), "gates")
    shown = {row[0]: row[1:] for row in cells(pictures.gate_shares(table))}
    assert list(shown) == [f"{gate} gate {end}" for gate in ("input", "forget", "output") for end in ("open", "shut")]
    for gate in ("input", "forget", "output"):
        rows = table[table.gate == gate]  # encoder first
        for end in ("open", "shut"):
            assert shown[f"{gate} gate {end}"] == [percent(share) for share in rows[f"{end}_share"]]


def test_words_of_a_visitor_are_no_markup_in_a_shaded_table():
    html = pictures.shaded("<b>", "<i>", ["<u>"], [pictures.Row("<s>", [pictures.Share(0.5, '"<q>')], note="<q>")])
    assert not re.search(r"<[biusq]>", html)


def test_of_many_places_some_are_drawn_the_last_one_among_them_and_it_is_said():
    rows = [pictures.Row(f"row {row}", [pictures.Share(row / 60)] * 50) for row in range(1, 61)]
    html = pictures.shaded("Many", "", [f"column {place}" for place in range(1, 51)], rows)
    shown = cells(html)
    assert [row[0] for row in shown] == [f"row {row}" for row in range(3, 61, 3)]
    assert {len(row) for row in shown} == {1 + 17}
    assert re.findall(r"column (\d+)", html) == [str(place) for place in range(2, 51, 3)]
    assert "Many (one place in 3 is drawn)" in html


def test_almost_all_is_not_written_as_all():
    assert [cells(pictures.shaded("", "", [""], [pictures.Row("", [pictures.Share(value)])]))[0][1]
            for value in (1.0, 0.9999, 0.5, 0.4999, 0.29, 0.0)] == ["100", "99", "50", "49", "29", "0"]


@each_kind
def test_the_view_is_drawn_of_every_kind_of_network(config: RunConfig):
    words = said(open_views(look_at(config), "states"))
    assert "Single units over time" in words
    assert ("How long the forget gate keeps" in words) == (config.cell == "lstm")
    assert ("The orange bars of *Step by step* are another measure" in words) == has_meters(config)
    assert ("A simple RNN has no gates" in words) == (config.cell == "simple_rnn")


def test_a_network_without_a_state_says_so():
    page = open_views(look_at(small(variant="no_memory")), "states", "reading")
    assert [info.value[:40] for info in page.info] == 2 * ["This network has no recurrent layer, so "]


def test_the_kept_order_stays_while_moments_change():
    first, second = look_at(LSTM, epoch=1), look_at(LSTM, epoch=9)
    orders = [states.order_of(look).unit.tolist() for look in (first, second)]
    assert orders[0] != orders[1]
    assert [layer.units for layer in states.layers_of(second, states.order_of(first))] == [
        orders[0][:LSTM.units], orders[0][LSTM.units:]]
