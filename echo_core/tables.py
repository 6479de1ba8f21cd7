"""The store's records as tidy tables for charts and files. The documented columns are stable."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pandas.api.types import is_numeric_dtype

from echo_core.config import RunConfig
from echo_core.config.checks import check_count, tokens_of
from echo_core.data import shown_examples
from echo_core.evaluation import judge
from echo_core.records import Snapshot
from echo_core.store import ProgressRow
from echo_core.text.files import shield


def curve(history: Sequence[ProgressRow]) -> pd.DataFrame:
    """Loss and accuracy of a run, one row a point.

    Columns: epoch, loss (nats per token, or squared error of scaled numbers), accuracy (share of tokens right in
    training), seconds (of training so far, interpolated between records).
    """
    points = [(point.epoch, point.loss, point.accuracy) for row in history for point in row.points]
    table = pd.DataFrame(points, columns=["epoch", "loss", "accuracy"])
    known = ([row.epoch for row in history], [row.seconds for row in history])
    return table.assign(seconds=np.interp(table["epoch"], *known) if len(table) else table["epoch"])


def smoothed(curve: pd.DataFrame, points: int) -> pd.DataFrame:
    """A curve whose loss and accuracy are means over `points` points on both sides, fewer at its ends."""
    check_count("points", points, least=0)
    means = curve[["loss", "accuracy"]].rolling(2 * points + 1, center=True, min_periods=1).mean()
    return curve.assign(loss=means["loss"], accuracy=means["accuracy"])


def band(curves: Sequence[pd.DataFrame], column: str) -> pd.DataFrame:
    """Mean and spread over several seeds, one row for each epoch that at least one of them has reached.

    Columns: epoch, mean, low and high (a standard deviation below and above; the mean itself for a single seed), seeds.
    """
    if not curves or not all(column in curve for curve in curves):
        raise ValueError(f"curves must be at least one table with the column {column}; received {len(curves)}.")
    together = pd.concat(list(curves))[["epoch", column]]
    found = together.groupby("epoch")[column].agg(["mean", "std", "count"]).reset_index()
    spread = found["std"].fillna(0.0)
    return pd.DataFrame({"epoch": found["epoch"], "mean": found["mean"], "low": found["mean"] - spread,
                         "high": found["mean"] + spread, "seeds": found["count"]})


def answers(config: RunConfig, snapshot: Snapshot) -> pd.DataFrame:
    """What was expected and predicted on the unseen sequence, one row a window.

    Columns: window (from 1), input_1 …, expected_1 …, predicted_1 …, confidence_1 …, right (all of them). A text's
    numbers are its words. Cells are empty where no answer is expected. For scaled numbers, `before_rounding_1 …`
    replaces the confidence.

    Raises:
        ValueError: If the snapshot is not of such a run.
    """
    examples = shown_examples(config)
    correct, present = judge(config, examples, snapshot.predicted)
    predicted = np.where(present, snapshot.predicted, config.vocab_size)
    sure = "before_rounding" if config.representation == "linear" else "confidence"
    groups: dict[str, NDArray[Any]] = {
        "input": as_words(config, examples.inputs), "expected": as_words(config, examples.expected),
        "predicted": as_words(config, predicted), sure: np.where(present, snapshot.confidence, np.nan)}
    columns = {f"{name}_{step + 1}": values[:, step] for name, values in groups.items()
               for step in range(values.shape[1])}
    right = (correct | ~present).all(axis=1)
    return pd.DataFrame({"window": np.arange(1, len(present) + 1), **columns, "right": right})


def to_csv(table: pd.DataFrame) -> str:
    """A table for a spreadsheet, with words escaped that it would take for a formula. Numbers stay numbers.

    `files.unshield` and `files.read_pairs` restore the words.
    """
    words = table.select_dtypes(exclude=["number", "bool"])
    shielded = words.map(lambda cell: shield(cell) if isinstance(cell, str) else cell)
    table = table.assign(**{str(name): shielded[name] for name in shielded})
    return table.to_csv(index=False, lineterminator="\n")


def in_columns(answers: pd.DataFrame) -> str:
    """The windows of `answers` as text in aligned columns: what was read, expected and predicted.

        window  input           expected  predicted  right
             1  86 81 88  1 23  86 81     86 81      yes
    """
    groups: dict[str, list[str]] = {"window": [str(number) for number in answers["window"]]}
    for name in ("input", "expected", "predicted"):
        groups[name] = _side_by_side(answers[[column for column in answers if str(column).startswith(f"{name}_")]])
    groups["right"] = ["yes" if right else "no" for right in answers["right"]]
    columns = []
    for name, cells in groups.items():
        width = max(len(name), *map(len, cells))
        align = str.rjust if name == "window" else str.ljust
        columns.append([align(text, width) for text in (name, *cells)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _side_by_side(group: pd.DataFrame) -> list[str]:
    """The cells of each row in one line, each column as wide as its longest cell; numbers to the right."""
    align = str.rjust if all(map(is_numeric_dtype, group.dtypes)) else str.ljust
    columns = [[align(text, max(map(len, texts))) for text in texts]
               for texts in (["" if pd.isna(cell) else str(cell) for cell in group[name]] for name in group)]
    return [" ".join(line) for line in zip(*columns, strict=True)]


def as_words(config: RunConfig, numbers: ArrayLike) -> NDArray[Any]:
    """Numbers as they are shown: the number itself, a word of the text, or an empty value at gaps.

    Raises:
        ValueError: If they are not integers of the vocabulary.
    """
    numbers = tokens_of("numbers", numbers, config, gaps=True)
    if not (config.text or config.has_target_gaps or config.traits.has_padding):
        return numbers
    names: NDArray[Any] = np.array([*(config.vocabulary or map(str, range(config.vocab_size))), ""], dtype=object)
    named: NDArray[Any] = names[numbers]
    return named
