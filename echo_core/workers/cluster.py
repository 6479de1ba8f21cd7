"""The worker processes: a local Dask cluster that this module starts, or a remote one that somebody else runs.

All calls of Dask, and its configuration, are here. The dispatcher decides which worker does what.
"""

import asyncio
import atexit
import logging
import multiprocessing
import os
import re
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from echo_core import machine
from echo_core.settings import OTHERS_MB, Settings
from echo_core.workers.own_folder import is_alive, make_own_folder, remove_leftovers
from echo_core.workers.process import NUMPY_THREADS, ONE_HEAP, environment

logger = logging.getLogger(__name__)

#: Seconds that a worker's process has to end by itself, and a new one to start.
END_SECONDS = 0.5
RESTART_SECONDS = 60.0
#: One thread for a worker's run, and one for short tasks and compiling ahead.
THREADS_PER_WORKER = 2

#: Dask's configuration, set for this whole process, because workers that start later read it too.
#: - The sampling profiler takes time from the training thread, and the default ticks (50 a second) take 2 % of a core
#:   from an idle app.
#: - `worker-ttl` would end a worker for good after five minutes without processor time.
#: - `lost-worker-timeout` would give up a lost worker that is just being replaced once more when the time is over.
#:   `Cluster.revive` starts workers again instead.
#: `connect` also replaces `pre-spawn-environ`: its defaults allow one thread for everything, and return memory to the
#: system at each `free`, which makes compiling a third slower.
DASK_CONFIG: Mapping[str, Any] = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.deploy.lost-worker-timeout": "1000 days",
}

#: Parts of Dask that are left out of its scheduler and workers. `spans` is a record of all tasks that there ever were,
#: 5 KB for each, which is never cleared.
LEFT_OUT = ("spans", "stealing")


