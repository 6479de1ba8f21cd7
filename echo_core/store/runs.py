"""All runs: get, list, search, name, hide, delete and bring back.

The database sorts, counts and cuts lists into pages, so ten thousand runs take as long as ten. A search reads one
line of each run.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, Row, Select, case, cast, func, insert, select, update
from sqlalchemy.types import BigInteger, Double

from echo_core.config import RunConfig
from echo_core.config.search import Description, Query, describe
from echo_core.records import Evaluation, State
from echo_core.store.database import Database, all_rows
from echo_core.store.schema import MARKS, PROGRESS, RUNS, now

#: Seconds for which a deleted run can be brought back.
UNDO_SECONDS = 600.0
#: The visitor whose names and hidden runs count on a local copy, where all visitors are one.
EVERYBODY = ""
#: Steps of a loss sparkline, which is about 60 pixels wide.
_SPARKLINE = 60
#: Descriptions that are cached for searches, and runs whose descriptions are made from one query.
_MOST_DESCRIPTIONS, _DESCRIBED_AT_ONCE = 100_000, 500

Sorting = Literal["created_at", "name", "variant", "state", "epoch", "loss", "token_accuracy", "window_accuracy",
                  "seconds"]


@dataclass(frozen=True)
class RunRow:
    """A run as the store has it at one moment. Times are seconds since 1970.

    Attributes:
        attempt: How often it was started. When it changes, progress past the checkpoint has been deleted.
        session: Who queued it.
        reason: Why it failed, paused or was interrupted; None after a plain Stop. A failed run
            that was queued again keeps its reason until it ends.
        epoch: Trained epochs.
        seconds: Seconds of training over all attempts, compiling included.
        restarts: How often it was queued again after its worker was lost.
        loss: Of the newest epoch.
        background: Whether only studies have asked for it.
    """

    run_id: str
    config: RunConfig
    training_version: int
    state: State
    attempt: int
    session: str
    created_at: float
    queued_at: float
    started_at: float | None
    ended_at: float | None
    heartbeat_at: float | None
    stop_requested: bool
    reason: str | None
    epoch: int
    seconds: float
    threads: int | None
    worker: str | None
    restarts: int
    fingerprint: str | None
    evaluation: Evaluation | None
    loss: float | None
    background: bool


@dataclass(frozen=True)
class Wanted:
    """Which runs to list, and in which order.

    Attributes:
        visitor: Whose names and hidden runs count; `EVERYBODY` on a local copy.
        only_own: Only runs that this visitor asked for, and `shared` ones.
        shared: Runs that anybody may see.
        hidden: Whether to list the runs that the visitor has hidden, and no others.
        studies: Whether to list also the runs that only a study has asked for.
        text: A query of words that the list shows, settings, or the beginning of a `run_id`; see `search`.
        variants, states: List runs with one of these; empty for all.
    """

    visitor: str = EVERYBODY
    only_own: bool = False
    shared: Collection[str] = ()
    hidden: bool = False
    studies: bool = False
    text: str = ""
    variants: Collection[str] = ()
    states: Collection[State] = ()
    sort: Sorting = "created_at"
    descending: bool = True


@dataclass(frozen=True)
class ListedRun:
    """A run in a list.

    Attributes:
        losses: Its loss at equal steps of epochs from the first to the newest, for a sparkline, without NaNs.
    """

    run: RunRow
    name: str | None
    hidden: bool
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Page:
    """One page of a list, and the number of runs on all its pages."""

    runs: Sequence[ListedRun]
    total: int


class Runs:
    """All runs but the deleted ones, with each visitor's names and hidden runs; see the module."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._descriptions: dict[str, Description] = {}

    def get(self, run_id: str) -> RunRow | None:
        """One run; None if it is unknown or deleted, or this version cannot read its settings."""
        with self._database.read() as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.run_id == run_id, _present())).one_or_none()
        return run_row(row) if row else None

    def of(self, run_ids: Collection[str]) -> dict[str, RunRow]:
        """These runs by their `run_id`, without those that `get` would not find."""
        wanted, found = list(run_ids), {}
        with self._database.read() as connection:
            for first in range(0, len(wanted), _DESCRIBED_AT_ONCE):
                some = RUNS.c.run_id.in_(wanted[first:first + _DESCRIBED_AT_ONCE])
                rows = all_rows(connection, select(RUNS).where(some, _present()))
                found.update({run.run_id: run for row in rows if (run := run_row(row)) is not None})
        return found

    def newest(self, limit: int = 100, states: Collection[State] = tuple(State)) -> list[RunRow]:
        """The newest runs in these states, newest first, without those whose settings this version cannot read."""
        newest = select(RUNS).where(_present(), RUNS.c.state.in_(states)).order_by(
            RUNS.c.created_at.desc(), RUNS.c.run_id)
        with self._database.read() as connection:
            rows = all_rows(connection, newest.limit(limit))
        return [run for row in rows if (run := run_row(row)) is not None]

    def active(self) -> dict[str, RunRow]:
        """Every queued or running run by its `run_id`, in the order of their starts."""
        wanted = select(RUNS).where(RUNS.c.state.in_((State.QUEUED, State.RUNNING))).order_by(RUNS.c.started_at)
        with self._database.read() as connection:
            rows = [run_row(row) for row in all_rows(connection, wanted)]
        return {row.run_id: row for row in rows if row}

    def find(self, wanted: Wanted, limit: int = 25, offset: int = 0) -> Page:
        """A page of the wanted runs. Runs that this version cannot read are counted and left out."""
        mark = (MARKS.c.run_id == RUNS.c.run_id) & (MARKS.c.visitor == wanted.visitor)
        joined = RUNS.outerjoin(MARKS, mark)
        where, order = _conditions(wanted), _order(wanted)
        listed = select(RUNS, MARKS.c.name, MARKS.c.hidden).select_from(joined)
        with self._database.read(consistent=True) as connection:
            if query := wanted.text.strip():
                every = select(RUNS.c.run_id, RUNS.c.state, MARKS.c.name).select_from(joined)
                found = self._fitting(connection, every.where(*where).order_by(*order), Query(query))
                total, shown = len(found), found[offset:offset + limit]
                by_id = {row.run_id: row for row in all_rows(connection, listed.where(RUNS.c.run_id.in_(shown)))}
                rows: Sequence[Row[Any]] = [by_id[run_id] for run_id in shown]
            else:
                total = connection.scalar(select(func.count()).select_from(joined).where(*where)) or 0
                rows = all_rows(connection, listed.where(*where).order_by(*order).limit(limit).offset(offset))
            losses = _sparklines(connection, [row.run_id for row in rows])
        return Page([ListedRun(run, row.name, bool(row.hidden), losses[run.run_id])
                     for row in rows if (run := run_row(row)) is not None], total)

    def count(self, wanted: Wanted) -> int:
        """How many runs there are of the wanted ones, without regard to `wanted.text`."""
        mark = (MARKS.c.run_id == RUNS.c.run_id) & (MARKS.c.visitor == wanted.visitor)
        every = select(func.count()).select_from(RUNS.outerjoin(MARKS, mark))
        with self._database.read() as connection:
            return connection.scalar(every.where(*_conditions(wanted))) or 0

    def _fitting(self, connection: Connection, every: Select[Any], query: Query) -> list[str]:
        """The `run_id`s of the runs that fit a query, in their order.

        This code compares them, not the database: code makes what pages show of a run, and databases differ in how
        they fold the case of letters beyond ASCII.
        """
        rows = all_rows(connection, every)
        self._describe(connection, [row.run_id for row in rows])
        return [row.run_id for row in rows
                if query.fits(row.run_id, row.state, row.name, self._descriptions[row.run_id])]

    def _describe(self, connection: Connection, run_ids: Sequence[str]) -> None:
        """Cache the descriptions of these runs. A run's never changes, as it depends on its config only."""
        if len(self._descriptions) > _MOST_DESCRIPTIONS:
            self._descriptions = {}
        new = [run_id for run_id in run_ids if run_id not in self._descriptions]
        for first in range(0, len(new), _DESCRIBED_AT_ONCE):
            some = select(RUNS.c.run_id, RUNS.c.config).where(RUNS.c.run_id.in_(new[first:first + _DESCRIBED_AT_ONCE]))
            for row in all_rows(connection, some):
                try:
                    self._descriptions[row.run_id] = describe(RunConfig.model_validate_json(row.config))
                except ValidationError:  # of another version
                    self._descriptions[row.run_id] = Description("", "")

    def name_of(self, run_id: str, visitor: str = EVERYBODY) -> str | None:
        """The visitor's name for a run."""
        with self._database.read() as connection:
            return connection.scalar(select(MARKS.c.name).where(MARKS.c.run_id == run_id, MARKS.c.visitor == visitor))

    def belongs_to(self, run_id: str, visitor: str) -> bool:
        """Whether this visitor asked for a run."""
        mine = select(MARKS.c.run_id).where(MARKS.c.run_id == run_id, MARKS.c.visitor == visitor)
        with self._database.read() as connection:
            return connection.execute(mine).first() is not None

    def others_have(self, run_id: str, visitor: str) -> bool:
        """Whether somebody else asked for a run, too."""
        theirs = select(MARKS.c.run_id).where(MARKS.c.run_id == run_id, MARKS.c.visitor != visitor)
        with self._database.read() as connection:
            return connection.execute(theirs).first() is not None

    def rename(self, run_id: str, name: str | None, visitor: str = EVERYBODY) -> None:
        """Give a run a name of at most 80 characters; an empty one or None removes the name."""
        self._set_mark([run_id], visitor, name=" ".join((name or "").split())[:80] or None)

    def hide(self, run_ids: Collection[str], hidden: bool = True, visitor: str = EVERYBODY) -> None:
        """Hide runs from a visitor's list, or show them again."""
        self._set_mark(run_ids, visitor, hidden=hidden)

    def delete(self, run_ids: Collection[str]) -> list[str]:
        """Take runs out of all lists, for good after `UNDO_SECONDS`. Queued and running ones stay.

        Returns:
            The `run_id`s of the deleted runs.
        """
        may_go = RUNS.c.run_id.in_(run_ids) & is_inactive() & _present()
        with self._database.write(exclusive=True) as connection:
            found = list(connection.scalars(select(RUNS.c.run_id).where(may_go)))
            connection.execute(update(RUNS).where(RUNS.c.run_id.in_(found)).values(deleted_at=now()))
        return found

    def bring_back(self, run_ids: Collection[str]) -> None:
        """Undo `delete`."""
        with self._database.write() as connection:
            connection.execute(update(RUNS).where(RUNS.c.run_id.in_(run_ids)).values(deleted_at=None))

    def _set_mark(self, run_ids: Collection[str], visitor: str, **values: object) -> None:
        with self._database.write(exclusive=True) as connection:
            for run_id in connection.scalars(select(RUNS.c.run_id).where(RUNS.c.run_id.in_(run_ids))).all():
                mine = (MARKS.c.run_id == run_id) & (MARKS.c.visitor == visitor)
                if connection.execute(update(MARKS).where(mine).values(**values)).rowcount == 0:
                    connection.execute(insert(MARKS).values(run_id=run_id, visitor=visitor, **values))


