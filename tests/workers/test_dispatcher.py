"""Which task the dispatcher gives to which worker and when, with workers whose tasks end as a test says."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from echo_core.engine import Busy, Engine
from echo_core.records import State
from echo_core.settings import LimitExceeded
from echo_core.workers import dispatcher, worker
from echo_core.workers.process import CannotTrain
from tests.helpers.fake_cluster import FakeCluster, FakeTask, engine_with_fake_workers
from tests.helpers.samples import TINY, config
from tests.helpers.waiting import until

Lab = tuple[Engine, FakeCluster]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with engine_with_fake_workers(f"sqlite:///{tmp_path / 'runs.db'}", workers=1, standby=False) as made:
        yield made


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """For presses that wait for a worker."""
    with ThreadPoolExecutor() as pool:
        yield pool


def next_task(cluster: FakeCluster, kind: str, number: int = 0) -> FakeTask:
    until(lambda: len(cluster.given(kind)) > number, seconds=20)
    return cluster.given(kind)[number]


def warm_up(cluster: FakeCluster) -> None:
    """Let every step of the warm-up of the only worker succeed."""
    for step in range(len(worker.WARM_UP_STEPS)):
        next_task(cluster, "warm", step).succeed(1)


def look_round(engine: Engine) -> None:
    """Wait until the dispatcher has looked round twice."""
    passed = threading.Semaphore(0)
    with pytest.MonkeyPatch.context() as patch:
        cluster = engine.dispatcher.cluster
        revive = cluster.revive
        patch.setattr(cluster, "revive", lambda: (revive(), passed.release()))
        assert passed.acquire(timeout=20)
        assert passed.acquire(timeout=20)


def test_a_new_process_imports_before_it_is_given_a_run_a_file_or_a_network_to_compile(lab: Lab, background):
    engine, cluster = lab
    run_id = engine.submit(config(1))
    pressed = background.submit(engine.keras_file, run_id)
    engine.compile_ahead(TINY)
    cluster.start_worker()
    imports = next_task(cluster, "warm")
    look_round(engine)
    assert (imports.function, imports.args[0]) == (worker.warm_up, 0)
    assert [task.kind for task in cluster.tasks_given] == ["warm"]
    assert engine.store.runs.get(run_id).state is State.QUEUED
    imports.succeed(1)
    assert next_task(cluster, "run").args[1] == run_id
    next_task(cluster, "errand").succeed(b"file")
    assert pressed.result(20) == b"file"


def test_a_press_just_after_a_worker_was_killed_waits_until_the_new_process_has_imported(lab: Lab, background):
    engine, cluster = lab
    cluster.start_worker()
    warm_up(cluster)
    cluster.start_worker()  # another process at the same address
    pressed = background.submit(engine.keras_file, "0123456789abcdef")
    imports = next_task(cluster, "warm", len(worker.WARM_UP_STEPS))
    look_round(engine)
    assert cluster.given("errand") == []
    imports.succeed(1)
    next_task(cluster, "errand").succeed(b"file")
    assert pressed.result(20) == b"file"


def test_a_file_that_a_lost_worker_was_making_is_made_by_the_next_process(lab: Lab, background):
    engine, cluster = lab
    cluster.start_worker()
    next_task(cluster, "warm").succeed(1)
    pressed = background.submit(engine.keras_file, "0123456789abcdef")
    next_task(cluster, "errand")
    next_task(cluster, "warm", 1)
    cluster.start_worker()
    next_task(cluster, "warm", 2).succeed(1)
    next_task(cluster, "errand", 1).succeed(b"file")
    assert pressed.result(20) == b"file"


def test_who_presses_before_any_worker_has_started_is_told_when_to_come_back(lab: Lab):
    engine, cluster = lab
    with pytest.raises(Busy, match=r"^the workers are still starting\. Try again in about \d+ seconds\.$"):
        engine.keras_file("0123456789abcdef", timeout=0.01)
    cluster.start_worker()
    next_task(cluster, "warm")
    with pytest.raises(Busy, match="still starting"):
        engine.keras_file("0123456789abcdef", timeout=0.01)
    next_task(cluster, "warm").succeed(1)
    next_task(cluster, "warm", 1)
    with pytest.raises(Busy, match="all workers are training"):
        engine.keras_file("0123456789abcdef", timeout=0.01)


def test_a_process_that_could_not_import_gets_nothing_more_and_is_replaced_at_once(lab: Lab, background):
    engine, cluster = lab
    run_id = engine.submit(config(1))
    cluster.start_worker()
    next_task(cluster, "warm").fail(CannotTrain("KeyError: Registering two gradient with name"))
    imports = next_task(cluster, "warm", 1)
    assert cluster.restarted == ["w1"]
    assert imports.key != cluster.given("warm")[0].key
    assert cluster.given("run") == []
    imports.succeed(1)
    assert next_task(cluster, "run").args[1] == run_id


def test_where_no_process_can_import_they_are_not_replaced_without_end_and_the_status_says_so(lab: Lab):
    engine, cluster = lab
    cluster.start_worker()
    for number in range(dispatcher.PROMPT_REPLACEMENTS + 1):
        next_task(cluster, "warm", number).fail(CannotTrain("ImportError: no TensorFlow"))
    until(lambda: "TensorFlow could not be loaded" in engine.status(), seconds=20)
    look_round(engine)
    assert len(cluster.restarted) == dispatcher.PROMPT_REPLACEMENTS
    assert len(cluster.given("warm")) == dispatcher.PROMPT_REPLACEMENTS + 1
    with pytest.raises(Busy, match="TensorFlow could not be loaded"):
        engine.keras_file("0123456789abcdef", timeout=0.01)


def test_a_broken_process_that_nobody_can_restart_is_refused(tmp_path: Path):
    with engine_with_fake_workers(f"sqlite:///{tmp_path / 'runs.db'}") as (engine, cluster):
        engine.submit(config(1))
        cluster.has_nanny = False
        cluster.start_worker()
        next_task(cluster, "warm").fail(CannotTrain("ImportError: no TensorFlow"))
        until(lambda: "has to be restarted" in engine.status(), seconds=20)
        look_round(engine)
        assert (cluster.restarted, len(cluster.tasks_given)) == ([], 1)


def test_an_engine_refuses_what_its_workers_have_no_memory_for(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    large = TINY.model_copy(update={"units": 1024})
    with engine_with_fake_workers(url, memory_mb=1000) as (engine, _):
        with pytest.raises(LimitExceeded, match="must fit into 744 MB"):
            engine.submit(large)
        assert engine.store.runs.newest() == []
    with engine_with_fake_workers(url, memory_mb=1000, DASK_SCHEDULER_ADDRESS="tcp://elsewhere") as (engine, cluster):
        cluster.memory_limit = 700 * 2**20
        cluster.start_worker()
        until(lambda: engine.limits.max_memory_mb == 700, seconds=20)
        with pytest.raises(LimitExceeded, match="must fit into 700 MB"):
            engine.submit(large)


def test_nothing_is_compiled_ahead_where_memory_is_short(tmp_path: Path):
    with engine_with_fake_workers(f"sqlite:///{tmp_path / 'runs.db'}", memory_mb=1024) as (engine, cluster):
        cluster.start_worker()
        warm_up(cluster)
        engine.compile_ahead(TINY)
        look_round(engine)
        assert cluster.given("ahead") == []


def test_of_networks_wanted_while_another_is_compiled_the_newest_is_compiled_next(lab: Lab):
    engine, cluster = lab
    cluster.start_worker()
    warm_up(cluster)
    for units in (7, 8, 9):
        engine.compile_ahead(TINY.model_copy(update={"units": units}))
        next_task(cluster, "ahead")
    cluster.given("ahead")[0].succeed(1)
    next_task(cluster, "ahead", 1).succeed(1)
    look_round(engine)
    assert [task.args[0].units for task in cluster.given("ahead")] == [7, 9]


def test_a_network_wanted_in_the_moment_in_which_another_is_handed_out_is_compiled_next(lab: Lab, monkeypatch):
    engine, cluster = lab
    first, second = (TINY.model_copy(update={"units": units}).network for units in (7, 8))
    submit = cluster.submit

    def wanted_meanwhile(address, key, function, *args):
        if args == (first,):
            engine.compile_ahead(second)
        return submit(address, key, function, *args)

    monkeypatch.setattr(cluster, "submit", wanted_meanwhile)
    cluster.start_worker()
    warm_up(cluster)
    engine.compile_ahead(first)
    next_task(cluster, "ahead").succeed(1)
    assert next_task(cluster, "ahead", 1).args == (second,)


def test_a_run_that_waits_while_a_core_is_free_gets_a_worker_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("echo_core.machine.cores", lambda: 2)
    with engine_with_fake_workers(f"sqlite:///{tmp_path / 'runs.db'}", threads=2) as (engine, cluster):
        room = iter([False, False, True])
        monkeypatch.setattr(cluster, "grow", lambda number, _: next(room) and [cluster.start_worker(f"w{number}")])
        first = engine.submit(config(1))
        cluster.start_worker("w1")
        next_task(cluster, "warm").succeed(1)
        assert next_task(cluster, "run").args[1] == first
        look_round(engine)
        assert list(cluster.workers()) == ["w1"]
        second, third = engine.submit(config(2)), engine.submit(config(3))
        until(lambda: list(cluster.workers()) == ["w1", "w2"])
        next_task(cluster, "warm", 1).succeed(1)
        assert next_task(cluster, "run", 1).args[1] == second
        look_round(engine)
        assert engine.store.runs.get(third).state is State.QUEUED


def test_on_one_core_the_standby_waits_for_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("echo_core.machine.cores", lambda: 1)
    with engine_with_fake_workers(f"sqlite:///{tmp_path / 'runs.db'}", threads=1) as (engine, cluster):
        first, second = engine.submit(config(1)), engine.submit(config(2))
        for address in ("w1", "w2"):
            cluster.start_worker(address)
        for step in range(2):
            next_task(cluster, "warm", step).succeed(1)
        next_task(cluster, "run")
        look_round(engine)
        assert [engine.store.runs.get(run_id).state for run_id in (first, second)] == [State.RUNNING, State.QUEUED]
