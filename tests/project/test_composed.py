"""compose.yaml as separate processes with a real PostgreSQL: runs outlive `down` and `up`, crashes and kills."""

import asyncio
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from distributed import Client, Security
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from echo_core.config import RunConfig
from echo_core.records import State
from echo_core.store import OUTAGES, Store
from echo_core.workers.attempt import records_of
from tests.helpers import faults, waiting
from tests.helpers.composed import Composed
from tests.helpers.postgres import Server
from tests.helpers.samples import TINY
from tests.helpers.visitor import Session

#: Trains for some seconds.
LONG = TINY.model_copy(update={"epochs": 80_000})
VISITOR = "a browser"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, postgres_server: Server) -> Iterator[Composed]:
    postgres_server.create("composed")
    with Composed(tmp_path_factory.mktemp("composed"), postgres_server, "composed") as running:
        running.up()
        with open_page(running):
            yield running
    postgres_server.drop("composed")


@contextmanager
def open_page(services: Composed) -> Iterator[None]:
    """A page that somebody has open, which connects again when its server was away, as browsers do."""
    is_over = threading.Event()

    async def stay() -> None:
        while not is_over.is_set():
            with suppress(OSError, WebSocketException):
                async with connect(services.url.replace("http", "ws") + "/_stcore/stream", max_size=None,
                                   subprotocols=[Subprotocol("streamlit")], open_timeout=30) as stream:
                    await Session(stream, "").run()
                    while not is_over.is_set():
                        with suppress(TimeoutError):
                            await asyncio.wait_for(stream.recv(), 0.2)
            await asyncio.sleep(0.2)

    page = threading.Thread(target=asyncio.run, args=(stay(),))
    page.start()
    try:
        yield
    finally:
        is_over.set()
        page.join()


@pytest.fixture
def store(services: Composed) -> Iterator[Store]:
    with closing(Store(services.database_url)) as opened:
        yield opened


def until(condition) -> None:
    """Wait for a condition, however often the store cannot be asked meanwhile."""
    def holds() -> bool:
        with suppress(*OUTAGES):
            return bool(condition())
        return False

    waiting.until(holds)


@pytest.fixture(scope="module")
def undisturbed() -> str:
    """The fingerprint of `LONG`, trained at one go and without a store."""
    *_, last = records_of(LONG)
    return last.checkpoint.fingerprint


def ask(store: Store, config: RunConfig = LONG) -> None:
    """Queue a run as a visitor's press of Train anew does, and wait until it is being trained."""
    store.queue.request(config, VISITOR, VISITOR, again=True)
    until(lambda: is_under_way(store, config))


def is_under_way(store: Store, config: RunConfig = LONG) -> bool:
    run = store.runs.get(config.run_id)
    return run.state is State.RUNNING and run.epoch > 1000


def has_ended_as(undisturbed: str, store: Store) -> None:
    """The weights are those of an undisturbed training, and each record is there once."""
    def is_over() -> bool:
        store.queue.renew([VISITOR])  # the visitor's page is open
        return store.runs.get(LONG.run_id).state in (State.FINISHED, State.FAILED)

    until(is_over)
    run = store.runs.get(LONG.run_id)
    assert (run.state, run.epoch, run.reason, run.fingerprint) == (State.FINISHED, LONG.epochs, None, undisturbed)
    epochs = [row.epoch for row in store.progress.history(LONG.run_id)]
    assert epochs == sorted(set(epochs))
    assert (epochs[0], epochs[-1]) == (0, LONG.epochs)


def test_two_workers_train_two_runs_at_a_time_on_a_store_that_was_migrated_at_the_start(store: Store):
    configs = [LONG.model_copy(update={"seed": seed}) for seed in (1, 2)]
    for config in configs:
        store.queue.request(config, VISITOR, VISITOR)
    until(lambda: all(is_under_way(store, config) for config in configs))
    assert len({store.runs.get(config.run_id).worker for config in configs}) == 2
    until(lambda: {store.runs.get(config.run_id).state for config in configs} == {State.FINISHED})


def test_a_crash_of_the_database_in_mid_run_loses_no_epoch(store: Store, postgres_server: Server, undisturbed: str):
    ask(store)
    attempt = store.runs.get(LONG.run_id).attempt
    with faults.crashed(postgres_server):
        time.sleep(3.0)
    has_ended_as(undisturbed, store)
    assert store.runs.get(LONG.run_id).attempt == attempt


@pytest.mark.parametrize("name", ["worker", "scheduler", "app"])
def test_a_container_that_ends_in_mid_run_costs_nothing_but_time(services, store: Store, undisturbed: str, name: str):
    ask(store)
    services.kill(name)
    has_ended_as(undisturbed, store)


def test_a_scheduler_that_was_away_for_longer_than_dask_waits_for_it_is_found_again(services, store: Store,
                                                                                    undisturbed: str):
    before = len(services.log("app"))
    with services.stopped("scheduler"):  # Dask says that it closes, or the app that it cannot connect anew
        until(lambda: re.search("closing client|goes on trying", services.log("app")[before:]))
    ask(store)
    has_ended_as(undisturbed, store)


def test_down_and_up_keep_every_run_and_what_was_under_way_goes_on(services: Composed, store: Store,
                                                                   postgres_server: Server, undisturbed: str):
    store.queue.request(TINY, VISITOR, VISITOR)
    until(lambda: store.runs.get(TINY.run_id).state is State.FINISHED)
    before = {run.run_id: run for run in store.runs.newest(100) if run.run_id != LONG.run_id}
    ask(store)
    services.down()
    postgres_server.stop()
    postgres_server.start()
    services.up()
    has_ended_as(undisturbed, store)
    assert TINY.run_id in before
    assert {run_id: store.runs.get(run_id) for run_id in before} == before


def test_nobody_without_the_key_can_give_the_scheduler_a_task(services: Composed):
    tls = services.scheduler_address
    for address, security in ((tls, Security.temporary()), (tls.replace("tls:", "tcp:"), None)):
        with pytest.raises(OSError, match=r"certificate|Timed out|closed"):
            Client(address, security=security, timeout=3)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    host, port = tls.removeprefix("tls://").split(":")
    with socket.create_connection((host, int(port))) as plain, trusting.wrap_socket(plain) as stranger, \
            pytest.raises(ssl.SSLError, match="certificate required"):
        stranger.recv(1)
