"""Forecasts: how long runs take before they begin, while they wait, and while they train."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest

from echo_core import forecast
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.forecast import Expected
from echo_core.records import Checkpoint, Evaluation, Progress
from echo_core.store import Store
from tests.helpers.samples import progress

CONFIG = RunConfig(variant="encoder_decoder", output_length=2, batch_size=21)
LONGER = CONFIG.extended(2 * CONFIG.epochs)


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'runs.db'}")
    yield opened
    opened.close()


def finish(store: Store, config: RunConfig, training: float, start: float = 0.1) -> None:
    """Put a finished run into the store whose epochs took so many seconds, after those of its start."""
    checkpoint = Checkpoint(config.epochs, 1, (np.zeros(1, np.float32),))
    ticket = store.queue.take(config, worker="test")
    store.attempts.start(ticket, threads=1)
    for epoch in (0, 1, config.epochs):
        seconds = start / 2 if epoch == 0 else start + training * epoch / config.epochs
        store.attempts.append(ticket, Progress(epoch, 0.1, 1.0, seconds, (), checkpoint))
    store.attempts.finish(ticket, checkpoint, Evaluation(1.0, 1.0, 2016, (1.0, 1.0)))


def test_speed_is_that_of_the_newest_records():
    assert forecast.speed([(0, 0.1), (1, 2.0), (101, 3.0), (1101, 6.0)]) == pytest.approx(1000 / 3)


def test_speed_is_unknown_before_two_trained_records():
    assert math.isnan(forecast.speed([(0, 0.1)]))
    assert math.isnan(forecast.speed([(0, 0.1), (1, 0.2)]))


def test_speed_leaves_out_a_record_in_which_a_program_was_compiled():
    steady = [(100 * k, 0.25 * k) for k in range(1, 9)]
    compiled = [(epoch + 1, seconds + 5) for epoch, seconds in steady[4:]]
    assert forecast.speed([*steady[:4], *compiled]) == pytest.approx(400, rel=0.01)


def records(epochs: int, seconds_an_epoch: float, compiling: float, snapshot: float = 0.05) -> list[tuple[int, float]]:
    """Epoch and seconds of each record, as training makes them: one epoch at first, more after each, all of them with
    a snapshot in the beginning; the first waits for the program to be compiled."""
    due = sorted(set(np.geomspace(1, epochs, 60).round().astype(int).tolist()))
    made, now, chunk = [(0, 0.1)], 0.1, 1
    while made[-1][0] < epochs:
        epoch = made[-1][0]
        next_due = next(each for each in due if each > epoch)
        step = min(chunk, next_due - epoch)
        took = step * seconds_an_epoch + (compiling if epoch == 0 else 0)
        now += took + (snapshot if epoch + step == next_due else 0)
        made.append((epoch + step, now))
        chunk = max(1, int(min(step * 0.25 / took, 4 * step + 4)))
    return made


def lefts(made: list[tuple[int, float]], expected: Expected) -> list[float]:
    """The seconds left that a page shows after each record."""
    epochs = made[-1][0]
    return [forecast.time_left(epoch, epochs, made[max(0, k - 59):k + 1], expected)
            for k, (epoch, _) in enumerate(made)]


@pytest.mark.parametrize("compiling", [0.0, 3.0, 40.0])
@pytest.mark.parametrize(("epochs", "seconds_an_epoch"), [
    (500, 0.001), (5000, 0.0015), (5000, 0.02), (100_000, 0.01), (60, 10.0), (300, 1.0)])
def test_time_left_begins_with_the_forecast_and_never_rises_by_a_jump(epochs, seconds_an_epoch, compiling):
    made = records(epochs, seconds_an_epoch, compiling)
    expected = Expected(1.5, epochs * seconds_an_epoch)
    shown = lefts(made, expected)
    assert shown[0] == pytest.approx(expected.seconds - 0.1)
    assert shown[1] == pytest.approx(expected.training, rel=0.7)
    assert all(left <= 1.1 * before + 0.2 for before, left in pairwise(shown))
    true = [made[-1][1] - seconds for _, seconds in made]
    half = next(k for k, (epoch, _) in enumerate(made) if epoch >= epochs / 2)
    assert shown[half] == pytest.approx(true[half], rel=0.3, abs=0.5)
    assert shown[-1] == 0


@pytest.mark.parametrize("wrong_by", [0.1, 0.25, 4.0, 10.0])
def test_time_left_moves_smoothly_to_the_measured_pace_where_the_forecast_was_wrong(wrong_by: float):
    made = records(5000, 0.02, compiling=3.0)
    shown = lefts(made, Expected(1.5, 100 * wrong_by))
    ratios = [left / before for before, left in pairwise(shown) if left]
    assert max(ratios) < 1.2
    true = [made[-1][1] - seconds for _, seconds in made]
    settled = next(k for k, (_, seconds) in enumerate(made) if seconds > 20)
    assert all(left == pytest.approx(truth, rel=0.15, abs=0.5)
               for left, truth in zip(shown[settled:], true[settled:], strict=True))


def test_time_left_is_steady_on_a_machine_that_others_use_too():
    chance = random.Random(4)
    made = [(0, 0.1), (1, 3.0)]
    while made[-1][0] < 6000:
        made.append((made[-1][0] + 25, made[-1][1] + 25 * 0.008 * chance.choice((0.5, 1.0, 1.0, 2.0))))
    shown = lefts(made, Expected(1.5, 10.0))  # a fifth of what it takes
    assert max(left / before for before, left in pairwise(shown) if left) < 1.15
    settled = [left for left, (_, seconds) in zip(shown, made, strict=True) if seconds > 15]
    assert all(left <= before * 1.06 for before, left in pairwise(settled))


def test_time_left_does_not_jump_when_a_run_goes_on_and_is_compiled_again():
    made = [(100 * k, 0.25 * k) for k in range(1, 41)]
    resumed = [*made, *((4000 + 100 * k - 90, 10 + 30 + 0.25 * k) for k in range(1, 41))]
    shown = [forecast.time_left(epoch, 10_000, resumed[max(0, k - 59):k + 1], Expected(1.5, 25.0))
             for k, (epoch, _) in enumerate(resumed)]
    assert all(left <= before * 1.05 for before, left in pairwise(shown))


def estimated(config: RunConfig, store: Store) -> float:
    return forecast.Estimates(store).of(config).seconds


def test_an_estimate_on_a_fresh_machine_is_of_the_right_order(store: Store):
    assert 1 < estimated(PRESETS["whole"].config, store) < 5
    assert 2 < estimated(PRESETS["partial"].config, store) < 15


def test_an_estimate_follows_what_the_same_network_took_here_which_is_compiled(store: Store):
    finish(store, CONFIG, training=20.0, start=4.0)
    longer = CONFIG.model_copy(update={"epochs": 2 * CONFIG.epochs, "seed": 1})
    assert estimated(longer, store) == pytest.approx(40, abs=0.2)


def test_an_estimate_follows_how_slow_other_networks_were_here_and_how_long_they_compiled(store: Store):
    quick, partial = PRESETS["quick"].config, PRESETS["partial"].config
    before, expected = (forecast.Estimates(store).of(config) for config in (partial, quick))
    finish(store, quick, training=3 * expected.training, start=6.0)
    start, training = forecast.Estimates(store).of(partial)
    assert start == pytest.approx(6.0)
    assert training == pytest.approx(3 * before.training)


def test_runs_that_found_their_programs_do_not_shorten_the_compiling_of_a_new_network(store: Store):
    quick = PRESETS["quick"].config
    finish(store, quick, training=2.0, start=3.0)
    for seed in range(1, 6):
        finish(store, quick.model_copy(update={"seed": seed}), training=0.02)
    start, training = forecast.Estimates(store).of(PRESETS["partial"].config)
    assert start == pytest.approx(3.0)
    assert training > 0


def test_a_run_whose_first_record_is_gone_counts_half_of_its_seconds_at_least(store: Store):
    ticket = store.queue.take(CONFIG, worker="test")
    checkpoint = Checkpoint(CONFIG.epochs, 1, (np.zeros(1, np.float32),))
    store.attempts.start(ticket, threads=1)
    store.attempts.append(ticket, Progress(CONFIG.epochs, 0.1, 1.0, 3.0, (), checkpoint))
    store.attempts.finish(ticket, checkpoint, Evaluation(1.0, 1.0, 2016, (1.0, 1.0)))
    assert 1.5 <= estimated(CONFIG, store) < 3


def test_an_estimate_is_made_once_for_all_seeds_of_a_network(store: Store, monkeypatch: pytest.MonkeyPatch):
    finish(store, PRESETS["quick"].config, training=3.0)
    estimates, count, counted = forecast.Estimates(store), forecast.flops_per_window, []
    monkeypatch.setattr(forecast, "flops_per_window", lambda config: counted.append(config) or count(config))
    seeds = {estimates.of(CONFIG.model_copy(update={"seed": seed})) for seed in range(100)}
    assert (len(seeds), len(counted)) == (1, 1)
    assert estimates.of(CONFIG.model_copy(update={"epochs": 2 * CONFIG.epochs})) > seeds.pop()


def test_runs_together_compile_each_network_once(store: Store):
    finish(store, PRESETS["quick"].config, training=3.0, start=5.0)
    estimates, seeds = forecast.Estimates(store), [CONFIG.model_copy(update={"seed": seed}) for seed in range(4)]
    training = estimates.of(CONFIG).training
    assert estimates.together((config, 0) for config in seeds) == pytest.approx(5 + 4 * training, abs=0.5)
    assert estimates.together(((config, 0) for config in seeds), compiled=[CONFIG]) == pytest.approx(
        4 * training, abs=0.5)
    assert estimates.together([(CONFIG, CONFIG.epochs // 2)]) == pytest.approx(training / 2)


def queued(store: Store, number: int, **changes) -> str:
    config = PRESETS["whole"].config.model_copy(update={"seed": number, **changes})
    return store.queue.request(config, session=f"S{number}")


def test_a_wait_adds_up_what_is_left_of_the_runs_ahead(store: Store, monkeypatch: pytest.MonkeyPatch):
    finish(store, PRESETS["whole"].config, training=9.9)  # for its 500 epochs; a run starts in 0.1 s
    ids = [queued(store, 1), queued(store, 2, epochs=1000), queued(store, 3)]
    assert [(wait.place, wait.seconds) for wait in map(forecast.waits(store).get, ids)] == [
        (0, 0), (1, pytest.approx(10.0)), (2, pytest.approx(10.0 + 19.9))]
    ticket = store.queue.claim("a worker")
    assert ticket.run_id == ids[0]
    begun = store.runs.get(ids[0]).started_at
    monkeypatch.setattr(store, "now", lambda: begun + 0.05)
    waits = forecast.waits(store)
    assert set(waits) == set(ids[1:])
    assert waits[ids[1]].seconds == pytest.approx(10.0 - 0.05)
    store.attempts.start(ticket, 2)
    store.attempts.append(ticket, progress(400, 4.0))
    assert forecast.waits(store)[ids[2]] == forecast.Wait(1, pytest.approx(1.98 + 19.9))


def test_a_wait_counts_the_compiling_of_a_new_network_once(store: Store):
    finish(store, PRESETS["quick"].config, training=3.0, start=5.0)
    ids = [queued(store, seed) for seed in range(5)]
    training = forecast.Estimates(store).of(PRESETS["whole"].config).training
    assert forecast.waits(store)[ids[4]].seconds == pytest.approx(5 + 4 * training, abs=0.5)


def test_a_run_that_compiles_for_longer_than_expected_still_has_its_epochs_to_train(
        store: Store, monkeypatch: pytest.MonkeyPatch):
    finish(store, PRESETS["whole"].config, training=9.9)
    running, waiting = queued(store, 1), queued(store, 2)
    assert store.queue.claim("a worker").run_id == running
    begun = store.runs.get(running).started_at
    monkeypatch.setattr(store, "now", lambda: begun + 60)
    assert forecast.waits(store)[waiting].seconds == pytest.approx(9.9)


def test_a_wait_does_not_take_the_compiling_of_the_run_ahead_for_its_pace(store: Store):
    finish(store, PRESETS["whole"].config, training=10.0)
    running, waiting = queued(store, 1), queued(store, 2)
    ticket = store.queue.claim("a worker")
    assert ticket.run_id == running
    store.attempts.start(ticket, 2)
    for record in (progress(0, 0.1), progress(1, 40.0), progress(2, 40.02)):
        store.attempts.append(ticket, record)
    assert 9 < forecast.waits(store)[waiting].seconds < 11


def test_runs_that_only_wait_do_not_push_what_finished_ones_took_out_of_sight(store: Store):
    finish(store, PRESETS["quick"].config, training=60.0)
    before = estimated(PRESETS["quick"].config, store)
    for number in range(30):
        queued(store, number)
    assert estimated(PRESETS["quick"].config, store) == before


def test_idle_workers_take_waiting_runs_at_once(store: Store):
    finish(store, PRESETS["whole"].config, training=10.0)
    ids = [queued(store, number) for number in range(1, 6)]
    assert [forecast.waits(store, at_a_time=4)[run_id].seconds for run_id in ids] == [0, 0, 0, 0, pytest.approx(10.1)]


def test_a_run_that_went_on_from_one_whose_records_are_gone_tells_the_pace_of_its_own_epochs(store: Store):
    finish(store, CONFIG, training=0.0)
    ticket, epochs = store.queue.take(LONGER, worker="test"), LONGER.epochs
    store.attempts.start(ticket, threads=1)
    checkpoint = Checkpoint(epochs, 1, (np.zeros(1, np.float32),))
    for epoch, seconds in ((epochs // 2 + 1, 0.1), (epochs, 10.1)):
        store.attempts.append(ticket, Progress(epoch, 0.1, 1.0, seconds, (), checkpoint))
    store.attempts.finish(ticket, checkpoint, Evaluation(1.0, 1.0, 2016, (1.0, 1.0)))
    assert estimated(LONGER, store) == pytest.approx(20, rel=0.02)


def test_with_two_workers_waiting_runs_take_turns_at_both(store: Store):
    finish(store, PRESETS["whole"].config, training=10.0)
    running = [queued(store, number) for number in (1, 2)]
    for number, run_id in enumerate(running, start=1):
        ticket = store.queue.claim(f"worker {number}")
        assert ticket.run_id == run_id
        store.attempts.start(ticket, 2)
        store.attempts.append(ticket, progress(100 * number, 2.0))  # 8 s and 6 s left by the forecast
    ids = [queued(store, number) for number in (3, 4, 5)]
    seconds = [forecast.waits(store)[run_id].seconds for run_id in ids]
    assert seconds == [pytest.approx(6.0), pytest.approx(8.0), pytest.approx(6.0 + 10.1)]
