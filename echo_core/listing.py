"""A run as a script of plain Keras, to be taken away and run as it is.

The script is put together from small pieces, so that it has only what its run needs. Words that somebody
typed stand in it as literals alone. `tests/test_listing.py` holds its data, network and loss to ours.
"""

import json
import textwrap

from echo_core import text as texts
from echo_core.config import RunConfig
from echo_core.data import paddings
from echo_core.layers import CELL_LAYERS, layers

#: What the summary of `attention` has beside the layers that people write.
_UNWRITTEN = ("InputLayer", "NotEqual", "Any")

_MASKING = 'Masking(-1.0, name="gaps")'


def keras_listing(config: RunConfig) -> str:
    """A script that trains this network with plain Keras, the tutorial's way, and shows its echo.

    It needs keras, tensorflow and numpy. It says what a run is; Echo Lab trains the same thing
    many epochs a call (`echo_core.training`), with other random numbers.
    """
    functions = [*_data(config), *_reading_off(config), *([_RESET_STATE] if _has_state(config) else [])]
    steps = [*_sides(config), _model(config), _compile(config), _epochs(config), _showing(config)]
    return "\n\n\n".join([_opening(config), *functions, "\n\n".join(steps)]) + "\n"


def _opening(c: RunConfig) -> str:
    kinds = {layer.kind for layer in layers(c)}.difference(_UNWRITTEN)
    imported = sorted(kinds, key=lambda kind: (not kind.isupper(), kind))
    return "\n".join([
        "import keras", "import numpy as np", f"from keras.layers import {', '.join(imported)}", "",
        f"EPOCHS = {c.epochs}", f"keras.utils.set_random_seed({c.seed})",
        *([] if c.task == "pairs" else [f"rng = np.random.default_rng({c.seed})"]), *_words(c)])


def _words(c: RunConfig) -> list[str]:
    """The visitor's own words, and the vocabulary that they make."""
    if not c.text:
        return []
    if c.task == "pairs":
        pairs = [[_literal(" ".join(side)) for side in pair] for pair in texts.pairs(c.text)]
        return ["", "PAIRS = [", *(f"    ({question}, {answer})," for question, answer in pairs), "]",
                "WORDS = sorted({word for pair in PAIRS for side in pair for word in side.split()})"]
    *lines, last = textwrap.wrap(" ".join(texts.words(c.text)), 100, break_long_words=False, break_on_hyphens=False)
    literal = "\n    ".join([*(_literal(line + " ") for line in lines), _literal(last)])
    row = f"(\n    {literal})" if lines else literal
    return ["", f"TEXT = {row}.split()", "WORDS = sorted(set(TEXT))"]


def _literal(text: str) -> str:
    """A text in double quotes: Python reads all that JSON escapes alike, and nothing typed ends it."""
    return json.dumps(text, ensure_ascii=False)


def _has_state(c: RunConfig) -> bool:
    """Whether there is a state to be reset."""
    return c.stateful and c.num_recurrent_layers > 0


def _waits(c: RunConfig) -> bool:
    """Whether the answer begins with paddings."""
    return c.answer_steps > c.output_length


# --- data --------------------------------------------------------------------------------------


def _data(c: RunConfig) -> list[str]:
    """Functions that make what the network reads and what it should answer."""
    if c.task == "pairs":
        return [_ENCODE_SIDES, _PRESENT]
    if c.has_gaps:
        return [_ENCODE_GAPS.format(gap=c.vocab_size, rows=_rows(c)), _PRESENT, _get_data(c)]
    return [_get_data(c)]


def _get_data(c: RunConfig) -> str:
    block = f"[:, {c.echo_start or ''}:{c.echo_start + c.output_length}]" + ("[:, ::-1]" if c.task == "reverse" else "")
    lines = [f'"""{_purpose(c)}"""']
    if not c.text:
        lines += [f"sequences = rng.integers({c.vocab_size}, size=(num_sequences, {c.sequence_length}))"]
    if c.has_gaps:
        lines += [f"sequences = np.pad(sequences, ((0, 0), {paddings(c)}), constant_values={c.vocab_size})"]
    lines += [f"numbers = np.lib.stride_tricks.sliding_window_view(sequences, {c.input_length}, axis=1)",
              f"numbers = numbers.reshape(-1, {c.input_length})",
              f"windows = {'encode(numbers)' if c.has_gaps else _rows(c)}"]
    if c.variant == "padded":
        wait = c.answer_steps - c.output_length
        lines += [f"echo = np.pad(numbers{block}, ((0, 0), ({wait}, 0)), constant_values={c.vocab_size})"
                  if wait else f"echo = numbers{block}",
                  f"return windows, keras.utils.to_categorical(echo, {c.num_classes})"]
    elif c.variant == "one_to_one":
        lines += [f"return windows.reshape(-1, 1, {c.input_length * c.num_features}), windows{block}"]
    else:
        lines += [f"return windows, windows{block}"]
    given = "sequences" if c.text else f"num_sequences={c.sequences_per_epoch}"
    return "\n    ".join([f"def get_data({given}):", *lines])


