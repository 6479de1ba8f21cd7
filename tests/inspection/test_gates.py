"""Gates, how long they keep, and the order of units, against plain loops."""

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.inspection.gates import OPEN, SHUT, explained_by, gates, keeping, kept, order_of_units, units
from echo_core.inspection.inside import look_inside
from echo_core.inspection.interventions import with_pinned_gate
from echo_core.inspection.samples import Stream, random_windows, sample
from tests.helpers.samples import small
from tests.helpers.weights import random_weights


@pytest.mark.parametrize("config", [small(variant="encoder_decoder"), small(cell="gru"),
                                    small(task="pairs", variant="attention")], ids=lambda c: f"{c.variant}-{c.cell}")
def test_shares_of_shut_and_open_gates_equal_counting(config: RunConfig):
    weights = random_weights(config, scale=2.0)
    table = gates(config, weights, sequences=40, seed=3)
    assert list(table.columns) == ["layer", "gate", "timestep", "mean", "shut_share", "open_share"]
    layers = look_inside(config, weights, sample(config, 40, stream=Stream.GATES, seed=3).windows).layers
    by_name = {layer.name: layer for layer in layers}
    assert len(table) == sum(len(layer.gates) * layer.hidden.shape[1] for layer in layers)
    for row in table.itertuples():
        values = by_name[row.layer].gates[row.gate][:, row.timestep - 1]
        values = values[~np.isnan(values)]  # no gate acts at a gap
        assert row.mean == pytest.approx(float(values.mean()), abs=1e-6)
        assert row.shut_share == pytest.approx((values < SHUT).mean())
        assert row.open_share == pytest.approx((values > OPEN).mean())


def test_what_is_kept_is_the_product_of_the_gates_after_the_timestep_of_writing():
    gate = np.random.default_rng(0).uniform(size=(3, 5, 2)).astype("f")
    left = kept(gate, 1)
    assert left.shape == (3, 4, 2)
    for t in range(1, 5):
        product = np.ones((3, 2))
        for later in range(2, t + 1):
            product *= gate[:, later]
        np.testing.assert_allclose(left[:, t - 1], product, rtol=1e-6)


def test_a_gap_keeps_everything():
    gate = np.array([[[0.5], [np.nan], [0.25]]], "f")
    np.testing.assert_array_equal(kept(gate, 0)[0, :, 0], [1, 1, 0.25])


def test_the_table_of_keeping_has_the_mean_of_all_units_and_of_the_tenth_that_keeps_most():
    config = small(variant="encoder_decoder", units=11)
    weights = random_weights(config)
    table = keeping(config, weights, sequences=30, seed=3).set_index(["layer", "written", "timestep"])
    encoder, _ = look_inside(config, weights, random_windows(config, 30, Stream.GATES, 3)).layers
    left = kept(encoder.gates["forget"], 0)
    for t in range(3):
        row = table.loc["encoder", 1, t + 1]
        assert row.kept == pytest.approx(left[:, t].mean())
        assert row.kept_by_a_tenth == pytest.approx(np.sort(left[:, t].mean(axis=0))[-2:].mean())
        assert row.low <= row.kept <= row.high
    assert len(table) == 6 + 3


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "forget"), ("gru", "update")])
def test_a_gate_pinned_open_keeps_everything_and_one_pinned_shut_nothing(cell: str, gate: str):
    config = small(cell=cell)
    for is_open in (False, True):
        table = keeping(config, with_pinned_gate(config, random_weights(config), 0, gate, is_open), sequences=5)
        later = table[table.timestep > table.written]
        assert (later[["kept", "kept_by_a_tenth"]] == float(is_open)).all(axis=None)


@pytest.mark.parametrize("inspection", [gates, keeping])
def test_what_has_no_gates_is_refused(inspection):
    config = small(cell="simple_rnn")
    with pytest.raises(ValueError, match=r"^cell must be lstm or gru to have gates; received simple_rnn\.$"):
        inspection(config, random_weights(config))
    config = small(variant="no_memory")
    with pytest.raises(ValueError, match=r"^variant must have a recurrent layer to have gates; received no_memory\.$"):
        inspection(config, random_weights(config))


# --- the order of units ----------------------------------------------------------------------------


def epsilon_squared(values: np.ndarray, numbers: np.ndarray) -> float:
    """By the F of a one-way analysis of variance, group by group."""
    groups = [values[numbers == number] for number in np.unique(numbers)]
    between = sum(len(group) * (group.mean() - values.mean()) ** 2 for group in groups) / (len(groups) - 1)
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / (len(values) - len(groups))
    f, free = between / within, len(groups) - 1
    return free * (f - 1) / (free * f + len(values) - len(groups))


def test_the_variance_explained_is_epsilon_squared_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    windows = rng.integers(6, size=(200, 3))
    values = rng.normal(size=(200, 4)).astype("f")
    values[:, 0] += windows[:, 1]
    values[:, 2] += 0.5 * (windows[:, 2] == 4)
    found = explained_by(values, windows)
    expected = [[max(0.0, epsilon_squared(values[:, unit].astype(float), numbers)) for numbers in windows.T]
                for unit in range(4)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_units_are_in_the_order_of_positions_and_the_best_come_first():
    explained = np.array([[0.1, 0.9], [0.3, 0.2], [0.8, 0.0], [0.0, 0.4]])
    assert order_of_units(explained).tolist() == [2, 1, 0, 3]


def test_the_order_finds_what_each_unit_carries_and_holds_on_sequences_it_has_not_seen():
    config = small(variant="encoder_decoder", cell="simple_rnn", vocab_size=4, units=12)
    shift = np.zeros((12, 12), "f")
    shift[np.arange(8), np.arange(4, 12)] = 1  # units 5 to 12 hold what the four before them held a step earlier
    kernel = np.concatenate([np.eye(4), np.zeros((4, 8))], axis=1).astype("f")
    weights = [kernel, shift, np.zeros(12, "f"), *random_weights(config)[3:]]
    table = units(config, weights, sequences=400, seed=1)
    assert list(table.columns) == ["layer", "state", "unit", "position", "explained", "unseen"]
    encoder = table[table.layer == "encoder"]
    assert encoder.position.tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert set(encoder.unit[:4]) == {9, 10, 11, 12}
    assert set(encoder.unit[8:]) == {1, 2, 3, 4}
    assert encoder[["explained", "unseen"]].min(axis=None) > 0.99


def test_units_of_an_untrained_network_that_carry_nothing_explain_nothing():
    config = small(variant="encoder_decoder")
    table = units(config, [np.zeros_like(weight) for weight in random_weights(config)], sequences=100)
    assert (table[["explained", "unseen"]] == 0).all(axis=None)
    assert set(table.state) == {"h", "c"}


def test_a_large_vocabulary_is_sampled_so_that_each_symbol_occurs_often_enough():
    config = small(variant="encoder_decoder", cell="simple_rnn", vocab_size=5000, units=2)
    weights = random_weights(config)
    weights[1][:] = 0  # the state holds the newest number alone
    table = units(config, weights, sequences=1000)
    encoder = table[table.layer == "encoder"]
    assert encoder.position.tolist() == [3, 3]
    assert encoder.unseen.min() > 0.99
