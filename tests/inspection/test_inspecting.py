"""The face of the inspections: every table of every network, or a refusal in words."""

import numpy as np
import pytest

from echo_core.config import RunConfig
from echo_core.data import text_examples
from echo_core.inspection.inspecting import INSPECTIONS, inspect, used
from tests.helpers.samples import COMBINATIONS, MORE, each, small
from tests.helpers.weights import random_weights

#: What scripts rely on: the columns of each inspection, in order.
COLUMNS = {
    "influence": ("output", "input", "influence", "top_share"), "attention": ("output", "input", "weight", "top_share"),
    "probe": ("state", "probe", "control", "timestep", "position", "accuracy", "low", "high"),
    "swap": ("timestep", "output", "follows_donor", "low", "high"), "bits": ("output", "asked", "kept", "low", "high"),
    "errors": ("output", "accuracy", "low", "high"), "ablation": ("part", "output", "accuracy", "low", "high"),
    "gates": ("layer", "gate", "timestep", "shut_share", "open_share")}


def refused(config: RunConfig, what: str) -> bool:
    """Whether a network has nothing for an inspection to look at."""
    recurrent, traits = config.traits.num_recurrent_layers > 0, config.traits
    return {"attention": not traits.has_attention, "probe": not recurrent, "swap": not recurrent,
            "units": not recurrent, "gates": not recurrent or config.cell == "simple_rnn",
            "keeping": not recurrent or config.cell == "simple_rnn", "bits": config.representation == "linear",
            "forgetting": config.task == "pairs"}.get(what, False)


def few(what: str, number: int = 9) -> int:
    """A small number of sequences that an inspection takes."""
    return max(number, INSPECTIONS[what].fewest)


@each(COMBINATIONS | MORE)
def test_every_study_of_every_kind_of_run_gives_a_table_or_says_why_not(config: RunConfig):
    weights = random_weights(config)
    for what in INSPECTIONS:
        if refused(config, what):
            with pytest.raises(ValueError, match=r"^(variant|cell|representation|task) must "):
                inspect(config, weights, what, few(what))
            continue
        table = inspect(config, weights, what, few(what))
        assert set(COLUMNS.get(what, ())) <= set(table.columns), what
        is_pairs = config.task == "pairs" and what not in ("probe", "keeping", "units")
        rests_on = used(config, what, few(what))
        assert rests_on[1:] == (("pairs", config.seed if what == "ablation" else None, None) if is_pairs else
                                ("random", config.seed, 1 / config.vocab_size))
        if "n" in table and what not in ("agreement", "swap", "symbols"):  # they count some of them in each row
            assert table.n.max() == rests_on.sequences, what
        numbers = table.select_dtypes("number")
        # No interval follows from one sequence.
        assert np.isfinite(numbers[numbers.n > 1] if "n" in numbers else numbers).all(axis=None), what
        assert len(table) or what == "confusions"
        if {"low", "high"} <= set(table.columns) and (table.n > 1).all():
            assert (table.low <= table.high).all()


def test_a_table_has_no_interval_exactly_where_no_method_is_named():
    config = small(variant="attention")
    for what, inspection in INSPECTIONS.items():
        table = inspect(config, random_weights(config), what, few(what))
        assert ({"low", "high"} <= set(table.columns)) == (inspection.interval is not None), what


def test_the_same_seed_gives_the_same_table_and_another_one_another():
    config = small(variant="attention")
    weights = random_weights(config)
    for what in INSPECTIONS:
        one, again, other = (inspect(config, weights, what, few(what, 40), seed) for seed in (1, 1, 2))
        assert one.equals(again), what
        assert not one.equals(other), what


def test_a_table_about_pairs_rests_on_all_of_them_and_on_the_seed_that_is_named():
    config = small(task="pairs", variant="attention")
    weights, pairs = random_weights(config), len(text_examples(config).inputs)
    for what, inspection in INSPECTIONS.items():
        if refused(config, what):
            continue
        one, other = (inspect(config, weights, what, few(what, 40), seed) for seed in (1, 2))
        rests_on = used(config, what, few(what, 40), seed=1)
        assert rests_on.sequences == (pairs if inspection.reads_pairs else few(what, 40)), what
        assert one.equals(other) == (rests_on.seed is None), what


def test_fewer_sequences_than_a_study_takes_are_refused():
    config = small(variant="attention")
    weights = random_weights(config)
    assert {what: inspection.fewest for what, inspection in INSPECTIONS.items() if inspection.fewest > 1} == {
        "probe": 16, "swap": 2, "units": 200}
    for what, inspection in INSPECTIONS.items():
        with pytest.raises(ValueError, match=rf"^sequences must be at least {inspection.fewest} for {what}; received "
                                             rf"{inspection.fewest - 1}\. Try {inspection.sequences}, its default\.$"):
            inspect(config, weights, what, inspection.fewest - 1)
        assert len(inspect(config, weights, what, inspection.fewest)) or what == "confusions"


def test_a_single_pair_has_no_state_of_another_one_to_swap():
    two = small(task="pairs", variant="attention", text="ask => answer\nanswer => ask").model_dump()
    config = RunConfig(**{**two, "text": "ask => answer", "batch_size": 1})
    with pytest.raises(ValueError, match=r"^text must have at least 2 pairs for swap; received 1\. Try adding one\.$"):
        inspect(config, random_weights(config), "swap")
    assert len(inspect(config, random_weights(config), "errors"))


def test_a_study_that_does_not_exist_and_weights_that_are_not_finite_are_refused():
    config = small()
    weights = random_weights(config)
    with pytest.raises(ValueError, match=r"^what must be one of influence, attention, .*, units; received feelings\.$"):
        inspect(config, weights, "feelings")
    weights[0][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^weights must be finite numbers to be inspected; received NaN or i"):
        inspect(config, weights, "errors")
