"""What gates let through, how long a forget gate keeps, and which input position each unit carries."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from echo_core.config import RunConfig
from echo_core.evaluation.scores import slices
from echo_core.inspection.inside import Inside, gate_names, layer_names, look_inside
from echo_core.inspection.interventions import reading_steps
from echo_core.inspection.samples import Stream, mean_interval, random_windows, sample
from echo_core.records import Floats, Ints

#: Below and above these values a gate is nearly shut and nearly open.
SHUT, OPEN = 0.1, 0.9
#: The gate whose value is the share of the state that a cell keeps.
_KEEPS: Mapping[str, str] = MappingProxyType({"lstm": "forget", "gru": "update"})
#: Symbols that tell what a unit carries: of few symbols, each occurs often enough for a good estimate.
_SYMBOLS = 50
#: Sequences that it takes to say what a unit carries: two for each symbol in each half of them.
FEWEST_TO_SORT = 4 * _SYMBOLS


def gates(config: RunConfig, weights: Sequence[Floats], sequences: int = 500, seed: int | None = None) -> pd.DataFrame:
    """How often each gate is nearly shut or open, over all units and sequences.

    Returns:
        Columns: layer, gate, timestep (from 1), mean, shut_share (below 0.1), open_share (above 0.9).
    Raises:
        ValueError: If the cell has no gates.
    """
    _check_gates(config)
    names = [(layer, gate) for layer in range(len(layer_names(config))) for gate in gate_names(config)]
    sums: dict[tuple[int, str], Any] = {name: np.zeros((4, 1)) for name in names}  # values, shut, open, counted
    for inside in _insides(config, weights, sample(config, sequences, stream=Stream.GATES, seed=seed).windows):
        for layer, gate in names:
            values = inside.layers[layer].gates[gate]  # (windows, timesteps, units)
            counted = ~np.isnan(values)
            # NaN is neither shut nor open.
            sums[layer, gate] = sums[layer, gate] + np.stack([
                each.sum(axis=(0, 2)) for each in (np.nan_to_num(values).astype(np.float64), (values < SHUT),
                                                   (values > OPEN), counted)])
    rows: list[dict[str, object]] = []
    for (layer, gate), (values, shut, opened, counted) in sums.items():
        rows.extend({"layer": layer_names(config)[layer], "gate": gate, "timestep": t + 1,
                     "mean": values[t] / counted[t], "shut_share": shut[t] / counted[t],
                     "open_share": opened[t] / counted[t]} for t in range(len(values)) if counted[t])
    return pd.DataFrame(rows)


def keeping(config: RunConfig, weights: Sequence[Floats], sequences: int = 500,
            seed: int | None = None) -> pd.DataFrame:
    """How much of what was written at one timestep the forget gate has kept until a later one.

    It is the product of the gate's values after the timestep of writing; the update gate takes the forget gate's place
    in a GRU. The mean over units hides the few that keep long, so the mean of the tenth that keeps most is beside it.

    Returns:
        Columns: layer, written and timestep (from 1), kept (mean over units and sequences), low, high (95 % interval
        of the mean over sequences, by the normal distribution), kept_by_a_tenth, n.
    Raises:
        ValueError: If the cell has no such gate.
    """
    _check_gates(config)
    windows = random_windows(config, sequences, Stream.GATES, seed)
    by_window: dict[tuple[int, int], list[Floats]] = {}  # mean over units, of each layer and timestep of writing
    by_unit: dict[tuple[int, int], Floats] = {}  # sum over windows
    for inside in _insides(config, weights, windows):
        for number, layer in enumerate(inside.layers):
            gate = layer.gates[_KEEPS[config.cell]]
            for written in range(gate.shape[1]):
                left = kept(gate, written)  # (windows, timesteps - written, units)
                by_window.setdefault((number, written), []).append(left.mean(axis=-1))
                by_unit[number, written] = by_unit.get((number, written), 0) + left.sum(axis=0)
    tenth, names, rows = -(-config.units // 10), layer_names(config), []
    for (number, written), parts in by_window.items():
        means = np.concatenate(parts)  # (windows, timesteps - written)
        most = np.sort(by_unit[number, written] / len(windows), axis=-1)[:, -tenth:].mean(axis=-1)
        for later, (mean, low, high) in enumerate(map(mean_interval, means.T)):
            rows.append({"layer": names[number], "written": written + 1, "timestep": written + later + 1,
                         "kept": mean, "low": np.maximum(0.0, low), "high": np.minimum(1.0, high),
                         "kept_by_a_tenth": float(most[later]), "n": len(windows)})
    return pd.DataFrame(rows)


def kept(gate: Floats, written: int) -> Floats:
    """The share of what was written at a timestep, from 0, that is left after each timestep from that one on.

    Args:
        gate: The forget gate, (windows, timesteps, units).
    Returns:
        (windows, timesteps - written, units); 1 at the timestep of writing itself. A gap keeps everything.
    """
    left: Floats = np.nan_to_num(gate[:, written:], nan=1.0)
    left[:, 0] = 1
    for later in range(1, left.shape[1]):  # takes a fifth of the time of np.cumprod
        left[:, later] *= left[:, later - 1]
    return left


def units(config: RunConfig, weights: Sequence[Floats], sequences: int = 2000, seed: int | None = None) -> pd.DataFrame:
    """Which input position each unit carries best: the order in which heat maps draw the units.

    A unit carries a position as well as the number there explains the unit's value: the share of its variance over
    sequences that lies between the numbers, corrected for chance (epsilon squared of a one-way analysis of variance).
    The state is that after the last input; of a decoder, that after its first step. The order is found on one half of
    the sequences; `unseen` is the share on the other half.

    Returns:
        One row for each layer, state and unit, in the order of drawing. Columns: layer, state (h or c), unit and
        position (from 1), explained, unseen.
    Raises:
        ValueError: If the network has no recurrent layer.
    """
    reading_steps(config, "sort its units")
    symbols = np.unique(np.linspace(0, config.vocab_size - 1, min(config.vocab_size, _SYMBOLS)).round().astype(int))
    drawn = random_windows(config, sequences, Stream.UNITS, seed)
    windows = symbols[drawn % len(symbols)]
    half, tables = len(windows) // 2, []
    for (layer, state), values in _carried(config, weights, windows).items():
        first, second = (explained_by(values[part], windows[part]) for part in (slice(half), slice(half, None)))
        order = order_of_units(first)
        best = first[order].argmax(axis=-1)
        tables.append(pd.DataFrame({"layer": layer, "state": state, "unit": order + 1, "position": best + 1,
                                    "explained": first[order, best], "unseen": second[order, best]}))
    return pd.concat(tables, ignore_index=True)


def explained_by(values: Floats, windows: Ints) -> Floats:
    """Share of each unit's variance that the number at each position explains, (units, input_length), from 0 to 1.

    Args:
        values: (windows, units).
        windows: Integers, (windows, input_length).
    """
    centred = (values - values.mean(axis=0)).astype(np.float64)
    total, shares = (centred ** 2).sum(axis=0), []
    for numbers in windows.T:
        order = np.argsort(numbers, kind="stable")
        starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
        counts = np.diff(starts, append=len(numbers))[:, None]
        between = (np.add.reduceat(centred[order], starts, axis=0) ** 2 / counts).sum(axis=0)
        within = (total - between) / max(1, len(numbers) - len(starts))  # variance that chance alone gives
        shares.append((between - (len(starts) - 1) * within) / np.maximum(total, 1e-12))
    clipped: Floats = np.clip(np.stack(shares, axis=-1), 0, 1).astype(np.float32)
    return clipped


def order_of_units(explained: Floats) -> Ints:
    """Units sorted by the position that they carry best, and there the ones that carry it best first: (units,)."""
    return np.lexsort((-explained.max(axis=-1), explained.argmax(axis=-1))).astype(np.int32)


def _carried(config: RunConfig, weights: Sequence[Floats], windows: Ints) -> Mapping[tuple[str, str], Floats]:
    """What each layer's state holds when everything has been read: (windows, units), by layer and state."""
    parts: dict[tuple[str, str], list[Floats]] = {}
    for inside in _insides(config, weights, windows):
        for number, layer in enumerate(inside.layers):
            at = 0 if number else -1  # a decoder has everything after its first step
            for state, values in (("h", layer.hidden), ("c", layer.cell)):
                if values is not None:
                    parts.setdefault((layer.name, state), []).append(values[:, at])
    return {name: np.concatenate(each) for name, each in parts.items()}


def _insides(config: RunConfig, weights: Sequence[Floats], windows: Ints) -> Iterator[Inside]:
    return (look_inside(config, weights, windows[part]) for part in slices(config, len(windows)))


def _check_gates(config: RunConfig) -> None:
    if not config.traits.num_recurrent_layers:
        raise ValueError(f"variant must have a recurrent layer to have gates; received {config.variant}.")
    if not gate_names(config):
        raise ValueError(f"cell must be lstm or gru to have gates; received {config.cell}.")
