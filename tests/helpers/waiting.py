"""How tests wait for what other threads and processes do."""

import time
from collections.abc import Callable

#: The longest wait, in seconds. Machines are shared and slow at times: what takes longer is a defect.
PATIENCE = 300.0


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> float:
    """Wait for a condition; how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds
        time.sleep(0.01)
    return time.monotonic() - started
