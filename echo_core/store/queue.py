"""The queue: asking for runs, and giving them to workers in an order that is fair and can be forecast.

Runs that people ask for come before those of studies. Among each kind a run that lost its worker comes first. Then
comes the session with the fewest running runs, then the one that was served longest ago, then the run that waits
longest. So twelve runs of three sessions start as A1 B1 C1 A2 B2 C2 …, even if one session queued all of its runs
before the others came.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, case, delete, func, insert, select, update

from echo_core.config import TRAINING_VERSION, RunConfig
from echo_core.records import State
from echo_core.settings import HOUR, QueueFull, Share, Use
from echo_core.store.database import Database, all_rows
from echo_core.store.schema import CHECKPOINTS, MARKS, MOMENTS, REQUESTS, RUNS, SESSIONS, WATCHERS, now
from echo_core.text.plurals import counted

#: A holder who was seen longer ago than this does not keep others from stopping a run.
HOLD_SECONDS = 15.0
#: A run fails when it has lost more than this many workers in a row without a new epoch.
MAX_FRUITLESS_RESTARTS = 3
#: The `reason` of a run that was paused because its app shut down. It goes on as an interrupted run does.
CLOSED = "Echo Lab was closed while it trained. It goes on by itself once whoever pressed Train for it is back."


class Ticket(NamedTuple):
    """The right to write about one attempt to train a run. It ends when another attempt begins or the run ends."""

    run_id: str
    attempt: int


@dataclass(frozen=True)
class Waiting:
    """A queued run.

    Attributes:
        session: Who queued it.
        queued_at: Seconds since 1970. Runs of equal times are in the order of their `run_id`.
        urgent: Whether it was running already and lost its worker.
        background: Whether only a study has asked for it.
    """

    run_id: str
    session: str
    queued_at: float
    urgent: bool = False
    background: bool = False


def next_run(waiting: Iterable[Waiting], under_way: Mapping[str, int], served: Mapping[str, int]) -> Waiting | None:
    """The run whose turn it is; None if none waits.

    Args:
        under_way: The number of running runs of each session.
        served: A counter's value when each session was last served: the larger, the later.
    """
    return min(waiting, default=None, key=lambda run: (
        run.background, not run.urgent, under_way.get(run.session, 0), served.get(run.session, 0), run.queued_at,
        run.run_id))


def begin_order(waiting: Iterable[Waiting], running: Sequence[str], served: Mapping[str, int]) -> list[str]:
    """The `run_id`s in the order in which the runs will start, if running ones end in the order in which they started.

    Args:
        running: The sessions of the running runs, in the order of their starts. The forecast keeps their number, or
            one if there are none.
    """
    left, ahead = list(waiting), list(running)
    served, turn = dict(served), max(served.values(), default=0)
    order: list[str] = []
    at_a_time = max(1, len(running))
    while left:
        del ahead[:len(ahead) - at_a_time + 1]
        run = next_run(left, Counter(ahead), served)
        assert run is not None
        left.remove(run)
        ahead.append(run.session)
        turn += 1
        served[run.session] = turn
        order.append(run.run_id)
    return order


class Queue:
    """The queue, and who holds which run; see the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- asking for work -----------------------------------------------------------------------

    def request(self, config: RunConfig, session: str = "", holder: str | None = None,
                max_queue: int | None = None, again: bool = False, share: Share | None = None,
                background: bool = False) -> str:
        """Ask for a run, whatever its state; `holder` then holds it.

        A finished run is left as it is. A queued or running one is joined, and a Stop that its worker has not obeyed
        yet is taken back. A paused or interrupted one is queued to go on, a failed one to start from nothing, and
        an unknown one is created.

        Args:
            session: Who asks. Sessions take turns, and a share is of one.
            max_queue: Runs that may wait; None is no limit.
            holder: The browser that wants the run to go on. It holds the run, which becomes one of its runs.
            again: Whether to train a finished run again, from nothing; otherwise it is its own answer.
            share: What a session may have; None for one that is no visitor's.
            background: Whether a study asks. A run that only studies have asked for waits behind all others.
        Returns:
            The `run_id`.
        Raises:
            LimitExceeded: If the run would wait, and `max_queue` runs wait already, or the share is used up.
        """
        with self._database.write(exclusive=True) as connection:
            self._request(connection, config, session, holder, max_queue, again, share, background)
        return config.run_id

    def take(self, config: RunConfig, worker: str, session: str = "", holder: str | None = None) -> Ticket | None:
        """Ask for a run and start it at once, past the queue, for a process that trains itself.

        Returns:
            The ticket; None if the run is finished, or running elsewhere.
        """
        with self._database.write(exclusive=True) as connection:
            self._request(connection, config, session, holder, None)
            state = connection.scalar(select(RUNS.c.state).where(RUNS.c.run_id == config.run_id))
            return _start(connection, config.run_id, worker) if state == State.QUEUED else None

    def _request(self, connection: Connection, config: RunConfig, session: str, holder: str | None,
                 max_queue: int | None, again: bool = False, share: Share | None = None,
                 background: bool = False) -> None:
        run_id, at = config.run_id, _queued_at(connection)
        state = connection.scalar(select(RUNS.c.state).where(RUNS.c.run_id == run_id))
        listed = {} if background else {"background": False}  # a person's run from now on
        if state == State.FINISHED and not again:
            connection.execute(change(run_id).values(deleted_at=None, **listed))
            return _mark(connection, run_id, holder)
        if state is None or not State(state).is_active:
            if share is not None:
                share.check(_use(connection, session))
                _note_request(connection, session)
            _check_queue(connection, max_queue)
        if state is None:
            connection.execute(insert(RUNS).values(
                run_id=run_id, config=config.model_dump_json(),  # with every field, as a default may change
                training_version=config.training_version, state=State.QUEUED, session=session, created_at=at,
                queued_at=at, family=config.family, variant=config.variant, task=config.task, background=background))
        elif State(state).is_active:
            connection.execute(change(run_id).values(stop_requested=False, reason=_unless_closed(), **listed))
        else:
            if state != State.INTERRUPTED:  # its holders stopped it, or were gone when it ended
                connection.execute(delete(WATCHERS).where(WATCHERS.c.run_id == run_id))
            afresh: dict[str, Any] = {"reason": None, "fruitless": 0}  # a press of Train allows new tries
            if state in (State.FAILED, State.FINISHED):
                # It starts from nothing: the checkpoint of a failed run may be what makes it fail.
                connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.run_id == run_id))
                afresh = {"restarts": 0, "fruitless": 0, "furthest": 0}
            connection.execute(change(run_id).values(
                state=State.QUEUED, session=session, queued_at=at, ended_at=None, stop_requested=False,
                urgent=False, deleted_at=None, **afresh, **listed))
        _mark(connection, run_id, holder)
        if holder is not None:
            connection.execute(delete(WATCHERS).where(WATCHERS.c.run_id == run_id, WATCHERS.c.holder == holder))
            connection.execute(insert(WATCHERS).values(run_id=run_id, holder=holder, seen_at=now()))

    def renew(self, holders: Collection[str]) -> None:
        """Note that these holders are here now, for all their runs that are queued, running or left off."""
        if not holders:
            return
        active = select(RUNS.c.run_id).where(RUNS.c.state.in_([State.QUEUED, State.RUNNING]) | left_off())
        with self._database.write(exclusive=True) as connection:
            connection.execute(update(WATCHERS).values(seen_at=now()).where(
                WATCHERS.c.holder.in_(holders), WATCHERS.c.run_id.in_(active)))

    def stop(self, run_id: str, holder: str | None = None, only_own: bool = False) -> bool:
        """Ask a run to pause. A queued one is paused at once, a running one by its worker.

        Args:
            holder: Who asks. If they hold the run, and somebody else who was seen lately holds it too, only their own
                hold ends and the run goes on. None stops it in any case.
            only_own: Whether every other holder counts, even if not seen lately: strangers share this host.
        Returns:
            Whether the run stops.
        """
        with self._database.write(exclusive=True) as connection:
            if holder is not None and _others_hold(connection, run_id, holder, only_own):
                connection.execute(delete(WATCHERS).where(WATCHERS.c.run_id == run_id, WATCHERS.c.holder == holder))
                return False
            connection.execute(change(run_id, State.QUEUED).values(
                state=State.PAUSED, ended_at=now(), reason=None))
            connection.execute(change(run_id, State.RUNNING).values(stop_requested=True, reason=_unless_closed()))
        return True

    def close_down(self, run_id: str) -> None:
        """Ask a running run to pause because its app shuts down. It goes on when one of its holders is back."""
        with self._database.write(exclusive=True) as connection:
            connection.execute(change(run_id, State.RUNNING).where(~RUNS.c.stop_requested).values(
                stop_requested=True, reason=CLOSED))

    # --- handing out work ----------------------------------------------------------------------

    def claim(self, worker: str) -> Ticket | None:
        """Start the run whose turn it is, on a worker that trains none; None if there is no such run.

        Apps that claim at the same time get different runs, and a worker that two of them take for idle gets one.
        """
        with self._database.read() as connection:
            if not _num_queued(connection):
                return None
        with self._database.write(exclusive=True) as connection:
            busy = select(RUNS.c.run_id).where(RUNS.c.worker == worker, RUNS.c.state == State.RUNNING)
            if connection.execute(busy).first():
                return None
            chosen = next_run(_waiting(connection), Counter(_running(connection)), _served(connection))
            if chosen is None:
                return None
            turn = (connection.scalar(select(func.max(SESSIONS.c.served))) or 0) + 1
            # A session that was served a thousand turns ago is as good as one that was never served: both come first.
            connection.execute(delete(SESSIONS).where(
                (SESSIONS.c.session == chosen.session) | (SESSIONS.c.served < turn - 1000)))
            connection.execute(insert(SESSIONS).values(session=chosen.session, served=turn))
            return _start(connection, chosen.run_id, worker)

    def order(self) -> list[str]:
        """The `run_id`s of all queued runs, in the order in which they will start."""
        with self._database.read(consistent=True) as connection:
            return begin_order(_waiting(connection), _running(connection), _served(connection))

    def use(self, session: str) -> Use:
        """What a session has of this host now."""
        with self._database.read(consistent=True) as connection:
            return _use(connection, session)

    def place(self, run_id: str) -> int | None:
        """How many runs will start before this one; None unless it is queued."""
        order = self.order()
        return order.index(run_id) if run_id in order else None

    def lose(self, ticket: Ticket) -> None:
        """Note that the worker of an attempt is gone, and move its run to the front of the queue.

        A run that was asked to stop is paused instead, and one that lost too many workers fails. Nothing happens if
        the attempt has ended.
        """
        with self._database.write(exclusive=True) as connection:
            row = connection.execute(select(RUNS).where(
                RUNS.c.run_id == ticket.run_id, RUNS.c.attempt == ticket.attempt,
                RUNS.c.state == State.RUNNING)).first()
            if row is None:
                return
            stopped = {"state": State.PAUSED, "ended_at": now(), "stop_requested": False}
            connection.execute(change(ticket.run_id, State.RUNNING).values(
                **(stopped if row.stop_requested else another_try(row))))