def extended_config(run: RunRow, epochs: int) -> RunConfig:
    """The config of a run with more epochs. Raises ValueError if it cannot be extended to so many."""
    config = run.config.extended(epochs)
    if epochs <= run.epoch:
        raise ValueError(f"epochs must be more than the {run.epoch} that run {run.run_id} has trained, because it is "
                         f"the new total; received {epochs}. Try epochs={run.epoch + 1000}.")
    return config


def run_row(row: Row[Any]) -> RunRow | None:
    """A `RunRow` from a row of `RUNS`; None if this version cannot read its settings."""
    values = {name: row._mapping[name] for name in RunRow.__dataclass_fields__}
    try:
        values["config"] = RunConfig.model_validate_json(row.config)
    except ValidationError:
        return None
    values["state"] = State(row.state)
    if row.evaluation is not None:
        found = json.loads(row.evaluation)
        values["evaluation"] = Evaluation(**{**found, "by_timestep": tuple(found["by_timestep"])})
    return RunRow(**values)


def _present() -> ColumnElement[bool]:
    return RUNS.c.deleted_at.is_(None)


def is_inactive() -> ColumnElement[bool]:
    """Runs that are neither queued nor running."""
    return RUNS.c.state.not_in((State.QUEUED, State.RUNNING))


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    hidden = func.coalesce(MARKS.c.hidden, False)
    conditions = [_present(), hidden.is_(True) if wanted.hidden else hidden.is_(False)]
    if wanted.only_own:
        conditions.append(MARKS.c.run_id.is_not(None) | RUNS.c.run_id.in_(wanted.shared))
    if not wanted.studies:
        conditions.append(RUNS.c.background.is_(False))
    if wanted.variants:
        conditions.append(RUNS.c.variant.in_(wanted.variants))
    if wanted.states:
        conditions.append(RUNS.c.state.in_(wanted.states))
    return conditions


