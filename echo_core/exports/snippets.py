"""Pieces of plain Keras code for a run. The page's listing and the exported script and notebook are made of them.

Each has only what its run needs. Typed words appear in them only as string literals.
`tests/exports/test_listing.py` compares data, network and loss with ours, `tests/exports/test_script.py` the answers.
"""

import json
import textwrap
from collections.abc import Mapping

from echo_core.config import RunConfig
from echo_core.config.sizes import SizedLayer, sized_layers
from echo_core.data import paddings
from echo_core.text import words as texts

#: The versions that exported files were tried with. A test compares them with requirements.txt.
TRIED_WITH: Mapping[str, str] = {"keras": "3.15.1", "tensorflow": "2.21.0", "numpy": "2.4.6"}
#: Before it, Keras has no `mean_with_sample_weight` or no masked `Attention` in a functional model.
OLDEST_KERAS = (3, 12)


def literal(text: str) -> str:
    """A text as a string literal. Python reads JSON's escapes alike, and no typed text can end the literal."""
    return json.dumps(text, ensure_ascii=False)


def waits(c: RunConfig) -> bool:
    """Whether the answer begins with paddings."""
    return c.answer_steps > c.output_length


# --- beginning ---------------------------------------------------------------------------------


def imports(c: RunConfig) -> list[str]:
    """The lines that import Keras, its layers and NumPy."""
    return ["import keras", "import numpy as np", _layers(c)]


def checked_imports(c: RunConfig) -> str:
    """Imports for a script that may be run years later: it checks versions and names those that it needs."""
    return _CHECKED_IMPORTS.format(tried=json.dumps(TRIED_WITH), oldest=".".join(map(str, OLDEST_KERAS)),
                                   oldest_tuple=OLDEST_KERAS, layers=_layers(c))


def _layers(c: RunConfig) -> str:
    kinds = {sized.keras_class for sized in sized_layers(c)}
    imported = sorted(kinds, key=lambda kind: (not kind.isupper(), kind))
    return f"from keras.layers import {', '.join(imported)}"


_CHECKED_IMPORTS = '''\
import keras
import numpy as np
import tensorflow

TRIED_WITH = {tried}
INSTALL = "pip install " + " ".join(f"{{name}}=={{version}}" for name, version in TRIED_WITH.items())
FOUND = {{module.__name__: module.__version__ for module in (keras, tensorflow, np)}}
if tuple(map(int, keras.__version__.split(".")[:2])) < {oldest_tuple}:
    raise SystemExit(f"This needs Keras {oldest} or newer; found {{keras.__version__}}. Try: {{INSTALL}}")
if FOUND != TRIED_WITH:
    print(f"Warning: tried with other versions; found {{FOUND}}. If it fails, try: {{INSTALL}}", file=sys.stderr)

{layers}'''


def constants(c: RunConfig) -> list[str]:
    """The number of epochs, and the generator of random numbers."""
    rng = [] if c.task == "pairs" else [f"rng = np.random.default_rng({c.seed})"]
    return [f"EPOCHS = {c.epochs}", f"keras.utils.set_random_seed({c.seed})", *rng]


def words(c: RunConfig) -> list[str]:
    """The visitor's own words and their vocabulary."""
    if not c.text:
        return []
    if c.task == "pairs":
        pairs = [[literal(" ".join(side)) for side in pair] for pair in texts.pairs(c.text)]
        return ["PAIRS = [", *(f"    ({question}, {answer})," for question, answer in pairs), "]",
                "WORDS = sorted({word for pair in PAIRS for side in pair for word in side.split()})"]
    *lines, last = textwrap.wrap(" ".join(texts.words(c.text)), 100, break_long_words=False, break_on_hyphens=False)
    text = "\n    ".join([*(literal(line + " ") for line in lines), literal(last)])
    row = f"(\n    {text})" if lines else text
    return [f"TEXT = {row}.split()", "WORDS = sorted(set(TEXT))"]


# --- data --------------------------------------------------------------------------------------