def another_try(row: Row[Any]) -> dict[str, Any]:
    """The new values of a run that lost its worker: queued again, or failed if too many tries made no progress."""
    fruitless, furthest = 1 if row.epoch > row.furthest else row.fruitless + 1, max(row.epoch, row.furthest)
    counts = {"fruitless": fruitless, "furthest": furthest}
    if fruitless > MAX_FRUITLESS_RESTARTS:
        return counts | {"state": State.FAILED, "ended_at": now(), "reason":
                         f"Its worker process died {fruitless} times without getting further than epoch {furthest}; "
                         "perhaps the memory does not suffice. Try a smaller network."}
    return counts | {"state": State.QUEUED, "urgent": True, "restarts": row.restarts + 1}


def left_off() -> ColumnElement[bool]:
    """Runs that ended with their worker or their app, although nobody stopped them."""
    return (RUNS.c.state == State.INTERRUPTED) | ((RUNS.c.state == State.PAUSED) & (RUNS.c.reason == CLOSED))


def _unless_closed() -> Any:
    """The reason of a run, or null for `CLOSED`: a run that is stopped or asked for again loses that reason."""
    return func.nullif(RUNS.c.reason, CLOSED)


def _start(connection: Connection, run_id: str, worker: str) -> Ticket:
    connection.execute(change(run_id).values(
        state=State.RUNNING, attempt=RUNS.c.attempt + 1, started_at=now(), ended_at=None, heartbeat_at=now(),
        stop_requested=False, urgent=False, worker=worker))
    attempt: int = connection.scalar(select(RUNS.c.attempt).where(RUNS.c.run_id == run_id)) or 0
    return Ticket(run_id, attempt)


