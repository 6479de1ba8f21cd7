"""A network is compiled before somebody presses Train: real workers, and the folder of compiled programs as witness."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from echo_core.config import RunConfig
from echo_core.engine import Engine
from echo_core.records import State
from echo_core.settings import Limits, Settings
from echo_core.workers import dispatcher, roster
from echo_core.workers.roster import Entry
from tests.helpers.samples import TINY
from tests.helpers.waiting import PATIENCE, until

ENDLESS = TINY.model_copy(update={"epochs": 10_000_000})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with a warm worker that has compiled nothing when the first test begins."""
    folder = tmp_path_factory.mktemp("lab")
    settings = Settings(DATABASE_URL=f"sqlite:///{folder / 'runs.db'}", workers=1, standby=False,
                        xla_cache=folder / "xla")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatcher.worker, "WARM_UP_STEPS", ("import",))
        with Engine(settings, Limits(max_epochs=10_000_000)) as engine:
            until(lambda: engine.status() == "ready")
            yield engine


def num_programs(lab: Engine) -> int:
    """Networks that were compiled so far."""
    return len(list(lab.settings.xla_cache.glob("*/*.pb")))


def worker_of(lab: Engine) -> Entry:
    (only,) = lab.dispatcher.roster
    return only


def wider(units: int, **changes: object) -> RunConfig:
    return TINY.model_copy(update={"units": units, **changes})


@pytest.mark.slow
def test_a_network_is_compiled_ahead_and_trained_without_compiling_it_again(lab: Engine):
    before = num_programs(lab)
    lab.compile_ahead(wider(7, seed=1))
    until(lambda: num_programs(lab) == before + 1)
    assert lab.store.runs.newest() == []
    assert lab.wait(lab.submit(wider(7, seed=2)), PATIENCE) is State.FINISHED
    assert num_programs(lab) == before + 1
    assert lab.wait(lab.submit(wider(8)), PATIENCE) is State.FINISHED
    assert num_programs(lab) == before + 2


@pytest.mark.slow
def test_a_run_that_begins_while_its_network_is_compiled_ahead_gives_what_it_gives_alone(lab: Engine, tmp_path: Path):
    before, config = num_programs(lab), wider(100, epochs=20)
    lab.compile_ahead(config)
    until(lambda: worker_of(lab).side_task is not None)
    run_id = lab.submit(config)
    assert lab.wait(run_id, PATIENCE) is State.FINISHED
    assert num_programs(lab) == before + 1
    other = Settings(DATABASE_URL=f"sqlite:///{tmp_path / 'other.db'}", workers=1, xla_cache=tmp_path / "other")
    with Engine(other) as alone:
        assert alone.wait(alone.submit(config), PATIENCE) is State.FINISHED
        assert alone.store.runs.get(run_id).fingerprint == lab.store.runs.get(run_id).fingerprint


@pytest.mark.slow
def test_of_networks_that_are_passed_by_only_the_last_is_compiled(lab: Engine):
    before = num_programs(lab)
    for units in (9, 10, 11):
        lab.compile_ahead(wider(units))
    until(lambda: num_programs(lab) == before + 1)
    until(lambda: worker_of(lab).side_task is None)
    time.sleep(2 * dispatcher.SETTLED_SECONDS)
    assert (worker_of(lab).compiled_ahead, num_programs(lab)) == (wider(11).network, before + 1)


@pytest.mark.slow
def test_nothing_is_compiled_ahead_while_a_run_trains(lab: Engine):
    run_id = lab.submit(ENDLESS)
    until(lambda: lab.store.runs.get(run_id).epoch > 0)
    before = num_programs(lab)
    lab.compile_ahead(wider(12))
    time.sleep(3 * dispatcher.SETTLED_SECONDS)
    assert num_programs(lab) == before
    lab.stop(run_id)
    until(lambda: num_programs(lab) == before + 1)


@pytest.mark.slow
def test_a_worker_that_grew_as_it_compiled_ahead_is_replaced(lab: Engine, monkeypatch: pytest.MonkeyPatch):
    before = worker_of(lab)
    monkeypatch.setattr(roster, "FAR_TOO_MUCH", 0.1)
    lab.compile_ahead(wider(13))
    until(lambda: before not in lab.dispatcher.roster and lab.status() == "ready")
    monkeypatch.undo()
    assert lab.wait(lab.submit(wider(13)), PATIENCE) is State.FINISHED
