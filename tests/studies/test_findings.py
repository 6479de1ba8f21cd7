"""The findings: each figure follows from the kept values."""

import json
from importlib.resources import files
from statistics import mean

import pytest

from echo_core.studies import findings
from echo_core.studies.questions import QUESTIONS
from tests.helpers.ended import end

FOUND = findings.read()


def test_every_question_has_its_answer():
    assert list(FOUND) == [question.name for question in QUESTIONS]


@pytest.mark.parametrize("name", FOUND)
def test_means_are_those_of_the_kept_seeds(name: str):
    kept = json.loads(files("echo_core.studies").joinpath(findings.FILE).read_text())["studies"]
    finding = FOUND[name]
    for asked, tables in zip(finding.question.asked, finding.tables, strict=True):
        rows = kept[asked.study.study_id]["rows"]
        for measure, table in tables.items():
            for row, values in zip(table.rows, (row[measure.value] for row in rows), strict=True):
                known = [value for value in values if value is not None]
                assert len(row.outcomes) == asked.seeds
                assert row.estimate.n == len(known)
                if known:
                    assert row.estimate.mean == pytest.approx(mean(known))


def test_what_is_gathered_is_what_the_store_has(store):
    asked = QUESTIONS[0].asked[0]
    for trial in asked.study.trials():
        end(store, trial.config, windows_right=1.0 if trial.config.seed < 90 else 0.5, failed=trial.config.seed == 99)
    kept = json.loads(findings.gather(store, "Here."))
    row, = kept["studies"][asked.study.study_id]["rows"]
    assert row["failed"] == [99]
    assert row["learnt"] == [1.0] * 90 + [0.0] * 10
    assert row["windows"] == [1.0] * 90 + [0.5] * 9 + [None]
    assert list(kept["studies"]) == [asked.study.study_id]


def test_a_command_repeats_the_study_of_its_table():
    for asked in (each for question in QUESTIONS for each in question.asked):
        words = asked.command(asked.measures[0]).split()
        assert words[:4] == ["python", "-m", "echo_core", "sweep"]
        assert f"--seeds {asked.seeds}" in " ".join(words)
        assert words.count("--over") == len(asked.over)
