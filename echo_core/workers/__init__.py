"""Worker processes: what they run, how they start and end, and who hands them runs.

Only functions that run in a worker import training.
"""
