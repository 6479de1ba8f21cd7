"""How much a network remembers: bits kept against bits asked for, the size of its state, and the forgetting curve."""

import math

import pandas as pd
import streamlit as st

from echo_app.charts import inspection
from echo_app.formatting import percent
from echo_app.panels.inside import pieces
from echo_app.panels.inside.look import Look, affordable
from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.config.sizes import needs_memory
from echo_core.evaluation.conclusions import is_too_small
from echo_core.inspection.inspecting import INSPECTIONS
from echo_core.inspection.remembering import state_values
from echo_core.text.plurals import counted

TITLE = "How much does it remember?"

_ALL = INSPECTIONS["bits"].sequences
#: Share of right answers at every place from which there is no curve to see.
_NEARLY_ALL = 0.99


def draw(look: Look) -> None:
    """Draw bits kept beside the size of the state, and accuracy by place and by lag."""
    config = look.config
    noun, share = pieces.noun(config), math.log2(config.vocab_size)
    used = pieces.wanted(look, "bits", affordable(config, _ALL), _ALL)
    st.markdown(f"A **bit** is the answer to one yes-or-no question. To pick one {noun} out of {config.vocab_size} "
                f"takes log₂ {config.vocab_size} = **{share:.2f} bits**: that is what each {noun} asks of a memory.")
    left, right = st.columns(2, gap="medium")
    with left:
        _bits(look, used)
    with right:
        _forgetting(look, used)
    pieces.offer_more(look, "bits", used, _ALL)


def _bits(look: Look, used: int) -> None:
    config = look.config
    st.markdown("**Bits kept, of those asked for**")
    if config.representation == "linear":
        st.info("It answers with one scaled number at each output and gives no probabilities, so there are no bits to "
                "count.", icon=":material/info:")
        st.markdown(state_in_words(config))
        return
    table = pieces.table_of(look, "bits", used)
    if table is None:
        return
    st.markdown(bits_in_words(config, table))
    st.vega_lite_chart(table, inspection.bits_by_place(float(table.asked.iloc[0])), key="remembering_bits",
                       alt="Bits kept at each output as bars, with intervals, below the bits asked for")
    st.caption("Counted from the probability that the network gives to each right answer: sure and right keeps all "
               "bits, a guess keeps none. The line through a bar is a 95 % interval.")
    pieces.numbers(table, "bits", "The numbers of bits")


def bits_in_words(config: RunConfig, table: pd.DataFrame) -> str:
    """Bits asked for and kept in a whole answer, and the state that they pass through, in Markdown."""
    asked, kept = table.asked.sum(), table.kept.sum()
    sentences = [f"A whole answer takes **{asked:.1f} bits**. The network keeps **{kept:.1f}** of them, "
                 f"{percent(kept / asked)}."]
    if not needs_memory(config):
        sentences.append("None of them has to be remembered: each number is said in the step that reads it.")
    elif config.task != "pairs" and config.bits < asked - 0.05:
        sentences.append(f"At most {config.bits:.1f} bits must be held at one time.")
    sentences.append(state_in_words(config))
    if is_too_small(config) and kept < 0.9 * asked:
        sentences.append("In principle these could hold far more. What limits them is what training finds within its "
                         "epochs: recurrent networks learn to hold far less than their state could (arXiv "
                         "2212.11085).")
    return " ".join(sentences)


def state_in_words(config: RunConfig) -> str:
    """The values that pass from reading to answering, in Markdown."""
    values, traits = state_values(config), config.traits
    units = counted(config.units, "unit")
    total = f"**{counted(values, 'value')}**"
    if not traits.num_recurrent_layers:
        return "The network has **no state**: whatever it has read before is gone."
    if traits.reads_all_at_once:
        return "It reads everything in one timestep, so **no state** has to pass from step to step."
    if traits.has_attention:
        return (f"All of it passes through {total}: {units} × {counted(config.input_length, 'timestep')}, as attention "
                "may look back at the output h of every timestep.")
    if traits.answers_while_reading:
        states = CELLS[config.cell].num_states
        held = f"{units} × 2, as an LSTM hands on its output h and its cell state c" if states == 2 else f"{units}"
        return f"From timestep to timestep it hands on {total}: {held}."
    return f"All of it must pass through {total}: the last output h of {units}."


def _forgetting(look: Look, used: int) -> None:
    config = look.config
    st.markdown("**The forgetting curve**")
    if config.task == "pairs":
        st.info("The answers of pairs repeat no place of the question, so nothing says how long a word is held.",
                icon=":material/info:")
        return
    table = pieces.table_of(look, "forgetting", used)
    if table is None:
        return
    if table.accuracy.min() >= _NEARLY_ALL:
        st.markdown(f"**There is little to see here:** hardly a {pieces.noun(config)} is forgotten. "
                    f"{pieces.WHERE_IT_FAILS}")
    chance, lags = 1 / config.vocab_size, sorted(table.lag.unique())
    by = "lag"
    if len(lags) == 1:
        held = counted(int(lags[0]), "timestep")
        st.markdown(f"Every number is held equally long: **{held}** from the step that reads it to the step that says "
                    "it. The curve is by place." if lags[0] else
                    "Every number is said in the step that reads it, so **none is held**. The curve is by place.")
        by = "output"
    else:
        st.markdown(f"A number is held for its **lag**, the timesteps from reading it to saying it: {lags[0]} to "
                    f"{lags[-1]} here.")
        by = str(st.segmented_control("Against", ["lag", "output"], default="lag", required=True, key="forgetting_by",
                                      format_func={"lag": "Lag", "output": "Place"}.__getitem__))
    title = {"lag": "Lag (timesteps)", "output": "Output"}[by]
    spec = inspection.accuracy_by_place(by, title, int(table[by].min()), int(table[by].max()), chance)
    st.vega_lite_chart(table.sort_values(by), spec, key="remembering_curve",
                       alt=f"Share of right answers against {title.lower()}, with intervals and chance as a line")
    st.caption(f"Each dot is the share of right answers, its bar a 95 % interval. Chance is 1 in {config.vocab_size}, "
               "the dashed line.")
    pieces.numbers(table, "forgetting", "The numbers of the curve")
