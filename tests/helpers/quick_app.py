"""The app as `python -m echo_app` starts it, for tests, which wait for less.

A worker that warms up compiles none of the presets, as they take a quarter of a minute of both cores; and what a page
waits for is given up sooner: for a store that another program has locked, and for one that went away.
"""

import runpy

from echo_core.store import database
from echo_core.workers import dispatcher, worker

worker.WARM_UP_STEPS = ("import",)
database.BUSY_SECONDS = 1.0
dispatcher.RETRY_SECONDS = 1.0

if __name__ == "__main__":
    runpy.run_module("echo_app", run_name="__main__")
