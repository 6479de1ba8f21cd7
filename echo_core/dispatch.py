"""The dispatcher: workers of a Dask cluster, local or remote, and runs of the store's queue, brought together.

Each worker has at most one task of ours, pinned to it, and a run is claimed in the store only when
its worker is free. Where there is memory to spare, a local cluster has one worker more than train at a
time: it stands by, warm, while another's process is replaced. Dask's own queue is not used: it hands
tasks to busy workers, blames a killed worker on all that wait there, and repeats tasks whose futures
are held.
"""

import atexit
import concurrent.futures
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from echo_core import worker
from echo_core.cluster import Cluster, local_name
from echo_core.config import TRAINING_VERSION, RunConfig
from echo_core.records import State
from echo_core.settings import Limits, Settings
from echo_core.store import OUTAGES, Store, Superseded, Ticket

logger = logging.getLogger(__name__)

#: How often the dispatcher looks round, unless a run was submitted or a task ended.
TICK_SECONDS = 0.25
#: A page that is being drawn gets so long before the workers start.
HEAD_START_SECONDS = 1.0
#: Runs of a local cluster get so long to pause when the engine closes.
PAUSE_SECONDS = 2.0
#: The result of a task that is done is there at once, unless its worker was lost in this moment.
RESULT_SECONDS = 0.5
#: The dispatcher adds its word that a run lives so often, as long as its worker was heard within a minute.
VOUCH_SECONDS = 5.0
HEARD_SECONDS = 60.0
#: A worker that takes more memory than it should is restarted once another stands by, or it was idle
#: for so long. One that takes a little more is restarted before its next run, as compiling takes
#: another 150 MB for a while. The other one is started when a worker comes near that.
REST_SECONDS = 10.0
SOON_TOO_MUCH, FAR_TOO_MUCH = 0.85, 1.05
#: A cluster that could not be reached is tried again after so long, and a worker that was refused is asked again.
RETRY_SECONDS = 5.0
#: Whoever moves a control may move another one: a network is compiled ahead once it was wanted for so long.
SETTLED_SECONDS = 0.4
ASK_AGAIN_SECONDS = 30.0


class Busy(Exception):
    """No worker was free for an errand in time."""


