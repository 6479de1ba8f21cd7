"""The replay of a run: its kept snapshots under a slider, with Play, slow and step, and a click on a curve."""

import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import streamlit as st

from echo_app import actions, state
from echo_app.web import focus
from echo_core.records import Snapshot

#: Snapshots by which a browser's slider may lag behind the server's.
_LAG = 3


def pick_snapshot(snapshots: list[Snapshot]) -> Snapshot | None:
    """Draw the slider over the kept snapshots, with Play, slow and step, in a row. Returns the snapshot to show."""
    if not snapshots:
        return None
    session, epochs = st.session_state, [snapshot.epoch for snapshot in snapshots]
    newest, held = len(epochs) - 1, session[state.REPLAY_AT]
    at = newest if held is None else max(0, bisect_right(epochs, held) - 1)
    # By the clock, as the page is also redrawn for other reasons.
    if session[state.PLAYING] and time.monotonic() >= session[state.NEXT_AT]:
        if at == newest:
            session[state.PLAYING], session[state.REPLAY_AT] = False, None
            st.rerun()  # ends the timer
        at += 1
        session[state.NEXT_AT] = time.monotonic() + 0.8 * state.frame_seconds()  # less, as the timer is not exact
    session[state.REPLAY_AT] = epochs[at] if at < newest or session[state.PLAYING] else None
    st.markdown("**Replay**", width="content")
    st.button("", icon=":material/skip_previous:", key="step_back", disabled=at == 0, help="One snapshot back",
              on_click=_hold, args=(epochs[max(at - 1, 0)],))
    start = epochs[0] if at == newest else None
    label, icon, then = (("Pause", "pause", (False, None)) if session[state.PLAYING] else
                         ("Play", "play_arrow", (True, start)))
    pressed = st.button(label, icon=f":material/{icon}:", key="play", on_click=actions.play, args=then)
    st.button("", icon=":material/skip_next:", key="step", disabled=at == newest,
              help="One snapshot on", on_click=_hold, args=(epochs[min(at + 1, newest)],))
    slow = st.toggle("Slow", key="slow_toggle", value=session[state.SLOW])
    if pressed or slow != session[state.SLOW]:
        session[state.SLOW] = slow
        st.rerun()  # only a run of the whole page sets the timer
    session[state.REPLAY] = epochs[at]  # in each run, as a slider with other epochs is a new widget
    st.select_slider("Epoch", epochs, key=state.REPLAY, format_func="{:,}".format, label_visibility="collapsed",
                     on_change=slide, args=(epochs[max(0, at - _LAG):at + 1],))
    return snapshots[at]


def jump(chart: str) -> None:
    """Callback of a click on a curve: hold the replay at the last snapshot before the picked point.

    Args:
        chart: The key of the chart.
    """
    picked: Any = st.session_state[chart]["selection"].get("pick")
    if picked:
        st.session_state[state.PLAYING], st.session_state[state.REPLAY_AT] = False, int(picked[0]["epoch"])


def _hold(epoch: int) -> None:
    focus.move_to("step_back", "step")
    st.session_state[state.PLAYING], st.session_state[state.REPLAY_AT] = False, epoch


def slide(drawn: Sequence[int]) -> None:
    """Callback of the slider: hold the replay where the visitor has moved it to.

    Streamlit also calls it for a slider that nobody has moved, and while it plays, a timer may send an older position.

    Args:
        drawn: Epochs at which the slider was drawn, the newest last.
    """
    session = st.session_state
    if session[state.REPLAY] not in (drawn if session[state.PLAYING] else drawn[-1:]):
        session[state.REPLAY_AT] = session[state.REPLAY]
