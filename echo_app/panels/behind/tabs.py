"""The tabs below a run: how its network works, the data that it learns from, and its plain Keras code."""

import math
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from echo_app import charts
from echo_app.charts.one_hot import MAX_ROWS
from echo_app.components import network
from echo_app.panels.behind import explanations
from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.data import TASKS, generate_sequence, shift_table, shown_sequence, text_examples, to_examples
from echo_core.evaluation.conclusions import is_too_small
from echo_core.exports.listing import keras_listing
from echo_core.exports.summary import summary
from echo_core.inspection.remembering import state_values
from echo_core.tables import as_words
from echo_core.text.plurals import counted
from echo_core.text.words import pairs

#: Rows that a table shows at most.
_MAX_ROWS = 200


def how_to_read(config: RunConfig) -> str:
    """An explanation of the grid of windows, for somebody who sees it for the first time."""
    if config.task == "pairs":
        return (
            "Each row is a **pair** of yours: a question that the network reads word by word, and the answer that it "
            "must give. Dots are places where a shorter pair has nothing; they are skipped.\n\n"
            "It trains on these very pairs, again and again, so a ✓ here means **learnt by heart**. That is what a "
            "tiny network can do with a dozen sentences: it remembers, and understands nothing.")
    one, backwards = "word" if config.text else "number", ", **backwards**" if config.task == "reverse" else ""
    of = "your own words" if config.text else "one random sequence"
    when = ("All of them reach it in one step" if config.traits.reads_all_at_once else
            f"It says nothing for {counted(config.answer_steps - config.output_length, 'step')} and then begins, still "
            "reading" if config.traits.has_padding else
            "It says each one while it reads it" if config.bits == 0 else
            "It reads all of them first, and only then begins to answer")
    task = f"must say the **bold** one again{backwards}. {when}" if config.output_length == 1 else (
        f"must say the {config.output_length} **bold** ones again{backwards}. {when}")
    if config.task == "lag":
        steps = "one step" if config.lag == 1 else f"{config.lag} steps"
        task = (f"at each step must say the {one} that it read {steps} before. Dots (·) are steps at which there is no "
                f"such {one} yet")
    guess = ("It begins by guessing the middle. Its **loss** is the squared distance to the right number" if
             config.representation == "linear" else
             f"It begins by guessing: 1 in {config.vocab_size} is right by luck. Its **loss** says how surprised it is "
             "by the right answers")
    return (
        f"Each row is a **window**: {counted(config.input_length, one)} in a row of {of}. The network reads them from "
        f"left to right and {task}.\n\n"
        f"{guess}, and falls while it learns. Training uses other random {one}s each time, so a ✓ here is never learnt "
        "by heart.")


def story(config: RunConfig, has_run: bool) -> None:
    """Draw how this network works, what its memory has to do, and how to read the windows of a run."""
    if has_run:  # without one these stand above and below the windows
        network.draw(config, key="network_behind")
    layers, memory = st.columns(2, gap="large")
    layers.markdown(config.traits.story)
    memory.markdown(_memory(config))
    if has_run:
        st.markdown(how_to_read(config))


def _memory(config: RunConfig) -> str:
    memory = {"pairs": explanations.PAIRS, "lag": explanations.LAG, "reverse": explanations.REVERSE}.get(
        config.task, config.traits.memory_story)
    too_small = explanations.TOO_SMALL.format(bits=config.bits, values=state_values(config))
    parts = [memory, too_small if is_too_small(config) else None, CELLS[config.cell].unlike_lstm,
             explanations.LINEAR if config.representation == "linear" else None,
             explanations.MASK if config.missing == "mask" else None]
    return "\n\n".join(part for part in parts if part)


def data_view(config: RunConfig) -> None:
    """Draw the steps from a random sequence to windows and their echoes."""
    if config.task == "pairs":
        return _pairs_view(config)
    another = not config.text and st.button("Another sequence", icon=":material/casino:", key="another_sequence")
    sequence = (np.array(generate_sequence(config.sequence_length, config.vocab_size)) if another
                else shown_sequence(config))
    if config.text:
        st.markdown(f"**1. Your own words.** {counted(len(sequence), 'word')}, {config.vocab_size} of them different, "
                    "each with a number. Training draws random sequences of these words; yours are only shown.")
        st.text(" ".join(as_words(config, sequence)))
        st.code(" ".join(map(str, sequence)), language=None, wrap_lines=True)
    else:
        st.markdown(f"**1. A random sequence.** {counted(len(sequence), 'whole number')} from 0 to "
                    f"{config.vocab_size - 1}. Every epoch of training has new ones, so there is nothing to learn "
                    "by heart.")
        st.code(" ".join(map(str, sequence)), language=None, wrap_lines=True)
    if config.representation == "linear":
        st.markdown(f"**2. Scaled.** Each number is divided by {config.vocab_size - 1}, so that it lies between 0 and "
                    "1. The answer is one such number, rounded to the nearest.")
    else:
        st.markdown(f"**2. One-hot.** Each number becomes a row of {config.vocab_size} cells: a single one, which is "
                    "filled here, and zeros, which are empty. The answer must be the right number, not a near one.")
    _encoded(config, sequence)
    _shift_table_view(config, sequence)
    windows = to_examples(config, sequence)
    several = f" One epoch has {config.sequences_per_epoch} such sequences." if config.sequences_per_epoch > 1 else ""
    st.markdown(f"**4. {counted(len(windows.inputs), 'window')}.** What is left: input and what should come back, as "
                f"the network gets them.{several}")
    _windows_table(config, windows.inputs, windows.expected)


