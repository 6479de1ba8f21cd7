"""What a run is: its settings, the presets, and the arithmetic that follows from them.

Invariants live here and are checked once, when a `RunConfig` is born. What a host allows is
another matter: see `settings.py`.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

#: Changes whenever the same config would train to other weights, and so makes new run ids.
TRAINING_VERSION = 1

#: Fields that came after the first release, with the value that held before they existed.
#: The hash of a run leaves them out at that value, so that old run ids stay.
FIELDS_ADDED_LATER: Mapping[str, object] = MappingProxyType({})

Variant = Literal["whole", "encoder_decoder"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

Count = Annotated[int, Field(ge=1, le=10_000_000)]
Size = Annotated[int, Field(ge=1, le=100_000)]


class RunConfig(BaseModel):
    """Everything needed to repeat one training run, and nothing else. Lengths count timesteps.

    The defaults are preset `whole`: `RunConfig().num_parameters -> 11780`.

    Raises:
        pydantic.ValidationError: With a message that names the argument, the rule, the value
            received and what to try. `explain` turns it into plain lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: Variant = Field("whole", description=(
        "Which network: `whole` answers at every step while it reads; `encoder_decoder` reads everything "
        "first and answers from memory."))
    vocab_size: Annotated[int, Field(ge=2, le=100_000)] = Field(100, description=(
        "How many different numbers there are. Each is one-hot: a row of zeros with a single one. More "
        "numbers carry more bits and take longer to learn."))
    sequence_length: Size = Field(25, description=(
        "How many random numbers make one sequence. Windows slide along it, so a longer sequence gives more "
        "windows an epoch."))
    input_length: Size = Field(5, description=(
        "How many numbers the network reads in one window. The longer the window, the longer the first number"
        " must be remembered."))
    output_length: Size = Field(5, description=(
        "How many of the window's oldest numbers come back. Each one more is another number to remember."))
    units: Size = Field(20, description=(
        "The width of each LSTM layer: how many values its memory has. Too few cannot hold the numbers; more "
        "learn in fewer epochs, each of them slower."))
    stateful: bool = Field(True, description=(
        "Carry the LSTM's state from one batch to the next within an epoch, as the tutorial does. It is "
        "always reset between epochs and before every prediction."))
    sequences_per_epoch: Size = Field(1, description=(
        "How many new random sequences an epoch trains on. More give steadier updates."))
    batch_size: Count = Field(7, description=(
        "How many windows make one update of the weights. It must divide the windows of an epoch."))
    epochs: Count = Field(500, description=(
        "How often the network trains on new random sequences. Every epoch has fresh ones, so nothing can be "
        "learnt by heart."))
    learning_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(0.001, description=(
        "How big a step each update takes (Adam). Too small is slow; too large never settles."))
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description=(
        "Fixes everything random: first weights, training data, test data. The same seed repeats the run bit "
        "for bit."))

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans_as_numbers(cls, value: object, info: Any) -> object:
        if isinstance(value, bool) and info.field_name not in ("stateful", "variant"):
            default = cls.model_fields[info.field_name].default
            raise ValueError(f"{info.field_name} must be a number; received {value}. "
                             f"Try {info.field_name}={default}.")
        return value

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.input_length > self.sequence_length:
            raise ValueError(
                f"input_length must be at most sequence_length ({self.sequence_length}), because a window "
                f"is a slice of the sequence; received {self.input_length}. "
                f"Try input_length={self.sequence_length} or a longer sequence.")
        if self.output_length > self.input_length:
            raise ValueError(
                f"output_length must be at most input_length ({self.input_length}), because only what was "
                f"read can be echoed; received {self.output_length}. Try output_length={self.input_length}.")
        if self.variant == "whole" and self.output_length != self.input_length:
            raise ValueError(
                f"output_length must equal input_length ({self.input_length}) for variant whole, because it "
                f"answers at every timestep that it reads; received {self.output_length}. "
                f"Try output_length={self.input_length}, or variant=encoder_decoder.")
        return self

    @model_validator(mode="after")
    def _state_has_one_sequence(self) -> Self:
        if self.stateful and self.sequences_per_epoch > 1:
            raise ValueError(
                f"stateful must be false with more than one sequence an epoch, because state would be carried "
                f"from one sequence into another; received sequences_per_epoch={self.sequences_per_epoch}. "
                f"Try stateful=false or sequences_per_epoch=1.")
        return self

    @model_validator(mode="after")
    def _batch_divides_windows(self) -> Self:
        if self.num_windows % self.batch_size:
            raise ValueError(
                f"batch_size must divide the {self.num_windows} windows of an epoch, because a compiled "
                f"epoch needs equal batches; received {self.batch_size}. "
                f"Try one of {sorted(by_nearness(self.batch_size, self.num_windows)[:12])}.")
        return self

    # --- arithmetic of sizes -------------------------------------------------------------------

    @property
    def windows_per_sequence(self) -> int:
        """Complete windows along one sequence: 25 numbers and input 5 give 21."""
        return self.sequence_length - self.input_length + 1

    @property
    def num_windows(self) -> int:
        """Windows that one epoch trains on."""
        return self.sequences_per_epoch * self.windows_per_sequence

    @property
    def updates_per_epoch(self) -> int:
        """Updates of the weights in one epoch."""
        return self.num_windows // self.batch_size

    @property
    def num_parameters(self) -> int:
        """Trainable weights, as Keras counts them."""
        readout = self.units * self.vocab_size + self.vocab_size
        encoder = lstm_parameters(self.vocab_size, self.units)
        decoder = lstm_parameters(self.units, self.units) if self.variant == "encoder_decoder" else 0
        return encoder + decoder + readout

    @property
    def bits(self) -> float:
        """Bits that the network must hold between reading and answering; 0 for whole echo."""
        if self.variant == "whole":
            return 0.0
        return self.output_length * math.log2(self.vocab_size)

    @property
    def chance_loss(self) -> float:
        """Cross-entropy of pure guessing, in nats per token."""
        return math.log(self.vocab_size)

    @property
    def flops_per_window(self) -> int:
        """Multiplications and additions of one forward pass over one window, matrix products only.

        One-hot rows are looked up and the decoder's input product is made once, so both count so.
        """
        recurrent = 8 * self.units * self.units
        readout = 2 * self.units * self.vocab_size * self.output_length
        steps = self.input_length
        if self.variant == "encoder_decoder":
            steps += self.output_length + 1
        return recurrent * steps + readout

    @property
    def network(self) -> "RunConfig":
        """The config without what a compiled program takes as arguments: runs that share it share the program."""
        fields = type(self).model_fields
        return self.model_copy(update={name: fields[name].default for name in ("seed", "epochs", "learning_rate")})

    # --- identity and exchange -----------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The run's name: a hash of the canonical config and the training version."""
        canonical = {name: value for name, value in self.model_dump().items()
                     if name not in FIELDS_ADDED_LATER or value != FIELDS_ADDED_LATER[name]}
        text = json.dumps([TRAINING_VERSION, canonical], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """The config as JSON, every field, so that it means the same when defaults change."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`. Raises `pydantic.ValidationError`."""
        return cls.model_validate_json(text)

    def to_query(self) -> dict[str, str]:
        """The config as query-string fields, every field, ready for `urllib.parse.urlencode`."""
        return {name: _written(value) for name, value in self.model_dump().items()}


class Preset(NamedTuple):
    """A config worth starting from, with a sentence on what to watch for."""

    title: str
    watch_for: str
    config: RunConfig


PRESETS: Mapping[str, Preset] = MappingProxyType({
    "whole": Preset(
        "Whole echo (tutorial)",
        "The network answers while it reads, so it needs no memory at all. Watch every window turn right "
        "long before the loss is small.",
        RunConfig()),
    "partial": Preset(
        "Partial echo (tutorial)",
        "The network reads five numbers, and only then says the first two. Watch nothing happen for a "
        "while, and then memory appear.",
        RunConfig(variant="encoder_decoder", output_length=2, units=150, batch_size=21, epochs=5000)),
    "quick": Preset(
        "Quick partial echo",
        "The same memory task with better settings: fewer units, more sequences an update, a higher "
        "rate. Watch it beat the tutorial's settings in a fraction of the time.",
        RunConfig(variant="encoder_decoder", output_length=2, units=64, stateful=False,
                  sequences_per_epoch=8, batch_size=168, epochs=800, learning_rate=0.01)),
})


def divisors(number: int) -> list[int]:
    """All divisors in order: the batch sizes that fit. `divisors(21) -> [1, 3, 7, 21]`."""
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def by_nearness(batch_size: int, num_windows: int) -> list[int]:
    """The batch sizes that fit, those nearest in ratio first. `by_nearness(6, 21) -> [7, 3, 21, 1]`."""
    return sorted(divisors(num_windows), key=lambda n: abs(math.log(n / batch_size)))


def explain(error: ValidationError) -> list[str]:
    """One plain line for each thing wrong: argument, rule, value received, what to try."""
    return [_explain_one(dict(item)) for item in error.errors(include_url=False)]


def mend(values: Mapping[str, object]) -> tuple[RunConfig, list[str]]:
    """The config nearest to `values` that can be, and a line for each value that was not accepted.

    For doors at which a refusal would help nobody: a link, and controls that follow one another.
    Missing fields have their defaults; ones that merely follow from others change without a word.

    `mend({"units": "-5", "seed": "3"}) -> (RunConfig(seed=3), ["units must be at least 1; …"])`
    """
    accepted: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name, value in values.items():
        try:
            accepted[name] = _check_field(name, value)
        except ValidationError as error:
            refused[name] = " ".join(_explain_one(dict(item), advise=False) for item in error.errors())
    config = RunConfig(**_fit({**RunConfig().model_dump(), **accepted}, accepted))
    used = config.to_query()
    notes = [f"{line} {name} is {used[name]} instead." if name in used else line for name, line in refused.items()]
    notes += [f"{name}={_written(value)} does not fit the other settings; it is {used[name]} instead."
              for name, value in accepted.items() if getattr(config, name) != value]
    return config, notes


def parse_settings(pairs: Iterable[str]) -> dict[str, str]:
    """`["units=64", "seed=3"] -> {"units": "64", "seed": "3"}`. Raises ValueError without a `=`."""
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"a setting must be FIELD=VALUE; received {_show(pair)}. Try units=64.")
        settings[name.strip()] = value.strip()
    return settings


