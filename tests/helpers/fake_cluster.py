"""A cluster whose workers do nothing: the test decides how each of their tasks ends."""

import concurrent.futures
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from echo_core.engine import Engine
from echo_core.settings import Settings
from echo_core.workers import dispatcher


class FakeTask:
    """What `Cluster.submit` returns: the parts of a Dask future that the dispatcher uses."""

    def __init__(self, address: str, key: str, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.address, self.key, self.function, self.args = address, key, function, args
        self._outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()

    @property
    def kind(self) -> str:
        """`warm`, `run`, `errand`, `ahead` or `greet`."""
        return self.key.partition("-")[0]

    @property
    def status(self) -> str:
        if not self._outcome.done():
            return "pending"
        return "error" if self._outcome.exception() else "finished"

    def done(self) -> bool:
        return self._outcome.done()

    def exception(self) -> BaseException | None:
        return self._outcome.exception(0)

    def result(self, timeout: float | None = None) -> Any:
        return self._outcome.result(timeout)

    def release(self) -> None: ...

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._outcome.add_done_callback(lambda _: callback(self))

    def succeed(self, result: Any = None) -> None:
        self._outcome.set_result(result)

    def fail(self, error: BaseException) -> None:
        self._outcome.set_exception(error)


class FakeCluster:
    """Replaces `echo_core.workers.cluster.Cluster`."""

    is_connected = True

    def __init__(self, settings: Settings) -> None:
        self.tasks_given: list[FakeTask] = []
        self.restarted: list[str] = []
        self._numbers = itertools.count()
        self._workers: dict[str, dict[str, Any]] = {}
        self.has_nanny = True
        self.memory_limit = 0

    def start_worker(self, address: str = "w1") -> None:
        """Add a new process; it may replace one that had the same address."""
        self._workers[address] = {"local_directory": f"process {next(self._numbers)}", "last_seen": time.time(),
                                  "nanny": "n1" if self.has_nanny else None, "memory_limit": self.memory_limit}

    def given(self, kind: str) -> list[FakeTask]:
        """The tasks of one kind, in the order of their submission."""
        return [task for task in self.tasks_given if task.kind == kind]

    def connect(self, on_exit: Callable[[], None]) -> None: ...

    def workers(self) -> Mapping[str, Mapping[str, Any]]:
        return dict(self._workers)

    def pids(self) -> dict[str, int]:
        return dict.fromkeys(self._workers, os.getpid())

    def tasks(self) -> Mapping[str, Sequence[str]]:
        return {}

    def submit(self, address: str, key: str, function: Callable[..., Any], *args: Any) -> FakeTask:
        task = FakeTask(address, key, function, args)
        self.tasks_given.append(task)
        return task

    def restart(self, address: str) -> None:
        self.restarted.append(address)
        self.start_worker(address)

    def grow(self, num_workers: int, worker_mb: float) -> bool:
        return False

    def revive(self) -> None: ...

    def close(self) -> None: ...


@contextmanager
def engine_with_fake_workers(store_url: str, **settings: Any) -> Iterator[tuple[Engine, FakeCluster]]:
    """An engine whose dispatcher looks round every few milliseconds, and its cluster without a worker yet."""
    made: list[FakeCluster] = []

    def make(found: Settings) -> FakeCluster:
        made.append(FakeCluster(found))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatcher, "Cluster", make)
        patch.setattr(dispatcher, "HEAD_START_SECONDS", 0.0)
        patch.setattr(dispatcher, "TICK_SECONDS", 0.005)
        patch.setattr(dispatcher, "SETTLED_SECONDS", 0.0)
        patch.setattr(dispatcher, "PAUSE_SECONDS", 0.0)
        with Engine(Settings(DATABASE_URL=store_url, **settings)) as engine:
            yield engine, made[0]
