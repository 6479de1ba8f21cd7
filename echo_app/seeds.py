"""The same settings with several seeds: one band on the chart, and how far chance moves the result."""

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from echo_app import charts, faults, looks, session
from echo_app.words import duration, in_percent, spread
from echo_core import tables
from echo_core.records import State
from echo_core.store import RunRow

_POLL = 1.0


def seeds_panel(run_ids: Sequence[str]) -> None:
    """Draw seeds that were begun together, live as long as one of them is under way."""
    is_live = any(run.state.is_active for run in _runs(run_ids))
    st.fragment(faults.part(_panel), run_every=_POLL if is_live else None, key="seeds_panel")(tuple(run_ids), is_live)


def _runs(run_ids: Sequence[str]) -> list[RunRow]:
    return [run for run_id in run_ids if (run := session.store().run(run_id))]


def _panel(run_ids: tuple[str, ...], was_live: bool) -> None:
    runs = _runs(run_ids)
    if was_live and not any(run.state.is_active for run in runs):
        st.rerun()  # so that the timer ends
    if not runs:
        return
    st.subheader(f"{len(runs)} seeds together", anchor=False)
    st.markdown(_in_words(runs))
    curves = [curve for run in runs if len(curve := looks.curve(run))]
    if curves:
        loss, accuracy = st.columns(2, gap="medium")
        for place, what in ((loss, "loss"), (accuracy, "accuracy")):
            with place, st.container(key=f"seeds_{what}"):
                st.vega_lite_chart(tables.band(curves, what), charts.band(what, runs[0].config.epochs),
                                   alt=f"Mean {what} of {len(runs)} seeds against epoch, with a band of their spread")
    st.dataframe(_table(runs), hide_index=True, key="seeds_table", column_config={
        "windows right": st.column_config.NumberColumn(format="%.1f %%"),
        "numbers right": st.column_config.NumberColumn(format="%.1f %%"),
        "seconds": st.column_config.NumberColumn(format="%.1f")})


def _in_words(runs: Sequence[RunRow]) -> str:
    """Mean ± spread once there is something to average, and how many are still to come."""
    judged = [run.evaluation for run in runs if run.state is State.FINISHED and run.evaluation]
    left = len(runs) - len(judged)
    if not judged:
        return f"None of the {len(runs)} runs is finished yet. They differ in their seed alone."
    windows = spread([each.window_accuracy for each in judged])
    tokens = spread([each.token_accuracy for each in judged])
    waiting = f" {left} more to come." if left else ""
    return (f"Windows right: **{windows}**; single numbers: **{tokens}** (mean ± standard deviation of {len(judged)} "
            f"seeds, {duration(sum(run.seconds for run in runs))} of training).{waiting} The same settings come out "
            "differently by chance alone: differences smaller than this spread mean little.")


def _table(runs: Sequence[RunRow]) -> pd.DataFrame:
    return pd.DataFrame([{
        "seed": run.config.seed, "state": str(run.state), "epochs": run.epoch,
        "windows right": _share(run, "window_accuracy"), "numbers right": _share(run, "token_accuracy"),
        "seconds": run.seconds} for run in runs])


def _share(run: RunRow, name: str) -> float:
    return in_percent(getattr(run.evaluation, name)) if run.evaluation else math.nan
