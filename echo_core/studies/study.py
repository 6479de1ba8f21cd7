"""What a study is: a network, one or two settings with their values, seeds, and the runs that follow from them.

    study = Study(base=PRESETS["quick"].config, over=(Axis("units", (8, 16, 32)),), seeds=5)
    [trial.config.run_id for trial in study.trials()]

Nothing here trains. A run of a study is a run like any other, so that whatever the store has already is used.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple, Self

from pydantic import ValidationError

from echo_core.config import RunConfig, written
from echo_core.config.repair import check_field, explain, repair_settings, with_settings
from echo_core.config.sizes import by_nearness
from echo_core.studies.intervals import USUAL_SEEDS

#: The most settings varied at once, seeds, and runs of one study.
MAX_AXES, MAX_SEEDS, MAX_RUNS = 2, 200, 2000
LARGEST_SEED = 2**31 - 1
#: Where the rate is tuned: the learning rates that each setting tries, and the seeds of each. They are other seeds than
#: those of the study, or a rate would win by luck and be judged by the same luck.
RATES, TUNING_SEEDS, FIRST_TUNING_SEED = (0.001, 0.003, 0.01, 0.03), 2, 1_000_000
#: Fields that cannot be varied: a seed is chance and no setting, and a text brings a task of its own.
_FIXED = ("seed", "text")

#: Fields that may move where the base does not fit a setting, the fewest first.
_MOVING = (("batch_size",), ("batch_size", "output_length", "echo_start", "lag"),
           ("batch_size", "output_length", "echo_start", "lag", "input_length", "sequence_length", "stateful"))

#: The value of each varied field.
Setting = Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """A setting that is varied, and its values in the order in which they are shown."""

    field: str
    values: tuple[Any, ...]


class Trial(NamedTuple):
    """One run of a study.

    Attributes:
        place: Of its setting in `Study.settings`.
        rate: The learning rate that it tries out, in a run that only tunes; None in a run that counts.
    """

    place: int
    config: RunConfig
    rate: float | None = None


@dataclass(frozen=True)
class Study:
    """A grid of settings × seeds.

    Attributes:
        base: The settings that do not vary; its seed is the first of the seeds.
        over: One or two axes.
        tune: Whether the learning rate is chosen for each setting from `RATES`, on seeds of its own, before the seeds
            of the study are trained. Networks that are compared at one rate are ranked by that rate
            (arXiv 2508.19029).
    Raises:
        ValueError: With argument, rule, value received and what to try.
    """

    base: RunConfig
    over: tuple[Axis, ...]
    seeds: int = USUAL_SEEDS
    tune: bool = False

    def __post_init__(self) -> None:
        _check_axes(self.over, self.tune)
        if not 1 <= self.seeds <= MAX_SEEDS:
            raise ValueError(f"seeds must be from 1 to {MAX_SEEDS}; received {self.seeds}. Try seeds=5.")
        self._check_seeds()
        number = self.num_runs
        if number > MAX_RUNS:
            raise ValueError(f"a study may have at most {MAX_RUNS:,} runs; received {number:,}. Try fewer values or "
                             "seeds.")
        for setting in self.settings:
            self.config_of(setting, self.base.seed)

    def _check_seeds(self) -> None:
        last, tuning = self.base.seed + self.seeds - 1, range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + TUNING_SEEDS)
        if last > LARGEST_SEED:
            raise ValueError(f"seed must leave room for {self.seeds} seeds up to {LARGEST_SEED:,}; received "
                             f"{self.base.seed:,}. Try seed=0.")
        if self.tune and self.base.seed < tuning.stop and last >= tuning.start:
            raise ValueError(f"seed must keep the study away from the seeds {tuning.start:,} and {tuning.stop - 1:,}, "
                             f"which choose the learning rate; received {self.base.seed:,}. Try seed=0.")

    @property
    def study_id(self) -> str:
        """A hash of the spec: the same question has the same id."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def settings(self) -> list[Setting]:
        """Each combination of values, the last axis fastest."""
        names = [axis.field for axis in self.over]
        return [dict(zip(names, values, strict=True)) for values in product(*(axis.values for axis in self.over))]

    @property
    def ranks_untuned(self) -> bool:
        """Whether networks are compared at one learning rate, which says little about which is the better one."""
        return not self.tune and any(axis.field in ("cell", "variant") for axis in self.over)

    @property
    def num_runs(self) -> int:
        """Runs of the whole study, with those that tune."""
        return self.seeds * self._num_settings + self.num_tuning_runs

    @property
    def num_tuning_runs(self) -> int:
        """Runs that tune the learning rates."""
        return len(RATES) * TUNING_SEEDS * self._num_settings if self.tune else 0

    @property
    def _num_settings(self) -> int:
        return math.prod(len(axis.values) for axis in self.over)

    def config_of(self, setting: Setting, seed: int, rate: float | None = None) -> tuple[RunConfig, Setting]:
        """The config of a run, and what had to change beside the setting.

        Raises:
            ValueError: If no network has such a setting.
        """
        asked = {**setting, "seed": seed, **({"learning_rate": rate} if rate is not None else {})}
        try:
            return with_settings(self.base, asked), {}
        except ValueError as error:
            for moving in _MOVING:
                if config := self._fitted(asked, moving):
                    before = self.base.model_dump()
                    return config, {name: value for name, value in config.model_dump().items()
                                    if name not in asked and value != before[name]}
            said = ", ".join(f"{name}={written(value)}" for name, value in setting.items())
            raise ValueError(f"{said} cannot be trained: {' '.join(explain(error))}") from None

    def _fitted(self, asked: Setting, moving: Sequence[str]) -> RunConfig | None:
        """The config with all that was asked, in which only some other fields may move; None if there is none."""
        fixed = {**{name: value for name, value in self.base.model_dump().items() if name not in moving}, **asked}
        config, _ = repair_settings(fixed)
        if "batch_size" not in asked:  # as near to the windows of the base as divides
            size = by_nearness(self.base.batch_size, config.num_windows)[0]
            config = config.model_copy(update={"batch_size": size})
        return config if all(getattr(config, name) == _typed(name, value) for name, value in fixed.items()) else None

    def trials(self, rates: Mapping[int, float] | None = None) -> Iterator[Trial]:
        """The runs that count: the first seed of each setting, then the second, and so on.

        Args:
            rates: The tuned learning rate of each setting, by its place; settings whose rate is not known yet have no
                trials. None where nothing is tuned.
        """
        for seed in range(self.base.seed, self.base.seed + self.seeds):
            for place, setting in enumerate(self.settings):
                if rates is None:
                    yield Trial(place, self.config_of(setting, seed)[0])
                elif place in rates:
                    yield Trial(place, self.config_of(setting, seed, rates[place])[0])

    def tuning_trials(self) -> Iterator[Trial]:
        """The runs that tune the learning rate of each setting."""
        for seed in range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + TUNING_SEEDS):
            for place, setting in enumerate(self.settings if self.tune else ()):
                for rate in RATES:
                    yield Trial(place, self.config_of(setting, seed, rate)[0], rate)

    def with_seeds(self, seeds: int) -> Self:
        """The same question with another number of seeds: the runs of both are shared."""
        return type(self)(self.base, self.over, seeds, self.tune)

    def to_json(self) -> str:
        """Every field, so that a study stays what it was when a default changes."""
        return json.dumps({"base": self.base.model_dump(), "over": [[axis.field, axis.values] for axis in self.over],
                           "seeds": self.seeds, "tune": self.tune}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`. Raises ValueError if this version cannot read it."""
        try:
            found = json.loads(text)
            axes = tuple(Axis(field, tuple(values)) for field, values in found["over"])
            return cls(RunConfig.model_validate(found["base"]), axes, found["seeds"], found["tune"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("a study must be JSON with base, over, seeds and tune, as Echo Lab writes it") from error


def parse_axis(text: str) -> Axis:
    """`"units=8,16,32" -> Axis("units", (8, 16, 32))`; `"output_length=1-5"` has each whole number from 1 to 5.

    Spaces between values will do as well.

    Raises:
        ValueError: If it is no setting with values.
    """
    field, equals, listed = (part.strip() for part in text.partition("="))
    if not equals or not listed:
        raise ValueError(f"over must be FIELD=V1,V2,…; received {text}. Try units=8,16,32.")
    parts = [value for part in listed.split(",") for value in part.split() or [""]]
    if "" in parts:
        raise ValueError(f"over must have a value between two commas; received {text}. Try units=8,16,32.")
    return Axis(field, tuple(_typed(field, value) for part in parts for value in _spread(field, part)))


def _spread(field: str, part: str) -> Sequence[str]:
    """`"1-5"` as its whole numbers, for a field of whole numbers."""
    first, dash, last = part.partition("-")
    known = RunConfig.model_fields.get(field)
    if not (dash and known and known.annotation is int and first.isdecimal() and last.isdecimal()):
        return [part]
    if not 0 < int(last) - int(first) < MAX_RUNS:
        raise ValueError(f"{field} must go from a smaller to a larger number; received {part}. Try {field}=1-5.")
    return [str(number) for number in range(int(first), int(last) + 1)]


def _typed(field: str, value: Any) -> Any:
    """A value of a field in its own type, by that field's own rules.

    Raises:
        ValueError: If the field is unknown, or cannot have such a value.
    """
    if field not in RunConfig.model_fields:
        raise ValueError(f"{field} is not a setting. Try one of {', '.join(_may_vary())}.")
    try:
        return check_field(field, value)
    except ValidationError as error:
        raise ValueError(" ".join(explain(error))) from None


def _may_vary() -> list[str]:
    return [name for name in RunConfig.model_fields if name not in _FIXED]


def _check_axes(over: Sequence[Axis], tune: bool) -> None:
    fields = [axis.field for axis in over]
    if not 1 <= len(over) <= MAX_AXES:
        raise ValueError(f"over must vary one or two settings; received {len(over)}. Try units=8,16,32.")
    if len(set(fields)) < len(fields):
        raise ValueError(f"over must vary two different settings; received {fields[0]} twice. Try only one of them.")
    for axis in over:
        if axis.field in _FIXED:
            because = ("a seed is chance and no setting; say how many seeds there are instead" if axis.field == "seed"
                       else "each text has sizes of its own")
            raise ValueError(f"over cannot vary {axis.field}, because {because}. Try one of {', '.join(_may_vary())}.")
        for value in axis.values:
            _typed(axis.field, value)
        if len(set(axis.values)) < len(axis.values) or not axis.values:
            raise ValueError(f"{axis.field} must have different values; received "
                             f"{', '.join(map(written, axis.values))}. Try each once.")
    if tune and "learning_rate" in fields:
        raise ValueError("tune must be off where learning_rate is varied, as each would choose it; received both. "
                         "Try only one of them.")
