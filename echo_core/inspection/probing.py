"""What can be read from the state, and when: probes that predict each input from the state after each timestep.

A linear probe is Fisher's linear discriminant, in closed form. Ridge regression on one-hot labels is linear as well,
and misses with a hundred labels what a linear readout can read: 0.95 instead of 0.999 in preset `quick`. The small
non-linear probe is the same discriminant with random features of the state beside it, because a cell may store a number
by size and not by direction (arXiv 2408.10920).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echo_core.config import RunConfig
from echo_core.evaluation.judging import wilson_interval
from echo_core.evaluation.scores import slices
from echo_core.inspection.interventions import reading_steps
from echo_core.inspection.samples import Stream, random_windows
from echo_core.networks.definition import CellState
from echo_core.networks.in_numpy import forward
from echo_core.records import Floats, Ints

#: What is added to the variance of each feature, in sequences.
RIDGE = 1.0
#: Random features of the non-linear probe at most, and the sequences that each of them takes to fit.
NUM_FEATURES, SEQUENCES_A_FEATURE = 512, 16
#: Unseen states that are scored at one time.
_SLICE = 2048


def probe(config: RunConfig, weights: Sequence[Floats], sequences: int = 12_000, seed: int | None = None,
          untrained: Sequence[Floats] | None = None) -> pd.DataFrame:
    """Share of unseen sequences in which a probe reads the number at a position from the state after a timestep.

    Args:
        sequences: Sequences to fit a probe, and as many unseen ones to score it.
        untrained: The weights of epoch 0, for the control `untrained`; None leaves that control out.
    Returns:
        Columns: state (h, c or hc), probe (linear or nonlinear), control (none, shuffled or untrained), timestep and
        position (from 1), accuracy, low, high (Wilson's 95 % interval), n. Chance is 1 / vocab_size.
    Raises:
        ValueError: If the network has no recurrent layer.
    """
    return pd.DataFrame([row for rows in probe_steps(config, weights, sequences, seed, untrained) for row in rows])


def probe_steps(config: RunConfig, weights: Sequence[Floats], sequences: int = 12_000, seed: int | None = None,
                untrained: Sequence[Floats] | None = None, states: Sequence[str] = ("h", "c", "hc"),
                probes: Sequence[str] = ("linear", "nonlinear")) -> Iterator[list[dict[str, object]]]:
    """The rows of `probe` timestep by timestep, for a picture that grows.

    Args:
        states: Which of h, c and hc (both) to read; a cell without c has h alone.
        probes: Which of linear and nonlinear.
    """
    steps = reading_steps(config, "probe its state")
    fitted, scored = (random_windows(config, sequences, stream, seed)
                      for stream in (Stream.PROBE_FITTED, Stream.PROBE_SCORED))
    networks = {"none": weights} if untrained is None else {"none": weights, "untrained": untrained}
    shuffle = np.random.default_rng(config.seed if seed is None else seed).permutation
    for control, network in networks.items():
        labels = {control: (fitted, scored)}
        if control == "none":
            # Both are shuffled: a state that holds one number takes few values, and luck would decide for each of them.
            labels["shuffled"] = shuffle(fitted), shuffle(scored)
        passes = (states_while_reading(config, network, windows) for windows in (fitted, scored))
        for t, (to_fit, unseen) in enumerate(zip(*passes, strict=True)):
            read = range(t + 1) if steps > 1 else range(config.input_length)  # positions that have been read
            yield [{"state": state, "probe": kind, "control": name, "timestep": t + 1, "position": position + 1,
                    **_score(accuracy, sequences)}
                   for state in states if state in to_fit for kind in probes
                   for name, position, accuracy in fit_and_score(to_fit[state], unseen[state], kind, labels, read,
                                                               config.seed)]


def states_while_reading(config: RunConfig, weights: Sequence[Floats], windows: Ints) -> Iterator[Mapping[str, Floats]]:
    """The state of the first recurrent layer after each timestep, (windows, values): h, and of an LSTM c and hc.

    Only one timestep's states are in memory. To read one number at a time the layer runs as the network `whole` on
    windows of length 1, its readout silent: a recurrent layer reads in the same way whatever follows it.
    """
    if config.traits.reads_all_at_once:
        yield _named([forward(config, weights, windows[part]).states[0] for part in slices(config, len(windows))])
        return
    reader = config.model_copy(update={
        "variant": "whole", "task": "echo", "missing": "mask" if config.has_gaps else "drop", "lag": 0, "echo_start": 0,
        "input_length": 1, "output_length": 1})
    readout = [np.zeros((config.units, reader.num_classes), np.float32), np.zeros(reader.num_classes, np.float32)]
    parts, state = list(slices(config, len(windows))), dict[int, CellState]()
    for t in range(config.input_length):
        for part in parts:
            before = (state[part.start],) if t else None
            (state[part.start],) = forward(reader, [*weights[:3], *readout], windows[part, t:t + 1], before).states
        yield _named([state[part.start] for part in parts])


def _named(states: Sequence[CellState]) -> Mapping[str, Floats]:
    h, *c = (np.concatenate(arrays) for arrays in zip(*states, strict=True))
    return {"h": h, **({"c": c[0], "hc": np.concatenate([h, c[0]], axis=-1)} if c else {})}


def _score(accuracy: float, sequences: int) -> dict[str, float]:
    low, high = wilson_interval(accuracy, sequences)
    return {"accuracy": accuracy, "low": low, "high": high, "n": sequences}


def fit_and_score(states: Floats, unseen: Floats, kind: str, labels: Mapping[str, tuple[Ints, Ints]],
                  positions: Sequence[int], seed: int) -> Iterator[tuple[str, int, float]]:
    """Fit a probe to each set of labels at each position, and score it: name of the labels, position, accuracy.

    Args:
        labels: By name, those of `states` and those of `unseen`, (windows, input_length).
    """
    mean, spread = states.mean(axis=0), states.std(axis=0) + 1e-6
    number = min(NUM_FEATURES, len(states) // SEQUENCES_A_FEATURE) if kind == "nonlinear" else 0
    x, asked = (_with_random_features((values - mean) / spread, number, seed) for values in (states, unseen))
    gram = (x.T @ x).astype(np.float64)
    for name, (tokens, truths) in labels.items():
        for position in positions:
            known, weights, offsets = _discriminant(x, gram, tokens[:, position])
            read = np.concatenate([known[(asked[start:start + _SLICE] @ weights + offsets).argmax(axis=-1)]
                                   for start in range(0, len(asked), _SLICE)])
            yield name, position, float((read == truths[:, position]).mean())


def _discriminant(x: Floats, gram: NDArray[np.float64], labels: Ints) -> tuple[Ints, Floats, Floats]:
    """Fit a linear discriminant: each label's score is `x @ weights + offset`, and the highest score is read.

    The scores are those of the nearest mean, where distances are measured by the covariance within labels.

    Args:
        gram: `x.T @ x`.
    Returns:
        The labels that occur, (labels,); weights (features, labels); offsets (labels,).
    """
    known, counts = np.unique(labels, return_counts=True)
    starts = np.cumsum(counts) - counts
    sums = np.add.reduceat(x[np.argsort(labels, kind="stable")], starts, axis=0).astype(np.float64)
    means = sums / counts[:, None]  # (labels, features)
    within = gram - sums.T @ means + RIDGE * np.eye(len(gram))
    weights = np.linalg.solve(within, means.T) * len(x)
    offsets = -0.5 * (means.T * weights).sum(axis=0)
    return known, weights.astype(np.float32), offsets.astype(np.float32)


def _with_random_features(scaled: Floats, number: int, seed: int) -> Floats:
    """The state with some random non-linear features of it beside it, (windows, values + number)."""
    width = scaled.shape[1]
    draw = np.random.default_rng([seed, width])
    mix = (draw.standard_normal((width, number)) / np.sqrt(width)).astype(np.float32)
    shift = draw.uniform(-1, 1, number).astype(np.float32)
    x = scaled.astype(np.float32)
    return np.concatenate([x, np.maximum(x @ mix + shift, 0)], axis=1)
