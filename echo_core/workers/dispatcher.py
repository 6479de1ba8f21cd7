"""The dispatcher gives runs of the store's queue to workers of a Dask cluster, local or remote.

Each worker has at most one run of ours, pinned to it, and a run is claimed in the store only when its worker is free.
A worker of a local cluster has a second thread for a short task: it makes a file, or compiles a network ahead. With
enough memory a local cluster gets one worker more, the standby, which takes the next run while another's process is
replaced, or while a core is free. Dask's own queue is not used: it hands tasks to busy workers, blames a killed worker
on all tasks that wait there, and repeats tasks whose futures are held.
"""

import atexit
import concurrent.futures
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from echo_core.config import TRAINING_VERSION, RunConfig
from echo_core.records import State
from echo_core.settings import Limits, Settings
from echo_core.store import OUTAGES, Store, Superseded, Ticket
from echo_core.store.errors import without_secrets
from echo_core.workers import worker
from echo_core.workers.attempt import reason_of
from echo_core.workers.cluster import Cluster, local_name
from echo_core.workers.errands import RESULT_SECONDS, Busy, Errand, Errands
from echo_core.workers.roster import Entry, Roster

logger = logging.getLogger(__name__)

#: Seconds between two rounds of the dispatcher, unless a run was submitted or a task ended.
TICK_SECONDS = 0.25
#: Seconds before the workers start, so that a first page can be drawn meanwhile.
HEAD_START_SECONDS = 1.0
#: Seconds that runs of a local cluster have to pause when the engine closes.
PAUSE_SECONDS = 2.0
#: Seconds between two heartbeats that the dispatcher adds for a run whose worker Dask heard in the last HEARD_SECONDS.
VOUCH_SECONDS = 5.0
HEARD_SECONDS = 60.0
#: Seconds until the dispatcher tries again to reach a cluster.
RETRY_SECONDS = 5.0
#: Seconds that a page's controls stand still before their network is compiled ahead: they may move again.
SETTLED_SECONDS = 0.4
#: Seconds until a worker that was refused is asked again.
ASK_AGAIN_SECONDS = 30.0
#: Seconds after which workers are usually ready, and the shortest wait that an early visitor is asked for.
START_SECONDS, LEAST_SECONDS = 20.0, 5.0
#: Processes in a row that are replaced at once when TensorFlow cannot be loaded in them; later ones wait for
#: ASK_AGAIN_SECONDS, as the installation itself may be broken.
PROMPT_REPLACEMENTS = 2


