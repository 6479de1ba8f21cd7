"""What the app does every few seconds for all runs: it notices lost workers, and keeps the store within its size."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, select, union_all, update

from echo_core.config import TRAINING_VERSION
from echo_core.records import State
from echo_core.store.database import Database, all_rows
from echo_core.store.queue import CLOSED, HOLD_SECONDS, another_try, change, left_off, stored_bytes, watched_at
from echo_core.store.runs import UNDO_SECONDS, is_inactive
from echo_core.store.schema import CHECKPOINTS, MARKS, MOMENTS, PROGRESS, RUNS, SNAPSHOTS, WATCHERS, now
from echo_core.text.plurals import counted

#: A running run is interrupted when its heartbeat is older than this; a worker beats every second, and may be slow.
STALE_SECONDS = 20.0
#: The same, if its worker's process is known to have ended.
ORPHANED_SECONDS = 5.0
#: A sweep that waited longer than this for the store does nothing: workers waited as well, so all heartbeats are old.
MAX_SWEEP_WAIT_SECONDS = 1.0
#: Runs that `evict` takes data from in one transaction, so that no writer waits for long.
_EVICTED_AT_ONCE = 100


@dataclass(frozen=True)
class Tally:
    """Figures of a store.

    Attributes:
        runs: How many there are of each state, with those that were deleted lately.
        oldest_wait: Seconds for which the queued run has waited that waits longest; 0 if none waits.
        bytes: Of the database's files.
    """

    runs: Mapping[State, int]
    oldest_wait: float
    bytes: int


class Upkeep:
    """Sweeping, purging and evicting; see the module. Each may be called by several apps at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sweep(self, unwatched_seconds: float, stale_seconds: float = STALE_SECONDS,
              has_ended: Callable[[str], bool] = lambda worker: False) -> None:
        """Interrupt running runs without a heartbeat, pause queued ones that nobody holds, and queue awaited ones.

        A run is awaited if it was interrupted, or paused by its closing app, and one of its holders has come back.
        A run without a heartbeat that was asked to stop is paused, not interrupted.

        Args:
            unwatched_seconds: A queued run is paused when its last holder was seen longer ago than this.
            has_ended: Whether a worker, given its name, is known to have ended.
        """
        began = time.monotonic()
        running, silent = RUNS.c.state == State.RUNNING, RUNS.c.heartbeat_at < now() - ORPHANED_SECONDS
        stale = running & (RUNS.c.heartbeat_at < now() - stale_seconds)
        left = (RUNS.c.state == State.QUEUED) & (watched_at() < now() - unwatched_seconds)
        with self._database.read(consistent=True) as connection:
            workers = connection.scalars(select(RUNS.c.worker).where(running & silent).distinct())
            if ended := [name for name in workers if name and has_ended(name)]:
                stale |= running & silent & RUNS.c.worker.in_(ended)
            if not connection.scalar(select(func.count()).select_from(RUNS).where(stale | left | _awaited_again())):
                return
        with self._database.write(exclusive=True) as connection:
            if time.monotonic() - began > MAX_SWEEP_WAIT_SECONDS:
                return
            was_stopped = RUNS.c.stop_requested & (func.coalesce(RUNS.c.reason, "") != CLOSED)
            connection.execute(update(RUNS).where(stale & was_stopped).values(
                state=State.PAUSED, ended_at=now(), reason=None, stop_requested=False))
            connection.execute(update(RUNS).where(stale).values(
                state=State.INTERRUPTED, ended_at=now(), reason="Nothing was heard of its worker any more.",
                stop_requested=False))
            connection.execute(update(RUNS).where(left).values(
                state=State.PAUSED, ended_at=now(), reason=unwatched_reason(unwatched_seconds)))
            for row in connection.execute(select(RUNS).where(_awaited_again())).all():
                again = {"ended_at": None, "queued_at": now(), "reason": None}
                queued = {"state": State.QUEUED, "urgent": True} if row.state == State.PAUSED else another_try(row)
                connection.execute(change(row.run_id).values(**(again | queued)))

    def purge(self, undo_seconds: float = UNDO_SECONDS) -> None:
        """Delete runs for good that `Runs.delete` took out of the lists at least `undo_seconds` ago."""
        old = RUNS.c.deleted_at <= now() - undo_seconds
        with self._database.read() as connection:
            if not connection.scalar(select(func.count()).select_from(RUNS).where(old)):
                return
        with self._database.write() as connection:
            connection.execute(delete(RUNS).where(old))

    def size(self) -> int:
        """Bytes of all weights, checkpoints, progress and snapshots."""
        with self._database.read(consistent=True) as connection:
            return sum(stored_bytes(connection))

    def tally(self) -> Tally:
        """Figures for the host's machines, from indexes alone."""
        counts = select(RUNS.c.state, func.count().label("number")).group_by(RUNS.c.state)
        wait = select(func.max(now() - RUNS.c.queued_at)).where(RUNS.c.state == State.QUEUED)
        with self._database.read() as connection:
            runs = {State(row.state): row.number for row in all_rows(connection, counts)}
            return Tally(runs, max(0.0, connection.scalar(wait) or 0.0), self._database.bytes(connection))

    def evict(self, max_bytes: int, session: str | None = None) -> int:
        """Delete data of old runs until the store holds at most `max_bytes`, if that suffices.

        Curves and snapshots may take half of it; beyond that those of the oldest runs without a name go. The rest is
        for weights: the optimizer's moments of the oldest finished runs go first, as only extending those runs needs
        them. Then go the weights of the oldest runs without a name, then those of named runs. Settings, scores and all
        data of queued and running runs stay.

        Args:
            session: Whose runs are meant; None for all.
        Returns:
            How many runs lost something; a run that lost both its moments and its weights counts twice.
        """
        which = () if session is None else (RUNS.c.session == session,)
        # Runs are chosen without a lock and lose their data in small transactions, so that no writer waits for long.
        with self._database.read(consistent=True) as connection:
            curves, weights = stored_bytes(connection, *which)
            excess = max(0, curves - max_bytes // 2)
            chosen = [*_old_histories(connection, excess, *which),
                      *_evictable(connection, curves - excess + weights - max_bytes, *which)]
        return sum(self._evict(table, run_ids) for table, run_ids in chosen)

    def _evict(self, table: Table, run_ids: Sequence[str]) -> int:
        """Delete these runs' rows of a table, or their curves and snapshots if it is `RUNS`; how many lost some."""
        with self._database.write(exclusive=True) as connection:
            still_ended = select(RUNS.c.run_id).where(RUNS.c.run_id.in_(run_ids), is_inactive())
            for each in (PROGRESS, SNAPSHOTS) if table is RUNS else (table,):
                deleted = connection.execute(delete(each).where(each.c.run_id.in_(still_ended)))
            if table is RUNS:
                deleted = connection.execute(update(RUNS).where(RUNS.c.run_id.in_(still_ended)).values(size=0))
            return deleted.rowcount

    def evict_shares(self, max_bytes: int) -> None:
        """Delete data of the old runs of each session that takes `max_bytes` or more, to nine tenths of that."""
        weights = [select(RUNS.c.session, func.length(table.c.data).label("size")).join_from(
            table, RUNS, RUNS.c.run_id == table.c.run_id) for table in (CHECKPOINTS, MOMENTS)]
        parts = union_all(select(RUNS.c.session, RUNS.c.size), *weights).subquery()
        heavy = select(parts.c.session).group_by(parts.c.session).having(func.sum(parts.c.size) >= max_bytes)
        with self._database.read() as connection:
            sessions = [row.session for row in all_rows(connection, heavy)]
        for session in sessions:
            self.evict(max_bytes * 9 // 10, session)


def _awaited_again() -> ColumnElement[bool]:
    """Runs that were left off, and have a holder who was seen since and less than `HOLD_SECONDS` ago."""
    is_back = exists().where(WATCHERS.c.run_id == RUNS.c.run_id, WATCHERS.c.seen_at > RUNS.c.ended_at,
                             WATCHERS.c.seen_at >= now() - HOLD_SECONDS)
    return (left_off() & is_back & (RUNS.c.training_version <= TRAINING_VERSION)
            & RUNS.c.deleted_at.is_(None))


def unwatched_reason(seconds: float) -> str:
    """The `reason` of a run that was paused because nobody watched it."""
    return f"Nobody who pressed Train for it has been here for {counted(seconds, 'second')}."


def _old_histories(connection: Connection, excess: int,
                   *which: ColumnElement[bool]) -> list[tuple[Table, Sequence[str]]]:
    """The runs whose curves and snapshots go to make room for `excess` bytes, some at a time."""
    if excess <= 0:
        return []
    named = select(MARKS.c.run_id).where(MARKS.c.name.is_not(None))
    oldest_first = select(RUNS.c.run_id, RUNS.c.size).where(
        is_inactive(), RUNS.c.size > 0, RUNS.c.run_id.not_in(named), *which).order_by(
        RUNS.c.background.is_(False), RUNS.c.ended_at, RUNS.c.run_id)
    going = []
    for row in all_rows(connection, oldest_first):
        if excess > 0:
            going.append(row.run_id)
            excess -= row.size
    return [(RUNS, going[first:first + _EVICTED_AT_ONCE]) for first in range(0, len(going), _EVICTED_AT_ONCE)]


def _evictable(connection: Connection, excess: int, *which: ColumnElement[bool]) -> list[tuple[Table, Sequence[str]]]:
    """Tables, and the runs whose rows there go to make room for `excess` bytes, in the order in which they go."""
    named = select(MARKS.c.run_id).where(MARKS.c.name.is_not(None))
    found: list[tuple[Table, Sequence[str]]] = []
    for table in (MOMENTS, CHECKPOINTS):
        is_named = RUNS.c.run_id.in_(named) if table is CHECKPOINTS else RUNS.c.run_id.is_(None)
        held = [row.run_id for row in all_rows(connection, select(table.c.run_id).join(
            RUNS, RUNS.c.run_id == table.c.run_id).where(is_inactive(), *which).order_by(
            is_named, RUNS.c.background.is_(False), RUNS.c.state != State.FINISHED, RUNS.c.ended_at, RUNS.c.run_id))]
        for first in range(0, len(held), _EVICTED_AT_ONCE):
            if excess <= 0:
                return found
            some = held[first:first + _EVICTED_AT_ONCE]
            sizes = {row.run_id: row.size for row in all_rows(connection, select(
                table.c.run_id, func.length(table.c.data).label("size")).where(table.c.run_id.in_(some)))}
            going = []
            for run_id in some:
                if excess > 0:
                    going.append(run_id)
                    excess -= sizes[run_id]
            found.append((table, going))
    return found
