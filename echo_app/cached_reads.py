"""What pages draw of a run: read from the store once for all sessions that look at the same moment of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from echo_app import store_outages
from echo_app.charts.grid import grid
from echo_app.state import LOOKED, store, time_bucket
from echo_core import tables
from echo_core.config import RunConfig
from echo_core.data import shown_examples
from echo_core.records import Floats, Point, Snapshot
from echo_core.store import RunRow

#: So old may be what all visitors are told of the queue, and of how long runs took.
_FORECAST_SECONDS, _FINISHED_SECONDS = 1.0, 2.0


@st.cache_resource(max_entries=2, show_spinner=False)
def _forecast(time_bucket: int) -> dict[str, tables.Wait]:
    """One for all sessions, however many wait."""
    return tables.forecast(store())


def wait_of(run_id: str) -> tables.Wait:
    """How long a queued run still waits."""
    known = _forecast(time_bucket(_FORECAST_SECONDS)).get(run_id)
    return known or tables.Wait(store().queue.place(run_id) or 0, math.nan)  # it was queued only just now


@dataclass(frozen=True)
class Look:
    """What pages draw of a run as it stood at one moment: read once for all who look at it.

    Attributes:
        loss, accuracy: Arrow tables of the curves, with the columns epoch and loss, or accuracy.
        speed: Epochs a second; NaN before there is one, and of a run that has ended.
        seconds_left: About how long it will still train; NaN of a run that has ended.
        snapshots: All of a run that has ended or is replayed, and the newest of one under way.
    """

    loss: Any
    accuracy: Any
    speed: float
    seconds_left: float
    snapshots: list[Snapshot]

    @property
    def has_begun(self) -> bool:
        """Whether there is a point to draw."""
        return len(self.loss) > 0


def curve(run: RunRow) -> pd.DataFrame:
    """A run's curve, read once for all who look at it as it stands."""
    return _curve(run.run_id, run.attempt, run.epoch)


@st.cache_resource(max_entries=32, show_spinner=False)
def _curve(run_id: str, attempt: int, epoch: int) -> pd.DataFrame:
    return tables.curve(store().progress.history(run_id))


def look(run: RunRow, all_snapshots: bool = False) -> Look:
    """The records of a run up to the epoch of its row; of one under way the newest snapshot, or all."""
    if run.state.is_active:
        return _look_at_live(run.run_id, run.attempt, run.epoch, run.seconds, all_snapshots, run.config)
    return _look_at_ended(run.run_id, run.attempt, run.epoch, run.seconds)


def look_or_last(run: RunRow, all_snapshots: bool = False) -> Look:
    """`look`; while the store cannot be asked, what this page drew of the run last, if it did."""
    state = st.session_state
    last: tuple[str, Look] | None = state.get(LOOKED)
    try:
        seen = look(run, all_snapshots)
    except store_outages.FAULTS as error:
        if last is None or last[0] != run.run_id:
            raise
        store_outages.note(error)
        return last[1]
    state[LOOKED] = run.run_id, seen
    return seen


@st.cache_resource(max_entries=16, show_spinner=False)
def _look_at_live(run_id: str, attempt: int, epoch: int, seconds: float, all_snapshots: bool,
                  _config: RunConfig) -> Look:
    glance = store().progress.glance(run_id)
    left = tables.time_left(epoch, _config.epochs, glance.pace, _expected_seconds(run_id, attempt, _config))
    snapshots = (store().progress.snapshots(run_id) if all_snapshots else [glance.snapshot] if glance.snapshot else [])
    return Look(*_curve_tables(glance.points), tables.speed(glance.pace), left, snapshots)


@st.cache_resource(max_entries=32, show_spinner=False)
def _look_at_ended(run_id: str, attempt: int, epoch: int, seconds: float) -> Look:
    progress = store().progress
    return Look(*_curve_tables(progress.glance(run_id).points), math.nan, math.nan, progress.snapshots(run_id))


@st.cache_resource(max_entries=64, show_spinner=False)
def _expected_seconds(run_id: str, attempt: int, _config: RunConfig) -> float:
    """The first forecast for a run, cached: one that changed with other runs would make its time left jump."""
    return estimate_seconds(_config)


def _curve_tables(points: Sequence[Point]) -> tuple[pa.Table, pa.Table]:
    """Loss and accuracy as Arrow tables: without pandas, which takes 20 times as long."""
    epochs = pa.array([point.epoch for point in points], pa.int64())
    loss = pa.array([point.loss for point in points], pa.float64(), from_pandas=True)  # NaN is nothing there
    accuracy = pa.array([point.accuracy for point in points], pa.float64(), from_pandas=True)
    return pa.table({"epoch": epochs, "loss": loss}), pa.table({"epoch": epochs, "accuracy": accuracy})


#: Loss and accuracy before there is a run.
NO_CURVES = _curve_tables([])


def windows(config: RunConfig, snapshot: Snapshot | None) -> str:
    """The grid of windows as HTML, made once for everybody who looks at the same answers."""
    # By the answers themselves: trained again on another kind of machine, a run may give others.
    answers = (snapshot.epoch, snapshot.predicted.tobytes(), snapshot.confidence.tobytes()) if snapshot else None
    return _windows(config.run_id, answers, config, snapshot)


@st.cache_resource(max_entries=64, show_spinner=False)
def _windows(run_id: str, answers: object, _config: RunConfig, _snapshot: Snapshot | None) -> str:
    return grid(_config, shown_examples(_config), _snapshot)


def answers(run: RunRow) -> tuple[str, str]:
    """What a run that has ended answers in the end: all as CSV, and expected and predicted between tabs."""
    return _answers(run.run_id, run.attempt, run.epoch)


@st.cache_resource(max_entries=32, show_spinner=False)
def _answers(run_id: str, attempt: int, epoch: int) -> tuple[str, str]:
    run, (newest,) = store().runs.get(run_id), store().progress.snapshots(run_id, newest=1)
    assert run is not None
    table = tables.answers(run.config, newest)
    columns = [name for name in table if str(name).startswith(("window", "expected", "predicted"))]
    return tables.to_csv(table), tables.to_csv(table[columns], separator="\t")


def weights(run: RunRow) -> tuple[Floats, ...] | None:
    """The weights of a run as they stand in the store; None before there are some."""
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