class Dispatcher:
    """A thread that starts the cluster, warms its workers, gives them runs, and replaces lost ones.

    Attributes:
        remote_mb: Megabytes of the smallest worker of a remote cluster, by Dask's limit, or None where it has none.
    """

    def __init__(self, store: Store, settings: Settings, limits: Limits) -> None:
        self._store, self.settings, self._limits = store, settings, limits
        self.roster = Roster(settings)
        self._problem: str | None = None
        self.cluster = Cluster(settings)
        self._vouched_at = -VOUCH_SECONDS
        self._began_at = time.monotonic()
        self._num_replaced = 0  # processes in a row that were replaced because TensorFlow could not be loaded
        self.remote_mb: int | None = None
        self._has_standby = False
        self.errands = Errands()
        # The network to be compiled ahead, and when a page first asked; only pages write it.
        self._wanted: tuple[RunConfig, float] | None = None
        self._granted: tuple[RunConfig, float] | None = None  # the last one done; only this object's thread writes it
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="echo dispatcher", daemon=True)
        self._thread.start()

    @property
    def status(self) -> str:
        """`starting`, `warming`, `ready`, or what is wrong."""
        return self._problem or self.roster.status

    def wake(self) -> None:
        """Start the next round at once."""
        self._wake.set()

    def compile_ahead(self, network: RunConfig) -> None:
        """Compile a network once no run needs the processor. Only the newest request is kept."""
        if self._wanted is None or self._wanted[0] != network:
            self._wanted = network, time.monotonic()

    def ask(self, function: Callable[..., Any], *args: Any, timeout: float) -> Any:
        """Have a worker call a function that takes a moment, and return its result.

        Raises:
            Busy: If it was not done within `timeout` seconds.
            Exception: What the function raised.
        """
        errand = Errand(function, args)
        self.errands.append(errand)
        self._wake.set()
        try:
            return errand.result.result(timeout)
        except concurrent.futures.TimeoutError:
            errand.result.cancel()
            raise Busy(self._why_busy()) from None

    def _why_busy(self) -> str:
        if self.status not in ("starting", "warming", "ready"):
            return self.status
        if any(each.is_loaded and not each.is_refused for each in self.roster):
            return "all workers are training. Try again in a moment."
        left = max(LEAST_SECONDS, START_SECONDS - (time.monotonic() - self._began_at))
        return f"the workers are still starting. Try again in about {left:.0f} seconds."

    def close(self) -> None:
        """Pause what runs on a local cluster, and end its processes. A remote cluster goes on."""
        atexit.unregister(self.close)
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        # The app that made the engine may be drawing its first page, which needs the processor. A run that is
        # submitted, or the engine's closing, ends the wait.
        self._wake.wait(HEAD_START_SECONDS)
        while not self._closing.is_set():
            if self.cluster.is_connected or self._connect():
                self._look_round()
                self._wake.wait(TICK_SECONDS)
                self._wake.clear()
            else:
                self._closing.wait(RETRY_SECONDS)
        if not self._is_remote:
            try:
                self._pause_all([each.ticket for each in self.roster if each.ticket])
            except Exception:
                logger.warning("the runs could not be paused", exc_info=True)
        self.cluster.close()

    def _connect(self) -> bool:
        """Start the cluster or reach it, at first and after Dask has given up a scheduler that was away."""
        try:
            self.cluster.connect(on_exit=self.close)
        except Exception as error:
            problem = f"The workers could not be started ({reason_of(error)})."
            if problem != self._problem:
                logger.exception("the workers could not be started; the app goes on trying")
            self._problem = problem
        return self.cluster.is_connected

    @property
    def _is_remote(self) -> bool:
        return self.settings.dask_scheduler_address is not None

    def _pause_all(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            if self._is_under_way(ticket):
                self._store.queue.close_down(ticket.run_id)
        deadline = time.monotonic() + PAUSE_SECONDS
        while any(map(self._is_under_way, tickets)) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _is_under_way(self, ticket: Ticket) -> bool:
        run = self._store.runs.get(ticket.run_id)
        return run is not None and run.state is State.RUNNING and run.attempt == ticket.attempt

    # --- one look round ------------------------------------------------------------------------

    def _look_round(self) -> None:
        try:
            found, tasks = self.cluster.workers(), self.cluster.tasks()
            self._meet(found)
            self.remote_mb = min((info["memory_limit"] >> 20 for info in found.values() if info.get("memory_limit")),
                                 default=None)
            self._vouch(found)
            for each in self.roster:
                if each.side_task is not None and each.side_task.done():
                    self._settle_side_task(each)
                if each.future is not None and each.future.done():
                    self.settle(each)
                if each.is_broken:
                    self._replace_broken(each, found[each.address])
                elif each.refusal is not None and time.monotonic() - each.refused_at > ASK_AGAIN_SECONDS:
                    each.is_greeted = False  # ask again: its disk may be mounted by now
            self._run_errands(tasks)
            for each in self.roster.last_used_first():
                # A run would wait here behind another app's task, although another worker may be free for it.
                is_taken = self._is_remote and (tasks.get(each.address) or each.side_task is not None)
                if each.is_free and not each.is_refused and not is_taken:
                    self.employ(each, found[each.address])
            self._compile_ahead()
            self._stand_by()
            self.cluster.revive()
            self._problem = None
        except Exception as error:
            problem = f"Runs cannot be handed out at the moment ({reason_of(error)})."
            if problem != self._problem:
                logger.exception("the dispatcher stumbled and goes on trying")
            self._problem = problem

    def _meet(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Add new workers, and take back the runs and errands of lost ones."""
        for gone in self.roster.lost(found):
            if gone.ticket is not None:
                logger.warning("the worker of run %s was lost", gone.ticket.run_id)
                self._store.queue.lose(gone.ticket)  # first: if the write fails, the next round repeats it
            for future in filter(None, (gone.future, gone.side_task)):
                future.release()  # or Dask would repeat it as well
            if gone.errand is not None:
                self.errands.appendleft(gone.errand)
            self.roster.strike_out(gone)
        self.roster.meet(found, is_remote=self._is_remote)

    def _vouch(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Renew the heartbeat of runs whose worker lives but is too busy for it, as while it imports TensorFlow."""
        if time.monotonic() - self._vouched_at < VOUCH_SECONDS:
            return
        for each in self.roster:
            # The scheduler's clock may differ from ours, so we only look whether its time has changed.
            if (heard := found[each.address]["last_seen"]) != each.last_seen:
                each.last_seen, each.heard_at = heard, time.monotonic()
            if each.ticket is not None and time.monotonic() - each.heard_at < HEARD_SECONDS:
                self._store.attempts.beat(each.ticket)
        self._vouched_at = time.monotonic()

    def settle(self, done: Entry) -> None:
        """Note the outcome of a worker's task that has ended, and release it."""
        future = done.future
        error = future.exception() if future.status == "error" else None
        if done.ticket is not None:
            # After an outage of the store the run has not failed: it goes on from its checkpoint.
            if error is not None and not isinstance(error, OUTAGES):
                logger.error("run %s failed: %s", done.ticket.run_id, reason_of(error))
                with suppress(Superseded):
                    self._store.attempts.fail(done.ticket, reason_of(error))
            self._store.queue.lose(done.ticket)  # does nothing if the attempt has ended in the store
            done.used_at = time.monotonic()
        elif not done.is_greeted:
            why = f"its workers cannot run Echo Lab: {reason_of(error)}" if error else future.result()
            refusal = why and without_secrets(
                f"The cluster at {self.settings.dask_scheduler_address} is refused: {why}.")
            if refusal and refusal != done.refusal:
                logger.error("%s", refusal)
            done.refusal, done.refused_at, done.is_greeted = refusal, time.monotonic(), True
        elif not done.is_loaded:
            self._settle_import(done, error)
        else:
            if error is not None:
                logger.error("a worker could not warm up: %s", reason_of(error))
            done.steps += 1
        with suppress(Exception):  # the result is gone if the worker was lost just now
            if error is None and isinstance(memory := future.result(timeout=RESULT_SECONDS), int):
                done.memory = memory
        future.release()
        done.future = done.ticket = None

    def _settle_import(self, done: Entry, error: BaseException | None) -> None:
        """Note that a worker can train, or replace it: a process in which TensorFlow failed to load never can."""
        if error is None and done.future.status == "finished":
            done.steps, self._num_replaced = 1, 0
        elif error is not None:
            logger.error("a worker cannot train and is replaced: %s", reason_of(error))
            done.is_broken, done.refused_at = True, time.monotonic()
            if self._num_replaced >= PROMPT_REPLACEMENTS:
                done.refusal = "The workers cannot train, because TensorFlow could not be loaded. The log says why."

    def _replace_broken(self, broken: Entry, info: Mapping[str, Any]) -> None:
        if not info.get("nanny"):
            broken.refusal = "A worker cannot train any more, and has to be restarted by hand. Its log says why."
        elif (self._num_replaced < PROMPT_REPLACEMENTS
              or time.monotonic() - broken.refused_at > ASK_AGAIN_SECONDS) and not broken.is_restarting:
            self._num_replaced, broken.refused_at = self._num_replaced + 1, time.monotonic()
            self._restart(broken)

    def _run_errands(self, tasks: Mapping[str, Sequence[str]]) -> None:
        """Give errands to free workers, and to workers of a local cluster beside their run."""
        for each in sorted(self.roster.last_used_first(), key=lambda each: not each.is_free):
            can = each.can_train and each.side_task is None
            is_busy = self._is_remote and (not each.is_free or tasks.get(each.address))
            if can and not is_busy and (errand := self.errands.take()) is not None:
                each.side_task = self._submitted(each, f"errand-{uuid.uuid4().hex}", errand.function, *errand.args)
                each.errand = errand

    def _compile_ahead(self) -> None:
        """While nothing trains, compile the network that pages want in the worker that the next run will get."""
        wanted = self._wanted
        if wanted is None or wanted is self._granted or any(each.ticket or each.side_task for each in self.roster):
            return
        network, since = wanted
        if time.monotonic() - since < SETTLED_SECONDS:
            return
        for each in self.roster.last_used_first():
            if each.is_warm and each.is_free:
                if each.compiled_ahead != network:
                    each.side_task = self._submitted(each, f"ahead-{uuid.uuid4().hex}", worker.compile_ahead, network)
                    each.compiled_ahead, each.used_at = network, time.monotonic()
                self._granted = wanted
                return

    def _settle_side_task(self, done: Entry) -> None:
        """Pass on an errand's result. Errors while compiling ahead are dropped; a run of that network reports them."""
        if done.errand is None:
            with suppress(Exception):
                done.memory = done.side_task.result(timeout=RESULT_SECONDS)
        else:
            done.errand.settle(done.side_task)
        done.side_task.release()
        done.side_task = done.errand = None

    def employ(self, idle: Entry, info: Mapping[str, Any]) -> None:
        """Give an idle worker what is most urgent: a greeting, the import, a restart, a run, or a warm-up step."""
        # Its name in the store. All apps know a worker of a remote cluster by the same name.
        name = idle.address if self._is_remote else local_name(idle.address)
        if not idle.is_greeted:
            token = self._store.leave_handshake()
            idle.future = self._submitted(
                idle, f"greet-{token}", worker.shake_hands, self._store.url, token, TRAINING_VERSION)
        elif not idle.is_loaded:
            self._warm_up(idle)
        elif info.get("nanny") and self.roster.has_to_restart(idle):
            self._restart(idle)
        elif self._may_train() and (ticket := self._store.queue.claim(name)) is not None:
            try:
                idle.future = self._submitted(
                    idle, f"run-{ticket.run_id}-{ticket.attempt}", worker.execute, self._store.url, *ticket,
                    self.settings.unwatched_seconds, float(self._limits.max_seconds))
            except BaseException:
                self._store.queue.lose(ticket)
                raise
            idle.ticket = ticket
        elif idle.steps < len(worker.WARM_UP_STEPS):
            self._warm_up(idle)

    def _warm_up(self, idle: Entry) -> None:
        idle.future = self._submitted(idle, f"warm-{idle.process}-{idle.steps}", worker.warm_up, idle.steps)

    def _may_train(self) -> bool:
        """Whether one more run may train now: a local cluster's standby waits for its turn, or for a free core."""
        return self._is_remote or sum(each.ticket is not None for each in self.roster) < self.settings.num_at_once

    def _stand_by(self) -> None:
        """Start one worker more where the machine has memory for it: in good time before one has to be replaced, or
        when a run waits for a worker while a core is free."""
        if self._is_remote or self._has_standby or not self.settings.standby:
            return
        is_full = any(self.roster) and all(each.ticket for each in self.roster) and self._may_train()
        if self.roster.will_soon_restart() or (is_full and self._store.queue.order()):
            self._has_standby = self.cluster.grow(self.settings.num_workers + 1, self.settings.most_mb)

    def _submitted(self, to: Entry, key: str, function: Any, *args: Any) -> Any:
        """The Dask future of a worker's new task, which wakes this thread when it ends."""
        future = self.cluster.submit(to.address, key, function, *args)
        future.add_done_callback(lambda _: self._wake.set())
        return future

    def _restart(self, known: Entry) -> None:
        """Replace a worker's process, in a thread of its own: it takes a second, and others wait for runs."""
        def restart() -> None:
            try:
                self.cluster.restart(known.address)
            except Exception:
                if not self._closing.is_set():
                    logger.warning("a worker could not be restarted", exc_info=True)
                known.is_restarting = False  # otherwise it is gone, and will be struck out

        known.is_restarting = True
        threading.Thread(target=restart, name="echo restart", daemon=True).start()
