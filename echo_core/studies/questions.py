"""The questions that the tutorial and its readers leave open, each with the studies that answer it.

`make findings` trains them and writes the answers; see `findings.py`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from echo_core.config import written
from echo_core.config.presets import PRESETS
from echo_core.config.repair import with_settings
from echo_core.studies.measures import Measure
from echo_core.studies.study import Axis, Study


class Asked(NamedTuple):
    """A study of a question.

    Attributes:
        preset: Whose settings it begins with.
        changes: Settings of all its runs that differ from the preset's.
        measures: What is looked at, the most telling first.
    """

    preset: str
    changes: Mapping[str, Any]
    over: tuple[Axis, ...]
    seeds: int
    measures: tuple[Measure, ...]
    tune: bool = False

    @property
    def study(self) -> Study:
        """The study itself."""
        return Study(with_settings(PRESETS[self.preset].config, self.changes), self.over, self.seeds, self.tune)

    def command(self, measure: Measure) -> str:
        """What repeats one of its tables."""
        words = ["python -m echo_core sweep --preset", self.preset,
                 *(f"--set {name}={written(value)}" for name, value in self.changes.items()),
                 *(f"--over {axis.field}={','.join(map(written, axis.values))}" for axis in self.over),
                 f"--seeds {self.seeds}", f"--measure {measure}", *(["--tune"] if self.tune else [])]
        return " ".join(words)


class Question(NamedTuple):
    """A question, and the studies that answer it.

    Attributes:
        name: Of its anchor on the page.
        guess: What the tutorial or a paper expects, with its source.
    """

    name: str
    question: str
    guess: str
    asked: tuple[Asked, ...]


_UNITS = Axis("units", (16, 32, 64, 128))
_LOOKS = Axis("variant", ("attention", "encoder_decoder"))
_LENGTHS = (Measure.WINDOWS, Measure.HALF_LENGTH, Measure.DOUBLE_LENGTH)

QUESTIONS: tuple[Question, ...] = (
    Question(
        "reliability", "Does the tutorial's network reach 100 % every time?",
        "The tutorial says \"100 % pretty much every time\" of whole echo, and that partial echo converges to 100 %.",
        (Asked("whole", {}, (Axis("epochs", (500,)),), 100, (Measure.LEARNT, Measure.WINDOWS)),
         Asked("partial", {}, (Axis("epochs", (5000,)),), 100, (Measure.LEARNT, Measure.WINDOWS)))),
    Question(
        "linear", "What if numbers are scaled to 0…1 instead of one-hot?",
        "The tutorial asks how skill, units and epochs change; its own reason for one-hot is that the answer must be "
        "the right number and not a near one.",
        (Asked("quick", {}, (Axis("representation", ("one_hot", "linear")), _UNITS), 5,
               (Measure.WINDOWS, Measure.NUMBERS, Measure.EPOCHS)),)),
    Question(
        "masked", "What if incomplete rows are masked instead of dropped?",
        "The tutorial asks for it without a guess.",
        (Asked("quick", {}, (Axis("missing", ("drop", "mask")), _UNITS), 5, (Measure.WINDOWS, Measure.EPOCHS)),)),
    Question(
        "longer", "How long an echo can it learn, with and without attention?",
        "The tutorial expects longer echoes to need \"larger hidden layers, trained for longer\".",
        (Asked("ten_without_attention", {}, (Axis("variant", ("encoder_decoder", "attention")),
                                             Axis("output_length", (2, 4, 6, 8, 10))), 5,
               (Measure.WINDOWS, Measure.NUMBERS)),)),
    Question(
        "stateless", "Does it matter whether state is carried from batch to batch?",
        "The tutorial expects \"little to no change\" of a stateless LSTM with batch size 1.",
        (Asked("whole", {}, (Axis("stateful", (True, False)), Axis("batch_size", (1, 3, 7, 21))), 5,
               (Measure.WINDOWS, Measure.EPOCHS)),)),
    Question(
        "topology", "What if all numbers arrive at once, or the answer leaves at once?",
        "The tutorial expects one-to-one and many-to-one to need \"larger network and longer\".",
        (Asked("one_to_one", {}, (Axis("variant", ("encoder_decoder", "many_to_one", "one_to_one")), _UNITS), 5,
               (Measure.WINDOWS, Measure.EPOCHS)),)),
    Question(
        "capacity", "How many bits do N units learn to hold?",
        "Networks memorise far less than their state could hold (arXiv 2212.11085).",
        (Asked("ten_without_attention", {}, (Axis("cell", ("lstm", "gru", "simple_rnn")),
                                             Axis("units", (8, 16, 32))), 5,
               (Measure.BITS, Measure.NUMBERS), tune=True),)),
    Question(
        "time", "How does the time to learn grow with the delay, the vocabulary and the length?",
        "Nobody says.",
        (Asked("quick", {"epochs": 3000, "sequence_length": 40, "sequences_per_epoch": 4, "batch_size": 144},
               (Axis("input_length", (2, 5, 10, 20)),), 5, (Measure.EPOCHS, Measure.WINDOWS)),
         Asked("quick", {"epochs": 2000}, (Axis("vocab_size", (10, 30, 100, 300, 1000)),), 5,
               (Measure.EPOCHS, Measure.WINDOWS)),
         Asked("quick", {"epochs": 4000}, (Axis("output_length", (1, 2, 3, 4, 5)),), 5,
               (Measure.EPOCHS, Measure.WINDOWS)))),
    Question(
        "attention", "How good is attention at its published budget, and at lengths never seen?",
        "Brownlee reports 95.7 % of windows right with attention and 23.1 % without, after 5,000 single windows.",
        (Asked("published", {}, (_LOOKS,), 10, (Measure.WINDOWS,)),
         Asked("quick", {"epochs": 2000}, (_LOOKS,), 10, _LENGTHS), Asked("partial_5", {}, (_LOOKS,), 5, _LENGTHS))),
    Question(
        "recipe", "Is it the recipe or the network that makes quick learn so fast?",
        "Quick differs from the tutorial's network in its learning rate, the sequences of an update and its units.",
        (Asked("quick", {"epochs": 2000}, (Axis("learning_rate", (0.001, 0.003, 0.01)),
                                           Axis("sequences_per_epoch", (1, 8))), 5, (Measure.EPOCHS, Measure.WINDOWS)),
         Asked("quick", {"epochs": 2000}, (Axis("units", (64, 150)), Axis("schedule", ("constant", "cosine"))), 5,
               (Measure.EPOCHS, Measure.WINDOWS)))),
)
