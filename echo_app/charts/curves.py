"""Vega-Lite specs of the charts. Each is built once and cached; pages pass it to Streamlit with a table of new data."""

from functools import lru_cache
from typing import Any

import altair as alt

from echo_core.config import RunConfig

Spec = dict[str, Any]

#: Colours of right and wrong, from Okabe and Ito's palette; a sign always stands beside the colour.
RIGHT, WRONG = "#009E73", "#D55E00"
GREY = "#888888"

#: Colours and dashes of compared curves, from Okabe and Ito's palette.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#7A5C00")
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (12, 4), (4, 1), (1, 3), (10, 2, 2, 2, 2, 2))


#: Pixels for the labels and the title of a vertical axis: charts that stand one below the other are aligned by them.
_AXIS = 46
#: The two data sets of a run's curve, its rows and the position of the replay: a browser draws anew what differs.
ROWS, POSITION = "rows", "position"
#: What one of the rows is: a point of the curve, or a kept snapshot.
CURVE, KEPT = range(2)
#: Pixels of a run's curves, two of which are in sight beside the windows.
_CURVE_HEIGHT = 190


def loss_scale(config: RunConfig) -> tuple[float, float]:
    """The loss of pure guessing, and the top of the axis, above the loss of the untrained network."""
    untrained = config.chance_loss * config.answer_steps / config.output_length
    return config.chance_loss, untrained * (2.5 if config.representation == "linear" else 1.15)


@lru_cache(maxsize=256)
def loss_curve(epochs: int, chance: float, top: float) -> Spec:
    """Loss against epoch, with the loss of pure guessing as a dashed line; see `_curve`.

    Columns of `ROWS`: epoch, loss, role. `chance`: nats per token, or a squared error. `top`: the end of the axis.
    """
    curve = _curve("loss", alt.Y("loss:Q", title="Loss", scale=alt.Scale(domain=[0, top]), axis=_y_axis()), epochs,
                   ".3g")
    rule = alt.Chart().mark_rule(strokeDash=[5, 4], color=GREY).encode(y=alt.datum(chance))
    label = alt.Chart().mark_text(align="right", baseline="bottom", dx=-4, dy=-3, color=GREY).encode(
        x=alt.datum(epochs), y=alt.datum(chance), text=alt.datum("pure guessing"))
    return _of_two_data_sets(to_spec(alt.layer(*curve, rule, label), _CURVE_HEIGHT))


@lru_cache(maxsize=256)
def accuracy_curve(epochs: int) -> Spec:
    """Share of training numbers right against epoch; see `_curve`. Columns of `ROWS`: epoch, accuracy, role."""
    y = alt.Y("accuracy:Q", title="Numbers right", scale=alt.Scale(domain=[0, 1]), axis=_y_axis("%"))
    return _of_two_data_sets(to_spec(alt.layer(*_curve("accuracy", y, epochs, ".1%")), _CURVE_HEIGHT))


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
def band(what: str, epochs: int, top: float) -> Spec:
    """The mean of several seeds and a band of one standard deviation around it. Columns: epoch, mean, low, high.

    `top`: the end of the axis.
    """
    title = {"loss": "Loss", "accuracy": "Numbers right"}[what]  # a longer title would shrink the chart
    x = alt.X("epoch:Q", title="Epoch", scale=alt.Scale(domain=[0, epochs], nice=False),
              axis=alt.Axis(tickCount=5, labelFlush=True))
    format_ = "%" if what == "accuracy" else ".1f"
    scale = alt.Scale(domain=[0, top])
    y = alt.Y("mean:Q", title=title, axis=_y_axis(format_), scale=scale)
    area = alt.Chart().mark_area(opacity=0.25, clip=True).encode(
        x=x, y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q")
    tips = [alt.Tooltip("epoch:Q", format=",d"), *(alt.Tooltip(f"{name}:Q", format=".3g")
                                                   for name in ("mean", "low", "high"))]
    line = alt.Chart().mark_line(strokeWidth=2, clip=True).encode(x=x, y=y, tooltip=tips)
    return to_spec(alt.layer(area, line))


@lru_cache(maxsize=64)
def scaled_numbers(length: int, vocab_size: int) -> Spec:
    """A sequence scaled to 0…1: a bar a timestep, as high as its number. Columns: timestep, number, scaled."""
    bars = alt.Chart().mark_bar().encode(
        x=alt.X("timestep:O", title="Timestep", scale=alt.Scale(domain=list(range(1, length + 1))),
                axis=alt.Axis(labelOverlap=True, labelAngle=0)),
        y=alt.Y("scaled:Q", title=f"Number ÷ {vocab_size - 1}", scale=alt.Scale(domain=[0, 1])),
        tooltip=["timestep:O", "number:Q", alt.Tooltip("scaled:Q", format=".2f")])
    return to_spec(bars)


def _curve(column: str, y: alt.Y, epochs: int, tooltip: str) -> tuple[alt.Chart, alt.Chart, alt.Chart]:
    """A line of a column against epoch, the kept snapshots, and the position of the replay.

    The selection `pick` is the kept snapshot nearest to a click, wherever in the chart that is.
    """
    x = alt.X("epoch:Q", title="Epoch", scale=alt.Scale(domain=[0, epochs], nice=False),
              axis=alt.Axis(tickCount=5, labelFlush=True))
    tips = [alt.Tooltip("epoch:Q", title="Epoch", format=",d"),
            alt.Tooltip(f"{column}:Q", title=str(y["title"]), format=tooltip)]
    line, kept = (alt.Chart().transform_filter(f"datum.role === {role}") for role in (CURVE, KEPT))
    pick = alt.selection_point("pick", encodings=["x"], on="click", nearest=True, clear=False)
    targets = kept.mark_point(opacity=0, cursor="pointer", clip=True, aria=False).encode(x=x, y=y, tooltip=tips)
    return (line.mark_line(interpolate="monotone", strokeWidth=2, clip=True).encode(x=x, y=y, tooltip=tips),
            targets.add_params(pick),
            alt.Chart().mark_rule(color=WRONG, strokeWidth=1.5, clip=True, aria=False).encode(x=x))


def _of_two_data_sets(spec: Spec) -> Spec:
    for part, name in zip(spec["layer"], (ROWS, ROWS, POSITION), strict=False):
        part["data"] = {"name": name}
    return spec


def _y_axis(format_: str = "") -> alt.Axis:
    return alt.Axis(minExtent=_AXIS, maxExtent=_AXIS, tickCount=5, **({"format": format_} if format_ else {}))


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
        elif part["mark"]["type"] == "line":
            part["mark"]["aria"] = False  # nameless too while it has no point
    return spec
