"""What a process must be to train: its environment, TensorFlow in it, and threads that give way to pages."""

import ctypes
import mmap
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

import psutil

from echo_core.networks.environment import pin
from echo_core.settings import Settings
from echo_core.workers.xla_cache import open_cache, program_folder

P = ParamSpec("P")
T = TypeVar("T")

#: A worker's share of a busy processor is a tenth, so that pages stay quick. With less, a run beside a browser on
#: the same small machine would hardly go on.
NICENESS = 10

#: What NumPy's matrix products read when NumPy is imported.
BLAS_THREADS = "OPENBLAS_NUM_THREADS"
#: Vectors as wide as AVX-512 has them, which XLA does not use unasked: a fifth faster where they exist.
WIDE_VECTORS = "--xla_cpu_prefer_vector_width=512"
XLA_CACHE_FLAG = "--tf_xla_persistent_cache_directory="

_PREPARING, _LOADING = threading.Lock(), threading.Lock()
_is_loaded = False
_failure: str | None = None  # of the import; what it left half done makes every later one fail too


class CannotTrain(RuntimeError):
    """TensorFlow failed to load in this process, so only a new process can train."""

    def __init__(self, why: str) -> None:
        super().__init__(f"TensorFlow could not be loaded in this process, which has to be replaced ({why})")
        self.why = why

    def __reduce__(self) -> tuple[type["CannotTrain"], tuple[str]]:
        """How pickle restores it outside of a worker."""
        return type(self), (self.why,)


def environment(settings: Settings) -> dict[str, str]:
    """What a process that trains must have in its environment before TensorFlow is imported."""
    threads = str(settings.threads)
    return {
        "ECHO_THREADS": threads,
        "ECHO_XLA_CACHE": str(settings.xla_cache),
        "OMP_NUM_THREADS": threads,
        BLAS_THREADS: threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        # No program of ours uses oneDNN, and TensorFlow greets with two lines where it is on, whatever its log level.
        "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "0"),
        "TF_XLA_FLAGS": _xla_flags(program_folder(settings)),
        "XLA_FLAGS": f"{WIDE_VECTORS} {os.environ.get('XLA_FLAGS', '').replace(WIDE_VECTORS, '')}".strip(),
    }


def _xla_flags(programs: Path | None) -> str:
    """Flags for TensorFlow that name the folder in which it keeps compiled programs; None keeps none."""
    others = re.sub(rf'{XLA_CACHE_FLAG}("(\\.|[^"\\])*"|\S*)', "", os.environ.get("TF_XLA_FLAGS", "")).split()
    return " ".join([*others, *([XLA_CACHE_FLAG + _quoted(str(programs))] if programs else [])])


def _quoted(value: str) -> str:
    """A flag's value for TensorFlow's parser, which reads a backslash in double quotes as an escape."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def prepare(is_awaited: bool = True) -> None:
    """Make this process a worker: one that can train, with threads that give way to the app's pages.

    Args:
        is_awaited: Else it gives way to others that train meanwhile as well.
    """
    with _PREPARING:
        if is_loaded():
            return
        _libraries_give_way()
        in_fresh_thread(_import_training, is_awaited)  # memory freed by a thread that ends goes back to the system
        in_fresh_thread(_begin_pools, is_awaited)
        _unmap_what_loading_read()


def give_way() -> None:
    """Lower this thread's priority, and that of threads which it will begin, so that pages stay quick.

    Not before a run has begun: beside busy neighbours its first record would wait for a second, and an import,
    which holds Python's lock, for a minute.
    """
    with suppress(OSError, AttributeError):  # not on Windows
        os.nice(max(0, NICENESS - os.getpriority(os.PRIO_PROCESS, 0)))


def _libraries_give_way() -> None:
    """Lower the priority of threads that are not Python's: those of NumPy, which has begun them when it was imported.

    They wait for the next product by trying again and again, a seventh of a core while a run is watched.
    """
    pythons = {thread.native_id for thread in threading.enumerate()}
    with suppress(OSError, AttributeError):  # not on Windows; others than Linux do not tell
        for thread in set(map(int, os.listdir("/proc/self/task"))) - pythons:
            os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


def take_idle_time() -> None:
    """Have this thread, and those that it will begin, use the processor only while hardly anybody else wants it."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (OSError, AttributeError):  # only Linux knows it
        give_way()


def in_fresh_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something in a thread of its own, and wait: no thread can take its lower priority back."""
    outcome: Future[T] = Future()

    def call() -> None:
        try:
            outcome.set_result(function(*args, **kwargs))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=call, name="echo task", daemon=True).start()
    return outcome.result()


def _import_training(is_awaited: bool) -> None:
    if not is_awaited:
        take_idle_time()
    load_training(Settings())


def _begin_pools(is_awaited: bool) -> None:
    """Have TensorFlow begin its threads now, from one that gives way: they are as nice as who begins them.

    Those that compile are left to who compiles first. That may be a run, which is in a hurry, or else gives way;
    only where idle time is taken for it, they have to be there before.
    """
    from echo_core import training

    give_way()
    training.begin_pools()
    if not is_awaited:
        training.begin_compiling()


def is_loaded() -> bool:
    """Whether TensorFlow and everything that trains was imported in this process, and completely."""
    return _is_loaded


def load_training(settings: Settings) -> None:
    """Import what trains, TensorFlow with it, after setting the variables that it reads at its import.

    One thread at a time: two that import TensorFlow at once each see half of the other's modules, and the import can
    never succeed in that process again. The dispatcher gives a worker nothing else to do meanwhile; this holds as
    well where several apps share a worker, or a program calls it from several threads.

    Raises:
        CannotTrain: If the import failed, now or earlier in this process.
    """
    global _is_loaded, _failure
    with _LOADING:
        if _is_loaded:
            return
        if _failure is not None:
            raise CannotTrain(_failure)
        pin({})  # before `environment` reads it, so that no flags of others come into ours
        pin({**environment(settings), "TF_XLA_FLAGS": _xla_flags(open_cache(settings))})
        try:
            import echo_core.training  # noqa: F401
        except BaseException as error:
            _failure = " ".join(f"{type(error).__name__}: {error}".split())
            if isinstance(error, Exception):
                raise CannotTrain(_failure) from error
            raise  # Ctrl-C and the like end the process anyway
        _is_loaded = True


def _unmap_what_loading_read() -> None:
    """Give back the pages of libraries that were read to load them, 300 MB of TensorFlow's.

    Only those that are as in the file, and stay so: they come from there again.
    """
    with suppress(OSError, AttributeError, psutil.Error):  # not everywhere can a process see its mappings
        unmap = ctypes.CDLL(None).madvise
        unmap.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        for each in psutil.Process().memory_maps(grouped=False):
            if ".so" in each.path and "w" not in each.perms and not each.anonymous:
                start, end = (int(address, 16) for address in each.addr.split("-"))
                unmap(start, end - start, mmap.MADV_DONTNEED)


def memory_left() -> int:
    """The bytes that this process takes, after what compiling has freed went back to the system."""
    with suppress(OSError, AttributeError):  # a hundred megabytes, where the C library can do that
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    memory: int = psutil.Process().memory_info().rss
    return memory
