"""A page for tests/app/test_streamlit_patches.py: a fragment that draws only after its timer has fired."""

import os
import time

import streamlit as st

from echo_app.web import streamlit_patches

if "AS_IT_IS" not in os.environ:
    streamlit_patches.apply()


@st.fragment(run_every=0.3)
def panel():
    time.sleep(0.3)
    st.text(1)


panel()