def _written(value: object) -> str:
    """A value as people and query strings write it: true, not True, and 1, not 1.0."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0")


def lstm_parameters(features: int, units: int) -> int:
    """Weights of an LSTM layer: four gates, each with a kernel, a recurrent kernel and a bias."""
    return 4 * units * (features + units + 1)


def _check_field(name: str, value: object) -> object:
    """The value of one field, checked by that field's own rules alone."""
    if name not in RunConfig.model_fields:
        RunConfig.model_validate({name: value})  # raises, as an unknown field
    if isinstance(value, bool) and name != "stateful":
        RunConfig.model_validate({name: value})  # raises, as a boolean for a number
    try:
        return _adapter(name).validate_python(value)
    except ValidationError as error:
        # The adapter does not know the field's name; a line that explains must.
        details = [{"type": item["type"], "loc": (name,), "input": value, "ctx": item.get("ctx", {})}
                   for item in error.errors()]
        raise ValidationError.from_exception_data("RunConfig", details) from None  # type: ignore[arg-type]


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """The rules of one field. Made once: that takes a hundred times as long as a check."""
    field = RunConfig.model_fields[name]
    annotated: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(annotated)


def _fit(values: dict[str, Any], given: Mapping[str, object]) -> dict[str, Any]:
    """Bring fields that depend on others into their range, moving those that were not given first."""
    fitted = dict(values)
    whole = fitted["variant"] == "whole"
    echo = fitted["output_length"]
    if "output_length" in given and "input_length" not in given:
        fitted["input_length"] = echo if whole else max(echo, fitted["input_length"])
    if "sequence_length" not in given:
        fitted["sequence_length"] = max(fitted["sequence_length"], fitted["input_length"])
    fitted["input_length"] = min(fitted["input_length"], fitted["sequence_length"])
    fitted["output_length"] = fitted["input_length"] if whole else min(echo, fitted["input_length"])
    if fitted["sequences_per_epoch"] > 1:
        fitted["stateful"] = False
    windows = fitted["sequences_per_epoch"] * (fitted["sequence_length"] - fitted["input_length"] + 1)
    fitted["batch_size"] = by_nearness(fitted["batch_size"], windows)[0]
    return fitted


