"""Vega-Lite specs of the charts. Each is built once and cached; pages pass it to Streamlit with a table of new data."""

from functools import lru_cache
from typing import Any

import altair as alt

Spec = dict[str, Any]

#: Colours of right and wrong, from Okabe and Ito's palette; a sign always stands beside the colour.
RIGHT, WRONG = "#009E73", "#D55E00"
GREY = "#888888"

#: Colours and dashes of compared curves, from Okabe and Ito's palette.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#7A5C00")
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (12, 4), (4, 1), (1, 3), (10, 2, 2, 2, 2, 2))


@lru_cache(maxsize=256)
def loss_curve(epochs: int, chance: float, top: float) -> Spec:
    """Loss against epoch, with the loss of pure guessing as a dashed line.

    Columns: epoch, loss. `chance`: nats per token, or a squared error. `top`: the end of the axis.
    """
    line = _line("loss", alt.Y("loss:Q", title="Loss", scale=alt.Scale(domain=[0, top])), epochs, ".3g")
    rule = alt.Chart().mark_rule(strokeDash=[5, 4], color=GREY).encode(y=alt.datum(chance))
    label = alt.Chart().mark_text(align="right", baseline="bottom", dx=-4, dy=-3, color=GREY).encode(
        x=alt.datum(epochs), y=alt.datum(chance), text=alt.datum("pure guessing"))
    return to_spec(alt.layer(line, rule, label))


@lru_cache(maxsize=256)
def accuracy_curve(epochs: int) -> Spec:
    """Share of training numbers right against epoch. Columns: epoch, accuracy."""
    axis = alt.Y("accuracy:Q", title="Numbers right", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    return to_spec(alt.layer(_line("accuracy", axis, epochs, ".1%")))


@lru_cache(maxsize=64)
def comparison(runs: tuple[str, ...], by: str, what: str, log: bool) -> Spec:
    """Curves of several runs, which differ in colour and dashes.

    Columns: run, `by` (epoch or seconds), `what` (loss or accuracy).
    """
    titles = {"epoch": "Epoch", "seconds": "Seconds of training", "loss": "Loss", "accuracy": "Numbers right"}
    scale = alt.Scale(type="log") if log else alt.Scale(zero=what == "accuracy" or not log)
    axis = alt.Axis(format="%") if what == "accuracy" else alt.Axis()
    chart = alt.Chart().mark_line(strokeWidth=2, clip=True).encode(
        x=alt.X(f"{by}:Q", title=titles[by], scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=6, labelFlush=True)),
        y=alt.Y(f"{what}:Q", title=titles[what], scale=scale, axis=axis),
        color=alt.Color("run:N", sort=list(runs), scale=alt.Scale(domain=list(runs), range=COLOURS[:len(runs)]),
                        legend=None),
        strokeDash=alt.StrokeDash("run:N", sort=list(runs), legend=None,
                                  scale=alt.Scale(domain=list(runs), range=DASHES[:len(runs)])),
        tooltip=["run:N", alt.Tooltip("epoch:Q", format=",d"), alt.Tooltip(f"{what}:Q", format=".3g"),
                 alt.Tooltip("seconds:Q", format=".1f")])
    return to_spec(chart, height=320)


@lru_cache(maxsize=64)
def band(what: str, epochs: int) -> Spec:
    """The mean of several seeds and a band of one standard deviation around it. Columns: epoch, mean, low, high."""
    title = {"loss": "Loss", "accuracy": "Numbers right"}[what]  # a longer title would shrink the chart
    x = alt.X("epoch:Q", title="Epoch", scale=alt.Scale(domain=[0, epochs], nice=False),
              axis=alt.Axis(tickCount=5, labelFlush=True))
    format_ = "%" if what == "accuracy" else ".2f"
    scale = alt.Scale(domain=[0, 1]) if what == "accuracy" else alt.Scale(domainMin=0)
    y = alt.Y("mean:Q", title=title, axis=alt.Axis(format=format_), scale=scale)
    area = alt.Chart().mark_area(opacity=0.25, clip=True).encode(
        x=x, y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q")
    tips = [alt.Tooltip("epoch:Q", format=",d"), *(alt.Tooltip(f"{name}:Q", format=".3g")
                                                   for name in ("mean", "low", "high"))]
    line = alt.Chart().mark_line(strokeWidth=2, clip=True).encode(x=x, y=y, tooltip=tips)
    return to_spec(alt.layer(area, line))


@lru_cache(maxsize=64)
def one_hot_strip(length: int, vocab_size: int) -> Spec:
    """A sequence as one-hot rows: one mark a timestep, at its number. Columns: timestep, number."""
    strip = alt.Chart().mark_rect(width={"band": 0.9}, height=max(3, 180 // vocab_size)).encode(
        x=alt.X("timestep:O", title="Timestep", axis=alt.Axis(labelOverlap=True, labelAngle=0)),
        y=alt.Y("number:Q", title="Number", scale=alt.Scale(domain=[0, vocab_size - 1])),
        tooltip=["timestep:O", "number:Q"])
    return to_spec(strip)


def _line(column: str, y: alt.Y, epochs: int, tooltip: str) -> alt.LayerChart:
    x = alt.X("epoch:Q", title="Epoch", scale=alt.Scale(domain=[0, epochs], nice=False),
              axis=alt.Axis(tickCount=5, labelFlush=True))
    tips = [alt.Tooltip("epoch:Q", format=",d"), alt.Tooltip(f"{column}:Q", format=tooltip)]
    return alt.Chart().mark_line(interpolate="monotone", strokeWidth=2, clip=True).encode(x=x, y=y, tooltip=tips)


def to_spec(chart: Any, height: int = 230) -> Spec:
    """A chart as Streamlit takes it: without data, which comes with each table.

    A layer without a field draws constants; it gets one row of its own, so that it is drawn once.
    """
    # Half of the last epoch's label is outside of the axis.
    padding = {"left": 5, "top": 5, "bottom": 5, "right": 16}
    spec: Spec = chart.properties(height=height, padding=padding).to_dict(validate=False)
    spec.pop("data", None)
    spec.pop("datasets", None)
    for part in spec.get("layer", ()):
        part.pop("data", None)
        if not any("field" in channel for channel in part["encoding"].values() if isinstance(channel, dict)):
            part["data"] = {"values": [{}]}
            part["mark"]["aria"] = False  # a screen reader has the chart's text, and would announce a nameless line
    return spec
