"""The store: every run and all that is known about it, the queue, and the only channel between app and workers."""

import uuid

from sqlalchemy import delete, insert, select

from echo_core.store.attempts import Attempts
from echo_core.store.database import Database
from echo_core.store.errors import StoreUrl, Trouble
from echo_core.store.progress import ProgressOfRuns
from echo_core.store.queue import Queue
from echo_core.store.runs import Runs
from echo_core.store.schema import HANDSHAKES, now
from echo_core.store.upkeep import Upkeep

#: Seconds after which a token of `leave_token` is deleted if nobody has taken it.
_TOKEN_SECONDS = 3600


class Store:
    """Runs, in SQLite or PostgreSQL by URL alone: `Store("sqlite:////srv/echo/runs.db")` creates or migrates the file.

    **Parts.** `queue` (who waits, who is next, Stop), `attempts` (what a worker writes about the run that it trains),
    `progress` (what a run has produced: its curve, its snapshots, its weights), `runs` (all runs: list, find, name,
    hide, delete) and `upkeep` (what the app repeats for all runs). Each part takes the same `Database`.

    **Threads and processes.** A store may be used by any number of threads, and any number of processes may open the
    same database. Each call is one transaction, or a read that is followed by one: it is done as a whole or not at
    all. A returned value never changes later.

    **Who may write.** Only the holder of the newest `Ticket` writes about a running run. `queue.claim` and
    `queue.take` give tickets; each counts up the run's `attempt`. When a newer attempt has begun, or the run is no
    longer running, a write with the old ticket raises `Superseded` and changes nothing.

    **States.** A run is in one of six:

        queued       It waits for a worker.
        running      A worker trains it and writes a heartbeat every few seconds.
        paused       Somebody pressed Stop, nobody watched it, or its app was closed. It has a checkpoint.
        interrupted  Its worker was silent for too long. It goes on from its last checkpoint.
        failed       Training raised an error, or it lost its worker too often. `reason` says why.
        finished     All epochs are trained and the network is judged.

                       claim                   finish
        request ──► queued ──────────► running ──────► finished
                    ▲ ▲ │ ▲  lose         │ │ │
                    │ │ │ └───────────────┘ │ │ fail, or lose (too often)
                    │ │ │ stop, sweep       │ └──────────────► failed
                    │ │ └─────────► paused ◄┤ pause                │
                    │ │ request, sweep │    │ sweep                │
                    │ └────────────────┴─── │ ─► interrupted       │
                    │                       request, sweep │       │
                    └──────────────────────────────────────┴───────┘ request

    A finished run is queued again only if its weights were evicted and `request(again=True)` asks for them.

    Args:
        patience: Seconds to wait for a file that others write to, once the store is open. By default 30, which suits
            workers; people should wait less.
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
        self.upkeep = Upkeep(self.database)

    def __str__(self) -> str:
        return str(self.database)  # without the password

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file on one machine."""
        return self.database.is_sqlite

    @property
    def losses(self) -> int:
        """How often its tables were removed or replaced since it was opened."""
        return self.database.losses

    def shortage(self) -> Trouble | None:
        """What is wrong with it although it answers: its disk may be full."""
        return self.database.shortage()

    def now(self) -> float:
        """Seconds since 1970 by the database's clock, which gives all times of the store."""
        with self.database.read(alone=True) as connection:
            return float(connection.scalar(select(now())) or 0.0)

    def close(self) -> None:
        """Close its connections. A later call opens new ones."""
        self.database.close()

    # --- whether a worker sees the same store --------------------------------------------------

    def leave_token(self) -> str:
        """Write a random token, which only a process that opens this very database can take."""
        token = uuid.uuid4().hex
        with self.database.write() as connection:
            connection.execute(delete(HANDSHAKES).where(HANDSHAKES.c.made_at < now() - _TOKEN_SECONDS))
            connection.execute(insert(HANDSHAKES).values(token=token, made_at=now()))
        return token

    def take_token(self, token: str) -> bool:
        """Delete a token; whether it was in this database. Deleting also shows that the worker may write to it."""
        with self.database.write() as connection:
            return connection.execute(delete(HANDSHAKES).where(HANDSHAKES.c.token == token)).rowcount == 1
