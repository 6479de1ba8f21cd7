"""Vega-Lite specs of the tables of `echo_core.inspection`. Each is built once and cached; pages add the table.

Colours come from the theme of the page, light or dark. Places of inputs and outputs count from 1.
"""

from functools import lru_cache
from typing import Any

import altair as alt

from echo_app.charts.curves import COLOURS, DASHES, GREY, Spec, to_spec

#: Up to this many rows and columns, a heat map shows its values as numbers.
_MOST_NUMBERS = 10
#: Pixels of a row of a heat map and of a list, the most for the rows of a heat map, and those of an axis and a legend.
_ROW, _LIST_ROW, _HIGHEST, _AXIS, _LEGEND = 34, 24, 320, 70, 80
#: Pixels of the longest name beside an axis: at 390 pixels, half of the chart is left.
_LONGEST_NAME = 160
#: Pixels of the bar of an interval, in the colour of the theme.
_BAR = 4
_SHARE = alt.Scale(domain=[0, 1])
_PERCENT = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
_RIGHT = "Answers right"
#: The least share that can be told from 0 in a picture.
_VISIBLE = 0.03


@lru_cache(maxsize=64)
def dependence(outputs: int, inputs: int, value: str, title: str, top: float, is_window: bool) -> Spec:
    """A heat map of outputs by inputs. Columns: output, input, `value`, and of one window reads, the symbol there.

    Args:
        top: The end of the scale, which begins at 0. Vega would look for it in the data, which reach it after the
            chart, and complain in the browser's console.
    """
    colour = alt.Color(f"{value}:Q", title=title, scale=alt.Scale(domain=[0, top]), legend=_legend())
    reads = ["reads:N"] if is_window else []
    tips = ["output:O", "input:O", *reads, alt.Tooltip(f"{value}:Q", format=".3f")]
    row = alt.Y("output:O", title="Output", axis=alt.Axis(labelOverlap=True))
    format_ = ".2f" if max(outputs, inputs) <= _MOST_NUMBERS else None
    return to_spec(_heat_map(row, _ordinal("input", "Input"), value, colour, format_, tips),
                   height=min(_HIGHEST, outputs * _ROW) + _AXIS + _LEGEND)


@lru_cache(maxsize=64)
def accuracy_of_parts(parts: int, outputs: int) -> Spec:
    """A heat map of accuracy, missing parts by outputs, in the order of the table. Columns: name, output, accuracy."""
    colour = alt.Color("accuracy:Q", title=_RIGHT, scale=_SHARE, legend=_legend(format="%"))
    tips = [alt.Tooltip("name:N", title="without"), "output:O", alt.Tooltip("accuracy:Q", format=".1%")]
    format_ = ".0%" if outputs <= _MOST_NUMBERS else None
    return to_spec(_heat_map(_named("name"), _ordinal("output", "Output"), "accuracy", colour, format_, tips),
                   height=parts * _LIST_ROW + _AXIS + _LEGEND)


@lru_cache(maxsize=64)
def accuracy_by_place(column: str, title: str, first: int, last: int, chance: float | None) -> Spec:
    """Accuracy against a place or a lag, each with its interval. Columns: `column`, accuracy, low, high, n.

    Args:
        chance: The accuracy of pure guessing, drawn as a dashed line; None draws none.
    """
    x = alt.X(f"{column}:Q", title=title, scale=alt.Scale(domain=[first - 0.5, last + 0.5], nice=False),
              axis=alt.Axis(tickMinStep=1, format="d", grid=False, labelFlush=False))
    y = alt.Y("accuracy:Q", title=_RIGHT, scale=_SHARE, axis=_PERCENT)
    low = alt.Y("low:Q", title=_RIGHT, scale=_SHARE, axis=_PERCENT)
    tips = [alt.Tooltip(f"{column}:Q", title=title), *_interval("accuracy", ".1%")]
    layers = [alt.Chart().mark_line(strokeWidth=1, opacity=0.4).encode(x=x, y=y),
              alt.Chart().mark_bar(size=_BAR, opacity=0.5).encode(x=x, y=low, y2="high:Q", tooltip=tips),
              alt.Chart().mark_point(filled=True, size=60, opacity=1).encode(x=x, y=y, tooltip=tips)]
    if chance is not None:
        layers += [_line_at(y=alt.datum(chance)), alt.Chart().mark_text(
            align="right", baseline="bottom", dy=-3, color=GREY).encode(
                x=alt.datum(last + 0.5), y=alt.datum(chance), text=alt.datum("chance"))]
    return to_spec(alt.layer(*layers))


