"""Every seed of a study as a dot, with the mean of each setting and its interval.

Both charts draw one table, a row for each seed and one for each mean. Columns: role (`SEED`, `FAILED`, `MISSED` or
`MEAN`), x (the value of the axis) or row (the place of a choice), both moved a little so that dots stand side by side,
value, low, high, n, setting, seed, series, shown (the value in words) and run_id. A click on a dot selects its `run_id`
by the selection `PICK`.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import altair as alt

from echo_app.charts.curves import Spec, to_spec

#: What a row of the table is.
SEED, FAILED, MISSED, MEAN = "seed", "failed", "missed", "mean"
#: The selection of a click.
PICK = "pick"
#: Pixels of a chart, of a row, and of the axis below rows; the longest label beside a row.
_HEIGHT, _ROW, _AXIS, _LONGEST_NAME = 320, 46, 70, 130
#: The share of the axis beside its end in which failed and missed seeds stand.
_LANE = 0.12
#: A circle for a seed; a cross and a triangle for those at the edge. A scale of shapes would also be in the legend.
_SHAPES = {"condition": [{"test": f"datum.role === '{FAILED}'", "value": "cross"},
                         {"test": f"datum.role === '{MISSED}'", "value": "triangle-up"}], "value": "circle"}
#: Area of a dot, of a mean, and the width of an interval's bar, in pixels.
_DOT, _MEAN, _BAR = 55, 130, 3


@dataclass(frozen=True)
class Measured:
    """The axis of what a study looks at.

    Attributes:
        title: With its unit.
        top: The end of its scale, which begins at 0.
        is_share: Whether it is in percent.
        worst_is_top: Whether seeds that failed or missed stand above the scale, where less is better, or below 0.
        has_lane: Whether there are such seeds.
    """

    title: str
    top: float
    is_share: bool
    worst_is_top: bool
    has_lane: bool

    @property
    def edge(self) -> float:
        """Where failed and missed seeds stand."""
        return self.top * (1 + _LANE * 0.6) if self.worst_is_top else -self.top * _LANE * 0.6

    @property
    def domain(self) -> tuple[float, float]:
        """The whole scale: a little more than 0 to `top`, so that dots at its ends are whole."""
        lane, rest = _LANE * self.top, 0.03 * self.top
        low = lane if self.has_lane and not self.worst_is_top else rest
        high = lane if self.has_lane and self.worst_is_top else rest
        return -low, self.top + high


def _axis(measured: Measured) -> alt.Axis:
    """Ticks from 0 to the top alone, not in the lane."""
    format_ = "%" if measured.is_share else ",.0f" if measured.top >= 8 else "~r"
    return alt.Axis(values=[measured.top * part / 4 for part in range(5)], format=format_, labelFlush=False)


def _tips(series: str | None) -> list[Any]:
    named = [alt.Tooltip("series:N", title=series)] if series else []
    return [alt.Tooltip("setting:N", title="Setting"), *named, alt.Tooltip("seed:N", title="Seed"),
            alt.Tooltip("shown:N", title="Result")]


def _mean_tips() -> list[Any]:
    return [alt.Tooltip("setting:N", title="Setting"), alt.Tooltip("shown:N", title="Mean"),
            alt.Tooltip("n:Q", title="Seeds")]


@lru_cache(maxsize=64)
def by_number(measured: Measured, field: str, values: tuple[float, ...], is_log: bool, series_title: str | None = None,
              series: tuple[str, ...] = ()) -> Spec:
    """A line of means against a setting that is a number, one line for each of `series`.

    Args:
        field: The title of the axis.
        values: Of the setting, in increasing order; they are the ticks.
        is_log: Whether equal ratios of values are equal distances.
        series_title: What tells the lines apart; None for a single line.
    """
    gap = values[1] / values[0] if is_log else values[1] - values[0]
    ends = (values[0] / gap**0.5, values[-1] * gap**0.5) if is_log else (values[0] - gap / 2, values[-1] + gap / 2)
    scale = alt.Scale(type="log" if is_log else "linear", domain=list(ends), nice=False)
    # Not `format`: Vega rounds it to the digits that automatic ticks need, and writes 60 for 64 beside 256.
    axis = alt.Axis(values=list(values), labelExpr="format(datum.value, ',~r')", grid=False, labelOverlap=True,
                    labelFlush=False)
    x = alt.X("x:Q", title=field, scale=scale, axis=axis)
    y, low = (alt.Y(f"{name}:Q", title=measured.title, axis=_axis(measured),
                    scale=alt.Scale(domain=list(measured.domain), nice=False)) for name in ("value", "low"))
    line, told = _by_series(series_title, series)
    means = alt.Chart().transform_filter(f"datum.role === '{MEAN}'")
    tips = _mean_tips()
    layers = [
        means.mark_line(strokeWidth=1.5, opacity=0.6, clip=True, aria=False).encode(x=x, y=y, **line),
        means.mark_bar(size=_BAR, opacity=0.8, clip=True, aria=False).encode(
            x=x, y=low, y2="high:Q", tooltip=tips, **told),
        _dots(series_title).encode(x=x, y=y, **told),
        means.mark_point(shape="diamond", filled=True, size=_MEAN, opacity=1, clip=True).encode(
            x=x, y=y, tooltip=tips, **told)]
    together = alt.layer(*layers)
    if series:  # the lines alone have a legend
        together = together.resolve_scale(color="independent", strokeDash="independent")
    return to_spec(together, height=_HEIGHT + (30 if series else 0))


@lru_cache(maxsize=64)
def by_choice(measured: Measured, names: tuple[str, ...]) -> Spec:
    """A row of dots for each choice, with the mean and its interval. The column `row` is the place in `names`."""
    rows = len(names)
    scale = alt.Scale(domain=[rows - 0.5, -0.5], nice=False)
    axis = alt.Axis(values=list(range(rows)), labelExpr=f"{json.dumps(names)}[datum.value]", grid=False,
                    labelLimit=_LONGEST_NAME, labelOverlap=False, labelFlush=False, ticks=False)
    y = alt.Y("row:Q", title=None, scale=scale, axis=axis)
    x, low = (alt.X(f"{name}:Q", title=measured.title, axis=_axis(measured),
                    scale=alt.Scale(domain=list(measured.domain), nice=False)) for name in ("value", "low"))
    means = alt.Chart().transform_filter(f"datum.role === '{MEAN}'")
    tips = _mean_tips()
    layers = [
        means.mark_bar(size=_BAR, opacity=0.8, clip=True, aria=False).encode(y=y, x=low, x2="high:Q", tooltip=tips),
        _dots(None).encode(x=x, y=y),
        means.mark_point(shape="diamond", filled=True, size=_MEAN, opacity=1, clip=True).encode(
            x=x, y=y, tooltip=tips)]
    return to_spec(alt.layer(*layers), height=rows * _ROW + _AXIS)


def _by_series(title: str | None, series: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Channels of the lines, which differ in colour and dashes and are in the legend, and those of all else."""
    if title is None:
        return {}, {}
    scale, legend = alt.Scale(domain=list(series)), alt.Legend(orient="top", labelLimit=200, symbolSize=600)
    line = {"color": alt.Color("series:N", title=title, scale=scale, legend=legend),
            "strokeDash": alt.StrokeDash("series:N", title=title, scale=scale, legend=legend)}
    return line, {"color": alt.Color("series:N", scale=scale, legend=None)}


def _dots(series: str | None) -> Any:
    pick = alt.selection_point(PICK, fields=["run_id"], on="click", clear=False)
    return alt.Chart().transform_filter(f"datum.role !== '{MEAN}'").mark_point(
        filled=True, size=_DOT, opacity=0.55, cursor="pointer", clip=True).encode(
            shape=_SHAPES, tooltip=_tips(series)).add_params(pick)
