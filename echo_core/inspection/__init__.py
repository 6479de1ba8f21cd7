"""Looking inside trained networks: each inspection is a tidy table, computed by NumPy alone.

Knows neither the store nor a screen, and never imports TensorFlow, so pages may call it.
"""
