"""A run as a notebook: the steps of its script in cells, with an explanation before each."""

import nbformat

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.exports import snippets
from echo_core.exports.script import WEIGHTS, joined, steps
from echo_core.text.plurals import counted


def keras_notebook(config: RunConfig, epoch: int) -> str:
    """The notebook of a run, with the weights after `epoch` epochs, as the JSON of an `.ipynb` file (nbformat 4)."""
    c, code = config, steps(config)
    opening = [
        "import sys", snippets.checked_imports(c),
        "TRAIN = False  # True trains a new network instead of loading the weights of this one\n"
        f'WEIGHTS = "{WEIGHTS}"  # in the folder of this notebook',
        "\n".join(snippets.constants(c))]
    cells = [
        (_title(c, epoch), joined(opening)),
        (_data(c), joined(code.data)),
        (_network(c), joined([*code.network, "model.summary()"])),
        (_WEIGHTS.format(count=f"{c.num_parameters:,}", epochs=counted(epoch, "epoch")), joined(code.weights)),
        (_training(c), joined(code.training)),
        (_windows(c), joined(code.windows)),
    ]
    written = []
    for number, (explained, lines) in enumerate(cells, 1):
        # nbformat's ids are random, and the same run must give the same file.
        written += [nbformat.v4.new_markdown_cell(explained, id=f"text-{number}"),
                    nbformat.v4.new_code_cell(lines, id=f"code-{number}")]
    notebook = nbformat.v4.new_notebook(cells=written, metadata={
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"}})
    text: str = nbformat.writes(notebook)
    return text + "\n"


def _title(c: RunConfig, epoch: int) -> str:
    one = "word" if c.text else "number"
    if c.task == "pairs":
        does = f"learns {counted(c.num_windows, 'pair')} of a question and its answer by heart"
    else:
        backwards = ", backwards" if c.task == "reverse" else ""
        does = (f"reads {c.input_length} random {one}s, one after the other, and has to say {c.output_length} of them "
                f"again{backwards}")
        if c.task == "lag":
            does = (f"reads {c.input_length} random {one}s, one after the other, and at each step has to say the {one} "
                    f"from {'the step' if c.lag == 1 else f'{c.lag} steps'} before")
    return (f"# Run `{c.run_id}` of Echo Lab\n\n"
            f"A small network that {does}. This notebook builds it again in plain Keras, loads what it had learnt "
            f"after {counted(epoch, 'epoch')} from `{WEIGHTS}`, and asks it again: it answers as it did in Echo "
            f"Lab.\n\nIt needs `keras`, `tensorflow` and `numpy`, and `{WEIGHTS}` in the same folder. Run the cells "
            "from top to bottom.")


def _data(c: RunConfig) -> str:
    if c.task == "pairs":
        return ("## The data\n\nEach different word becomes a row of zeros with a single one (**one-hot**), so that no "
                "word is nearer to one than to another. Short sides end in gaps, rows of -1, which the network skips.")
    one = "word" if c.text else "number"
    unseen = ("These are words that somebody typed. Training draws random sequences of them." if c.text else
              "Training never saw this sequence: it draws new ones at each epoch, so that nothing can be learnt by "
              "heart.")
    shown = (f"Each number is divided by {c.vocab_size - 1}, so that it lies between 0 and 1."
             if c.representation == "linear" else
             f"Each {one} becomes a row of {c.vocab_size} zeros with a single one (**one-hot**), because the answer "
             "must be the right one and not a near one.")
    gaps = (" Windows at both ends of the sequence have gaps: -1 everywhere, which the network skips."
            if c.has_gaps else "")
    return (f"## The data\n\n{unseen} A **window** of {c.input_length} {one}s slides along it, and each window is one "
            f"question. {shown}{gaps}")


def _network(c: RunConfig) -> str:
    cell = f"\n\n{CELLS[c.cell].description}" if c.traits.num_recurrent_layers else ""
    state = ("\n\nWhile it is trained it is **stateful**: its memory goes on from one batch to the next until somebody "
             "resets it. When it is asked, each window begins with an empty memory, so the same question gets the same "
             "answer." if c.carries_state else "")
    return f"## The network\n\n{c.traits.story.strip()}{cell}{state}"


def _training(c: RunConfig) -> str:
    kind = "distance to the right numbers" if c.representation == "linear" else "surprise at the right answers"
    return ("## Training\n\nWith `TRAIN = True` a new network is trained here, one `fit` an epoch, which takes a "
            f"while. Its **loss** is its {kind}; Adam moves every weight a little so that it gets smaller. The random "
            "numbers are not those of Echo Lab, so what it learns differs a little.")


def _windows(c: RunConfig) -> str:
    what = ("The pairs, with what the network answers." if c.task == "pairs" else
            "The windows of the sequence above, with what should come back and what does.")
    return f"## What it answers\n\n{what} ✓ is right at every step, ✗ is not."


_WEIGHTS = ("## What it learnt\n\nAll that a network knows is in its weights: {count} numbers here, as they were after "
            "{epochs} of training.")
