"""The store's database: connections, transactions and migrations.

It is SQLite (a file, in WAL mode) or PostgreSQL, by URL alone. What differs between the two is here and in `schema`.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, create_engine, event, func, make_url, select, text
from sqlalchemy.engine import URL, Engine, ExceptionContext, IteratorResult, RootTransaction
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.types import Boolean, Double, LargeBinary

from echo_core.store.errors import FULL, OUTAGES, StoreAway, StoreError, Trouble, error_code, masked, one_line
from echo_core.store.files import StoreFile
from echo_core.store.schema import HEAD, Measured

#: The number of the store's advisory lock, which no other program on the same PostgreSQL database may use.
_ADVISORY_LOCK = 0x4543484F

#: Seconds for which a statement waits for a SQLite file that another connection writes to.
BUSY_SECONDS = 30

#: Key in `Connection.info` of the generation of tables that a connection has checked. A replaced file begins a new one.
_GENERATION = "echo_generation"

#: Error codes after which the tables are checked again, as they may be gone or replaced. SQLite: a statement does not
#: fit the tables, or the file is damaged, is no database or was moved. PostgreSQL: unknown table, column or schema.
_OTHER_TABLES = ("SQLITE_ERROR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_READONLY_DBMOVED",
                 "42P01", "42703", "3F000")

#: How to write characters that a URL cannot contain unescaped.
_QUOTE = " In a user or a password write %40 for @, %2F for /, %3A for :, %3F for ? and %25 for %."

#: What a host may do where a file cannot be written.
_ELSEWHERE = (" Set DATABASE_URL to a file in a folder that this user can write to, such as "
              "sqlite:////var/lib/echo-lab/runs.db, or to a PostgreSQL.")

#: Seconds, the last milliseconds, after which a PostgreSQL counts as out of reach. The system's defaults are hours.
_REACH = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
          "tcp_user_timeout": 30_000}

#: With fewer bytes free a disk counts as full: small writes still fit into the file's free pages, checkpoints do not.
_LEAST_BYTES_FREE = 4 * 2**20


class Database:
    """One database, migrated to `HEAD`, with short transactions for any number of threads and processes.

    If its tables are removed while it is open, the next transaction makes them again and counts that in `losses`.

    Args:
        create: Whether to create a missing file.
        patience: Seconds that a transaction waits for a file that others write to; by default `BUSY_SECONDS`.
            Opening and migrating always wait for `BUSY_SECONDS`.
    Raises:
        StoreError: If it cannot be opened, or a newer version of the project wrote it.
    """

    def __init__(self, url: str, create: bool = True, patience: float | None = None) -> None:
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        #: How often the tables were found missing or replaced since this object was made.
        self.losses = 0
        self._create, self._patience = create, float(BUSY_SECONDS)
        self._generation = 0
        self._identity: object = None  # identifies the tables that were found last
        self._lock = threading.RLock()
        self._file = self._open_file() if self.is_sqlite else None
        self.engine = self._build_engine()
        try:
            with self.read():
                pass
        except DBAPIError as error:
            self.close()
            if self._file is not None and not os.access(self._file.path.parent, os.W_OK):
                why = f"its folder is read-only.{_ELSEWHERE}"
                raise StoreError(f"the store at {self} cannot be opened: {why}") from error
            kind = StoreAway if isinstance(error, OUTAGES) else StoreError
            raise kind(f"the store at {self} cannot be opened: {one_line(error)}") from error
        except BaseException:
            self.close()
            raise
        event.listen(self.engine, "handle_error", self._look_into)
        if patience is not None:
            self._patience = patience
            self.close()  # the connection that migrated has the longer timeout

    def __str__(self) -> str:
        return masked(self.url)

    @contextmanager
    def read(self, consistent: bool = False) -> Iterator[Connection]:
        """A connection for reading, which waits for no writer.

        Args:
            consistent: Whether all its statements see the same moment of the store. A single statement always does,
                and is quicker without, as SQLite then needs no BEGIN and no ROLLBACK.
        """
        with self._connect() as connection:
            connection = connection.execution_options(echo_begin="BEGIN" if consistent else "")
            if not self.is_sqlite:  # a transaction of SQLite in WAL mode is consistent and waits for nobody
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def write(self, exclusive: bool = False) -> Iterator[Connection]:
        """A transaction that writes. It is committed at the end, or rolled back if an exception leaves the block.

        Args:
            exclusive: Whether PostgreSQL runs it alone, as SQLite does with all. Needed where a decision depends on
                rows that were read before, such as whose turn it is.
        """
        with self._connect() as connection, _begin_to_write(connection):
            if exclusive and not self.is_sqlite:
                _lock_postgres(connection)
            yield connection

    def shortage(self) -> Trouble | None:
        """What is wrong although statements succeed: the disk of a SQLite file may be full."""
        if self._file is None:
            return None
        free = shutil.disk_usage(self._file.path.parent).free
        return FULL if free < _LEAST_BYTES_FREE else None

    def bytes(self, connection: Connection) -> int:
        """Bytes of the database's files."""
        if self._file is not None:
            return self._file.bytes()
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)

    def close(self) -> None:
        """Close all connections. A later transaction opens new ones."""
        self.engine.dispose()

    # --- connections ---------------------------------------------------------------------------

    def _build_engine(self) -> Engine:
        options: dict[str, Any] = {"pool_size": 8, "max_overflow": 56}  # a page polls from a thread of its own
        if self.is_sqlite:
            options["connect_args"] = {"timeout": BUSY_SECONDS}
        else:
            options["pool_pre_ping"] = True
            options["connect_args"] = {name: _REACH[name] for name in _REACH.keys() - self.url.query.keys()}
        engine = create_engine(self.url, **options)
        if self.is_sqlite:
            event.listen(engine, "connect", self._set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        """A connection that has checked that the tables are there."""
        if self._file is not None and self._file.is_gone():
            with self._lock:
                if self._file.is_gone():
                    self._reopen_file()
                    self._generation += 1
        generation = self._generation
        with self.engine.connect() as connection:
            if connection.info.get(_GENERATION, generation) != generation:
                connection.invalidate()  # it may write to a deleted file; this opens a new one
            if _GENERATION not in connection.info:
                self._find_tables(connection)
                connection.info[_GENERATION] = generation
            yield connection

    def _set_up_sqlite(self, raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # the driver begins no transactions of its own; `_begin_sqlite` does
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA busy_timeout={round(self._patience * 1000)}")
        cursor.execute("PRAGMA synchronous=NORMAL")  # in WAL mode a crash of the process loses nothing
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    def _open_file(self) -> StoreFile:
        if not self.url.database or self.url.database == ":memory:":
            raise StoreError("the store must be a file, because worker processes open it too; received "
                             f"DATABASE_URL={self}. Try sqlite:////absolute/path/runs.db.")
        file = StoreFile(Path(self.url.database))
        try:
            file.open(self._create)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not self._create:
                raise StoreError(f"there is no store at {self}.") from error
            verb = "created" if self._create else "opened"
            raise StoreError(f"the store at {self} cannot be {verb}: {error.strerror}.{_ELSEWHERE}") from error
        return file

    def _reopen_file(self) -> None:
        assert self._file is not None
        try:
            self._file.open(self._create)
        except OSError as error:  # away, as an app that may create the file does so soon
            why = error.strerror or "no such file"
            raise StoreAway(f"the store at {self} is not there any more: {why}.") from error

    # --- tables --------------------------------------------------------------------------------

    def _find_tables(self, connection: Connection) -> None:
        """Create or migrate the tables, and count a loss if they are not the tables that were found last."""
        are_new = self._revision(connection) != HEAD and self._migrate(connection)
        found = self._identify(connection), self._file and self._file.identity
        connection.rollback()
        with self._lock:
            if self._file is not None:
                self._file.note_content()
            if self._identity is not None and (are_new or found != self._identity):
                self.losses += 1
            self._identity = found

    def _migrate(self, connection: Connection) -> bool:
        """Migrate the tables to `HEAD` unless another process was faster. Returns whether this one did it."""
        connection.rollback()
        if self.is_sqlite:
            # The file keeps the mode. This statement does not obey the busy timeout, so it is repeated.
            raw = connection.connection.driver_connection
            assert raw is not None
            _insist(lambda: raw.execute("PRAGMA journal_mode=WAL"))
        with _begin_to_write(connection):
            if not self.is_sqlite:
                _lock_postgres(connection)
            found = self._revision(connection)
            if found != HEAD:
                self._upgrade(connection, found)
        return found != HEAD

    def _revision(self, connection: Connection) -> str | None:
        if self._identify(connection) is None:
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found

    def _identify(self, connection: Connection) -> object:
        """A value that changes if PostgreSQL's tables are replaced, and 1 for SQLite's; None if there are none."""
        return connection.scalar(text(
            "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'" if self.is_sqlite else
            "SELECT (SELECT oid FROM pg_database WHERE datname = current_database()) || ' ' || "
            "CAST(to_regclass('alembic_version') AS oid)"))

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

    def _look_into(self, context: ExceptionContext) -> Exception | None:
        """After an error of `_OTHER_TABLES`, have every connection check the tables before its next transaction."""
        error = context.original_exception
        if not error_code(error).startswith(_OTHER_TABLES) or context.is_disconnect:
            return None
        self._generation += 1
        return StoreAway(f"the tables of the store at {self} are missing: {one_line(error)}")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a password that contains a / was parsed as a port
        # The message does not repeat the URL, which may contain a password.
        raise StoreError("DATABASE_URL is not a database's URL. Try sqlite:////absolute/path/runs.db, or "
                         f"postgresql://user:password@host/name.{_QUOTE}") from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "postgresql" and "@" in f"{parsed.host}{parsed.database}":
        raise StoreError(f"the user or the password in DATABASE_URL cannot be told from its host.{_QUOTE}")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"the store must be SQLite or PostgreSQL; received DATABASE_URL={masked(parsed)}. "
                         "Try sqlite:////absolute/path/runs.db.")
    return parsed


def _begin_to_write(connection: Connection) -> RootTransaction:
    # A writer of SQLite that begins as a reader is refused at once when another one was faster.
    return connection.execution_options(echo_begin="BEGIN IMMEDIATE").begin()


def _begin_sqlite(connection: Connection) -> None:
    if statement := connection.get_execution_options().get("echo_begin", "BEGIN"):
        connection.exec_driver_sql(statement)


def _lock_postgres(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _insist(action: Callable[[], None]) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return action()
        except Exception as error:
            if not error_code(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def all_rows(connection: Connection, wanted: Select[Any]) -> Sequence[Row[Any]]:
    """All rows of a query, equal to those of `connection.execute(wanted).all()` to the last bit.

    SQLite's driver releases Python's lock for each row that it fetches. While another thread computes, each row then
    waits up to 5 ms for the lock: a History page took 0.8 s in place of 0.05 s (decision 0044). So SQLite sends all
    rows as one text of JSON.

    Args:
        wanted: Its columns may be numbers (not beyond 1e100), booleans, texts and bytes.
    """
    if connection.dialect.name != "sqlite":
        return connection.execute(wanted).all()
    columns = wanted.subquery().c
    packed = connection.scalar(select(func.json_group_array(func.json_array(*map(_pack, columns)))))
    unpack = [_unpacker(column) for column in columns]
    rows = (tuple(one(value) for one, value in zip(unpack, row, strict=True)) for row in json.loads(packed or "[]"))
    result: IteratorResult[Any] = IteratorResult(SimpleResultMetaData(columns.keys()), rows)
    return result.all()


def _pack(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column as JSON can hold it: a double with 17 digits, as SQLite's own 15 lose its last bits."""
    if isinstance(column.type, LargeBinary):
        return case((column.is_not(None), func.hex(column)))
    if isinstance(column.type, Double | Measured):
        return case((column.is_not(None), func.printf("%!.17g", column)))
    return column


def _unpacker(column: ColumnElement[Any]) -> Callable[[Any], Any]:
    kind = (float if isinstance(column.type, Double | Measured) else bool if isinstance(column.type, Boolean) else
            bytes.fromhex if isinstance(column.type, LargeBinary) else None)
    return lambda value: value if value is None or kind is None else kind(value)
