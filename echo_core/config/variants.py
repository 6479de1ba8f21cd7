"""The networks that a run can train: one record each with its words, its layers, when it answers and what it refuses.

A new network needs its record here, its computation in `networks/definition.py` and its Keras builder in `models.py`.
CONTRIBUTING.md says what a new kind of layer needs besides. Records are plain data; `sizes.py` works out the shapes and
parameters that they have in one run.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple


class LayerSpec(NamedTuple):
    """One layer of a network, as its Keras model has it.

    Attributes:
        kind: Its class in Keras; `recurrent` stands for the class of the run's cell.
        name: Its name in Keras; an empty one stands for the name of the cell.
        every_step: Whether a recurrent layer hands on its output of every timestep, or only the last one.
        reads: The outputs that it reads, by the names in `gives`; by default the output of the layer before it.
        gives: Names of its outputs, if other layers read them; the second output of a recurrent layer is its state.
    """

    kind: str
    name: str = ""
    every_step: bool = False
    reads: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()


_CELL, _EVERY_CELL = LayerSpec("recurrent"), LayerSpec("recurrent", every_step=True)
_ENCODER = LayerSpec("recurrent", "encoder")
_CONTEXT, _DECODER = LayerSpec("RepeatVector", "context"), LayerSpec("recurrent", "decoder", every_step=True)
_READOUT = LayerSpec("Dense", "readout")
#: One long vector, cut into one block of scores for each timestep of the answer.
_BLOCKS = (_READOUT, LayerSpec("Reshape", "blocks"), LayerSpec("Activation", "probabilities"))

_PARTIAL_MUST_REMEMBER = """
**And when must it remember?** In the partial echo an *encoder* reads all the numbers and keeps a few dozen values: its
state. A *decoder* sees only that state and must say the numbers again. Two numbers out of a hundred, for example, are
13.3 bits that have to survive everything read after them. Watch the first number come back, then the second.
"""
_NEEDS_NO_MEMORY = """
**When is no memory needed?** In whole echo each number is said as it is read, so nothing has to be kept, although the
network has an LSTM: a layer without a memory can do it as well. Only when the answer comes *later* than the number
must something survive in between. Two numbers out of a hundred, for example, are 13.3 bits, and the network must find a
way to keep them.
"""

_TOO_EARLY = "it answers while it still reads, and would have to say numbers that it has not read yet"
_TOO_LATE = "it answers only when it has read everything, so no answer lags behind a number by fixed steps"
_ONE_PASS = "question and answer have lengths of their own, which takes an encoder and a decoder"
_NO_CELL = "it has no recurrent layer"


class Variant(NamedTuple):
    """A network, whatever the sizes of a run.

    Attributes:
        title: Its name on the page.
        help: What it does, in one line.
        story: How it works, for the page and the notebook, in Markdown.
        layers: In the order of its Keras model, which has a mask before them where windows have gaps.
        answers: `every_step`: at every timestep that it reads. `newest_steps`: at the last `output_length` of them.
            `padded`: at these too, and with a padding before. `after_reading`: once it has read the whole window.
        reads_all_at_once: Whether it reads the numbers of a window as the features of one timestep.
        refuses: The values of each field that it cannot be combined with, and why, to be read after "because".
        memory_story: What its memory has to hold, for the page, beside `story`.
    """

    title: str
    help: str
    story: str
    layers: tuple[LayerSpec, ...]
    answers: Literal["every_step", "newest_steps", "padded", "after_reading"]
    reads_all_at_once: bool = False
    refuses: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    memory_story: str = ""

    @property
    def answers_every_step(self) -> bool:
        """Whether its answer is as long as the window."""
        return self.answers == "every_step"

    @property
    def answers_while_reading(self) -> bool:
        """Whether it reads a number at each step of its answer."""
        return self.answers != "after_reading"

    @property
    def has_padding(self) -> bool:
        """Whether it has one class more, a padding, and answers with it until the echo is due."""
        return self.answers == "padded"

    @property
    def has_attention(self) -> bool:
        """Whether each step of the answer can look back at what was read."""
        return any(layer.kind == "Attention" for layer in self.layers)

    @property
    def one_vector_for_all(self) -> bool:
        """Whether its readout gives all numbers of the answer at once, each by weights of its own."""
        return any(layer.kind == "Reshape" for layer in self.layers)

    @property
    def num_recurrent_layers(self) -> int:
        """Layers that have a state."""
        return sum(layer.kind == "recurrent" for layer in self.layers)


VARIANTS: Mapping[str, Variant] = MappingProxyType({
    "whole": Variant(
        title="Whole", help="answers while it reads",
        story="""
**Whole echo: it answers while it reads.** One recurrent layer reads a number, and a `Dense` layer, a weighted sum for
each possible answer, says it before the next one is read. The network only has to learn which output belongs to which
input, a hundred times over. Anything that maps number to number can do it, with or without a memory: choose *No
memory* as the network of this task, one dense layer in place of the LSTM, and it solves it as well. The windows turn
right long before the loss is small, because the right answer only has to be the *likeliest* one.
""",
        memory_story=_PARTIAL_MUST_REMEMBER,
        layers=(_EVERY_CELL, _READOUT), answers="every_step",
        refuses={"task": {"reverse": _TOO_EARLY, "pairs": _ONE_PASS}}),
    "encoder_decoder": Variant(
        title="Encoder–decoder", help="reads, then answers",
        story="""
