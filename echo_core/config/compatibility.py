"""Which settings can be combined: the one table that config, page, command line and tests read.

Each row of `REFUSALS` names a value that one setting cannot have beside a value of another, why, and what to take
instead; a network's rows come from its record in `variants.py`. Everything else can be trained: `combinations()` yields
all of it, and `python -m echo_core combinations` prints docs/combinations.md.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

from echo_core.config.cells import CELLS
from echo_core.config.variants import VARIANTS

Task = Literal["echo", "reverse", "pairs", "lag"]
Representation = Literal["one_hot", "linear"]
Missing = Literal["drop", "mask"]
Schedule = Literal["constant", "cosine"]

#: The fields that a row can name, each with its values.
AXES: Mapping[str, tuple[str | bool, ...]] = MappingProxyType({
    "task": get_args(Task), "variant": tuple(VARIANTS), "cell": tuple(CELLS),
    "representation": get_args(Representation), "missing": get_args(Missing), "stateful": (True, False)})


class Refusal(NamedTuple):
    """If `given` is `given_value`, `field` cannot be `value`.

    Attributes:
        because: Why, to be read after "because".
        instead: A value of `field` that can be combined with it.
    """

    given: str
    given_value: str
    field: str
    value: str | bool
    because: str
    instead: str | bool


REFUSALS: tuple[Refusal, ...] = (
    # What a network cannot do.
    *(Refusal("variant", name, field, value, because, AXES[field][0]) for name, variant in VARIANTS.items()
      for field, values in variant.refuses.items() for value, because in values.items()),
    # What a task cannot do.
    Refusal("task", "pairs", "representation", "linear", "words have no order in which one is near another", "one_hot"),
    Refusal("task", "pairs", "missing", "mask", "pairs have no incomplete rows, and short ones are masked anyway",
            "drop"),
    Refusal("task", "lag", "missing", "mask", "its first answers are missing in every window already", "drop"),
    Refusal("task", "pairs", "stateful", True, "one pair does not go on where the one before it ended", False),
)


def refusal(values: Mapping[str, object]) -> Refusal | None:
    """The first row that refuses some settings, if any. A field that is left out is never refused."""
    return next((row for row in REFUSALS
                 if values.get(row.given) == row.given_value and values.get(row.field) == row.value), None)


def offered(field: str, values: Mapping[str, object]) -> tuple[str | bool, ...]:
    """The values of one field that can be combined with the other fields of `values`."""
    return tuple(value for value in AXES[field] if refusal({**values, field: value}) is None)


def network_for(task: str) -> str:
    """The network that replaces one that cannot do a task. It can do the task with every other setting."""
    return "whole" if task == "lag" else "encoder_decoder"


def combinations() -> Iterator[dict[str, str | bool]]:
    """Every combination that no row refuses."""
    for values in product(*AXES.values()):
        chosen = dict(zip(AXES, values, strict=True))
        if refusal(chosen) is None:
            yield chosen


def page() -> Iterator[str]:
    """The lines of docs/combinations.md: what each variant can do, and why it cannot do the rest."""
    yield "# What can be combined\n"
    yield f"{sum(1 for _ in combinations())} combinations of {', '.join(f'`{axis}`' for axis in AXES)} make sense."
    yield "What a network refuses is in `echo_core/config/variants.py`, what a task refuses in"
    yield "`echo_core/config/compatibility.py`; `python -m echo_core combinations` prints this page from them.\n"
    others = [axis for axis in AXES if axis != "variant"]
    yield f"| `variant` | {' | '.join(f'`{axis}`' for axis in others)} |"
    yield f"|---{'|---' * len(others)}|"
    for variant in VARIANTS:
        cells = (", ".join(str(value).lower() for value in offered(axis, {"variant": variant})) for axis in others)
        yield f"| `{variant}` | {' | '.join(cells)} |"
    yield "\n| where | cannot be | because |"
    yield "|---|---|---|"
    for row in REFUSALS:
        yield f"| `{row.given}={row.given_value}` | `{row.field}={str(row.value).lower()}` | {row.because} |"
