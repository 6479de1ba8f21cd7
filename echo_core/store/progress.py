"""What a run has produced so far: its records, its curve, its snapshots and its weights."""

import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Row, Select, String, cast, func, select

from echo_core.records import Checkpoint, Point, Snapshot
from echo_core.store.database import Database, all_rows
from echo_core.store.schema import CHECKPOINTS, PROGRESS, RUNS, SNAPSHOTS

#: The pace is measured over this many of the newest records, which are some seconds of training.
_PACE_RECORDS = 60


@dataclass(frozen=True)
class ProgressRow:
    """The stored record of one chunk of training; see `records.Progress`."""

    epoch: int
    loss: float
    accuracy: float
    seconds: float
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Glance:
    """What a page draws of a running run.

    Attributes:
        points: The curve, some hundred points in the order of epochs.
        pace: Epoch and seconds of training at the newest records, in order.
        snapshot: The newest snapshot; None if there is none.
    """

    points: list[Point]
    pace: list[tuple[int, float]]
    snapshot: Snapshot | None


class ProgressOfRuns:
    """Reads what runs have produced; see the module. Of an unknown run that is nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def history(self, run_id: str) -> list[ProgressRow]:
        """The records of a run in the order of epochs."""
        wanted = select(PROGRESS).where(PROGRESS.c.run_id == run_id)
        with self._database.read() as connection:
            rows = all_rows(connection, wanted.order_by(PROGRESS.c.epoch))
        return [ProgressRow(row.epoch, _or_nan(row.loss), _or_nan(row.accuracy), row.seconds,
                            tuple(Point(*point) for point in json.loads(row.points))) for row in rows]

    def glance(self, run_id: str) -> Glance:
        """What a page draws of a running run, read as one row: pages ask for it several times a second."""
        with self._database.read() as connection:
            row = connection.execute(_glance_of(run_id)).one_or_none()
        if row is None:
            return Glance([], [], None)
        points = (Point(*point) for chunk in json.loads(f"[{row.points or ''}]") for point in chunk)
        pace = (record.split(":") for record in (row.pace or "").split(",") if record)
        return Glance(sorted(points, key=lambda point: point.epoch),
                      sorted((int(epoch), float(seconds)) for epoch, seconds in pace),
                      _snapshot(row, _width(row.config)) if row.predicted is not None else None)

    def first_epochs(self, run_ids: Collection[str]) -> dict[str, tuple[int, float]]:
        """Epoch and seconds of the first record with a trained epoch, by run; those that have none are left out."""
        first = select(PROGRESS.c.run_id, func.min(PROGRESS.c.epoch), func.min(PROGRESS.c.seconds))
        wanted = first.where(PROGRESS.c.run_id.in_(run_ids), PROGRESS.c.epoch > 0).group_by(PROGRESS.c.run_id)
        with self._database.read() as connection:
            return {run_id: (epoch, seconds) for run_id, epoch, seconds in connection.execute(wanted)}

    def snapshots(self, run_id: str, newest: int | None = None) -> list[Snapshot]:
        """The snapshots of a run in the order of epochs: all of them, or the `newest` ones."""
        config = select(RUNS.c.config).where(RUNS.c.run_id == run_id).scalar_subquery().label("config")
        wanted = select(SNAPSHOTS, config).where(SNAPSHOTS.c.run_id == run_id)
        with self._database.read() as connection:
            rows = all_rows(connection, wanted.order_by(SNAPSHOTS.c.epoch.desc()).limit(newest))[::-1]
        width = _width(rows[0].config) if rows else 1
        return [_snapshot(row, width) for row in rows]

    def snapshot_epochs(self, run_id: str) -> list[int]:
        """The epochs of a run's snapshots, in their order."""
        wanted = select(SNAPSHOTS.c.epoch).where(SNAPSHOTS.c.run_id == run_id).order_by(SNAPSHOTS.c.epoch)
        with self._database.read() as connection:
            return list(connection.scalars(wanted))

    def checkpoint(self, run_id: str) -> Checkpoint | None:
        """The newest checkpoint, which of a finished run is its weights; None if it has none or they were evicted."""
        with self._database.read() as connection:
            data = connection.scalar(select(CHECKPOINTS.c.data).where(CHECKPOINTS.c.run_id == run_id))
        return Checkpoint.from_bytes(data) if data is not None else None


def _glance_of(run_id: str) -> Select[Any]:
    records = PROGRESS.c.run_id == run_id
    points = select(func.aggregate_strings(PROGRESS.c.points, ",")).where(records, PROGRESS.c.points != "[]")
    newest = select(PROGRESS.c.epoch, PROGRESS.c.seconds).where(records).order_by(
        PROGRESS.c.epoch.desc()).limit(_PACE_RECORDS).subquery()
    pace = select(func.aggregate_strings(
        cast(newest.c.epoch, String) + ":" + cast(newest.c.seconds, String), ","))
    shown = select(SNAPSHOTS).where(SNAPSHOTS.c.run_id == run_id).order_by(SNAPSHOTS.c.epoch.desc()).limit(1).subquery()
    return select(RUNS.c.config, points.scalar_subquery().label("points"), pace.scalar_subquery().label("pace"),
                  shown.c.epoch, shown.c.predicted, shown.c.confidence).join_from(
        RUNS, shown, shown.c.run_id == RUNS.c.run_id, isouter=True).where(RUNS.c.run_id == run_id)


def _snapshot(row: Row[Any], width: int) -> Snapshot:
    return Snapshot(row.epoch, np.frombuffer(row.predicted, "<i4").reshape(-1, width),
                    np.frombuffer(row.confidence, "<f4").reshape(-1, width))


def _width(config: str) -> int:
    """The output length in the JSON of a config."""
    return int(json.loads(config).get("output_length", 1))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