**Encoder–decoder: first read, then answer.** One recurrent layer, the *encoder*, reads everything and keeps a few
dozen values: its state. A second one, the *decoder*, sees only that state, the *context*, and must say what was asked
for. (Keras's layer `RepeatVector` shows it the context at every step.) All that it says has to fit through this one
state.
""",
        memory_story=_NEEDS_NO_MEMORY,
        layers=(_ENCODER, _CONTEXT, _DECODER, _READOUT), answers="after_reading",
        refuses={"task": {"lag": _TOO_LATE}}),
    "padded": Variant(
        title="Padded", help="one layer that waits",
        story="""
**Padded: one network that has to wait.** The network of whole echo, with one class more: the *padding*. While it still
reads it must say padding, and in the last steps the echo, so it has to hold the first numbers while others pass by.
Paddings count in the loss and not in the accuracy. The tutorial names the other order, echo first and paddings after
it: then every number is said as it is read, and no memory is needed.
""",
        memory_story="""
**It speaks while it still reads.** There is no moment between reading and answering: while it says the first number of
the echo, it still takes in others. One state has to hold what is asked for, pass over what is not, and know from the
step alone when to begin. What it has said it may forget.
""",
        layers=(_EVERY_CELL, _READOUT), answers="padded",
        refuses={"task": {"reverse": _TOO_EARLY, "pairs": _ONE_PASS,
                          "lag": "it says paddings until its one echo is due"},
                 "representation": {"linear": "a padding is one class more, and no number between 0 and 1"},
                 "missing": {"mask": "its paddings stand where an incomplete row has nothing"}}),
    "attention": Variant(
        title="Attention", help="may look back",
        story="""
**Attention: the decoder may look back.** As in the encoder–decoder, but at every step the decoder compares its state
with each of the encoder's outputs, and takes in a mixture of those that fit best. Nothing has to be squeezed through
one state any more; what must be learnt is *where to look*. That is why twenty numbers come back where ten were too
many.
""",
        memory_story="""
**What is left to remember?** Everything that was read stays in sight: one output of the encoder for each number. The
decoder's state need not carry the numbers, only the place where it looks next. As long as it has not found out where to
look, the loss falls slowly; then all places turn right at about the same time. Twenty numbers out of a hundred are 133
bits, and none of them has to fit through the state.
""",
        layers=(LayerSpec("recurrent", "encoder", every_step=True, gives=("encoded", "last")),
                LayerSpec("RepeatVector", "context", reads=("last",), gives=("context",)),
                LayerSpec("recurrent", "decoder", every_step=True, reads=("context",), gives=("decoded",)),
                LayerSpec("Attention", "attention", reads=("decoded", "encoded"), gives=("found",)),
                LayerSpec("Concatenate", "joined", reads=("decoded", "found"), gives=("joined",)),
                LayerSpec("Dense", "readout", reads=("joined",))),
        answers="after_reading",
        refuses={"task": {"lag": _TOO_LATE}, "representation": {
            "linear": "the question whether scaled numbers are enough is put to the tutorial's own networks"}}),
    "one_to_one": Variant(
        title="One to one", help="all timesteps at once",
        story="""
**One to one: all timesteps at once.** The numbers stand side by side as the features of a single step, and the answer
is one long vector, cut into blocks. The LSTM takes one step and never has to remember: it is used as a plain layer.
Each place in the window has weights of its own, so what is learnt of a number at one place helps nowhere else.
""",
        memory_story="""
**Nothing has to be kept.** All numbers are there at once, so none waits for another: 0 bits of memory. It is hard in
another way: it must learn each number at each place anew, and it can read no window of another length.
""",
        layers=(_CELL, *_BLOCKS), answers="after_reading", reads_all_at_once=True,
        refuses={"task": {"pairs": _ONE_PASS, "lag": _TOO_LATE},
                 "representation": {"linear": "many_to_one asks the same of a network that reads number by number"},
                 "missing": {"mask": "a mask hides timesteps, and it reads all of them as one"}}),
    "many_to_one": Variant(
        title="Many to one", help="the answer in one go",
        story="""
**Many to one: the answer in one go.** The network reads number by number and only its last output counts: a dense
layer makes one long vector of it, cut into blocks, one for each number of the answer. The memory must hold the same as
in the encoder–decoder, but no decoder has to learn to count.
""",
        memory_story="""
**Now it must remember, and say all of it at once.** After the last number its one state has to hold the whole answer,
two numbers out of a hundred are 13.3 bits. The dense layer behind it has weights of its own for each place of the
answer, so it can read each number off the state without any order in time.
""",
        layers=(_CELL, *_BLOCKS), answers="after_reading",
        refuses={"task": {"pairs": _ONE_PASS, "lag": _TOO_LATE},
                 "missing": {"mask": "it answers with one vector, of which no timestep can be left out"}}),
    "no_memory": Variant(
        title="No memory", help="the baseline",
        story="""
**No memory: the baseline.** One dense layer, the same at every step, sees the number that is read when the answer is
due and nothing else. For whole echo that is the very number that is asked for, and it is enough. Where the answer is
due later, the number is gone, and all that is left is to guess: that difference is what memory means.
""",
        memory_story=_NEEDS_NO_MEMORY,
        layers=(LayerSpec("Cropping1D", "newest"), _READOUT), answers="newest_steps",
        refuses={"task": {"pairs": _ONE_PASS}, "cell": {"gru": _NO_CELL, "simple_rnn": _NO_CELL},
                 "representation": {"linear": "to hand one scaled number on there is nothing to learn"},
                 "missing": {"mask": "each answer looks at one number, and there would be none"}}),
})

if TYPE_CHECKING:
    VariantName = str
else:
    VariantName = Literal[tuple(VARIANTS)]  # follows the records, so that a new one needs no other line
