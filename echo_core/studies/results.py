"""The answer of a study: each seed of each setting, the mean with its interval, and settings against each other.

`results(study, store, Measure.WINDOWS).to_dict()` is what `sweep --json` prints. A study that still trains has results
too, of the seeds that have ended.
"""

import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

from echo_core.config import written
from echo_core.records import State
from echo_core.store import RunRow, Store
from echo_core.studies.intervals import Difference, Estimate, compare, estimate
from echo_core.studies.measures import MEASURES, Measure, value_of
from echo_core.studies.study import Setting, Study, Trial

#: The value of a measure for an ended run; a page gives one that remembers what it has computed.
ValueOf = Callable[[Measure, RunRow], float | None]


@dataclass(frozen=True)
class Outcome:
    """One seed of one setting.

    Attributes:
        state: Of its run; None if nobody has asked for it yet.
        value: Of the measure; infinite where the seed never got there, None until it has ended and where it has none.
        reason: Why it failed.
    """

    seed: int
    run_id: str
    state: State | None
    value: float | None
    reason: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state is not None and self.state.has_ended

    @property
    def number(self) -> float | None:
        """The value where it is a number that a mean can take."""
        return self.value if self.value is not None and math.isfinite(self.value) else None


@dataclass(frozen=True)
class Row:
    """One setting.

    Attributes:
        changed: What had to change beside the setting.
        rate: The learning rate that was tuned for it; None where nothing is tuned, or it is not known yet.
    """

    setting: Setting
    changed: Setting
    rate: float | None
    outcomes: tuple[Outcome, ...]
    estimate: Estimate

    @property
    def failures(self) -> int:
        """Seeds whose run failed or diverged."""
        return sum(outcome.state is State.FAILED for outcome in self.outcomes)

    @property
    def missed(self) -> int:
        """Finished seeds that never got there, as to 99 %."""
        return sum(outcome.value == math.inf for outcome in self.outcomes)

    @property
    def valueless(self) -> int:
        """Finished seeds without a value: see `measures.value_of`."""
        return sum(outcome.state is State.FINISHED and outcome.value is None for outcome in self.outcomes)

    @property
    def waiting(self) -> int:
        """Seeds that have not ended."""
        return sum(not outcome.has_ended for outcome in self.outcomes)

    @property
    def values(self) -> dict[int, float]:
        """Of the measure, by seed."""
        return {outcome.seed: outcome.number for outcome in self.outcomes if outcome.number is not None}


@dataclass(frozen=True)
class Results:
    """All settings of a study, in the order of the grid.

    Attributes:
        windows: Independent windows that each accuracy is a share of; None before any run has ended.
    """

    study: Study
    measure: Measure
    rows: tuple[Row, ...]
    windows: int | None

    @property
    def is_complete(self) -> bool:
        """Whether every run has ended."""
        return not any(row.waiting for row in self.rows)

    def compared_with(self, place: int) -> dict[int, Difference]:
        """Every other setting minus this one over the same seeds, corrected for so many comparisons."""
        base, kind = self.rows[place].values, MEASURES[self.measure].kind
        return {other: compare(row.values, base, kind, max(1, len(self.rows) - 1), self.windows)
                for other, row in enumerate(self.rows) if other != place}

    def to_dict(self) -> dict[str, Any]:
        """The fields that scripts rely on, and each seed's run."""
        return {"study_id": self.study.study_id, "complete": self.is_complete,
                "rows": [self._row_to_dict(row) for row in self.rows]}

    def to_csv(self) -> str:
        """A line for each setting."""
        lines = [{name: value for name, value in row.items() if name != "runs"} for row in self.to_dict()["rows"]]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        return text.getvalue()

    def _row_to_dict(self, row: Row) -> dict[str, Any]:
        found = row.estimate
        return {**row.setting, **({"learning_rate": row.rate} if self.study.tune else {}), "n": found.n,
                "failures": row.failures, "missed": row.missed, "no_value": row.valueless, "waiting": row.waiting,
                "measure": str(self.measure),
                "mean": None if math.isnan(found.mean) else found.mean, "low": found.low, "high": found.high,
                "method": found.method,
                "runs": [{"seed": outcome.seed, "run_id": outcome.run_id,
                          "state": outcome.state and str(outcome.state), "value": outcome.number}
                         for outcome in row.outcomes]}


def results(study: Study, store: Store, measure: Measure, value: ValueOf | None = None) -> Results:
    """What is known of a study now.

    Args:
        value: See `ValueOf`; by default it is computed from the store.
    """
    value = value or (lambda measure, run: value_of(measure, store, run))
    rates = tuned_rates(study, store)
    trials = list(study.trials(rates))
    runs = store.runs.of([trial.config.run_id for trial in trials])
    windows = min((_independent(run) for run in runs.values() if run.evaluation), default=None)
    by_place: dict[int, list[Outcome]] = {}
    for trial in trials:
        by_place.setdefault(trial.place, []).append(_outcome(trial, runs.get(trial.config.run_id), measure, value))
    rows = []
    for place, setting in enumerate(study.settings):
        seeds = range(study.base.seed, study.base.seed + study.seeds)
        outcomes = by_place.get(place) or [Outcome(seed, "", None, None) for seed in seeds]
        known = [outcome.number for outcome in outcomes if outcome.number is not None]
        rows.append(Row(setting, study.config_of(setting, study.base.seed)[1], rates.get(place) if rates else None,
                        tuple(outcomes), estimate(known, MEASURES[measure].kind, windows or 1)))
    return Results(study, measure, tuple(rows), windows)


def _independent(run: RunRow) -> int:
    """Judged windows that share no number: one number that is not learnt makes each window wrong that has it."""
    assert run.evaluation is not None
    config, windows = run.config, run.evaluation.windows
    if config.task == "pairs":
        return windows
    return max(1, windows // config.windows_per_sequence) * max(1, config.sequence_length // config.input_length)


def tuned_rates(study: Study, store: Store) -> dict[int, float] | None:
    """The learning rate of each setting whose tuning has ended, by its place; None where nothing is tuned.

    The rate with the most windows right over its seeds wins; then the most numbers right. A failed run has none right.
    """
    if not study.tune:
        return None
    trials = list(study.tuning_trials())
    runs = store.runs.of([trial.config.run_id for trial in trials])
    scores: dict[int, dict[float, list[tuple[float, float]]]] = {}
    open_places: set[int] = set()
    for trial in trials:
        run = runs.get(trial.config.run_id)
        assert trial.rate is not None
        if run is None or not run.state.has_ended:
            open_places.add(trial.place)
            continue
        judged = run.evaluation if run.state is State.FINISHED else None
        score = (judged.window_accuracy, judged.token_accuracy) if judged else (0.0, 0.0)
        scores.setdefault(trial.place, {}).setdefault(trial.rate, []).append(score)
    return {place: max(found, key=lambda rate: tuple(mean(each) for each in zip(*found[rate], strict=True)))
            for place, found in scores.items() if place not in open_places}


def _outcome(trial: Trial, run: RunRow | None, measure: Measure, value: ValueOf) -> Outcome:
    config = trial.config
    if run is None:
        return Outcome(config.seed, config.run_id, None, None)
    found = value(measure, run) if run.state.has_ended else None
    return Outcome(config.seed, config.run_id, run.state, found, run.reason)


def said(setting: Mapping[str, Any]) -> str:
    """`{"units": 8, "cell": "gru"} -> "units 8, cell gru"`."""
    return ", ".join(f"{name} {written(value)}" for name, value in setting.items())
