"""What a run is: its settings, and the arithmetic that follows from them.

Invariants live here and are checked once, when a `RunConfig` is born. What a host allows is
another matter: see `settings.py`. Settings worth starting from are in `presets.py`, and `repair.py` makes the
best of settings that cannot be.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from echo_core.config.compatibility import Cell, Missing, Representation, Schedule, Task, Variant, network_for, refusal
from echo_core.text import words as texts
from echo_core.text.plurals import counted

#: Changes whenever the same config would train to other weights, and so makes new run ids.
TRAINING_VERSION = 1

#: Fields that came after the first release, with the value that held before they existed.
#: The hash of a run leaves them out at that value, so that old run ids stay.
FIELDS_ADDED_LATER: Mapping[str, object] = MappingProxyType({
    "task": "echo", "text": "", "cell": "lstm", "representation": "one_hot", "missing": "drop", "echo_start": 0,
    "schedule": "constant", "clip_norm": 0.0, "lag": 0})

#: The most that a count, and a size, may be.
MOST, LARGEST = 10_000_000, 100_000

Count = Annotated[int, Field(ge=1, le=MOST)]
Size = Annotated[int, Field(ge=1, le=LARGEST)]

#: Gates of a cell, and the vectors that its state is made of.
NUM_GATES: Mapping[Cell, int] = MappingProxyType({"lstm": 4, "gru": 3, "simple_rnn": 1})
NUM_STATES: Mapping[Cell, int] = MappingProxyType({"lstm": 2, "gru": 1, "simple_rnn": 1})


def sizes_of_text(task: str, text: str) -> dict[str, Any]:
    """The fields that follow from a text in its form. Raises ValueError if a line of pairs is none."""
    sizes: dict[str, Any] = {"vocab_size": len(texts.vocabulary(text))}
    if task == "pairs":
        pairs = texts.pairs(text)
        longest = max(len(pair.question) for pair in pairs)
        sizes |= {"input_length": longest, "sequence_length": longest, "stateful": False, "sequences_per_epoch": 1,
                  "output_length": max(len(pair.answer) for pair in pairs), "batch_size": len(pairs)}
    return sizes


def check_text(task: str, text: str) -> None:
    """Raise ValueError if a text in its form does not serve a task."""
    if task == "pairs":
        texts.pairs(text)
    elif texts.ARROW in texts.words(text):
        raise ValueError(f"text must be a row of words for task {task}; received a pair with {texts.ARROW}. "
                         "Try task=pairs, or words alone.")
    if (different := len(texts.vocabulary(text))) < 2:
        raise ValueError(f"text must have at least 2 different words; received {different}. Try a longer text.")


class RunConfig(BaseModel):
    """Everything needed to repeat one training run, and nothing else. Lengths count timesteps.

    The defaults are preset `whole`: `RunConfig().num_parameters -> 11780`. A text brings its sizes along:
    those that follow from it need not be given, and if they are, they must be what follows.

    Raises:
        pydantic.ValidationError: With a message that names the argument, the rule, the value
            received and what to try. `mending.explain` turns it into plain lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task = Field("echo", description=(
        "What is asked: `echo` says a block of the input again, `reverse` says it backwards, `pairs` answers "
        "questions of your own, and `lag` says at each step the number read some steps before. Backwards, the number "
        "read last must be said first."))
    text: Annotated[str, AfterValidator(texts.read)] = Field("", description=(
        "Your own words instead of random numbers; for `pairs` a question => answer on each line. The words make "
        "the vocabulary, so fewer different ones are learnt sooner."))
    variant: Variant = Field("whole", description=(
        "Which network. `whole` answers at every step while it reads; `encoder_decoder` reads everything first and "
        "answers from memory; the others change one thing about that."))
    cell: Cell = Field("lstm", description=(
        "What a recurrent layer is made of. A `gru` has three gates instead of an LSTM's four, and learns about as "
        "well; a `simple_rnn` has none: what it reads fades within some steps."))
    representation: Representation = Field("one_hot", description=(
        "How a number is shown to the network. `one_hot`: a class of its own, right or wrong. `linear`: scaled to "
        "0…1 and guessed by how large it is, so near misses count as nearly right, and exact answers are rare."))
    missing: Missing = Field("drop", description=(
        "What happens to rows at both ends of a sequence that miss a value. `drop` leaves them out; `mask` keeps them "
        "and lets the network skip the gaps, which gives more windows from one sequence."))
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
        "How many numbers come back. Each one more is another number to remember."))
    echo_start: Annotated[int, Field(ge=0, le=100_000)] = Field(0, description=(
        "Where in the window the block that comes back begins: 0 is the oldest number, as in the tutorial. Later "
        "ones have less time to be forgotten."))
    lag: Annotated[int, Field(ge=0, le=100_000)] = Field(0, description=(
        "For task `lag`: how many steps after it was read each number must be said. The network then has to hold that "
        "many numbers at any time. The first answers of a window, before there is a number to say, do not count."))
    units: Size = Field(20, description=(
        "The width of each recurrent layer: how many values its memory has. Too few cannot hold the numbers; more "
        "learn in fewer epochs, each of them slower."))
    stateful: bool = Field(True, description=(
        "Carry the state from one batch to the next within an epoch, as the tutorial does. It is "
        "always reset between epochs and before every prediction, so it changes learning little."))
    sequences_per_epoch: Size = Field(1, description=(
        "How many new random sequences an epoch trains on. More give steadier updates."))
    batch_size: Count = Field(7, description=(
        "How many windows make one update of the weights. It must divide the windows of an epoch. Fewer give more "
        "updates, each of them rougher."))
    epochs: Count = Field(500, description=(
        "How often the network trains on new random sequences. Every epoch has fresh ones, so nothing can be "
        "learnt by heart."))
    learning_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(0.001, description=(
        "How big a step each update takes (Adam). Too small is slow; too large never settles."))
    schedule: Schedule = Field("constant", description=(
        "Whether the rate stays as it is (`constant`) or falls to zero along a `cosine`: big steps first, then ever "
        "finer ones, which long echoes need to get the last windows right."))
    clip_norm: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = Field(0.0, description=(
        "The longest that one update's gradient may be; longer ones are shortened to it. It keeps a high rate "
        "from throwing away in one step what was learnt. 0 is no limit."))
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description=(
        "Fixes everything random: first weights, training data, test data. The same seed repeats the run bit "
        "for bit."))

    @model_validator(mode="before")
    @classmethod
    def _sizes_of_a_text(cls, values: Any) -> Any:
        """Fill in what follows from a text, where nothing is said of it."""
        if not isinstance(values, Mapping) or not isinstance(values.get("text"), str) or not values["text"]:
            return values
        try:
            task, text = str(values.get("task", "echo")), texts.read(values["text"])
            check_text(task, text)
            return {**sizes_of_text(task, text), **values, "text": text}
        except ValueError:
            return values  # the rules below say what is wrong with it

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
        # First of all: other fields follow from a text, and only from one that serves.
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
            raise ValueError(
                f"input_length must be at most sequence_length ({self.sequence_length}), because a window "
                f"is a slice of the sequence; received {self.input_length}. "
                f"Try input_length={self.sequence_length} or a longer sequence.")
        if self.output_length > self.input_length:
            raise ValueError(
                f"output_length must be at most input_length ({self.input_length}), because only what was "
                f"read can be echoed; received {self.output_length}. Try output_length={self.input_length}.")
        if self.answers_every_step and self.output_length != self.input_length:
            where, other = ("task lag", "task=echo") if self.task == "lag" else (
                "variant whole", "variant=encoder_decoder")
            raise ValueError(
                f"output_length must equal input_length ({self.input_length}) for {where}, because it "
                f"answers at every timestep that it reads; received {self.output_length}. "
                f"Try output_length={self.input_length}, or {other}.")
        if self.lag >= self.input_length:
            raise ValueError(
                f"lag must be less than input_length ({self.input_length}), because a number and the step at which it "
                f"must be said have to lie in the same window; received {self.lag}. "
                f"Try lag={self.input_length - 1}, or input_length={self.lag + 1}.")
        if self.echo_start + self.output_length > self.input_length:
            latest, read = self.input_length - self.output_length, counted(self.input_length, "number")
            raise ValueError(
                f"echo_start must be at most {latest}, because a block of {self.output_length} has to lie within the "
                f"{read} that {'is' if self.input_length == 1 else 'are'} read; received {self.echo_start}. "
                f"Try echo_start={latest}.")
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

    # --- arithmetic of sizes -------------------------------------------------------------------

    @property
    def windows_per_sequence(self) -> int:
        """Windows along one sequence: 25 numbers and input 5 give 21. Of a text of pairs, the pairs.

        With gaps masked, each row that has a part of its echo: 25 numbers and an echo of 2 give 26.
        """
        if self.task == "pairs":
            return len(texts.pairs(self.text))
        if self.missing == "mask":
            return self.sequence_length + self.output_length - 1
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
    def has_gaps(self) -> bool:
        """Whether a window or its echo may lack a value at some timestep, which is masked then."""
        return self.missing == "mask" or self.task == "pairs"

    @property
    def has_target_gaps(self) -> bool:
        """Whether some timesteps of an answer are not asked for: they count neither in the loss nor in the accuracy."""
        return self.has_gaps or self.lag > 0

    @property
    def answers_every_step(self) -> bool:
        """Whether the network must answer at each timestep that it reads, so that its answer is as long as a window."""
        return self.variant == "whole" or self.task == "lag"

    @property
    def num_features(self) -> int:
        """Values by which one number is shown to the network."""
        return 1 if self.representation == "linear" else self.vocab_size

    @property
    def num_classes(self) -> int:
        """Values that the network gives for each number of its answer: scores of the classes, or the number itself."""
        return self.num_features + (self.variant == "padded")

    @property
    def answer_steps(self) -> int:
        """Timesteps of the network's output; the last `output_length` of them are the answer."""
        return self.input_length if self.variant == "padded" else self.output_length

    @property
    def num_recurrent_layers(self) -> int:
        """Layers that have a state."""
        return {"no_memory": 0, "encoder_decoder": 2, "attention": 2}.get(self.variant, 1)

    @property
    def carries_state(self) -> bool:
        """Whether a state goes on from one batch of an epoch to the next: `stateful`, and there is a state."""
        return self.stateful and self.num_recurrent_layers > 0

    @property
    def layer_parameters(self) -> tuple[int, ...]:
        """Trainable weights, as Keras counts them, of each recurrent layer and then of the readout."""
        numbers_at_once = self.input_length if self.variant == "one_to_one" else 1
        widths = (numbers_at_once * self.num_features, self.units)[:self.num_recurrent_layers]
        blocks = self.output_length if self.variant in ("one_to_one", "many_to_one") else 1
        read = {"no_memory": self.num_features, "attention": 2 * self.units}.get(self.variant, self.units)
        return (*(recurrent_parameters(self.cell, width, self.units) for width in widths),
                blocks * self.num_classes * (read + 1))

    @property
    def num_parameters(self) -> int:
        """Trainable weights, as Keras counts them."""
        return sum(self.layer_parameters)

    @property
    def needs_memory(self) -> bool:
        """Whether some number must be held while others are read: not where each is said as it is read."""
        if self.task == "pairs":
            return True
        if self.task == "lag":
            return self.lag > 0
        if self.variant == "one_to_one":
            return False  # it sees all numbers in one step
        says_as_it_reads = self.variant in ("whole", "padded", "no_memory") and self.task == "echo"
        return not (says_as_it_reads and self.echo_start == self.input_length - self.output_length)

    @property
    def bits(self) -> float:
        """Bits that the network must hold between reading and answering; 0 for whole echo."""
        if not self.needs_memory:
            return 0.0
        held = self.output_length
        if self.task == "lag":  # at any time the numbers that it has read and not said yet
            held = min(self.lag, self.input_length - self.lag)
        if self.variant == "padded":  # it forgets a number when it has said it
            held = min(held, self.input_length - self.output_length - self.echo_start)
        return held * math.log2(self.vocab_size)

    @property
    def chance_loss(self) -> float:
        """Loss of pure guessing: cross-entropy in nats per token, or the squared error of always saying the middle."""
        if self.representation == "linear":
            return (self.vocab_size + 1) / (12 * (self.vocab_size - 1))
        # Paddings can be told without knowing anything.
        return math.log(self.vocab_size) * self.output_length / self.answer_steps

    @property
    def flops_per_window(self) -> int:
        """Multiplications and additions of one forward pass over one window, matrix products only.

        One-hot rows are looked up and the decoder's input product is made once, so both count so.
        """
        recurrent = 2 * NUM_GATES[self.cell] * self.units * self.units
        readout = 2 * self.units * self.num_classes * self.answer_steps
        steps = {"no_memory": 0, "one_to_one": 1}.get(self.variant, self.input_length)
        if self.num_recurrent_layers == 2:
            steps += self.output_length + 1
        if self.variant == "attention":
            readout = 2 * readout + 4 * self.units * self.input_length * self.output_length
        return recurrent * steps + readout

    @property
    def network(self) -> "RunConfig":
        """The config without what a compiled program takes as arguments: runs that share it share the program."""
        fields = type(self).model_fields
        arguments = ["seed", "epochs", "learning_rate", *(["text"] if self.task != "pairs" else [])]
        return self.model_copy(update={name: fields[name].default for name in arguments})

    @property
    def vocabulary(self) -> texts.Tokens:
        """The words behind the numbers, if there are some."""
        return texts.vocabulary(self.text)

    # --- identity and exchange -----------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The run's name: a hash of the canonical config and the training version."""
        return self._hash()

    @property
    def family(self) -> str:
        """What runs have in common that differ in `epochs` only: the longer one may go on from the shorter one."""
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
        """The config as query-string fields, every field, ready for `urllib.parse.urlencode`. A text is packed."""
        query = {name: written(value) for name, value in self.model_dump().items()}
        return {**query, "text": texts.pack(self.text) if self.text else ""}


def divisors(number: int) -> list[int]:
    """All divisors in order: the batch sizes that fit. `divisors(21) -> [1, 3, 7, 21]`."""
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def by_nearness(batch_size: int, num_windows: int) -> list[int]:
    """The batch sizes that fit, those nearest in ratio first. `by_nearness(6, 21) -> [7, 3, 21, 1]`."""
    fit = (size for size in divisors(num_windows) if size <= MOST)
    return sorted(fit, key=lambda n: abs(math.log(n / batch_size)))


def recurrent_parameters(cell: Cell, features: int, units: int) -> int:
    """Weights of a recurrent layer: for each gate a kernel, a recurrent kernel and a bias; a GRU has two biases."""
    return NUM_GATES[cell] * units * (features + units + (2 if cell == "gru" else 1))


def written(value: object) -> str:
    """A value as people and query strings write it: true, not True, and 1, not 1.0."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
