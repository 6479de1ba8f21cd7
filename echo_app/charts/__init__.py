"""Charts: a table in, a Vega-Lite spec out. They know neither Streamlit nor Keras."""

from echo_app.charts.curves import (
    COLOURS,
    DASHES,
    RIGHT,
    WRONG,
    Spec,
    accuracy_curve,
    band,
    comparison,
    loss_curve,
    one_hot_strip,
)

__all__ = ["COLOURS", "DASHES", "RIGHT", "WRONG", "Spec", "accuracy_curve", "band", "comparison", "loss_curve",
           "one_hot_strip"]
