"""The store: every run, and the queue. It is the only channel between the app and the workers.

It knows neither those who train nor those who look.
"""

from echo_core.store.catalogue import EVERYBODY, Entry, RunRow, Wanted, longer
from echo_core.store.errors import OUTAGES, StoreError
from echo_core.store.queue import Ticket
from echo_core.store.reads import Glance, ProgressRow
from echo_core.store.store import Begun, Signal, Store, Superseded

__all__ = [
           "EVERYBODY",
           "OUTAGES",
           "Begun",
           "Entry",
           "Glance",
           "ProgressRow",
           "RunRow",
           "Signal",
           "Store",
           "StoreError",
           "Superseded",
           "Ticket",
           "Wanted",
           "longer",
]
