"""The means of two settings as a heat map."""

from functools import lru_cache

import altair as alt

from echo_app.charts.curves import Spec, to_spec
from echo_app.charts.studies.seeds import PICK

#: Pixels of a row, of axis and legend; the longest label beside a row.
_ROW, _AROUND, _LONGEST_NAME = 44, 150, 120


@lru_cache(maxsize=64)
def means(title: str, rows: tuple[str, ...], columns: tuple[str, ...], row_title: str, column_title: str, top: float,
          is_share: bool) -> Spec:
    """A cell for each pair of settings, shaded by its mean, with the mean as a number.

    Columns: row, column, value, shown (the mean in words), note (such as how many seeds failed), n, place. A click on a
    cell selects its `place` by the selection `PICK`.

    Args:
        title: What is looked at.
        top: The end of the scale of colours, which begins at 0.
    """
    x = alt.X("column:N", title=column_title, sort=list(columns), scale=alt.Scale(domain=list(columns)),
              axis=alt.Axis(labelAngle=0, labelOverlap=True, labelLimit=90))
    y = alt.Y("row:N", title=row_title, sort=list(rows), scale=alt.Scale(domain=list(rows)), axis=alt.Axis(
        labelLimit=_LONGEST_NAME, labelOverlap=False, labelFlush=False))
    colour = alt.Color("value:Q", title=title, scale=alt.Scale(domain=[0, top]), legend=alt.Legend(
        orient="bottom", direction="horizontal", gradientThickness=8, tickCount=3, format="%" if is_share else "~s"))
    tips = [alt.Tooltip("row:N", title=row_title), alt.Tooltip("column:N", title=column_title),
            alt.Tooltip("shown:N", title="Mean"), alt.Tooltip("n:Q", title="Seeds"), alt.Tooltip("note:N", title=" ")]
    pick = alt.selection_point(PICK, fields=["place"], on="click", clear=False)
    cells = alt.Chart().mark_rect(cursor="pointer").encode(x=x, y=y, color=colour, tooltip=tips).add_params(pick)
    # The scale is dark at its low end in a dark theme and at its high end in a light one.
    is_light = "luminance(scale('color', datum['value'])) > 0.3"
    fill = alt.condition(is_light, alt.value("#14171f"), alt.value("white"))

    def text(field: str, dy: int, size: int) -> alt.Chart:
        return alt.Chart().mark_text(color="white", dy=dy, fontSize=size, aria=False).encode(
            x=x, y=y, text=f"{field}:N", fill=fill, tooltip=tips)

    return to_spec(alt.layer(cells, text("shown", -6, 12), text("note", 9, 10)), height=len(rows) * _ROW + _AROUND)
