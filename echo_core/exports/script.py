"""A run as a script of plain Keras that answers as the run did, or trains from the start.

It needs keras, tensorflow and numpy, and the weights in a file in its folder; nothing of Echo Lab. The notebook
(`notebook.py`) has the same steps in cells. `tests/exports/test_script.py` compares what it prints with ours.
"""

import textwrap
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from echo_core.config import RunConfig
from echo_core.data import shown_examples, shown_sequence, to_examples
from echo_core.exports import snippets
from echo_core.text.plurals import counted

#: The names of the script and of its weights file.
SCRIPT, WEIGHTS = "run.py", "weights.npz"

Blocks = Sequence[str]


class Steps(NamedTuple):
    """The code of a run in order, each step in blocks. The caller puts imports, `TRAIN` and `WEIGHTS` before it."""

    data: Blocks
    network: Blocks
    weights: Blocks
    training: Blocks
    windows: Blocks


def keras_script(config: RunConfig, epoch: int) -> str:
    """The script of a run, with the weights after `epoch` epochs."""
    opening = _OPENING.format(run_id=config.run_id, epochs=counted(epoch, "epoch"), script=SCRIPT, weights=WEIGHTS,
                              imports=snippets.checked_imports(config),
                              constants="\n".join(snippets.constants(config)))
    return joined([opening, *chain(*steps(config))]) + "\n"


def steps(config: RunConfig) -> Steps:
    """The steps of a run, from its data to the windows that it was watched on."""
    c = config
    return Steps(
        data=_data(c),
        network=_network(c),
        weights=[_LOAD],
        training=[*snippets.accuracies(c), *_training(c)],
        windows=[_spell(c), _SHOW_PAIRS.format(some=_some(c)) if c.task == "pairs" else _showing(c)])


def joined(blocks: Blocks) -> str:
    """Join blocks of code, with two empty lines around functions and one elsewhere."""
    text = blocks[0]
    for before, after in pairwise(blocks):
        text += ("\n\n\n" if "def " in (before[:4], after[:4]) else "\n\n") + after
    return text


def _data(c: RunConfig) -> list[str]:
    """The data: the windows that the run was watched on, and their encoding."""
    words = ["\n".join(snippets.words(c))] if c.text else []
    if c.task == "pairs":
        return [*words, *snippets.encoders(c), snippets.sides(c)]
    frame = ["def frame(sequences):", '"""Every window of some sequences, as numbers."""',
             *snippets.framing(c), "return numbers"]
    get_data = ["def get_data(numbers):", snippets.purpose(c, "Numbers"),
                *snippets.echoing(c)]
    return [*words, _sequence(c), "\n    ".join(frame), *snippets.encoders(c), "\n    ".join(get_data)]


def _network(c: RunConfig) -> Blocks:
    """The network that answers. It is stateless, so it takes any number of windows and repeats its answers."""
    without_cudnn = _WITHOUT_CUDNN if c.missing == "mask" else []
    if c.carries_state:
        return [snippets.builder(c, *without_cudnn), *snippets.resetting(c), "model = build()"]
    return [snippets.model(c.model_copy(update={"stateful": False})), *without_cudnn]


def _training(c: RunConfig) -> Blocks:
    """Training, for `--train`; a stateful run gets a second, stateful network for it."""
    sequences = f"frame({snippets.drawn(c)})"
    if not c.carries_state:
        loop = textwrap.indent(snippets.epochs(c, sequences), "    ")
        return ["\n".join([*snippets.compiling(c), "if TRAIN:", loop])]
    steps = [f"stateful = build({c.batch_size}, stateful=True)", *snippets.compiling(c, "stateful"),
             snippets.epochs(c, sequences, "stateful"), _HAND_OVER]
    return ["\n".join(["if TRAIN:", *(textwrap.indent(step, "    ") for step in steps)])]


def _sequence(c: RunConfig) -> str:
    """The unseen sequence that the run was watched on, as a literal."""
    if c.text:
        return "SEQUENCE = [WORDS.index(word) for word in TEXT]"
    numbers = ", ".join(map(str, shown_sequence(c).tolist()))
    if len(numbers) <= 100:
        return f"SEQUENCE = [{numbers}]"
    return f"SEQUENCE = [\n{textwrap.fill(numbers, 110, initial_indent='    ', subsequent_indent='    ')},\n]"