#: What pydantic's names for a broken rule mean in plain words.
_RULES: Mapping[str, str] = MappingProxyType({
    "greater_than_equal": "must be at least {limit}",
    "greater_than": "must be more than {limit}",
    "less_than_equal": "must be at most {limit}",
    "less_than": "must be less than {limit}",
    "literal_error": "must be one of {limit}",
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), "must be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
})


def _explain_one(item: dict[str, Any], advise: bool = True) -> str:
    context = item.get("ctx", {})
    if item["type"] == "value_error":
        return str(context["error"])
    field = ".".join(str(part) for part in item["loc"])
    name = _show(field)
    if item["type"] == "extra_forbidden":
        return f"{name} is not a setting. Try one of {', '.join(RunConfig.model_fields)}."
    rule = _RULES.get(item["type"], "is not valid").format(limit=_written(next(iter(context.values()), "")))
    default = RunConfig.model_fields[field].default if field in RunConfig.model_fields else None
    advice = f" Try {name}={_written(default)}." if advise and default is not None else ""
    return f"{name} {rule}; received {_show(item['input'])}.{advice}"


def _show(value: object, longest: int = 40) -> str:
    text = value if isinstance(value, str) and value and value.isprintable() else repr(value)
    return text if len(text) <= longest else text[:longest] + "…"
