"""Accuracy against length: a trained network on shorter and longer windows and answers than it was trained on."""

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from echo_core.config import RunConfig
from echo_core.config.sizes import flops_per_window
from echo_core.data import MIN_JUDGED_WINDOWS
from echo_core.evaluation.judging import judge_run, why_fixed, with_lengths
from echo_core.evaluation.scores import numbers_per_window
from echo_core.records import Floats
from echo_core.text.plurals import shortened

#: What may have another length -> the fields that it sets.
WAYS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "both": ("input_length", "output_length"), "input": ("input_length",), "output": ("output_length",)})
#: The lengths of a ladder, as multiples of the trained one.
_MULTIPLES = (0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4)
#: Operations that a length may take, which is at most about a second on one core; those that computing a gate or a
#: probability counts as; and the fewest windows, whatever they take.
_OPERATIONS, _FUNCTION, _FEWEST = 5e10, 150, 50


def ways(config: RunConfig) -> tuple[str, ...]:
    """Which of `WAYS` a network can be judged in, the most natural one first.

    Left out is an answer of another length where nothing tells the network that it is one: backwards it would begin
    at another number, and while it still reads in another timestep.

    Raises:
        ValueError: If there is none.
    """
    is_whole, is_backwards = config.output_length == config.input_length, config.task == "reverse"
    has_any_output = not why_fixed(config, "output_length")
    found = []
    if not (config.task == "pairs" or why_fixed(config, "input_length")):
        found += ["both"] if is_whole and has_any_output else []
        found += ["input"] if not config.answers_every_step and not (is_whole and is_backwards) else []
        if config.task == "echo" and has_any_output and not config.traits.answers_while_reading:
            found.append("output")
    if not found:
        name, other = ("task", "echo") if config.task == "pairs" else ("variant", "encoder_decoder")
        raise ValueError(f"{name} must be another one to be judged on other lengths, because {why_none(config)}; "
                         f"received {getattr(config, name)}. Try a run of {name}={other}.")
    return tuple(found)


def way_of(config: RunConfig, vary: str | None, settings: Mapping[str, object]) -> str:
    """The way that is asked for, by default the first of a network.

    Raises:
        ValueError: If the network has no such way, or a setting names a length that varies.
    """
    known = ways(config)
    way = known[0] if vary is None else vary
    if way not in known:
        raise ValueError(f"vary must be one of {', '.join(known)} for this run's network and task; received {way}. "
                         f"Try --vary {known[0]}.")
    for name in WAYS[way]:
        if name in settings:
            other = next((other for other in known if name not in WAYS[other]), None)
            raise ValueError(f"{name} must not be set where it has each of the lengths (vary={way}); received "
                             f"{settings[name]}. Try leaving it out{f', or --vary {other}' if other else ''}.")
    return way


def why_none(config: RunConfig) -> str:
    """Why a network that has no `ways` has none, to be read after "because"."""
    if config.task == "pairs":
        return "it has learnt its questions by heart and there are no others"
    return why_fixed(config, "input_length") or why_fixed(config, "output_length")


def parse_lengths(text: str) -> list[int]:
    """Lengths as people write them, in order: `"8,2-4" -> [2, 3, 4, 8]`.

    Raises:
        ValueError: If these are no lengths.
    """
    lengths: set[int] = set()
    for part in text.split(","):
        ends = re.fullmatch(r"\s*([0-9]{1,5})\s*(?:-\s*([0-9]{1,5})\s*)?", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (0, 0)
        if not 1 <= first <= last:
            raise ValueError("lengths must be whole numbers from 1 such as 2,5,8, or a range such as 2-20; received "
                             f"{shortened(text)}. Try --lengths 2-20.")
        lengths.update(range(first, last + 1))
    return sorted(lengths)


def ladder(config: RunConfig, vary: str, longest: int) -> list[int]:
    """Lengths to judge a network on, from a fifth of the trained one to four times as much, in order.

    Those next to the trained one are among them: `ladder(RunConfig(), "both", 100) -> [1, 2, …, 9, 10, 12, 15, 20]`.

    Args:
        vary: One of `ways(config)`.
        longest: The longest window that the host allows; the trained length is always among the lengths.
    """
    trained = getattr(config, WAYS[vary][0])
    most = config.input_length - config.echo_start if vary == "output" else max(trained, longest)
    wanted = [trained - 1, trained + 1, *(round(multiple * trained) for multiple in _MULTIPLES)]
    return sorted({min(most, max(_least(config, vary), length)) for length in wanted})


def _least(config: RunConfig, vary: str) -> int:
    """The shortest length at which a network has something to answer."""
    return {"both": config.lag + 1, "input": config.echo_start + config.output_length, "output": 1}[vary]


def multiple_of_length(config: RunConfig, multiple: float) -> tuple[str, int] | None:
    """A way to judge a network on windows so many times as long as its own, and their length; None if it has none.

    The length is rounded up, and at least the shortest at which there is something to answer.
    """
    try:
        way = ways(config)[0]
    except ValueError:
        return None
    if way == "output":
        return None
    return way, max(_least(config, way), math.ceil(multiple * config.input_length))


def length_config(config: RunConfig, vary: str, length: int, settings: Mapping[str, object]) -> RunConfig:
    """The config of the windows of a length. Raises as `judging.with_lengths`."""
    return with_lengths(config, {**settings, **dict.fromkeys(WAYS[vary], length)})


def judge_length(config: RunConfig, weights: Sequence[Floats], vary: str, length: int,
                 settings: Mapping[str, object] = MappingProxyType({}), is_thorough: bool = False) -> dict[str, Any]:
    """A row of the table of accuracy against length.

    Args:
        vary: What has that length, one of `WAYS`.
        settings: Some of `judging.FREE` besides.
        is_thorough: Judge at least 2,000 windows, however long that takes; else as many as take about a second.
    Returns:
        input_length, output_length, trained (whether these are the lengths of the training), window_accuracy with its
        Wilson interval window_low and window_high, the same of single tokens, windows, and independent: the windows
        among them that share no number, which the intervals count.
    Raises:
        ValueError, pydantic.ValidationError: As `judge_run`.
    """
    at = length_config(config, vary, length, settings)
    windows = MIN_JUDGED_WINDOWS if is_thorough else affordable_windows(at)
    judged = judge_run(config, weights, {**settings, **dict.fromkeys(WAYS[vary], length)}, windows)
    places = ("input_length", "output_length", "echo_start")
    return {
        "input_length": at.input_length, "output_length": at.output_length,
        "trained": all(getattr(at, name) == getattr(config, name) for name in places),
        "window_accuracy": judged.evaluation.window_accuracy,
        "window_low": judged.window_interval[0], "window_high": judged.window_interval[1],
        "token_accuracy": judged.evaluation.token_accuracy,
        "token_low": judged.token_interval[0], "token_high": judged.token_interval[1],
        "windows": judged.evaluation.windows, "independent": judged.independent}


def affordable_windows(config: RunConfig) -> int:
    """Windows that are judged in at most about a second: 2,000, or fewer of a network that is large or reads long."""
    cost = flops_per_window(config) + _FUNCTION * numbers_per_window(config)
    return min(MIN_JUDGED_WINDOWS, max(_FEWEST, int(_OPERATIONS / cost)))
