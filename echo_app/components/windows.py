"""The grid of windows, of which one can be picked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_component = st.components.v2.component(
    "echo_windows", html='<div class="echo-windows"></div>', isolate_styles=False,
    js=Path(__file__).with_name("windows.js").read_text("utf-8"))


def windows(html: str, key: str, on_pick: Callable[[int], Any]) -> None:
    """Draw a grid of `charts.grid`; `on_pick` is called with the place of the picked row, from 0."""
    def picked() -> None:
        place = st.session_state[key].picked
        if isinstance(place, int):
            on_pick(place)

    _component(data=html, key=key, on_picked_change=picked)
