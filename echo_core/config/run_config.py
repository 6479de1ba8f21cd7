"""What a run is: its fields, the rules between them, and the id that follows from them.

A `RunConfig` checks its rules once, when it is made. The fields are in `fields.py`, arithmetic is in `sizes.py`, the
limits of a host in `settings.py`; `repair.py` turns settings that break a rule into the nearest ones that do not.
"""

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

from pydantic import field_validator, model_validator

from echo_core.config import sizes
from echo_core.config.compatibility import network_for, refusal
from echo_core.config.fields import RunFields
from echo_core.config.sizes import by_nearness, sizes_of_text
from echo_core.text import words as texts
from echo_core.text.plurals import counted

#: Raise it when some configs would train to other weights, and say in `RunConfig.training_version` which those are:
#: their run ids change with it.
TRAINING_VERSION = 2
#: From this many units on, training adds in another order, which is faster there.
LARGE_UNITS = 256

#: Fields that came after the first release, with the value that held before they existed.
#: The hash of a run leaves them out at that value, so that old run ids stay.
FIELDS_ADDED_LATER: Mapping[str, object] = MappingProxyType({
    "task": "echo", "text": "", "cell": "lstm", "representation": "one_hot", "missing": "drop", "echo_start": 0,
    "schedule": "constant", "clip_norm": 0.0, "lag": 0})


def check_text(task: str, text: str) -> None:
    """Raise ValueError if a normalised text cannot be used for a task."""
    if task == "pairs":
        texts.pairs(text)
    elif texts.ARROW in texts.words(text):
        raise ValueError(f"text must be a row of words for task {task}; received a pair with {texts.ARROW}. "
                         "Try task=pairs, or words alone.")
    if (different := len(texts.vocabulary(text))) < 2:
        raise ValueError(f"text must have at least 2 different words; received {different}. Try a longer text.")