def _some(c: RunConfig) -> str:
    """The index that picks the shown windows, empty where all are shown."""
    shown = len(shown_examples(c).inputs)
    every = c.windows_per_sequence if c.task == "pairs" else len(to_examples(c, shown_sequence(c)).inputs)
    return f"[:{shown}]" if shown < every else ""


def _spell(c: RunConfig) -> str:
    """The function that prints numbers or words."""
    what, name = ("The words behind numbers", "WORDS[number]") if c.text else ("Numbers as text", "str(number)")
    if c.traits.has_padding or (c.has_target_gaps and c.task != "pairs"):
        what, name = f"{what}, and a dot where nothing is", f'"·" if number == {c.vocab_size} else {name}'
    return _SPELL.format(what=what, name=name)


def _showing(c: RunConfig) -> str:
    """The lines that print windows of the unseen sequence, or of the visitor's own words, with the answers."""
    meant = snippets.numbers_meant(c, f"outputs[:, -{c.output_length}:]" if snippets.waits(c) else "outputs")
    expected = (snippets.lagged(c, "expected", "numbers", str(c.vocab_size)) if c.lag else
                [f"expected = numbers{snippets.block(c)}"])
    lines = [f"numbers = frame([SEQUENCE]){_some(c)}", "windows, _ = get_data(numbers)",
             "outputs = model.predict(windows, verbose=0)", f"predicted = {meant}", *expected]
    if c.has_target_gaps:
        lines += [f"predicted = np.where(expected == {c.vocab_size}, {c.vocab_size}, predicted)"
                  "  # where nothing is expected, nothing counts"]
    return "\n".join([*lines, _SHOW])


_OPENING = '''\
"""Run {run_id} of Echo Lab in plain Keras: its network, its weights after {epochs}, and what it answers.

    python {script}            loads {weights}, which must be beside this file
    python {script} --train    trains a new network instead

It needs keras, tensorflow and numpy. A new training draws other random numbers than Echo Lab's.
"""

import argparse
import pathlib
import sys

{imports}

parser = argparse.ArgumentParser(description="What a network answers to the windows that it was watched on.")
parser.add_argument("--train", action="store_true", help="train a new network instead of loading {weights}")
TRAIN = parser.parse_args().train
WEIGHTS = pathlib.Path(__file__).with_name("{weights}")
sys.stdout.reconfigure(encoding="utf-8")  # so that every sign can be printed, also into a file on Windows

{constants}'''

_WITHOUT_CUDNN = ["""\
for layer in model.layers:
    layer.use_cudnn = False  # on a GPU, cuDNN's layers know gaps at the end of a window only"""]

_LOAD = '''\
if not TRAIN:
    with np.load(WEIGHTS) as weights:
        for variable, name in zip(model.trainable_variables, weights.files, strict=True):
            variable.assign(weights[name])'''

_HAND_OVER = """\
for variable, trained in zip(model.trainable_variables, stateful.trainable_variables, strict=True):
    variable.assign(trained)"""

_SPELL = '''\
def spell(numbers):
    """{what}."""
    return " ".join({name} for number in numbers)'''

_SHOW = '''\
right = (predicted == expected).all(axis=1)
for read, wanted, said, is_right in zip(numbers, expected, predicted, right):
    print("input", spell(read), "| expected", spell(wanted), "| predicted", spell(said), "✓" if is_right else "✗")
print(right.sum(), "of", len(right), "windows are right.")'''

_SHOW_PAIRS = '''\
right = 0
outputs = model.predict(questions{some}, verbose=0)
for (question, wanted), output in zip(PAIRS, outputs):
    said = spell(np.argmax(output[:len(wanted.split())], axis=-1))
    right += said == wanted
    print("input", question, "| expected", wanted, "| predicted", said, "✓" if said == wanted else "✗")
print(right, "of", len(outputs), "pairs are right.")'''