def _encoded(config: RunConfig, sequence: NDArray[np.int64]) -> None:
    """Draw the numbers as the network gets them."""
    if config.representation == "linear":
        scaled = pd.DataFrame({"timestep": range(1, len(sequence) + 1), "number": sequence,
                               "scaled": sequence / (config.vocab_size - 1)})
        st.vega_lite_chart(scaled, charts.scaled_numbers(len(sequence), config.vocab_size),
                           alt="A bar for each timestep, as high as its number")
        return
    st.html(charts.one_hot(sequence.tolist(), config.vocabulary or [str(k) for k in range(config.vocab_size)]))
    if len(sequence) > MAX_ROWS:
        st.caption(f"The first {MAX_ROWS} of {len(sequence)} numbers.")


def _shift_table_view(config: RunConfig, sequence: NDArray[np.int64]) -> None:
    """Draw the sequence beside its shifted copies: incomplete rows in grey, or marked where they are kept."""
    table = shift_table(sequence, config.input_length, config.input_length)
    lags = list(table.columns[:config.input_length])
    asked = TASKS[config.task](config, lags)
    echoes = {f"y{k + 1}": table[lag] for k, lag in enumerate(asked, config.lag)}
    table = pd.concat([table[lags], pd.DataFrame(echoes)], axis=1)
    incomplete = table.isna().any(axis=1)
    kept = ~incomplete if config.missing == "drop" else table[list(echoes)].notna().any(axis=1)
    more = int((kept & incomplete).sum())
    then = ("are dropped." if config.missing == "drop" else
            f"are kept where a part of their answer is there: **{counted(more, 'more window')}** (on orange); the gaps "
            "are skipped.")
    st.markdown(f"**3. Shifted copies side by side.** Each row holds {config.input_length} in a row; `t` is the "
                f"newest. `y` is what should come back. Rows at both ends miss some (NaN) and {then}")
    if len(table) > _MAX_ROWS:
        st.caption(f"The first {_MAX_ROWS} of {len(table)} rows.")
    shown = table.head(_MAX_ROWS).map(lambda value: "NaN" if math.isnan(value) else f"{value:.0f}")

    def style(row: Any) -> list[str]:
        if not incomplete[row.name]:
            return [""] * len(row)
        colours = "background-color: #E69F0033" if kept[row.name] else "color: #888888; background-color: #88888822"
        return [colours] * len(row)

    st.dataframe(shown.style.apply(style, axis=1), height=300, key="shift_table",
                 alt="The sequence beside its shifted copies")


def _windows_table(config: RunConfig, inputs: NDArray[np.int64], expected: NDArray[np.int64]) -> None:
    def joined(rows: NDArray[np.int64]) -> list[str]:
        return [" ".join(str(name) if str(name) else "·" for name in row)
                for row in as_words(config, rows[:_MAX_ROWS])]

    rows = {"input": joined(inputs), "answer": joined(expected)}
    st.dataframe(pd.DataFrame(rows, index=pd.RangeIndex(1, 1 + len(rows["input"]))), height=300, key="window_table",
                 alt="What is read and what should come back")


def _pairs_view(config: RunConfig) -> None:
    examples = text_examples(config)
    st.markdown(f"**1. Your pairs.** {len(pairs(config.text))} of them, with "
                f"{counted(config.vocab_size, 'different word')}, each with a number. Words are whatever "
                "stands between spaces.")
    words = pd.DataFrame({"number": range(config.vocab_size), "word": config.vocabulary})
    st.dataframe(words, hide_index=True, height=240, key="vocabulary_table", alt="Every word and its number")
    st.markdown(f"**2. Rows of one length.** The longest question has {counted(config.input_length, 'word')} and the "
                f"longest answer {config.output_length}. Shorter ones are filled up with gaps (·), which the network "
                "skips and which count nowhere.")
    _windows_table(config, examples.inputs, examples.expected)
    st.markdown("**3. One-hot.** Each word becomes a row of zeros with a single one, as numbers do. An epoch trains on "
                "every pair once.")


def code_view(config: RunConfig) -> None:
    """Draw the network as plain Keras, its summary, and what has changed since the tutorial was written."""
    st.markdown("This network in plain Keras: data, layers, training and an answer. It runs as it is; Echo Lab trains "
                "the same network, many epochs a call.")
    st.code(keras_listing(config), language="python")
    st.markdown("Its layers, as `model.summary()` lists them:")
    st.code(summary(config), language=None)
    st.markdown(explanations.CHANGES)