class RunConfig(RunFields):
    """Everything needed to repeat one training run, and nothing else.

    The defaults are preset `whole`: `RunConfig().num_parameters -> 11780`. Fields that follow from a
    text may be left out; if given, they must equal what follows.

    Raises:
        pydantic.ValidationError: With a message that names the argument, the rule, the value received and what to try.
            `repair.explain` turns it into plain lines.
    """

    @model_validator(mode="before")
    @classmethod
    def _sizes_of_a_text(cls, values: Any) -> Any:
        """Add the fields that follow from a text, unless they are given."""
        if not isinstance(values, Mapping) or not isinstance(values.get("text"), str) or not values["text"]:
            return values
        try:
            task, text = str(values.get("task", "echo")), texts.read(values["text"])
            check_text(task, text)
            return {**sizes_of_text(task, text), **values, "text": text}
        except ValueError:
            return values  # a rule below reports what is wrong with the text

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans_as_numbers(cls, value: object, info: Any) -> object:
        field = cls.model_fields[info.field_name]
        if isinstance(value, bool) and field.annotation in (int, float):
            raise ValueError(f"{info.field_name} must be a number; received {value}. "
                             f"Try {info.field_name}={written(field.default)}.")
        return value

    @model_validator(mode="after")
    def _text_serves_task(self) -> Self:
        # This rule comes first, because other fields follow from a text that passes it.
        if self.text:
            check_text(self.task, self.text)
        elif self.task == "pairs":
            raise ValueError("text must have the pairs that task pairs learns; received an empty text. "
                             f"Try text=\"how are you ? {texts.ARROW} i'm fine\", a pair a line.")
        return self

    @model_validator(mode="after")
    def _makes_sense_together(self) -> Self:
        if row := refusal(self.model_dump()):
            other = f", or variant={network_for(self.task)}" if row.given == "variant" else ""
            raise ValueError(f"{row.field} cannot be {written(row.value)} with {row.given}={row.given_value}, because "
                             f"{row.because}. Try {row.field}={written(row.instead)}{other}.")
        return self

    @model_validator(mode="after")
    def _text_fits(self) -> Self:
        if not self.text:
            return self
        if self.task != "pairs" and (received := len(texts.words(self.text))) < self.input_length:
            raise ValueError(f"text must have at least input_length ({self.input_length}) words, so that there is a "
                             f"window to show; received {received}. Try a longer text, or input_length={received}.")
        for name, value in sizes_of_text(self.task, self.text).items():
            if name not in ("batch_size", "sequences_per_epoch") and getattr(self, name) != value:
                raise ValueError(f"{name} must be {value} with this text, because it follows from its words; "
                                 f"received {getattr(self, name)}. Try {name}={value}.")
        return self

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.task == "pairs":
            return self._pairs_fit()
        if self.lag and self.task != "lag":
            raise ValueError(f"lag must be 0 with task {self.task}, because only task lag answers some steps after it "
                             f"has read; received {self.lag}. Try lag=0, or task=lag.")
        if self.input_length > self.sequence_length:
            raise ValueError(f"input_length must be at most sequence_length ({self.sequence_length}), because a window "
                             f"is a slice of the sequence; received {self.input_length}. "
                             f"Try input_length={self.sequence_length} or a longer sequence.")
        if self.output_length > self.input_length:
            raise ValueError(f"output_length must be at most input_length ({self.input_length}), because only what was "
                             f"read can be echoed; received {self.output_length}. "
                             f"Try output_length={self.input_length}.")
        if self.answers_every_step and self.output_length != self.input_length:
            where, other = ("task lag", "task=echo") if self.task == "lag" else (
                f"variant {self.variant}", "variant=encoder_decoder")
            raise ValueError(f"output_length must equal input_length ({self.input_length}) for {where}, because it "
                             f"answers at every timestep that it reads; received {self.output_length}. "
                             f"Try output_length={self.input_length}, or {other}.")
        if self.lag >= self.input_length:
            raise ValueError(f"lag must be less than input_length ({self.input_length}), because a number and the step "
                             f"at which it must be said have to lie in the same window; received {self.lag}. "
                             f"Try lag={self.input_length - 1}, or input_length={self.lag + 1}.")
        if self.echo_start + self.output_length > self.input_length:
            latest, read = self.input_length - self.output_length, counted(self.input_length, "number")
            raise ValueError(f"echo_start must be at most {latest}, because a block of {self.output_length} has to lie "
                             f"within the {read} that {'is' if self.input_length == 1 else 'are'} read; "
                             f"received {self.echo_start}. Try echo_start={latest}.")
        return self

    def _pairs_fit(self) -> Self:
        if self.lag:
            raise ValueError("lag must be 0 with task pairs, because an answer begins when its question has been read; "
                             f"received {self.lag}. Try lag=0.")
        if self.echo_start:
            raise ValueError("echo_start must be 0 with task pairs, because an answer is not a block of its question; "
                             f"received {self.echo_start}. Try echo_start=0.")
        if self.sequences_per_epoch > 1:
            raise ValueError("sequences_per_epoch must be 1 with task pairs, because an epoch trains on every pair "
                             f"once; received {self.sequences_per_epoch}. Try sequences_per_epoch=1.")
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
                f"batch_size must divide the {counted(self.num_windows, 'window')} of an epoch, because a compiled "
                f"epoch needs equal batches; received {self.batch_size}. "
                f"Try one of {sorted(by_nearness(self.batch_size, self.num_windows)[:12])}.")
        return self

    # --- sizes -------------------------------------------------------------------------------------

    @property
    def num_parameters(self) -> int:
        """Trainable weights, as Keras counts them."""
        return sizes.num_parameters(self)

    @property
    def bits(self) -> float:
        """Bits that the network must hold between reading and answering; 0 for whole echo."""
        return sizes.bits(self)

    # --- identity and exchange ---------------------------------------------------------------------

    @property
    def network(self) -> "RunConfig":
        """The config with defaults for every argument of a compiled program: runs with equal ones share the program."""
        fields = type(self).model_fields
        arguments = ["seed", "epochs", "learning_rate", *(["text"] if self.task != "pairs" else [])]
        return self.model_copy(update={name: fields[name].default for name in arguments})

    @property
    def training_version(self) -> int:
        """The first version of the training that gives this config the weights that it gets now."""
        return 2 if self.cell != "lstm" or self.has_gaps or self.units >= LARGE_UNITS else 1

    @property
    def run_id(self) -> str:
        """The run's name: a hash of the canonical config and its training version."""
        return self._hash()

    @property
    def family(self) -> str:
        """A hash that runs share if they differ in `epochs` only: a longer one can continue a shorter one."""
        return self._hash("epochs")

    def extended(self, epochs: int) -> Self:
        """This run with another total of epochs. Raises ValueError where `epochs` shapes every step."""
        if self.schedule != "constant":
            raise ValueError(f"a run with schedule={self.schedule} cannot be extended, because epochs shapes its rate "
                             f"from the first step on; received epochs={epochs}. Try training anew with that number.")
        return type(self).model_validate({**self.model_dump(), "epochs": epochs})

    def _hash(self, *left_out: str) -> str:
        canonical = {name: value for name, value in self.model_dump(exclude=set(left_out)).items()
                     if name not in FIELDS_ADDED_LATER or value != FIELDS_ADDED_LATER[name]}
        text = json.dumps([self.training_version, canonical], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_query(self) -> dict[str, str]:
        """Every field for a query string, ready for `urllib.parse.urlencode`. A text is packed."""
        query = {name: written(value) for name, value in self.model_dump().items()}
        return {**query, "text": texts.pack(self.text) if self.text else ""}


def written(value: object) -> str:
    """A value as people and query strings write it: `True -> true`, `1.0 -> 1`."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
