"""What is left in a cell's memory of what each timestep wrote into it."""

from collections.abc import Iterator

import numpy as np

from echo_core.records import Floats
from echo_core.studies.inside import LayerInside


def memory_parts(layer: LayerInside, window: int = 0) -> Iterator[Floats]:
    """The memory after each timestep as the parts that each timestep up to it wrote: (timesteps so far, units).

    An LSTM's memory is c, a GRU's is h. Both keep a share of what they held and add something new, so the memory is
    exactly the sum of its parts. A simple RNN has no parts, because it passes all that it holds through one tanh.
    """
    if layer.candidate is None:
        return
    if layer.cell is not None:
        keeps, writes = layer.gates["forget"][window], layer.gates["input"][window] * layer.candidate[window]
    else:
        keeps = layer.gates["update"][window]
        writes = (1 - keeps) * layer.candidate[window]
    keeps, writes = np.nan_to_num(keeps, nan=1.0), np.nan_to_num(writes)  # a gap keeps everything and writes nothing
    parts = np.empty_like(writes)  # (timesteps, units)
    for t in range(len(writes)):
        parts[:t] *= keeps[t]
        parts[t] = writes[t]
        yield parts[:t + 1]


def memory_left(layer: LayerInside, window: int = 0) -> Floats | None:
    """The sizes of these parts, summed over units: row t has what is left after timestep t, (timesteps, timesteps).

    None for a simple RNN.
    """
    if layer.candidate is None:
        return None
    steps = layer.hidden.shape[1]
    left = np.zeros((steps, steps), np.float32)
    for t, parts in enumerate(memory_parts(layer, window)):
        left[t, :t + 1] = np.abs(parts).sum(axis=-1)
    return left
