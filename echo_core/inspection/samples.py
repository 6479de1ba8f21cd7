"""Sequences for inspections, and intervals of what is measured on them."""

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echo_core.config import RunConfig
from echo_core.config.checks import check_count
from echo_core.data import TASKS, scale, text_examples
from echo_core.evaluation.judging import Z95, wilson_interval
from echo_core.evaluation.scores import predict, slices
from echo_core.records import Floats, Ints


class Stream(IntEnum):
    """The random streams that inspections draw their windows from, each apart from all others.

    Studies that are compared with each other share one, so that they speak of the same windows: influence, gradient
    and attention; bits and forgetting; the five of errors; gates and what they keep. Another number gives another
    table.
    """

    INFLUENCE = 1
    PROBE_FITTED = 2
    PROBE_SCORED = 3
    SWAP = 4
    BITS = 5
    ERRORS = 6
    ABLATION = 7
    GATES = 8
    UNITS = 9


class Sample(NamedTuple):
    """Windows that share no number with each other, and their expected answers.

    Attributes:
        windows: Integers, (windows, input_length); `vocab_size` at a gap.
        expected: (windows, output_length); `vocab_size` where no answer is expected.
    """

    windows: Ints
    expected: Ints


def sample(config: RunConfig, sequences: int, stream: Stream, seed: int | None = None) -> Sample:
    """Unseen windows of random numbers; or the pairs of a text, at most `sequences` of them.

    Args:
        stream: Windows of different streams have nothing to do with each other.
        seed: Chooses the windows; None takes the run's own.
    Raises:
        ValueError: If `sequences` is not a positive whole number.
    """
    check_count("sequences", sequences)
    if config.task == "pairs":
        examples = text_examples(config)
        return Sample(examples.inputs[:sequences].astype(np.int32), examples.expected[:sequences].astype(np.int32))
    windows = random_windows(config, sequences, stream, seed)
    answers = TASKS[config.task](config, windows.T).T  # (windows, output_length - lag)
    return Sample(windows, np.pad(answers, ((0, 0), (config.lag, 0)), constant_values=config.vocab_size))


def random_windows(config: RunConfig, sequences: int, stream: Stream, seed: int | None = None) -> Ints:
    """Windows of random numbers without gaps, of any task: (sequences, input_length)."""
    check_count("sequences", sequences)
    draw = np.random.Generator(np.random.Philox(key=[config.seed if seed is None else seed, 1000 + stream]))
    return draw.integers(0, config.vocab_size, size=(sequences, config.input_length), dtype=np.int32)


def likelihoods(config: RunConfig, weights: Sequence[Floats], judged: Sample) -> Floats:
    """The probability of each right answer; of scaled numbers, 1 less the distance from it.

    Returns:
        (windows, output_length); NaN where no answer is expected.
    """
    present = judged.expected < config.vocab_size
    known, found = np.where(present, judged.expected, 0), np.full(present.shape, np.nan, np.float32)
    for part in slices(config, len(judged.windows)):
        given = predict(config, weights, judged.windows[part])[:, -config.output_length:]
        if config.representation == "linear":
            found[part] = 1 - np.abs(given[..., 0] - scale(known[part], config.vocab_size))
        else:
            found[part] = np.take_along_axis(given, known[part][..., None], axis=-1)[..., 0]
    return np.where(present, found, np.float32(np.nan))


def share_row(right: NDArray[np.bool_]) -> dict[str, float]:
    """Accuracy, low and high (Wilson's 95 % interval) and n of independent trials; NaN where there are none."""
    if not right.size:
        return {"accuracy": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    share = float(right.mean())
    low, high = wilson_interval(share, right.size)
    return {"accuracy": share, "low": low, "high": high, "n": right.size}


def mean_interval(values: NDArray[np.floating]) -> tuple[float, float, float]:
    """Mean of independent values with its 95 % interval, by the normal distribution: mean, low, high.

    The interval of a single value is NaN.
    """
    mean = float(values.mean())
    half = Z95 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return mean, mean - half, mean + half


def accuracy_by_output(config: RunConfig, predicted: Ints, expected: Ints) -> pd.DataFrame:
    """One row for each place of the answer at which something is expected: output (from 1), accuracy, low, high, n."""
    rows = []
    for output in range(config.output_length):
        present = expected[:, output] < config.vocab_size
        if present.any():
            rows.append({"output": output + 1,
                         **share_row(predicted[present, output] == expected[present, output])})
    return pd.DataFrame(rows, columns=["output", "accuracy", "low", "high", "n"])
