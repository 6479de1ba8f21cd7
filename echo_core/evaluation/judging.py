"""Judge a trained network on windows of other lengths than it was trained on, with the interval of each share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from echo_core.config import RunConfig, written
from echo_core.config.repair import with_settings
from echo_core.data import MIN_JUDGED_WINDOWS, unseen_sequences
from echo_core.evaluation.scores import evaluate
from echo_core.records import Evaluation, Floats

#: What may differ from training, as no weight depends on it. `seed` chooses other unseen windows.
FREE = ("input_length", "output_length", "echo_start", "sequence_length", "seed")

#: The quantile of the normal distribution for a 95 % interval.
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Judged:
    """A network's score on windows that it has not seen.

    Attributes:
        config: With the lengths that were judged; its `run_id` is not the run's.
        independent: Windows among the judged ones that share no number. They are what the intervals count as trials:
            one number that is not learnt makes up to `input_length` overlapping windows wrong.
        window_interval: 95 % interval of the share of windows that are right at every timestep.
        token_interval: 95 % interval of the share of single tokens; those of a window depend on each other, too.
    """

    config: RunConfig
    evaluation: Evaluation
    independent: int
    window_interval: tuple[float, float]
    token_interval: tuple[float, float]


def judge_run(config: RunConfig, weights: Sequence[Floats], settings: Mapping[str, object],
              windows: int = MIN_JUDGED_WINDOWS) -> Judged:
    """Judge a network on unseen windows of the lengths in `settings`, by default those of its training.

    No two windows overlap, unless `settings` has a `sequence_length` or the run masks gaps, which stand at the
    ends of longer sequences. With its own `sequence_length`, a run is judged on the windows of its own score.

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        settings: Some of `FREE`, as text or as numbers.
        windows: How many at least.
    Raises:
        ValueError: If the network cannot read such windows, or its weights are not finite.
        pydantic.ValidationError: If such lengths cannot be.
    """
    judged = with_lengths(config, settings)
    evaluation = evaluate(judged, weights, windows)
    independent = len(unseen_sequences(judged, windows)) * max(1, judged.sequence_length // judged.input_length)
    return Judged(judged, evaluation, independent, wilson_interval(evaluation.window_accuracy, independent),
                  wilson_interval(evaluation.token_accuracy, independent))


def with_lengths(config: RunConfig, settings: Mapping[str, object]) -> RunConfig:
    """The config of the windows that a network is judged on, with as many weights as `config`.

    Raises:
        ValueError: If the weights of the network do not serve them.
        pydantic.ValidationError: If such lengths cannot be.
    """
    if config.task == "pairs":
        raise ValueError("task must not be pairs to be judged on unseen windows, because its network has learnt its "
                         "questions by heart and there are no others; received pairs. Try `ask`.")
    for name, value in settings.items():
        _check_free(config, name, value)
    changed = dict(settings)
    if config.answers_every_step and not {"input_length", "output_length"} <= changed.keys():
        changed |= {name: value for value in (changed.get("input_length", changed.get("output_length")),)
                    if value is not None for name in ("input_length", "output_length")}
    # Batches and the visitor's text are training's: any words of the vocabulary make an unseen window.
    begin = config.model_copy(update={
        "text": "", "stateful": False, "sequences_per_epoch": 1, "batch_size": 1})
    length = str(changed.get("input_length", config.input_length)).strip()
    if "sequence_length" not in changed and length.isdecimal():
        changed["sequence_length"] = max(int(length), config.sequence_length if config.missing == "mask" else 1)
    return with_settings(begin, changed)


def _check_free(config: RunConfig, name: str, value: object) -> None:
    if name not in FREE:
        because = "because it is part of what was trained" if name in RunConfig.model_fields else "as it is no setting"
        raise ValueError(f"{name} cannot be set to judge a run, {because}; received {value}. Try one of "
                         f"{', '.join(FREE)}.")
    because = why_fixed(config, name)
    if because and str(value).strip() != written(getattr(config, name)):
        raise ValueError(f"{name} must stay {getattr(config, name)} for variant {config.variant}, because {because}; "
                         f"received {value}. Try a run of variant=encoder_decoder.")


def why_fixed(config: RunConfig, name: str) -> str:
    """Why a length must stay as it was in training, to be read after "because"; empty where it need not."""
    if name == "input_length" and config.traits.reads_all_at_once:
        return "it reads all numbers in one step, with weights of their own for each"
    if name == "output_length" and config.traits.one_vector_for_all:
        return "its readout gives all numbers at once, with weights of their own for each"
    return ""


def wilson_interval(share: float, number: int, quantile: float = Z95) -> tuple[float, float]:
    """The interval of a share that was seen in `number` trials: that of 95 %, unless another quantile is given.

    `wilson_interval(1.0, 2000) -> (0.998…, 1.0)`. Source: E. B. Wilson (1927), Probable inference, the law of
    succession, and statistical inference, JASA 22, 209–212.
    """
    spread = quantile**2 / number
    centre = (share + spread / 2) / (1 + spread)
    half = quantile / (1 + spread) * math.sqrt(share * (1 - share) / number + spread / (4 * number))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # rounding would leave out 0 and 1
