"""Compiled training: `train(config)` yields a record after each chunk of epochs.

`program.py` is what XLA compiles, `chunks.py` the loop that calls it.
"""

from echo_core.training.chunks import compile_ahead, snapshot_epochs, train
from echo_core.training.program import PROGRAM_ERRORS, compiled_epochs

__all__ = ["PROGRAM_ERRORS", "compile_ahead", "compiled_epochs", "snapshot_epochs", "train"]
