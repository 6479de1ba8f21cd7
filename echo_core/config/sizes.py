"""Arithmetic of a run before it trains: batch sizes, layers and their parameters, bits to remember, work and memory."""

import math
from typing import Any, NamedTuple

from echo_core.config.cells import CELLS
from echo_core.config.fields import MOST, RunFields
from echo_core.config.variants import LayerSpec
from echo_core.text import words as texts

#: Megabytes of a process that has loaded TensorFlow and compiled a small network.
LOADED_MB = 620
#: Copies of the weights, each with its two moments and gradient: in the program, before and after a call, and on their
#: way into the store.
WEIGHT_COPIES = 15
#: Copies of the scores of all classes: scores, probabilities, gradients.
SCORE_COPIES = 4
#: Windows that are judged at one time, by `evaluation.answer`.
JUDGED = 512


def sizes_of_text(task: str, text: str) -> dict[str, Any]:
    """The fields that follow from a normalised text. Raises ValueError if a line of pairs is no pair."""
    sizes: dict[str, Any] = {"vocab_size": len(texts.vocabulary(text))}
    if task == "pairs":
        pairs = texts.pairs(text)
        longest = max(len(pair.question) for pair in pairs)
        sizes |= {"input_length": longest, "sequence_length": longest, "stateful": False, "sequences_per_epoch": 1,
                  "output_length": max(len(pair.answer) for pair in pairs), "batch_size": len(pairs)}
    return sizes


def divisors(number: int) -> list[int]:
    """All divisors in order: the batch sizes that fit. `divisors(21) -> [1, 3, 7, 21]`."""
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def by_nearness(batch_size: int, num_windows: int) -> list[int]:
    """The batch sizes that fit, those nearest in ratio first. `by_nearness(6, 21) -> [7, 3, 21, 1]`."""
    fit = (size for size in divisors(num_windows) if size <= MOST)
    return sorted(fit, key=lambda n: abs(math.log(n / batch_size)))


class SizedLayer(NamedTuple):
    """A layer of a run's network.

    Attributes:
        layer: With the name that it has in this run.
        keras_class: The name of its class in Keras.
        reads: Shape of its (first) input, without the axis of windows.
        gives: Shape of its (first) output, without the axis of windows.
        parameters: Its trainable weights, as Keras counts them.
    """

    layer: LayerSpec
    keras_class: str
    reads: tuple[int, ...]
    gives: tuple[int, ...]
    parameters: int


def sized_layers(c: RunFields) -> list[SizedLayer]:
    """The layers of `build_model(config)` in order, with their shapes and parameters."""
    found: list[SizedLayer] = []
    shape: tuple[int, ...] = c.input_shape
    named: dict[str, tuple[int, ...]] = {}
    mask = [LayerSpec("Masking", "gaps", gives=("shown",))] if c.has_gaps else []
    for layer in (*mask, *c.traits.layers):
        if layer.kind == "Activation" and c.representation == "linear":
            continue  # a scaled number is no probability
        inputs = [named[name] for name in layer.reads] or [shape]
        shape, parameters = _output(c, layer, inputs)
        keras_class = CELLS[c.cell].keras_class if layer.kind == "recurrent" else layer.kind
        found.append(SizedLayer(layer._replace(name=layer.name or c.cell), keras_class, inputs[0], shape, parameters))
        named |= {name: (c.units,) if place else shape for place, name in enumerate(layer.gives)}
    return found


def num_parameters(c: RunFields) -> int:
    """Trainable weights of a network, as Keras counts them."""
    return sum(sized.parameters for sized in sized_layers(c))


def _output(c: RunFields, layer: LayerSpec, inputs: list[tuple[int, ...]]) -> tuple[tuple[int, ...], int]:
    """Shape of a layer's output, and its parameters. Raises `NotImplementedError` for an unknown kind."""
    *steps, features = inputs[0]
    match layer.kind:
        case "recurrent":
            biases = CELLS[c.cell].num_biases
            parameters = CELLS[c.cell].num_gates * c.units * (features + c.units + biases)
            return (*(steps if layer.every_step else ()), c.units), parameters
        case "Dense":
            width = c.num_classes * (c.output_length if c.traits.one_vector_for_all else 1)
            return (*steps, width), width * (features + 1)
        case "Reshape":
            return (c.output_length, c.num_classes), 0
        case "RepeatVector" | "Cropping1D":
            return (c.output_length, features), 0
        case "Concatenate":
            return (*steps, sum(shape[-1] for shape in inputs)), 0
        case "Masking" | "Activation" | "Attention":
            return inputs[0], 0
    raise NotImplementedError(f"the shape of a layer {layer.kind} is not known; add it to {__name__}")


def needs_memory(c: RunFields) -> bool:
    """Whether some number must be held while others are read: not where each is said as it is read."""
    if c.task == "pairs":
        return True
    if c.task == "lag":
        return c.lag > 0
    says_as_it_reads = (c.traits.answers_while_reading and c.task == "echo"
                        and c.echo_start == c.input_length - c.output_length)
    return not (c.traits.reads_all_at_once or says_as_it_reads)


def bits(c: RunFields) -> float:
    """Bits that the network must hold between reading and answering; 0 for whole echo."""
    if not needs_memory(c):
        return 0.0
    held = c.output_length
    if c.task == "lag":  # at any time the numbers that it has read and not said yet
        held = min(c.lag, c.input_length - c.lag)
    if c.traits.has_padding:  # it forgets a number when it has said it
        held = min(held, c.input_length - c.output_length - c.echo_start)
    return held * math.log2(c.vocab_size)


def flops_per_window(c: RunFields) -> int:
    """Multiplications and additions of the matrix products in one forward pass over one window.

    A one-hot row is looked up, which counts as nothing, and the decoder's input is multiplied once.
    """
    products = _recurrent_steps(c) + max(0, c.traits.num_recurrent_layers - 1)
    readout = 2 * c.units * c.num_classes * c.answer_steps
    if c.traits.has_attention:
        readout = 2 * readout + 4 * c.units * c.input_length * c.output_length
    return 2 * CELLS[c.cell].num_gates * c.units * c.units * products + readout


def training_mb(c: RunFields) -> int:
    """Megabytes that a process takes at its peak while it trains a run and judges it.

    The constants were fitted to peaks of fresh processes of `python -m echo_core train`, which
    `tests/config/test_sizes.py` lists. Most of it is one number of four bytes for each window of a batch, timestep,
    and unit or class.
    """
    steps = _recurrent_steps(c)
    states = CELLS[c.cell].kept_per_unit * steps * c.units
    scores = SCORE_COPIES * c.answer_steps * c.num_classes
    if c.traits.has_attention:
        states += 5 * c.output_length * c.units
        scores += SCORE_COPIES * c.output_length * c.input_length
    training = c.batch_size * (states + scores)
    judging = JUDGED * (CELLS[c.cell].num_gates + 2) * steps * c.units + JUDGED * scores
    return LOADED_MB + 4 * (WEIGHT_COPIES * num_parameters(c) + max(training, judging)) // 2**20


def _recurrent_steps(c: RunFields) -> int:
    """Timesteps that all recurrent layers take in one window."""
    return sum(sized.reads[0] for sized in sized_layers(c) if sized.layer.kind == "recurrent")