def encoders(c: RunConfig) -> list[str]:
    """Functions that encode windows with gaps and find the gaps again."""
    if c.task == "pairs":
        return [_ENCODE_SIDES, _PRESENT]
    if c.has_gaps:
        return [_ENCODE_GAPS.format(gap=c.vocab_size, rows=_rows(c)), _PRESENT]
    return [_PRESENT] if c.has_target_gaps else []


def framing(c: RunConfig) -> list[str]:
    """Lines that slide windows along `sequences`."""
    pad = f"sequences = np.pad(sequences, ((0, 0), {paddings(c)}), constant_values={c.vocab_size})"
    return [*([pad] if c.has_gaps else []),
            f"numbers = np.lib.stride_tricks.sliding_window_view(sequences, {c.input_length}, axis=1)",
            f"numbers = numbers.reshape(-1, {c.input_length})"]


def echoing(c: RunConfig) -> list[str]:
    """Lines that return the network's input and its expected answer, both made of `numbers`."""
    lines = [f"windows = {'encode(numbers)' if c.has_gaps else _rows(c)}"]
    if c.traits.has_padding:
        wait = c.answer_steps - c.output_length
        echo = f"numbers{block(c)}"
        if wait:
            echo = f"np.pad({echo}, ((0, 0), ({wait}, 0)), constant_values={c.vocab_size})"
        return [*lines, f"echo = {echo}", f"return windows, keras.utils.to_categorical(echo, {c.num_classes})"]
    if c.traits.reads_all_at_once:
        return [*lines, f"return windows.reshape(-1, 1, {c.input_shape[1]}), windows{block(c)}"]
    if c.lag:
        return [*lines, *lagged(c, "echo", "windows", "-1.0"), "return windows, echo"]
    return [*lines, f"return windows, windows{block(c)}"]


def lagged(c: RunConfig, name: str, read: str, gap: str) -> list[str]:
    """Lines that set the expected number at each step: the one read `lag` steps before, and a gap until then."""
    return [f"{name} = np.full_like({read}, {gap})  # nothing is asked for before there is a number to say",
            f"{name}[:, {c.lag}:] = {read}[:, :-{c.lag}]"]


def block(c: RunConfig) -> str:
    """The index of the part of a window that is the echo."""
    backwards = "[:, ::-1]" if c.task == "reverse" else ""
    return f"[:, {c.echo_start or ''}:{c.echo_start + c.output_length}]{backwards}"


def purpose(c: RunConfig, of: str) -> str:
    """The docstring of a function that makes windows and echoes from `of`."""
    shown = "windows of scaled numbers" if c.representation == "linear" else "one-hot windows"
    at_once = " of one step" if c.traits.reads_all_at_once else ""
    if c.lag:
        steps = "a step" if c.lag == 1 else f"{c.lag} steps"
        return f'"""{of} as {shown}, and the number of {steps} before as the echo at each step."""'
    if c.output_length == c.input_length:
        which = "all"
    elif c.echo_start + c.output_length == c.input_length:
        which = "the newest"
    else:
        which = "some" if c.echo_start else "the oldest"
    how = ", backwards," if c.task == "reverse" else ""
    padded = ", after paddings" if waits(c) else ""
    noun = "number" if c.output_length == 1 else "numbers"
    return f'"""{of} as {shown}{at_once}, and {which} {noun} of each{how} as its echo{padded}."""'


def drawn(c: RunConfig) -> str:
    """An expression for the random sequences of an epoch."""
    return f"rng.integers({c.vocab_size}, size=({c.sequences_per_epoch}, {c.sequence_length}))"


def sides(c: RunConfig) -> str:
    """Lines that encode both sides of the pairs."""
    return (f"questions = encode([question for question, _ in PAIRS], {c.input_length})\n"
            f"answers = encode([answer for _, answer in PAIRS], {c.output_length})")


def _rows(c: RunConfig) -> str:
    """An expression that encodes numbers. Its value for a gap is replaced afterwards."""
    if c.representation == "linear":
        return f"numbers[..., None] / {c.vocab_size - 1}"
    if c.has_gaps:
        return f"keras.utils.to_categorical(numbers, {c.vocab_size + 1})[..., :-1]"
    return f"keras.utils.to_categorical(numbers, {c.vocab_size})"


