"""A bug that a reader of the tutorial met, demonstrated: a stateful network that is not reset between questions."""

import numpy as np
import pandas as pd
import streamlit as st

from echo_app import cached_reads
from echo_app.charts.grid import grid
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.data import Examples, shown_examples
from echo_core.evaluation import Answers, answer, ask_again, judge
from echo_core.records import Floats, Snapshot
from echo_core.store import RunRow

#: How often the same windows are asked.
TIMES = 4


def resets_view(run: RunRow | None) -> None:
    """Ask the shown run's network several times, with and without resets, and draw its answers."""
    weights = cached_reads.weights(run) if run else None
    if run is None or weights is None or not run.config.carries_state:
        st.info(_missing(run), icon=":material/model_training:")
        return
    st.markdown(_STORY)
    _ask(run.config, weights)


def _missing(run: RunRow | None) -> str:
    if run is None or not run.config.carries_state:
        return ("Here one sees a mistake that only a network with **Stateful** on (*Advanced*) can make: its state "
                "goes from batch to batch, and so from one question into the next. Train one, such as preset "
                f"*{PRESETS['partial'].title}*, and come back.")
    return "This run has no weights yet. They are there when it has finished or is paused."


def _ask(config: RunConfig, weights: tuple[Floats, ...]) -> None:
    examples = _whole_batches(config)
    never, fresh = ask_again(config, weights, examples.inputs, TIMES), answer(config, weights, examples.inputs)
    table = pd.DataFrame({
        "": [f"{_ORDINALS[k]} time" for k in range(TIMES)],
        "reset before": [_share(config, examples, fresh)] * TIMES,
        "never reset": [_share(config, examples, answers) for answers in never]})
    figures, windows = st.columns([2, 3], gap="large")
    with figures:
        st.markdown("**Windows right when the same is asked again**")
        st.dataframe(table, hide_index=True, key="resets_table", alt="Share of windows right, with and without resets",
                     column_config={name: st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
                                    for name in ("reset before", "never reset")})
        st.markdown(_WHOLE if config.traits.answers_while_reading else _PARTIAL)
    with windows:
        chosen = st.segmented_control("Answers without a reset", range(TIMES), default=1, key="resets_time",
                                      format_func=lambda k: f"{_ORDINALS[k]} time") or 0
        st.html(grid(config, examples, Snapshot(config.epochs, *never[chosen])))


def _whole_batches(config: RunConfig) -> Examples:
    """The shown windows that make whole batches, as a stateful network needs; repeated if they are too few."""
    shown = shown_examples(config)
    fits = len(shown.inputs) // config.batch_size * config.batch_size
    rows = np.arange(fits) if fits else np.arange(config.batch_size) % len(shown.inputs)
    return Examples(shown.inputs[rows], shown.expected[rows])


def _share(config: RunConfig, examples: Examples, answers: Answers) -> float:
    right, present = judge(config, examples, answers.predicted)
    return float((right | ~present).all(axis=1).mean())


_ORDINALS = ("First", "Second", "Third", "Fourth")

_STORY = """
**What a reset does.** A stateful network begins each batch with the state that the last one left. In training the
tutorial resets it after each epoch. In its predictions it does not, and a reader reported: *only the first prediction
is right*. Here the trained network is asked for the same windows again and again, once with its state set to zero
before each question and once without.
"""

_PARTIAL = """
Without a reset the decoder begins with what it had in mind at the end of its last answer, and says that instead. With a
reset the answers are the same each time. Echo Lab resets before *every* prediction.
"""

_WHOLE = """
Here hardly anything changes: the answer hangs on the number that has just been read, and the network has learnt to take
no notice of its state. That is how whole echo hides the bug, and why the tutorial's first example seems to work.
"""
