"""Which picture answers a study, and the table that it draws.

A setting that is a number gives a line, choices give rows of dots, and two settings one line for each of a few values,
or a heat map where both have many.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from echo_app.charts.curves import Spec
from echo_app.charts.studies import maps, seeds
from echo_app.charts.studies.seeds import FAILED, MEAN, MISSED, SEED, Measured
from echo_app.panels.studies import words
from echo_core.config.labels import label_of
from echo_core.records import State
from echo_core.studies.intervals import Kind
from echo_core.studies.measures import MEASURES, Measure
from echo_core.studies.results import Outcome, Results, Row
from echo_core.studies.study import Axis

#: Lines that are told apart at a glance; more become a heat map.
_MOST_LINES = 4
#: The share of the distance to the next value that dots and lines spread over.
_SPREAD = 0.55
#: An interval that ends beyond so many times the largest value is cut.
_ROOM = 1.5
#: The share of a row on each side of its middle that its dots spread over.
_ROW_SPREAD = 0.3
_DOTS = "Small dots are single seeds, side by side so that all are seen."


@dataclass(frozen=True)
class Picture:
    """A chart with its table.

    Attributes:
        alt: What it shows, for those who cannot see it.
        reading: How to read it, in a sentence.
        picks_setting: Whether a click picks a setting by its `place`, not a run.
    """

    spec: Spec
    table: pd.DataFrame
    alt: str
    reading: str
    picks_setting: bool = False


def picture(found: Results) -> Picture:
    """The picture of a study's results."""
    over, measure = found.study.over, found.measure
    numeric = [axis for axis in over if _is_numeric(axis)]
    title = MEASURES[measure].title
    if len(over) == 1:
        return _line(found, over[0], None) if numeric else _rows(found)
    for axis in sorted(numeric, key=lambda axis: -len(axis.values)):
        other = over[1] if axis is over[0] else over[0]
        if len(other.values) <= _MOST_LINES:
            return _line(found, axis, other)
    rows, columns = over
    names = {axis.field: tuple(words.value_of_field(found.study, axis.field, value) for value in axis.values)
             for axis in over}
    labels = {axis.field: label_of(axis.field) for axis in over}
    spec = maps.means(title, names[rows.field], names[columns.field], labels[rows.field], labels[columns.field],
                      _top(found), MEASURES[measure].kind is not Kind.AMOUNT)
    return Picture(spec, _cells(found), f"{title} as a heat map of {labels[rows.field]} by {labels[columns.field]}",
                   "Each cell is the mean of its seeds.", picks_setting=True)


def _is_numeric(axis: Axis) -> bool:
    return len(axis.values) > 1 and all(isinstance(value, int | float) and not isinstance(value, bool)
                                        for value in axis.values)


def _is_more_even_by_ratio(values: tuple[float, ...]) -> bool:
    """Whether a logarithmic scale puts increasing values at more equal distances: 8, 16, 32, and not 1, 2, 3."""
    if values[0] <= 0:
        return False
    steps, ratios = ([after - before for before, after in pairwise(row)]
                     for row in (values, tuple(map(math.log, values))))
    return max(ratios) / min(ratios) < max(steps) / min(steps)


def _line(found: Results, axis: Axis, other: Axis | None) -> Picture:
    values = tuple(sorted(float(value) for value in axis.values))
    is_log = _is_more_even_by_ratio(values)
    names = tuple(words.value_of_field(found.study, other.field, value) for value in other.values) if other else ()
    table = _table(found, _Places(axis.field, values, is_log, other))
    label = label_of(axis.field)
    spec = seeds.by_number(_measured(found), label, values, is_log, label_of(other.field) if other else None, names)
    against = f"{MEASURES[found.measure].title} against {label.lower()}"
    each = f", one line for each {label_of(other.field).lower()}" if other else ""
    return Picture(spec, table, f"{against}{each}: a dot for each seed, and means with their intervals",
                   _reading(found, f"{_DOTS} The line joins the means, each with its 95 % interval."))


def _rows(found: Results) -> Picture:
    names = tuple(words.setting_in_words(found.study, row.setting) for row in found.rows)
    return Picture(seeds.by_choice(_measured(found), names), _table(found, None),
                   f"{MEASURES[found.measure].title} of each: a dot for each seed, and means with their intervals",
                   _reading(found, f"{_DOTS} The diamond is their mean, on its 95 % interval."))


def _reading(found: Results, begin: str) -> str:
    """How to read the dots, and the marks at the edge if there are some."""
    failed, missed, without = (sum(getattr(row, which) for row in found.rows)
                               for which in ("failures", "missed", "valueless"))
    edge = [f"✚ at the edge: {failed} failed or diverged" if failed else "",
            f"▲ at the edge: {missed} never got there" if missed else "",
            f"not drawn: {without} without a value (the network cannot read such windows, or the run's data was "
            "deleted to make room for newer runs)" if without else ""]
    said = "; ".join(part for part in edge if part)
    return f"{begin} {said}." if said else begin


