"""The health of an app as a machine reads it, with real stores, and real workers that are killed."""

import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from echo_core import health
from echo_core.engine import Engine
from echo_core.health import serve
from echo_core.records import State
from echo_core.settings import Limits, Settings
from echo_core.store.errors import StoreAway, StoreError
from echo_core.workers import dispatcher, worker
from tests.helpers.fake_cluster import FakeCluster, engine_with_fake_workers
from tests.helpers.postgres import Server as Postgres
from tests.helpers.samples import TINY, config
from tests.helpers.server import serve_quick
from tests.helpers.waiting import until

ENDLESS = TINY.model_copy(update={"epochs": 10_000_000})


class Answer(NamedTuple):
    status: int
    text: str
    seconds: float

    @property
    def figures(self) -> dict[str, float]:
        """Each figure by its name with its label, such as `echo_runs running`."""
        return {" ".join([sample.name, *sample.labels.values()]): sample.value
                for family in text_string_to_metric_families(self.text) for sample in family.samples}


class Probe:
    """A machine that asks at an address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str) -> Answer:
        began = time.monotonic()
        try:
            with urllib.request.urlopen(f"http://{self.address}/{path}", timeout=10) as answer:
                return Answer(answer.status, answer.read().decode(), time.monotonic() - began)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), time.monotonic() - began)

    def is_ready(self) -> bool:
        return self.ask("ready").status == 200


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@contextmanager
def watched(engine: Callable[[], Engine]) -> Iterator[Probe]:
    address = free_address()
    server = serve(address, engine)
    assert server is not None
    with closing(server):
        yield Probe(address)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Engine, FakeCluster, Probe]]:
    with engine_with_fake_workers(f"sqlite:///{tmp_path / 'runs.db'}", workers=1, standby=False) as (
            engine, cluster), watched(lambda: engine) as probe:
        yield engine, cluster, probe


def raiser(error: Exception) -> Callable[[], Engine]:
    def make() -> Engine:
        raise error
    return make


# --- without real workers ------------------------------------------------------------------------------


def test_app_is_ready_once_a_worker_can_train_and_not_while_it_is_replaced(lab):
    _, cluster, probe = lab
    assert probe.ask("live")[:2] == (200, "live\n")
    assert probe.ask("ready")[:2] == (503, "the workers are starting\n")
    cluster.start_worker()
    until(lambda: cluster.given("warm"))
    assert probe.ask("metrics").figures["echo_workers starting"] == 1
    cluster.given("warm")[0].succeed(1)
    until(probe.is_ready)
    assert probe.ask("ready").text == "ready\n"
    cluster.start_worker()  # another process has taken the place of this one
    until(lambda: not probe.is_ready())
    found = probe.ask("metrics").figures
    assert (found["echo_ready"], found["echo_store_up"]) == (0, 1)
    assert (found["echo_workers_replaced_total lost"], found["echo_workers_replaced_total memory"]) == (1, 0)


def test_figures_count_runs_the_queue_sessions_memory_and_the_store(lab):
    engine, cluster, probe = lab
    cluster.start_worker()
    until(lambda: cluster.given("warm"))
    for number in range(3):
        engine.submit(config(number))
    engine.connect("a visitor")
    cluster.given("warm")[0].succeed(1)
    until(lambda: cluster.given("run"))
    found = probe.ask("metrics").figures
    assert (found["echo_runs running"], found["echo_runs queued"], found["echo_runs finished"]) == (1, 2, 0)
    assert found["echo_queue_length"] == 2
    assert 0 < found["echo_queue_oldest_wait_seconds"] < 60
    assert (found["echo_sessions"], found["echo_workers training"], found["echo_store_losses_total"]) == (1, 1, 0)
    assert found["echo_process_memory_bytes app"] > 50e6
    assert found["echo_process_memory_bytes worker w1"] > 50e6
    assert found["echo_store_bytes"] >= (Path(engine.store.database.url.database)).stat().st_size
    assert found["process_open_fds"] > 3


def test_worker_that_the_app_replaces_itself_is_not_counted_as_lost(tmp_path):
    with engine_with_fake_workers(f"sqlite:///{tmp_path / 'runs.db'}", workers=1, standby=False, worker_mb=1) as (
            engine, cluster), watched(lambda: engine) as probe:
        cluster.start_worker()
        until(lambda: cluster.given("warm"))
        engine.submit(config(1))
        cluster.given("warm")[0].succeed(1)
        until(lambda: cluster.given("run"))
        cluster.given("run")[0].succeed(2**30)  # bytes of its memory
        until(lambda: probe.ask("metrics").figures["echo_workers_replaced_total memory"] == 1)
        assert probe.ask("metrics").figures["echo_workers_replaced_total lost"] == 0


def test_every_state_of_a_run_has_a_figure(lab):
    _, _, probe = lab
    names = {name for name in probe.ask("metrics").figures if name.startswith("echo_runs ")}
    assert names == {f"echo_runs {state.value}" for state in State}


@pytest.mark.parametrize(("error", "line"), [
    (StoreAway("the store at postgresql://db/x cannot be opened"), "the store cannot be used: it does not answer"),
    (StoreError("the store at /srv/x is of another revision"),
     "the store cannot be used as this host is set up; the log says why")])
def test_store_that_cannot_be_opened_leaves_the_app_alive_and_not_ready_and_says_no_address(error, line):
    with watched(raiser(error)) as probe:
        assert probe.ask("live").status == 200
        assert probe.ask("ready")[:2] == (503, line + "\n")
        assert probe.ask("metrics").figures["echo_store_up"] == 0


def test_invalid_setting_of_the_host_leaves_the_app_not_ready(monkeypatch):
    monkeypatch.setenv("ECHO_THREADS", "0")
    with watched(lambda: Engine()) as probe:
        assert probe.ask("ready")[:2] == (503, "a setting of this host is not valid; the log says why\n")


def test_store_that_hangs_keeps_nobody_waiting_and_is_asked_once(monkeypatch):
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.2)
    hangs, asked = threading.Event(), []

    def make() -> Engine:
        asked.append(1)
        hangs.wait(20)
        raise StoreAway("over")

    with watched(make) as probe:
        for path in ("ready", "metrics", "ready", "live"):
            answer = probe.ask(path)
            assert answer.seconds < 2
            assert path != "ready" or answer[:2] == (503, "the store does not answer\n")
        assert len(asked) == 1
        hangs.set()
        until(lambda: "cannot be used: it does not answer" in probe.ask("ready").text)
        until(lambda: probe.ask("ready") and len(asked) > 1)


def test_address_that_is_taken_is_logged_and_ends_nothing(caplog):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert serve(address, raiser(StoreAway("not asked"))) is None
    assert f"ECHO_HEALTH_ADDRESS={address} cannot be used: Address already in use." in caplog.text


def test_other_paths_name_the_three_that_exist():
    with watched(raiser(StoreAway("not asked"))) as probe:
        assert probe.ask("")[:2] == (404, "try /live, /ready or /metrics\n")


def test_closed_server_gives_its_address_back():
    with watched(raiser(StoreAway("not asked"))) as probe:
        pass
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(probe.address.rpartition(":")[2])))


# --- with real workers ---------------------------------------------------------------------------------


@contextmanager
def real_engine(url: str, workers: int) -> Iterator[Engine]:
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(worker, "WARM_UP_STEPS", ("import",))  # the presets take long to compile
        patch.setattr(dispatcher, "HEAD_START_SECONDS", 0.0)
        yield stack.enter_context(Engine(Settings(DATABASE_URL=url, workers=workers, standby=False),
                                         Limits(max_epochs=10_000_000)))


def kill_a_worker(engine: Engine) -> None:
    psutil.Process(next(iter(engine.dispatcher.cluster.pids().values()))).kill()


@pytest.mark.slow
def test_killed_worker_is_missed_for_a_moment_and_counted(tmp_path):
    with real_engine(f"sqlite:///{tmp_path / 'runs.db'}", 1) as engine, watched(lambda: engine) as probe:
        until(probe.is_ready)
        run_id = engine.submit(ENDLESS)
        until(lambda: engine.store.runs.get(run_id).epoch > 100)
        assert probe.ask("metrics").figures["echo_workers training"] == 1
        kill_a_worker(engine)
        until(lambda: not probe.is_ready(), seconds=20)
        assert probe.ask("ready").text == "the workers are starting\n"
        until(probe.is_ready)
        found = probe.ask("metrics").figures
        assert found["echo_workers_replaced_total lost"] == 1
        assert found["echo_process_memory_bytes worker 0"] > 100e6


@pytest.mark.slow
def test_app_stays_ready_while_one_of_two_workers_is_killed(tmp_path):
    with real_engine(f"sqlite:///{tmp_path / 'runs.db'}", 2) as engine, watched(lambda: engine) as probe:
        until(lambda: probe.ask("metrics").figures["echo_workers idle"] == 2)
        kill_a_worker(engine)
        until(lambda: probe.ask("metrics").figures["echo_workers_replaced_total lost"] == 1, seconds=20)
        while probe.ask("metrics").figures["echo_workers idle"] < 2:
            assert probe.is_ready()


@pytest.mark.slow
def test_store_whose_file_is_taken_away_is_made_again_or_said_to_be_away(tmp_path):
    folder = tmp_path / "runs"
    with real_engine(f"sqlite:///{folder / 'runs.db'}", 1) as engine, watched(lambda: engine) as probe:
        until(probe.is_ready)
        shutil.rmtree(folder)
        assert probe.ask("live").status == 200
        until(probe.is_ready, seconds=20)
        assert probe.ask("metrics").figures["echo_store_losses_total"] == 1
        shutil.rmtree(folder)
        folder.write_text("a file in the place of the folder")
        until(lambda: not probe.is_ready(), seconds=20)
        answer = probe.ask("ready")
        assert answer.text.startswith("the store cannot be used: ")
        assert answer.seconds < 2
        assert str(tmp_path) not in answer.text
        folder.unlink()
        until(probe.is_ready, seconds=20)


@pytest.mark.slow
def test_postgres_that_stops_and_starts_is_noticed_at_once_both_times(postgres_server: Postgres):
    with postgres_server.database() as url, real_engine(url, 1) as engine, watched(lambda: engine) as probe:
        until(probe.is_ready)
        assert probe.ask("metrics").figures["echo_store_bytes"] > 1e6
        postgres_server.stop()
        try:
            answer = probe.ask("ready")
            assert answer[:2] == (503, "the store cannot be used: it does not answer\n")
            assert answer.seconds < 2
            assert probe.ask("live").status == 200
            found = probe.ask("metrics").figures
            assert (found["echo_ready"], found["echo_store_up"]) == (0, 0)
            assert "echo_runs queued" not in found
            assert found["echo_process_memory_bytes worker 0"] > 100e6
        finally:
            postgres_server.start()
        assert until(probe.is_ready, seconds=20) < 10


@pytest.mark.slow
def test_app_is_ready_before_its_first_visitor_and_without_its_store_it_lives(tmp_path):
    address = free_address()
    probe = Probe(address)
    with serve_quick(tmp_path, ECHO_HEALTH_ADDRESS=address) as server:
        until(probe.is_ready)
        assert probe.ask("metrics").figures["echo_sessions"] == 0
        assert server.trouble() == []
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with serve_quick(elsewhere, ECHO_HEALTH_ADDRESS=address,
                     DATABASE_URL="postgresql://echo:secret@127.0.0.1:1/echo") as server:
        assert probe.ask("live").status == 200
        assert probe.ask("ready")[:2] == (503, "the store cannot be used: it does not answer\n")
        with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=10) as answer:
            assert answer.read() == b"ok"


@pytest.mark.slow
def test_app_says_in_one_line_that_its_health_has_no_possible_address(tmp_path):
    with serve_quick(tmp_path, ECHO_HEALTH_ADDRESS="9100") as server:
        said = [line.partition("set up: ")[2] for line in server.log.read_text().splitlines()]
        assert [line for line in said if line] == [
            "ECHO_HEALTH_ADDRESS must be a host and a port from 1 to 65535 with a colon between them; "
            "received '9100'. Try 127.0.0.1:9100."]