@lru_cache(maxsize=64)
def accuracy_by_length(shares: tuple[str, str], title: str, first: int, last: int, trained: int,
                       chance: float) -> Spec:
    """Two shares against length, each with the band of its interval, and a line at the trained length.

    Columns: length, share (one of `shares`), accuracy, low, high, n.

    Args:
        chance: The accuracy of pure guessing of one number, drawn as a dashed line where it can be told from 0.
    """
    x = alt.X("length:Q", title=title, scale=alt.Scale(domain=[first - 0.5, last + 0.5], nice=False, zero=False),
              axis=alt.Axis(tickMinStep=1, tickCount=12, format="d", grid=False, labelFlush=False))
    y, low = (alt.Y(f"{column}:Q", title=_RIGHT, scale=_SHARE, axis=_PERCENT) for column in ("accuracy", "low"))
    legend = alt.Legend(orient="top", title=None, symbolType="stroke", symbolSize=600, symbolStrokeWidth=2,
                        symbolOpacity=1)
    colour = alt.Color("share:N", sort=list(shares), legend=legend,
                       scale=alt.Scale(domain=list(shares), range=COLOURS[:2]))
    dash = alt.StrokeDash("share:N", sort=list(shares), legend=legend,
                          scale=alt.Scale(domain=list(shares), range=DASHES[:2]))
    tips = ["share:N", alt.Tooltip("length:Q", title="length"), *_interval("accuracy", ".1%", "windows")]
    layers = [_line_at((1, 0), x=alt.datum(trained)), alt.Chart().mark_text(
                  baseline="bottom", dy=-7, color=GREY).encode(
                      x=alt.datum(trained), y=alt.value(0), text=alt.datum("trained")),
              alt.Chart().mark_area(opacity=0.2).encode(x=x, y=low, y2="high:Q", color=colour),
              alt.Chart().mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash),
              alt.Chart().mark_point(filled=True, size=50, opacity=1).encode(x=x, y=y, color=colour, tooltip=tips)]
    if chance >= _VISIBLE:
        layers += [_line_at(y=alt.datum(chance)), alt.Chart().mark_text(
            align="right", baseline="bottom", dy=-3, color=GREY).encode(
                x=alt.datum(last + 0.5), y=alt.datum(chance), text=alt.datum("chance, one number"))]
    return to_spec(alt.layer(*layers), height=300)


@lru_cache(maxsize=64)
def accuracy_by_name(names: int, column: str, reference: float | None, chance: float | None) -> Spec:
    """Accuracy of each name with its interval, in the order of the table. Columns: `column`, accuracy, low, high, n.

    Args:
        reference: An accuracy to compare with, drawn as a line through all rows; None draws none.
        chance: The accuracy of pure guessing, drawn as a dashed line; None draws none.
    """
    y, tips = _named(column), [f"{column}:N", *_interval("accuracy", ".1%")]
    x, low = (alt.X(f"{field}:Q", title=_RIGHT, scale=_SHARE, axis=_PERCENT) for field in ("accuracy", "low"))
    layers = [_line_at(dash, x=alt.datum(level)) for level, dash in ((reference, (1, 0)), (chance, (5, 4)))
              if level is not None]
    layers += [alt.Chart().mark_bar(size=_BAR, opacity=0.5).encode(x=low, x2="high:Q", y=y, tooltip=tips),
               alt.Chart().mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, tooltip=tips)]
    return to_spec(alt.layer(*layers), height=names * _LIST_ROW + _AXIS)


