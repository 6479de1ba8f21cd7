"""What pages draw of runs, read from the store once for all sessions that show the same state of a run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from echo_app import store_outages
from echo_app.charts.curves import CURVE, KEPT, POSITION
from echo_app.charts.grid import grid
from echo_app.state import RECORDS, store, time_bucket
from echo_core import tables
from echo_core.config import RunConfig
from echo_core.data import shown_examples
from echo_core.records import Floats, Point, Snapshot
from echo_core.store import RunRow

_HashFuncs = dict[str | type[Any], Callable[[Any], Any]]
#: Seconds for which all visitors share the queue forecast, and the list of finished runs: no eye sees them older.
_FORECAST_SECONDS, _FINISHED_SECONDS = 1.0, 2.0
#: Keys of cached functions, by the type of their argument. Answers are in the key of the windows, as a run that is
#: trained again on another kind of machine may give others.
_BY_PROGRESS: _HashFuncs = {
    RunRow: lambda run: (run.run_id, run.attempt, run.epoch, run.seconds, run.state.is_active)}
_BY_ANSWERS: _HashFuncs = {
    RunConfig: lambda config: config.run_id,
    Snapshot: lambda shown: (shown.epoch, shown.predicted.tobytes(), shown.confidence.tobytes())}


@st.cache_resource(max_entries=2, show_spinner=False)
def _forecast(time_bucket: int) -> dict[str, tables.Wait]:
    return tables.forecast(store())


def wait_of(run_id: str) -> tables.Wait:
    """The place of a queued run, and about how long it still waits."""
    known = _forecast(time_bucket(_FORECAST_SECONDS)).get(run_id)
    return known or tables.Wait(store().queue.place(run_id) or 0, math.nan)  # it was queued only just now


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


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=_BY_PROGRESS)
def curve(run: RunRow) -> pd.DataFrame:
    """A run's curve up to the epoch of its row."""
    return tables.curve(store().progress.history(run.run_id))


@st.cache_resource(max_entries=48, show_spinner=False, hash_funcs=_BY_PROGRESS)
def run_records(run: RunRow, all_snapshots: bool = False) -> RunRecords:
    """The records of a run; of one under way only the newest snapshot, unless all are asked for."""
    glance, speed, left = store().progress.glance(run.run_id), math.nan, math.nan
    snapshots = [glance.snapshot] if glance.snapshot else []
    if run.state.is_active:
        speed = tables.speed(glance.pace)
        left = tables.time_left(run.epoch, run.config.epochs, glance.pace, _expected_seconds(run))
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


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs={RunRow: lambda run: (run.run_id, run.attempt)})
def _expected_seconds(run: RunRow) -> float:
    """The first forecast for an attempt: one that changed with other runs would make the time left jump."""
    return estimate_seconds(run.config)


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


def at_epoch(curve: pa.Table, epoch: int | None) -> pa.Table:
    """A table of a chart with the position of the replay, if there is one."""
    if epoch is None:
        return curve
    (value,) = set(curve.column_names) - {"epoch", "role"}
    position = {"epoch": [epoch], value: [None], "role": [POSITION]}
    return pa.concat_tables([curve, pa.table(position, schema=curve.schema)])


#: Loss and accuracy before there is a run.
NO_CURVES = _curve_tables([])


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=_BY_ANSWERS)
def windows_html(config: RunConfig, snapshot: Snapshot | None) -> str:
    """The grid of windows as HTML."""
    return grid(config, shown_examples(config), snapshot)


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=_BY_PROGRESS)
def answers_as_text(run: RunRow) -> tuple[str, str]:
    """The last answers of a run that has ended: all columns as CSV, and what was read and said in aligned columns."""
    (newest,) = store().progress.snapshots(run.run_id, newest=1)
    table = tables.answers(run.config, newest)
    return tables.to_csv(table), tables.in_columns(table)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=_BY_PROGRESS)
def weights(run: RunRow) -> tuple[Floats, ...] | None:
    """The stored weights of a run that is not under way; None if it has none."""
    checkpoint = None if run.state.is_active else store().progress.checkpoint(run.run_id)
    return checkpoint.weights if checkpoint else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _newest_finished(time_bucket: int) -> list[RunRow]:
    return tables.newest_finished(store())


def estimate_seconds(config: RunConfig) -> float:
    """About how long a run will train on this machine."""
    return tables.estimate_seconds(config, _newest_finished(time_bucket(_FINISHED_SECONDS)))
