"""The store: every run and the queue. It is the only channel between the app and the workers.

The docstring of `store.Store` is its contract. The store knows neither training nor pages.
"""

from echo_core.store.attempts import Signal, Start
from echo_core.store.errors import OUTAGES, StoreError, Superseded
from echo_core.store.progress import Glance, ProgressRow
from echo_core.store.queue import Ticket
from echo_core.store.runs import EVERYBODY, ListedRun, RunRow, Wanted, extended_config
from echo_core.store.store import Store

__all__ = ["EVERYBODY", "OUTAGES", "Glance", "ListedRun", "ProgressRow", "RunRow", "Signal", "Start", "Store",
           "StoreError", "Superseded", "Ticket", "Wanted", "extended_config"]
