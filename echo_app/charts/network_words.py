"""The picture of a network in words, for whoever cannot see it, and the numbers or words of an example in it."""

from collections.abc import Sequence

import numpy as np

from echo_app.charts.network import has_decoder, narrow_words
from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.data import TASKS, shown_sequence, text_examples
from echo_core.records import Ints
from echo_core.text.plurals import counted


def example(config: RunConfig) -> tuple[Ints, Ints]:
    """The first whole window that pages show of a run, (input_length,), and its answer, (output_length,).

    `vocab_size` is a gap.
    """
    if config.task == "pairs":
        examples = text_examples(config)
        return examples.inputs[0], examples.expected[0]
    window = shown_sequence(config)[:config.input_length]
    answer: Ints = np.pad(TASKS[config.task](config, window), (config.lag, 0), constant_values=config.vocab_size)
    return window.astype(np.int32), answer


def names(config: RunConfig, tokens: Sequence[int] | Ints) -> list[str]:
    """Numbers or words as people read them; an empty text at a gap."""
    words = config.vocabulary
    return ["" if token == config.vocab_size else words[token] if words else str(token) for token in tokens]


def asked_places(config: RunConfig) -> Sequence[int]:
    """The places of a window, from 0, that must be said again; none of them if an answer repeats no place."""
    return () if config.task == "pairs" else sorted(TASKS[config.task](config, range(config.input_length)))


def summary(config: RunConfig) -> str:
    """The network in one sentence."""
    layer = f"{CELLS[config.cell].title} with {counted(config.units, 'unit')}"
    return (f"The network unrolled in time: {config.traits.title} ({config.traits.help}), "
            f"{layer if config.traits.num_recurrent_layers else 'a dense layer'}. It reads "
            f"{counted(config.input_length, _noun(config))} and answers with {config.output_length:,}.")


def caption(config: RunConfig) -> str:
    """How to read the picture, in a line."""
    traits = config.traits
    if not traits.num_recurrent_layers:
        return ("A column is a timestep. The dense layer makes a weighted sum of what it reads and keeps nothing. "
                "Crossed out is the arrow that a memory would be.")
    is_one = CELLS[config.cell].num_states == 1
    unit = ("Each unit of the layer has one value of the hidden state h, its memory." if is_one else
            "Each unit of the layer has one value of the cell state c, its memory, and one of the hidden state h, what "
            "it shows of that.")
    if traits.reads_all_at_once:
        return f"All numbers go into one timestep, so no arrow leads from one timestep to the next. {unit}"
    after = ("" if traits.answers_while_reading else " Purple: where it may look back." if traits.has_attention else
             " Orange: the last h, all that the answer is made from.")
    return (f"A column is a timestep. {unit} Blue: {'h' if is_one else 'both'}, handed from one timestep to the next."
            f"{after}")


def sentences(config: RunConfig) -> list[str]:
    """What the picture shows, part by part, from what is read to what is said."""
    return [_reads(config), *_remembers(config), _narrow(config), *_says(config)]


def _reads(config: RunConfig) -> str:
    read = counted(config.input_length, _noun(config))
    if config.traits.reads_all_at_once:
        return f"It reads {read} side by side, as the features of one timestep."
    return f"It reads {read}, one at each timestep."


def _remembers(config: RunConfig) -> list[str]:
    traits, cell = config.traits, CELLS[config.cell]
    if not traits.num_recurrent_layers:
        return ["The same dense layer looks at one timestep at a time; no arrow leads from a timestep to the next."]
    state = "its state, h and c," if cell.num_states > 1 else "its state h"
    layer = f"{cell.title} of {counted(config.units, 'unit')}"
    if traits.reads_all_at_once:
        found = [f"The {layer} takes a single step, so nothing passes from timestep to timestep."]
    else:
        who = f"encoder ({layer})" if has_decoder(config) else layer
        found = [f"The {who} hands {state} from timestep to timestep."]
    if config.carries_state:
        found.append("In training the state is carried on from batch to batch, and zero at the start of an epoch.")
    if has_decoder(config):
        found.append("The decoder reads the context, h of the encoder's last timestep, again at each of its "
                     f"{counted(config.output_length, 'timestep')}; its own state begins at zero.")
    if traits.has_attention:
        found.append(f"At each step of the answer, attention looks back at all {config.input_length:,} outputs of the "
                     "encoder and takes a mixture of them.")
    return found


def _narrow(config: RunConfig) -> str:
    if not config.bits:
        return ("0 bits must be kept: all that it needs is before it at once." if config.traits.reads_all_at_once else
                "0 bits must be kept: it says each as it reads it.")
    if not config.traits.num_recurrent_layers:
        return f"{config.bits:,.1f} bits would have to be kept, and nothing is."
    if config.traits.has_attention:
        return f"All that it says must reach it from the encoder's outputs: {narrow_words(config)}."
    return f"At the narrowest place, all that it must still say has to pass: {narrow_words(config)}."


def _says(config: RunConfig) -> list[str]:
    traits, said = config.traits, counted(config.output_length, _noun(config))
    if config.task == "lag":
        if not config.lag:
            return [f"At each timestep it says the {_noun(config)} that it has just read."]
        steps = counted(config.lag, "step")
        return [f"At each timestep it says the {_noun(config)} that it read {steps} before; in the first {steps} "
                "nothing is due."]
    waits = config.input_length - config.output_length
    if traits.has_padding and waits:
        return [f"It waits for {counted(waits, 'timestep')} and says padding, then {said}."]
    if traits.one_vector_for_all:
        return [f"It says {said} at once: one long vector, cut into blocks."]
    return [f"It says {said}, one at each timestep{' as it reads' * traits.answers_while_reading}."]


def _noun(config: RunConfig) -> str:
    return "word" if config.text else "number"
