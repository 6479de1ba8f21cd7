"""Sweeps: a grid of settings × seeds, trained run by run, told as one tidy table with intervals.

Knows no screen, and never imports TensorFlow: runs are asked for through the engine, and read from the store.
"""