@dataclass(frozen=True)
class _Places:
    """Where dots stand on an axis of numbers.

    Attributes:
        other: The setting that has a line for each of its values.
    """

    field: str
    values: tuple[float, ...]
    is_log: bool
    other: Axis | None

    def x_of(self, row: Row, shift: float) -> float:
        """The place of a dot, -1 to 1 within the room of its line."""
        lines = len(self.other.values) if self.other else 1
        line = self.other.values.index(row.setting[self.other.field]) if self.other else 0
        room = _SPREAD / lines
        away = (line - (lines - 1) / 2) * room + shift * room * 0.45
        value = float(row.setting[self.field])
        if self.is_log:
            step = min(math.log(after / before) for before, after in pairwise(self.values))
            return value * math.exp(away * step)
        return value + away * min(after - before for before, after in pairwise(self.values))


def _table(found: Results, places: _Places | None) -> pd.DataFrame:
    """A row for each seed that has ended and one for each mean; see `charts.studies.seeds`."""
    measured, rows = _measured(found), []
    for place, row in enumerate(found.rows):
        name = words.setting_in_words(found.study, row.setting)
        series = (words.value_of_field(found.study, places.other.field, row.setting[places.other.field])
                  if places and places.other else "")
        common = {"setting": name, "series": series, "n": row.estimate.n}
        for shift, outcome in zip(_beside_the_mean(len(row.outcomes)), row.outcomes, strict=True):
            if not outcome.has_ended or (outcome.state is State.FINISHED and outcome.value is None):
                continue
            role, value, shown = _dot(found.measure, outcome, measured)
            rows.append({**common, "role": role, "x": places.x_of(row, shift) if places else None,
                         "row": place + _ROW_SPREAD * shift, "value": value, "low": None, "high": None,
                         "seed": str(outcome.seed), "shown": shown, "run_id": outcome.run_id})
        if not math.isnan(row.estimate.mean):
            interval = words.interval_in_words(found.measure, row.estimate.low, row.estimate.high)
            rows.append({**common, "role": MEAN, "x": places.x_of(row, 0.0) if places else None, "row": place,
                         "value": row.estimate.mean, "low": row.estimate.low, "high": row.estimate.high, "seed": "",
                         "shown": f"{words.in_unit(found.measure, row.estimate.mean)} ({interval})", "run_id": ""})
    return pd.DataFrame(rows, columns=["role", "x", "row", "value", "low", "high", "n", "setting", "series", "seed",
                                       "shown", "run_id"])


def _beside_the_mean(number: int) -> list[float]:
    """Places of dots from -1 to 1 on both sides of the mean, which stands at 0."""
    def away(half: int) -> list[float]:  # from the far end of a side inwards
        return [1 - 0.7 * place / max(1, half - 1) for place in range(half)]

    return [-place for place in away(number - number // 2)] + away(number // 2)[::-1]


def _dot(measure: Measure, outcome: Outcome, measured: Measured) -> tuple[str, float, str]:
    """The role of a seed that has ended, its place on the scale and its result in words."""
    if outcome.state is State.FAILED:
        return FAILED, measured.edge, "failed or diverged"
    if outcome.number is None:
        return MISSED, measured.edge, "never got there"
    return SEED, outcome.number, words.in_unit(measure, outcome.number)


def _cells(found: Results) -> pd.DataFrame:
    rows, columns = found.study.over
    return pd.DataFrame([{
        "row": words.value_of_field(found.study, rows.field, row.setting[rows.field]),
        "column": words.value_of_field(found.study, columns.field, row.setting[columns.field]),
        "value": None if math.isnan(row.estimate.mean) else row.estimate.mean,
        "shown": words.in_unit(found.measure, row.estimate.mean), "note": _note(row), "n": row.estimate.n,
        "place": place} for place, row in enumerate(found.rows)])


def _note(row: Row) -> str:
    """What a mean leaves out, briefly."""
    parts = [f"{number} {word}" for number, word in (
        (row.failures, "failed"), (row.missed, "missed"), (row.valueless, "without a value")) if number]
    return ", ".join(parts)


def _measured(found: Results) -> Measured:
    traits = MEASURES[found.measure]
    return Measured(traits.title, _top(found), traits.kind is not Kind.AMOUNT, not traits.more_is_better,
                    any(row.failures or row.missed for row in found.rows))


def _top(found: Results) -> float:
    """The end of the scale: 1 for shares, else a round number above every value and interval."""
    if MEASURES[found.measure].kind is not Kind.AMOUNT:
        return 1.0
    ends = [max(row.values.values(), default=0.0) for row in found.rows]
    ends += [row.estimate.mean for row in found.rows if not math.isnan(row.estimate.mean)]
    largest = max(ends, default=0.0)
    highs = [row.estimate.high for row in found.rows if row.estimate.high is not None]
    largest = max(largest, min(max(highs, default=0.0), _ROOM * largest))
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return float(next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10) if step * power >= largest))