def _purpose(c: RunConfig) -> str:
    """What `get_data` says of itself."""
    sequences = "Sequences" if c.text else "New random sequences"
    shown = "windows of scaled numbers" if c.representation == "linear" else "one-hot windows"
    at_once = " of one step" if c.variant == "one_to_one" else ""
    if c.output_length == c.input_length:
        which = "all"
    elif c.echo_start + c.output_length == c.input_length:
        which = "the newest"
    else:
        which = "some" if c.echo_start else "the oldest"
    how = ", backwards," if c.task == "reverse" else ""
    padded = ", after paddings" if _waits(c) else ""
    return f"{sequences} as {shown}{at_once}, and {which} numbers of each{how} as its echo{padded}."


def _rows(c: RunConfig) -> str:
    """An expression for numbers as the network reads them. Whatever it gives for a gap is replaced."""
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


def _sides(c: RunConfig) -> list[str]:
    if c.task != "pairs":
        return []
    return [f"questions = encode([question for question, _ in PAIRS], {c.input_length})\n"
            f"answers = encode([answer for _, answer in PAIRS], {c.output_length})"]


def _model(c: RunConfig) -> str:
    """The network as `models.build_model` has it."""
    steps, features = c.input_length, c.num_features
    if c.variant == "one_to_one":
        steps, features = 1, c.input_length * c.num_features
    shape = f"batch_shape=({c.batch_size if c.stateful else None}, {steps}, {features})"
    softmax = "" if c.representation == "linear" else ', activation="softmax"'
    readout = f'Dense({c.num_classes}{softmax}, name="readout")'
    if c.variant == "attention":
        encoder = _recurrent(c, "encoder", "return_sequences", "return_state")
        return "\n".join([
            f'read = keras.Input({shape}, name="windows")',
            *([f"shown = {_MASKING}(read)"] if c.has_gaps else []),
            f"encoded, last, *_ = {encoder}({'shown' if c.has_gaps else 'read'})",
            f'context = RepeatVector({c.output_length}, name="context")(last)',
            f"decoded = {_recurrent(c, 'decoder', 'return_sequences')}(context)",
            'found = Attention(name="attention")([decoded, encoded])',
            'joined = Concatenate(name="joined")([decoded, found])',
            f'model = keras.Model(read, {readout}(joined), name="attention")'])
    row = [f"keras.Input({shape})", *([_MASKING] if c.has_gaps else []), *_row(c, readout)]
    return "\n".join(["model = keras.Sequential([", *(f"    {layer}," for layer in row), f'], name="{c.variant}")'])


def _row(c: RunConfig, readout: str) -> list[str]:
    """The layers after the input, where each has one before it and one after it."""
    if c.variant in ("whole", "padded"):
        return [_recurrent(c, c.cell, "return_sequences"), readout]
    if c.variant == "encoder_decoder":
        return [_recurrent(c, "encoder"), f'RepeatVector({c.output_length}, name="context")',
                _recurrent(c, "decoder", "return_sequences"), readout]
    if c.variant == "no_memory":
        return [f'Cropping1D(({c.input_length - c.output_length}, 0), name="newest")', readout]
    softmax = [] if c.representation == "linear" else ['Activation("softmax", name="probabilities")']
    return [_recurrent(c, c.cell), f'Dense({c.output_length * c.num_classes}, name="readout")',
            f'Reshape(({c.output_length}, {c.num_classes}), name="blocks")', *softmax]


def _recurrent(c: RunConfig, name: str, *options: str) -> str:
    given = "".join(f", {option}=True" for option in [*options, *(["stateful"] if c.stateful else [])])
    return f'{CELL_LAYERS[c.cell]}({c.units}{given}, name="{name}")'


def _compile(c: RunConfig) -> str:
    linear, lines, rate = c.representation == "linear", [], repr(c.learning_rate)
    if c.schedule == "cosine":
        updates = f"EPOCHS * {c.updates_per_epoch}" if c.updates_per_epoch > 1 else "EPOCHS"
        lines, rate = [f"rate = keras.optimizers.schedules.CosineDecay({rate}, {updates})"], "rate"
    clip = f", global_clipnorm={c.clip_norm}" if c.clip_norm else ""
    loss = '"mse"' if linear else '"categorical_crossentropy"'
    if c.has_gaps:
        lines += ["# The mean over what there is: Keras would count the gaps too, with a loss of 0."]
        kind = "MeanSquaredError" if linear else "CategoricalCrossentropy"
        loss = f'keras.losses.{kind}(reduction="mean_with_sample_weight")'
    accuracy = "accuracy" if linear or _waits(c) else '"accuracy"'
    arguments = [f"loss={loss}", f"optimizer=keras.optimizers.Adam({rate}{clip})",
                 f"{'weighted_metrics' if c.has_gaps else 'metrics'}=[{accuracy}]"]
    call = f"model.compile({', '.join(arguments)})"
    if len(call) > 120:
        call = "\n".join(["model.compile(", *(f"    {argument}," for argument in arguments), ")"])
    return "\n".join([*lines, call, "model.summary()"])