def _queued_at(connection: Connection) -> float:
    """Now, or 0.1 ms after the newest run: SQLite's clock has milliseconds, and equal times would lose the order."""
    last = select(func.max(RUNS.c.created_at)).scalar_subquery()
    at, last_at = connection.execute(select(now(), last)).one()
    return float(last_at) + 1e-4 if last_at is not None and at <= last_at < at + 1 else float(at)


def _mark(connection: Connection, run_id: str, visitor: str | None) -> None:
    """Make a run one of the visitor's runs."""
    mine = (MARKS.c.run_id == run_id) & (MARKS.c.visitor == visitor)
    if visitor is not None and not connection.execute(select(MARKS.c.run_id).where(mine)).first():
        connection.execute(insert(MARKS).values(run_id=run_id, visitor=visitor))


def _others_hold(connection: Connection, run_id: str, holder: str, only_own: bool) -> bool:
    """Whether another holder keeps `holder` from stopping a run; see `Queue.stop`."""
    is_here = (WATCHERS.c.seen_at >= now() - HOLD_SECONDS).label("is_here")
    held = all_rows(connection, select(WATCHERS.c.holder, is_here).where(WATCHERS.c.run_id == run_id))
    if not only_own and holder not in (row.holder for row in held):
        return False
    return any(row.is_here or only_own for row in held if row.holder != holder)


