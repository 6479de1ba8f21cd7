"""The answer to each question of `questions.py`, in a sentence or two made from its studies and nothing else.

A number without its interval says little, so each mean has one; what the seeds cannot tell apart is said as that.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from echo_core.config import written
from echo_core.evaluation.lengths import multiple_of_length
from echo_core.studies.intervals import Difference, Kind, compare
from echo_core.studies.measures import LEARNT_AT, MEASURES, Measure
from echo_core.studies.results import Results, Row
from echo_core.text.plurals import counted

_LEARNT = f"{100 * LEARNT_AT:.0f} %"
#: The tables of a question: of each of its studies by measure.
Tables = Sequence[Mapping[Measure, Results]]

_NAMES = MappingProxyType({"encoder_decoder": "the encoder-decoder", "attention": "attention",
                           "many_to_one": "many-to-one", "one_to_one": "one-to-one", "lstm": "LSTM", "gru": "GRU",
                           "simple_rnn": "simple RNN"})


def answer_of(name: str, tables: Tables) -> str:
    """The answer to a question, by its name."""
    return _ANSWERS[name](tables)


def value_text(value: float, measure: Measure) -> str:
    """A value with its unit: `99.6 %`, `404 epochs`, `12.3 bits`."""
    if math.isnan(value):
        return "nothing"
    if MEASURES[measure].kind is not Kind.AMOUNT:
        return f"{100 * value:.1f} %"
    unit = {Measure.EPOCHS: "epochs", Measure.SECONDS: "s", Measure.BITS: "bits"}[measure]
    return f"{value:,.1f} {unit}" if measure is not Measure.EPOCHS else f"{value:,.0f} {unit}"


def mean_text(row: Row, measure: Measure) -> str:
    """A mean with its interval and n, and the seeds that are not in it."""
    found, lost = row.estimate, row.failures + row.missed
    if not found.n:
        return f"none of {counted(len(row.outcomes), 'seed')}"
    interval = "" if found.low is None or found.high is None else (
        f", {_plain(found.low, measure)} to {value_text(found.high, measure)}")
    left_out = f"; {lost} of {len(row.outcomes)} never got there" if lost else ""
    return f"{value_text(found.mean, measure)} ({counted(found.n, 'seed')}{interval}{left_out})"


def _after(row: Row) -> str:
    """When a setting has learnt: `after 223 epochs (…)`."""
    return f"after {mean_text(row, Measure.EPOCHS)}" if row.estimate.n else "in no seed"


def _plain(value: float, measure: Measure) -> str:
    return value_text(value, measure).split(" ")[0]


def _row(results: Results, **setting: Any) -> Row:
    return next(row for row in results.rows if all(row.setting[name] == value for name, value in setting.items()))


def _versus(results: Results, first: Row, second: Row, comparisons: int) -> Difference:
    return compare(first.values, second.values, MEASURES[results.measure].kind, comparisons, results.windows)


def _points(found: Difference) -> str:
    """A difference of shares: `-4.6 points (-4.9 to -4.3)`."""
    if found.low is None or found.high is None:
        return "a difference that these seeds cannot tell"
    return f"{100 * found.mean:+.1f} points ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def _reliability(tables: Tables) -> str:
    every = [row for table in tables for row in table[Measure.WINDOWS].rows]
    said = ["Yes." if all(_perfect(row) == len(row.outcomes) for row in every) else "No, but nearly." if all(
        row.estimate.mean >= LEARNT_AT for row in every) else "No."]
    for title, table in zip(("Whole echo", "Partial echo"), tables, strict=True):
        row, windows = table[Measure.LEARNT].rows[0], table[Measure.WINDOWS].rows[0]
        learnt = round(row.estimate.mean * row.estimate.n)
        said.append(f"{title}: {learnt} of {row.estimate.n} seeds end with at least {_LEARNT} of their unseen "
                    f"windows right (95 % interval {100 * (row.estimate.low or 0):.0f} to "
                    f"{100 * (row.estimate.high or 0):.0f} %), and {_perfect(windows)} with all of them. "
                    f"On average {mean_text(windows, Measure.WINDOWS)} are right.")
    return " ".join(said)


def _perfect(row: Row) -> int:
    return sum(value == 1.0 for value in row.values.values())


def _linear(tables: Tables) -> str:
    windows, numbers = tables[0][Measure.WINDOWS], tables[0][Measure.NUMBERS]
    best = {kind: max((row for row in windows.rows if row.setting["representation"] == kind),
                      key=lambda row: row.estimate.mean) for kind in ("one_hot", "linear")}
    tokens = _row(numbers, **best["linear"].setting)
    return (f"Far worse. With one-hot numbers {best['one_hot'].setting['units']} units get "
            f"{mean_text(best['one_hot'], Measure.WINDOWS)} of the windows right, with scaled ones the best of "
            f"{len(windows.rows) // 2} sizes, {best['linear'].setting['units']} units, "
            f"{mean_text(best['linear'], Measure.WINDOWS)}, and {value_text(tokens.estimate.mean, Measure.NUMBERS)} of "
            "single numbers, because a near number is a wrong number."
            if best["linear"].estimate.mean < 0.5 else
            f"Scaled numbers get {mean_text(best['linear'], Measure.WINDOWS)} of the windows right, one-hot ones "
            f"{mean_text(best['one_hot'], Measure.WINDOWS)}.")


def _masked(tables: Tables) -> str:
    windows, epochs = tables[0][Measure.WINDOWS], tables[0][Measure.EPOCHS]
    sizes = _values(windows, "units")
    differences = {size: _versus(windows, _row(windows, missing="mask", units=size),
                                 _row(windows, missing="drop", units=size), len(sizes)) for size in sizes}
    told = [f"{_points(found)} with {size} units" for size, found in differences.items() if found.can_tell]
    untold = [written(size) for size, found in differences.items() if not found.can_tell]
    pair = [_row(epochs, missing=kind, units=sizes[-1]) for kind in ("mask", "drop")]
    said = [f"Masked rows change the share of windows right by {', '.join(told)}." if told else "",
            f"With {', '.join(untold)} units the seeds cannot tell." if untold else "",
            f"The intervals are corrected for {len(sizes)} comparisons.",
            f"With {sizes[-1]} units 99 % of the numbers are right {_after(pair[0])} with masked rows, and "
            f"{_after(pair[1])} without.",
            "Each is judged on windows of its own kind: masked ones have gaps."]
    return " ".join(filter(None, said))


def _longer(tables: Tables) -> str:
    windows, said = tables[0][Measure.WINDOWS], []
    for variant, begin in (("attention", "With attention"),
                           ("encoder_decoder", "Without it, at the same size and budget,")):
        rows = [row for row in windows.rows if row.setting["variant"] == variant]
        good = [row.setting["output_length"] for row in rows if row.estimate.mean >= LEARNT_AT]
        best = max(rows, key=lambda row: row.estimate.mean)
        if good:
            said.append(f"{begin} it learns to echo up to {max(good)} of ten numbers: of the windows with "
                        f"{rows[-1].setting['output_length']} asked, {mean_text(rows[-1], Measure.WINDOWS)} are right.")
        else:
            said.append(f"{begin} no length that was tried reaches {_LEARNT} of the windows; the best is "
                        f"{best.setting['output_length']}, with {mean_text(best, Measure.WINDOWS)}.")
    return " ".join(said)


def _stateless(tables: Tables) -> str:
    windows, epochs = tables[0][Measure.WINDOWS], tables[0][Measure.EPOCHS]
    sizes, said = _values(windows, "batch_size"), []
    differences = {size: _versus(windows, _row(windows, stateful=False, batch_size=size),
                                 _row(windows, stateful=True, batch_size=size), len(sizes)) for size in sizes}
    told = [size for size, found in differences.items() if found.can_tell]
    said.append("At no batch size can 5 seeds tell whether carrying the state changes the share of windows right."
                if not told else
                f"Carrying the state makes a difference at batch size {', '.join(map(written, told))}: without it "
                + "; ".join(_points(differences[size]) for size in told) + ".")
    one = [_row(epochs, stateful=state, batch_size=1) for state in (False, True)]
    said.append(f"At batch size 1, which the tutorial names, 99 % of the numbers are right {_after(one[0])} without "
                f"the state, {_after(one[1])} with it.")
    ends = [_row(windows, stateful=False, batch_size=size) for size in (sizes[0], sizes[-1])]
    said.append(f"The batch size matters far more, as it decides how many updates an epoch has: of the windows "
                f"{mean_text(ends[0], Measure.WINDOWS)} are right at {sizes[0]}, and "
                f"{mean_text(ends[1], Measure.WINDOWS)} at {sizes[-1]}.")
    return " ".join(said)


def _topology(tables: Tables) -> str:
    windows, epochs, said = tables[0][Measure.WINDOWS], tables[0][Measure.EPOCHS], []
    for variant in ("encoder_decoder", "many_to_one", "one_to_one"):
        rows = [row for row in windows.rows if row.setting["variant"] == variant]
        good = [row.setting["units"] for row in rows if row.estimate.mean >= LEARNT_AT]
        name = _NAMES[variant]
        if good:
            speed = _row(epochs, variant=variant, units=min(good))
            said.append(f"{name} with {min(good)} units, and 99 % of the numbers {_after(speed)}")
        else:
            said.append(f"{name} with none of these sizes")
    sizes = ", ".join(map(written, _values(windows, "units")))
    return f"Of {sizes} units, the fewest that get {_LEARNT} of the windows right: {'; '.join(said)}."


def _capacity(tables: Tables) -> str:
    bits = tables[0][Measure.BITS]
    sizes, best = _values(bits, "units"), max(bits.rows, key=lambda row: row.estimate.mean)
    said = []
    for cell in ("lstm", "gru", "simple_rnn"):
        rows = [_row(bits, cell=cell, units=units) for units in sizes]
        said.append(f"{_NAMES[cell]} {', '.join(_plain(row.estimate.mean, Measure.BITS) for row in rows)}")
    return (f"Of the {10 * math.log2(100):.0f} bits that are asked, "
            f"{', '.join(map(written, sizes))} units keep, with the learning rate tuned for each: {'; '.join(said)}. "
            f"The most is {mean_text(best, Measure.BITS)}, {best.estimate.mean / best.setting['units']:.2f} bits a "
            "unit. Three units, each a number of 32 bits, could hold all of them.")


def _time(tables: Tables) -> str:
    kinds = {"input_length": "reading {} numbers instead of {}, and then saying the first two,",
             "vocab_size": "a vocabulary of {} instead of {}", "output_length": "an echo of {} instead of {}"}
    said = []
    for table in tables:
        epochs = table[Measure.EPOCHS]
        field, = (axis.field for axis in epochs.study.over)
        reached = [row for row in epochs.rows if row.estimate.n]
        if len(reached) < 2:
            said.append(f"too few seeds got there to tell for {field}")
            continue
        first, last = reached[0], reached[-1]
        never = [written(row.setting[field]) for row in epochs.rows if not row.estimate.n]
        said.append(f"{kinds[field].format(last.setting[field], first.setting[field])} takes "
                    f"{mean_text(last, Measure.EPOCHS)} instead of {mean_text(first, Measure.EPOCHS)}"
                    + (f", and with {' and '.join(never)} no seed gets there" if never else ""))
    text = "; ".join(said)
    return f"Until 99 % of the numbers are right, {text}."


def _attention(tables: Tables) -> str:
    windows = tables[0][Measure.WINDOWS]
    look, plain = (_row(windows, variant=variant) for variant in ("attention", "encoder_decoder"))
    return (f"With attention {mean_text(look, Measure.WINDOWS)} of the windows are right (published: 95.7 %), without "
            f"it {mean_text(plain, Measure.WINDOWS)} (published: 23.1 %), at the published budget and with a higher "
            "learning rate that falls to zero. "
            f"{' '.join(_other_lengths(table) for table in tables[1:])}")


def _other_lengths(table: Mapping[Measure, Results]) -> str:
    """How networks that were trained on one length do on twice and on half as much."""
    base, said = table[Measure.WINDOWS].study.base, []
    for measure, multiple in ((Measure.DOUBLE_LENGTH, 2), (Measure.HALF_LENGTH, 0.5)):
        _, length = multiple_of_length(base, multiple) or ("", base.input_length)
        look, plain = (mean_text(_row(table[measure], variant=variant), measure)
                       for variant in ("attention", "encoder_decoder"))
        said.append(f"{look} of windows of {length} are right with attention, {plain} without")
    answered = "all" if base.output_length == base.input_length else f"the first {base.output_length}"
    return f"Trained to echo {answered} of {base.input_length} numbers: {'; '.join(said)}."


def _recipe(tables: Tables) -> str:
    rate, size = (table[Measure.EPOCHS] for table in tables)
    full = _row(rate, learning_rate=0.01, sequences_per_epoch=8)
    slow = _row(rate, learning_rate=0.001, sequences_per_epoch=8)
    few = _row(rate, learning_rate=0.01, sequences_per_epoch=1)
    both = _row(rate, learning_rate=0.001, sequences_per_epoch=1)
    wide = _row(size, units=150, schedule="constant")
    is_recipe = _factor(wide, full) < min(_factor(slow, full), _factor(few, full))
    return (f"{'The recipe' if is_recipe else 'Not the recipe alone'}. 99 % of the numbers of quick are right "
            f"{_after(full)}; at the tutorial's rate of 0.001 {_after(slow)}; with one sequence an update instead of "
            f"eight {_after(few)}; with both {_after(both)}. With the tutorial's 150 units instead of 64 they are "
            f"right {_after(wide)}.")


def _factor(row: Row, base: Row) -> float:
    """How many times as many epochs a setting takes, or as few; infinite where no seed gets there."""
    if not row.estimate.n or not base.estimate.n:
        return math.inf
    ratio = row.estimate.mean / base.estimate.mean
    return max(ratio, 1 / ratio)


def _values(results: Results, field: str) -> Sequence[Any]:
    return next(axis.values for axis in results.study.over if axis.field == field)


_ANSWERS: Mapping[str, Callable[[Tables], str]] = MappingProxyType({
    "reliability": _reliability, "linear": _linear, "masked": _masked, "longer": _longer, "stateless": _stateless,
    "topology": _topology, "capacity": _capacity, "time": _time, "attention": _attention, "recipe": _recipe})
