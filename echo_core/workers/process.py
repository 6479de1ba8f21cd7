"""A process that trains: its environment, TensorFlow in it, and threads that give way to pages."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

import psutil

from echo_core import machine
from echo_core.networks.environment import pin
from echo_core.settings import Settings
from echo_core.workers.xla_cache import open_cache, program_folder

P = ParamSpec("P")
T = TypeVar("T")

#: A worker then gets a tenth of a busy processor, so that pages stay quick. With less, a run beside a browser on the
#: same small machine would hardly proceed.
NICENESS = 10

#: NumPy's matrix products read this variable when NumPy is imported, which is before a worker's first task. With
#: more than one thread the others spin between products, a fifth of a core while a run trains, and snapshots and
#: evaluations take longer on a busy machine.
NUMPY_THREADS = {"OPENBLAS_NUM_THREADS": "1"}
#: Threads that run before `machine.keep_arrays` has been called have heaps of their own, in which training may end up.
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
XLA_CACHE_FLAG = "--tf_xla_persistent_cache_directory="

_PREPARING, _LOADING = threading.Lock(), threading.Lock()
_is_loaded = False
_failure: str | None = None  # why the import failed; modules that it left half imported make each later one fail too


class CannotTrain(RuntimeError):
    """TensorFlow failed to load in this process, so only a new process can train. Its argument is the cause."""

    def __str__(self) -> str:
        return f"TensorFlow could not be loaded in this process, which has to be replaced ({self.args[0]})"


def environment(settings: Settings) -> dict[str, str]:
    """The environment variables that a process needs before it imports TensorFlow to train."""
    threads = str(settings.threads)
    return {
        "ECHO_THREADS": threads,
        "ECHO_XLA_CACHE": str(settings.xla_cache),
        "OMP_NUM_THREADS": threads,
        **NUMPY_THREADS,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        "TF_ENABLE_ONEDNN_OPTS": "0",  # our programs do not use it, and with it TensorFlow prints two lines
        "TF_XLA_FLAGS": _xla_flags(program_folder(settings)),
    }


def _xla_flags(programs: Path | None) -> str:
    """The flag that names the folder of compiled programs, quoted for TensorFlow's parser, which knows escapes."""
    escaped = str(programs).replace("\\", "\\\\").replace('"', '\\"')
    return f'{XLA_CACHE_FLAG}"{escaped}"' if programs else ""


def prepare() -> None:
    """Make this process a worker: one that can train, and whose TensorFlow threads give way to the app's pages."""
    with _PREPARING:
        if is_loaded():
            return
        settings = Settings()
        in_fresh_thread(load_training, settings)  # memory freed by a thread that ends goes back to the system
        in_fresh_thread(_begin_pools, bool(settings.spin))


def give_way() -> None:
    """Lower the priority of this thread, and of threads that it starts later, so that pages stay quick.

    Call it after a run's first record, not before: beside busy processes that record would come a second later, and an
    import, which holds Python's lock, would take a minute.
    """
    with suppress(OSError, AttributeError):  # not on Windows
        os.nice(max(0, NICENESS - os.getpriority(os.PRIO_PROCESS, 0)))


def in_fresh_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a new thread and wait for it: a thread can lower its priority but never raise it again."""
    outcome: Future[T] = Future()

    def call() -> None:
        try:
            outcome.set_result(function(*args, **kwargs))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=call, name="echo task", daemon=True).start()
    return outcome.result()


def _begin_pools(spin: bool) -> None:
    """Have TensorFlow start its threads now, at the low priority of a thread that gives way."""
    from echo_core.networks.backend import begin_threads

    give_way()
    begin_threads(spin)


def is_loaded() -> bool:
    """Whether this process has completely imported TensorFlow and everything that trains."""
    return _is_loaded


def load_training(settings: Settings) -> None:
    """Set the variables that TensorFlow reads when it is imported, then import `echo_core.training`.

    Only one thread does so at a time: two that import TensorFlow at once each see half of the other's modules, and the
    import can never succeed in that process again. The dispatcher gives a worker no other task meanwhile; the lock is
    for workers that several apps share, and for programs that call this from several threads.

    Raises:
        CannotTrain: If the import failed, now or earlier in this process.
    """
    global _is_loaded, _failure
    with _LOADING:
        if _is_loaded:
            return
        if _failure is not None:
            raise CannotTrain(_failure)
        pin({**environment(settings), "TF_XLA_FLAGS": _xla_flags(open_cache(settings))})
        try:
            import echo_core.training  # noqa: F401
        except BaseException as error:
            _failure = " ".join(f"{type(error).__name__}: {error}".split())
            if isinstance(error, Exception):
                raise CannotTrain(_failure) from error
            raise  # Ctrl-C and the like end the process anyway
        _is_loaded = True


def memory_left() -> int:
    """The bytes of memory that are this process's own, after freed memory was given back to the system.

    Pages of files do not count: of TensorFlow's 350 MB of libraries all workers share one copy, and the system drops
    it where memory is short.
    """
    machine.give_back_freed()
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))
