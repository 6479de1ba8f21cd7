"""Charts as Vega-Lite specs, and the grid of windows as HTML. They know neither Streamlit nor Keras."""

from echo_app.charts.curves import COLOURS, DASHES, accuracy_curve, band, comparison, loss_curve, one_hot_strip

__all__ = ["COLOURS", "DASHES", "accuracy_curve", "band", "comparison", "loss_curve", "one_hot_strip"]
