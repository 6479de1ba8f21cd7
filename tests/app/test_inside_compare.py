"""Before and after: pairs of maps on one scale."""

import numpy as np
import pytest

from echo_app.panels.inside import compare, states
from echo_app.panels.inside.look import Look
from echo_core.inspection.errors import errors
from tests.helpers.drawn_views import look_at, open_views
from tests.helpers.samples import small
from tests.helpers.shaded import cells, percent

LSTM = small(variant="encoder_decoder", units=5)


def test_two_moments_of_a_run_have_one_order_of_units_and_pairs_on_one_scale():
    before, after = look_at(LSTM, epoch=1), look_at(LSTM, epoch=9)
    maps, layers, is_one_order = compare.compared_maps((before, after), compare.names_of(before, after))
    assert is_one_order
    assert [layer.units for layer in layers] == [
        layer.units for layer in states.layers_of(after, states.order_of(after))]
    assert compare.names_of(before, after) == ("epoch 1", "epoch 9")
    for first, second, quantity in zip(maps[::2], maps[1::2], states.quantities(before), strict=True):
        assert (first.low, first.high) == (second.low, second.high)
        assert list(first.layers) == list(second.layers) == [0, 1]
        np.testing.assert_array_equal(first.values[0], states.rows_of(quantity, layers)[0])


def test_two_runs_have_layers_of_their_own_and_the_quantities_that_both_have():
    lstm, gru = look_at(LSTM), look_at(small(cell="gru", units=3), window=np.array([1, 2, 3]))
    maps, layers, is_one_order = compare.compared_maps((gru, lstm), ("A", "B"))
    assert not is_one_order
    assert [(layer.name, len(layer.units)) for layer in layers] == [("GRU", 3), ("encoder", 5), ("decoder", 5)]
    assert [(each.title, list(each.layers)) for each in maps] == [
        ("Hidden state h, A", [0]), ("Hidden state h, B", [1, 2])]
    assert [values.shape for each in maps for values in each.values] == [(3, 3), (5, 3), (5, 2)]


@pytest.mark.parametrize("other", [
    look_at(LSTM, epoch=0), look_at(small(variant="no_memory")), look_at(small(cell="gru"))],
    ids=["another moment", "a run without a state", "another run"])
def test_answers_and_accuracies_of_both_are_drawn(other: Look, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compare, "pick_other", lambda look: other)
    look = look_at(LSTM, epoch=9)
    page = open_views(look, "compare")
    assert len([html for html in page.get("html") if "<ul" in html.proto.body]) == 2
    shown, = (cells(html.proto.body) for html in page.get("html") if "Answers right by place" in html.proto.body)
    for row, each in zip(shown, (other, look), strict=True):
        table = errors(each.config, each.weights)
        assert row[1:1 + len(table)] == [percent(share) for share in table.accuracy]


def test_nothing_is_drawn_before_another_moment_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compare, "pick_other", lambda look: None)
    assert not open_views(look_at(LSTM), "compare").get("html")


def test_a_network_that_diverged_is_named_and_not_drawn(monkeypatch: pytest.MonkeyPatch):
    diverged = look_at(LSTM, [np.full_like(weight, np.nan) for weight in look_at(LSTM).weights])
    monkeypatch.setattr(compare, "pick_other", lambda look: diverged)
    page = open_views(look_at(LSTM), "compare")
    assert "no finite numbers" in page.info[0].value
