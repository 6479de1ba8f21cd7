"""Pictures of states: a table whose cells are shaded by a share, and lines of single units."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

import altair as alt
import pandas as pd

from echo_app.charts.cell import percent
from echo_app.charts.curves import COLOURS, DASHES, Spec, to_spec

#: The most lines that colours and dashes tell apart.
MOST_LINES = len(COLOURS)

#: A cell is shaded by at most so much that text stays readable on it, light and dark.
_DEEPEST = 62
SHADED_STYLE = f"""<style>
.echo-shaded-row {{ display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; }}
.echo-shaded {{ overflow-x: auto; max-width: 100%; margin: 0 0 0.5rem; }}
.echo-shaded table {{ border-collapse: separate; border-spacing: 2px; font-size: 0.8125rem; line-height: 1.3;
  font-variant-numeric: tabular-nums; white-space: nowrap; margin: 0; }}
.echo-shaded p {{ font-weight: 600; font-size: 0.8125rem; margin: 0 0 0.25rem; }}
.echo-shaded th {{ font-weight: 400; text-align: center; border: 0; padding: 1px 4px; }}
.echo-shaded th[scope=row] {{ text-align: left; padding-right: 8px; }}
.echo-shaded td {{ border: 0; border-radius: 4px; padding: 3px 5px; text-align: center; min-width: 2.4em;
  background: color-mix(in srgb, #0072B2 calc(var(--share) * {_DEEPEST}%), transparent); }}
.echo-shaded td.none {{ background: none; }}
.echo-shaded td.note {{ background: none; text-align: left; white-space: normal; min-width: 9em; }}
.echo-shaded .asked {{ font-weight: 700; }}
.echo-shaded table.dense td {{ min-width: 1.7em; padding: 2px 1px; font-size: 0.6875rem; }}
.echo-shaded table.dense th {{ padding: 1px 2px; font-size: 0.6875rem; }}
@media (max-width: 640px) {{
  .echo-shaded th {{ white-space: normal; padding: 1px 2px; }}
  .echo-shaded td {{ min-width: 1.9em; padding: 2px 1px; }}
  .echo-shaded td.note {{ min-width: 6em; }}
}}
</style>"""
#: Above this many columns cells are narrow, and above this many rows or columns only some are drawn.
_DENSE, _MOST_PLACES = 12, 24


@dataclass(frozen=True)
class Share:
    """One cell: a share from 0 to 1, and what it says when it is pointed at. None is an empty cell."""

    value: float
    hover: str = ""


@dataclass(frozen=True)
class Row:
    """A row of shares: its label, whether that is in bold, its cells, and a note beside them."""

    label: str
    cells: Sequence[Share | None]
    is_bold: bool = False
    note: str = ""


def shaded(caption: str, corner: str, columns: Sequence[str], rows: Sequence[Row]) -> str:
    """A table as HTML whose cells say a share in percent and are shaded by it; of many places only some are drawn.

    Args:
        corner: What rows and columns are.
        columns: The label of each column.
    """
    across, down = _places(len(columns)), _places(len(rows))
    apart = max(across.step, down.step)
    title = escape(caption if apart == 1 else f"{caption} (one place in {apart} is drawn)")
    notes = any(row.note for row in rows)
    head = "".join(f'<th scope="col">{escape(columns[place])}</th>' for place in across)
    body = "".join(_row(rows[place], across, notes) for place in down)
    dense = ' class="dense"' if len(columns) > _DENSE else ""
    return (f'<div class="echo-shaded" tabindex="0" role="region" aria-label="{title}"><p>{title}</p>'
            f"<table{dense}><thead><tr><th>{escape(corner)}</th>{head}{'<td></td>' if notes else ''}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>")


def _places(number: int) -> range:
    """The places that are drawn, the last one among them."""
    apart = max(1, -(-number // _MOST_PLACES))
    return range((number - 1) % apart, number, apart)


def _row(row: Row, places: Sequence[int], notes: bool) -> str:
    bold = ' class="asked"' if row.is_bold else ""
    note = f'<td class="note">{escape(row.note)}</td>' if notes else ""
    cells = "".join(_cell(row.cells[place]) for place in places)
    return f'<tr><th scope="row"{bold}>{escape(row.label)}</th>{cells}{note}</tr>'


def _cell(share: Share | None) -> str:
    if share is None:
        return '<td class="none"></td>'
    hover = f' title="{escape(share.hover)}"' if share.hover else ""
    shown = math.floor(100 * share.value + 1e-6)  # 99.6 % is not all, nor 49.6 % half
    return f'<td style="--share:{share.value:.3f}"{hover}>{shown}</td>'


def _tuples(table: pd.DataFrame) -> Iterable[Any]:
    return table.itertuples()


def accuracies(table: pd.DataFrame, by: str, places: Sequence[int], value: str = "accuracy") -> list[Share | None]:
    """A row of cells from a table with the columns `by`, `value`, low, high and n; empty where it has no such place."""
    at = {getattr(row, by): row for row in _tuples(table) if row.n}
    return [_accuracy(at[place], value) if place in at else None for place in places]


def _accuracy(row: Any, value: str) -> Share:
    share = getattr(row, value)
    return Share(share, f"{_exact(share)}, 95 % interval {_exact(row.low)} to {_exact(row.high)}, n = {row.n:,}")


def _exact(share: float) -> str:
    """A share in percent with one digit, rounded down as a cell is; of a single sequence an interval has no ends."""
    return "?" if math.isnan(share) else f"{math.floor(1000 * share + 1e-6) / 10:.1f}\u00a0%"


def kept(table: pd.DataFrame, gates: pd.DataFrame, layer: str, column: str) -> str:
    """The study `keeping` of one layer as a shaded table: timesteps of writing (rows) by later ones.

    A row's label says how much of what was new was let in at its timestep, from the study `gates`.
    """
    at = {(row.written, row.timestep): row for row in _tuples(table[table.layer == layer])}
    steps = sorted({timestep for _, timestep in at})
    let_in = {row.timestep: row.mean if row.gate == "input" else 1 - row.mean
              for row in _tuples(gates[(gates.layer == layer) & gates.gate.isin(["input", "update"])])}
    rows = [Row(f"written at {written}" + (f" ({percent(let_in[written])} let in)" if written in let_in else ""),
                [_kept(at.get((written, step)), column) for step in steps]) for written in steps]
    return shaded(f"Kept by the {layer}, in percent", "after timestep", list(map(str, steps)), rows)


def _kept(row: Any, column: str) -> Share | None:
    return row and Share(getattr(row, column), (
        f"mean {_exact(row.kept)} (95 % interval {_exact(row.low)} to {_exact(row.high)}, n = {row.n:,}); "
        f"the tenth that keeps most {_exact(row.kept_by_a_tenth)}"))


def gate_shares(table: pd.DataFrame) -> str:
    """The study `gates` as a shaded table: gates nearly open and nearly shut (rows) by timesteps of all layers."""
    at: dict[tuple[str, int], Any] = {}
    for _, part in table.groupby("layer", sort=False):
        before = max((step for _, step in at), default=0)
        at |= {(row.gate, before + row.timestep): row for row in _tuples(part)}
    steps = sorted({step for _, step in at})
    rows = [Row(f"{gate} gate {end}", [
        Share(getattr(row, f"{end}_share"), f"mean value {row.mean:.2f}") if (row := at.get((gate, step))) else None
        for step in steps]) for gate in table.gate.unique() for end in ("open", "shut")]
    where = " (encoder, then decoder)" if table.layer.nunique() > 1 else ""
    return shaded(f"Nearly open, nearly shut, in percent{where}", "timestep", list(map(str, steps)), rows)


@lru_cache(maxsize=64)
def unit_lines(units: tuple[str, ...], title: str, low: float, high: float,
               timesteps: tuple[int, int]) -> Spec:
    """One quantity of some units against timesteps, from the first to the last. Columns: unit, timestep, value."""
    first, last = timesteps
    x = alt.X("timestep:Q", title="Timestep", scale=alt.Scale(domain=[first, max(first + 1, last)], nice=False),
              axis=alt.Axis(tickMinStep=1, format="d", tickCount=min(last - first + 1, 12)))
    colours = alt.Scale(domain=list(units), range=COLOURS[:len(units)])
    dashes = alt.Scale(domain=list(units), range=DASHES[:len(units)])
    legend = alt.Legend(orient="top", title=None, columns=3, symbolStrokeWidth=2)
    chart = alt.Chart().mark_line(strokeWidth=2, point={"size": 24}).encode(
        x=x, y=alt.Y("value:Q", title=title, scale=alt.Scale(domain=[low, high])),
        color=alt.Color("unit:N", sort=list(units), scale=colours, legend=legend),
        strokeDash=alt.StrokeDash("unit:N", sort=list(units), scale=dashes, legend=legend),
        tooltip=["unit:N", alt.Tooltip("timestep:Q", format="d"), alt.Tooltip("value:Q", format=".3f")])
    return to_spec(chart, height=300)
