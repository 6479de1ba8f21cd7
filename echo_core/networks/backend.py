"""TensorFlow, and Keras on top of it: every module that trains has them from here, so that they are loaded in one way.

Loading them pins the environment first (`pin`), has freed memory kept for the next arrays (`keep_arrays`), and refuses
a process in which training could only fail or hang.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from echo_core.machine import keep_arrays
from echo_core.networks.environment import no_keras_settings, pin

__all__ = ["begin_threads", "context", "float32", "keras", "refuse_after_fork", "tf"]

pin()
keep_arrays()
if "keras" in sys.modules and (loaded := sys.modules["keras"].config.backend()) != "tensorflow":
    raise ImportError(f"echo_core trains with Keras on TensorFlow, but keras was imported with the backend {loaded} in "
                      "this process already. Try importing echo_core.training before keras, or set "
                      "KERAS_BACKEND=tensorflow.")
_tensorflow_was_loaded = "tensorflow" in sys.modules
with no_keras_settings():
    import tensorflow as tf
    from tensorflow.python.eager import context  # nothing else knows whether TensorFlow was used

    import keras  # isort: skip - as TensorFlow is loaded already, Keras need not look for it


def _is_used() -> bool:
    """Whether TensorFlow has begun its threads, which do not survive a fork."""
    return context.context()._context_handle is not None


def _has_own_threads() -> bool:
    try:
        return len(os.listdir("/proc/self/task")) > threading.active_count()
    except OSError:  # not Linux
        return True


#: The process that had used TensorFlow before it was forked into this one, if there was one.
_forked_from: int | None = os.getppid() if _tensorflow_was_loaded and _is_used() and not _has_own_threads() else None


def _note_fork() -> None:
    global _forked_from
    if _is_used():
        _forked_from = _forked_from or os.getppid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def refuse_after_fork() -> None:
    """Raise RuntimeError in a process that was forked from one that had used TensorFlow: here it would hang."""
    if _forked_from is not None:
        raise RuntimeError(
            f"TensorFlow was used in process {_forked_from}, from which this process ({os.getpid()}) was forked, and "
            'its threads do not survive that. Try multiprocessing.get_context("spawn"), or fork before training.')


def begin_threads(spin: bool) -> None:
    """Have TensorFlow start its threads, unless it has: they inherit the priority of the thread that starts them.

    Args:
        spin: Whether they look for work for a moment before they sleep, which takes a core from other processes.
            TensorFlow has no public way to set it (docs/decisions/0072).
    """
    own, config = context.context(), tf.compat.v1.ConfigProto()
    config.experimental.disable_thread_spinning = not spin
    before, own._config = own._config, config
    try:
        tf.config.list_logical_devices()
    finally:
        own._config = before  # it is part of a program's name among kept programs, which all workers share


@contextmanager
def float32() -> Iterator[None]:
    """Have Keras make layers of 32-bit floats, whatever this process has set it to."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    if (floatx, policy.name) == ("float32", "float32"):
        yield
        return
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
