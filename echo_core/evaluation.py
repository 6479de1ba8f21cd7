"""How good a network is on windows that it has never seen, and what it answers to given ones."""

from collections.abc import Iterator, Sequence

import numpy as np

from echo_core.config import RunConfig
from echo_core.data import shown_windows, to_windows, unseen_sequences
from echo_core.forward import forward, softmax
from echo_core.records import Evaluation, Floats, Ints, Snapshot

#: Windows in one forward pass, so that an evaluation of a large network stays small in memory.
_SLICE = 512


def predict(config: RunConfig, weights: Sequence[Floats], windows: np.ndarray) -> Floats:
    """Probabilities for each window: (windows, input_length) -> (windows, output_length, vocab_size).

    State is zero before every window, stateful or not, so asking twice gives the same answer.
    """
    return np.concatenate([softmax(logits) for logits in _logits(config, weights, windows)])


def evaluate(config: RunConfig, weights: Sequence[Floats]) -> Evaluation:
    """Token and window accuracy on at least 2,000 unseen windows."""
    windows = to_windows(unseen_sequences(config), config.input_length)
    answers = np.concatenate([logits.argmax(-1) for logits in _logits(config, weights, windows)])
    right = answers == windows[:, :config.output_length]  # (windows, output_length)
    return Evaluation(
        token_accuracy=float(right.mean()), window_accuracy=float(right.all(axis=1).mean()),
        windows=len(windows), by_timestep=tuple(float(share) for share in right.mean(axis=0)))


def take_snapshot(config: RunConfig, weights: Sequence[Floats], epoch: int) -> Snapshot:
    """What the network answers now on the windows that a run is watched on."""
    probabilities = predict(config, weights, shown_windows(config))
    predicted: Ints = probabilities.argmax(-1).astype(np.int32)
    return Snapshot(epoch, predicted, probabilities.max(-1))


def shown_loss(config: RunConfig, weights: Sequence[Floats]) -> tuple[float, float]:
    """Cross-entropy (nats per token) and token accuracy on the windows that a run is watched on."""
    windows = shown_windows(config)
    probabilities = predict(config, weights, windows)
    expected = windows[:, :config.output_length]
    of_expected = np.take_along_axis(probabilities, expected[..., None], axis=-1)
    return float(-np.log(of_expected + 1e-12).mean()), float((probabilities.argmax(-1) == expected).mean())


def _logits(config: RunConfig, weights: Sequence[Floats], windows: np.ndarray) -> Iterator[Floats]:
    for start in range(0, len(windows), _SLICE):
        yield forward(config, weights, windows[start:start + _SLICE])[0]
