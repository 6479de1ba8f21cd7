"""A run as something to take away: for now its plain Keras code and the model's summary.

Text alone, so the app's process can show it without importing Keras; tests hold both to Keras.
"""

import math
from typing import NamedTuple

from echo_core.config import RunConfig, lstm_parameters


class Layer(NamedTuple):
    """One layer as `summary()` lists it; the first axis of `shape` is the batch, None if it may vary."""

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int


def layers(config: RunConfig) -> list[Layer]:
    """The layers of `build_model(config)` in order, with their output shapes and parameters."""
    c, batch = config, config.batch_size if config.stateful else None
    first, second = lstm_parameters(c.vocab_size, c.units), lstm_parameters(c.units, c.units)
    readout = Layer("readout", "Dense", (batch, c.output_length, c.vocab_size), (c.units + 1) * c.vocab_size)
    if c.variant == "whole":
        return [Layer("lstm", "LSTM", (batch, c.input_length, c.units), first), readout]
    return [Layer("encoder", "LSTM", (batch, c.units), first),
            Layer("context", "RepeatVector", (batch, c.output_length, c.units), 0),
            Layer("decoder", "LSTM", (batch, c.output_length, c.units), second),
            readout]


def keras_summary(config: RunConfig) -> str:
    """What `build_model(config).summary(line_length=70)` prints."""
    widths = (28, 21, 11)

    def rule(left: str, middle: str, right: str, line: str) -> str:
        return left + middle.join(line * (width + 2) for width in widths) + right

    def row(edge: str, name: str, shape: str, count: str) -> str:
        cells = (f" {name:<{widths[0]}} ", f" {shape:<{widths[1]}} ", f" {count:>{widths[2]}} ")
        return edge + edge.join(cells) + edge

    rows = [row("│", f"{layer.name} ({layer.kind})", f"({', '.join(map(str, layer.shape))})", f"{layer.parameters:,}")
            for layer in layers(config)]
    between = "\n" + rule("├", "┼", "┤", "─") + "\n"
    total = sum(layer.parameters for layer in layers(config))
    params = f"{total:,} ({_memory(4 * total)})"
    return "\n".join([
        f'Model: "{config.variant}"', rule("┏", "┳", "┓", "━"), row("┃", "Layer (type)", "Output Shape", "Param #"),
        rule("┡", "╇", "┩", "━"), between.join(rows), rule("└", "┴", "┘", "─"),
        f" Total params: {params}", f" Trainable params: {params}", " Non-trainable params: 0 (0.00 B)", ""])


def keras_listing(config: RunConfig) -> str:
    """A script that trains this network with plain Keras, the tutorial's way, and shows its echo.

    It needs keras, tensorflow and numpy. It says what a run is; Echo Lab trains the same thing
    many epochs a call (`echo_core.training`), with other random numbers.
    """
    return _LISTING.format(c=config, network=_NETWORKS[config.variant].format(c=config),
                           batch=config.batch_size if config.stateful else None)


def _memory(size: float) -> str:
    power = min(int(math.log(size, 1024)), 3)
    return f"{size / 1024 ** power:.2f} {('B', 'KB', 'MB', 'GB')[power]}"


_NETWORKS = {
    "whole": '''\
    LSTM({c.units}, return_sequences=True, stateful={c.stateful}, name="lstm"),
    Dense({c.vocab_size}, activation="softmax", name="readout"),''',
    "encoder_decoder": '''\
    LSTM({c.units}, stateful={c.stateful}, name="encoder"),
    RepeatVector({c.output_length}, name="context"),
    LSTM({c.units}, return_sequences=True, stateful={c.stateful}, name="decoder"),
    Dense({c.vocab_size}, activation="softmax", name="readout"),''',
}

_LISTING = '''\
import keras
import numpy as np
from keras.layers import LSTM, Dense, RepeatVector

EPOCHS = {c.epochs}
keras.utils.set_random_seed({c.seed})
rng = np.random.default_rng({c.seed})


def get_data(num_sequences={c.sequences_per_epoch}):
    """New random sequences as one-hot windows, and the oldest numbers of each as its echo."""
    sequences = rng.integers({c.vocab_size}, size=(num_sequences, {c.sequence_length}))
    windows = np.lib.stride_tricks.sliding_window_view(sequences, {c.input_length}, axis=1)
    windows = keras.utils.to_categorical(windows.reshape(-1, {c.input_length}), {c.vocab_size})
    return windows, windows[:, :{c.output_length}]


def reset_state(model):
    """Forget what was read. Sequential.reset_states() did this until Keras 3."""
    for layer in model.layers:
        if hasattr(layer, "reset_state"):
            layer.reset_state()


model = keras.Sequential([
    keras.Input(batch_shape=({batch}, {c.input_length}, {c.vocab_size})),
{network}
])
model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.Adam({c.learning_rate}), metrics=["accuracy"])
model.summary()

for epoch in range(EPOCHS):
    windows, echo = get_data()
    result = model.fit(windows, echo, batch_size={c.batch_size}, shuffle=False, verbose=0)
    reset_state(model)
    if epoch % 50 == 0 or epoch == EPOCHS - 1:
        print("epoch", epoch + 1, {{name: round(values[0], 3) for name, values in result.history.items()}})

windows, echo = get_data()
for start in range(0, len(windows), {c.batch_size}):
    reset_state(model)  # otherwise the last batch's state leaks into this one's answers
    predicted = model(windows[start:start + {c.batch_size}])
    for expected, answer in zip(echo[start:], np.argmax(predicted, axis=-1)):
        print("expected", np.argmax(expected, axis=-1), "predicted", answer)
'''
