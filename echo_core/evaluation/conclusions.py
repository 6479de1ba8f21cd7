"""What the scores of a run come to: whether it has learnt its task, why, and what to try next."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from echo_core.config import RunConfig
from echo_core.config.compatibility import network_for, refusal
from echo_core.config.presets import PRESETS
from echo_core.config.repair import repair_settings
from echo_core.evaluation.verdicts import HIGH_RATE, Kind, after_training
from echo_core.records import Evaluation
from echo_core.text.plurals import counted

Degree = Literal["learnt", "partly", "not_at_all"]

#: From these shares of windows, or of single tokens, a task counts as learnt, or as partly learnt.
_LEARNT, _PARTLY, _PARTLY_TOKENS = 0.95, 0.05, 0.5
#: Values of a state for each bit that it learns to hold. Measured: 128 values hold 33 bits after 12,000 epochs, and
#: not 66; 64 hold 13.3, and 6 do not.
VALUES_A_BIT = 4
#: More units than this take longer to train than attention.
_MOST_UNITS = 256


class Step(NamedTuple):
    """Something to try next: words for a button, and the settings that do it."""

    label: str
    config: RunConfig


@dataclass(frozen=True)
class Conclusion:
    """What the scores of a run come to. Its words are ours: nothing that a visitor typed is in them.

    Attributes:
        headline: How many windows, or pairs, are right.
        why: In a sentence or two.
        step: What to try next, if there is something.
    """

    degree: Degree
    headline: str
    why: str
    step: Step | None


def conclude(config: RunConfig, judged: Evaluation, loss: float | None) -> Conclusion:
    """Whether a run has learnt its task, why, and what to try next.

    Args:
        loss: Of its newest epoch.
    """
    kinds = {verdict.kind for verdict in after_training(config, judged, loss)}
    degree: Degree = "not_at_all"
    if not kinds & {"diverged", "same_answer"}:
        if judged.window_accuracy >= _LEARNT:
            degree = "learnt"
        elif judged.window_accuracy >= _PARTLY or judged.token_accuracy >= _PARTLY_TOKENS:
            degree = "partly"
    right = round(judged.window_accuracy * judged.windows)
    said = {"learnt": "Learnt it", "partly": "Partly learnt", "not_at_all": "Did not learn it"}[degree]
    headline = f"{said}: {right:,} of {counted(judged.windows, 'pair' if config.task == 'pairs' else 'window')}"
    if degree == "learnt":
        return Conclusion(degree, headline, _why_learnt(config), _harder(config))
    return Conclusion(degree, headline, _why_not(config, kinds, loss), _remedy(config, kinds))


def is_too_small(config: RunConfig) -> bool:
    """Whether training finds no way to pass the bits to remember through one state, as far as our presets tell."""
    goes_through_state = config.traits.num_recurrent_layers > 0 and not config.traits.has_attention
    return goes_through_state and config.task != "pairs" and VALUES_A_BIT * config.bits > 1.5 * config.units


def _enough_units(config: RunConfig) -> int:
    return 1 << math.ceil(math.log2(VALUES_A_BIT * config.bits))


def _bits(config: RunConfig) -> str:
    return f"{config.bits:.0f} bits" if config.bits >= 20 else f"{config.bits:.1f} bits"


def _kept(config: RunConfig, loss: float | None) -> str:
    """The bits of an answer that a run keeps, by the loss of its newest epoch, to be read after "to keep"."""
    asked = config.output_length * math.log2(config.vocab_size)
    if loss is None or config.bits < asked - 0.05:  # it says some before it has read others
        return "only a part of them."
    kept = asked - loss * config.answer_steps / math.log(2)
    return f"only about {counted(round(max(0.0, kept)), 'bit')}, by its loss. Inside measures them."


def _why_learnt(config: RunConfig) -> str:
    if config.task == "pairs":
        return "It knows its pairs by heart: a question that it has not learnt gets an answer that means nothing."
    if config.bits == 0:
        return ("All numbers reach it in one step, so no memory was needed." if config.traits.reads_all_at_once else
                "Each number is said as it is read, so no memory was needed.")
    if config.traits.has_attention:
        return "It has found out where to look: nothing has to fit through one state."
    return f"Its state of {config.units} values holds the {_bits(config)} until they are asked for."


def _why_not(config: RunConfig, kinds: Collection[Kind], loss: float | None) -> str:
    same = " It gives nearly the same answer whatever it reads." if "same_answer" in kinds else ""
    if "diverged" in kinds:
        return "Training diverged: its steps were too large." + same
    if config.bits and config.traits.num_recurrent_layers == 0:
        return f"As expected: {_bits(config)} must be remembered, and this network has no memory." + same
    if config.representation == "linear":
        return "As expected: it guesses a number by its size, which comes near and is rarely exact." + same
    if is_too_small(config):
        return (f"As expected: training finds no way to keep {_bits(config)} in this state. Its {config.units} values "
                f"could hold far more in principle, but within {counted(config.epochs, 'epoch')} they have come "
                f"to keep {_kept(config, loss)}" + same)
    if "contradictory_pairs" in kinds:
        return "Some of its pairs contradict each other, so not all of them can come out right." + same
    if config.traits.has_attention:
        return "It could look back at everything, and has not found out yet where to look." + same
    fits = f"{_bits(config)} would fit through its {config.units} values" if config.bits else "It needs no memory"
    return f"{fits}: it has trained too little, or in steps of the wrong size." + same


def _remedy(config: RunConfig, kinds: Collection[Kind]) -> Step | None:
    """The change that most likely helps a run that has not learnt its task."""
    if "diverged" in kinds or config.learning_rate > HIGH_RATE:
        lower = float(f"{config.learning_rate / 10:g}")
        return _step(f"Try a learning rate of {lower:g}", config, learning_rate=lower,
                     clip_norm=config.clip_norm or 1.0)
    if config.bits and config.traits.num_recurrent_layers == 0:
        units = max(config.units, _enough_units(config))
        return _step("Give it a memory", config, variant=network_for(config.task), units=units)
    if config.representation == "linear":
        return _step("Encode numbers one-hot", config, representation="one_hot")
    if is_too_small(config):
        units = _enough_units(config)
        can_look_back = refusal({**config.model_dump(), "variant": "attention"}) is None
        if units > _MOST_UNITS and can_look_back:
            return _step("Let it look back: attention", config, variant="attention")
        return _step(f"Give it {units} units", config, units=units)
    if "contradictory_pairs" in kinds:
        return None
    return _step(f"Train for {2 * config.epochs:,} epochs", config, epochs=2 * config.epochs)


def _harder(config: RunConfig) -> Step | None:
    """A task that asks for more than one that was learnt."""
    if config.task == "pairs":
        return None
    if config.bits == 0:
        return Step("Now make it remember", PRESETS["quick"].config)
    if config.task == "lag":
        return _step(f"Hold {config.lag + 1} numbers", config, lag=config.lag + 1) \
            if 2 * (config.lag + 1) <= config.input_length else None
    if config.traits.has_attention:
        return Step("Now say ten backwards", PRESETS["reverse_10"].config) if config.output_length >= 20 else \
            Step("Now echo twenty", PRESETS["attention_20"].config)
    return Step("Now echo all five", PRESETS["partial_5"].config) if config.output_length < 5 else \
        Step("Now ask for ten", PRESETS["ten_without_attention"].config)


def _step(label: str, config: RunConfig, **changes: object) -> Step:
    return Step(label, repair_settings({**config.model_dump(), **changes})[0])
