"""Charts as Vega-Lite specs, and the grid of windows as HTML. They know neither Streamlit nor Keras."""

from echo_app.charts.curves import (
    COLOURS,
    DASHES,
    POSITION,
    ROWS,
    Spec,
    accuracy_curve,
    band,
    comparison,
    loss_curve,
    loss_scale,
    scaled_numbers,
)
from echo_app.charts.one_hot import one_hot

__all__ = ["COLOURS", "DASHES", "POSITION", "ROWS", "Spec", "accuracy_curve", "band", "comparison", "loss_curve",
           "loss_scale", "one_hot", "scaled_numbers"]
