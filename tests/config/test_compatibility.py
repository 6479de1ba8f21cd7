"""What can be combined is one table, and all who ask get its answer."""

from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from echo_core.cli import cli
from echo_core.config import RunConfig
from echo_core.config.compatibility import AXES, REFUSALS, combinations, offered, page, refusal
from echo_core.config.repair import explain
from echo_core.config.variants import VARIANTS

ROOT = Path(__file__).parents[2]

#: Every one that can be written down, whether it makes sense or not.
ALL = [dict(zip(AXES, values, strict=True)) for values in product(*AXES.values())]
ROWS = pytest.mark.parametrize("row", REFUSALS, ids=lambda row: f"{row.given_value}-{row.value}")


def with_sizes(chosen):
    """A combination with all else as it needs it."""
    if chosen["task"] == "pairs":
        return {"text": "how are you ? => fine\nand you ? => fine too", **chosen}
    as_long = chosen["variant"] == "whole" or chosen["task"] == "lag"
    return {"output_length": 5 if as_long else 2, "lag": 2 if chosen["task"] == "lag" else 0, "batch_size": 1, **chosen}


def test_the_axes_are_fields_with_all_their_values():
    for axis, values in AXES.items():
        if axis == "stateful":
            assert RunConfig.model_fields[axis].annotation is bool
            assert set(values) == {True, False}
        else:
            assert values == get_args(RunConfig.model_fields[axis].annotation)
    assert AXES["variant"] == tuple(VARIANTS)


def test_there_are_672_to_choose_from_and_those_that_no_row_refuses_make_sense():
    assert len(ALL) == 672
    assert list(combinations()) == [chosen for chosen in ALL if refusal(chosen) is None]


def test_a_config_is_accepted_exactly_where_no_row_refuses_it_and_else_it_says_that_row():
    for chosen in ALL:
        row = refusal(chosen)
        if row is None:
            assert RunConfig(**with_sizes(chosen)).model_dump().items() >= chosen.items()
        else:
            with pytest.raises(ValidationError) as refused:
                RunConfig(**with_sizes(chosen))
            [line] = explain(refused.value)
            assert line.startswith(f"{row.field} cannot be {str(row.value).lower()} with {row.given}={row.given_value}")
            assert f"because {row.because}. Try " in line


@pytest.mark.parametrize("axis", AXES)
def test_what_is_offered_is_what_makes_sense_beside_the_others(axis):
    for chosen in ALL:
        assert offered(axis, chosen) == tuple(value for value in AXES[axis] if refusal({**chosen, axis: value}) is None)
    sensible = list(combinations())
    for chosen in sensible:
        beside = {**chosen, axis: None}
        assert offered(axis, chosen) == tuple(other[axis] for other in sensible if {**other, axis: None} == beside)


def test_a_combination_makes_sense_exactly_where_each_of_its_values_is_offered():
    for chosen in ALL:
        assert (refusal(chosen) is None) == all(value in offered(axis, chosen) for axis, value in chosen.items())


@pytest.mark.parametrize("axis", AXES)
def test_every_value_makes_sense_somewhere(axis):
    assert offered(axis, {}) == AXES[axis]
    assert {chosen[axis] for chosen in combinations()} == set(AXES[axis])


def test_what_is_left_out_or_unknown_refuses_nothing():
    assert refusal({}) is None
    assert refusal({"variant": "padded"}) is None
    assert refusal({"variant": "no such", "task": "pairs"}) is None


# --- the rows ------------------------------------------------------------------------------------


def test_no_two_rows_say_the_same():
    assert len({(row.given, row.given_value, row.field, row.value) for row in REFUSALS}) == len(REFUSALS)


@ROWS
def test_a_row_speaks_of_values_that_there_are(row):
    assert row.given != row.field
    assert row.given_value in AXES[row.given]
    assert {row.value, row.instead} <= set(AXES[row.field])


@ROWS
def test_a_row_refuses_what_no_other_row_does(row):
    others = [other for other in REFUSALS if other is not row]
    assert any(chosen[row.given] == row.given_value and chosen[row.field] == row.value
               and not any(chosen[other.given] == other.given_value and chosen[other.field] == other.value
                           for other in others) for chosen in ALL)


@ROWS
def test_what_a_row_offers_instead_makes_sense_there(row):
    assert row.instead != row.value
    assert refusal({row.given: row.given_value, row.field: row.instead}) is None
    assert any(chosen[row.given] == row.given_value and chosen[row.field] == row.instead for chosen in combinations())


@ROWS
def test_a_reason_can_be_read_after_because(row):
    assert row.because[0].islower()
    assert row.because[-1].isalnum()
    assert row.because.isprintable()


# --- the page ------------------------------------------------------------------------------------


def test_the_page_in_docs_is_the_table():
    """`python -m echo_core combinations > docs/combinations.md` writes it."""
    assert (ROOT / "docs" / "combinations.md").read_text() == "\n".join(page()) + "\n"


def test_the_command_prints_the_page():
    printed = CliRunner().invoke(cli, ["combinations"])
    assert (printed.exit_code, printed.output) == (0, "\n".join(page()) + "\n")


def test_the_page_has_a_line_for_each_variant_and_each_row():
    lines = [line for line in "\n".join(page()).splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == [
        "variant", *VARIANTS, *(f"{row.given}={row.given_value}" for row in REFUSALS)]
    assert len(set(lines)) == len(lines)
    assert all(line.endswith(f"| {row.because} |") for line, row in zip(lines[-len(REFUSALS):], REFUSALS, strict=True))
    assert sum(1 for _ in combinations()) == int("\n".join(page()).split("\n\n")[1].split()[0])


def test_the_tables_of_the_page_have_as_many_cells_in_each_line():
    tables = "\n".join(page()).split("\n\n")
    for table in (block.splitlines() for block in tables if block.startswith("|")):
        assert len({line.count("|") for line in table}) == 1
