"""The face of the inspections: `inspect(config, weights, "influence").table` is the table behind a view."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from echo_core.config import RunConfig
from echo_core.data import text_examples
from echo_core.inspection.errors import confusions, errors, sameness, symbols, worst
from echo_core.inspection.gates import FEWEST_TO_SORT, gates, keeping, units
from echo_core.inspection.influence import agreement, attention, influence
from echo_core.inspection.interventions import ablation, swap
from echo_core.inspection.probing import SEQUENCES_A_FEATURE, probe
from echo_core.inspection.remembering import bits, forgetting
from echo_core.records import Floats

_WILSON, _NORMAL = "Wilson, 95 %", "normal distribution, 95 %"


class Inspection(NamedTuple):
    """One table about a trained network.

    Attributes:
        table: The function `(config, weights, sequences, seed)` that computes it.
        sequences: How many sequences it uses by default.
        says: What it says, in one line.
        interval: The method behind `low` and `high`; None where the table has no interval.
        fewest: How many sequences it takes at least.
        reads_pairs: Whether it uses the pairs of a run that has some; else it uses random sequences also there.
    """

    table: Callable[..., pd.DataFrame]
    sequences: int
    says: str
    interval: str | None = _WILSON
    fewest: int = 1
    reads_pairs: bool = True


INSPECTIONS: Mapping[str, Inspection] = MappingProxyType({
    "influence": Inspection(influence, 100, "how far each output moves when an input is replaced", None),
    "attention": Inspection(attention, 100, "where each output looks", None),
    "agreement": Inspection(agreement, 100, "how often gradient and attention name the most influential input, "
                       "in the n sequences in which any input moves the output"),
    "probe": Inspection(probe, 12_000, "which inputs can be read from the state after each timestep",
                   fewest=SEQUENCES_A_FEATURE, reads_pairs=False),
    "swap": Inspection(swap, 500, "whether the answer follows the state of another sequence", fewest=2),
    "bits": Inspection(bits, 2000, "bits kept against bits asked for", _NORMAL),
    "forgetting": Inspection(forgetting, 2000, "accuracy by the timesteps that a number is held"),
    "errors": Inspection(errors, 2000, "accuracy by place"),
    "symbols": Inspection(symbols, 2000, "accuracy by symbol, the worst first"),
    "confusions": Inspection(confusions, 2000, "what is said instead of what is expected", None),
    "worst": Inspection(worst, 2000, "the windows with the most wrong places", None),
    "sameness": Inspection(sameness, 2000, "the most common answer and its share"),
    "ablation": Inspection(ablation, 500, "accuracy by place with one part missing"),
    "gates": Inspection(gates, 500, "how often each gate is nearly shut or open", None),
    "keeping": Inspection(keeping, 500, "how much of what was written is kept", _NORMAL, reads_pairs=False),
    "units": Inspection(units, 2000, "which input each unit carries, in the order of the heat maps", None,
                   fewest=FEWEST_TO_SORT, reads_pairs=False),
})


class Used(NamedTuple):
    """What a table rests on.

    Attributes:
        sequences: How many sequences.
        source: `random` sequences of the vocabulary, or the `pairs` of the run.
        seed: What the table depends on beside the network and `sequences`; None where nothing is random.
        chance: The accuracy of guessing; None for pairs, whose answers are not equally frequent.
    """

    sequences: int
    source: str
    seed: int | None
    chance: float | None


def used(config: RunConfig, what: str, sequences: int | None = None, seed: int | None = None) -> Used:
    """What the table of `inspect` with the same arguments rests on.

    Raises:
        ValueError: If the inspection takes more sequences than that.
    """
    inspection = INSPECTIONS[what]
    number, seed = inspection.sequences if sequences is None else sequences, config.seed if seed is None else seed
    is_pairs = config.task == "pairs" and inspection.reads_pairs
    if number < inspection.fewest:
        raise ValueError(f"sequences must be at least {inspection.fewest} for {what}; received {number}. Try "
                         f"{inspection.sequences}, its default.")
    if not is_pairs:
        return Used(number, "random", seed, 1 / config.vocab_size)
    pairs = min(number, len(text_examples(config).inputs))
    if pairs < inspection.fewest:
        raise ValueError(f"text must have at least {inspection.fewest} pairs for {what}; received {pairs}. "
                         "Try adding one.")
    return Used(pairs, "pairs", seed if what == "ablation" else None, None)  # it silences random units


def inspect(config: RunConfig, weights: Sequence[Floats], what: str, sequences: int | None = None,
            seed: int | None = None, untrained: Sequence[Floats] | None = None,
            only_units: Sequence[int] = ()) -> pd.DataFrame:
    """The table of one inspection: a row for each combination of places, counted from 1.

    Args:
        weights: In the order of `build_model(config).trainable_variables`.
        what: One of `INSPECTIONS`.
        sequences: Random unseen sequences to use; None takes the inspection's own number.
        seed: Chooses the sequences; None takes the run's own seed.
        untrained: The weights of epoch 0, for the probe's control of that name.
        only_units: Units that `ablation` silences one by one, from 1.
    Raises:
        ValueError: If there is no such inspection, it takes more sequences, the network has nothing for it to look
            at, or its weights are not finite.
    """
    if what not in INSPECTIONS:
        raise ValueError(f"what must be one of {', '.join(INSPECTIONS)}; received {what}.")
    if not all(np.isfinite(array).all() for array in weights):
        raise ValueError("weights must be finite numbers to be inspected; received NaN or infinity. Try a run that did "
                         "not diverge.")
    number = used(config, what, sequences, seed).sequences
    if what == "probe":
        return probe(config, weights, number, seed, untrained)
    if what == "ablation":
        return ablation(config, weights, number, seed, only_units)
    return INSPECTIONS[what].table(config, weights, number, seed)
