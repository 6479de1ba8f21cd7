"""The engine: submit a config, wait for it, stop it. Without Streamlit and without TensorFlow.

    with Engine() as engine:
        run_id = engine.submit(RunConfig())
        engine.wait(run_id)  # -> State.FINISHED
        engine.store.runs.get(run_id).evaluation

Behind it are the store, worker processes that train, and two threads: the dispatcher gives runs to
workers, and the keeper says in the store who is still there.
"""

import atexit
import logging
import math
import threading
import time
import uuid
from collections import Counter
from types import TracebackType
from typing import Self

from echo_core.config import RunConfig
from echo_core.records import State
from echo_core.settings import LimitExceeded, Limits, QueueFull, Settings
from echo_core.store import Store, extended_config
from echo_core.store.errors import Trouble, trouble_of
from echo_core.tables import forecast
from echo_core.text.plurals import counted
from echo_core.workers import worker
from echo_core.workers.cluster import has_ended
from echo_core.workers.dispatcher import Dispatcher
from echo_core.workers.errands import Busy

__all__ = ["Busy", "Engine"]

logger = logging.getLogger(__name__)

#: How often runs are swept up, holders renewed, and the store is kept in its bounds.
SWEEP_SECONDS = 2.0
RENEW_SECONDS = 5.0
TIDY_SECONDS = 30.0
#: Who asks for something short waits so long for a worker to be free.
ERRAND_SECONDS = 60.0
#: After the store was away nothing is swept up for so long.
SPARED_SECONDS = 5.0
#: A page, and who pressed something on it, wait so long for a store that is locked.
PATIENCE = 5.0
#: A pause between two looks of `wait`.
WAIT_SECONDS = 0.05


