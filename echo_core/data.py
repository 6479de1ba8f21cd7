"""Random sequences, one-hot, and windows: the tutorial's functions under the tutorial's names.

`from echo_core.data import *` brings what the tutorial's script needs, which then runs as it is written: its names of
the arguments (`n_unique`, `n_in`, `n_out`) are understood beside ours, and sequences are lists of integers.

Source: Brownlee (2017), "How to use an Encoder-Decoder LSTM to Echo Sequences of Random Integers".
"""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import signature
from types import MappingProxyType
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from echo_core.config import RunConfig
from echo_core.config.checks import Ints, check_count, check_lengths, integers_of, numbers_of, tokens_of
from echo_core.text import words as texts

__all__ = ["generate_sequence", "get_data", "one_hot_decode", "one_hot_encode", "shift_table", "to_supervised",
           "to_windows"]

P = ParamSpec("P")
T = TypeVar("T")
OneHot = NDArray[np.float32]

#: An evaluation judges at least this many windows, whatever the length of a sequence.
MIN_JUDGED_WINDOWS = 2000
#: Snapshots of a run cover at most this many windows.
MAX_SHOWN_WINDOWS = 64

#: Every feature of a missing value has this value in the network's input.
GAP = -1.0


def _also_named(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function be called with the tutorial's names of some arguments: `n_in="input_length"`."""
    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        order = list(signature(function).parameters)

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            for theirs, ours in names.items():
                if theirs not in kwargs:
                    continue
                if ours in kwargs or order.index(ours) < len(args):
                    raise TypeError(f"{ours} must be given once; received {theirs} too, which is the tutorial's name "
                                    "of the same. Try one of them.")
                kwargs[ours] = kwargs.pop(theirs)
            return function(*args, **kwargs)
        return called
    return decorate


@_also_named(n_unique="vocab_size")
def generate_sequence(length: int = 25, vocab_size: int = 100,
                      rng: np.random.Generator | int | None = None) -> list[int]:
    """Draw `length` random integers in [0, vocab_size).

    `generate_sequence(3, 10, rng=0) -> [8, 6, 5]`

    Args:
        rng: A NumPy generator or a seed. None draws new numbers at each call.
    Raises:
        ValueError: If `length` or `vocab_size` is not a positive whole number.
    """
    check_count("length", length)
    check_count("vocab_size", vocab_size)
    drawn: list[int] = np.random.default_rng(rng).integers(0, vocab_size, size=length).tolist()
    return drawn


@_also_named(n_unique="vocab_size")
def one_hot_encode(sequence: ArrayLike, vocab_size: int = 100) -> OneHot:
    """A row of zeros with a single one for each integer: (…) -> (…, vocab_size).

    `one_hot_encode([2, 0], 3) -> [[0, 0, 1], [1, 0, 0]]`. Equals `keras.utils.to_categorical`,
    but raises for values that Keras would wrap around or truncate.

    Raises:
        ValueError: If the sequence is empty, or a value is not an integer in [0, vocab_size).
    """
    check_count("vocab_size", vocab_size)
    integers = integers_of("sequence", sequence)
    outside = integers[(integers < 0) | (integers >= vocab_size)]
    if outside.size:
        advice = f" Try a vocab_size of at least {int(integers.max()) + 1}." if outside.flat[0] >= 0 else ""
        raise ValueError(f"sequence must hold integers in [0, {vocab_size}), the vocabulary; received "
                         f"{outside.flat[0]}.{advice}")
    encoded = np.zeros((integers.size, vocab_size), np.float32)
    encoded[np.arange(integers.size), integers.ravel()] = 1
    return encoded.reshape(*integers.shape, vocab_size)


@_also_named(encoded_seq="encoded")
def one_hot_decode(encoded: ArrayLike) -> Any:
    """The position of the largest value in each row: a list of integers, of lists for several windows.

    Serves one-hot rows and predicted probabilities alike: `one_hot_decode([[0.1, 0.7, 0.2]]) -> [1]`.

    Raises:
        ValueError: If `encoded` is empty, or a value is not a number.
    """
    rows = numbers_of("encoded", encoded)
    if np.isnan(rows).any():
        raise ValueError("encoded must hold numbers; received nan.")
    return rows.argmax(axis=-1).tolist()


@_also_named(n_in="input_length", n_out="output_length")
def shift_table(sequence: ArrayLike, input_length: int, output_length: int) -> pd.DataFrame:
    """The sequence beside its shifted copies, with NaN where a copy has no value.

    For [1, 2, 3], input 2 and output 1:

        t-1    t   y1
        NaN  1.0  NaN
        1.0  2.0  1.0
        2.0  3.0  2.0
        3.0  NaN  3.0

    Returns:
        Columns `t-(input_length-1) … t`, then `y1 … y<output_length>`, the oldest inputs again.
        One row for each position at which a window touches the sequence:
        len(sequence) + input_length - 1, of which those without NaN are the windows.
    Raises:
        ValueError: As `to_supervised`.
    """
    integers = integers_of("sequence", sequence)
    if integers.ndim != 1:
        raise ValueError(f"sequence must have one axis; received shape {integers.shape}.")
    check_lengths(len(integers), input_length, output_length)
    column = pd.Series(integers, dtype="float64").reindex(range(len(integers) + input_length - 1))
    shifted = {f"t-{lag}" if lag else "t": column.shift(lag) for lag in range(input_length - 1, -1, -1)}
    lags = list(shifted)
    return pd.DataFrame({**shifted, **{f"y{k + 1}": shifted[lags[k]] for k in range(output_length)}})


@_also_named(sequence="encoded", n_in="input_length", n_out="output_length")
def to_supervised(encoded: ArrayLike, input_length: int, output_length: int) -> tuple[OneHot, OneHot]:
    """Slide a window along an encoded sequence and pair it with its echo.

    The echo is the oldest `output_length` timesteps: `[1 2 3 4 5] -> [1 2]` for lengths 5 and 2.
    It uses pandas `shift` and `dropna`, as the tutorial does.

    Args:
        encoded: One row for each number, shape (sequence_length, features).
    Returns:
        Windows (num_windows, input_length, features) and echoes (num_windows, output_length, features).
    Raises:
        ValueError: If `output_length` exceeds `input_length`, or `input_length` the sequence.
    """
    try:
        rows = np.asarray(encoded, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"encoded must hold numbers: {error}. Try one_hot_encode(sequence).") from None
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(f"encoded must have shape (sequence_length, features) and not be empty; "
                         f"received shape {rows.shape}. Try one_hot_encode(sequence).")
    if np.isnan(rows).any():
        raise ValueError("encoded must hold no NaN, because rows that miss a value are dropped; received NaN.")
    check_lengths(len(rows), input_length, output_length)
    frame = pd.DataFrame(rows)
    lagged = pd.concat([frame.shift(lag) for lag in range(input_length - 1, -1, -1)], axis=1).dropna()
    features = rows.shape[1]
    windows = lagged.to_numpy().reshape(-1, input_length, features)  # (num_windows, input_length, features)
    return windows, windows[:, :output_length]


@_also_named(n_in="input_length", n_out="output_length", n_unique="vocab_size")
def get_data(input_length: int, output_length: int, length: int = 25, vocab_size: int = 100,
             rng: np.random.Generator | int | None = None) -> tuple[OneHot, OneHot]:
    """A new random sequence, encoded and framed: the data of one epoch. See `to_supervised`."""
    encoded = one_hot_encode(generate_sequence(length, vocab_size, rng), vocab_size)
    return to_supervised(encoded, input_length, output_length)


def to_windows(sequences: ArrayLike, input_length: int) -> Ints:
    """Every complete window of each sequence: (sequences, length) -> (windows, input_length).

    The integers of `to_supervised` without its one-hot detour; a window's echo is its first columns.
    """
    integers = np.atleast_2d(integers_of("sequences", sequences))
    if integers.ndim != 2:
        raise ValueError(f"sequences must have shape (sequences, length); received shape {integers.shape}.")
    check_lengths(integers.shape[1], input_length, input_length)
    views = np.lib.stride_tricks.sliding_window_view(integers, input_length, axis=1)
    return views.reshape(-1, input_length)


class Examples(NamedTuple):
    """What a network reads and what it should answer, as integers.

    Attributes:
        inputs: (windows, input_length).
        expected: (windows, output_length).

    Gaps hold `vocab_size`, which is not in the vocabulary.
    """

    inputs: Ints
    expected: Ints

    def present(self, vocab_size: int) -> NDArray[np.bool_]:
        """True where an answer is expected, (windows, output_length)."""
        return self.expected < vocab_size


#: The function of each task from inputs to expected answers. Time is the first axis, for NumPy arrays and for
#: tensors: (input_length, windows) -> (output_length - lag, windows). Task `pairs` has its answers in its text.
TASKS: Mapping[str, Callable[[RunConfig, Any], Any]] = MappingProxyType({
    "echo": lambda c, inputs: inputs[c.echo_start:c.echo_start + c.output_length],
    "reverse": lambda c, inputs: inputs[c.echo_start:c.echo_start + c.output_length][::-1],
    "lag": lambda c, inputs: inputs[:c.input_length - c.lag],  # the first `lag` steps of the answer are gaps
})


def paddings(config: RunConfig) -> tuple[int, int]:
    """Numbers of gaps before and after a sequence, so that every row with a part of its echo is a window.

    25 numbers framed 5 -> 2 have 1 before and 4 after, and give 26 windows instead of 21.
    """
    if config.missing == "drop":
        return 0, 0
    return config.echo_start + config.output_length - 1, config.input_length - 1 - config.echo_start


def to_examples(config: RunConfig, sequences: ArrayLike) -> Examples:
    """Windows of sequences (sequences, length), in order, with the expected answers."""
    tokens = tokens_of("sequences", sequences, config, gaps=False)
    gapped = np.pad(np.atleast_2d(tokens), ((0, 0), paddings(config)), constant_values=config.vocab_size)
    inputs = to_windows(gapped, config.input_length)
    echoes = TASKS[config.task](config, inputs.T).T  # (windows, output_length - lag)
    return Examples(inputs, np.pad(echoes, ((0, 0), (config.lag, 0)), constant_values=config.vocab_size))


def text_examples(config: RunConfig) -> Examples:
    """The pairs of a text, short sides filled with gaps at their ends."""
    numbers = {word: number for number, word in enumerate(config.vocabulary)}

    def rows(sides: Iterable[texts.Tokens], length: int) -> Ints:
        return np.array([[numbers[word] for word in side] + [config.vocab_size] * (length - len(side))
                         for side in sides])

    questions, answers = zip(*texts.pairs(config.text), strict=True)
    return Examples(rows(questions, config.input_length), rows(answers, config.output_length))


def shown_sequence(config: RunConfig) -> Ints:
    """The fixed unseen sequence of a run's snapshots, or the visitor's own words; (length,)."""
    if config.text and config.task != "pairs":
        numbers = {word: number for number, word in enumerate(config.vocabulary)}
        return np.array([numbers[word] for word in texts.words(config.text)])
    return _stream(config, 1).integers(0, config.vocab_size, size=config.sequence_length)


def shown_examples(config: RunConfig) -> Examples:
    """The examples of a run's snapshots: at most 64 windows, or the pairs of a text.

    More windows would slow the training of a large network, and nobody looks at that many.
    """
    shown = text_examples(config) if config.task == "pairs" else to_examples(config, shown_sequence(config))
    return Examples(shown.inputs[:MAX_SHOWN_WINDOWS], shown.expected[:MAX_SHOWN_WINDOWS])


def unseen_sequences(config: RunConfig, windows: int = MIN_JUDGED_WINDOWS) -> Ints:
    """The sequences that a run is judged on: (sequences, sequence_length).

    Enough for at least `windows` windows, from another random stream than training. Fewer are the first of more.
    """
    count = -(-windows // config.windows_per_sequence)
    return _stream(config, 2).integers(0, config.vocab_size, size=(count, config.sequence_length))


def judged_examples(config: RunConfig, windows: int = MIN_JUDGED_WINDOWS) -> Examples:
    """The examples that a run is judged on: at least `windows` unseen windows, or the pairs that it was trained on."""
    return text_examples(config) if config.task == "pairs" else to_examples(config, unseen_sequences(config, windows))


def network_input(config: RunConfig, inputs: ArrayLike) -> OneHot:
    """Windows of integers, (windows, input_length), as `build_model(config)` takes them.

    Returns:
        One-hot (windows, input_length, vocab_size), or scaled to 0…1 (windows, input_length, 1); or all features as
        a single timestep, for a network that reads all at once. Every feature of a gap is -1, which the network masks.
    """
    inputs = tokens_of("inputs", inputs, config, gaps=True)
    if inputs.ndim != 2:
        raise ValueError(f"inputs must have shape (windows, timesteps); received shape {inputs.shape}.")
    present = inputs < config.vocab_size
    known = np.where(present, inputs, 0)
    if config.representation == "linear":
        shown = scale(known, config.vocab_size)[..., None]
    else:
        shown = one_hot_encode(known, config.vocab_size)
    shown = np.where(present[..., None], shown, np.float32(GAP))
    return shown.reshape(len(inputs), 1, -1) if config.traits.reads_all_at_once else shown


def scale(numbers: ArrayLike, vocab_size: int) -> OneHot:
    """Integers in [0, vocab_size) as numbers from 0 to 1."""
    check_count("vocab_size", vocab_size, least=2)
    return (np.asarray(numbers) / np.float32(vocab_size - 1)).astype(np.float32)


def unscale(values: ArrayLike, vocab_size: int) -> OneHot:
    """The inverse of `scale`, not yet rounded, within the vocabulary."""
    check_count("vocab_size", vocab_size, least=2)
    numbers: OneHot = np.clip(np.asarray(values) * np.float32(vocab_size - 1), 0, vocab_size - 1)
    return numbers


def _stream(config: RunConfig, number: int) -> np.random.Generator:
    """A counter-based generator of its own for each (seed, purpose). Training draws in the graph."""
    return np.random.Generator(np.random.Philox(key=[config.seed, number]))
