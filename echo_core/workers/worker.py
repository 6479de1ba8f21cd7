"""The tasks of a worker process: the engine submits these functions by reference. Those that train import it first."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from itertools import islice

from echo_core.config import TRAINING_VERSION, RunConfig
from echo_core.config.presets import PRESETS
from echo_core.records import Checkpoint, Floats
from echo_core.settings import Settings
from echo_core.store import OUTAGES, RunRow, Signal, Store, StoreError, Ticket
from echo_core.workers.attempt import drain, patiently, reason_of, records_of
from echo_core.workers.process import give_way, in_fresh_thread, load_training, memory_left, prepare
from echo_core.workers.xla_cache import make_room

#: What a new worker does before its first run, one small task each: import, then compile the first presets.
WARM_UP_STEPS = ("import", "whole", "partial", "quick")


def execute(store_url: str, run_id: str, attempt: int, unwatched_seconds: float, max_seconds: float) -> int:
    """Train an attempt into the store, in a worker process; the bytes of memory that the process takes afterwards."""
    return in_fresh_thread(_execute, store_url, run_id, attempt, unwatched_seconds, max_seconds)


def _execute(store_url: str, run_id: str, attempt: int, unwatched_seconds: float, max_seconds: float) -> int:
    store, ticket, settings = patiently(_store_at, store_url), Ticket(run_id, attempt), Settings()
    try:
        for _ in drain(store, ticket, threads=settings.threads, unwatched_seconds=unwatched_seconds,
                       max_seconds=max_seconds, in_worker=True):
            pass
    except Exception:
        # `drain` has logged the error and told the store. If the store does not know of it, the engine has to.
        if store.attempts.beat(ticket, write=False) is not Signal.SUPERSEDED:
            raise
    finally:
        store.close()  # its connections
        make_room(settings)
    return memory_left()


@cache
def _store_at(url: str) -> Store:
    """The store that this process trains into, kept for its next run: a new one makes all SQL anew, 45 ms a run."""
    return Store(url, create=False)


def warm_up(step: int) -> int:
    """Take one of `WARM_UP_STEPS`, so that a first run waits less; the process's bytes of memory afterwards."""
    prepare()
    if step > 0:
        in_fresh_thread(_compile, PRESETS[WARM_UP_STEPS[step]].config)
    return memory_left()


def _compile(config: RunConfig) -> None:
    give_way()
    for _ in islice(records_of(config), 2):
        pass


def compile_ahead(config: RunConfig) -> int:
    """Compile a network that may be wanted soon, beside the worker's other task; its bytes of memory afterwards."""
    from echo_core import training

    in_fresh_thread(training.compile_ahead, config, give_way)
    return memory_left()


def moment(config: RunConfig, epoch: int, checkpoint: Checkpoint | None = None) -> Checkpoint:
    """A run after some of its epochs: bit for bit what the run itself was at that moment, as it is trained up to there.

    This loads TensorFlow, so it is for a worker process or the command line's. Weights are equal where the kind of
    machine and the number of threads are.

    Args:
        epoch: From 0, the untrained network, to `config.epochs`.
        checkpoint: Where training may go on from, if it is not past the epoch and has its moments.
    Raises:
        ValueError: If the run has no such epoch.
        Diverged: If the run diverges before it.
    """
    if not 0 <= epoch <= config.epochs:
        raise ValueError(f"epoch must be from 0, the untrained network, to {config.epochs}, the run's last one; "
                         f"received {epoch}.")
    load_training(Settings())
    can_go_on = checkpoint is not None and checkpoint.moments and checkpoint.epoch < epoch
    for progress in records_of(config, checkpoint if can_go_on else None, until=epoch):
        if progress.epoch == epoch:
            break
    return replace(progress.checkpoint, moments=())


def moment_of(store_url: str, run_id: str, epoch: int) -> Checkpoint:
    """A run of the store after some of its epochs: see `moment`. It gives way to pages, and to a run beside it.

    Raises:
        LookupError: If the store does not have the run.
    """
    with closing(Store(store_url, create=False)) as store:
        run, checkpoint = store.runs.get(run_id), store.progress.checkpoint(run_id)
    if run is None:
        raise LookupError(f"run {run_id} is not in the store.")
    return in_fresh_thread(_moment, run, epoch, checkpoint)


def _moment(run: RunRow, epoch: int, checkpoint: Checkpoint | None) -> Checkpoint:
    give_way()
    return moment_of_row(run, epoch, checkpoint)


def moment_of_row(run: RunRow, epoch: int, checkpoint: Checkpoint | None) -> Checkpoint:
    """A run of the store after some of its epochs: its newest checkpoint, if that is it, or else `moment`.

    Raises:
        ValueError: As `moment`, or if the run was trained by another version of the training.
    """
    if checkpoint is not None and checkpoint.epoch == epoch:
        return replace(checkpoint, moments=())
    if run.training_version != run.config.training_version:
        raise ValueError(f"epoch must be {checkpoint.epoch if checkpoint else 'one with stored weights'} for a run of "
                         f"another version of the training ({run.training_version}; here it is "
                         f"{run.config.training_version}), as it would be trained to other weights here; "
                         f"received {epoch}.")
    return moment(run.config, epoch, checkpoint)


def keras_file(config: RunConfig, weights: Sequence[Floats], stateful: bool = False) -> bytes:
    """A network as a `.keras` file. This loads Keras, so it is for a worker process or the command line's.

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        stateful: See `models.keras_file`.
    """
    load_training(Settings())
    from echo_core import models

    return models.keras_file(config, weights, stateful)


def keras_file_of(store_url: str, run_id: str, stateful: bool = False) -> bytes:
    """The newest weights of a run as a `.keras` file. For `stateful` see `models.keras_file`.

    Raises:
        LookupError: If the store has no weights of it.
    """
    with closing(Store(store_url, create=False)) as store:
        run, checkpoint = store.runs.get(run_id), store.progress.checkpoint(run_id)
    if run is None or checkpoint is None:
        raise LookupError(f"run {run_id} has no weights in the store.")
    return keras_file(run.config, checkpoint.weights, stateful)


def shake_hands(store_url: str, token: str, training_version: int) -> str | None:
    """Why this worker cannot serve an app that uses this store and this version, or None if it can."""
    if training_version != TRAINING_VERSION:
        return (f"its workers train by version {TRAINING_VERSION} and this app by version {training_version}, which "
                "give different weights. Install the same version on both")
    advice = "Set DATABASE_URL to one that both reach, such as PostgreSQL"
    try:
        store = Store(store_url, create=False)
    except StoreError as error:
        return f"its workers cannot open the app's store ({error}) {advice}"
    try:
        return None if store.take_handshake(token) else f"its workers see another store than the app. {advice}"
    except OUTAGES as error:
        return f"its workers cannot write to the app's store ({reason_of(error)}). {advice}"
    finally:
        store.close()
