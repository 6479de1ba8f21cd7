"""What pages draw of runs, read from the store once for all sessions that show the same state of a run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st
from numpy.typing import NDArray

from echo_app import store_outages
from echo_app.charts.curves import CURVE, KEPT
from echo_app.charts.grid import grid
from echo_app.formatting import percent
from echo_app.state import RECORDS, engine, store, time_bucket, wanted
from echo_app.web.shared_cache import shared_cache
from echo_core import forecast, tables
from echo_core.config import RunConfig
from echo_core.config.labels import name_in_words
from echo_core.data import shown_examples
from echo_core.records import Checkpoint, Floats, Point, Snapshot, State
from echo_core.store import RunRow

#: Runs that a list to choose from shows.
_MOST_RUNS = 50
#: States of runs that may have trained.
_BEGUN = tuple(state for state in State if state is not State.QUEUED)
_HashFuncs = dict[str | type[Any], Callable[[Any], Any]]
#: For so many seconds all visitors share the waits of queued runs, and the times that finished runs took.
_FORECAST_SECONDS, _FINISHED_SECONDS = 1.0, 2.0
#: Keys of cached functions, by the type of their argument. Answers are in the key of the windows, as a run that is
#: trained again on another kind of machine may give others.
_BY_PROGRESS: _HashFuncs = {
    RunRow: lambda run: (run.run_id, run.attempt, run.epoch, run.seconds, run.state.is_active)}
_BY_ATTEMPT: _HashFuncs = {RunRow: lambda run: (run.run_id, run.attempt)}
_BY_ANSWERS: _HashFuncs = {
    RunConfig: lambda config: config.run_id,
    Snapshot: lambda shown: (shown.epoch, shown.predicted.tobytes(), shown.confidence.tobytes())}


@shared_cache(max_entries=2)
def _waits(time_bucket: int) -> dict[str, forecast.Wait]:
    return forecast.waits(store(), engine().num_workers)


def wait_of(run_id: str) -> forecast.Wait:
    """The place of a queued run, and about how long it still waits."""
    known = _waits(time_bucket(_FORECAST_SECONDS)).get(run_id)
    return known or forecast.Wait(store().queue.place(run_id) or 0, math.nan)  # it was queued only just now


@dataclass(frozen=True)
class RunRecords:
    """What pages draw of a run up to the epoch of its row.

    Attributes:
        loss, accuracy: Arrow tables of the charts, with the columns epoch, loss or accuracy, and role.
        speed: Epochs a second; NaN before the first one, and of a run that has ended.
        seconds_left: About how long it still trains; NaN of a run that has ended.
        snapshots: All of a run that has ended or is replayed, otherwise the newest one, if any.
    """

    loss: Any
    accuracy: Any
    speed: float
    seconds_left: float
    snapshots: list[Snapshot]

    @property
    def has_begun(self) -> bool:
        """Whether the curves have a point."""
        return len(self.loss) > 0


@shared_cache(max_entries=32, hash_funcs=_BY_PROGRESS)
def curve(run: RunRow) -> pd.DataFrame:
    """A run's curve up to the epoch of its row."""
    return tables.curve(store().progress.history(run.run_id))


@shared_cache(max_entries=48, hash_funcs=_BY_PROGRESS)
def run_records(run: RunRow, all_snapshots: bool = False) -> RunRecords:
    """The records of a run; of one under way only the newest snapshot, unless all are asked for."""
    glance, speed, left = store().progress.glance(run.run_id), math.nan, math.nan
    snapshots = [glance.snapshot] if glance.snapshot else []
    if run.state.is_active:
        speed = forecast.speed(glance.pace)
        left = forecast.time_left(run.epoch, run.config.epochs, glance.pace, _expected(run))
    if all_snapshots or not run.state.is_active:
        snapshots = store().progress.snapshots(run.run_id)
    kept = [snapshot.epoch for snapshot in snapshots] if len(snapshots) > 1 else []
    return RunRecords(*_curve_tables(glance.points, kept), speed, left, snapshots)


def run_records_or_last(run: RunRow, all_snapshots: bool = False) -> RunRecords:
    """`run_records`; while the store fails, what this page drew of the run last, if it did."""
    session = st.session_state
    last: tuple[str, RunRecords] | None = session.get(RECORDS)
    try:
        records = run_records(run, all_snapshots)
    except store_outages.FAULTS as error:
        if last is None or last[0] != run.run_id:
            raise
        store_outages.report(error)
        return last[1]
    session[RECORDS] = run.run_id, records
    return records


