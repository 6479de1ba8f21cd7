"""Checks of the library's arguments: each error names the argument, the rule and the value received."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from echo_core.config.run_config import RunConfig

Ints = NDArray[np.int64]

#: The shift table holds floats, as it has NaN; floats round integers above this one.
LARGEST_INTEGER = 2**53


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raise ValueError unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}; received {value!r}.")


def check_lengths(sequence_length: int, input_length: int, output_length: int) -> None:
    """Raise ValueError unless a sequence has room for a window, and a window for its echo."""
    check_count("input_length", input_length)
    check_count("output_length", output_length)
    if output_length > input_length:
        raise ValueError(f"output_length must be at most input_length ({input_length}), because only what was "
                         f"read can be echoed; received {output_length}.")
    if input_length > sequence_length:
        raise ValueError(f"input_length must be at most the sequence's length ({sequence_length}), because a window "
                         f"is a slice of it; received {input_length}.")


def numbers_of(name: str, values: ArrayLike) -> NDArray[np.number]:
    """An array of at least one real number. Raises ValueError for anything else."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must hold numbers, each row as many; received rows of different lengths.") from None
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name} must hold at least one row of numbers; received shape {array.shape}.")
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise ValueError(f"{name} must hold numbers; received {array.flat[0]!s}.")
    return array


def integers_of(name: str, values: ArrayLike | Sequence[int]) -> Ints:
    """An array of at least one integer. Raises ValueError for anything else."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must hold integers, each row as many; received rows of different lengths.") from None
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one integer; received an empty one.")
    if array.dtype == bool or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise ValueError(f"{name} must hold integers; received {array.flat[0]!s}.")
    if not np.issubdtype(array.dtype, np.integer):
        broken = array[~np.isfinite(array) | (array != np.floor(array))]
        if broken.size:
            raise ValueError(f"{name} must hold integers; received {broken.flat[0]}. Try rounding it.")
    if array.min() < -LARGEST_INTEGER or array.max() > LARGEST_INTEGER:
        huge = array[(array < -LARGEST_INTEGER) | (array > LARGEST_INTEGER)]
        raise ValueError(f"{name} must hold integers of at most 2**53, which floats still tell apart; "
                         f"received {huge.flat[0]}.")
    return array.astype(np.int64)


def tokens_of(name: str, values: ArrayLike, config: RunConfig, gaps: bool) -> Ints:
    """Integers of a run's vocabulary; with `gaps` also `vocab_size`, which marks a gap.

    Raises:
        ValueError: If a value is another one.
    """
    integers = integers_of(name, values)
    outside = integers[(integers < 0) | (integers >= config.vocab_size + gaps)]
    if outside.size:
        also = f", or {config.vocab_size} where nothing is" if gaps else ""
        raise ValueError(f"{name} must hold integers in [0, {config.vocab_size}), the vocabulary{also}; "
                         f"received {outside.flat[0]}.")
    return integers


def windows_of(config: RunConfig, windows: ArrayLike) -> Ints:
    """Windows as a run's network reads them, (windows, input_length). Raises ValueError if it cannot read them."""
    integers = tokens_of("windows", windows, config, gaps=config.has_gaps)
    if integers.ndim != 2 or integers.shape[1] != config.input_length:
        raise ValueError(f"windows must have shape (windows, {config.input_length}), as input_length is "
                         f"{config.input_length}; received shape {integers.shape}.")
    return integers


def check_weights(config: RunConfig, weights: Sequence[NDArray[np.floating]]) -> None:
    """Raise ValueError unless the number of arrays and the numbers in them fit a run's network."""
    arrays = sum({"recurrent": 3, "Dense": 2}.get(layer.kind, 0) for layer in config.traits.layers)
    numbers = sum(np.size(array) for array in weights)
    if (len(weights), numbers) != (arrays, config.num_parameters):
        raise ValueError(f"weights must be {arrays} arrays with {config.num_parameters:,} numbers in all, as in "
                         f"build_model(config).trainable_variables; received {len(weights)} with {numbers:,}.")