@lru_cache(maxsize=64)
def bits_by_place(asked: float) -> Spec:
    """Bits kept at each output as bars with intervals, below a line at the bits asked for.

    Columns: output, asked, kept, low, high, n.
    """
    x, scale = _ordinal("output", "Output"), alt.Scale(domain=[0, 1.12 * asked], nice=False)
    kept, low = (alt.Y(f"{field}:Q", title="Bits kept", scale=scale, axis=alt.Axis(tickCount=6))
                 for field in ("kept", "low"))
    tips = ["output:O", alt.Tooltip("asked:Q", format=".2f"), *_interval("kept", ".2f")]
    label = alt.Chart().mark_text(align="left", baseline="bottom", dx=4, dy=-3, color=GREY).encode(
        x=alt.value(0), y=alt.datum(asked), text=alt.datum(f"asked for: {asked:.2f} bits"))
    return to_spec(alt.layer(
        alt.Chart().mark_bar(opacity=0.5, width={"band": 0.7}).encode(x=x, y=kept, tooltip=tips),
        alt.Chart().mark_bar(size=_BAR).encode(x=x, y=low, y2="high:Q", tooltip=tips),
        _line_at(y=alt.datum(asked)), label))


@lru_cache(maxsize=64)
def confusions(vocab_size: int | None) -> Spec:
    """What is said instead of what is expected: a square for each pair, the larger the more often.

    Columns: expected, predicted, count, share.

    Args:
        vocab_size: Of numbers, which have an order, so that near misses stand near the diagonal; None for words.
    """
    kind, options = ("Q", {"scale": alt.Scale(domain=[0, vocab_size - 1], nice=False)}) if vocab_size else (
        "N", {"axis": alt.Axis(labelLimit=90, labelOverlap=False, labelFlush=False)})
    tips = [f"expected:{kind}", f"predicted:{kind}", alt.Tooltip("count:Q", title="times"),
            alt.Tooltip("share:Q", format=".1%", title="of the answers to it")]
    layers = [alt.Chart().mark_square(opacity=0.75).encode(
        x=alt.X(f"expected:{kind}", title="Expected", **options), tooltip=tips,
        y=alt.Y(f"predicted:{kind}", title="Predicted", **options),
        size=alt.Size("count:Q", scale=alt.Scale(range=[0, 160], domainMin=0), legend=None))]
    if vocab_size:
        last = alt.datum(vocab_size - 1)
        layers.insert(0, _line_at((2, 3), x=alt.datum(0), y=alt.datum(0), x2=last, y2=last))
    return to_spec(alt.layer(*layers), height=300 if vocab_size else 380)  # long words stand upright


def _heat_map(row: alt.Y, column: alt.X, value: str, colour: alt.Color, format_: str | None, tips: list[Any]) -> Any:
    """Cells in the theme's scale of colours, with their values as numbers unless `format_` is None."""
    cells = alt.Chart().mark_rect().encode(x=column, y=row, color=colour, tooltip=tips)
    if format_ is None:
        return cells
    # The scale is dark at its low end in a dark theme and at its high end in a light one.
    is_light = f"luminance(scale('color', datum['{value}'])) > 0.3"
    numbers = alt.Chart().mark_text(color="white").encode(
        x=column, y=row, text=alt.Text(f"{value}:Q", format=format_), tooltip=tips,
        fill=alt.condition(is_light, alt.value("#14171f"), alt.value("white")))
    return alt.layer(cells, numbers)


def _ordinal(column: str, title: str) -> alt.X:
    return alt.X(f"{column}:O", title=title, axis=alt.Axis(labelAngle=0, labelOverlap=True))


def _named(column: str) -> alt.Y:
    """A row for each name, in the order of the table."""
    return alt.Y(f"{column}:N", title=None, sort=None, axis=alt.Axis(
        labelLimit=_LONGEST_NAME, labelOverlap=False, labelFlush=False))


def _legend(**options: Any) -> alt.Legend:
    return alt.Legend(orient="bottom", direction="horizontal", gradientThickness=8, tickCount=3, **options)


def _line_at(dash: tuple[int, int] = (5, 4), **where: Any) -> alt.Chart:
    """A straight line that the table does not move."""
    return alt.Chart().mark_rule(strokeDash=list(dash), color=GREY).encode(**where)


def _interval(value: str, format_: str, of: str = "sequences") -> list[Any]:
    """A value, its interval and the number of what is behind it, for a tooltip."""
    return [alt.Tooltip(f"{value}:Q", format=format_), alt.Tooltip("low:Q", format=format_, title="at least"),
            alt.Tooltip("high:Q", format=format_, title="at most"), alt.Tooltip("n:Q", format=",d", title=of)]
