"""The contract of the store."""

import uuid

from sqlalchemy import delete, insert, select

from echo_core.store.attempts import Attempts
from echo_core.store.database import Database
from echo_core.store.errors import StoreUrl
from echo_core.store.progress import ProgressOfRuns
from echo_core.store.queue import Queue
from echo_core.store.runs import Runs
from echo_core.store.schema import HANDSHAKES, now
from echo_core.store.studies import Studies
from echo_core.store.upkeep import Upkeep

#: Seconds after which a token of `leave_handshake` is deleted if nobody has taken it.
_TOKEN_SECONDS = 3600


class Store:
    """Runs and their queue, in SQLite or PostgreSQL by URL alone.

    `Store("sqlite:////srv/echo/runs.db")` opens that file, and creates it or migrates its tables where that is needed.

    **Parts.** Each uses the same `database`, which also knows `is_sqlite`, `losses` and `shortage()`:

    - `queue`: who waits and whose turn it is; asking for a run, Stop, giving runs to workers.
    - `attempts`: what a worker writes about the run that it trains.
    - `progress`: what a run has produced: its curve, snapshots and weights.
    - `runs`: all runs: list, search, name, hide, delete.
    - `studies`: which studies were asked for, and which are to be trained now.
    - `upkeep`: what an app repeats for all runs: notice lost workers, keep the store within its size.

    **Thread safety.** Any number of threads may use one store, and any number of processes the same database. What a
    call writes is one transaction; only `upkeep` splits long work into several. Returned values never change.

    **Who may write.** Every attempt to train a run has a `Ticket`, from `queue.claim` or `queue.take`. Writes about a
    running run carry it. If a newer attempt has begun, or the run is no longer running, `attempts` raises `Superseded`
    and writes nothing. Anybody may ask for runs and mark them; whether a visitor may is for the caller to check.

    **States.**

        queued       waits for a worker
        running      a worker trains it, and its heartbeat is fresh
        paused       stopped by somebody, unwatched, or left by an app that closed
        interrupted  its worker was silent for too long; it goes on when a holder returns
        failed       training raised an error, or its worker was lost too often; `reason` says which
        finished     trained to its last epoch and judged

        request          claim, take           finish
        ───────► queued ────────────► running ─────────► finished
                 ▲ ▲ │                │ │ │ │
                 │ └─┼───── lose ─────┘ │ │ │ fail, lose
                 │   │                  │ │ └───────────► failed ───────┐
                 │   │ stop, sweep      │ │ sweep                       │
                 │   └───────► paused ◄─┘ └─────────────► interrupted ──┤
                 │               │ pause, sweep                         │
                 └───────────────┴──────────────────────────────────────┘
                  request; sweep too, when a holder is back, but not from failed

    A finished run whose weights were evicted is queued again by `request(again=True)`.

    Args:
        create: Whether to create a missing file.
        patience: Seconds to wait for a file that others write to, once the store is open; by default 30, which suits
            workers. A page should wait for less.
    Raises:
        StoreError: If it cannot be opened, or a newer version of the project wrote it; with
            `create=False` also if there is none yet.
    """

    def __init__(self, url: str, create: bool = True, patience: float | None = None) -> None:
        self.url = StoreUrl(url)  # passed to workers; Dask prints the arguments of a failed task
        self.database = Database(url, create, patience)
        self.queue = Queue(self.database)
        self.attempts = Attempts(self.database)
        self.progress = ProgressOfRuns(self.database)
        self.runs = Runs(self.database)
        self.studies = Studies(self.database)
        self.upkeep = Upkeep(self.database)

    def __str__(self) -> str:
        return str(self.database)  # without the password

    def now(self) -> float:
        """Seconds since 1970 by the database's clock, which gives all times of the store."""
        with self.database.read() as connection:
            return float(connection.scalar(select(now())) or 0.0)

    def close(self) -> None:
        """Close its connections. A later call opens new ones."""
        self.database.close()

    # --- whether a worker sees the same store --------------------------------------------------

    def leave_handshake(self) -> str:
        """Write a random token, which only a process that opens this very database can take."""
        token = uuid.uuid4().hex
        with self.database.write() as connection:
            connection.execute(delete(HANDSHAKES).where(HANDSHAKES.c.made_at < now() - _TOKEN_SECONDS))
            connection.execute(insert(HANDSHAKES).values(token=token, made_at=now()))
        return token

    def take_handshake(self, token: str) -> bool:
        """Delete a token; whether it was in this database. Deleting also shows that the worker may write to it."""
        with self.database.write() as connection:
            return connection.execute(delete(HANDSHAKES).where(HANDSHAKES.c.token == token)).rowcount == 1
