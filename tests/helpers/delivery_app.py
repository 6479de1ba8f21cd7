"""A page for tests/test_delivery.py: a fragment that a timer draws, and a button in it that changes what is outside."""

import os

import streamlit as st

from echo_app.delivery import mend

if "AS_IT_IS" not in os.environ:
    mend()
state = st.session_state


def press():
    state.pressed += 1


@st.fragment(run_every=3600)
def panel():
    st.button("Press", key="press", on_click=press)
    if state.told != state.pressed:
        st.rerun()  # the whole page, which tells


state.setdefault("pressed", 0)
state.told = state.pressed
panel()
st.text(state.told)
