"""The fields of a run, each with its own rule and its words, and the counts that follow from them in a line.

Rules between fields are in `run_config.py`, longer arithmetic in `sizes.py`.
"""

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from echo_core.config.cells import Cell
from echo_core.config.compatibility import Missing, Representation, Schedule, Task
from echo_core.config.variants import VARIANTS, Variant, VariantName
from echo_core.text import words as texts

#: The most that a count, and a size, may be.
MOST, LARGEST = 10_000_000, 100_000

Count = Annotated[int, Field(ge=1, le=MOST)]
Size = Annotated[int, Field(ge=1, le=LARGEST)]


class RunFields(BaseModel):
    """The fields of a `RunConfig`, which adds the rules between them. Lengths count timesteps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task = Field("echo", description=(
        "What is asked: `echo` says a block of the input again, `reverse` says it backwards, `pairs` answers "
        "questions of your own, and `lag` says at each step the number read some steps before. Backwards, the number "
        "read last must be said first."))
    text: Annotated[str, AfterValidator(texts.read)] = Field("", description=(
        "Your own words instead of random numbers; for `pairs` a question => answer on each line. The words make "
        "the vocabulary, so fewer different ones are learnt sooner."))
    variant: VariantName = Field("whole", description=(
        "Which network. `whole` answers at every step while it reads; `encoder_decoder` reads everything first and "
        "answers from memory; the others change one thing about that."))
    cell: Cell = Field("lstm", description=(
        "What a recurrent layer, which hands its state from timestep to timestep, is made of. LSTM is short for long "
        "short-term memory. A `gru` has two gates instead of an LSTM's three, and learns about as well; a `simple_rnn` "
        "has none: what it reads fades within some steps."))
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
        "How many units each recurrent layer has; a unit holds one value of its memory. Too few cannot hold the "
        "numbers; more learn in fewer epochs, each of them slower."))
    stateful: bool = Field(True, description=(
        "Carry the state, what the memory holds, from one batch to the next within an epoch, as the tutorial does. It "
        "is always reset between epochs and before every prediction, so it changes learning little."))
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

    @property
    def traits(self) -> Variant:
        """What its network is like, whatever the sizes."""
        return VARIANTS[self.variant]

    @property
    def vocabulary(self) -> texts.Tokens:
        """The words behind the numbers, if there are some."""
        return texts.vocabulary(self.text)

    @property
    def windows_per_sequence(self) -> int:
        """Windows along one sequence: 25 numbers and input 5 give 21. Of a text of pairs, the pairs.

        With gaps masked, every row that has a part of its echo counts: 25 numbers and an echo of 2 give 26.
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
        """Whether some timesteps of an answer have no target: they count neither in the loss nor in the accuracy."""
        return self.has_gaps or self.lag > 0

    @property
    def answers_every_step(self) -> bool:
        """Whether the network must answer at each timestep that it reads, so that its answer is as long as a window."""
        return self.traits.answers_every_step or self.task == "lag"

    @property
    def carries_state(self) -> bool:
        """Whether a state goes on from one batch of an epoch to the next: `stateful`, and there is a state."""
        return self.stateful and self.traits.num_recurrent_layers > 0

    @property
    def num_features(self) -> int:
        """Values by which one number is shown to the network."""
        return 1 if self.representation == "linear" else self.vocab_size

    @property
    def input_shape(self) -> tuple[int, int]:
        """Timesteps and features of one window, as the network reads it."""
        if self.traits.reads_all_at_once:
            return 1, self.input_length * self.num_features
        return self.input_length, self.num_features

    @property
    def num_classes(self) -> int:
        """Values that the network gives for each number of its answer: scores of the classes, or the number itself."""
        return self.num_features + self.traits.has_padding

    @property
    def answer_steps(self) -> int:
        """Timesteps of the network's output; the last `output_length` of them are the answer."""
        return self.input_length if self.traits.has_padding else self.output_length

    @property
    def chance_loss(self) -> float:
        """Loss of pure guessing: cross-entropy in nats per token, or the squared error of always saying the middle."""
        if self.representation == "linear":
            return (self.vocab_size + 1) / (12 * (self.vocab_size - 1))
        # Padding is trivially predictable.
        return math.log(self.vocab_size) * self.output_length / self.answer_steps
