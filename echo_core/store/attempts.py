"""What a worker writes about the run that it trains.

Methods that take a `Ticket` raise `Superseded`, and write nothing, if it is not the current attempt's. `beat` and
`save_score` do not raise it: they say what they do instead.
"""

import json
import math
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, delete, func, insert, literal, select

from echo_core.config import RunConfig
from echo_core.records import Checkpoint, Evaluation, Progress, State, curve_stride
from echo_core.store.database import Database
from echo_core.store.errors import Superseded
from echo_core.store.queue import CLOSED, Ticket, change, watched_at
from echo_core.store.schema import CHECKPOINTS, MOMENTS, PROGRESS, RUNS, SNAPSHOTS, now


class Signal(StrEnum):
    """What a worker must do about its run."""

    GO_ON = "go_on"
    STOP = "stop"              # somebody pressed Stop
    UNWATCHED = "unwatched"    # none of its holders was seen lately
    SUPERSEDED = "superseded"  # the attempt is not the current one


class Start(NamedTuple):
    """Where an attempt starts.

    Attributes:
        checkpoint: Where to go on from; None for an untrained network.
        seconds: Training seconds that led to the checkpoint.
    """

    config: RunConfig
    checkpoint: Checkpoint | None
    seconds: float


class Attempts:
    """What a worker writes; see the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def heartbeat_age(self, run_id: str) -> float:
        """Seconds since the last heartbeat of a run's worker, by the database's clock; 0 if there was none."""
        with self._database.read() as connection:
            return connection.scalar(select(now() - RUNS.c.heartbeat_at).where(RUNS.c.run_id == run_id)) or 0.0

    def start(self, ticket: Ticket, threads: int) -> Start:
        """Prepare a run to be trained, and return where training starts.

        Records past the run's checkpoint are deleted. A run without a checkpoint goes on from the nearest one of a
        run that differs in `epochs` only and was trained on equally many threads, if there is one.

        Raises:
            ValueError: If this version cannot read the config or the checkpoint.
        """
        run_id = ticket.run_id
        with self._database.write() as connection:
            row = connection.execute(select(RUNS.c.config, RUNS.c.family).where(RUNS.c.run_id == run_id)).first()
            _write(connection, ticket, threads=threads, fingerprint=None, evaluation=None, token_accuracy=None,
                   window_accuracy=None)
            assert row is not None
            config = RunConfig.model_validate_json(row.config)
            data = connection.scalar(select(CHECKPOINTS.c.data).where(CHECKPOINTS.c.run_id == run_id))
            checkpoint = Checkpoint.from_bytes(data) if data is not None else None
            past = checkpoint.epoch if checkpoint else -1
            for table in (PROGRESS, SNAPSHOTS):
                connection.execute(delete(table).where(table.c.run_id == run_id, table.c.epoch > past))
            if checkpoint is None and config.schedule == "constant":
                checkpoint = _start_from_relative(connection, run_id, row.family, config, threads)
            seconds = connection.scalar(select(func.max(PROGRESS.c.seconds)).where(PROGRESS.c.run_id == run_id)) or 0.0
            _write(connection, ticket, epoch=checkpoint.epoch if checkpoint else 0, seconds=seconds,
                   size=_size_of_history(connection, run_id))
        return Start(config, checkpoint, seconds)

    def append(self, ticket: Ticket, progress: Progress) -> None:
        """Store the record of a chunk, with its milestones. A record already stored is not written again."""
        points = json.dumps([[point.epoch, point.loss, point.accuracy] for point in progress.points])
        records = [{"run_id": ticket.run_id, "epoch": each.epoch, "loss": each.loss, "accuracy": each.accuracy,
                    "seconds": each.seconds, "points": points if each is progress else "[]"}
                   for each in progress.moments]
        shown = [each.snapshot for each in progress.moments if each.snapshot]
        size = len(points) + 2 * len(progress.milestones) + sum(8 * each.predicted.size for each in shown)
        with self._database.write() as connection:
            known = select(PROGRESS.c.epoch).where(PROGRESS.c.run_id == ticket.run_id,
                                                   PROGRESS.c.epoch == progress.epoch)
            if connection.execute(known).first():
                return _write(connection, ticket)
            _write(connection, ticket, epoch=progress.epoch, seconds=progress.seconds, loss=progress.loss,
                   size=RUNS.c.size + size)
            connection.execute(insert(PROGRESS), records)
            if shown:
                connection.execute(insert(SNAPSHOTS), [
                    {"run_id": ticket.run_id, "epoch": each.epoch, "predicted": each.predicted.astype("<i4").tobytes(),
                     "confidence": each.confidence.astype("<f4").tobytes()} for each in shown])

    def save_checkpoint(self, ticket: Ticket, checkpoint: Checkpoint) -> None:
        """Store a checkpoint in place of the one before."""
        data = checkpoint.to_bytes()
        with self._database.write() as connection:
            _write(connection, ticket)
            _replace_data(connection, CHECKPOINTS, ticket.run_id, checkpoint.epoch, data)

    def beat(self, ticket: Ticket, unwatched_seconds: float = math.inf, write: bool = True) -> Signal:
        """What the worker must do about its run; never raises `Superseded`.

        Args:
            unwatched_seconds: The run is unwatched when its last holder was seen longer ago than this.
            write: Whether to write a heartbeat.
        """
        with self._database.read() as connection:
            signal = _signal(connection, ticket, unwatched_seconds)
        if write and signal is not Signal.SUPERSEDED:
            with self._database.write() as connection:
                connection.execute(change(ticket.run_id, State.RUNNING).values(heartbeat_at=now()).where(
                    RUNS.c.attempt == ticket.attempt))
        return signal

    def pause(self, ticket: Ticket, checkpoint: Checkpoint | None, reason: str | None = None,
              if_signalled: bool = False, unwatched_seconds: float = math.inf) -> bool:
        """End an attempt at a checkpoint.

        Args:
            checkpoint: None keeps the stored one.
            if_signalled: Whether to pause only if `beat` would still signal it, as a Stop can be taken back.
        Returns:
            Whether the run was paused.
        """
        data, kept = (checkpoint.to_bytes(), {"epoch": checkpoint.epoch}) if checkpoint else (b"", {})
        with self._database.write(exclusive=True) as connection:
            if if_signalled and _signal(connection, ticket, unwatched_seconds) is Signal.GO_ON:
                return False
            _write(connection, ticket, state=State.PAUSED, ended_at=now(), stop_requested=False,
                   reason=reason or case((RUNS.c.reason == CLOSED, CLOSED)), **kept)
            if checkpoint:
                _replace_data(connection, CHECKPOINTS, ticket.run_id, checkpoint.epoch, data)
        return True

    def save_score(self, ticket: Ticket, evaluation: Evaluation) -> None:
        """Store the score of a paused run. Nothing happens if it goes on already."""
        with self._database.write() as connection:
            connection.execute(change(ticket.run_id, State.PAUSED).where(RUNS.c.attempt == ticket.attempt).values(
                **_judged(evaluation)))

    def finish(self, ticket: Ticket, checkpoint: Checkpoint, evaluation: Evaluation) -> None:
        """Store the trained weights and their score, and end the attempt."""
        data, moments = replace(checkpoint, moments=()).to_bytes(), replace(checkpoint, weights=()).to_bytes()
        with self._database.write() as connection:
            _write(connection, ticket, state=State.FINISHED, ended_at=now(), epoch=checkpoint.epoch, reason=None,
                   stop_requested=False, urgent=False, fingerprint=checkpoint.fingerprint, **_judged(evaluation))
            _replace_data(connection, CHECKPOINTS, ticket.run_id, checkpoint.epoch, data)
            background = select(RUNS.c.background).where(RUNS.c.run_id == ticket.run_id)
            if checkpoint.moments and not connection.scalar(background):  # few extend one of a study's hundred runs
                _replace_data(connection, MOMENTS, ticket.run_id, checkpoint.epoch, moments)

    def fail(self, ticket: Ticket, reason: str, checkpoint: Checkpoint | None = None) -> None:
        """End an attempt whose training raised an error.

        Args:
            checkpoint: The last good weights, so that people can look into them; None keeps the stored ones.
        """
        kept = {"epoch": checkpoint.epoch, "fingerprint": checkpoint.fingerprint} if checkpoint else {}
        with self._database.write() as connection:
            _write(connection, ticket, state=State.FAILED, ended_at=now(), reason=reason, stop_requested=False,
                   **kept)
            if checkpoint:
                _replace_data(connection, CHECKPOINTS, ticket.run_id, checkpoint.epoch, checkpoint.to_bytes())

def _write(connection: Connection, ticket: Ticket, **values: Any) -> None:
    """Change the run of an attempt, and write a heartbeat. Raises `Superseded` if it is not the current attempt."""
    result = connection.execute(change(ticket.run_id, State.RUNNING).where(RUNS.c.attempt == ticket.attempt).values(
        heartbeat_at=now(), **values))
    if result.rowcount != 1:
        raise Superseded(f"attempt {ticket.attempt} of run {ticket.run_id} is not under way any more")


def _signal(connection: Connection, ticket: Ticket, unwatched_seconds: float) -> Signal:
    is_left = (watched_at() < now() - unwatched_seconds).label("is_left")
    wanted = select(RUNS.c.attempt, RUNS.c.state, RUNS.c.stop_requested, is_left)
    row = connection.execute(wanted.where(RUNS.c.run_id == ticket.run_id)).first()
    if row is None or row.attempt != ticket.attempt or row.state != State.RUNNING:
        return Signal.SUPERSEDED
    if row.stop_requested:
        return Signal.STOP
    return Signal.UNWATCHED if row.is_left else Signal.GO_ON


def _judged(evaluation: Evaluation) -> dict[str, Any]:
    return {"evaluation": json.dumps(asdict(evaluation)), "token_accuracy": evaluation.token_accuracy,
            "window_accuracy": evaluation.window_accuracy}


def _replace_data(connection: Connection, table: Any, run_id: str, epoch: int, data: bytes) -> None:
    """Store a checkpoint, or moments, in place of the one before."""
    connection.execute(delete(table).where(table.c.run_id == run_id))
    connection.execute(insert(table).values(run_id=run_id, epoch=epoch, data=data))


def _start_from_relative(connection: Connection, run_id: str, family: str, config: RunConfig,
                        threads: int) -> Checkpoint | None:
    """The furthest checkpoint of the run's family that has fewer epochs; None if there is none.

    The curve and the snapshots up to it are copied into the run.
    """
    found = None
    for table in (MOMENTS, CHECKPOINTS):
        ended = RUNS.c.state == State.FINISHED if table is MOMENTS else RUNS.c.state != State.FINISHED
        wanted = select(table.c.run_id, table.c.epoch).join(RUNS, RUNS.c.run_id == table.c.run_id).where(
            RUNS.c.family == family, RUNS.c.run_id != run_id, RUNS.c.threads == threads, ended,
            table.c.epoch < config.epochs).order_by(table.c.epoch.desc()).limit(1)
        row = connection.execute(wanted).first()
        if row and (found is None or row.epoch > found.epoch):
            found = row
    if found is None:
        return None
    weights, moments = (connection.scalar(select(table.c.data).where(table.c.run_id == found.run_id))
                        for table in (CHECKPOINTS, MOMENTS))
    if weights is None:  # evicted
        return None
    checkpoint = Checkpoint.from_bytes(weights)
    if not checkpoint.moments and moments is not None:
        checkpoint = replace(checkpoint, moments=Checkpoint.from_bytes(moments).moments)
    _copy_history(connection, found.run_id, run_id, checkpoint.epoch, config)
    return checkpoint


def _copy_history(connection: Connection, source: str, run_id: str, epoch: int, config: RunConfig) -> None:
    """Copy progress and snapshots up to an epoch, with the curve thinned to what `config.epochs` allow."""
    rows = connection.execute(select(PROGRESS).where(
        PROGRESS.c.run_id == source, PROGRESS.c.epoch <= epoch).order_by(PROGRESS.c.epoch)).all()
    stride, copies, last = curve_stride(config.epochs), [], -math.inf
    for row in rows:
        points = []
        for point in json.loads(row.points):
            if point[0] - last >= stride:  # the source's own stride need not divide this one
                points.append(point)
                last = point[0]
        copies.append({**row._mapping, "run_id": run_id, "points": json.dumps(points)})
    if copies:
        connection.execute(insert(PROGRESS), copies)
    columns = [column for column in SNAPSHOTS.c if column.name != "run_id"]
    taken = select(literal(run_id), *columns).where(SNAPSHOTS.c.run_id == source, SNAPSHOTS.c.epoch <= epoch)
    connection.execute(insert(SNAPSHOTS).from_select(["run_id", *(column.name for column in columns)], taken))


def _size_of_history(connection: Connection, run_id: str) -> int:
    """Bytes of the progress and snapshots of a run, counted as `append` counts them."""
    parts = ((PROGRESS, PROGRESS.c.points), (SNAPSHOTS, SNAPSHOTS.c.predicted), (SNAPSHOTS, SNAPSHOTS.c.confidence))
    return sum(connection.scalar(select(func.sum(func.length(column))).where(table.c.run_id == run_id)) or 0
               for table, column in parts)
