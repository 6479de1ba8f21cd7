"""Runs beside each other: their curves on the same axes, and the settings in which they differ."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from echo_app import cached_reads, charts, state, store_outages
from echo_app.formatting import escape, percent
from echo_core import tables
from echo_core.config.labels import label_of, name_in_words, value_in_words
from echo_core.config.presets import differing
from echo_core.store import RunRow
from echo_core.text.plurals import counted

#: Colours and dashes tell as many lines apart.
MOST = len(charts.COLOURS)
_POLL = 1.0
_SMOOTHING = 5
#: Characters of a cell and of a run's label.
_LONGEST_CELL, _LONGEST_LABEL = 32, 60


def comparison(run_ids: Sequence[str]) -> None:
    """Draw the curves of these runs and a table of their differences, redrawn while one of them is under way."""
    runs = [run for run_id in run_ids[:MOST] if (run := state.store().runs.get(run_id))]
    if not runs:
        return
    st.subheader("Beside each other" if len(runs) > 1 else "Its curve", anchor=False)
    if len(run_ids) > MOST:
        st.caption(f"The first {MOST} of {len(run_ids)}: more lines could not be told apart.")
    with st.container(horizontal=True, vertical_alignment="center", key="comparison_controls"):
        st.segmented_control("Show", ["loss", "accuracy"], key="compare_what", default="loss", required=True)
        st.segmented_control("Against", ["epoch", "seconds"], key="compare_by", default="epoch", required=True)
        st.toggle("Log scale", key="compare_log")
        st.toggle("Smooth", key="compare_smooth", help="Means over eleven points.")
    is_live = any(run.state.is_active for run in runs)
    draw = store_outages.fragment(_curves, run_every=_POLL if is_live else None, key="comparison")
    draw([run.run_id for run in runs], is_live)


def _curves(run_ids: list[str], was_live: bool) -> None:
    runs = [run for run_id in run_ids if (run := state.store().runs.get(run_id))]
    if was_live and not any(run.state.is_active for run in runs):
        st.rerun()  # ends the timer
    session, labels = st.session_state, _labels(runs)
    curves = [_curve(run, label, session["compare_smooth"]) for run, label in zip(runs, labels, strict=True)]
    what, log = session["compare_what"], session["compare_log"] and session["compare_what"] == "loss"
    table = pd.concat(curves)
    if log:  # a logarithm has no zero
        table = table[table[what] > 0]
    with st.container(key="comparison_chart"):
        if table.empty:  # an empty chart has no axes
            st.caption("None of these runs has a point to draw yet.")
        else:
            st.vega_lite_chart(table, charts.comparison(labels, session["compare_by"], what, log),
                               alt=f"{what} of {counted(len(runs), 'run')} against {session['compare_by']}")
    st.html(differences(runs, labels) + STYLE)


def _curve(run: RunRow, label: str, smooth: bool) -> pd.DataFrame:
    curve = cached_reads.curve(run)
    return (tables.smoothed(curve, _SMOOTHING) if smooth else curve).assign(run=label)


def _labels(runs: Sequence[RunRow]) -> tuple[str, ...]:
    """A label for each run: a letter, and its name."""
    names = [state.name_of(run.run_id) or name_in_words(run.config) for run in runs]
    return tuple(f"{chr(ord('A') + place)} · {name[:_LONGEST_LABEL]}" for place, name in enumerate(names))


def differences(runs: Sequence[RunRow], labels: Sequence[str]) -> str:
    """A table as HTML: each run with its line, its scores, and the settings in which they differ.

    Scores come first and texts last, so that scores stay in sight however many settings differ.
    """
    fields = sorted(differing([run.config for run in runs]), key=lambda field: field == "text")
    heads = ["Line", "Run", "Windows right", "Numbers right", "Epochs trained", "Seconds", *map(label_of, fields)]
    rows = [[_line(place), *map(_cell, (
        label, _share(run, "window_accuracy"), _share(run, "token_accuracy"), f"{run.epoch:,}", f"{run.seconds:.1f}",
        *(value_in_words(run.config, field) or "none" for field in fields)))]
        for place, (run, label) in enumerate(zip(runs, labels, strict=True))]
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table class='echo-differences'><tr>{head}</tr>{body}</table>"


def _cell(text: str) -> str:
    """A cell's text, escaped, and cut if it would push the other columns out of sight; its tooltip has all of it."""
    if len(text) <= _LONGEST_CELL:
        return escape(text)
    return f'<span title="{escape(text)}">{escape(text[:_LONGEST_CELL - 1].rstrip())}…</span>'


def _share(run: RunRow, name: str) -> str:
    return percent(getattr(run.evaluation, name)) if run.evaluation else "not judged yet"


def _line(place: int) -> str:
    """A piece of a run's line as the chart draws it: a CSS gradient, because `st.html` removes SVG."""
    colour, parts, at = charts.COLOURS[place], [], 0
    for index, length in enumerate(charts.DASHES[place]):
        parts.append(f"{'transparent' if index % 2 else colour} {at}px {at + length}px")
        at += length
    return (f"<div style='width:44px;height:3px;background:repeating-linear-gradient(90deg,{','.join(parts)})'>"
            "</div>")


STYLE = """<style>
.echo-differences { border-collapse: collapse; font-size: 0.875rem; display: block; overflow-x: auto; }
.echo-differences th, .echo-differences td { text-align: left; padding: 0.25rem 0.75rem 0.25rem 0;
  border-bottom: 1px solid rgba(128, 128, 128, 0.3); white-space: nowrap; }
.echo-differences th { font-weight: 600; opacity: 0.75; }
</style>"""