@dataclass(eq=False)
class _Errand:
    """Something short that a page wants of a worker: it comes before runs, and is not kept in the store."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    result: concurrent.futures.Future[Any] = field(default_factory=concurrent.futures.Future)


@dataclass(eq=False)
class _Worker:
    """A worker process as the dispatcher knows it.

    Attributes:
        process: Tells it from another one that got the same address.
        future: Its task, if it has one; `ticket` is the run's if the task trains, and `errand` what a page asked for.
        steps: Of the warm-up, done.
        memory: Bytes that its process took after its last task.
        used_at: When its last run ended, or it began to compile ahead.
        ahead: Its other task, if it has one: to compile a network that may be wanted soon.
        foreseen: The network that it was to compile ahead last.
        is_greeted: It was asked whether it shares our store and training version; `refusal` says why not.
        refused_at: When it was asked last.
    """

    address: str
    process: str
    future: Any = None
    ticket: Ticket | None = None
    errand: _Errand | None = None
    steps: int = 0
    memory: int = 0
    used_at: float | None = None
    ahead: Any = None
    foreseen: RunConfig | None = None
    is_greeted: bool = False
    is_restarting: bool = False
    refusal: str | None = None
    refused_at: float = 0.0

    @property
    def is_warm(self) -> bool:
        return self.used_at is not None or self.steps == len(worker.WARM_UP_STEPS)


class Dispatcher:
    """A thread that starts the cluster, warms its workers, gives them runs, and replaces lost ones."""

    def __init__(self, store: Store, settings: Settings, limits: Limits) -> None:
        self._store, self._settings, self._limits = store, settings, limits
        self._workers: dict[str, _Worker] = {}
        self._problem: str | None = None
        self._cluster = Cluster(settings)
        self._vouched_at = -VOUCH_SECONDS
        self._standby_decided = False
        self._errands: deque[_Errand] = deque()
        self._wanted: tuple[RunConfig, float] | None = None  # to be compiled ahead, and since when
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="echo dispatcher", daemon=True)
        self._thread.start()

    @property
    def status(self) -> str:
        """`starting`, `warming`, `ready`, or what is wrong."""
        workers = list(self._workers.values())
        refusals = [found.refusal for found in workers if found.refusal]
        if self._problem is not None:
            return self._problem
        if refusals and len(refusals) == len(workers):
            return refusals[0]
        if not workers:
            return "starting"
        return "ready" if any(found.is_warm for found in workers) else "warming"

    def wake(self) -> None:
        """Look at the queue at once."""
        self._wake.set()

    def compile_ahead(self, network: RunConfig) -> None:
        """Have a network compiled once no run wants the processor, unless another one is wanted soon after."""
        if self._wanted is None or self._wanted[0] != network:
            self._wanted = network, time.monotonic()

    def ask(self, function: Callable[..., Any], *args: Any, timeout: float) -> Any:
        """Have the next free worker do something, and wait for what comes of it.

        Raises:
            Busy: If it was not done within `timeout` seconds.
            Exception: What the function raised.
        """
        errand = _Errand(function, args)
        self._errands.append(errand)
        self._wake.set()
        try:
            return errand.result.result(timeout)
        except concurrent.futures.TimeoutError:
            errand.result.cancel()
            raise Busy("all workers are training. Try again in a moment.") from None

    def close(self) -> None:
        """Pause what runs on a local cluster, and end its processes. A remote cluster goes on."""
        atexit.unregister(self.close)
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        # Whoever made the engine may be drawing a first page. It has the processor for a moment,
        # unless there is work already, or the end has come; both wake this thread.
        self._wake.wait(HEAD_START_SECONDS)
        while not self._cluster.is_connected and not self._closing.is_set():
            try:
                self._cluster.connect(on_exit=self.close)
            except Exception as error:
                logger.exception("the workers could not be started")
                self._problem = f"The workers could not be started ({worker.reason_of(error)})."
                self._closing.wait(RETRY_SECONDS)
        while not self._closing.is_set():
            self._look_round()
            self._wake.wait(TICK_SECONDS)
            self._wake.clear()
        if not self._is_remote:
            with _told("the runs could not be paused"):
                self._pause_all([found.ticket for found in self._workers.values() if found.ticket])
        self._cluster.close()

    @property
    def _is_remote(self) -> bool:
        return self._settings.dask_scheduler_address is not None

    def _pause_all(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            if self._is_under_way(ticket):
                self._store.stop(ticket.run_id)
        deadline = time.monotonic() + PAUSE_SECONDS
        while any(map(self._is_under_way, tickets)) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _is_under_way(self, ticket: Ticket) -> bool:
        run = self._store.run(ticket.run_id)
        return run is not None and run.state is State.RUNNING and run.attempt == ticket.attempt

    # --- one look round ------------------------------------------------------------------------

    def _look_round(self) -> None:
        try:
            found, tasks = self._cluster.workers(), self._cluster.tasks()
            self._meet(found)
            self._vouch(found)
            for each in self._last_used_first():
                if each.ahead is not None and each.ahead.done():
                    self._settle_ahead(each)
                if each.future is not None and each.future.done():
                    self._settle(each)
                if each.refusal is not None and time.monotonic() - each.refused_at > ASK_AGAIN_SECONDS:
                    each.is_greeted = False  # its disk may be mounted by now
                is_refused = each.refusal is not None and each.is_greeted
                # A run would wait behind what another app wants of the worker, while a free one could have it.
                is_free = each.future is None and not each.is_restarting and not tasks.get(each.address)
                if is_free and not is_refused:
                    self._employ(each, found[each.address])
            self._compile_ahead()
            self._stand_by()
            self._cluster.revive()
            self._problem = None
        except Exception as error:
            problem = f"Runs cannot be handed out at the moment ({worker.reason_of(error)})."
            if problem != self._problem:
                logger.exception("the dispatcher stumbled and goes on trying")
            self._problem = problem

    def _last_used_first(self) -> list[_Worker]:
        """Who was used last comes first: it has programs ready, and the standby has none."""
        return sorted(self._workers.values(), key=lambda each: each.used_at or 0, reverse=True)

    def _meet(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Note who is new, and take back the runs of who is gone."""
        for known in list(self._workers.values()):
            info = found.get(known.address)
            if info is None or info["local_directory"] != known.process:
                for future in filter(None, (known.future, known.ahead)):
                    future.release()  # or Dask would repeat it as well
                if known.errand is not None:
                    self._errands.appendleft(known.errand)
                if known.ticket is not None:
                    logger.warning("the worker of run %s was lost", known.ticket.run_id)
                    self._store.lose(known.ticket)
                del self._workers[known.address]
        for address, info in found.items():
            if address not in self._workers:
                self._workers[address] = _Worker(address, info["local_directory"], is_greeted=not self._is_remote)

    def _vouch(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Renew the heartbeat of runs whose worker is there but too busy to, as while it imports on a busy machine."""
        if time.monotonic() - self._vouched_at < VOUCH_SECONDS:
            return
        for each in self._workers.values():
            if each.ticket is not None and time.time() - found[each.address]["last_seen"] < HEARD_SECONDS:
                self._store.beat(each.ticket)
        self._vouched_at = time.monotonic()

    def _settle(self, done: _Worker) -> None:
        """Take note that a worker's task has ended, and forget it."""
        future = done.future
        error = future.exception() if future.status == "error" else None
        if done.ticket is not None:
            # Of a store that was away for too long the run is not to blame: it goes on from its checkpoint.
            if error is not None and not isinstance(error, OUTAGES):
                with suppress(Superseded):
                    self._store.fail(done.ticket, worker.reason_of(error))
            self._store.lose(done.ticket)  # nothing happens if it ended as it should
            done.used_at = time.monotonic()
        elif done.errand is not None:
            if not done.errand.result.cancelled():
                _tell(done.errand.result, future, error)
        elif not done.is_greeted:
            why = f"its workers cannot run Echo Lab: {worker.reason_of(error)}" if error else future.result()
            refusal = why and f"The cluster at {self._settings.dask_scheduler_address} is refused: {why}."
            if refusal and refusal != done.refusal:
                logger.error("%s", refusal)
            done.refusal, done.refused_at, done.is_greeted = refusal, time.monotonic(), True
        else:
            if error is not None:
                logger.error("a worker could not warm up: %s", worker.reason_of(error))
            done.steps += 1
        with suppress(Exception):  # a worker that has just been lost takes its word with it
            if error is None and isinstance(memory := future.result(timeout=RESULT_SECONDS), int):
                done.memory = memory
        future.release()
        done.future = done.ticket = done.errand = None

    def _compile_ahead(self) -> None:
        """While nothing trains, have the worker that the next run will get compile what it may well want."""
        is_at_work = any(each.ticket or each.ahead for each in self._workers.values())
        if self._wanted is None or is_at_work or time.monotonic() - self._wanted[1] < SETTLED_SECONDS:
            return
        network = self._wanted[0]
        for each in self._last_used_first():
            if each.is_warm and each.future is None and not each.is_restarting:
                if each.foreseen != network:
                    key = f"ahead-{uuid.uuid4().hex}"
                    each.ahead = self._cluster.submit(each.address, key, worker.compile_ahead, network)
                    each.foreseen, each.used_at = network, time.monotonic()
                self._wanted = None
                return

    def _settle_ahead(self, done: _Worker) -> None:
        """Take note of what a worker's process takes now. What went wrong, a run of that network will say."""
        with suppress(Exception):
            done.memory = done.ahead.result(timeout=RESULT_SECONDS)
        done.ahead.release()
        done.ahead = None

    def _employ(self, idle: _Worker, info: Mapping[str, Any]) -> None:
        """Give an idle worker what is most urgent: a greeting, a restart, a run, or a step of its warm-up."""
        if not idle.is_greeted:
            token = self._store.leave_token()
            self._submit(idle, f"greet-{token}", worker.shake_hands, self._store.url, token, TRAINING_VERSION)
        elif info.get("nanny") and self._should_restart(idle):
            self._restart(idle)
        elif (errand := self._next_errand()) is not None:
            idle.errand = errand
            self._submit(idle, f"errand-{uuid.uuid4().hex}", errand.function, *errand.args)
        elif self._may_train() and (ticket := self._store.claim(self._name_of(idle))) is not None:
            try:
                self._submit(idle, f"run-{ticket.run_id}-{ticket.attempt}", worker.execute, self._store.url, *ticket,
                             self._settings.unwatched_seconds, float(self._limits.max_seconds))
            except BaseException:
                self._store.lose(ticket)
                raise
            idle.ticket = ticket
        elif idle.steps < len(worker.WARM_UP_STEPS):
            self._submit(idle, f"warm-{idle.process}-{idle.steps}", worker.warm_up, idle.steps)

    def _next_errand(self) -> _Errand | None:
        while self._errands:
            if not (errand := self._errands.popleft()).result.cancelled():
                return errand
        return None

    def _may_train(self) -> bool:
        """Whether one more run may train now: a local cluster's standby waits for its turn."""
        num_training = sum(each.ticket is not None for each in self._workers.values())
        return self._is_remote or num_training < self._settings.num_workers

    def _should_restart(self, idle: _Worker) -> bool:
        """Whether an idle worker takes too much memory, and it is a good moment. A new one never does."""
        if idle.used_at is None or idle.ahead is not None:
            return False
        share = self._memory_share(idle)
        is_replaced = sum(each.is_warm and each.future is None and not each.is_restarting
                          for each in self._workers.values()) > self._settings.num_workers
        rested = time.monotonic() - idle.used_at >= REST_SECONDS
        return share > FAR_TOO_MUCH or (share > 1 and (is_replaced or rested))

    def _stand_by(self) -> None:
        """Start one worker more in good time before one has to be replaced, where the machine has memory for it."""
        if self._is_remote or self._standby_decided or not self._settings.standby:
            return
        if any(self._memory_share(each) > SOON_TOO_MUCH for each in self._workers.values()):
            self._cluster.grow(self._settings.num_workers + 1, FAR_TOO_MUCH * self._settings.worker_mb)
            self._standby_decided = True

    def _memory_share(self, known: _Worker) -> float:
        """The memory of a worker's process as a share of what it may take."""
        return known.memory / (self._settings.worker_mb * 2**20)

    def _submit(self, to: _Worker, key: str, function: Any, *args: Any) -> None:
        to.future = self._cluster.submit(to.address, key, function, *args)
        to.future.add_done_callback(lambda _: self._wake.set())

    def _restart(self, known: _Worker) -> None:
        """Replace a worker's process, in a thread of its own: it takes a second, and others wait for runs."""
        def restart() -> None:
            with _told("a worker could not be restarted", unless=self._closing):
                self._cluster.restart(known.address)
            known.is_restarting = False

        known.is_restarting = True
        threading.Thread(target=restart, name="echo restart", daemon=True).start()

    def _name_of(self, known: _Worker) -> str:
        """The worker's name in the store: on a remote cluster all apps know it by the same one."""
        return known.address if self._is_remote else local_name(known.address)


def _tell(result: concurrent.futures.Future[Any], future: Any, error: BaseException | None) -> None:
    """Hand on what came of an errand."""
    try:
        found = error or future.result(timeout=RESULT_SECONDS)
    except Exception as lost:  # with its worker
        error = found = lost
    with suppress(concurrent.futures.InvalidStateError):  # whoever asked has gone meanwhile
        result.set_exception(error) if error is not None else result.set_result(found)


@contextmanager
def _told(what: str, unless: threading.Event | None = None) -> Iterator[None]:
    """Go on after an error that only the log needs to know of, and not even that when all ends anyway."""
    try:
        yield
    except Exception:
        if unless is None or not unless.is_set():
            logger.warning("%s", what, exc_info=True)