def _check_queue(connection: Connection, max_queue: int | None) -> None:
    if max_queue is not None and (waiting := _num_queued(connection)) >= max_queue:
        raise QueueFull(f"{counted(waiting, 'run')} {'waits' if waiting == 1 else 'wait'} on this host already, and it "
                        f"lets {max_queue} wait (ECHO_MAX_QUEUE).")


def _use(connection: Connection, session: str) -> Use:
    """What a visitor has of this host, within the transaction that asks for one more run."""
    mine, ages = RUNS.c.session == session, (now() - REQUESTS.c.asked_at).label("age")
    asked = select(ages).where(REQUESTS.c.visitor == session, REQUESTS.c.asked_at > now() - HOUR).order_by(ages.desc())
    by_people = mine & RUNS.c.background.is_(False)
    training = select(func.count()).select_from(RUNS).where(by_people, RUNS.c.state == State.RUNNING)
    curves, weights = stored_bytes(connection, mine)
    is_named = RUNS.c.run_id.in_(select(MARKS.c.run_id).where(MARKS.c.name.is_not(None)))
    staying, _ = stored_bytes(connection, mine, is_named | RUNS.c.state.in_((State.QUEUED, State.RUNNING)))
    return Use(_num_queued(connection, by_people), connection.scalar(training) or 0,
               [row.age for row in all_rows(connection, asked)], curves + weights, curves - staying + weights)


def _note_request(connection: Connection, session: str) -> None:
    connection.execute(delete(REQUESTS).where(REQUESTS.c.asked_at <= now() - HOUR))
    connection.execute(insert(REQUESTS).values(visitor=session, asked_at=now()))


def stored_bytes(connection: Connection, *which: ColumnElement[bool]) -> tuple[int, int]:
    """Bytes of the curves and snapshots of some runs, and of their weights, checkpoints and moments."""
    curves = connection.scalar(select(func.coalesce(func.sum(RUNS.c.size), 0)).where(*which))
    weights = (connection.scalar(select(func.coalesce(func.sum(func.length(table.c.data)), 0)).select_from(
        table.join(RUNS, RUNS.c.run_id == table.c.run_id)).where(*which)) for table in (CHECKPOINTS, MOMENTS))
    return int(curves or 0), sum(int(each or 0) for each in weights)


def _waiting(connection: Connection) -> list[Waiting]:
    columns = select(RUNS.c.run_id, RUNS.c.session, RUNS.c.queued_at, RUNS.c.urgent, RUNS.c.background)
    rows = all_rows(connection, columns.where(_queued()))
    return [Waiting(row.run_id, row.session, row.queued_at, row.urgent, row.background) for row in rows]


def _served(connection: Connection) -> dict[str, int]:
    return {row.session: row.served for row in all_rows(connection, select(SESSIONS.c.session, SESSIONS.c.served))}


def _running(connection: Connection) -> Sequence[str]:
    wanted = select(RUNS.c.session).where(RUNS.c.state == State.RUNNING)
    return [row.session for row in all_rows(connection, wanted.order_by(RUNS.c.started_at))]


def _num_queued(connection: Connection, *which: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(RUNS).where(_queued(), *which)) or 0


def _queued() -> Any:
    # A run of a newer training version would get other weights here.
    return (RUNS.c.state == State.QUEUED) & (RUNS.c.training_version <= TRAINING_VERSION)


def change(run_id: str, state: State | None = None) -> Any:
    """An update of one run, if it is in `state`; add `.values(…)`."""
    statement = update(RUNS).where(RUNS.c.run_id == run_id)
    return statement if state is None else statement.where(RUNS.c.state == state)


def watched_at() -> Any:
    """When a holder of the run was last seen, or when it was queued, whichever is later."""
    seen_at = select(func.max(WATCHERS.c.seen_at)).where(WATCHERS.c.run_id == RUNS.c.run_id).scalar_subquery()
    return case((seen_at > RUNS.c.queued_at, seen_at), else_=RUNS.c.queued_at)
