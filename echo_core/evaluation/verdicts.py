"""Messages about what went wrong with a run and what to try, shared by the command line and the pages.

Each verdict is text that may repeat what a visitor typed, so pages show it as plain text.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from echo_core.config import RunConfig
from echo_core.records import Evaluation, State
from echo_core.text.plurals import shortened
from echo_core.text.words import Tokens, pairs

Kind = Literal["diverged", "failed", "same_answer", "contradictory_pairs"]

#: The beginning of every reason of a run that diverged: the store keeps only the sentence.
_DIVERGED = "Training diverged"
#: Share of tokens equal to the most common answer from which a network "gives nearly the same answer to everything".
NEARLY_SAME = 0.9
#: Learning rates above this are often too high for Adam, whatever the network.
HIGH_RATE = 0.03
#: Contradictions that are named one by one, and characters of a question or an answer that are shown.
_MAX_NAMED, _MAX_CHARACTERS = 5, 60


@dataclass(frozen=True)
class Verdict:
    """One thing that is wrong with a run.

    Attributes:
        kind: A name for scripts.
        finding: What is wrong, in a sentence or two.
        advice: What to try.
    """

    kind: Kind
    finding: str
    advice: str

    def __str__(self) -> str:
        return f"{self.finding} {self.advice}".rstrip()

    def to_dict(self) -> dict[str, str]:
        """As a note of a run in JSON."""
        return {"kind": self.kind, "text": str(self)}


@dataclass(frozen=True)
class Contradiction:
    """One question of a text that has several answers."""

    question: Tokens
    answers: tuple[Tokens, ...]

    def __str__(self) -> str:
        answers = [_quoted(answer) for answer in self.answers]
        count = "two" if len(answers) == 2 else len(answers)
        return f"{_quoted(self.question)} has {count} answers, {', '.join(answers[:-1])} and {answers[-1]}"


def before_training(config: RunConfig) -> list[Verdict]:
    """What is wrong with the settings of a run, although they can be trained."""
    answers = _answers(config)
    found = [Contradiction(question, tuple(counts)) for question, counts in answers.items() if len(counts) > 1]
    if not found:
        return []
    # A network gives each question one answer: at best the most common one.
    best = sum(max(counts.values()) for counts in answers.values()) / sum(map(Counter.total, answers.values()))
    named = "; ".join(map(str, found[:_MAX_NAMED]))
    more = f"; and so on, {len(found)} questions in all" if len(found) > _MAX_NAMED else ""
    return [Verdict("contradictory_pairs", (
        f"The pairs contradict each other: {named}{more}. No network can learn both, so at most "
        f"{percent(best)} of these pairs can come out right."),
        "Try one answer for each question.")]


def after_training(config: RunConfig, evaluation: Evaluation | None, loss: float | None,
                   state: State = State.FINISHED, reason: str | None = None) -> list[Verdict]:
    """What is wrong with a run that has ended.

    Args:
        loss: Of its newest epoch.
        reason: Why it failed.
    """
    if state is State.FAILED:
        kind: Kind = "diverged" if (reason or "").startswith(_DIVERGED) else "failed"
        return [Verdict(kind, reason, "")] if reason else []
    if state is not State.FINISHED and evaluation is None:
        return before_training(config)
    return [*_diverged(config, evaluation, loss), *_same_answer(config, evaluation), *before_training(config)]


def not_finite(config: RunConfig, epoch: int) -> Verdict:
    """Training met a loss, or weights, that are not finite numbers."""
    return Verdict("diverged", f"{_DIVERGED} in epoch {epoch}: the loss is no longer a finite number.",
                   _smaller_steps(config))


def _answers(config: RunConfig) -> dict[Tokens, Counter[Tokens]]:
    """How often each question has each answer."""
    found: dict[Tokens, Counter[Tokens]] = {}
    for question, answer in pairs(config.text) if config.task == "pairs" else ():
        found.setdefault(question, Counter())[answer] += 1
    return found


def _diverged(config: RunConfig, judged: Evaluation | None, loss: float | None) -> list[Verdict]:
    # A network that gets most tokens right may still pay much for the others: it has learnt.
    has_learnt = judged is not None and judged.token_accuracy >= 0.5
    if loss is None or not loss > _highest_loss(config) or has_learnt:
        return []
    return [Verdict("diverged", f"{_DIVERGED}: its loss ended at {loss:,.4g}, where pure guessing has "
                                f"{config.chance_loss:,.3g}.", _smaller_steps(config))]


def _highest_loss(config: RunConfig) -> float:
    """An upper bound for an epoch's loss unless training diverges.

    Learning rates up to 0.03 stayed below it in all variants, from the first epoch on; rates of 0.3 and 1 often end
    above it.
    """
    if config.representation == "linear":
        return 1.0  # each number is between 0 and 1, so no answer in their range is that wrong
    untrained = config.chance_loss * config.answer_steps / config.output_length
    return max(1.2 * untrained, untrained + 0.5)


def _same_answer(config: RunConfig, judged: Evaluation | None) -> list[Verdict]:
    if judged is None or judged.sameness is None or judged.same_accuracy is None or judged.windows < 2:
        return []
    is_pairs = config.task == "pairs"
    each, all_of_them = ("question", "pairs") if is_pairs else ("window", "windows")
    advice = _towards_learning(config)
    beyond, missing = judged.window_accuracy - judged.same_accuracy, 1 - judged.same_accuracy
    if judged.sameness >= NEARLY_SAME and beyond <= missing / 2:
        nearly = "" if judged.sameness == 1 else "nearly "
        return [Verdict("same_answer", f"The network gives {nearly}the same answer for every {each}, which alone "
                                       f"scores {percent(judged.same_accuracy)} of {all_of_them}.", advice)]
    if is_pairs and (common := _most_common_answer(config)) and judged.window_accuracy <= common[1]:
        return [Verdict("same_answer", f"The same answer for every question, {_quoted(common[0])}, alone scores "
                                       f"{percent(common[1])} of pairs, and this network does no better: it has not "
                                       "learnt to tell the questions apart.", advice)]
    return []


def _most_common_answer(config: RunConfig) -> tuple[Tokens, float] | None:
    """The most common answer of a run's pairs, and the share that has it; None where no two have the same."""
    counts = sum(_answers(config).values(), Counter[Tokens]())
    answer, count = counts.most_common(1)[0]
    return (answer, count / counts.total()) if count > 1 else None


def _smaller_steps(config: RunConfig) -> str:
    lower = f"a lower learning_rate, such as learning_rate={config.learning_rate / 10:g}"
    clipped = "" if 0 < config.clip_norm <= 1 else "clip_norm=1 or "
    return f"Try {clipped}{lower}; received learning_rate={config.learning_rate:g}, clip_norm={config.clip_norm:g}."


def _towards_learning(config: RunConfig) -> str:
    if config.learning_rate > HIGH_RATE:
        return f"Try a lower learning_rate, such as learning_rate={config.learning_rate / 10:g}."
    return "Try more epochs, more units or another learning_rate."


def percent(share: float) -> str:
    """A share in percent with one digit, rounded down: 100 % means every one."""
    return f"{math.floor(share * 1000) / 10:.1f} %"


def _quoted(tokens: Tokens) -> str:
    return f'"{shortened(" ".join(tokens), _MAX_CHARACTERS)}"'
