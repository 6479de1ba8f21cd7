"""What pages draw of runs, read from the store once for all sessions that show the same state of a run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from echo_app import store_outages
from echo_app.charts.grid import grid
from echo_app.state import RECORDS, store, time_bucket
from echo_core import tables
from echo_core.config import RunConfig
from echo_core.data import shown_examples
from echo_core.records import Floats, Point, Snapshot
from echo_core.store import RunRow

#: Seconds for which the shared queue forecast and the list of finished runs are cached.
_FORECAST_SECONDS, _FINISHED_SECONDS = 1.0, 2.0


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
        loss, accuracy: Arrow tables with the columns epoch and loss, or epoch and accuracy.
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


def curve(run: RunRow) -> pd.DataFrame:
    """A run's curve up to the epoch of its row."""
    return _curve(run.run_id, run.attempt, run.epoch)


@st.cache_resource(max_entries=32, show_spinner=False)
def _curve(run_id: str, attempt: int, epoch: int) -> pd.DataFrame:
    return tables.curve(store().progress.history(run_id))


def run_records(run: RunRow, all_snapshots: bool = False) -> RunRecords:
    """The records of a run; of one under way only the newest snapshot, unless all are asked for."""
    is_active = run.state.is_active
    return _run_records(run.run_id, run.attempt, run.epoch, run.seconds, is_active, all_snapshots or not is_active,
                        run.config)


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


@st.cache_resource(max_entries=48, show_spinner=False)
def _run_records(run_id: str, attempt: int, epoch: int, seconds: float, is_active: bool, all_snapshots: bool,
                 _config: RunConfig) -> RunRecords:
    glance, speed, left = store().progress.glance(run_id), math.nan, math.nan
    if is_active:
        speed = tables.speed(glance.pace)
        left = tables.time_left(epoch, _config.epochs, glance.pace, _expected_seconds(run_id, attempt, _config))
    newest = [glance.snapshot] if glance.snapshot else []
    return RunRecords(*_curve_tables(glance.points), speed, left,
                      store().progress.snapshots(run_id) if all_snapshots else newest)


@st.cache_resource(max_entries=64, show_spinner=False)
def _expected_seconds(run_id: str, attempt: int, _config: RunConfig) -> float:
    """The first forecast for a run, cached: one that changed with other runs would make its time left jump."""
    return estimate_seconds(_config)


def _curve_tables(points: Sequence[Point]) -> tuple[pa.Table, pa.Table]:
    """Loss and accuracy as Arrow tables; pandas would take 20 times as long."""
    epochs = pa.array([point.epoch for point in points], pa.int64())
    loss = pa.array([point.loss for point in points], pa.float64(), from_pandas=True)  # NaN becomes null
    accuracy = pa.array([point.accuracy for point in points], pa.float64(), from_pandas=True)
    return pa.table({"epoch": epochs, "loss": loss}), pa.table({"epoch": epochs, "accuracy": accuracy})


#: Loss and accuracy before there is a run.
NO_CURVES = _curve_tables([])


def windows(config: RunConfig, snapshot: Snapshot | None) -> str:
    """The grid of windows as HTML, made once for all sessions that show the same answers."""
    # The key holds the answers, as a run that is trained again on another kind of machine may give others.
    answers = (snapshot.epoch, snapshot.predicted.tobytes(), snapshot.confidence.tobytes()) if snapshot else None
    return _windows(config.run_id, answers, config, snapshot)


@st.cache_resource(max_entries=64, show_spinner=False)
def _windows(run_id: str, answers: object, _config: RunConfig, _snapshot: Snapshot | None) -> str:
    return grid(_config, shown_examples(_config), _snapshot)


def answers(run: RunRow) -> tuple[str, str]:
    """The last answers of a run that has ended: all columns as CSV, and expected and predicted separated by tabs."""
    return _answers(run.run_id, run.attempt, run.epoch)


@st.cache_resource(max_entries=32, show_spinner=False)
def _answers(run_id: str, attempt: int, epoch: int) -> tuple[str, str]:
    run, (newest,) = store().runs.get(run_id), store().progress.snapshots(run_id, newest=1)
    assert run is not None
    table = tables.answers(run.config, newest)
    columns = [name for name in table if str(name).startswith(("window", "expected", "predicted"))]
    return tables.to_csv(table), tables.to_csv(table[columns], separator="\t")


def weights(run: RunRow) -> tuple[Floats, ...] | None:
    """The stored weights of a run that is not under way; None if it has none."""
    return None if run.state.is_active else _weights(run.run_id, run.attempt, run.epoch)


@st.cache_resource(max_entries=8, show_spinner=False)
def _weights(run_id: str, attempt: int, epoch: int) -> tuple[Floats, ...] | None:
    checkpoint = store().progress.checkpoint(run_id)
    return checkpoint.weights if checkpoint else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _newest_finished(time_bucket: int) -> list[RunRow]:
    return tables.newest_finished(store())


def estimate_seconds(config: RunConfig) -> float:
    """About how long a run will train on this machine."""
    return tables.estimate_seconds(config, _newest_finished(time_bucket(_FINISHED_SECONDS)))
