"""What the inspections find in the presets, trained. Slow: each network is trained once."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pandas as pd
import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.inspection.inspecting import inspect
from echo_core.models import first_weights
from echo_core.records import Floats
from tests.helpers.trained import last, with_

pytestmark = pytest.mark.slow

#: Seeds of training and of the sequences; nothing below depends on them.
SEED, SEQUENCES_SEED = 5, 4711


@cache
def trained(preset: str) -> tuple[RunConfig, Sequence[Floats]]:
    config = with_(PRESETS[preset].config, seed=SEED)
    return config, last(config).checkpoint.weights


def table(preset: str, what: str, **options) -> pd.DataFrame:
    return inspect(*trained(preset), what, seed=SEQUENCES_SEED, **options)


def top_shares(found: pd.DataFrame, pairs: Iterator[tuple[int, int]]) -> np.ndarray:
    """The share of sequences in which each of some (output, input) is the row's maximum."""
    return found.set_index(["output", "input"]).top_share[list(pairs)].to_numpy()


@pytest.mark.parametrize("preset", ["quick", "partial"])
def test_an_output_depends_on_the_number_that_it_repeats(preset: str):
    assert top_shares(table(preset, "influence"), zip((1, 2), (1, 2), strict=True)).min() >= 0.95


@pytest.mark.parametrize("preset", ["quick", "partial"])
def test_the_answer_follows_a_state_swapped_after_the_last_number(preset: str):
    found = table(preset, "swap")
    assert found[found.timestep == 5].follows_donor.min() >= 0.95


def test_without_memory_only_the_number_of_the_same_timestep_has_influence():
    found = table("no_memory", "influence")
    same = found.output + 3 == found.input
    assert (found.influence[same] > 0).all()
    assert (found.influence[~same] == 0).all()


@pytest.mark.parametrize(("preset", "outputs", "inputs"), [
    ("attention_20", range(1, 21), range(1, 21)), ("reverse_10", range(1, 11), range(10, 0, -1))])
@pytest.mark.parametrize("what", ["attention", "influence"])
def test_attention_looks_at_the_number_that_is_asked_for(preset: str, outputs: range, inputs: range, what: str):
    assert top_shares(table(preset, what), zip(outputs, inputs, strict=True)).min() >= 0.95


@pytest.mark.parametrize(("preset", "least"), [("quick", 0.99), ("partial", 0.98)])
def test_bits_kept_equal_bits_asked_for_and_never_exceed_them(preset: str, least: float):
    found = table(preset, "bits")
    assert (found.kept >= least * found.asked).all()
    assert (found.high <= found.asked).all()
    config, _ = trained(preset)
    untrained = inspect(config, first_weights(config), "bits", seed=SEQUENCES_SEED)
    assert (untrained.low == 0).all()
    assert (untrained.kept < 0.01).all()


@pytest.mark.parametrize(("preset", "first", "second"), [("quick", 0.95, 0.95), ("partial", 0.95, 0.85)])
def test_the_state_holds_what_will_be_asked_and_training_has_turned_it_round(preset: str, first: float, second: float):
    config, _ = trained(preset)
    found = table(preset, "probe", untrained=first_weights(config))
    found = found[(found.state == "hc") & (found.probe == "linear") & (found.timestep == 5)]
    by_position = {control: rows.set_index("position").accuracy for control, rows in found.groupby("control")}
    assert by_position["none"][1] >= first
    assert by_position["none"][2] >= second
    assert by_position["none"][5] <= 0.1
    assert by_position["untrained"][5] >= 0.9
    assert by_position["untrained"][5] - by_position["untrained"][1] > 0.3
    shuffled = found[found.control == "shuffled"]
    assert (shuffled.accuracy - 1 / config.vocab_size).abs().max() < 4 * np.sqrt(0.01 * 0.99 / 12_000)
