"""The engine: submit a config, wait for it, stop it. Without Streamlit and without TensorFlow.

    with Engine() as engine:
        run_id = engine.submit(RunConfig())
        engine.wait(run_id)  # -> State.FINISHED
        engine.store.runs.get(run_id).evaluation

Behind it are the store, worker processes that train, and two threads: the dispatcher gives runs to workers, and the
keeper renews the holds of everybody who is connected.
"""

import atexit
import logging
import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Self

from echo_core.config import RunConfig
from echo_core.forecast import ends, waits
from echo_core.records import Checkpoint, State
from echo_core.settings import LimitExceeded, Limits, QueueFull, Settings
from echo_core.store import RunRow, Store, extended_config
from echo_core.store.errors import Trouble, trouble_of
from echo_core.text.plurals import counted, duration
from echo_core.workers import worker
from echo_core.workers.cluster import has_ended
from echo_core.workers.dispatcher import Dispatcher
from echo_core.workers.errands import Busy

__all__ = ["Busy", "Engine"]

logger = logging.getLogger(__name__)

#: Seconds between two sweeps, between two renewals of holders, and between two checks of the store's size.
SWEEP_SECONDS = 2.0
RENEW_SECONDS = 5.0
TIDY_SECONDS = 30.0
#: Seconds for which the caller of a short task waits for a free worker.
ERRAND_SECONDS = 60.0
#: Seconds after an outage of the store in which nothing is swept, so that workers and holders can renew themselves.
SPARED_SECONDS = 5.0
#: Seconds for which a page waits for a locked store. After them the visitor reads that the store is busy.
LOCKED_SECONDS = 5.0
#: Seconds between two polls of `wait`.
WAIT_SECONDS = 0.05


