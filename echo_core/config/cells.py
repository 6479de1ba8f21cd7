"""The cells of recurrent layers: one record each. A new cell also needs its step in `networks/steps.py`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple


class RecurrentCell(NamedTuple):
    """A cell, whatever the sizes of a run.

    Attributes:
        title: Its name on the page.
        keras_class: The name of its layer's class in Keras.
        num_gates: Blocks of `units` columns in its kernel: its gates and its candidate.
        num_states: Vectors of `units` numbers that its state consists of.
        num_biases: 2 where the product of the recurrent kernel has a bias of its own, or 1.
        kept_per_unit: Numbers that the backward pass keeps of each unit at each timestep of each window: the gates,
            their gradients, and the states.
        description: What it is, for the notebook, in Markdown.
        unlike_lstm: How it differs from an LSTM, for the page, in Markdown; empty for the LSTM.
    """

    title: str
    keras_class: str
    num_gates: int
    num_states: int
    num_biases: int
    kept_per_unit: int
    description: str
    unlike_lstm: str = ""


CELLS: Mapping[str, RecurrentCell] = MappingProxyType({
    "lstm": RecurrentCell(
        "LSTM", "LSTM", num_gates=4, num_states=2, num_biases=1, kept_per_unit=12, description=(
            "An **LSTM** (long short-term memory) has a memory that is carried from step to step. Three gates, numbers "
            "from 0 to 1 that are learnt too, say what is forgotten, what is written and what is read out.")),
    "gru": RecurrentCell(
        "GRU", "GRU", num_gates=3, num_states=1, num_biases=2, kept_per_unit=13, description=(
            "A **GRU** (gated recurrent unit) carries its output from step to step. Two gates say how much of it is "
            "kept and how much of it is looked at."), unlike_lstm="""
**GRU instead of LSTM.** A younger cell with two gates instead of three and one state instead of two: a quarter fewer
weights, and usually about as good.
"""),
    "simple_rnn": RecurrentCell(
        "Simple RNN", "SimpleRNN", num_gates=1, num_states=1, num_biases=1, kept_per_unit=6, description=(
            "A **simple RNN** mixes its last output with what it reads and has no gates, so what it read fades "
            "within some steps."), unlike_lstm="""
**Simple RNN instead of LSTM.** No gates: every step overwrites the whole state through one tanh. What was read some
steps ago fades, and so does the gradient that would teach to keep it. Two of five numbers it still manages; ask for
more, or for longer windows, and see what LSTMs were invented for.
"""),
})

if TYPE_CHECKING:
    Cell = str
else:
    Cell = Literal[tuple(CELLS)]  # follows the records
