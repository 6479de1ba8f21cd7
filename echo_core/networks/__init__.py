"""What each network computes, for NumPy and for TensorFlow. Knows neither the store nor a screen.

`backend`, `in_tensorflow`, `lstm_gradient`, `cell_gradient` and `stable_names` import TensorFlow; the others never do.
"""