class Cluster:
    """Worker processes, by the addresses at which Dask reaches them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self.local: Any = None
        self._folder: Path | None = None

    @property
    def is_connected(self) -> bool:
        """Whether `connect` has succeeded. Dask gives up a remote scheduler that is away for half a minute."""
        return self._client is not None and self._client.status not in ("closing", "closed")

    def connect(self, on_exit: Callable[[], None]) -> None:
        """Start the processes of a local cluster, or connect to a remote one.

        Args:
            on_exit: Called when Python ends, before Dask's own hook, which ends the workers.
        Raises:
            Exception: If the cluster at `DASK_SCHEDULER_ADDRESS` cannot be reached, or no process can be started.
        """
        import dask  # late, as it takes a third of a second and the app's first page does not need it
        from distributed import Client, LocalCluster, Security, scheduler, worker

        atexit.register(on_exit)
        settings = self._settings
        if settings.dask_scheduler_address is not None:
            self._client = Client(settings.dask_scheduler_address, set_as_default=False, name="echo")
            return
        try:
            multiprocessing.get_context("spawn").Lock()  # or Dask fails in a long chain of errors
        except OSError as error:
            raise OSError("processes share locks in /dev/shm, which this user must be able to write to") from error
        logging.getLogger("distributed").setLevel(logging.ERROR)  # it would log each start and end
        dask.config.set({**DASK_CONFIG, "distributed.nanny.pre-spawn-environ": {**NUMPY_THREADS, **ONE_HEAP}})
        # A client that can send a task can run any code as the app's user. So clients need a key, which is made for
        # this cluster and kept in memory, and other users of the machine cannot read the files that workers write.
        self._folder = make_own_folder()
        self.local = LocalCluster(
            security=Security.temporary(), local_directory=str(self._folder), n_workers=settings.num_workers,
            threads_per_worker=THREADS_PER_WORKER, processes=True, memory_limit=0, host="127.0.0.1",
            dashboard_address=None, silence_logs=logging.CRITICAL,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0", "dashboard": False,
                              "extensions": _needed(scheduler.DEFAULT_EXTENSIONS)},
            extensions=_needed(worker.DEFAULT_EXTENSIONS),
            env={**environment(settings), "ECHO_SPIN": str(settings.workers_spin).lower()})
        self._client = Client(self.local, set_as_default=False, name="echo")

    def workers(self) -> Mapping[str, Mapping[str, Any]]:
        """The scheduler's information about each worker, by its address.

        `local_directory` distinguishes a process from an earlier one at the same address, `last_seen` is in seconds
        since 1970, and a worker without a `nanny` cannot be restarted.
        """
        # Not `scheduler_info`: another coroutine of the client may just have replaced it by totals without workers.
        everything = self._client.sync(self._client.scheduler.identity, n_workers=-1)
        found: Mapping[str, Mapping[str, Any]] = everything["workers"]
        return found

    def pids(self) -> dict[str, int]:
        """The processes of a local cluster's workers by the workers' names, which stay when a process is replaced."""
        nannies = list(self.local.workers.items()) if self.local is not None else []
        return {str(name): pid for name, nanny in nannies if (pid := nanny.pid)}

    def tasks(self) -> Mapping[str, Sequence[str]]:
        """The keys of the tasks, of any app, that each worker of a remote cluster still has; {} for a local cluster."""
        if self.local is not None:
            return {}
        found: Mapping[str, Sequence[str]] = self._client.processing()
        return found

    def submit(self, address: str, key: str, function: Callable[..., Any], *args: Any) -> Any:
        """Have one worker call a function; returns a Dask future."""
        return self._client.submit(function, *args, key=key, pure=False, workers=[address], allow_other_workers=False)

    def restart(self, address: str) -> None:
        """Replace a worker's process and wait until the new one has started."""
        self._client.restart_workers([address], timeout=RESTART_SECONDS)

    def grow(self, num_workers: int, worker_mb: float) -> bool:
        """Grow to `num_workers`, if memory suffices for all, of `worker_mb` each, and for one more at this moment.

        Returns:
            Whether it did.
        """
        has_room = (OTHERS_MB + num_workers * worker_mb <= self._settings.memory_mb
                    and worker_mb * 2**20 <= machine.memory_free())
        if has_room:
            self.local.scale(num_workers)
        return has_room

    def revive(self) -> None:
        """Restart local workers that Dask has given up, for example because memory did not suffice for a process."""
        if self.local is None:
            return
        for name, nanny in list(self.local.workers.items()):
            if nanny.status.name in ("closed", "failed"):
                logger.warning("worker %s was given up by Dask and is started again", name)
                self.local.workers.pop(name, None)
                self.local.scale(len(self.local.worker_spec))

    def close(self) -> None:
        """End a local cluster and all its processes. A remote one goes on."""
        if self.local is not None:
            with suppress(Exception):  # runs are in the store, and a worker that still compiles is not waited for
                self.local.sync(_end, list(self.local.workers.values()))
        for resource in (self._client, self.local):
            if resource is not None:
                try:
                    resource.close(timeout=5)
                except Exception:
                    logger.warning("the cluster did not close", exc_info=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            remove_leftovers()  # of workers that were busy and had to be killed


def _needed(extensions: Mapping[str, type]) -> dict[str, type]:
    return {name: extension for name, extension in extensions.items() if name not in LEFT_OUT}


async def _end(nannies: list[Any]) -> None:
    await asyncio.gather(*(nanny.close(timeout=END_SECONDS) for nanny in nannies), return_exceptions=True)


def local_name(address: str) -> str:
    """The name in the store of a local cluster's worker: it contains machine and app, with which the worker ends."""
    return f"{socket.gethostname()} {os.getpid()} {address}"


def has_ended(name: str) -> bool:
    """Whether this is the `local_name` of a worker whose app ran on this machine and has ended.

    A container may share its host's name but not its processes, so a caller must also check the heartbeat.
    """
    found = re.fullmatch(rf"{re.escape(socket.gethostname())} (\d+) \S+", name)
    return found is not None and not is_alive(int(found[1]))