class Engine:
    """Runs, and the workers that train them. It is there in milliseconds; workers start in the background.

    Scripts that use it need `if __name__ == "__main__":`, because worker processes import them.

    Args:
        settings: Where runs are kept and who works; by default from the environment.
        limits: What may be asked; by default from the environment.
    Raises:
        StoreError: If the store cannot be opened.
    """

    def __init__(self, settings: Settings | None = None, limits: Limits | None = None) -> None:
        self.settings = settings or Settings()
        self._limits = limits or Limits()
        self.store = Store(self.settings.database_url, patience=PATIENCE)
        self._trouble: Trouble | None = None
        self._loss, self._losses_told = "", 0
        self._own_holder = f"engine-{uuid.uuid4().hex}"
        self._connected = Counter([self._own_holder])
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.dispatcher = Dispatcher(self.store, self.settings, self._limits)
        self._keeper = threading.Thread(target=self._keep, name="echo keeper", daemon=True)
        self._keeper.start()
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    @property
    def limits(self) -> Limits:
        """The limits of this host, including the memory of one worker: in a Dask cluster, of its smallest one."""
        is_remote = self.settings.dask_scheduler_address is not None
        return self._limits.within(self.dispatcher.remote_mb if is_remote else self.settings.share_mb)

    def submit(self, config: RunConfig, session: str | None = None, holder: str | None = None,
               again: bool = False) -> str:
        """Ask for a run and return its `run_id`; see `Queue.request` for what each state does with it.

        Args:
            session: Who asks, for a fair queue and one's share of it; by default the holder.
            holder: Who keeps the run going while connected; by default this engine, until it closes.
            again: Train a finished run that has lost its weights.
        Raises:
            LimitExceeded: If this host does not allow the config, or too many runs wait (`QueueFull`).
        """
        self.limits.check(config)
        run = self.store.runs.get(config.run_id)
        if run and run.state is State.PAUSED and run.seconds > self.limits.max_seconds:
            raise LimitExceeded(f"a run may train for {counted(self.limits.max_seconds, 'second')} on this host "
                                "(ECHO_MAX_SECONDS), and this one has. Try fewer epochs, or run your own copy.")
        share = self.limits.max_queue_per_visitor if holder else None  # a program with an engine is not a visitor
        holder = holder or self._own_holder
        session = session or holder
        try:
            run_id = self.store.queue.request(config, session, holder, self.limits.max_queue, again, share)
        except QueueFull as error:
            raise QueueFull(f"{error} {self._when_to_come_back(session)}") from None
        self.dispatcher.wake()
        return run_id

    def _when_to_come_back(self, session: str) -> str:
        """When the queue will have room: when one of these runs starts, or any run if there are none."""
        waits, active = forecast(self.store), self.store.runs.active()
        own = [wait.seconds for run_id, wait in waits.items() if run_id in active and active[run_id].session == session]
        seconds = min(own or [wait.seconds for wait in waits.values()], default=0.0)
        about = "a moment" if seconds < 2 else f"about {round(seconds)} seconds" if seconds < 90 else \
            f"about {round(seconds / 60)} minutes"
        return f"Try again in {about}: then the next one begins."

    def extend(self, run_id: str, epochs: int, session: str | None = None, holder: str | None = None) -> str:
        """Ask for a run with `epochs` in all that goes on from where this one is; its `run_id`, another one.

        Raises:
            KeyError: If the store does not know the run.
            ValueError: If `epochs` shapes its steps, or is no more than what it has; `LimitExceeded` as `submit`.
        """
        run = self.store.runs.get(run_id)
        if run is None:
            raise KeyError(f"run_id must be a run of the store at {self.store}; received {run_id!r}.")
        return self.submit(extended_config(run, epochs), session, holder)

    def wait(self, run_id: str, timeout: float | None = None) -> State:
        """Wait until a run is neither queued nor running, at most `timeout` seconds; the state it is in then.

        Raises:
            KeyError: If the store does not know the run.
        """
        deadline = time.monotonic() + timeout if timeout is not None else None
        while True:
            run = self.store.runs.get(run_id)
            if run is None:
                raise KeyError(f"run_id must be a run of the store at {self.store}; received {run_id!r}.")
            if not run.state.is_active or (deadline is not None and time.monotonic() >= deadline):
                return run.state
            time.sleep(WAIT_SECONDS)

    def stop(self, run_id: str, holder: str | None = None) -> bool:
        """Ask a run to pause at a checkpoint, which takes less than a second.

        Args:
            holder: Who asks. If they hold the run and somebody else who is there does too, it goes on
                for them; on a hosted copy also if they do not hold it. Nobody given stops it always.
        Returns:
            Whether the run stops.
        """
        return self.store.queue.stop(run_id, holder, only_own=self.settings.hosted)

    def keras_file(self, run_id: str, stateful: bool = False, timeout: float = ERRAND_SECONDS) -> bytes:
        """A run's network as a `.keras` file, made by a worker, beside its run where it has one.

        Args:
            stateful: See `models.keras_file`.
        Raises:
            Busy: If no worker came to it in time; one of somebody else's cluster ends its run first.
            LookupError: If the store has no weights of it.
        """
        made: bytes = self.dispatcher.ask(worker.keras_file_of, self.store.url, run_id, stateful,
                                            timeout=timeout)
        return made

    def compile_ahead(self, config: RunConfig) -> None:
        """Say that a run of these settings may be asked for soon: an idle worker of this host gets its program ready.

        Nothing happens where the workers are somebody else's, memory is short, or `ECHO_COMPILE_AHEAD` is false.
        """
        wanted = self.settings.compile_ahead and self.settings.has_spare_memory
        if wanted and self.settings.dask_scheduler_address is None:
            self.dispatcher.compile_ahead(config.network)

    def connect(self, holder: str) -> None:
        """Say that a holder is there, until as many calls of `disconnect`: two tabs connect twice."""
        with self._lock:
            self._connected[holder] += 1

    def disconnect(self, holder: str) -> None:
        """Say that a holder has gone. Its runs go on for `ECHO_UNWATCHED_SECONDS`."""
        with self._lock:
            self._connected[holder] -= 1
            if self._connected[holder] <= 0:
                del self._connected[holder]

    @property
    def num_connected(self) -> int:
        """Holders that are there now, this engine aside: pages that look at the store."""
        with self._lock:
            return sum(self._connected.values()) - 1

    def status(self) -> str:
        """`starting`, `warming` (runs can be submitted, and wait), `ready`, or a sentence on what is wrong."""
        return self.dispatcher.status

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong with the store, as the keeper has met it; a store may be read and yet keep nothing."""
        return self._trouble

    @property
    def loss(self) -> str:
        """A message about lost runs, if the store was emptied or replaced while this engine had it open."""
        return self._loss

    def close(self) -> None:
        """End everything that it started, within a few seconds. Runs of a local cluster pause at a checkpoint."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        atexit.unregister(self.close)
        self.dispatcher.close()
        self._keeper.join()
        self.store.close()

    def _keep(self) -> None:
        """Renew the holders that are connected, and sweep up runs that nobody works at or holds."""
        renewed_at = tidied_at = spared_until = -math.inf
        looked_at, is_away, began = time.time(), False, time.monotonic()
        # Where a run that nobody holds is paused soon, who holds one is named often.
        often = self.settings.unwatched_seconds / 4
        while not self._closing.wait(min(SWEEP_SECONDS, often)):
            # After the machine slept, or the store was away, all heartbeats and holders are old. They get a
            # moment to be renewed.
            has_slept = time.time() - looked_at > 3 * SWEEP_SECONDS
            is_spared = has_slept or time.monotonic() < spared_until
            looked_at = time.time()
            try:
                if is_spared or time.monotonic() - renewed_at >= min(RENEW_SECONDS, often):
                    with self._lock:
                        holders = list(self._connected)
                    self.store.queue.renew(holders)
                    renewed_at = time.monotonic()
                if not is_spared:
                    # After a restart pages need a while to come back: until then nobody counts as gone.
                    has_waited = time.monotonic() - began > self.settings.unwatched_seconds
                    unwatched_seconds = self.settings.unwatched_seconds if has_waited else math.inf
                    self.store.upkeep.sweep(unwatched_seconds, has_ended=has_ended)
                if time.monotonic() - tidied_at >= TIDY_SECONDS:
                    self.store.upkeep.purge()
                    self.store.upkeep.evict(self.settings.store_mb * 2**20)
                    tidied_at = time.monotonic()
                self._note_losses()
                is_away, self._trouble = False, self.store.database.shortage()
            except Exception as error:
                self._trouble = trouble_of(error)
                if not is_away:
                    logger.warning("the store did not answer the keeper", exc_info=True)
                is_away, spared_until = True, time.monotonic() + SPARED_SECONDS

    def _note_losses(self) -> None:
        if (losses := self.store.database.losses) == self._losses_told:
            return
        self._losses_told, now = losses, time.strftime("%H:%M UTC", time.gmtime())
        self._loss = (f"The store was emptied while Echo Lab ran: the runs from before {now} are gone. "
                      "New runs are kept as always." if not self.store.runs.newest(limit=1) else
                      f"Another store was put in the place of the one in use: runs from before {now} are gone, unless "
                      "they are in it.")
        logger.error("%s (%s)", self._loss, self.store)
