"""A page for tests/test_delivery.py: a fragment with a button in it, and a store that does not answer for a while."""

import time

import streamlit as st
from sqlalchemy.exc import OperationalError

from echo_app import faults


def press():
    st.session_state.pressed += 1


def panel():
    st.button("Press", key="press", on_click=press)
    st.text(st.session_state.pressed)


def page():
    st.fragment(faults.part(panel), run_every=3600)()
    time.sleep(0.3)
    raise OperationalError("SELECT", {}, Exception("gone"))


st.session_state.setdefault("pressed", 0)
faults.page(page)
