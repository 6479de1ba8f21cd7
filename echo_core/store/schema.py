"""The tables of the store, and the two things that they need of a database: its clock, and numbers that may be NaN.

Every time in the tables is in seconds since 1970 (UTC) by the database's own clock, because apps and workers run on
several machines, whose clocks differ by minutes. So a time is written and compared by statements that use `now()`. A
SQLite file is on one machine: its clock is that of the machine.

Who changes a table adds a migration: `migrations/README.md` says how.
"""

import math
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator

#: The newest revision in migrations/versions, written here too so that opening a store that has it costs one query
#: and never imports alembic. A test compares the two.
HEAD = "0004"


class now(FunctionElement[float]):  # in statements it reads as a function
    """Seconds since 1970 by the database's clock, also within a transaction that began earlier."""

    type = Double()
    inherit_cache = True
    name = "now"


@compiles(now, "sqlite")
def _by_sqlite(_element: now, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"  # 2440587.5 is 1970; it counts milliseconds


@compiles(now, "postgresql")
def _by_postgresql(_element: now, _compiler: Any, **_options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


class Measured(TypeDecorator[float]):
    """A number whose NaN is stored as null: SQLite cannot store NaN, and PostgreSQL sorts it above all numbers."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Any) -> float | None:
        """The stored value."""
        return None if value is None or math.isnan(value) else value


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
    # Asked for by a study alone: it waits behind the runs that people ask for, and the history does not list it.
    Column("background", Boolean, nullable=False, default=False, server_default=false()),
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
    # Copies from the config, the progress and the evaluation, by which runs are found and sorted.
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
    Index("runs_by_session", "session"),
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
REQUESTS = Table(                                            # that queued a run, where visitors have a limit an hour
    "requests", METADATA,
    Column("request", Integer, primary_key=True),
    Column("visitor", Text, nullable=False),
    Column("asked_at", Double, nullable=False),
    Index("requests_by_age", "asked_at"),
)
STUDIES = Table(                                             # its runs follow from its spec
    "studies", METADATA,
    Column("study_id", String(16), primary_key=True),
    Column("spec", Text, nullable=False),                    # JSON
    Column("created_at", Double, nullable=False),
)
STUDY_ASKERS = Table(                                        # whose study it is: everybody who asked for it
    "study_askers", METADATA,
    Column("study_id", String(16), ForeignKey("studies.study_id", ondelete="CASCADE"), primary_key=True),
    Column("visitor", Text, primary_key=True),
    Column("asked_at", Double, nullable=False),              # when they last pressed Start or Go on
    Column("wants", Boolean, nullable=False),                # wants it trained; not after Pause, and when it is done
)
HANDSHAKES = Table(
    "handshakes", METADATA,
    Column("token", String(64), primary_key=True),
    Column("made_at", Double, nullable=False),
)
