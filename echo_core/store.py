"""The store: every run and all that is known of it, the queue, and the only way between app and workers.

Workers append, pages poll, and Stop is a row. Whoever begins a run gets a `Ticket`, and each of
its writes carries it: once another attempt has begun, or the run was paused, the writes of the
old attempt are refused with `Superseded`.
"""

import json
import math
import time
import uuid
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError
from sqlalchemy import Connection, Row, delete, func, insert, select

from echo_core.config import RunConfig
from echo_core.database import (
    CHECKPOINTS,
    HANDSHAKES,
    PROGRESS,
    RUNS,
    SNAPSHOTS,
    Database,
    StoreError,
)
from echo_core.queueing import Queue, Ticket, change, watched_at
from echo_core.records import Checkpoint, Evaluation, Point, Progress, Snapshot, State

__all__ = ["Begun", "ProgressRow", "RunRow", "Signal", "Store", "StoreError", "Superseded", "Ticket"]


class Superseded(Exception):
    """The attempt is no longer the current one, or its run no longer runs: quit quietly."""


class Signal(StrEnum):
    """What a worker has to do about its run."""

    GO_ON = "go_on"
    STOP = "stop"              # somebody pressed Stop
    UNWATCHED = "unwatched"    # nobody who holds it was seen for long
    SUPERSEDED = "superseded"  # the run is no longer this attempt's


class Begun(NamedTuple):
    """What a worker needs to train an attempt.

    Attributes:
        checkpoint: Where to go on from; None begins anew.
        seconds: Training seconds that led to the checkpoint.
    """

    config: RunConfig
    checkpoint: Checkpoint | None
    seconds: float


