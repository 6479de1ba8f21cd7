"""What stands behind a run: the data it learns from, and the plain Keras code of its network."""

import math

import pandas as pd
import streamlit as st

from echo_app import charts
from echo_core.config import RunConfig
from echo_core.data import generate_sequence, shift_table, shown_sequence, to_windows
from echo_core.export import keras_listing, keras_summary

#: Rows of a table that are shown at most; longer ones say nothing more.
_MAX_ROWS = 200


def story() -> None:
    """What the networks do, and why one of the two needs a memory. Words alone, so it is there at once."""
    whole, partial = st.columns(2, gap="large")
    whole.markdown(_WHOLE)
    partial.markdown(_PARTIAL)


def data_view(config: RunConfig) -> None:
    """From a random sequence to windows and their echo, for the settings at hand."""
    another = st.button("Another sequence", icon=":material/casino:", key="another_sequence")
    sequence = generate_sequence(config.sequence_length, config.vocab_size) if another else shown_sequence(config)
    st.markdown(f"**1. A random sequence.** {config.sequence_length} whole numbers from 0 to {config.vocab_size - 1}. "
                "Every epoch of training has new ones, so there is nothing to learn by heart.")
    st.code(" ".join(map(str, sequence)), language=None, wrap_lines=True)
    st.markdown(f"**2. One-hot.** Each number becomes a row of {config.vocab_size} zeros with a single one, because "
                "the answer must be the right number and not a near one.")
    strip = pd.DataFrame({"timestep": range(1, len(sequence) + 1), "number": sequence})
    st.vega_lite_chart(strip, charts.one_hot_strip(len(sequence), config.vocab_size),
                       alt="One mark for each timestep, at its number")
    st.markdown(f"**3. Shifted copies side by side.** Each row holds {config.input_length} numbers in a row; `t` is "
                f"the newest. `y` is what should come back: the oldest {config.output_length}. Rows at both ends miss "
                "numbers (NaN) and are dropped.")
    table = shift_table(sequence, config.input_length, config.output_length)
    if len(table) > _MAX_ROWS:
        st.caption(f"The first {_MAX_ROWS} of {len(table)} rows.")
    table = table.head(_MAX_ROWS)
    incomplete = table.isna().any(axis=1)
    shown = table.map(lambda value: "NaN" if math.isnan(value) else f"{value:.0f}")
    styled = shown.style.apply(
        lambda row: ["color: #888888; background-color: #88888822" if incomplete[row.name] else ""] * len(row), axis=1)
    st.dataframe(styled, height=300, key="shift_table", alt="The sequence beside its shifted copies")
    windows = to_windows(sequence, config.input_length)
    several = f" One epoch has {config.sequences_per_epoch} such sequences." if config.sequences_per_epoch > 1 else ""
    st.markdown(f"**4. {len(windows)} windows.** What is left: input and expected echo, as the network gets "
                f"them.{several}")
    rows = {"input": [" ".join(map(str, window)) for window in windows[:_MAX_ROWS]],
            "echo": [" ".join(map(str, window[:config.output_length])) for window in windows[:_MAX_ROWS]]}
    st.dataframe(pd.DataFrame(rows, index=pd.RangeIndex(1, 1 + len(rows["input"]))), height=300, key="window_table",
                 alt="Windows and their echoes")


def code_view(config: RunConfig) -> None:
    """The network as plain Keras, its summary, and what has changed since the tutorial was written."""
    st.markdown("This network in plain Keras. It runs as it is; Echo Lab trains the same thing, many epochs a call.")
    st.code(keras_listing(config), language="python", height=420)
    st.markdown("What `model.summary()` prints:")
    st.code(keras_summary(config), language=None)
    st.markdown(_CHANGES)


_WHOLE = """
**Whole echo: no memory needed.** The network reads a number and answers before it reads the next. It only has to learn
which output belongs to which input, a hundred times over. Anything that maps number to number can do it, with or
without a memory. The windows turn right long before the loss is small, because the right answer only has to be the
*likeliest* one.
"""

_PARTIAL = """
**Partial echo: now it must remember.** One LSTM, the *encoder*, reads all the numbers and keeps a few dozen values: its
state. A second one, the *decoder*, sees only that state and must say the first numbers again. Two numbers out of a
hundred are 13.3 bits that have to survive everything read after them. Watch the loss stand still near pure guessing
until the network finds a way to keep them.
"""

_CHANGES = """
**If you come from the tutorial of 2017**, this is what has changed in Keras since:

- `batch_input_shape` on a layer is gone. The batch size of a stateful network stands in
  `keras.Input(batch_shape=(batch, timesteps, features))`.
- `model.reset_states()` is gone from `Sequential`. Each layer that keeps state has `reset_state()`.
- `TimeDistributed(Dense(…))` is no longer needed: `Dense` works on every timestep by itself.
- A stateful network answers with whatever state is left over. Reset it before *every* prediction; otherwise
  only the first answer is right.
- Calling `fit` or `predict` in a loop is slow, and memory grows. Call the model itself, or train many epochs in one
  compiled function.
"""
