"""Whether an app lives, whether it is ready, and figures of it, for the machines of its host.

    /live     200 while the process answers
    /ready    200 if the store answers and a worker can train; otherwise 503, and one line that says why not
    /metrics  figures in the format of Prometheus, read when they are asked for

They have an address of their own (`ECHO_HEALTH_ADDRESS`), which visitors need not reach. Every answer comes within
about `ANSWER_SECONDS`, also while the store is away or the workers start anew. None holds a path, an address of
another machine or an exception. Only a process that is asked for them imports this module, for its library.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from socket import AF_INET6
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import psutil
from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import ValidationError

from echo_core.engine import Engine
from echo_core.records import State
from echo_core.settings import host_and_port
from echo_core.store import StoreError
from echo_core.store.errors import FAULTS, StoreAway, trouble_of
from echo_core.store.upkeep import Tally
from echo_core.workers.roster import ACTIVITIES, REPLACEMENTS

__all__ = ["Health", "Server", "serve"]

logger = logging.getLogger(__name__)

#: Seconds for which an answer waits for the store. A probe of Kubernetes waits for one, one of Prometheus for ten.
ANSWER_SECONDS = 0.8
#: Seconds for which a connection may be silent.
_SILENT_SECONDS = 10.0


class Health:
    """Answers about one app.

    Args:
        engine: Makes the app's engine or returns it. Called in a thread, at each answer, and at once: whoever asks for
            the health of an app wants its workers before the first visitor comes.
    """

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._make_engine = engine
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._tally: Future[Tally] = self._begin_to_count()

    def why_not_ready(self) -> str | None:
        """One line that says why visitors cannot train now, or None if they can."""
        found = self._count()
        return found if isinstance(found, str) else self._why_no_worker()

    def _why_no_worker(self) -> str | None:
        assert self._engine is not None
        if self._engine.status() not in ("starting", "warming", "ready"):
            return "no worker can train; the log says why"
        can_train = any(each.can_train for each in self._engine.dispatcher.roster)
        return None if can_train else "the workers are starting"

    def metrics(self) -> Iterator[Metric]:
        """All figures that can be told at this moment."""
        found = self._count()
        is_up = not isinstance(found, str)
        yield _gauge("echo_ready", "1 if visitors can train now.", is_up and self._why_no_worker() is None)
        yield _gauge("echo_store_up", "1 if the store answers.", is_up)
        if isinstance(found, Tally):
            yield _gauges("echo_runs", "Runs in the store.", "state",
                          {state.value: found.runs.get(state, 0) for state in State})
            yield _gauge("echo_queue_length", "Runs that wait for a worker.", found.runs.get(State.QUEUED, 0))
            yield _gauge("echo_queue_oldest_wait_seconds", "Seconds for which the oldest queued run has waited.",
                         found.oldest_wait)
            yield _gauge("echo_store_bytes", "Bytes of the database's files.", found.bytes)
        if self._engine is not None:
            yield from _of_engine(self._engine)

    def _count(self) -> Tally | str:
        """What the store counts now, or a line that says why it cannot."""
        with self._lock:
            if self._tally.done():  # an answer that is still awaited serves all who ask meanwhile
                self._tally = self._begin_to_count()
            asked = self._tally
        try:
            return asked.result(ANSWER_SECONDS)
        except TimeoutError:
            return "the store does not answer"
        except ValidationError:
            return "a setting of this host is not valid; the log says why"
        except FAULTS as error:
            is_set_up = isinstance(error, StoreAway) or not isinstance(error, StoreError)
            return f"the store cannot be used: {trouble_of(error).cause}" if is_set_up else \
                "the store cannot be used as this host is set up; the log says why"

    def _begin_to_count(self) -> "Future[Tally]":
        asked: Future[Tally] = Future()

        def count() -> None:
            try:
                self._engine = self._make_engine()
                asked.set_result(self._engine.store.upkeep.tally())
            except BaseException as error:
                asked.set_exception(error)

        threading.Thread(target=count, name="echo health", daemon=True).start()
        return asked


def _of_engine(engine: Engine) -> Iterator[Metric]:
    dispatcher = engine.dispatcher
    yield _gauge("echo_sessions", "Open pages of visitors.", engine.num_connected)
    activities = Counter(each.activity for each in dispatcher.roster)
    yield _gauges("echo_workers", "Worker processes.", "state", {name: activities[name] for name in ACTIVITIES})
    replaced = CounterMetricFamily(
        "echo_workers_replaced", "Worker processes that have ended and were replaced.", labels=["cause"])
    for cause in REPLACEMENTS:
        replaced.add_metric([cause], dispatcher.roster.replaced[cause])
    yield replaced
    yield CounterMetricFamily("echo_store_losses", "Times that the store was found emptied or replaced.",
                              value=engine.store.database.losses)
    pids = {"app": psutil.Process().pid, **{f"worker {name}": pid for name, pid in dispatcher.cluster.pids().items()}}
    yield _gauges("echo_process_memory_bytes", "Memory that a process shares with no other.", "process",
                  {name: own for name, pid in pids.items() if (own := own_memory(pid)) is not None})


def own_memory(pid: int) -> int | None:
    """Bytes of memory that a process shares with no other; None if it has ended."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        try:
            return int(process.memory_full_info().uss)
        except psutil.AccessDenied:
            return int(process.memory_info().rss)
    return None


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    found = GaugeMetricFamily(name, text, labels=[label])
    for each, value in values.items():
        found.add_metric([each], value)
    return found


# --- the server ------------------------------------------------------------------------------------------------------


class _Figures(Collector):
    """Reads the figures for each scrape; nothing is counted between two."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """The figures of this moment."""
        return self._health.metrics()


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_SECONDS

    def log_message(self, *_: Any) -> None:
        """A probe every few seconds would fill the log."""


class Server(ThreadingMixIn, WSGIServer):
    """Serves the health of an app from a thread of its own, until `close`.

    Raises:
        OSError: If the address cannot be listened at.
    """

    daemon_threads = True

    def __init__(self, address: str, health: Health) -> None:
        host, port = host_and_port(address)
        if ":" in host:
            self.address_family = AF_INET6
        super().__init__((host, port), _Handler)
        self.set_app(_app(health))
        threading.Thread(target=self.serve_forever, name="echo health server", daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """Whoever hung up does not miss an answer."""
        logger.debug("a request for the health of the app was not answered", exc_info=True)

    def close(self) -> None:
        """Answer no longer."""
        self.shutdown()
        self.server_close()


def serve(address: str, engine: Callable[[], Engine]) -> Server | None:
    """Serve the health of the app at an address such as 127.0.0.1:9100, and start its engine.

    An address that cannot be used, as one that is taken, is logged: an app that cannot be watched still serves.
    """
    try:
        server = Server(address, Health(engine))
    except OSError as error:
        logger.error("ECHO_HEALTH_ADDRESS=%s cannot be used: %s. The app runs without it.", address, error.strerror)
        return None
    logger.info("health at http://%s: /live, /ready and /metrics", address)
    return server


def _app(health: Health) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(health))
    ProcessCollector(registry=registry)
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/live":
                status, line = "200 OK", "live"
            case "/ready":
                why_not = health.why_not_ready()
                status, line = ("503 Service Unavailable", why_not) if why_not else ("200 OK", "ready")
            case "/metrics":
                return list(metrics(environ, start_response))
            case _:
                status, line = "404 Not Found", "try /live, /ready or /metrics"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{line}\n".encode()]

    return answer
