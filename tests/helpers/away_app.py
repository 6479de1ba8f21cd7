"""A page for tests/app/test_streamlit_patches.py: a fragment with a button, and a store that does not answer."""

import time

import streamlit as st
from sqlalchemy.exc import OperationalError

from echo_app import store_outages


def press():
    st.session_state.pressed += 1


def panel():
    st.button("Press", key="press", on_click=press)
    st.text(st.session_state.pressed)


def page():
    store_outages.fragment(panel, run_every=3600)()
    time.sleep(0.3)
    raise OperationalError("SELECT", {}, Exception("gone"))


st.session_state.setdefault("pressed", 0)
store_outages.draw_page(page)
