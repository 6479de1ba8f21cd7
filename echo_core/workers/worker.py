"""Training a run into the store: what a worker process, and the command line in its own, does.

The stream of records goes to the store as it comes. Beside it a thread of its own keeps the run's
heartbeat and looks for a Stop, because compiling keeps the training thread busy for seconds.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice
from math import inf
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from echo_core.config import TRAINING_VERSION, RunConfig
from echo_core.config.presets import PRESETS
from echo_core.records import Checkpoint, Diverged, Floats, Progress
from echo_core.settings import Settings
from echo_core.store import OUTAGES, Begun, Signal, Store, StoreError, Superseded, Ticket
from echo_core.store.errors import without_secrets
from echo_core.store.queue import unwatched_reason
from echo_core.text.plurals import counted
from echo_core.workers.process import give_way, in_fresh_thread, load_training, memory_left, prepare, take_idle_time
from echo_core.workers.xla_cache import leave_cache, make_room, remove_damaged

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: How often a worker looks for a Stop, and says that it lives.
LOOK_SECONDS = 0.1
BEAT_SECONDS = 1.0
#: A Stop waits so long for the training thread's next record. Then the run pauses without it.
GRACE_SECONDS = 0.4
#: A holder in the worker's own process is renewed so often.
HOLD_SECONDS = 5.0
#: A checkpoint is written at most so often, and at most every 20 times what writing one took.
CHECKPOINT_SECONDS = 10.0
#: A write is tried again for so long where the store cannot be reached or written to; training waits meanwhile.
PATIENCE_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
#: After the store was away its holders are old, and get so long to be renewed before the run counts as unwatched.
SPARED_SECONDS = 5.0
#: A stopped run is judged as well if that takes no longer than this many operations.
CHEAP_FLOPS = 2e10
#: What a new worker does before its first run, one small task each: import, then compile the first presets.
WARM_UP_STEPS = ("import", "whole", "partial", "quick")


def drain(store: Store, ticket: Ticket, *, threads: int, unwatched_seconds: float = inf, max_seconds: float = inf,
          holder: str | None = None, in_worker: bool = False) -> Generator[Progress]:
    """Train an attempt into the store until it is finished, paused or superseded, yielding each record.

    How it ended is in the store. Closing the generator, or Ctrl-C, pauses the run at its newest record. Where the
    store cannot be written to, training waits for it.

    Args:
        threads: Kept with the run, as its last bits depend on it.
        unwatched_seconds: Pause when nobody who holds the run was seen for so long.
        max_seconds: Pause after so much training over all attempts.
        holder: Renewed as long as this goes on.
        in_worker: Make this process a worker first, while the pulse goes on already.
    Raises:
        Diverged: After the run was marked failed, with its last good weights kept.
        Exception: What training raised, after the run was marked failed; or one of `OUTAGES`, when the store was
            away for `PATIENCE_SECONDS`.
    """
    with _Pulse(store, ticket, unwatched_seconds, holder) as pulse:
        try:
            begun = patiently(store.begin, ticket, threads)
            if in_worker:
                prepare()
            yield from _train(store, ticket, begun, pulse, max_seconds, in_worker)
        except Superseded as end:
            logger.info("%s", end)
        except OUTAGES:
            # Nothing can be written. Whoever finds the run, by its old heartbeat or otherwise, lets it go on.
            logger.exception("run %s is given up, as the store is away for too long", ticket.run_id)
            raise
        except Diverged as error:
            logger.info("run %s: %s", ticket.run_id, error)
            with suppress(Superseded):
                patiently(store.fail, ticket, str(error), error.checkpoint)
            raise
        except Exception as error:
            logger.exception("run %s failed", ticket.run_id)
            with suppress(Superseded):
                patiently(store.fail, ticket, reason_of(error))
            raise
        except BaseException:
            with suppress(Superseded, *OUTAGES):
                store.pause(ticket, pulse.checkpoint)
            raise


def patiently(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do something with the store, again and again for a while where it cannot be reached or written to.

    Done twice it must come to the same: what gets lost may be just the news that it was done.
    """
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, FIRST_PAUSE_SECONDS
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


