"""How the store reaches its database: tables, transactions and migrations.

SQLite (a file, in WAL mode) or PostgreSQL, by URL alone. All that differs between the two is here and in `rows`.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

from echo_core.troubles import (
    FAULTS,
    FULL,
    OUTAGES,
    StoreAway,
    StoreError,
    Trouble,
    address_of,
    error_code,
    trouble_of,
    without_secrets,
)

__all__ = ["FAULTS", "OUTAGES", "StoreAway", "StoreError", "Trouble", "trouble_of"]

#: The newest revision in migrations/versions. Known here, so that opening a store that has it
#: costs one query and never imports alembic. A test compares the two.
HEAD = "0002"

#: Any number that no other program on the same PostgreSQL database uses.
_ADVISORY_LOCK = 0x4543484F

_BUSY_SECONDS = 30

#: What a URL cannot hold as it is.
_QUOTE = " In a user or a password write %40 for @, %2F for /, %3A for :, %3F for ? and %25 for %."

#: A PostgreSQL that is out of reach is given up after seconds; the system's own limits are minutes and hours.
_REACH = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
          "tcp_user_timeout": 30_000}


#: With less than that a disk is full: small things still fit into what a file has, and checkpoints do not.
_LEAST_BYTES_FREE = 4 * 2**20


class Measured(TypeDecorator[float]):
    """A number whose NaN is null: SQLite cannot keep NaN, and PostgreSQL takes it for the largest number."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """What is kept."""
        return None if value is None or math.isnan(value) else value


# Times are seconds since 1970 (UTC), as `time.time()` gives them.
METADATA = MetaData()

RUNS = Table(
    "runs", METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("config", Text, nullable=False),                  # JSON
    Column("training_version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),   # every write of a worker carries it
    Column("session", Text, nullable=False),                 # who queued it, for fairness
    Column("urgent", Boolean, nullable=False, default=False),  # lost its worker: before all others
    Column("created_at", Double, nullable=False),
    Column("queued_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("heartbeat_at", Double),
    Column("stop_requested", Boolean, nullable=False, default=False),
    Column("reason", Text),                                  # why it failed, paused or was interrupted
    Column("epoch", Integer, nullable=False, default=0),
    Column("seconds", Double, nullable=False, default=0.0),
    Column("threads", Integer),
    Column("worker", Text),
    Column("restarts", Integer, nullable=False, default=0),  # begun again after a lost worker
    Column("fruitless", Integer, nullable=False, default=0),  # of these in a row, without getting further
    Column("furthest", Integer, nullable=False, default=0),  # epoch that the best lost attempt reached
    Column("fingerprint", String(64)),
    Column("evaluation", Text),                              # JSON
    # What follows is in the config, the progress or the evaluation too, and stands here to be found and sorted by.
    Column("family", String(16)),  # of runs that differ in epochs only
    Column("variant", String(32)),
    Column("task", String(16)),
    Column("loss", Measured),
    Column("token_accuracy", Measured),
    Column("window_accuracy", Measured),
    Column("size", Integer, nullable=False, server_default="0"),  # bytes of progress and snapshots
    Column("deleted_at", Double),                            # gone from all lists, and for good after a while
    Index("runs_by_state", "state"),
    Index("runs_by_age", "created_at"),
    Index("runs_by_family", "family"),
)


def _run_id(*, primary_key: bool = True) -> Column[str]:
    return Column("run_id", String(64), ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=primary_key)


PROGRESS = Table(
    "progress", METADATA, _run_id(),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("loss", Measured),
    Column("accuracy", Measured),
    Column("seconds", Double, nullable=False),
    Column("points", Text, nullable=False),                  # JSON: [[epoch, loss, accuracy], …]
)
SNAPSHOTS = Table(
    "snapshots", METADATA, _run_id(),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("predicted", LargeBinary, nullable=False),        # little-endian int32, (windows, output_length)
    Column("confidence", LargeBinary, nullable=False),       # little-endian float32, same shape
)
CHECKPOINTS = Table(
    "checkpoints", METADATA, _run_id(),
    Column("epoch", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),             # Checkpoint.to_bytes()
)
MOMENTS = Table(                                             # what a finished run lacks to be extended
    "moments", METADATA, _run_id(),
    Column("epoch", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),             # Checkpoint.to_bytes(), without weights
)
MARKS = Table(                                               # whose run it is, and what they call it
    "marks", METADATA, _run_id(),
    Column("visitor", Text, primary_key=True),               # a browser, or nobody for all of this copy
    Column("name", Text),
    Column("hidden", Boolean, nullable=False, default=False),
    Index("marks_by_visitor", "visitor"),
)
WATCHERS = Table(
    "watchers", METADATA, _run_id(),
    Column("holder", Text, primary_key=True),
    Column("seen_at", Double, nullable=False),
    Index("watchers_by_holder", "holder"),
)
SESSIONS = Table(
    "sessions", METADATA,
    Column("session", Text, primary_key=True),
    Column("served", Integer, nullable=False),               # a counter: the larger, the later
)
HANDSHAKES = Table(
    "handshakes", METADATA,
    Column("token", String(64), primary_key=True),
    Column("made_at", Double, nullable=False),
)


class Database:
    """One database, migrated to `HEAD`: short transactions for any number of threads and processes.

    Args:
        patience: Seconds that a transaction waits for a file that others write to, once it is open.
    Raises:
        StoreError: If it cannot be opened, or a newer version of the project wrote it.
    """

    def __init__(self, url: str, create: bool = True, patience: float | None = None) -> None:
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._patience = float(_BUSY_SECONDS)
        if self.is_sqlite:
            self._prepare_file(create)
        options: dict[str, Any] = {"pool_size": 8, "max_overflow": 56}  # a page polls from a thread of its own
        if self.is_sqlite:
            options["connect_args"] = {"timeout": _BUSY_SECONDS}
        else:
            options["pool_pre_ping"] = True
            options["connect_args"] = {name: _REACH[name] for name in _REACH.keys() - self._url.query.keys()}
        self._engine = create_engine(self._url, **options)
        if self.is_sqlite:
            event.listen(self._engine, "connect", self._set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        try:
            self._migrate()
        except DBAPIError as error:
            self.close()
            kind = StoreAway if isinstance(error, OUTAGES) else StoreError
            raise kind(f"the store at {self} cannot be opened: {_one_line(error)}") from error
        except BaseException:
            self.close()
            raise
        if patience is not None:
            self._patience = patience
            self.close()  # what was opened to be migrated has more of it

    def __str__(self) -> str:
        return address_of(self._url)

    @contextmanager
    def read(self, alone: bool = False) -> Iterator[Connection]:
        """A transaction that only reads, one moment of the store throughout: it waits for nobody.

        Args:
            alone: There is a single statement in it, which needs no beginning and no end: half of the work.
        """
        with self._engine.connect().execution_options(echo_alone=alone) as connection:
            if not self.is_sqlite:  # SQLite's are so in WAL mode
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def write(self, exclusive: bool = False) -> Iterator[Connection]:
        """A transaction that writes, committed at the end unless something was raised.

        SQLite's are one at a time anyway. An `exclusive` one is so on PostgreSQL too, which what
        reads the queue before it writes to it needs.
        """
        with self._engine.connect().execution_options(echo_writes=True) as connection, connection.begin():
            if exclusive and not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            yield connection

    def shortage(self) -> Trouble | None:
        """What is wrong with a file that can be read and written to: its disk may be full."""
        if not self.is_sqlite:
            return None
        free = shutil.disk_usage(Path(str(self._url.database)).parent).free
        return FULL if free < _LEAST_BYTES_FREE else None

    def close(self) -> None:
        """Close all connections. A later transaction opens new ones."""
        self._engine.dispose()

    def _prepare_file(self, create: bool) -> None:
        if not self._url.database or self._url.database == ":memory:":
            raise StoreError("the store must be a file, because worker processes open it too; received "
                             f"DATABASE_URL={self}. Try sqlite:////absolute/path/runs.db.")
        path = Path(self._url.database)
        try:
            if not create and not path.is_file():
                raise StoreError(f"there is no store at {self}.")
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # of a folder above it that is closed to us, too
            verb = "created" if create else "opened"
            raise StoreError(f"the store at {self} cannot be {verb}: {error.strerror}.") from error

    def _set_up_sqlite(self, raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # the driver begins no transactions of its own; `_begin_sqlite` does
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA busy_timeout={round(self._patience * 1000)}")
        cursor.execute("PRAGMA synchronous=NORMAL")  # in WAL mode a crash of the process loses nothing
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    def _migrate(self) -> None:
        """Bring the tables to `HEAD`. Several processes may open a fresh store at the same time."""
        with self.read() as connection:
            if _revision(connection) == HEAD:
                return
        if self.is_sqlite:
            # The mode stays with the file. Changing it does not wait for others as statements do.
            _insist(self._switch_to_wal)
        with self.write(exclusive=True) as connection:
            found = _revision(connection)
            if found != HEAD:
                self._upgrade(connection, found)

    def _switch_to_wal(self) -> None:
        raw = self._engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
        finally:
            raw.close()

    def _upgrade(self, connection: Connection, found: str | None) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        config.attributes["connection"] = connection
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise StoreError(f"the store at {self} is of revision {found}, which a newer Echo Lab wrote; this one "
                             f"knows revisions up to {HEAD}. Update Echo Lab, or set DATABASE_URL to another store.")
        command.upgrade(config, "head")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter where a password with a / is taken for a port
        # The text is not repeated: it may hold a password.
        raise StoreError("DATABASE_URL is not a database's URL. Try sqlite:////absolute/path/runs.db, or "
                         f"postgresql://user:password@host/name.{_QUOTE}") from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "postgresql" and "@" in f"{parsed.host}{parsed.database}":
        raise StoreError(f"the user or the password in DATABASE_URL cannot be told from its host.{_QUOTE}")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"the store must be SQLite or PostgreSQL; received DATABASE_URL={address_of(parsed)}. "
                         "Try sqlite:////absolute/path/runs.db.")
    return parsed


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("echo_alone"):
        # A writer that begins as a reader is refused at once when another one was faster.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("echo_writes") else "BEGIN")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _insist(action: Callable[[], None]) -> None:
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return action()
        except Exception as error:
            if not error_code(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _one_line(error: DBAPIError) -> str:
    return without_secrets(" ".join(str(error.orig).split()))

