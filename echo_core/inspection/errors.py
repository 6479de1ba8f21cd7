"""Where does a network fail? By place, by symbol, by what it says instead, and its worst windows."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from echo_core.config import RunConfig
from echo_core.evaluation.asking import PADDING
from echo_core.evaluation.scores import answer
from echo_core.inspection.samples import Stream, accuracy_by_output, likelihoods, sample, share_row
from echo_core.records import Floats, Ints

#: Pairs of expected and predicted symbols, and windows, that a table lists at most.
_MOST_ROWS = 200
_WORST = 20


def errors(config: RunConfig, weights: Sequence[Floats], sequences: int = 2000,
           seed: int | None = None) -> pd.DataFrame:
    """Accuracy by place: columns output (from 1), accuracy, low, high (Wilson's 95 % interval), n."""
    judged = sample(config, sequences, stream=Stream.ERRORS, seed=seed)
    return accuracy_by_output(config, answer(config, weights, judged.windows).predicted, judged.expected)


def symbols(config: RunConfig, weights: Sequence[Floats], sequences: int = 2000,
            seed: int | None = None) -> pd.DataFrame:
    """Accuracy by the symbol that is expected, over all places of the answer; the worst ones first.

    Returns:
        Columns: symbol (a number, or a word where the run has words), accuracy, low, high (Wilson's 95 % interval), n.
    """
    judged = sample(config, sequences, stream=Stream.ERRORS, seed=seed)
    predicted = answer(config, weights, judged.windows).predicted
    rows = [{"symbol": _name(config, symbol), **share_row(predicted[judged.expected == symbol] == symbol)}
            for symbol in np.unique(judged.expected[judged.expected < config.vocab_size])]
    return pd.DataFrame(rows).sort_values("accuracy", kind="stable", ignore_index=True)


def confusions(config: RunConfig, weights: Sequence[Floats], sequences: int = 2000,
               seed: int | None = None) -> pd.DataFrame:
    """What a network says instead: the most frequent pairs of an expected and another, predicted symbol.

    Returns:
        Columns: expected, predicted, count, share (of the answers to that expected symbol).
    """
    judged = sample(config, sequences, stream=Stream.ERRORS, seed=seed)
    predicted = answer(config, weights, judged.windows).predicted
    present = judged.expected < config.vocab_size
    asked = Counter(judged.expected[present].tolist())
    pairs = Counter((expected, said) for expected, said in zip(judged.expected[present].tolist(),
                                                               predicted[present].tolist(), strict=True)
                    if expected != said)
    rows = [{"expected": _name(config, expected), "predicted": _name(config, said), "count": count,
             "share": count / asked[expected]} for (expected, said), count in pairs.most_common(_MOST_ROWS)]
    return pd.DataFrame(rows, columns=["expected", "predicted", "count", "share"])


def worst(config: RunConfig, weights: Sequence[Floats], sequences: int = 2000, seed: int | None = None) -> pd.DataFrame:
    """The windows with the most wrong places, and among equal ones those whose right answer is the least likely.

    Returns:
        Up to 20 rows. Columns: window, expected, predicted (lists of symbols; None at a gap, `(padding)` for a
        padding), wrong (places), likelihood (mean probability of the right answers; of scaled numbers, 1 less the mean
        distance).
    """
    judged = sample(config, sequences, stream=Stream.ERRORS, seed=seed)
    predicted = answer(config, weights, judged.windows).predicted
    present = judged.expected < config.vocab_size
    wrong = ((predicted != judged.expected) & present).sum(axis=1)
    mean = np.nansum(likelihoods(config, weights, judged), axis=1) / np.maximum(1, present.sum(axis=1))
    order = np.lexsort((mean, -wrong))[:_WORST]
    return pd.DataFrame([{
        "window": _names(config, judged.windows[row]), "expected": _names(config, judged.expected[row]),
        "predicted": _names(config, predicted[row]), "wrong": int(wrong[row]), "likelihood": float(mean[row])}
        for row in order])


def sameness(config: RunConfig, weights: Sequence[Floats], sequences: int = 2000,
             seed: int | None = None) -> pd.DataFrame:
    """How far the answer depends on what is read: the most common answer at each place, and its share.

    A share near 1 means that the network gives nearly the same answer whatever it reads.

    Returns:
        Columns: output (from 1), answer, share, low, high (Wilson's 95 % interval), n, expected_share (how often that
        answer is the right one).
    """
    judged = sample(config, sequences, stream=Stream.ERRORS, seed=seed)
    predicted, rows = answer(config, weights, judged.windows).predicted, []
    for output in range(config.output_length):
        present = judged.expected[:, output] < config.vocab_size
        if not present.any():
            continue
        (common, _), = Counter(predicted[present, output].tolist()).most_common(1)
        row = share_row(predicted[present, output] == common)
        rows.append({"output": output + 1, "answer": _name(config, common), "share": row.pop("accuracy"), **row,
                     "expected_share": float((judged.expected[present, output] == common).mean())})
    return pd.DataFrame(rows)


def _names(config: RunConfig, tokens: Ints) -> list[int | str | None]:
    return [_name(config, token) for token in tokens.tolist()]


def _name(config: RunConfig, token: int) -> int | str | None:
    """A symbol as people read it: a word where the run has words, `(padding)` for a padding, None for a gap."""
    if token >= config.vocab_size:
        return PADDING if config.traits.has_padding else None
    return config.vocabulary[token] if config.text else int(token)
