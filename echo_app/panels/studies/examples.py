"""What the form begins with: example questions, the settings that can be varied, and values for each of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from echo_core.config import RunConfig, divisors, written
from echo_core.config.compatibility import AXES, offered
from echo_core.config.presets import PRESETS
from echo_core.config.repair import following, with_settings
from echo_core.studies.measures import Measure
from echo_core.studies.study import Axis, Study


class Example(NamedTuple):
    """A question that one press puts into the form."""

    words: str
    study: Study
    measure: Measure


_QUICK = PRESETS["quick"].config
#: Eight numbers of twenty: small enough for thirty runs in a minute or two.
_EIGHT = with_settings(_QUICK, {"input_length": 8, "sequence_length": 15, "batch_size": 64, "vocab_size": 20,
                                "units": 48})
EXAMPLES: Mapping[str, Example] = MappingProxyType({
    "units": Example("How many units does quick echo need?",
                      Study(_QUICK, (Axis("units", (8, 16, 32, 64)),)), Measure.WINDOWS),
    "cells": Example("Does a GRU learn it sooner than an LSTM?",
                      Study(_QUICK, (Axis("cell", ("lstm", "gru", "simple_rnn")),), tune=True), Measure.EPOCHS),
    "attention": Example("How much longer can it echo with attention?",
                          Study(_EIGHT, (Axis("output_length", (2, 5, 8)),
                                         Axis("variant", ("encoder_decoder", "attention")))), Measure.WINDOWS),
})
#: The question of an empty form.
FIRST = "units"

#: Settings that can be varied, those that people ask about most first, with values to begin with.
VALUES: Mapping[str, str] = MappingProxyType({
    "units": "8, 16, 32, 64", "output_length": "1-5", "input_length": "5, 10, 20", "cell": "", "variant": "",
    "learning_rate": "0.001, 0.003, 0.01, 0.03", "epochs": "100, 200, 400, 800", "sequences_per_epoch": "1, 2, 4, 8",
    "batch_size": "", "vocab_size": "10, 30, 100, 300", "sequence_length": "15, 25, 50", "echo_start": "0-3",
    "lag": "1-4", "schedule": "", "clip_norm": "0, 1", "representation": "", "missing": "", "stateful": "", "task": "",
})
#: Values of the choices that are no axis of what can be combined.
_MORE_CHOICES: Mapping[str, tuple[str | bool, ...]] = MappingProxyType({"schedule": ("constant", "cosine")})


def fields(base: RunConfig) -> list[str]:
    """The settings that can be varied with these others, in the order of the form."""
    follows = following(base.model_dump())
    hidden = {"lag"} if base.task != "lag" else {"output_length", "echo_start"}
    if base.traits.answers_every_step:
        hidden |= {"echo_start"}
    if base.sequences_per_epoch > 1:
        hidden |= {"stateful"}
    if base.task == "pairs":
        hidden |= {"sequences_per_epoch", "sequence_length", "stateful", "echo_start", "output_length", "input_length"}
    return [field for field in VALUES if field not in follows | hidden
            and (not is_choice(field) or len(choices(base, field)) > 1)]


def is_choice(field: str) -> bool:
    """Whether values are picked, not typed."""
    return field in AXES or field in _MORE_CHOICES


def choices(base: RunConfig, field: str) -> tuple[str | bool, ...]:
    """The values of a choice that can be combined with the other settings."""
    if field in _MORE_CHOICES:
        return _MORE_CHOICES[field]
    found = offered(field, {name: getattr(base, name) for name in AXES if name != field})
    if field == "task":  # the others have settings of their own
        return tuple(value for value in found if {value, base.task} <= {"echo", "reverse"})
    return found


def first_values(base: RunConfig, field: str) -> str:
    """Values to begin with, as they are typed."""
    if field == "batch_size":
        sizes = divisors(base.num_windows)
        return ", ".join(map(str, sorted({sizes[place * (len(sizes) - 1) // 3] for place in range(4)})))
    if field == "output_length" and base.input_length != 5:
        return ", ".join(map(str, sorted({max(1, base.input_length * part // 4) for part in range(1, 5)})))
    return VALUES[field]


def first_choices(base: RunConfig, field: str) -> list[str | bool]:
    """Choices to begin with: two or three of them."""
    found = choices(base, field)
    own = getattr(base, field)
    return [value for value in found if value == own or value in found[:3]][:3] if len(found) > 3 else list(found)


def as_typed(values: tuple[Any, ...]) -> str:
    """`(8, 16) -> "8, 16"`."""
    return ", ".join(map(written, values))
