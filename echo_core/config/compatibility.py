"""Which settings can be combined: the one table that config, page, command line and tests read.

Each row of `REFUSALS` names a value that one setting cannot have beside a value of another, why, and what to
take instead. Everything else can be trained: `combinations()` yields all of it, and `python -m echo_core combinations`
prints docs/combinations.md.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

Task = Literal["echo", "reverse", "pairs", "lag"]
Variant = Literal["whole", "encoder_decoder", "padded", "attention", "one_to_one", "many_to_one", "no_memory"]
Cell = Literal["lstm", "gru", "simple_rnn"]
Representation = Literal["one_hot", "linear"]
Missing = Literal["drop", "mask"]
Schedule = Literal["constant", "cosine"]

VARIANTS: tuple[Variant, ...] = get_args(Variant)

#: What may be combined, each with its values.
AXES: Mapping[str, tuple[str | bool, ...]] = MappingProxyType({
    "task": get_args(Task), "variant": VARIANTS, "cell": get_args(Cell), "representation": get_args(Representation),
    "missing": get_args(Missing), "stateful": (True, False)})


class Refusal(NamedTuple):
    """Where `given` is `given_value`, `field` cannot be `value`.

    Attributes:
        because: Why, to be read after "because".
        instead: A value of `field` that makes sense there.
    """

    given: str
    given_value: str
    field: str
    value: str | bool
    because: str
    instead: str | bool


_TOO_EARLY = "it answers while it still reads, and would have to say numbers that it has not read yet"
_TOO_LATE = "it answers only when it has read everything, so no answer lags behind a number by fixed steps"
_ONE_PASS = "question and answer have lengths of their own, which takes an encoder and a decoder"

REFUSALS: tuple[Refusal, ...] = (
    # What a network cannot do.
    Refusal("variant", "whole", "task", "reverse", _TOO_EARLY, "echo"),
    Refusal("variant", "padded", "task", "reverse", _TOO_EARLY, "echo"),
    *(Refusal("variant", variant, "task", "pairs", _ONE_PASS, "echo")
      for variant in ("whole", "padded", "one_to_one", "many_to_one", "no_memory")),
    Refusal("variant", "padded", "task", "lag", "it says paddings until its one echo is due", "echo"),
    *(Refusal("variant", variant, "task", "lag", _TOO_LATE, "echo")
      for variant in ("encoder_decoder", "attention", "one_to_one", "many_to_one")),
    *(Refusal("variant", "no_memory", "cell", cell, "it has no recurrent layer", "lstm")
      for cell in ("gru", "simple_rnn")),
    Refusal("variant", "padded", "representation", "linear",
            "a padding is one class more, and no number between 0 and 1", "one_hot"),
    Refusal("variant", "attention", "representation", "linear",
            "the question whether scaled numbers are enough is put to the tutorial's own networks", "one_hot"),
    Refusal("variant", "one_to_one", "representation", "linear",
            "many_to_one asks the same of a network that reads number by number", "one_hot"),
    Refusal("variant", "no_memory", "representation", "linear",
            "to hand one scaled number on there is nothing to learn", "one_hot"),
    Refusal("variant", "padded", "missing", "mask", "its paddings stand where an incomplete row has nothing", "drop"),
    Refusal("variant", "one_to_one", "missing", "mask",
            "a mask hides timesteps, and it reads all of them as one", "drop"),
    Refusal("variant", "many_to_one", "missing", "mask",
            "it answers with one vector, of which no timestep can be left out", "drop"),
    Refusal("variant", "no_memory", "missing", "mask",
            "each answer looks at one number, and there would be none", "drop"),
    # What a task does not have.
    Refusal("task", "pairs", "representation", "linear", "words have no order in which one is near another", "one_hot"),
    Refusal("task", "pairs", "missing", "mask", "pairs have no incomplete rows, and short ones are masked anyway",
            "drop"),
    Refusal("task", "lag", "missing", "mask", "its first answers are missing in every window already", "drop"),
    Refusal("task", "pairs", "stateful", True, "one pair does not go on where the one before it ended", False),
)


def refusal(values: Mapping[str, object]) -> Refusal | None:
    """The first row that refuses some settings, if one does. Those that are left out refuse nothing."""
    return next((row for row in REFUSALS
                 if values.get(row.given) == row.given_value and values.get(row.field) == row.value), None)


def offered(field: str, values: Mapping[str, object]) -> tuple[str | bool, ...]:
    """The values of one field that make sense beside the others of `values`."""
    return tuple(value for value in AXES[field] if refusal({**values, field: value}) is None)


def network_for(task: str) -> Variant:
    """The network that takes over where the chosen one cannot do a task: it can do it with every other setting."""
    return "whole" if task == "lag" else "encoder_decoder"


def combinations() -> Iterator[dict[str, str | bool]]:
    """Every combination that makes sense."""
    for values in product(*AXES.values()):
        chosen = dict(zip(AXES, values, strict=True))
        if refusal(chosen) is None:
            yield chosen


def page() -> Iterator[str]:
    """The table in Markdown: what each variant can do, and why not more."""
    yield "# What can be combined\n"
    yield f"{sum(1 for _ in combinations())} combinations of {', '.join(f'`{axis}`' for axis in AXES)} make sense."
    yield "`echo_core/config/compatibility.py` is the table that the page, the command line and the tests read;"
    yield "`python -m echo_core combinations` prints this page from it.\n"
    others = [axis for axis in AXES if axis != "variant"]
    yield f"| `variant` | {' | '.join(f'`{axis}`' for axis in others)} |"
    yield f"|---{'|---' * len(others)}|"
    for variant in VARIANTS:
        cells = (", ".join(map(_written, offered(axis, {"variant": variant}))) for axis in others)
        yield f"| `{variant}` | {' | '.join(cells)} |"
    yield "\n| where | cannot be | because |"
    yield "|---|---|---|"
    for row in REFUSALS:
        yield f"| `{row.given}={row.given_value}` | `{row.field}={_written(row.value)}` | {row.because} |"


def _written(value: str | bool) -> str:
    return str(value).lower()
