"""A page for tests/app/test_streamlit_patches.py: a fragment on a timer, and its button that changes the rest."""

import os

import streamlit as st

from echo_app.web import streamlit_patches

if "AS_IT_IS" not in os.environ:
    streamlit_patches.apply()
state = st.session_state


def press():
    state.pressed += 1


@st.fragment(run_every=3600)
def panel():
    st.button("Press", key="press", on_click=press)
    if state.told != state.pressed:
        st.rerun()  # redraws the whole page


state.setdefault("pressed", 0)
state.told = state.pressed
panel()
st.text(state.told)
