"""One attempt at a run: training whose records go to the store, in a worker process or in the command line's own.

A thread of its own keeps the run's heartbeat and looks for a Stop, because compiling keeps the training thread busy
for seconds.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from math import inf
from typing import ParamSpec, Self, TypeVar

from echo_core.config import RunConfig
from echo_core.config.sizes import flops_per_window
from echo_core.records import Checkpoint, Diverged, Progress
from echo_core.settings import Settings
from echo_core.store import OUTAGES, Signal, Start, Store, Superseded, Ticket
from echo_core.store.errors import one_line
from echo_core.store.upkeep import unwatched_reason
from echo_core.text.plurals import counted
from echo_core.workers.process import give_way, prepare
from echo_core.workers.xla_cache import mend_cache

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds between two looks for a Stop, and between two heartbeats.
LOOK_SECONDS = 0.1
BEAT_SECONDS = 1.0
#: Seconds that a Stop waits for the training thread's next record. After that the run pauses without it.
GRACE_SECONDS = 0.4
#: Seconds after which a holder in this process is renewed.
HOLD_EVERY_SECONDS = 5.0
#: Least seconds between two checkpoints; it is 20 times the duration of the last write if that is longer.
CHECKPOINT_SECONDS = 10.0
#: Seconds for which a write is repeated while the store cannot be reached or written to; training waits meanwhile.
OUTAGE_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
#: Seconds after an outage of the store in which holders can renew themselves before the run counts as unwatched.
SPARED_SECONDS = 5.0
#: A stopped run is evaluated too if that takes at most this many floating-point operations.
CHEAP_FLOPS = 2e10


def drain(store: Store, ticket: Ticket, *, threads: int, unwatched_seconds: float = inf, max_seconds: float = inf,
          holder: str | None = None, in_worker: bool = False) -> Generator[Progress]:
    """Train until the attempt is finished, paused or superseded; write each record to the store, then yield it.

    The store has the outcome. Closing the generator, or Ctrl-C, pauses the run at its newest record. While the store
    cannot be written to, training waits.

    Args:
        threads: Threads of this training; kept with the run, because its last bits depend on them.
        unwatched_seconds: The run pauses once no holder of it was seen for these seconds.
        max_seconds: The run pauses once its attempts have trained for these seconds together.
        holder: A holder that is renewed while the run trains.
        in_worker: Whether to make this process a worker first. The heartbeat begins before that.
    Raises:
        Diverged: After the run was marked failed; its last good weights are kept.
        Exception: Whatever training raised, after the run was marked failed; or one of `OUTAGES`, after the store was
            away for `OUTAGE_SECONDS`.
    """
    with _Pulse(store, ticket, unwatched_seconds, holder) as pulse:
        try:
            begun = patiently(store.attempts.start, ticket, threads)
            if in_worker:
                prepare()
            _check_version(ticket, begun.config)
            yield from _train(store, ticket, begun, pulse, max_seconds, in_worker)
        except Superseded as end:
            logger.info("%s", end)
        except OUTAGES:
            # Nothing can be written. The engine finds the run by its old heartbeat, and queues it again.
            logger.exception("run %s is given up, as the store is away for too long", ticket.run_id)
            raise
        except Diverged as error:
            logger.info("run %s: %s", ticket.run_id, error)
            with suppress(Superseded):
                patiently(store.attempts.fail, ticket, str(error), error.checkpoint)
            raise
        except Exception as error:
            logger.exception("run %s failed", ticket.run_id)
            with suppress(Superseded):
                patiently(store.attempts.fail, ticket, reason_of(error))
            raise
        except BaseException:
            with suppress(Superseded, *OUTAGES):
                store.attempts.pause(ticket, pulse.checkpoint)
            raise


def _check_version(ticket: Ticket, config: RunConfig) -> None:
    """Raise ValueError if a run was begun by a version of the training that gives its settings other weights."""
    if config.run_id != ticket.run_id:
        raise ValueError(f"this run was begun by another version of the training; here its settings are run "
                         f"{config.run_id}. Try Train with these settings.")


def patiently(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that writes to the store, and repeat it for `OUTAGE_SECONDS` while the store is away.

    It must be idempotent: a write may have succeeded although its confirmation was lost.
    """
    deadline, pause = time.monotonic() + OUTAGE_SECONDS, FIRST_PAUSE_SECONDS
    while True:
        try:
            return action(*args, **kwargs)
        except OUTAGES as error:
            if time.monotonic() + pause > deadline:
                raise
            if pause == FIRST_PAUSE_SECONDS:
                logger.warning("training waits for the store (%s)", reason_of(error))
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def records_of(config: RunConfig, checkpoint: Checkpoint | None = None,
               until: int | None = None) -> Iterator[Progress]:
    """The records of `echo_core.training.train`, also where a compiled program on disk is damaged or cannot be kept."""
    from echo_core.training import train

    newest = checkpoint
    try:
        for progress in train(config, checkpoint, until):
            newest = progress.checkpoint
            yield progress
    except Diverged:
        raise
    except Exception as error:
        from echo_core import training

        if not isinstance(error, training.PROGRAM_ERRORS) or not mend_cache(Settings()):
            raise
        training.compiled_epochs.cache_clear()
        yield from (progress for progress in train(config, newest, until)
                    if newest is None or progress.epoch > newest.epoch)


