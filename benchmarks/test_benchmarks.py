"""The benchmarks measure what they say, and the tutorial's port is the tutorial's."""

import asyncio
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from benchmarks import bench, crowd, peers
from benchmarks.measure import (
    AXES,
    LARGE,
    NETWORKS,
    PEERS,
    SETTINGS,
    Cost,
    Measure,
    clocked,
    measure,
    measure_cost,
    on_axis,
)
from benchmarks.peers import Trained, echo_lab, tutorial
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.config.sizes import flops_per_window
from echo_core.data import one_hot_decode
from echo_core.models import first_weights
from tests.helpers.server import serve

TINY = RunConfig(units=4, vocab_size=10, epochs=40)


@pytest.mark.parametrize(("preset", "parameters"), [("whole", 11_780), ("partial", 346_300)])
def test_ported_models_have_the_tutorials_parameters(preset, parameters):
    assert tutorial.build(PRESETS[preset].config).count_params() == parameters


def test_ported_data_is_21_windows_and_their_echoes():
    windows, echoes = tutorial.get_data(PRESETS["partial"].config)
    assert windows.shape == (21, 5, 100)
    assert echoes.shape == (21, 2, 100)
    read = np.array(one_hot_decode(windows))
    np.testing.assert_array_equal(read[:, :2], one_hot_decode(echoes))
    np.testing.assert_array_equal(read[1:, :-1], read[:-1, 1:])


def test_a_peer_measures_a_tiny_network_and_judges_it():
    measured = measure("ours", TINY)
    assert min(measured.first_seconds, measured.warm_seconds, measured.epoch_milliseconds) > 0
    assert measured.window_accuracy < 0.5
    assert (measured.right_seconds, measured.matrix_gflops) == (None, None)


@pytest.mark.parametrize("peer", [tutorial, echo_lab])
def test_a_peer_tells_of_its_training_until_the_end(peer):
    moments = list(peer.train(TINY.model_copy(update={"epochs": 6}), 3))
    assert moments[-1].epoch == 6


def test_what_the_listener_does_is_not_on_the_clock_and_the_slow_are_extrapolated(monkeypatch):
    def train(config, chunk):
        for epoch in range(chunk, config.epochs + 1, chunk):
            time.sleep(0.01)
            yield Trained(epoch)

    moments = clocked(train, TINY, 10)
    seconds = [seconds for seconds, _ in moments if time.sleep(0.1) is None]
    assert 0.04 <= seconds[-1] < 0.5
    monkeypatch.setattr(tutorial, "train", train)
    measured = measure("tutorial", TINY.model_copy(update={"epochs": 3000}))
    assert 20 * 0.01 <= measured.warm_seconds < 10 * 20 * 0.01
    assert measured.right_seconds is None


@pytest.mark.parametrize("config", [PRESETS["quick"].config, PRESETS["attention_20"].config, PRESETS["padded"].config,
                                    *(PRESETS["quick"].config.model_copy(update={"cell": cell})
                                      for cell in ("gru", "simple_rnn"))],
                         ids=lambda config: f"{config.variant}-{config.cell}")
def test_first_weights_of_peers_without_keras_are_of_the_same_kind(config):
    for ours, keras in zip(peers.first_weights(config), first_weights(config), strict=True):
        assert (ours.shape, ours.dtype) == (keras.shape, keras.dtype)
        assert ours.mean() == pytest.approx(keras.mean(), abs=0.01)
        assert ours.std() == pytest.approx(keras.std(), rel=0.05, abs=0.001)
    recurrent = peers.first_weights(config)[1]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(config.units), atol=1e-5)


def test_the_large_setting_is_as_large_as_it_says():
    assert (LARGE.input_length, LARGE.output_length, LARGE.units, LARGE.num_windows) == (50, 25, 512, 256)
    assert LARGE.updates_per_epoch == 1
    # Twice the multiplications: 75 recurrent steps, one context and 25 readouts of a window.
    assert flops_per_window(LARGE) == 2 * (75 * 512 * 2048 + 512 * 2048 + 25 * 512 * 100)


def test_an_axis_changes_one_thing():
    for axis, values in AXES.items():
        configs = [on_axis(axis, value) for value in values]
        assert {config.num_windows for config in configs} == {21}
        assert [{"units": config.units, "timesteps": config.input_length, "vocabulary": config.vocab_size}[axis]
                for config in configs] == list(values)
        assert len({build.num_parameters for build in configs}) == (1 if axis == "timesteps" else len(values))


