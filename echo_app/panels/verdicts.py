"""Boxes about what is wrong with a run or its settings; the core writes their sentences."""

from collections.abc import Sequence

import streamlit as st

from echo_core.evaluation.verdicts import Kind, Verdict

_TITLES: dict[Kind, str] = {
    "diverged": "Training diverged.",
    "failed": "The run failed.",
    "same_answer": "It has not learnt to tell them apart.",
    "contradictory_pairs": "Some pairs contradict each other.",
}


def show(verdicts: Sequence[Verdict]) -> None:
    """Draw verdicts. Their sentences are drawn as plain text, as they quote what visitors have typed."""
    for verdict in verdicts:
        st.warning(_TITLES[verdict.kind], icon=":material/troubleshoot:")
        st.text(str(verdict))
