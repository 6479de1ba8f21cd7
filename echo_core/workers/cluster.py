"""The worker processes: a Dask cluster of our own on this machine, or somebody else's.

What Dask is used for, and how it is set up for that, is all here. Which worker does what is the dispatcher's.
"""

import asyncio
import atexit
import logging
import os
import re
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from echo_core import machine
from echo_core.settings import Settings
from echo_core.workers.own_folder import is_alive, make_own_folder, remove_leftovers
from echo_core.workers.process import NUMPY_THREADS, environment

logger = logging.getLogger(__name__)

#: A worker's process gets so long to end by itself.
END_SECONDS = 0.5
RESTART_SECONDS = 60.0
#: One for what a worker was asked to do, and one to compile ahead meanwhile.
THREADS_PER_WORKER = 2
#: Memory that is left to the app and the system before one worker more is started.
OTHERS_MB = 1500

#: Dask as we need it, in this process from its first cluster on: what holds for the start alone, later workers lack.
#: Its sampling profiler costs the training thread time, its ticks (50 a second) cost an idle app 2 % of a core, and
#: what it would set in a worker's environment before that begins (one thread for everything, and memory that goes back
#: to the system with each `free`, which makes compiling a third slower) is for other programs than ours: NumPy's
#: threads are all that has to be said so early. A worker that is starved for
#: five minutes would end for good. So long after each loss of a worker it looks whether that one is back, and if it
#: happens to be replaced once more just then, gives it up for good. We look ourselves: `Cluster.revive`.
DASK_CONFIG: Mapping[str, Any] = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.deploy.lost-worker-timeout": "1000 days",
}


class Cluster:
    """Worker processes, by the addresses at which Dask reaches them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self.local: Any = None
        self._folder: Path | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there are workers to speak to."""
        return self._client is not None

    def connect(self, on_exit: Callable[[], None]) -> None:
        """Start the processes, or find somebody else's.

        Args:
            on_exit: Called when Python ends, before Dask's own hook, which would take the workers away from under us.
        Raises:
            Exception: If the cluster at `DASK_SCHEDULER_ADDRESS` cannot be reached, or no process be started.
        """
        import dask  # here, as it takes a third of a second and the app's first page does not need it
        from distributed import Client, LocalCluster, Security

        atexit.register(on_exit)
        settings = self._settings
        if settings.dask_scheduler_address is not None:
            self._client = Client(settings.dask_scheduler_address, set_as_default=False, name="echo")
            return
        logging.getLogger("distributed").setLevel(logging.ERROR)  # or it tells of each start and end
        dask.config.set({**DASK_CONFIG, "distributed.nanny.pre-spawn-environ": dict(NUMPY_THREADS)})
        # A client that can send a task runs code as the app's user, so clients need a key that is made for this
        # cluster and kept in memory. Other users of the machine cannot read the files that workers write.
        self._folder = make_own_folder()
        self.local = LocalCluster(
            security=Security.temporary(), local_directory=str(self._folder), n_workers=settings.num_workers,
            threads_per_worker=THREADS_PER_WORKER, processes=True, memory_limit=0, host="127.0.0.1",
            dashboard_address=None, silence_logs=logging.CRITICAL,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0", "dashboard": False}, env=environment(settings))
        self._client = Client(self.local, set_as_default=False, name="echo")

    def workers(self) -> Mapping[str, Mapping[str, Any]]:
        """What the scheduler knows of each worker, by its address.

        `local_directory` tells a process from another one that got its address, `last_seen` is in seconds
        since 1970, and without a `nanny` it cannot be restarted.
        """
        # Not `scheduler_info`: that reads what another of the client's coroutines may just have
        # replaced by totals without workers.
        everything = self._client.sync(self._client.scheduler.identity, n_workers=-1)
        found: Mapping[str, Mapping[str, Any]] = everything["workers"]
        return found

    def tasks(self) -> Mapping[str, Sequence[str]]:
        """The keys of what each worker of somebody else's cluster still has to do, for whichever app; none of ours."""
        if self.local is not None:
            return {}
        found: Mapping[str, Sequence[str]] = self._client.processing()
        return found

    def submit(self, address: str, key: str, function: Callable[..., Any], *args: Any) -> Any:
        """Have one worker do something; a Dask future."""
        return self._client.submit(function, *args, key=key, pure=False, workers=[address], allow_other_workers=False)

    def restart(self, address: str) -> None:
        """Replace a worker's process and wait until the new one is there."""
        self._client.restart_workers([address], timeout=RESTART_SECONDS)

    def grow(self, num_workers: int, worker_mb: float) -> bool:
        """Start more workers of `worker_mb` each, if there is memory for all and for one more now; whether there is."""
        has_room = (OTHERS_MB + num_workers * worker_mb <= self._settings.memory_mb
                    and worker_mb * 2**20 <= machine.memory_free())
        if has_room:
            self.local.scale(num_workers)
        return has_room

    def revive(self) -> None:
        """Start a local worker anew that Dask has given up, as where the memory did not suffice for its process."""
        if self.local is None:
            return
        for name, nanny in list(self.local.workers.items()):
            if nanny.status.name in ("closed", "failed"):
                logger.warning("worker %s was given up, and is started anew", name)
                self.local.workers.pop(name, None)
                self.local.scale(len(self.local.worker_spec))

    def close(self) -> None:
        """End a local cluster and all its processes. A remote one goes on."""
        if self.local is not None:
            with suppress(Exception):  # their runs are in the store. One that still compiles is not waited for
                self.local.sync(_end, list(self.local.workers.values()))
        for resource in (self._client, self.local):
            if resource is not None:
                try:
                    resource.close(timeout=5)
                except Exception:
                    logger.warning("the cluster did not close", exc_info=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            remove_leftovers()  # of workers that were still busy, and so were killed


async def _end(nannies: list[Any]) -> None:
    await asyncio.gather(*(nanny.close(timeout=END_SECONDS) for nanny in nannies), return_exceptions=True)


def local_name(address: str) -> str:
    """What a worker of a local cluster is called in the store: by machine and app, with which it ends."""
    return f"{socket.gethostname()} {os.getpid()} {address}"


def has_ended(name: str) -> bool:
    """Whether `local_name` gave it for an app of this machine that is there no more.

    A container that shares its host's name does not share its processes: who asks has heard nothing of the worker
    for a while as well.
    """
    found = re.fullmatch(rf"{re.escape(socket.gethostname())} (\d+) \S+", name)
    return found is not None and not is_alive(int(found[1]))
