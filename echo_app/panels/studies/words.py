"""Studies in words: their settings, values of a measure, and what two settings differ by."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from echo_app.formatting import percent
from echo_core.config.labels import TITLES, label_of, name_in_words
from echo_core.config.labels import value_in_words as control_value
from echo_core.studies.intervals import Difference, Kind
from echo_core.studies.measures import MEASURES, Measure
from echo_core.studies.study import Setting, Study
from echo_core.text.plurals import counted, shortened

#: Unit of a measure that is an amount, and the words of a larger and a smaller one.
_AMOUNTS: Mapping[Measure, tuple[str, str, str]] = MappingProxyType({
    Measure.EPOCHS: ("epochs", "later", "sooner"), Measure.SECONDS: ("seconds", "later", "sooner"),
    Measure.BITS: ("bits", "better", "worse")})
#: Differences from which on their digits are not all 0.
_SEEN: Mapping[Kind, float] = MappingProxyType({Kind.SHARE: 0.0005, Kind.ACCURACY: 0.0005, Kind.AMOUNT: 1e-9})
#: Values of an axis that a title names.
_NAMED = 8


def value_of_field(study: Study, field: str, value: Any) -> str:
    """A value as its control shows it: `GRU`, `on`, `0.01`."""
    return control_value(study.base.model_copy(update={field: value}), field)


def setting_in_words(study: Study, setting: Setting) -> str:
    """`units 16, GRU`: the title of a choice speaks for itself, and a number has the name of its setting."""
    return ", ".join(value_of_field(study, field, value) if field in TITLES and not isinstance(value, bool) else
                     f"{label_of(field).lower()} {value_of_field(study, field, value)}"
                     for field, value in setting.items())


def base_in_words(study: Study) -> str:
    """What does not vary: `Quick partial echo, epochs 400`."""
    varied = {axis.field for axis in study.over}
    return name_in_words(study.base, among=[name for name in type(study.base).model_fields
                                            if name not in varied and name != "seed"])


def title_of(study: Study, longest: int = 160) -> str:
    """`Units 8, 16, 32 × cell LSTM, GRU: Quick partial echo, 5 seeds`; `Whole echo, epochs 500: 100 seeds`.

    Args:
        longest: Characters of what does not vary.
    """
    parts = []
    for axis in study.over:
        values = [value_of_field(study, axis.field, value) for value in axis.values]
        more = f" … {values[-1]}" if len(values) > _NAMED else ""
        parts.append(f"{label_of(axis.field).lower()} {', '.join(values[:_NAMED - 1] if more else values)}{more}")
    tuned = ", learning rate chosen for each" if study.tune else ""
    varied, base, seeds = " × ".join(parts), shortened(base_in_words(study), longest), counted(study.seeds, "seed")
    if len(study.settings) == 1:  # nothing varies
        return f"{base}, {varied}: {seeds}{tuned}"
    return f"{varied[0].upper()}{varied[1:]}: {base}, {seeds}{tuned}"


def in_unit(measure: Measure, value: float | None) -> str:
    """A value of a measure: `94.2 %`, `1,240`, `12.31`; `–` where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if MEASURES[measure].kind is not Kind.AMOUNT:
        return percent(min(1.0, max(0.0, value)))
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def interval_in_words(measure: Measure, low: float | None, high: float | None) -> str:
    """`91.0 % to 97.3 %`; `–` where it cannot be told."""
    return "–" if low is None or high is None else f"{in_unit(measure, low)} to {in_unit(measure, high)}"


def difference_in_words(measure: Measure, name: str, base: str, found: Difference) -> str:
    """`**units 16** is **12.3 percentage points better** than units 8 (95 % interval 3.1 to 20.2, 5 seeds).`

    Args:
        name, base: Names of the two settings, escaped for Markdown.
    """
    if found.n == 0:
        return f"**{name}** and {base} cannot be compared: no seed has a value in both."
    if found.low is None or found.high is None:
        return f"**{name}** and {base} have one seed in common. It takes at least two to tell them apart."
    sign = 1 if found.mean >= 0 else -1
    low, high = sorted((sign * found.low, sign * found.high))
    interval = f"95 % interval {_plain(measure, low)} to {_plain(measure, high)}, {found.n} seeds"
    (size, word), kind = _difference(measure, abs(found.mean), sign), MEASURES[measure].kind
    if found.can_tell:
        return f"**{name}** is **{size} {word}** than {base} ({interval})."
    if found.mean == 0 and low == high:
        return f"**{name}** and {base} are exactly alike in {found.n} seeds."
    more = (f"**cannot tell yet**; about {counted(found.more_seeds, 'more seed')} would" if found.more_seeds else
            "**cannot tell**: if there is a difference, it is too small for any number of seeds that one would train")
    if not found.has_spread:
        return (f"**{name}** or {base}: **cannot tell yet**: two seeds hardly show how much seeds differ. "
                f"Train {found.more_seeds} more.")
    so_far = f"It is {size} {word} so far" if abs(found.mean) >= _SEEN[kind] else "They are alike so far"
    return f"**{name}** or {base}: {more}. {so_far} ({interval})."


def _difference(measure: Measure, size: float, sign: int) -> tuple[str, str]:
    """The size of a difference, and the word for its direction."""
    if measure in _AMOUNTS:
        unit, more, less = _AMOUNTS[measure]
        return f"{_plain(measure, size)} {unit}", more if sign > 0 else less
    return f"{_plain(measure, size)} percentage points", "better" if sign > 0 else "worse"


def _plain(measure: Measure, value: float) -> str:
    """A number without its unit: points of a share, or an amount."""
    if MEASURES[measure].kind is not Kind.AMOUNT:
        return f"{round(100 * value, 1) + 0.0:.1f}".replace("-", "−")  # the sum has no negative zero
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")