@shared_cache(max_entries=64, hash_funcs=_BY_ATTEMPT)
def _expected(run: RunRow) -> forecast.Expected:
    """The first forecast for an attempt: one that changed with other runs would make the time left jump."""
    return _estimates(time_bucket(_FINISHED_SECONDS)).of(run.config)


def _curve_tables(points: Sequence[Point], kept: Sequence[int] = ()) -> tuple[pa.Table, pa.Table]:
    """Loss and accuracy as Arrow tables (pandas would take 20 times as long), with a row for each kept snapshot."""
    epochs, kept = [point.epoch for point in points], kept if points else ()

    def table(name: str, values: list[float]) -> pa.Table:
        at_kept = np.interp(kept, epochs, values) if kept else np.empty(0)
        return pa.table({
            "epoch": pa.array([*epochs, *kept], pa.int64()),
            name: pa.array([*values, *at_kept], pa.float64(), from_pandas=True),  # NaN becomes null
            "role": pa.array([CURVE] * len(epochs) + [KEPT] * len(kept), pa.int8())})

    return table("loss", [point.loss for point in points]), table("accuracy", [point.accuracy for point in points])


#: Loss and accuracy before there is a run.
NO_CURVES = _curve_tables([])


@shared_cache(max_entries=64, hash_funcs=_BY_ANSWERS)
def windows_html(config: RunConfig, snapshot: Snapshot | None) -> str:
    """The grid of windows as HTML."""
    return grid(config, shown_examples(config), snapshot)


@shared_cache(max_entries=32, hash_funcs=_BY_PROGRESS)
def answers_as_text(run: RunRow) -> tuple[str, str]:
    """The last answers of a run that has ended: all columns as CSV, and what was read and said in aligned columns.

    Both are empty where the answers were deleted to make room for newer runs.
    """
    newest = store().progress.snapshots(run.run_id, newest=1)
    if not newest:
        return "", ""
    table = tables.answers(run.config, newest[0])
    return tables.to_csv(table), tables.in_columns(table)


@shared_cache(max_entries=8, hash_funcs=_BY_PROGRESS)
def _resting_checkpoint(run: RunRow) -> Checkpoint | None:
    return _stored_checkpoint(run)


def _stored_checkpoint(run: RunRow) -> Checkpoint | None:
    found = store().progress.checkpoint(run.run_id)
    return replace(found, moments=()) if found else None


def weights(run: RunRow) -> tuple[Floats, ...] | None:
    """The stored weights of a run that is not under way; None if it has none."""
    found = None if run.state.is_active else _resting_checkpoint(run)
    return found.weights if found else None


def newest_checkpoint(run: RunRow) -> Checkpoint | None:
    """A run's newest checkpoint, also of one under way, without Adam's moments; None if it has none."""
    # The epoch of a run under way changes too often for a cache.
    return _stored_checkpoint(run) if run.state.is_active else _resting_checkpoint(run)


@shared_cache(max_entries=8, hash_funcs=_BY_ATTEMPT)
def trained_until(run: RunRow, epoch: int) -> Checkpoint:
    """A run after some of its epochs, trained again up to there by a worker. Raises what `Engine.moment` raises."""
    return engine().moment(run.run_id, epoch)


def snapshot_epochs(run: RunRow) -> list[int]:
    """The epochs of the snapshots of a run."""
    return store().progress.snapshot_epochs(run.run_id)


@shared_cache(max_entries=32, hash_funcs={RunConfig: lambda config: config.run_id})
def shown_windows(config: RunConfig) -> NDArray[np.int64]:
    """The windows that a run is watched on, (windows, input_length)."""
    return shown_examples(config).inputs


def runs_to_open() -> list[RunRow]:
    """The newest runs of this visitor that have trained, so that one can look into them."""
    found = store().runs.find(wanted(sort="created_at", states=_BEGUN), _MOST_RUNS)
    return [listed.run for listed in found.runs if listed.run.epoch > 0]


def title_of(run: RunRow) -> str:
    """A run in a list: its settings, and how well it does."""
    judged = run.evaluation
    if judged is None:
        return f"{name_in_words(run.config)}: {run.state}"
    right = percent(judged.window_accuracy).replace(".0", "")
    return f"{name_in_words(run.config)}: {right} of {'pairs' if run.config.task == 'pairs' else 'windows'}"


@shared_cache(max_entries=2)
def _estimates(time_bucket: int) -> forecast.Estimates:
    return forecast.Estimates(store())


def estimate_seconds(config: RunConfig) -> float:
    """About how long a run will train on this machine."""
    return _estimates(time_bucket(_FINISHED_SECONDS)).of(config).seconds
