"""How much does a network remember? Bits kept against bits asked for, and accuracy by how long a number is held."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.evaluation.scores import answer
from echo_core.inspection.samples import Stream, likelihoods, mean_interval, sample, share_row
from echo_core.records import Floats

#: A probability of 0 in float32 counts as this one, so that one answer costs at most 100 bits.
_LEAST = 2.0 ** -100


def bits(config: RunConfig, weights: Sequence[Floats], sequences: int = 2000, seed: int | None = None) -> pd.DataFrame:
    """Bits of each asked number that the answer keeps: log2 of the vocabulary plus the mean log2 of the right number's
    probability.

    It is a lower bound of what the network knows, so bounds below 0 count as 0: a network that knows no more than
    chance keeps nothing, and neither does one that is sure of wrong numbers.

    Returns:
        Columns: output (from 1), asked, kept, low, high (95 % interval of the mean over sequences, by the normal
        distribution), n.
    Raises:
        ValueError: For scaled numbers, which have no probabilities.
    """
    if config.representation == "linear":
        raise ValueError("representation must be one_hot to count bits, because scaled numbers have no probabilities; "
                         "received linear.")
    judged = sample(config, sequences, stream=Stream.BITS, seed=seed)
    right = likelihoods(config, weights, judged)
    asked, rows = math.log2(config.vocab_size), []
    for output in range(config.output_length):
        present = judged.expected[:, output] < config.vocab_size
        if not present.any():
            continue  # task lag: the first answers of a window are not asked for
        estimates = mean_interval(asked + np.log2(np.maximum(right[present, output], _LEAST)))
        kept, low, high = np.clip(estimates, 0.0, asked).tolist()  # NaN stays NaN
        rows.append({"output": output + 1, "asked": asked, "kept": kept, "low": low, "high": high,
                     "n": int(present.sum())})
    return pd.DataFrame(rows)


def forgetting(config: RunConfig, weights: Sequence[Floats], sequences: int = 2000,
               seed: int | None = None) -> pd.DataFrame:
    """Accuracy by the timesteps that a number is held between reading and saying it.

    Returns:
        One row for each place of the answer. Columns: output and input (from 1), lag (timesteps), accuracy, low, high
        (Wilson's 95 % interval), n. Chance is 1 / vocab_size.
    Raises:
        ValueError: For task pairs, whose answers repeat no place of the question.
    """
    judged = sample(config, sequences, stream=Stream.BITS, seed=seed)
    predicted, rows = answer(config, weights, judged.windows).predicted, []
    for output, place, lag in sources(config):
        right = predicted[:, output] == judged.expected[:, output]
        rows.append({"output": output + 1, "input": place + 1, "lag": lag, **share_row(right)})
    return pd.DataFrame(rows)


def sources(config: RunConfig) -> Iterator[tuple[int, int, int]]:
    """For each place of the answer: its number, the place of the input that it repeats, and the lag; from 0.

    The lag counts timesteps from reading a number to saying it: 0 in whole echo, where it is said as it is read.

    Raises:
        ValueError: For task pairs, whose answers repeat no place of the question.
    """
    if config.task == "pairs":
        raise ValueError("task must repeat numbers of the input to have a forgetting curve; received pairs.")
    for output in range(config.lag, config.output_length):
        if config.task == "lag":
            place = output - config.lag
        else:
            place = config.echo_start + (output if config.task == "echo" else config.output_length - 1 - output)
        if config.traits.reads_all_at_once:
            said_at = place  # everything is read in the step that answers
        elif config.traits.answers_while_reading:
            said_at = config.input_length - config.output_length + output
        elif config.traits.one_vector_for_all:
            said_at = config.input_length - 1
        else:
            said_at = config.input_length + output
        yield output, place, said_at - place


def state_values(config: RunConfig) -> int:
    """Numbers that pass from reading to answering, which is all that a network can remember in.

    An encoder hands only its h to the decoder; attention hands over the h of every timestep; a network that answers
    while it reads has its whole state from step to step.
    """
    if not config.traits.num_recurrent_layers or config.traits.reads_all_at_once:
        return 0
    if config.traits.has_attention:
        return config.units * config.input_length
    if config.traits.answers_while_reading:
        return config.units * CELLS[config.cell].num_states
    return config.units
