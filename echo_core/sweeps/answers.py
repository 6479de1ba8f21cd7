"""The answer to each question of `questions.py`, in a sentence or two made from its studies and nothing else.

A number without its interval says little, so each mean has one; what the seeds cannot tell apart is said as that.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from echo_core.config import written
from echo_core.sweeps.intervals import Difference, Kind, compare
from echo_core.sweeps.measures import LEARNT_AT, MEASURES, Measure
from echo_core.sweeps.results import Results, Row
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
    return compare(first.values, second.values, MEASURES[results.measure].kind, comparisons, results.trials)


def _difference_text(found: Difference, measure: Measure) -> str:
    """A difference in words; without a sign, as the sentence around it says which is more."""
    scale, unit = (100, "points") if MEASURES[measure].kind is not Kind.AMOUNT else (1, "epochs")
    if found.low is None or found.high is None:
        return "a difference that these seeds cannot tell"
    return f"{scale * found.mean:+.1f} {unit} ({scale * found.low:+.1f} to {scale * found.high:+.1f})"


def _reliability(tables: Tables) -> str:
    said = []
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
            f"{written(len(windows.rows) // 2)} sizes, {best['linear'].setting['units']} units, "
            f"{mean_text(best['linear'], Measure.WINDOWS)}, and {value_text(tokens.estimate.mean, Measure.NUMBERS)} of "
            "single numbers, because a near number is a wrong number."
            if best["linear"].estimate.mean < 0.5 else
            f"Scaled numbers get {mean_text(best['linear'], Measure.WINDOWS)} of the windows right, one-hot ones "
            f"{mean_text(best['one_hot'], Measure.WINDOWS)}.")


def _masked(tables: Tables) -> str:
    windows, epochs = tables[0][Measure.WINDOWS], tables[0][Measure.EPOCHS]
    sizes, said = _values(windows, "units"), []
    for units in sizes:
        found = _versus(windows, _row(windows, missing="mask", units=units),
                        _row(windows, missing="drop", units=units), len(sizes))
        verdict = _difference_text(found, Measure.WINDOWS) if found.can_tell else "no difference that 5 seeds can tell"
        said.append(f"{units} units: {verdict}")
    pair = [_row(epochs, missing=kind, units=sizes[-1]) for kind in ("mask", "drop")]
    return (f"Windows right with masked rows minus dropped ones, corrected for {len(sizes)} comparisons: "
            f"{'; '.join(said)}. With {sizes[-1]} units 99 % of the numbers are right {_after(pair[0])} with masked "
            f"rows, {_after(pair[1])} without. Each is judged on windows of its own kind; those with gaps are harder.")


def _longer(tables: Tables) -> str:
    windows, said = tables[0][Measure.WINDOWS], []
    for variant in ("encoder_decoder", "attention"):
        rows = [row for row in windows.rows if row.setting["variant"] == variant]
        good = [row for row in rows if row.estimate.mean >= LEARNT_AT]
        last = rows[-1]
        most = f"up to {good[-1].setting['output_length']}" if good else "none of the lengths"
        said.append(f"{_NAMES[variant]} echoes {most} of ten numbers with {_LEARNT} of the windows right, and "
                    f"gets all ten right in {mean_text(last, Measure.WINDOWS)}")
    return f"At the same size and budget {'; '.join(said)}."


def _stateless(tables: Tables) -> str:
    windows, epochs = tables[0][Measure.WINDOWS], tables[0][Measure.EPOCHS]
    sizes, said = _values(windows, "batch_size"), []
    differences = {size: _versus(windows, _row(windows, stateful=False, batch_size=size),
                                 _row(windows, stateful=True, batch_size=size), len(sizes)) for size in sizes}
    told = [size for size, found in differences.items() if found.can_tell]
    said.append("Carrying the state changes the share of windows right by nothing that 5 seeds can tell, at any batch "
                "size." if not told else
                f"Carrying the state makes a difference at batch size {', '.join(map(written, told))}: without it "
                + "; ".join(_difference_text(differences[size], Measure.WINDOWS) for size in told) + ".")
    one = [_row(epochs, stateful=state, batch_size=1) for state in (False, True)]
    said.append(f"At batch size 1, which the tutorial names, 99 % of the numbers are right {_after(one[0])} without "
                f"the state, {_after(one[1])} with it.")
    ends = [_row(windows, stateful=False, batch_size=size) for size in (sizes[0], sizes[-1])]
    said.append(f"The batch size matters far more: {mean_text(ends[0], Measure.WINDOWS)} at {sizes[0]}, "
                f"{mean_text(ends[1], Measure.WINDOWS)} at {sizes[-1]}, as it decides how many updates an epoch has.")
    return " ".join(said)


def _topology(tables: Tables) -> str:
    windows, epochs, said = tables[0][Measure.WINDOWS], tables[0][Measure.EPOCHS], []
    for variant in ("encoder_decoder", "many_to_one", "one_to_one"):
        rows = [row for row in windows.rows if row.setting["variant"] == variant]
        good = [row for row in rows if row.estimate.mean >= LEARNT_AT]
        if not good:
            said.append(f"{_NAMES[variant]} does not reach {_LEARNT} of the windows with "
                        f"{rows[-1].setting['units']} units: {mean_text(rows[-1], Measure.WINDOWS)}")
            continue
        fewest = good[0].setting["units"]
        speed = _row(epochs, variant=variant, units=fewest)
        said.append(f"{_NAMES[variant]} {fewest}, with 99 % of the numbers right {_after(speed)}")
    return f"The fewest units with {_LEARNT} of the windows right, of those that were tried: {'; '.join(said)}."


def _capacity(tables: Tables) -> str:
    bits = tables[0][Measure.BITS]
    asked = 10 * math.log2(100)
    said = [f"{_NAMES[cell]} " + ", ".join(
        f"{value_text(_row(bits, cell=cell, units=units).estimate.mean, Measure.BITS).split(' ')[0]} with {units}"
        for units in _values(bits, "units")) for cell in ("lstm", "gru", "simple_rnn")]
    best = max(bits.rows, key=lambda row: row.estimate.mean)
    return (f"Of {asked:.0f} bits asked, with the learning rate tuned for each: {'; '.join(said)} units. The most is "
            f"{mean_text(best, Measure.BITS)}: {best.estimate.mean / best.setting['units']:.2f} bits a unit, where a "
            "state of 32-bit numbers could hold all of them in three of its units.")


def _time(tables: Tables) -> str:
    titles = {"input_length": "the numbers read, of which the first two are asked,", "vocab_size": "the vocabulary",
              "output_length": "the length of the echo"}
    said = []
    for table in tables:
        epochs = table[Measure.EPOCHS]
        field, = (axis.field for axis in epochs.study.over)
        reached = [row for row in epochs.rows if row.estimate.n]
        if len(reached) < 2:
            said.append(f"{titles[field]}: too few seeds got there to tell")
            continue
        first, last = reached[0], reached[-1]
        never = [row.setting[field] for row in epochs.rows if not row.estimate.n]
        said.append(f"{titles[field]} from {first.setting[field]} to {last.setting[field]}: from "
                    f"{mean_text(first, Measure.EPOCHS)} to {mean_text(last, Measure.EPOCHS)}"
                    + (f"; at {', '.join(map(written, never))} no seed got there" if never else ""))
    return f"Epochs until 99 % of the numbers are right, as one thing grows: {'; '.join(said)}."


def _attention(tables: Tables) -> str:
    windows = tables[0][Measure.WINDOWS]
    look, plain = (_row(windows, variant=variant) for variant in ("attention", "encoder_decoder"))
    return (f"With attention {mean_text(look, Measure.WINDOWS)} of the windows are right (published: 95.7 %), without "
            f"it {mean_text(plain, Measure.WINDOWS)} (published: 23.1 %), at the published budget and with a higher "
            "learning rate that falls to zero.")


def _recipe(tables: Tables) -> str:
    rate, size = (table[Measure.EPOCHS] for table in tables)
    full = _row(rate, learning_rate=0.01, sequences_per_epoch=8)
    slow = _row(rate, learning_rate=0.001, sequences_per_epoch=8)
    few = _row(rate, learning_rate=0.01, sequences_per_epoch=1)
    both = _row(rate, learning_rate=0.001, sequences_per_epoch=1)
    wide = _row(size, units=150, schedule="constant")
    return (f"The recipe. 99 % of the numbers of quick are right {_after(full)}; at the tutorial's rate of 0.001 "
            f"{_after(slow)}; with one sequence an update instead of eight {_after(few)}; with both {_after(both)}. "
            f"With the tutorial's 150 units instead of 64 they are right {_after(wide)}.")


def _values(results: Results, field: str) -> list[Any]:
    return list(dict.fromkeys(row.setting[field] for row in results.rows))


_ANSWERS: Mapping[str, Callable[[Tables], str]] = MappingProxyType({
    "reliability": _reliability, "linear": _linear, "masked": _masked, "longer": _longer, "stateless": _stateless,
    "topology": _topology, "capacity": _capacity, "time": _time, "attention": _attention, "recipe": _recipe})