def records_of(config: RunConfig, checkpoint: Checkpoint | None = None) -> Iterator[Progress]:
    """What `echo_core.training.train` yields, going on with fresh programs where those on disk are damaged.

    Nor does a run fail because its program cannot be kept: then it goes on without.
    """
    from echo_core.training import train

    newest = checkpoint
    try:
        for progress in train(config, checkpoint):
            newest = progress.checkpoint
            yield progress
    except Diverged:
        raise
    except Exception:
        settings = Settings()
        if not remove_damaged(settings) and not leave_cache(settings):
            raise
        from echo_core.training import compiled_epochs

        compiled_epochs.cache_clear()
        yield from (progress for progress in train(config, newest) if newest is None or progress.epoch > newest.epoch)


def execute(store_url: str, run_id: str, attempt: int, unwatched_seconds: float, max_seconds: float) -> int:
    """Train an attempt into the store, in a worker process; the memory that the process takes after it.

    The engine submits it by reference.
    """
    return in_fresh_thread(_execute, store_url, run_id, attempt, unwatched_seconds, max_seconds)


def _execute(store_url: str, run_id: str, attempt: int, unwatched_seconds: float, max_seconds: float) -> int:
    store, ticket, settings = patiently(Store, store_url, create=False), Ticket(run_id, attempt), Settings()
    try:
        for _ in drain(store, ticket, threads=settings.threads, unwatched_seconds=unwatched_seconds,
                       max_seconds=max_seconds, in_worker=True):
            pass
    except Exception:
        # The store knows of it, and the log. If not, the engine has to hear it.
        if store.beat(ticket, write=False) is not Signal.SUPERSEDED:
            raise
    finally:
        store.close()
        make_room(settings)
    return memory_left()


def warm_up(step: int, is_awaited: bool) -> int:
    """One of `WARM_UP_STEPS`, in a worker process: the fewer things a first run has to wait for. Its memory then.

    Args:
        is_awaited: A run may have to wait for it. Else it takes only time that those which train leave.
    """
    prepare(is_awaited)
    if step > 0:
        in_fresh_thread(_compile, PRESETS[WARM_UP_STEPS[step]].config, is_awaited)
    return memory_left()


def _compile(config: RunConfig, is_awaited: bool) -> None:
    give_way() if is_awaited else take_idle_time()
    for _ in islice(records_of(config), 2):
        pass


def compile_ahead(config: RunConfig) -> int:
    """In a worker process, beside whatever it does: compile a network that may be wanted soon. Its memory then."""
    in_fresh_thread(_compile_ahead, config)
    return memory_left()


def _compile_ahead(config: RunConfig) -> None:
    from echo_core import training

    training.compile_ahead(config, give_way)


def keras_file(config: RunConfig, weights: Sequence[Floats], stateful: bool = False) -> bytes:
    """A network as a `.keras` file, in a worker process or in the command line's: it takes Keras.

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        stateful: See `models.keras_file`.
    """
    load_training(Settings())
    from echo_core import models

    return models.keras_file(config, weights, stateful)


def keras_file_of(store_url: str, run_id: str, stateful: bool = False) -> bytes:
    """The newest weights of a run as a `.keras` file, in a worker process. For `stateful` see `models.keras_file`.

    Raises:
        LookupError: If the store has no weights of it.
    """
    with closing(Store(store_url, create=False)) as store:
        run, checkpoint = store.run(run_id), store.checkpoint(run_id)
    if run is None or checkpoint is None:
        raise LookupError(f"run {run_id} has no weights in the store.")
    return keras_file(run.config, checkpoint.weights, stateful)


def shake_hands(store_url: str, token: str, training_version: int) -> str | None:
    """In a worker process: why it cannot serve an app that uses this store and version, or None."""
    if training_version != TRAINING_VERSION:
        return (f"its workers train by version {TRAINING_VERSION} and this app by version {training_version}, which "
                "give different weights. Install the same version on both")
    advice = "Set DATABASE_URL to one that both reach, such as PostgreSQL"
    try:
        store = Store(store_url, create=False)
    except StoreError as error:
        return f"its workers cannot open the app's store ({error}) {advice}"
    try:
        return None if store.take_token(token) else f"its workers see another store than the app. {advice}"
    except OUTAGES as error:
        return f"its workers cannot write to the app's store ({reason_of(error)}). {advice}"
    finally:
        store.close()