_ENCODE_GAPS = '''\
def encode(numbers):
    """Numbers as the network reads them. {gap} is none of them but a gap, and -1 everywhere."""
    encoded = {rows}
    encoded[numbers == {gap}] = -1
    return encoded'''

_ENCODE_SIDES = '''\
def encode(sides, length):
    """A one-hot row for each word, and rows of -1 after the last one of a side."""
    encoded = np.full((len(sides), length, len(WORDS)), -1.0)
    for rows, side in zip(encoded, sides):
        for row, word in zip(rows, side.split()):
            row[:] = keras.utils.to_categorical(WORDS.index(word), len(WORDS))
    return encoded'''

_PRESENT = '''\
def present(encoded):
    """Where there is something: gaps count neither in the loss nor in the accuracy."""
    return encoded[..., 0] >= 0'''


# --- network and training ----------------------------------------------------------------------


def model(c: RunConfig) -> str:
    """Lines that build the network, as `models.build_model` does."""
    before, made = _network(c, str(c.batch_size if c.stateful else None), "True")
    return "\n".join([*before, f"model = {made}"])


def builder(c: RunConfig, *changing: str) -> str:
    """A function that builds the network of a stateful run, stateful or stateless.

    Args:
        changing: Lines that change `model` before it is returned.
    """
    before, made = _network(c, "batch_size", "stateful")
    rest = ["model = " + made, *changing, "return model"] if changing else ["return " + made]
    return "\n".join(["def build(batch_size=None, stateful=False):", *(
        textwrap.indent(line, "    ") for line in [_BUILD_SAYS, *before, *rest])])


_BUILD_SAYS = '''\
"""The network. Each window begins with a state of zero, unless the network is stateful: then a batch, of a fixed
size, begins with the state that the one before it left. That is for training alone.
"""'''


def _network(c: RunConfig, batch_size: str, stateful: str) -> tuple[list[str], str]:
    """The lines before the network, and the network as an expression."""
    shape = f"batch_shape=({batch_size}, {', '.join(map(str, c.input_shape))})"
    layers = [(sized.layer, _layer(c, sized, stateful)) for sized in sized_layers(c)]
    if not any(layer.reads for layer, _ in layers):  # they form one row
        row = [f"keras.Input({shape})", *(code for _, code in layers)]
        return [], "\n".join(["keras.Sequential([", *(f"    {code}," for code in row), f'], name="{c.variant}")'])
    lines, before = [f'read = keras.Input({shape}, name="windows")'], "read"
    for layer, code in layers:
        reads = ", ".join(layer.reads) or before
        call = f"{code}({f'[{reads}]' if len(layer.reads) > 1 else reads})"
        if not layer.gives:
            break  # the last layer
        before, *states = layer.gives
        lines.append(f"{', '.join([before, *states, *(['*_'] if states else [])])} = {call}")
    return lines, f'keras.Model(read, {call}, name="{c.variant}")'


def _layer(c: RunConfig, sized: SizedLayer, stateful: str) -> str:
    """One layer as an expression."""
    layer, activation = sized.layer, 'activation="softmax", '
    if layer.kind == "recurrent":
        options = {"return_sequences": layer.every_step, "return_state": len(layer.gives) > 1}
        arguments = f"{c.units}, " + "".join(f"{option}=True, " for option, is_set in options.items() if is_set)
        arguments += f"stateful={stateful}, " if c.stateful else ""
    else:
        is_probability = c.representation == "one_hot" and not c.traits.one_vector_for_all
        arguments = {
            "Masking": "-1.0, ", "RepeatVector": f"{c.output_length}, ", "Reshape": f"{sized.gives}, ",
            "Dense": f"{sized.gives[-1]}, {activation if is_probability else ''}", "Activation": '"softmax", ',
            "Cropping1D": f"({c.input_length - c.output_length}, 0), "}.get(layer.kind, "")
    return f'{sized.keras_class}({arguments}name="{layer.name}")'


