"""Probes: the states that they read, the regression, and the controls."""

import numpy as np
import pandas as pd
import pytest

from echo_core.config import RunConfig
from echo_core.inspection.inside import look_inside
from echo_core.inspection.probing import fit_and_score, probe, probe_steps, states_while_reading
from tests.helpers.samples import small
from tests.helpers.weights import random_weights, some_windows

COLUMNS = ["state", "probe", "control", "timestep", "position", "accuracy", "low", "high", "n"]


@pytest.mark.parametrize("config", [
    small(variant="encoder_decoder"), small(variant="attention", cell="gru", missing="mask"),
    small(variant="many_to_one", cell="simple_rnn"), small(variant="encoder_decoder", representation="linear"),
    small(variant="padded"), small(variant="one_to_one"), small(task="pairs", variant="encoder_decoder"),
    small(task="lag", stateful=True), small(missing="mask")],
    ids=lambda c: f"{c.task}-{c.variant}-{c.cell}-{c.representation}-{c.missing}")
def test_states_one_timestep_at_a_time_are_those_of_the_whole_forward_pass(config: RunConfig):
    weights, windows = random_weights(config), some_windows(config)
    layer = look_inside(config, weights, windows).layers[0]
    found = list(states_while_reading(config, weights, windows))
    assert len(found) == layer.hidden.shape[1]
    for t, states in enumerate(found):
        np.testing.assert_allclose(states["h"], layer.hidden[:, t], atol=1e-6)
        if config.cell == "lstm":
            np.testing.assert_allclose(states["c"], layer.cell[:, t], atol=1e-6)
            np.testing.assert_array_equal(states["hc"], np.concatenate([states["h"], states["c"]], axis=-1))
        else:
            assert states.keys() == {"h"}


def score(states: np.ndarray, labels: np.ndarray, kind: str) -> float:
    """The accuracy of a probe fitted to the first half of some states and scored on the other."""
    half = len(states) // 2
    both = labels[:half, None], labels[half:, None]
    ((_, _, accuracy),) = fit_and_score(states[:half], states[half:], kind, {"none": both}, [0], seed=0)
    return accuracy


def test_a_linear_probe_reads_the_nearest_mean_by_the_covariance_within_labels():
    rng = np.random.default_rng(0)
    states, labels = rng.normal(size=(400, 6)).astype("f"), rng.integers(5, size=400)
    states[np.arange(400), labels] += 1.5
    first, second, known = states[:200].astype(float), states[200:].astype(float), labels[:200]
    means = np.array([first[known == label].mean(axis=0) for label in range(5)])
    within = sum(np.outer(row - means[label], row - means[label]) for row, label in zip(first, known, strict=True))
    nearest = [min(range(5), key=lambda label: (row - means[label]) @ np.linalg.inv(within) @ (row - means[label]))
               for row in second]
    expected = (np.array(nearest) == labels[200:]).mean()
    assert score(states, labels, "linear") == pytest.approx(expected, abs=0.011)  # it adds a little to variances
    assert 0.4 < expected < 0.9


def test_a_number_stored_by_size_in_either_direction_is_read_by_the_nonlinear_probe_alone():
    rng = np.random.default_rng(1)
    labels, direction, sign = rng.integers(8, size=4000), rng.normal(size=16), rng.choice([-1, 1], size=(4000, 1))
    states = (sign * (labels[:, None] + 1) * direction + rng.normal(scale=0.05, size=(4000, 16))).astype("f")
    assert score(states, labels, "linear") < 0.3
    assert score(states, labels, "nonlinear") > 0.9


def test_labels_that_do_not_occur_while_fitting_are_never_read():
    labels = np.array([3, 9] * 50 + [3, 7] * 50)
    states = (labels[:, None] == [3, 9]).astype("f")
    assert score(states, labels, "linear") == 0.5  # every 3 is right, no 7 is


def memorising() -> tuple[RunConfig, list[np.ndarray]]:
    """A network whose encoder holds the newest number and nothing else."""
    config = small(variant="encoder_decoder", cell="simple_rnn", vocab_size=4)
    weights = random_weights(config)
    weights[0], weights[1], weights[2] = 2 * np.eye(4, dtype="f"), np.zeros((4, 4), "f"), np.zeros(4, "f")
    return config, weights


def test_a_probe_reads_what_the_state_holds_and_nothing_else():
    config, weights = memorising()
    table = probe(config, weights, sequences=400, seed=1)
    assert list(table.columns) == COLUMNS
    assert (table.n == 400).all()
    assert ((table.low <= table.accuracy) & (table.accuracy <= table.high)).all()
    assert set(table.state) == {"h"}
    real = table[table.control == "none"]
    newest = real.timestep == real.position
    assert (real.accuracy[newest] == 1).all()
    assert (real.accuracy[~newest] < 0.4).all()
    assert sorted(set(zip(real.timestep, real.position, strict=True))) == [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2),
                                                                           (3, 3)]


def test_shuffled_labels_are_read_at_chance_and_the_untrained_network_is_a_control():
    config, weights = memorising()
    table = probe(config, weights, sequences=1000, seed=1, untrained=[np.zeros_like(weight) for weight in weights])
    assert set(table.control) == {"none", "shuffled", "untrained"}
    spread = 4 * np.sqrt(0.25 * 0.75 / 1000)
    for control in ("shuffled", "untrained"):
        assert (table[table.control == control].accuracy - 0.25).abs().max() < spread


def test_other_seeds_take_other_sequences_and_the_same_seed_the_same():
    config, weights = small(variant="encoder_decoder"), random_weights(small(variant="encoder_decoder"))
    one, again, other = (pd.DataFrame(rows for step in probe_steps(
        config, weights, 60, seed, states=("h",), probes=("linear",)) for rows in step) for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)


def test_a_probe_can_be_had_step_by_step_and_of_a_part():
    config = small(variant="encoder_decoder")
    steps = list(probe_steps(config, random_weights(config), 50, states=("c",), probes=("linear",)))
    assert [len(rows) for rows in steps] == [2, 4, 6]  # as many positions as were read, and shuffled labels
    assert {(row["state"], row["probe"]) for rows in steps for row in rows} == {("c", "linear")}


def test_all_positions_are_read_in_one_step_where_the_network_reads_so():
    config = small(variant="one_to_one")
    table = probe(config, random_weights(config), sequences=50)
    assert set(zip(table.timestep, table.position, strict=True)) == {(1, 1), (1, 2), (1, 3)}


def test_a_network_without_recurrent_layers_cannot_be_probed():
    config = small(variant="no_memory")
    with pytest.raises(ValueError, match=r"^variant must have a recurrent layer to probe its state; received no_memo"):
        probe(config, random_weights(config))