@pytest.mark.slow
def test_cost_of_a_network_is_measured_once_it_has_found_its_stride():
    cost = measure_cost("ours", "units=20")
    assert 0 < cost.epoch_milliseconds < 100
    assert 0 < cost.first_seconds < 100
    assert 100 < cost.peak_megabytes < 4000


def test_every_network_is_measured_with_each_peer_in_turn_and_jax_in_the_way_that_suits_it():
    taken = list(bench.turns(2, ["whole"], ["units=20", "timesteps=50"]))
    assert [name for number, name, what in taken if (number, what) == (1, "units=20")] == ["jax", "jax_loop", "ours"]
    assert [name for number, name, what in taken if (number, what) == (2, "timesteps=50")] == ["jax_loop", "ours"]
    assert {name for _, name, what in taken if what == "whole"} == {
        name for name, peer in PEERS.items() if "whole" in peer.settings}
    assert {NETWORKS[name].cell for name in ("gru", "simple_rnn")} == {"gru", "simple_rnn"}


def test_peers_do_settings_that_there_are():
    assert {setting for peer in PEERS.values() for setting in peer.settings} == set(SETTINGS)


def test_report_shows_medians_and_how_many_times_faster_they_are():
    measures = {
        ("whole", "tutorial"): [Measure(30, 28, 56), Measure(20, 18, 36), Measure(31, 29, 58)],
        ("whole", "jax"): [Measure(3, 0.5, 0.5)] * 3,
        ("whole", "ours"): [Measure(3, 0.5, 0.25, 0.4, 1.0), Measure(2, 0.4, 0.2, None, 0.99),
                            Measure(9, 0.9, 0.9, 0.6, 1.0)],
        ("large", "jax"): [Measure(9, 9, 1000, matrix_gflops=400)] * 3,
        ("large", "ours"): [Measure(9, 9, 500, matrix_gflops=320)] * 3,
    }
    costs = {("units=20", "jax"): [Cost(2, 4, 300), Cost(4, 4, 300)],
             ("units=20", "jax_loop"): [Cost(5, 2, 200), Cost(3, 2, 200)],
             ("units=20", "ours"): [Cost(1, 3, 900), Cost(1.5, 3, 900)]}
    page = list(bench.report(measures, costs, others=0.04))
    assert "- Other work took 4% of the processor meanwhile" in page
    assert "| tutorial: one `fit` an epoch | 56.00 | 112.00 | 30.00 s |  | 28.00 s |  |  |  |" in page
    assert "| Echo Lab, nothing compiled | 0.25 | 0.50 | 3.00 s | 10 | 0.50 s | 56 | 0.50 s (2 of 3) | 99.0 % |" in page
    assert "| Echo Lab, nothing compiled | 500 | 0.50 | 249 | 78% of 320 | 62% |" in page
    assert "| units=20 | 0.50 | 0.50 to 0.50 | 1.25 | 3.00 | 3.0 | 2.0 | 1.50 | 900 | 200 | 2 |" in page
    assert any(line.startswith("\nLeft out, ") and "gru" in line and "units=20" not in line for line in page)


def test_report_warns_where_others_kept_the_machine_busy():
    begun, ended = bench.Busy(clock=0, all=10, ours=5), bench.Busy(clock=10, all=20, ours=6)
    others = ended.others_since(begun)
    assert others == pytest.approx(9 / (10 * (os.cpu_count() or 1)))
    assert any("too much to trust" in line for line in bench.report({}, {}, others=0.4))


def test_report_names_the_machine_but_neither_its_host_nor_a_path():
    text = "\n".join(bench.machine())
    assert "cores" in text
    assert "keras" in text
    assert platform.node() not in text
    assert str(bench.ROOT) not in text


@pytest.mark.slow
def test_a_peer_that_keeps_programs_finds_them_in_the_next_process(tmp_path):
    first, second = (bench.measure_apart("ours_cached", "whole", tmp_path)["first_seconds"] for _ in range(2))
    assert list(tmp_path.glob("whole/*/*.pb")), "no program was kept"
    assert max(first, second) < bench.measure_apart("ours", "whole")["first_seconds"]


@pytest.mark.slow
def test_a_crowd_acts_and_looks_without_an_error(tmp_path):
    with serve(tmp_path) as server, ThreadPoolExecutor() as thread:  # Playwright has a loop in this one
        figures = thread.submit(lambda: asyncio.run(crowd.visit(server, sessions=3, seconds=4.0))).result()
        assert figures.errors == []
        assert len(figures.acts) >= 3
        assert len(figures.polls) >= 6
        assert server.trouble() == []
