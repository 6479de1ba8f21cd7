"""Change a part of a network and see what becomes of its answers: swapped states, silent units, pinned gates.

Units and gates are changed through the weights, so the changed network is still one that Keras can run.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.config.checks import check_weights
from echo_core.evaluation.scores import read_off, slices
from echo_core.inspection.inside import GATE_WORDS, LookElsewhere, gate_names, layer_names
from echo_core.inspection.samples import Stream, accuracy_by_output, sample, share_row
from echo_core.networks.definition import CellState, LayerWeights, run
from echo_core.networks.in_numpy import NumpyOps, forward
from echo_core.networks.steps import GATES
from echo_core.records import Floats, Ints

#: A bias that shuts or opens a gate for good: its sigmoid is exactly 0 or 1 in float32.
_PINNED = np.float32(1e6)


def swap(config: RunConfig, weights: Sequence[Floats], sequences: int = 500, seed: int | None = None) -> pd.DataFrame:
    """Share of sequences whose answer becomes the donor's when the state after a timestep is the donor's.

    Only outputs that the network answers differently for the two sequences count.

    Returns:
        Columns: timestep, output (from 1), follows_donor, low, high (Wilson's 95 % interval), n.
    Raises:
        ValueError: If the network has no recurrent layer.
    """
    windows = sample(config, sequences, stream=Stream.SWAP, seed=seed).windows
    donors = np.roll(windows, 1, axis=0)
    own, donated = answers(config, weights, windows), answers(config, weights, donors)
    rows = []
    for timestep in range(1, reading_steps(config, "swap its state") + 1):
        swapped = answers_after_swap(config, weights, windows, donors, timestep)
        for output in range(config.output_length):
            differs = own[:, output] != donated[:, output]
            row = share_row(swapped[differs, output] == donated[differs, output])
            rows.append({"timestep": timestep, "output": output + 1, "follows_donor": row.pop("accuracy"), **row})
    return pd.DataFrame(rows)


def answers_after_swap(config: RunConfig, weights: Sequence[Floats], windows: Ints, donors: Ints,
                       timestep: int) -> Ints:
    """The answers to windows whose state after a timestep is that of their donors.

    The state is that of the first recurrent layer. What reads the layer's output at this timestep reads the donor's.

    Args:
        windows: Integers, (windows, input_length).
        donors: As many windows.
        timestep: From 1.
    Returns:
        (windows, output_length).
    """
    parts = []
    for part in slices(config, len(windows)):
        both = np.concatenate([windows[part], donors[part]])  # one pass computes the donors' states too
        count = len(windows[part])
        swapped = forward(config, weights, both, ops=_SwapState(timestep, np.roll(np.arange(2 * count), count)))
        parts.append(_read_off(config, swapped.outputs[:count]))
    return np.concatenate(parts)


class _SwapState(NumpyOps):
    """NumPy's operations with the state of the first recurrent layer exchanged between windows after a timestep."""

    def __init__(self, timestep: int, donors: Ints) -> None:
        super().__init__()
        self._timestep, self._donors, self._is_first = timestep, donors, True

    def recurrent(self, cell: str, projected: Floats, layer: LayerWeights, state: CellState | None, timesteps: int,
                  present: Any = None, may_unroll: bool = True) -> tuple[Floats, CellState]:
        """See `Ops`."""
        is_first, self._is_first, t = self._is_first, False, self._timestep
        if not is_first:
            return super().recurrent(cell, projected, layer, state, timesteps, present)
        outputs, before = super().recurrent(cell, projected[:t], layer, state, t,
                                            None if present is None else present[:t])
        swapped = tuple(vector[self._donors] for vector in before)
        outputs[-1] = swapped[0]
        if t == timesteps:
            return outputs, swapped
        later, last = super().recurrent(cell, projected[t:], layer, swapped, timesteps - t,
                                        None if present is None else present[t:])
        return np.concatenate([outputs, later]), last


class Part(NamedTuple):
    """A network without one of its parts.

    Attributes:
        attention: Attention weights that replace its own; None leaves them.
    """

    name: str
    weights: Sequence[Floats]
    attention: Floats | None = None


def ablation(config: RunConfig, weights: Sequence[Floats], sequences: int = 500, seed: int | None = None,
             units: Sequence[int] = ()) -> pd.DataFrame:
    """Accuracy by place with one part of the network missing.

    Parts: `none`; each gate of each recurrent layer pinned shut or open; a tenth of a layer's units silent, chosen by
    the seed; each unit of `units` silent; and attention spread evenly.

    Args:
        units: Counted from 1, in each recurrent layer.
    Returns:
        Columns: part, output (from 1), accuracy, low, high (Wilson's 95 % interval), n.
    Raises:
        ValueError: If a layer does not have such a unit.
    """
    return accuracy_without(config, list(parts(config, weights, seed, units)), sequences, seed)


def parts(config: RunConfig, weights: Sequence[Floats], seed: int | None = None,
          units: Sequence[int] = ()) -> Iterator[Part]:
    """The network as it is, named `none`, and then without each of its parts. Arguments are those of `ablation`."""
    for unit in units:
        if not 1 <= unit <= config.units:
            raise ValueError(f"unit must be from 1 to {config.units}, the units of a layer; received {unit}.")
    rng = np.random.default_rng(config.seed if seed is None else seed)
    yield Part("none", weights)
    for layer, name in enumerate(layer_names(config)):
        for gate in gate_names(config):
            for is_open in (False, True):
                yield Part(f"{name} {gate} gate {'open' if is_open else 'shut'}",
                           with_pinned_gate(config, weights, layer, gate, is_open))
        tenth = rng.choice(config.units, size=-(-config.units // 10), replace=False)
        yield Part(f"{name} a tenth of the units", without_units(config, weights, layer, tenth))
        for unit in units:
            yield Part(f"{name} unit {unit}", without_units(config, weights, layer, [unit - 1]))
    if config.traits.has_attention:
        even = np.full((config.output_length, config.input_length), 1 / config.input_length, np.float32)
        yield Part("attention spread evenly", weights, even)


def accuracy_without(config: RunConfig, missing: Sequence[Part], sequences: int = 500,
                     seed: int | None = None) -> pd.DataFrame:
    """The rows of `ablation` for some parts."""
    judged = sample(config, sequences, stream=Stream.ABLATION, seed=seed)
    tables = [accuracy_by_output(config, said, judged.expected).assign(part=part.name)
              for part, said in zip(missing, answers_without(config, missing, judged.windows), strict=True)]
    return pd.concat(tables, ignore_index=True)[["part", *tables[0].columns.drop("part")]]


def answers_without(config: RunConfig, missing: Sequence[Part], windows: Ints) -> list[Ints]:
    """The answers to the same windows without each part, (windows, output_length) each.

    Networks that differ in the biases of their recurrent layers, or in their attention alone, run in one pass, because
    a pass of few windows spends most of its time on loading the weights.
    """
    biases = [3 * layer + 2 for layer in range(config.traits.num_recurrent_layers)]
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, part in enumerate(missing):
        others = (array for at, array in enumerate(part.weights) if at not in biases)
        # `with_pinned_gate` and its like share the arrays that they leave alone, and `missing` keeps them, so no id is
        # given twice. To compare megabytes of weights would take longer; copies are judged one by one, with the same
        # answers.
        groups.setdefault(tuple(map(id, others)), []).append(place)
    said: dict[int, Ints] = {}
    for places in groups.values():
        alike = [missing[place] for place in places]
        said |= zip(places, [answers(config, alike[0].weights, windows, alike[0].attention)] if len(alike) == 1
                    else _answers_together(config, alike, biases, windows), strict=True)
    return [said[place] for place in range(len(missing))]


def _answers_together(config: RunConfig, alike: Sequence[Part], biases: Sequence[int], windows: Ints) -> Ints:
    """The answers of networks that differ in these biases and attention alone: (networks, windows, output_length)."""
    check_weights(config, alike[0].weights)
    stacked = {place: np.stack([part.weights[place] for part in alike], axis=-2) for place in biases}
    _, encoders = np.unique(stacked[biases[0]], axis=-2, return_inverse=True)
    own = np.full((config.output_length, config.input_length), np.nan, np.float32)
    attention = np.stack([own if part.attention is None else part.attention for part in alike])
    said = []
    for rows in slices(config, len(alike) * len(windows)):
        row = np.arange(rows.start, rows.stop)
        window, part = row // len(alike), row % len(alike)
        weights = [stacked[place][..., part, :] if place in biases else array  # a bias for each window
                   for place, array in enumerate(alike[0].weights)]
        unread = (None,) * config.traits.num_recurrent_layers
        answer = run(_Together(window * len(alike) + encoders[part], attention[part]), config, weights,
                     windows[window].T, unread)
        said.append(_read_off(config, answer.outputs.transpose(1, 0, 2)))
    return np.concatenate(said).reshape(len(windows), len(alike), -1).transpose(1, 0, 2)


class _Together(NumpyOps):
    """NumPy's operations that run the first recurrent layer once for windows that are the same to it.

    Args:
        same: A number for each window; windows that have the same one are the same to the first layer.
        attention: Attention weights, (windows, output_length, input_length); NaN leaves the network's own.
    """

    def __init__(self, same: NDArray[np.integer], attention: Floats) -> None:
        super().__init__()
        self._elsewhere = LookElsewhere(attention)
        _, self._first, self._each = np.unique(same, return_index=True, return_inverse=True)
        self._is_first = True

    def recurrent(self, cell: str, projected: Floats, layer: LayerWeights, state: CellState | None, timesteps: int,
                  present: Any = None, may_unroll: bool = True) -> tuple[Floats, CellState]:
        """See `Ops`."""
        is_first, self._is_first, first, each = self._is_first, False, self._first, self._each
        if not is_first:
            return super().recurrent(cell, projected, layer, state, timesteps, present)
        before = state and tuple(vector[first] for vector in state)
        outputs, last = super().recurrent(
            cell, projected[:, first], layer._replace(bias=layer.bias[..., first, :]), before, timesteps,
            None if present is None else present[:, first])
        return outputs[:, each], tuple(vector[each] for vector in last)

    def look(self, decoded: Floats, encoded: Floats, present: Any) -> Floats:
        """See `NumpyOps`."""
        given = self._elsewhere.look(decoded, encoded, present)
        return np.where(np.isnan(given), super().look(decoded, encoded, present), given)


def without_units(config: RunConfig, weights: Sequence[Floats], layer: int,
                  units: ArrayLike) -> list[Floats]:
    """The weights of a network in which some units of a recurrent layer give 0 at every timestep.

    Args:
        layer: Its number among the recurrent layers, from 0.
        units: From 0.
    """
    if config.cell == "lstm":  # a shut output gate
        return _with_bias(config, weights, layer, "o", units, -_PINNED)
    if config.cell == "gru":  # an open update gate keeps the state of 0
        return _with_bias(config, weights, layer, "z", units, _PINNED)
    changed = [np.array(array) for array in weights]
    for array in changed[3 * layer:3 * layer + 3]:  # kernel, recurrent kernel, bias
        array[..., np.asarray(units)] = 0
    return changed


def with_pinned_gate(config: RunConfig, weights: Sequence[Floats], layer: int, gate: str,
                     is_open: bool) -> list[Floats]:
    """The weights of a network in which one gate of a recurrent layer is always shut, or always open.

    Args:
        layer: Its number among the recurrent layers, from 0.
        gate: In words, as in `gate_names`.
    Raises:
        ValueError: If the cell has no such gate.
    """
    if gate not in gate_names(config):
        raise ValueError(f"gate must be one of {', '.join(gate_names(config)) or 'none'} in a cell of kind "
                         f"{config.cell}; received {gate}.")
    letter = next(letter for letter, word in GATE_WORDS.items() if word == gate)
    return _with_bias(config, weights, layer, letter, np.arange(config.units), _PINNED if is_open else -_PINNED)


def _with_bias(config: RunConfig, weights: Sequence[Floats], layer: int, letter: str, units: ArrayLike,
               value: np.float32) -> list[Floats]:
    changed, place = list(weights), 3 * layer + 2
    changed[place] = np.array(weights[place])
    bias = changed[place][0] if CELLS[config.cell].num_biases == 2 else changed[place]  # the first is the input's
    bias[GATES[config.cell].index(letter) * config.units + np.asarray(units)] = value
    return changed


def answers(config: RunConfig, weights: Sequence[Floats], windows: Ints, attention: Floats | None = None) -> Ints:
    """The network's answer to each window, (windows, output_length), also with other attention weights."""
    parts = [forward(config, weights, windows[part], ops=None if attention is None else LookElsewhere(attention))
             for part in slices(config, len(windows))]
    return np.concatenate([_read_off(config, part.outputs) for part in parts])


def reading_steps(config: RunConfig, purpose: str) -> int:
    """Timesteps of the recurrent layer that reads. Raises ValueError if the network has none."""
    if not config.traits.num_recurrent_layers:
        raise ValueError(f"variant must have a recurrent layer to {purpose}; received {config.variant}.")
    return config.input_shape[0]


def _read_off(config: RunConfig, outputs: Floats) -> Ints:
    return read_off(config, outputs).predicted