class Engine:
    """Runs, and the workers that train them. It can be used after milliseconds; workers start in the background.

    Scripts that use it need `if __name__ == "__main__":`, because worker processes import them.

    Attributes:
        trouble: What is wrong with the store, as the keeper met it: one that can be read may still refuse to write.
        own_holder: Who holds the runs that this engine itself asks for.
        loss: A message about lost runs, if the store was emptied or replaced while this engine had it open; or "".
    Args:
        settings: The store and the workers; by default from the environment.
        limits: Limits of a run and of the queue; by default from the environment.
    Raises:
        StoreError: If the store cannot be opened.
    """

    def __init__(self, settings: Settings | None = None, limits: Limits | None = None) -> None:
        self.settings = settings or Settings()
        self._limits = limits or Limits()
        self.store = Store(self.settings.database_url, patience=LOCKED_SECONDS)
        self.trouble: Trouble | None = None
        self.loss, self._losses_reported = "", 0
        self.own_holder = f"engine-{uuid.uuid4().hex}"
        self._connected = Counter([self.own_holder])
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._close_first: list[Callable[[], None]] = []
        self.dispatcher = Dispatcher(self.store, self.settings, self._limits)
        self._keeper = threading.Thread(target=self._keep, name="echo keeper", daemon=True)
        self._keeper.start()
        for notice in self.settings.notices:
            logger.warning("%s", notice)
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def limits(self) -> Limits:
        """The limits of this host, including the memory of one worker: in a Dask cluster, of its smallest one."""
        is_remote = self.settings.dask_scheduler_address is not None
        return self._limits.within(self.dispatcher.remote_mb if is_remote else self.settings.share_mb)

    def submit(self, config: RunConfig, session: str | None = None, holder: str | None = None,
               again: bool = False, background: bool = False) -> str:
        """Ask for a run and return its `run_id`; see `Queue.request` for what each state does with it.

        Args:
            session: Who asks, for a fair queue and one's share of it; by default the holder.
            holder: Who keeps the run going while connected; by default this engine, until it closes.
            again: Whether to train a finished run again, from nothing.
            background: Whether a study asks: the run waits behind those of people, and no limit of the queue holds,
                as a study has only a few runs in it. On a hosted copy those of an hour and of space do.
        Raises:
            LimitExceeded: If this host does not allow the config, or too many runs wait (`QueueFull`).
        """
        self.limits.check(config)
        run = self.store.runs.get(config.run_id)
        if run and self.is_used_up(run):
            raise LimitExceeded(f"a run may train for {counted(self.limits.max_seconds, 'second')} on this host "
                                "(ECHO_MAX_SECONDS), and this one has. Try fewer epochs, or run your own copy.")
        # A program with an engine is no visitor.
        share = self.limits.share(self.settings.hosted, background) if holder else None
        most = None if background else self.limits.max_queue
        holder = holder or self.own_holder
        session = session or holder
        try:
            run_id = self.store.queue.request(config, session, holder, most, again, share, background)
        except QueueFull as error:
            raise QueueFull(f"{error} {self._when_to_come_back(error, session)}") from None
        self.dispatcher.wake()
        return run_id

    def is_used_up(self, run: RunRow) -> bool:
        """Whether a paused run has trained for as long as this host allows."""
        return run.state is State.PAUSED and run.seconds > self.limits.max_seconds

    def study_refusal(self, holder: str) -> str | None:
        """Why a holder gets no more runs of a study for now, and when to come back; None if they do."""
        try:
            self.limits.share(self.settings.hosted, of_study=True).check(self.store.queue.use(holder))
        except QueueFull as error:
            return f"{error} {self._when_to_come_back(error, holder)}"
        except LimitExceeded as error:
            return str(error)
        return None

    def _when_to_come_back(self, error: QueueFull, session: str) -> str:
        """When there will be room: when one of these runs starts or ends, or any run if there are none."""
        seconds = error.seconds
        if seconds is None:
            times = ends(self.store, self.num_workers) if error.then == QueueFull.ENDS else {
                run_id: wait.seconds for run_id, wait in waits(self.store, self.num_workers).items()}
            active = self.store.runs.active()
            mine = [at for run_id, at in times.items() if run_id in active and active[run_id].session == session]
            seconds = min(mine or times.values(), default=0.0)
        about = "a moment" if seconds < 2 else f"about {duration(seconds)}"
        return f"Try again in {about}: {error.then}."

    def extend(self, run_id: str, epochs: int, session: str | None = None, holder: str | None = None) -> str:
        """Ask for a run of `epochs` in total that begins where this one ends, and return its `run_id`, a new one.

        Raises:
            KeyError: If the store does not know the run.
            ValueError: If its rate depends on `epochs`, or it has trained as many already; `LimitExceeded` as `submit`.
        """
        run = self.store.runs.get(run_id)
        if run is None:
            raise KeyError(f"run_id must be a run of the store at {self.store}; received {run_id!r}.")
        return self.submit(extended_config(run, epochs), session, holder)

    def wait(self, run_id: str, timeout: float | None = None) -> State:
        """Wait until a run is neither queued nor running, at most `timeout` seconds, and return its state.

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
            holder: Who asks. If this holder and another one who is connected hold the run, it goes on for the other;
                on a hosted copy also if only others hold it. None always stops it.
        Returns:
            Whether the run stops.
        """
        return self.store.queue.stop(run_id, holder, only_own=self.settings.hosted)

    def keras_file(self, run_id: str, stateful: bool = False, timeout: float = ERRAND_SECONDS) -> bytes:
        """A run's network as a `.keras` file. A worker makes it; on a local cluster even while it trains.

        Args:
            stateful: See `models.keras_file`.
        Raises:
            Busy: If no worker had time for it within `timeout` seconds.
            LookupError: If the store has no weights of the run.
        """
        made: bytes = self.dispatcher.ask(worker.keras_file_of, self.store.url, run_id, stateful, timeout=timeout)
        return made

    def moment(self, run_id: str, epoch: int, timeout: float = ERRAND_SECONDS) -> Checkpoint:
        """The weights of a run as they were after some epochs, trained again up to there by a worker.

        Args:
            epoch: From 0, the untrained network, to the run's last one.
        Raises:
            Busy: If no worker had them in time.
            LookupError: If the store does not have the run.
            ValueError: If the run has no such epoch.
        """
        found: Checkpoint = self.dispatcher.ask(worker.moment_of, self.store.url, run_id, epoch, timeout=timeout)
        return found

    def compile_ahead(self, config: RunConfig) -> None:
        """Have an idle worker compile a network that may be asked for soon.

        Nothing happens on a remote cluster, if memory is short, or if `ECHO_COMPILE_AHEAD` is false.
        """
        wanted = self.settings.compile_ahead and self.settings.has_spare_memory
        if wanted and self.settings.dask_scheduler_address is None:
            self.dispatcher.compile_ahead(config.network)

    def connect(self, holder: str) -> None:
        """Count a holder as connected until as many calls of `disconnect`: two tabs connect twice."""
        with self._lock:
            self._connected[holder] += 1

    def disconnect(self, holder: str) -> None:
        """Undo one `connect`. The runs of a holder who has left go on for `ECHO_UNWATCHED_SECONDS`."""
        with self._lock:
            self._connected[holder] -= 1
            if self._connected[holder] <= 0:
                del self._connected[holder]

    @property
    def num_workers(self) -> int:
        """Runs that train at one time: on a remote cluster as many as it has workers now, at least one."""
        if self.settings.dask_scheduler_address is not None:
            return max(1, len(list(self.dispatcher.roster)))
        return self.settings.num_at_once

    @property
    def holders(self) -> list[str]:
        """Everybody who is connected, with this engine."""
        with self._lock:
            return list(self._connected)

    @property
    def num_connected(self) -> int:
        """Open pages, each of which reads the store: connected holders other than this engine."""
        with self._lock:
            return sum(self._connected.values()) - 1

    def status(self) -> str:
        """`starting`, `warming` (runs can be submitted, and wait), `ready`, or a sentence that says what is wrong."""
        return self.dispatcher.status

    def on_close(self, act: Callable[[], None]) -> None:
        """Have `close` call this first: whoever uses this engine from a thread of their own ends it then."""
        self._close_first.append(act)

    def close(self) -> None:
        """End all threads and processes that it started, in a few seconds. Local runs pause at a checkpoint."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        atexit.unregister(self.close)
        for act in self._close_first:
            act()
        self.dispatcher.close()
        self._keeper.join()
        self.store.close()

    def _keep(self) -> None:
        """Renew connected holders, sweep runs that lost their worker or holders, and keep the store within its size."""
        renewed_at = tidied_at = spared_until = -math.inf
        looked_at, is_away, began = time.time(), False, time.monotonic()
        # At least four times in `unwatched_seconds`, or a short limit would pause runs that are held.
        often = self.settings.unwatched_seconds / 4
        while not self._closing.wait(min(SWEEP_SECONDS, often)):
            # After the machine slept or the store was away, all heartbeats and holders are old and need time to renew.
            has_slept = time.time() - looked_at > 3 * SWEEP_SECONDS
            is_spared = has_slept or time.monotonic() < spared_until
            looked_at = time.time()
            try:
                if is_spared or time.monotonic() - renewed_at >= min(RENEW_SECONDS, often):
                    self.store.queue.renew(self.holders)
                    renewed_at = time.monotonic()
                if not is_spared:
                    # After a restart pages need time to reconnect, so nobody counts as gone until then.
                    has_waited = time.monotonic() - began > self.settings.unwatched_seconds
                    unwatched_seconds = self.settings.unwatched_seconds if has_waited else math.inf
                    self.store.upkeep.sweep(unwatched_seconds, has_ended=has_ended)
                if time.monotonic() - tidied_at >= TIDY_SECONDS:
                    self.store.upkeep.purge()
                    self.store.upkeep.evict(self.settings.store_mb * 2**20)
                    if self.settings.hosted:
                        self.store.upkeep.evict_shares(self._limits.max_mb_per_visitor * 2**20)
                    tidied_at = time.monotonic()
                self._note_losses()
                is_away, self.trouble = False, self.store.database.shortage()
            except Exception as error:
                self.trouble = trouble_of(error)
                if not is_away:
                    logger.warning("the store did not answer the keeper", exc_info=True)
                is_away, spared_until = True, time.monotonic() + SPARED_SECONDS

    def _note_losses(self) -> None:
        if (losses := self.store.database.losses) == self._losses_reported:
            return
        self._losses_reported, now = losses, time.strftime("%H:%M UTC", time.gmtime())
        loss = (f"The store was emptied while Echo Lab ran: the runs from before {now} are gone. "
                "New runs are kept as always." if not self.store.runs.newest(limit=1) else
                f"Another store was put in the place of the one in use: runs from before {now} are gone, unless "
                "they are in it.")
        logger.error("%s (%s)", loss, self.store)
        self.loss = loss
