"""What is wrong with a run or its settings, in boxes: the sentences are the core's."""

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
    """Draw verdicts. Their sentences are plain text, as they repeat words that a visitor has typed."""
    for verdict in verdicts:
        st.warning(_TITLES[verdict.kind], icon=":material/troubleshoot:")
        st.text(str(verdict))
