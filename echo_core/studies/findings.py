"""What the studies of `questions.py` have found: kept as each seed's value, from which every figure is computed.

`make findings` trains the studies and writes `findings.json`. Pages, the README and `docs/FINDINGS.md` read it, so no
figure there is written by hand.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from echo_core.records import State
from echo_core.store import Store
from echo_core.studies.answers import Tables, answer_of
from echo_core.studies.intervals import estimate
from echo_core.studies.measures import MEASURES, Measure
from echo_core.studies.questions import QUESTIONS, Asked, Question
from echo_core.studies.results import Outcome, Results, Row, results
from echo_core.studies.study import Study

FILE = "findings.json"
#: Significant digits of a kept value: a share of 2,000 windows has four.
_DIGITS = 6


@dataclass(frozen=True)
class Finding:
    """A question with its answer.

    Attributes:
        tables: Of each of its studies by measure, as in `Question.asked`.
    """

    question: Question
    answer: str
    tables: Tables


def read() -> dict[str, Finding]:
    """The findings that came with this version, by the name of their question; those that it lacks are left out."""
    kept = json.loads(files("echo_core.studies").joinpath(FILE).read_text())
    return {question.name: finding for question in QUESTIONS if (finding := _finding(question, kept["studies"]))}


def machine() -> str:
    """When and on what the findings were made, in a sentence."""
    found: str = json.loads(files("echo_core.studies").joinpath(FILE).read_text())["made"]
    return found


def gather(store: Store, made: str) -> str:
    """The content of `findings.json`: every complete study of the questions that a store has.

    Args:
        made: When and on what, in a sentence.
    """
    studies = {}
    for asked in (each for question in QUESTIONS for each in question.asked):
        tables = {measure: results(asked.study, store, measure) for measure in asked.measures}
        if all(table.is_complete for table in tables.values()):
            studies[asked.study.study_id] = _kept(tables)
    return json.dumps({"made": made, "studies": studies}, indent=1, sort_keys=True) + "\n"


def _kept(tables: Mapping[Measure, Results]) -> dict[str, Any]:
    first = next(iter(tables.values()))
    rows = []
    for place, row in enumerate(first.rows):
        values = {measure.value: [_short(table.rows[place].outcomes[at].value) for at in range(len(row.outcomes))]
                  for measure, table in tables.items()}
        rows.append({"rate": row.rate, "failed": [at for at, outcome in enumerate(row.outcomes)
                                                  if outcome.state is State.FAILED], **values})
    return {"judged_windows": first.windows, "rows": rows}


def _short(value: float | None) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if value is not None and math.isfinite(value) else None


def _finding(question: Question, kept: Mapping[str, Any]) -> Finding | None:
    studies = [(asked, asked.study) for asked in question.asked]
    if any(study.study_id not in kept for _, study in studies):
        return None
    tables = [{measure: _table(asked, study, measure, kept[study.study_id]) for measure in asked.measures}
              for asked, study in studies]
    return Finding(question, answer_of(question.name, tables), tables)


def _table(asked: Asked, study: Study, measure: Measure, kept: Mapping[str, Any]) -> Results:
    rows = []
    for place, (setting, row) in enumerate(zip(study.settings, kept["rows"], strict=True)):
        rates = {place: row["rate"]} if asked.tune else None
        configs = [trial.config for trial in study.trials(rates) if trial.place == place]
        values: Sequence[float | None] = row[measure.value]
        none = math.inf if measure in (Measure.EPOCHS, Measure.SECONDS) else None  # what is kept as null
        outcomes = tuple(
            Outcome(config.seed, config.run_id, State.FAILED, None) if at in row["failed"] else
            Outcome(config.seed, config.run_id, State.FINISHED, none if value is None else value)
            for at, (config, value) in enumerate(zip(configs, values, strict=True)))
        known = [value for value in values if value is not None]
        rows.append(Row(setting, study.config_of(setting, study.base.seed)[1], row["rate"], outcomes,
                        estimate(known, MEASURES[measure].kind, kept["judged_windows"] or 1)))
    return Results(study, measure, tuple(rows), kept["judged_windows"])
