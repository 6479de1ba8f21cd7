"""A run as a listing of plain Keras, the tutorial's way, as the page shows it.

It trains from the start, without the run's weights; `script.py` makes the script that answers as the run did.
"""

from echo_core.config import RunConfig
from echo_core.exports import snippets
from echo_core.text.plurals import counted


def keras_listing(config: RunConfig) -> str:
    """A script that trains this network with plain Keras, the tutorial's way, and shows its echo.

    It needs keras, tensorflow and numpy. It shows what a run is; Echo Lab trains the same network many epochs a call
    (`echo_core.training`), with other random numbers.
    """
    c = config
    words = snippets.words(c)
    tried = "# Tried with " + ", ".join(map(" ".join, snippets.TRIED_WITH.items())) + "."
    opening = [tried, *snippets.imports(c), "", *snippets.constants(c), *(["", *words] if words else [])]
    functions = [*snippets.encoders(c), *([] if c.task == "pairs" else [_get_data(c)]),
                 *snippets.accuracies(c), *_decode(c), *snippets.resetting(c)]
    steps = [*([snippets.sides(c)] if c.task == "pairs" else []), snippets.model(c),
             "\n".join([*snippets.compiling(c), "model.summary()"]),
             snippets.epochs(c, snippets.drawn(c) if c.text else ""), _showing(c)]
    return "\n\n\n".join(["\n".join(opening), *functions, "\n\n".join(steps)]) + "\n"


def _get_data(c: RunConfig) -> str:
    """The function that makes windows and their expected answers."""
    given = "sequences" if c.text else f"num_sequences={c.sequences_per_epoch}"
    draw = f"sequences = rng.integers({c.vocab_size}, size=(num_sequences, {c.sequence_length}))"
    return "\n    ".join([
        f"def get_data({given}):", snippets.purpose(c, "Sequences" if c.text else "New random sequences"),
        *([] if c.text else [draw]), *snippets.framing(c), *snippets.echoing(c)])


def _decode(c: RunConfig) -> list[str]:
    """The function that decodes an answer, where that takes more than a line."""
    numbers = snippets.numbers_meant(c, "values")
    if c.text:
        words = '[*WORDS, "(padding)"]' if c.traits.has_padding else "WORDS"
        return [snippets.decoder("The words", f'" ".join({words}[number] for number in {numbers})')]
    return [snippets.decoder("The whole numbers", numbers)] if c.representation == "linear" else []


def _showing(c: RunConfig) -> str:
    """The lines that print answers to new windows, or to the visitor's own words."""
    if c.task == "pairs":
        return _SHOW_PAIRS
    lines = [f"windows, echo = get_data({'np.array([[WORDS.index(word) for word in TEXT]])' if c.text else ''})"]
    if not c.carries_state:
        return "\n".join([*lines, "predicted = model.predict(windows, verbose=0)",
                          "for expected, answer in zip(echo, predicted):", *(f"    {line}" for line in _printing(c))])
    batch = f"windows[start:start + {c.batch_size}]"
    if c.text:  # it has as many windows as it happens to have
        lines += [f"# The network takes {counted(c.batch_size, 'window')} at a time: the last ones are filled up."]
        batch = f"np.resize({batch}, model.input_shape)"
    return "\n".join([
        *lines,
        f"for start in range(0, len(windows), {c.batch_size}):",
        "    reset_state(model)  # otherwise the last batch's state leaks into this one's answers",
        f"    predicted = keras.ops.convert_to_numpy(model({batch}))",
        "    for expected, answer in zip(echo[start:], predicted):",
        *(f"        {line}" for line in _printing(c))])


def _printing(c: RunConfig) -> list[str]:
    part = "[there]" if c.has_target_gaps else f"[-{c.output_length}:]" if snippets.waits(c) else ""
    one_by_one = c.text or c.representation == "linear"
    expected, answer = (f"decode({name}{part})" if one_by_one else f"np.argmax({name}{part}, axis=-1)"
                        for name in ("expected", "answer"))
    there = ["there = present(expected)"] if c.has_target_gaps else []
    return [*there, f'print("expected", {expected}, "predicted", {answer})']


_SHOW_PAIRS = '''\
predicted = model.predict(questions, verbose=0)
for (question, expected), answer in zip(PAIRS, predicted):
    print(question, "expected", expected, "predicted", decode(answer[:len(expected.split())]))'''