def reason_of(error: BaseException) -> str:
    """An error in one line that any database can keep: `ValueError: units must be …`."""
    said = str(getattr(error, "orig", None) or error)  # of SQLAlchemy's what the database said, without the statement
    line = without_secrets(" ".join(said.split())).encode(errors="replace").decode().replace("\0", "?")
    return f"{type(error).__name__}: {line}"[:500]


def _train(store: Store, ticket: Ticket, begun: Begun, pulse: "_Pulse", max_seconds: float,
           in_worker: bool) -> Iterator[Progress]:
    from echo_core.evaluation import evaluate

    config, checkpoint = begun.config, begun.checkpoint
    resumed_at = checkpoint.epoch if checkpoint else -1
    saver = _Saver(store, ticket)
    if in_worker and checkpoint:  # there is no first record to hurry for
        give_way()
    for progress in records_of(config, checkpoint):
        progress = replace(progress, seconds=begun.seconds + progress.seconds)
        fresh = progress.epoch > resumed_at  # the first record of a resumed run is its checkpoint, and known
        if fresh:
            patiently(store.append, ticket, progress)
        pulse.checkpoint = checkpoint = progress.checkpoint
        if in_worker:
            give_way()
        if fresh:
            yield progress
        if progress.epoch >= config.epochs:
            continue
        if pulse.wants_pause and patiently(pulse.pause):
            if config.flops_per_window * 2000 < CHEAP_FLOPS:
                patiently(store.judge, ticket, evaluate(config, checkpoint.weights))
            return
        if progress.seconds > max_seconds:
            patiently(store.pause, ticket, checkpoint, f"This host trains a run for at most "
                                                       f"{counted(max_seconds, 'second')} (ECHO_MAX_SECONDS).")
            return
        patiently(saver.save_if_due, checkpoint)
    assert checkpoint is not None
    pulse.is_over = True
    patiently(store.finish, ticket, checkpoint, evaluate(config, checkpoint.weights))


class _Saver:
    """Writes checkpoints, but not more often than is worth it."""

    def __init__(self, store: Store, ticket: Ticket) -> None:
        self._store, self._ticket = store, ticket
        self._due_at = time.monotonic() + CHECKPOINT_SECONDS

    def save_if_due(self, checkpoint: Checkpoint) -> None:
        started = time.monotonic()
        if started < self._due_at:
            return
        self._store.save_checkpoint(self._ticket, checkpoint)
        ended = time.monotonic()
        self._due_at = ended + max(CHECKPOINT_SECONDS, 20 * (ended - started))


class _Pulse:
    """The heartbeat of an attempt, in a thread of its own, which also sees to it that Stop is done in time.

    Attributes:
        checkpoint: The newest one, kept up to date by who trains; the run is paused at it.
        is_over: All epochs are trained, so that there is nothing left to stop.
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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._closed.set()
        self._thread.join()

    @property
    def wants_pause(self) -> bool:
        """Whether the run is to stop, or is not watched any more."""
        return self._signal in (Signal.STOP, Signal.UNWATCHED)

    def pause(self) -> bool:
        """Pause at the newest checkpoint, unless Stop was taken back meanwhile. Raises `Superseded`."""
        reason = unwatched_reason(self._unwatched_seconds) if self._signal is Signal.UNWATCHED else None
        return self._store.pause(self._ticket, self.checkpoint, reason, if_signalled=True,
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
        self._signal = self._store.beat(self._ticket, unwatched_seconds, write=beats)
        if beats:
            self._beaten_at = now
        if self._signal is Signal.SUPERSEDED:
            return
        if self._holder is not None and now - self._held_at >= HOLD_SECONDS:
            self._store.renew([self._holder])
            self._held_at = now
        # Usually the training thread comes by in time, and pauses at a newer record.
        if self.wants_pause and not self.is_over and not self._closed.wait(GRACE_SECONDS) and not self.is_over:
            self.pause()