def _epochs(c: RunConfig) -> str:
    windows, echo = ("questions", "answers") if c.task == "pairs" else ("windows", "echo")
    weights = f", sample_weight=present({echo})" if c.has_gaps else ""
    drawn = f"rng.integers({c.vocab_size}, size=({c.sequences_per_epoch}, {c.sequence_length}))" if c.text else ""
    return "\n".join([
        "for epoch in range(EPOCHS):",
        *([] if c.task == "pairs" else [f"    windows, echo = get_data({drawn})"]),
        f"    result = model.fit({windows}, {echo}{weights}, batch_size={c.batch_size}, shuffle=False, verbose=0)",
        *(["    reset_state(model)"] if _has_state(c) else []),
        "    if epoch % 50 == 0 or epoch == EPOCHS - 1:",
        '        print("epoch", epoch + 1, {name: round(values[0], 3) for name, values in result.history.items()})'])


_RESET_STATE = '''\
def reset_state(model):
    """Forget what was read. Sequential.reset_states() did this until Keras 3."""
    for layer in model.layers:
        if hasattr(layer, "reset_state"):
            layer.reset_state()'''


# --- answers -----------------------------------------------------------------------------------


def _reading_off(c: RunConfig) -> list[str]:
    """Functions that tell how right an answer is and what it means, where that takes more than a line."""
    functions = []
    if c.representation == "linear":
        functions += [_ACCURACY_OF_SCALED.format(largest=c.vocab_size - 1)]
    elif _waits(c):
        functions += [_ACCURACY_OF_ECHO.format(length=c.output_length)]
    numbers = "np.argmax(values, axis=-1)"
    if c.representation == "linear":
        numbers = f"np.round(np.clip(values[..., 0], 0, 1) * {c.vocab_size - 1}).astype(int)"
    if c.text:
        words = '[*WORDS, "(padding)"]' if c.variant == "padded" else "WORDS"
        functions += [_DECODE.format(what="The words", expression=f'" ".join({words}[number] for number in {numbers})')]
    elif c.representation == "linear":
        functions += [_DECODE.format(what="The whole numbers", expression=numbers)]
    return functions


def _showing(c: RunConfig) -> str:
    """The answers to new windows, or to those of the visitor's own words."""
    if c.task == "pairs":
        return _SHOW_PAIRS
    lines = [f"windows, echo = get_data({'np.array([[WORDS.index(word) for word in TEXT]])' if c.text else ''})"]
    if not _has_state(c):
        return "\n".join([*lines, "predicted = model.predict(windows, verbose=0)",
                          "for expected, answer in zip(echo, predicted):", *(f"    {line}" for line in _printing(c))])
    batch = f"windows[start:start + {c.batch_size}]"
    if c.text:  # it has as many windows as it happens to have
        lines += [f"# The network takes {c.batch_size} windows at a time: the last ones are filled up."]
        batch = f"np.resize({batch}, model.input_shape)"
    return "\n".join([
        *lines,
        f"for start in range(0, len(windows), {c.batch_size}):",
        "    reset_state(model)  # otherwise the last batch's state leaks into this one's answers",
        f"    predicted = keras.ops.convert_to_numpy(model({batch}))",
        "    for expected, answer in zip(echo[start:], predicted):",
        *(f"        {line}" for line in _printing(c))])


def _printing(c: RunConfig) -> list[str]:
    part = "[there]" if c.has_gaps else f"[-{c.output_length}:]" if _waits(c) else ""
    one_by_one = c.text or c.representation == "linear"
    expected, answer = (f"decode({name}{part})" if one_by_one else f"np.argmax({name}{part}, axis=-1)"
                        for name in ("expected", "answer"))
    there = ["there = present(expected)"] if c.has_gaps else []
    return [*there, f'print("expected", {expected}, "predicted", {answer})']


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

_SHOW_PAIRS = '''\
predicted = model.predict(questions, verbose=0)
for (question, expected), answer in zip(PAIRS, predicted):
    print(question, "expected", expected, "predicted", decode(answer[:len(expected.split())]))'''