def compiling(c: RunConfig, trained: str = "model") -> list[str]:
    """Lines that compile the network `trained` with loss, optimiser and metrics."""
    linear, lines, rate = c.representation == "linear", [], repr(c.learning_rate)
    if c.schedule == "cosine":
        updates = f"EPOCHS * {c.updates_per_epoch}" if c.updates_per_epoch > 1 else "EPOCHS"
        lines, rate = [f"rate = keras.optimizers.schedules.CosineDecay({rate}, {updates})"], "rate"
    clip = f", global_clipnorm={c.clip_norm}" if c.clip_norm else ""
    loss = '"mse"' if linear else '"categorical_crossentropy"'
    if c.has_target_gaps:
        lines += ["# The mean over what there is: Keras would count the gaps too, with a loss of 0."]
        kind = "MeanSquaredError" if linear else "CategoricalCrossentropy"
        loss = f'keras.losses.{kind}(reduction="mean_with_sample_weight")'
    accuracy = "accuracy" if linear or waits(c) else '"accuracy"'
    arguments = [f"loss={loss}", f"optimizer=keras.optimizers.Adam({rate}{clip})",
                 f"{'weighted_metrics' if c.has_target_gaps else 'metrics'}=[{accuracy}]"]
    call = f"{trained}.compile({', '.join(arguments)})"
    if len(call) > 120:
        call = "\n".join([f"{trained}.compile(", *(f"    {argument}," for argument in arguments), ")"])
    return [*lines, call]


def epochs(c: RunConfig, sequences: str, trained: str = "model") -> str:
    """The loop that trains the network `trained`. `sequences` is the expression given to `get_data` in each epoch."""
    windows, echo = ("questions", "answers") if c.task == "pairs" else ("windows", "echo")
    weights = f", sample_weight=present({echo})" if c.has_target_gaps else ""
    return "\n".join([
        "for epoch in range(EPOCHS):",
        *([] if c.task == "pairs" else [f"    windows, echo = get_data({sequences})"]),
        f"    result = {trained}.fit({windows}, {echo}{weights}, batch_size={c.batch_size}, shuffle=False, verbose=0)",
        *([f"    reset_state({trained})"] if c.carries_state else []),
        "    if epoch % 50 == 0 or epoch == EPOCHS - 1:",
        '        print("epoch", epoch + 1, {name: round(values[0], 3) for name, values in result.history.items()})'])


def resetting(c: RunConfig) -> list[str]:
    """The function that resets a state, where there is one."""
    return [_RESET_STATE] if c.carries_state else []


_RESET_STATE = '''\
def reset_state(model):
    """Forget what was read. Sequential.reset_states() did this until Keras 3."""
    for layer in model.layers:
        if hasattr(layer, "reset_state"):
            layer.reset_state()'''


# --- answers -----------------------------------------------------------------------------------


def accuracies(c: RunConfig) -> list[str]:
    """The accuracy function, for runs where Keras's own does not fit."""
    if c.representation == "linear":
        return [_ACCURACY_OF_SCALED.format(largest=c.vocab_size - 1)]
    return [_ACCURACY_OF_ECHO.format(length=c.output_length)] if waits(c) else []


def numbers_meant(c: RunConfig, values: str) -> str:
    """An expression that decodes outputs of the network to whole numbers."""
    if c.representation == "linear":
        return f"np.round(np.clip({values}[..., 0], 0, 1) * {c.vocab_size - 1}).astype(int)"
    return f"np.argmax({values}, axis=-1)"


def decoder(what: str, expression: str) -> str:
    """A function that decodes answers by an expression of `values`."""
    return _DECODE.format(what=what, expression=expression)


_ACCURACY_OF_SCALED = '''\
def accuracy(expected, predicted):
    """How many are right once they are rounded."""
    return keras.ops.abs(expected - keras.ops.clip(predicted, 0, 1))[..., 0] < 0.5 / {largest}'''

_ACCURACY_OF_ECHO = '''\
def accuracy(expected, predicted):
    """Of the echo alone: the paddings are easy."""
    return keras.metrics.categorical_accuracy(expected[:, -{length}:], predicted[:, -{length}:])'''

_DECODE = '''\
def decode(values):
    """{what} that are meant."""
    return {expression}'''
