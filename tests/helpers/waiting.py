"""Waiting for other threads and processes, with an error that names the condition."""

import inspect
import textwrap
import time
from collections.abc import Callable

#: The longest wait, in seconds. A worker starts and compiles in 10 s, and in 40 s on a busy machine; a test that waits
#: longer hangs.
PATIENCE = 90.0


def until(condition: Callable[[], object], seconds: float = PATIENCE, what: str = "") -> float:
    """Wait for a condition and return the seconds it took. Its error names `what`, or the condition."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"waited {seconds:g} s in vain for {what or _source(condition)}"
        time.sleep(0.01)
    return time.monotonic() - started


def _source(condition: Callable[[], object]) -> str:
    """The source of a condition, as written in the test."""
    try:
        return textwrap.dedent(inspect.getsource(condition)).strip()
    except (OSError, TypeError):  # it has no source
        return repr(condition)
