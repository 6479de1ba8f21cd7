"""Ask a trained network: from a typed question to its likeliest answers, by NumPy alone.

`ask(config, weights, "97 81 29 75 6").answer -> (97, 81)`. `parse_question` and `ask` take milliseconds, so a page can
call them.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from echo_core.config import RunConfig
from echo_core.data import TASKS, shown_examples, text_examples, unscale
from echo_core.evaluation.scores import predict
from echo_core.records import Floats, Ints
from echo_core.text import words as texts
from echo_core.text.plurals import counted, shortened

#: A number, or a word where the run has words.
Token = int | str

#: Answers that are listed for each place.
LIKELIEST = 3
#: Up to this number of classes, each place lists the probabilities of all of them.
MAX_LISTED_CLASSES = 128
#: The name of the class that `padded` predicts while it waits.
PADDING = "(padding)"
#: The sign for a gap in a question to a network that masks gaps, as in exported scripts.
GAP = "·"

_NUMBER = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_BETWEEN_NUMBERS = re.compile(r"[\s,;\[\](){}]+")


@dataclass(frozen=True)
class Choice:
    """One possible answer at one place."""

    answer: Token
    probability: float


@dataclass(frozen=True)
class Place:
    """A network's prediction at one timestep of its answer.

    Attributes:
        likeliest: Up to `LIKELIEST` answers, the likeliest first. Scaled numbers have no probabilities, and none here.
        probabilities: Of each class by its name, adding up to 1; None for scaled numbers, and for more than
            `MAX_LISTED_CLASSES` classes.
        before_rounding: A scaled number as the network gave it; None for classes.
    """

    answer: Token
    likeliest: tuple[Choice, ...]
    probabilities: Mapping[str, float] | None
    before_rounding: float | None = None


@dataclass(frozen=True)
class Reply:
    """A question as it was understood, and what the network answers.

    Attributes:
        question: Without the gaps that fill up a short one.
        expected: The right answer; None at a place where nothing is expected, and None as a whole where nobody knows
            it: for a question that is none of the pairs which the network learnt.
    """

    question: tuple[Token, ...]
    places: tuple[Place, ...]
    expected: tuple[Token | None, ...] | None

    @property
    def answer(self) -> tuple[Token, ...]:
        """The likeliest answer at each place."""
        return tuple(place.answer for place in self.places)

    @property
    def is_right(self) -> bool | None:
        """Whether the answer is right at every place that has an expected token; None if no answer is known."""
        if self.expected is None:
            return None
        return all(wanted in (None, said) for said, wanted in zip(self.answer, self.expected, strict=True))


def ask(config: RunConfig, weights: Sequence[Floats], question: str) -> Reply:
    """What a network answers to a question, its state zero before it.

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        question: Numbers, or words where the run has words. See `parse_question`.
    Raises:
        ValueError: If the network cannot read the question, or its weights are not finite.
    """
    window = parse_question(config, question)
    if not all(np.isfinite(array).all() for array in weights):
        raise ValueError("weights must be finite numbers to be asked; received NaN or infinity. Try a run that did not "
                         "diverge.")
    outputs = predict(config, weights, window[None])[0, -config.output_length:]  # (output_length, num_classes)
    names = [*_vocabulary(config), *([PADDING] if config.traits.has_padding else [])]
    filled = window[window < config.vocab_size] if config.task == "pairs" else window
    given = [names[token] if token < config.vocab_size else GAP for token in filled]
    expected = expected_answer(config, window)
    return Reply(tuple(given), tuple(_place(config, row, names) for row in outputs),
                 None if expected is None else tuple(
                     names[token] if token < config.vocab_size else None for token in expected))


def parse_question(config: RunConfig, question: str) -> Ints:
    """A question as the network reads it: integers, (input_length,), `vocab_size` at gaps.

    Between numbers, spaces, tabs, line ends, commas, semicolons and brackets serve alike: `[97, 81, 29]`. A question of
    pairs may have fewer words than `input_length`; gaps fill it up, as in training. Where a run masks gaps, `·` is one.

    Raises:
        ValueError: If the network cannot read it; it names the rule, what was received and what to try.
    """
    if len(question) > texts.MAX_CHARACTERS:
        raise ValueError(f"question must be at most {texts.MAX_CHARACTERS:,} characters; these are {len(question):,}. "
                         f"Try {_example(config)}.")
    tokens = _words(config, question) if config.text else _numbers(config, question)
    kind, size = ("word" if config.text else "number"), config.input_length
    if config.task == "pairs":
        if not 1 <= len(tokens) <= size:
            raise ValueError(f"question must be 1 to {size} words, as many as this network reads; these are "
                             f"{len(tokens)}. Try {_example(config)}.")
        tokens += [config.vocab_size] * (size - len(tokens))
    elif len(tokens) != size:
        raise ValueError(f"question must be {counted(size, kind)}, as many as this network reads; these are "
                         f"{len(tokens)}. Try {_example(config)}.")
    return np.array(tokens)


def _numbers(config: RunConfig, question: str) -> list[int]:
    tokens = []
    for word in filter(None, _BETWEEN_NUMBERS.split(question)):
        if word == GAP and config.has_gaps:
            tokens.append(config.vocab_size)
        elif not _NUMBER.fullmatch(word):
            raise ValueError(f"question must be whole numbers from 0 to {config.vocab_size - 1}; "
                             f"{shortened(word)!r} is none. Try {_example(config)}.")
        elif not 0 <= int(word) < config.vocab_size:
            raise ValueError(f"question must be numbers from 0 to {config.vocab_size - 1}; {int(word)} is none of "
                             f"these. Try {_example(config)}.")
        else:
            tokens.append(int(word))
    return tokens


def _words(config: RunConfig, question: str) -> list[int]:
    numbers = {word: number for number, word in enumerate(config.vocabulary)}
    tokens = []
    for word in texts.words(texts.normalise(question)):
        if word == GAP and config.missing == "mask" and word not in numbers:
            tokens.append(config.vocab_size)
        elif word not in numbers:
            near = difflib.get_close_matches(word, numbers, n=3, cutoff=0.5)
            advice = f"one of {', '.join(near)}" if near else _example(config)
            raise ValueError(f"question must be words that this network knows; {shortened(word)!r} is none of its "
                             f"{len(numbers)}. Try {advice}.")
        else:
            tokens.append(numbers[word])
    return tokens


def expected_answer(config: RunConfig, window: Ints) -> Ints | None:
    """The right answer to a window, (output_length,), `vocab_size` where none is expected; None if it is unknown."""
    if config.task == "pairs":
        return _known_answers(config).get(tuple(window.tolist()))
    echo = TASKS[config.task](config, window)  # (output_length - lag,)
    return np.pad(echo, (config.lag, 0), constant_values=config.vocab_size)


def _known_answers(config: RunConfig) -> dict[tuple[int, ...], Ints]:
    """The answer to each question of the pairs. Of a question with several answers, no one is the right one."""
    found: dict[tuple[int, ...], Ints] = {}
    several = set()
    for question, answer in zip(*text_examples(config), strict=True):
        key = tuple(question.tolist())
        if key in found and (found[key] != answer).any():
            several.add(key)
        found[key] = answer
    return {question: answer for question, answer in found.items() if question not in several}


def _place(config: RunConfig, output: Floats, names: Sequence[Token]) -> Place:
    if config.representation == "linear":
        number = unscale(output[:1], config.vocab_size)[0]
        return Place(names[int(number.round())], (), None, float(number))
    order = np.argsort(-output, kind="stable")[:LIKELIEST]
    likeliest = tuple(Choice(names[k], float(output[k])) for k in order)
    listed = len(output) <= MAX_LISTED_CLASSES
    return Place(likeliest[0].answer, likeliest,
                 {str(name): float(share) for name, share in zip(names, output, strict=True)} if listed else None)


def _vocabulary(config: RunConfig) -> Sequence[Token]:
    return config.vocabulary or range(config.vocab_size)


def example_question(config: RunConfig) -> str:
    """A question that the network can read: its first window without gaps, or with the fewest."""
    shown = shown_examples(config).inputs
    return spell_question(config, shown[np.argmax((shown < config.vocab_size).sum(axis=1))])


def spell_question(config: RunConfig, window: ArrayLike) -> str:
    """The inverse of `parse_question`: a window, (input_length,), as one would type it."""
    names, gap = _vocabulary(config), [] if config.task == "pairs" else [GAP]
    return " ".join(word for token in np.asarray(window).tolist()
                    for word in ([str(names[token])] if token < config.vocab_size else gap))


def _example(config: RunConfig) -> str:
    """A question that the network can read, in quotes."""
    return f'"{example_question(config)}"'
