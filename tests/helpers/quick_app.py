"""The app as `python -m echo_app` starts it, with shorter waits for tests.

A new worker compiles no presets, which would take both cores 15 s. Pages wait less long for a store that is
locked or away.
"""

import runpy

from echo_core.store import database
from echo_core.workers import dispatcher, worker

worker.WARM_UP_STEPS = ("import",)
database.BUSY_SECONDS = 1.0
dispatcher.RETRY_SECONDS = 1.0

if __name__ == "__main__":
    runpy.run_module("echo_app", run_name="__main__")