def reason_of(error: BaseException) -> str:
    """An error in one line that any database can keep: `ValueError: units must be …`."""
    line = one_line(error).encode(errors="replace").decode().replace("\0", "?")
    return f"{type(error).__name__}: {line}"[:500]


def _train(store: Store, ticket: Ticket, begun: Start, pulse: "_Pulse", max_seconds: float,
           in_worker: bool) -> Iterator[Progress]:
    from echo_core.evaluation import evaluate

    config, checkpoint = begun.config, begun.checkpoint
    resumed_at = checkpoint.epoch if checkpoint else -1
    saver = _Saver(store, ticket)
    if in_worker and checkpoint:  # nobody waits for the first record of a resumed run
        give_way()
    for progress in records_of(config, checkpoint):
        progress = progress.after(begun.seconds)
        fresh = progress.epoch > resumed_at  # resumed at its start or end, a run repeats its checkpoint's record
        if fresh:
            patiently(store.attempts.append, ticket, progress)
        pulse.checkpoint = checkpoint = progress.checkpoint
        if in_worker:
            give_way()
        if fresh:
            yield progress
        if progress.epoch >= config.epochs:
            continue
        if pulse.wants_pause and patiently(pulse.pause):
            if flops_per_window(config) * 2000 < CHEAP_FLOPS:
                patiently(store.attempts.save_score, ticket, evaluate(config, checkpoint.weights))
            return
        if progress.seconds > max_seconds:
            patiently(store.attempts.pause, ticket, checkpoint, f"This host trains a run for at most "
                                                       f"{counted(max_seconds, 'second')} (ECHO_MAX_SECONDS).")
            return
        patiently(saver.save_if_due, checkpoint)
    assert checkpoint is not None
    pulse.is_over = True
    patiently(store.attempts.finish, ticket, checkpoint, evaluate(config, checkpoint.weights))


class _Saver:
    """Writes checkpoints, at most one in `CHECKPOINT_SECONDS`."""

    def __init__(self, store: Store, ticket: Ticket) -> None:
        self._store, self._ticket = store, ticket
        self._due_at = time.monotonic() + CHECKPOINT_SECONDS

    def save_if_due(self, checkpoint: Checkpoint) -> None:
        started = time.monotonic()
        if started < self._due_at:
            return
        self._store.attempts.save_checkpoint(self._ticket, checkpoint)
        ended = time.monotonic()
        self._due_at = ended + max(CHECKPOINT_SECONDS, 20 * (ended - started))


class _Pulse:
    """The heartbeat of an attempt, in a thread of its own, which also pauses the run when the training thread is busy.

    Attributes:
        checkpoint: The newest one, set by the training thread; the run is paused at it.
        is_over: Whether all epochs are trained, so that a Stop has nothing left to do.
    """

    def __init__(self, store: Store, ticket: Ticket, unwatched_seconds: float, holder: str | None) -> None:
        self.checkpoint: Checkpoint | None = None
        self.is_over = False
        self._store, self._ticket, self._holder = store, ticket, holder
        self._unwatched_seconds = unwatched_seconds
        self._signal = Signal.GO_ON
        self._beaten_at = self._held_at = self._spared_until = -inf
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep_on, name=f"pulse of {ticket.run_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    @property
    def wants_pause(self) -> bool:
        """Whether the run shall stop, or is no longer watched."""
        return self._signal in (Signal.STOP, Signal.UNWATCHED)

    def pause(self) -> bool:
        """Pause at the newest checkpoint unless the Stop was withdrawn; whether it paused. Raises `Superseded`."""
        reason = unwatched_reason(self._unwatched_seconds) if self._signal is Signal.UNWATCHED else None
        return self._store.attempts.pause(self._ticket, self.checkpoint, reason, if_signalled=True,
                                 unwatched_seconds=self._unwatched_seconds)

    def _keep_on(self) -> None:
        is_away = False
        while self._signal is not Signal.SUPERSEDED and not self._closed.wait(LOOK_SECONDS):
            try:
                self._look()
                is_away = False
            except Superseded:
                return
            except Exception:
                if not is_away:
                    logger.warning("the pulse of run %s cannot reach the store", self._ticket.run_id, exc_info=True)
                is_away, self._spared_until = True, time.monotonic() + SPARED_SECONDS

    def _look(self) -> None:
        now = time.monotonic()
        beats = now - self._beaten_at >= BEAT_SECONDS
        unwatched_seconds = self._unwatched_seconds if now >= self._spared_until else inf
        self._signal = self._store.attempts.beat(self._ticket, unwatched_seconds, write=beats)
        if beats:
            self._beaten_at = now
        if self._signal is Signal.SUPERSEDED:
            return
        if self._holder is not None and now - self._held_at >= HOLD_EVERY_SECONDS:
            self._store.queue.renew([self._holder])
            self._held_at = now
        # The training thread usually sees the Stop first, and pauses at a newer record.
        if self.wants_pause and not self.is_over and not self._closed.wait(GRACE_SECONDS) and not self.is_over:
            self.pause()
