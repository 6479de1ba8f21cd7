"""The face of the studies: every table of every network, or a refusal in words."""

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.studies.inspecting import STUDIES, inspect
from tests.helpers.samples import COMBINATIONS, MORE, each, small
from tests.helpers.weights import random_weights

#: What scripts rely on: the columns of each study, in order.
COLUMNS = {
    "influence": ("output", "input", "influence", "top_share"), "attention": ("output", "input", "weight", "top_share"),
    "probe": ("state", "probe", "control", "timestep", "position", "accuracy", "low", "high"),
    "swap": ("timestep", "output", "follows_donor", "low", "high"), "bits": ("output", "asked", "kept", "low", "high"),
    "errors": ("output", "accuracy", "low", "high"), "ablation": ("part", "output", "accuracy", "low", "high"),
    "gates": ("layer", "gate", "timestep", "shut_share", "open_share")}


def refused(config: RunConfig, what: str) -> bool:
    """Whether a network has nothing for a study to look at."""
    recurrent, traits = config.traits.num_recurrent_layers > 0, config.traits
    return {"attention": not traits.has_attention, "probe": not recurrent, "swap": not recurrent,
            "units": not recurrent, "gates": not recurrent or config.cell == "simple_rnn",
            "keeping": not recurrent or config.cell == "simple_rnn", "bits": config.representation == "linear",
            "forgetting": config.task == "pairs"}.get(what, False)


@each(COMBINATIONS | MORE)
def test_every_study_of_every_kind_of_run_gives_a_table_or_says_why_not(config: RunConfig):
    weights = random_weights(config)
    for what in STUDIES:
        if refused(config, what):
            with pytest.raises(ValueError, match=r"^(variant|cell|representation|task) must "):
                inspect(config, weights, what, sequences=9)
            continue
        table = inspect(config, weights, what, sequences=9)
        assert set(COLUMNS.get(what, ())) <= set(table.columns), what
        numbers = table.select_dtypes("number")
        # No interval follows from one sequence.
        assert np.isfinite(numbers[numbers.n > 1] if "n" in numbers else numbers).all(axis=None), what
        assert len(table) or what == "confusions"
        if {"low", "high"} <= set(table.columns) and (table.n > 1).all():
            assert (table.low <= table.high).all()


def test_a_table_has_no_interval_exactly_where_no_method_is_named():
    config = small(variant="attention")
    for what, study in STUDIES.items():
        table = inspect(config, random_weights(config), what, sequences=9)
        assert ({"low", "high"} <= set(table.columns)) == (study.interval is not None), what


def test_the_same_seed_gives_the_same_table_and_another_one_another():
    config = small(variant="attention")
    weights = random_weights(config)
    for what in STUDIES:
        one, again, other = (inspect(config, weights, what, sequences=40, seed=seed) for seed in (1, 1, 2))
        assert one.equals(again), what
        assert not one.equals(other), what


def test_a_study_that_does_not_exist_and_weights_that_are_not_finite_are_refused():
    config = small()
    weights = random_weights(config)
    with pytest.raises(ValueError, match=r"^what must be one of influence, attention, .*, units; received feelings\.$"):
        inspect(config, weights, "feelings")
    weights[0][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^weights must be finite numbers to be inspected; received NaN or i"):
        inspect(config, weights, "errors")