@dataclass(frozen=True)
class RunRow:
    """A run as it stands. Times are seconds since 1970.

    Attributes:
        attempt: How often it was begun. When it changes, progress past a checkpoint was dropped.
        session: Who queued it.
        reason: Why it failed, paused or was interrupted; None after a plain Stop. A failed run
            that was queued again keeps its reason until it ends.
        epoch: Trained epochs.
        seconds: Seconds of training over all attempts, compiling included.
        restarts: How often it was begun again after its worker was lost.
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


@dataclass(frozen=True)
class ProgressRow:
    """One chunk of training as the store keeps it; see `records.Progress`."""

    epoch: int
    loss: float
    accuracy: float
    seconds: float
    points: tuple[Point, ...]


class Store(Queue):
    """Runs, in SQLite or PostgreSQL by URL alone. For any number of threads and processes.

    `Store("sqlite:////srv/echo/runs.db")` creates the file, or migrates what is there.

    Raises:
        StoreError: If it cannot be opened, or a newer version of the project wrote it; with
            `create=False` also where there is none yet.
    """

    def __init__(self, url: str, create: bool = True) -> None:
        self.url = url
        super().__init__(Database(url, create))

    def __str__(self) -> str:
        return str(self._database)  # without the password

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file on one machine."""
        return self._database.is_sqlite

    def close(self) -> None:
        """Close its connections."""
        self._database.close()

    # --- what a worker writes ------------------------------------------------------------------

    def begin(self, ticket: Ticket, threads: int) -> Begun:
        """Make a run ready to be trained: what came after its checkpoint is dropped.

        Raises:
            Superseded: If the attempt is not the current one.
            ValueError: If this version cannot read its config or checkpoint.
        """
        run_id = ticket.run_id
        with self._database.write() as connection:
            found = connection.execute(
                select(CHECKPOINTS.c.epoch, CHECKPOINTS.c.data).where(CHECKPOINTS.c.run_id == run_id)).first()
            epoch = found.epoch if found else -1
            for table in (PROGRESS, SNAPSHOTS):
                connection.execute(delete(table).where(table.c.run_id == run_id, table.c.epoch > epoch))
            seconds = connection.scalar(select(func.max(PROGRESS.c.seconds)).where(PROGRESS.c.run_id == run_id)) or 0.0
            _write(connection, ticket, threads=threads, epoch=max(epoch, 0), seconds=seconds,
                   fingerprint=None, evaluation=None)
            config = connection.scalars(select(RUNS.c.config).where(RUNS.c.run_id == run_id)).one()
        return Begun(RunConfig.from_json(config), Checkpoint.from_bytes(found.data) if found else None, seconds)

    def append(self, ticket: Ticket, progress: Progress) -> None:
        """Keep a chunk's record, and its snapshot if it has one. Raises `Superseded`."""
        points = json.dumps([[point.epoch, point.loss, point.accuracy] for point in progress.points])
        key = {"run_id": ticket.run_id, "epoch": progress.epoch}
        with self._database.write() as connection:
            _write(connection, ticket, epoch=progress.epoch, seconds=progress.seconds)
            connection.execute(insert(PROGRESS).values(
                **key, loss=progress.loss, accuracy=progress.accuracy, seconds=progress.seconds, points=points))
            if progress.snapshot is not None:
                connection.execute(insert(SNAPSHOTS).values(
                    **key, predicted=progress.snapshot.predicted.astype("<i4").tobytes(),
                    confidence=progress.snapshot.confidence.astype("<f4").tobytes()))

    def save_checkpoint(self, ticket: Ticket, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint in place of the one before. Raises `Superseded`."""
        data = checkpoint.to_bytes()
        with self._database.write() as connection:
            _write(connection, ticket)
            _replace_checkpoint(connection, ticket.run_id, checkpoint.epoch, data)

    def beat(self, ticket: Ticket, unwatched_seconds: float = math.inf, write: bool = True) -> Signal:
        """What the worker has to do about its run; with `write` also say that the worker lives."""
        with self._database.read() as connection:
            signal = _signal(connection, ticket, unwatched_seconds)
        if write and signal is not Signal.SUPERSEDED:
            with self._database.write() as connection:
                connection.execute(change(ticket.run_id, State.RUNNING).values(heartbeat_at=time.time()).where(
                    RUNS.c.attempt == ticket.attempt))
        return signal

    def pause(self, ticket: Ticket, checkpoint: Checkpoint | None, reason: str | None = None,
              if_signalled: bool = False, unwatched_seconds: float = math.inf) -> bool:
        """End an attempt at a checkpoint. Raises `Superseded`.

        Args:
            checkpoint: None keeps the one that is there.
            if_signalled: Only if it still is to stop, or unwatched: a Stop can be taken back.
        Returns:
            Whether it was paused.
        """
        data = checkpoint.to_bytes() if checkpoint else b""
        with self._database.write(exclusive=True) as connection:
            if if_signalled and _signal(connection, ticket, unwatched_seconds) is Signal.GO_ON:
                return False
            _write(connection, ticket, state=State.PAUSED, ended_at=time.time(), reason=reason, stop_requested=False)
            if checkpoint:
                _replace_checkpoint(connection, ticket.run_id, checkpoint.epoch, data)
        return True

    def judge(self, ticket: Ticket, evaluation: Evaluation) -> None:
        """Keep how good a paused run is. Nothing happens if it goes on already."""
        with self._database.write() as connection:
            connection.execute(change(ticket.run_id, State.PAUSED).where(RUNS.c.attempt == ticket.attempt).values(
                evaluation=json.dumps(asdict(evaluation))))

    def finish(self, ticket: Ticket, checkpoint: Checkpoint, evaluation: Evaluation) -> None:
        """Keep the trained weights and how good they are. Raises `Superseded`."""
        data = checkpoint.without_moments().to_bytes()
        with self._database.write() as connection:
            _write(connection, ticket, state=State.FINISHED, ended_at=time.time(), epoch=checkpoint.epoch, reason=None,
                   stop_requested=False, urgent=False, fingerprint=checkpoint.fingerprint,
                   evaluation=json.dumps(asdict(evaluation)))
            _replace_checkpoint(connection, ticket.run_id, checkpoint.epoch, data)

    def fail(self, ticket: Ticket, reason: str) -> None:
        """End an attempt that raised. Raises `Superseded`."""
        with self._database.write() as connection:
            _write(connection, ticket, state=State.FAILED, ended_at=time.time(), reason=reason, stop_requested=False)

    # --- reading -------------------------------------------------------------------------------

    def run(self, run_id: str) -> RunRow | None:
        """One run; None if it is unknown, or of settings that this version cannot read."""
        with self._database.read() as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.run_id == run_id)).first()
        return _run_row(row) if row else None

    def runs(self, limit: int = 100, offset: int = 0) -> list[RunRow]:
        """Runs, newest first, without those whose settings this version cannot read."""
        newest = select(RUNS).order_by(RUNS.c.created_at.desc(), RUNS.c.run_id).limit(limit).offset(offset)
        with self._database.read() as connection:
            rows = connection.execute(newest).all()
        return [run for row in rows if (run := _run_row(row)) is not None]

    def active(self) -> dict[str, RunRow]:
        """Every queued or running run by its `run_id`, those first that were begun first."""
        wanted = select(RUNS).where(RUNS.c.state.in_((State.QUEUED, State.RUNNING))).order_by(RUNS.c.started_at)
        with self._database.read() as connection:
            rows = [_run_row(row) for row in connection.execute(wanted)]
        return {row.run_id: row for row in rows if row}

    def history(self, run_id: str, after_epoch: int = -1) -> list[ProgressRow]:
        """The records of a run past an epoch, in order."""
        wanted = select(PROGRESS).where(PROGRESS.c.run_id == run_id, PROGRESS.c.epoch > after_epoch)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(PROGRESS.c.epoch)).all()
        return [ProgressRow(row.epoch, _or_nan(row.loss), _or_nan(row.accuracy), row.seconds,
                            tuple(Point(*point) for point in json.loads(row.points))) for row in rows]

    def snapshots(self, run_id: str, newest: int | None = None) -> list[Snapshot]:
        """The snapshots of a run in order of epochs; all of them, or so many of the newest."""
        wanted = select(SNAPSHOTS).where(SNAPSHOTS.c.run_id == run_id)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(SNAPSHOTS.c.epoch.desc()).limit(newest)).all()[::-1]
            config = connection.scalar(select(RUNS.c.config).where(RUNS.c.run_id == run_id))
        width = json.loads(config or "{}").get("output_length", 1)
        return [Snapshot(row.epoch, np.frombuffer(row.predicted, "<i4").reshape(-1, width),
                         np.frombuffer(row.confidence, "<f4").reshape(-1, width)) for row in rows]

    def checkpoint(self, run_id: str) -> Checkpoint | None:
        """The newest checkpoint; of a finished run its weights."""
        with self._database.read() as connection:
            data = connection.scalar(select(CHECKPOINTS.c.data).where(CHECKPOINTS.c.run_id == run_id))
        return Checkpoint.from_bytes(data) if data is not None else None

    # --- whether others see the same store -----------------------------------------------------

    def leave_token(self) -> str:
        """Write something that only who opens this very store can know."""
        token, now = uuid.uuid4().hex, time.time()
        with self._database.write() as connection:
            connection.execute(delete(HANDSHAKES).where(HANDSHAKES.c.made_at < now - 3600))
            connection.execute(insert(HANDSHAKES).values(token=token, made_at=now))
        return token

    def knows_token(self, token: str) -> bool:
        """Whether `leave_token` wrote it here."""
        with self._database.read() as connection:
            return connection.scalar(select(HANDSHAKES.c.token).where(HANDSHAKES.c.token == token)) is not None


def _write(connection: Connection, ticket: Ticket, **values: Any) -> None:
    """Change the run of an attempt that is the current one."""
    result = connection.execute(change(ticket.run_id, State.RUNNING).where(RUNS.c.attempt == ticket.attempt).values(
        heartbeat_at=time.time(), **values))
    if result.rowcount != 1:
        raise Superseded(f"attempt {ticket.attempt} of run {ticket.run_id} is not under way any more")


def _signal(connection: Connection, ticket: Ticket, unwatched_seconds: float) -> Signal:
    wanted = select(RUNS.c.attempt, RUNS.c.state, RUNS.c.stop_requested, watched_at().label("watched_at"))
    row = connection.execute(wanted.where(RUNS.c.run_id == ticket.run_id)).first()
    if row is None or row.attempt != ticket.attempt or row.state != State.RUNNING:
        return Signal.SUPERSEDED
    if row.stop_requested:
        return Signal.STOP
    return Signal.UNWATCHED if row.watched_at < time.time() - unwatched_seconds else Signal.GO_ON


def _replace_checkpoint(connection: Connection, run_id: str, epoch: int, data: bytes) -> None:
    connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.run_id == run_id))
    connection.execute(insert(CHECKPOINTS).values(run_id=run_id, epoch=epoch, data=data))


def _run_row(row: Row[Any]) -> RunRow | None:
    values = {name: row._mapping[name] for name in RunRow.__dataclass_fields__}
    try:
        values["config"] = RunConfig.from_json(row.config)
    except ValidationError:
        return None
    values["state"] = State(row.state)
    if row.evaluation is not None:
        found = json.loads(row.evaluation)
        values["evaluation"] = Evaluation(**{**found, "by_timestep": tuple(found["by_timestep"])})
    return RunRow(**values)


def _or_nan(number: float | None) -> float:
    """What was written: SQLite keeps NaN as null."""
    return math.nan if number is None else number