def _order(wanted: Wanted) -> list[Any]:
    column: Any = MARKS.c.name if wanted.sort == "name" else RUNS.c[wanted.sort]
    # Nulls come last. A column that is never null needs no such term, so that an index can give the order.
    order = ((column.is_(None),) if column.nullable else (),
             (column.desc() if wanted.descending else column,),
             (RUNS.c.created_at.desc(),) if column is not RUNS.c.created_at else (), (RUNS.c.run_id,))
    return list(chain(*order))


def _sparklines(connection: Connection, run_ids: Collection[str]) -> dict[str, tuple[float, ...]]:
    """The loss of each run at `_SPARKLINE` equal steps of epochs, linearly interpolated.

    Records come at equal steps of time, and more often at the beginning, so the database takes the mean of each step.
    """
    reached = case((RUNS.c.epoch > 0, RUNS.c.epoch), else_=1)
    step = (cast(PROGRESS.c.epoch, BigInteger) * _SPARKLINE // reached).label("step")
    epoch, loss = func.avg(cast(PROGRESS.c.epoch, Double)).label("epoch"), func.avg(PROGRESS.c.loss).label("loss")
    first = case((PROGRESS.c.epoch == 0, 0), else_=1)  # epoch 0, the untrained network, is a group of its own
    means = select(PROGRESS.c.run_id, cast(epoch, Double).label("epoch"), cast(loss, Double).label("loss")).join(
        RUNS, RUNS.c.run_id == PROGRESS.c.run_id).where(
        PROGRESS.c.run_id.in_(run_ids), PROGRESS.c.loss.is_not(None)).group_by(PROGRESS.c.run_id, first, step)
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in all_rows(connection, means):
        points[row.run_id].append((row.epoch, row.loss))
    return {run_id: _at_equal_steps(points[run_id]) for run_id in run_ids}


def _at_equal_steps(points: list[tuple[float, float]]) -> tuple[float, ...]:
    """Losses at equal steps of epochs, from losses at any epochs."""
    if len(points) < 2:
        return tuple(loss for _, loss in points)
    epochs, losses = zip(*sorted(points), strict=True)
    return tuple(np.interp(np.linspace(epochs[0], epochs[-1], _SPARKLINE + 1), epochs, losses).tolist())


