"""The slider of the replay, whose callback Streamlit also calls when nobody has moved it."""

from typing import Any

import pytest
import streamlit as st

from echo_app import state
from echo_app.panels.replay import slide


@pytest.mark.parametrize(("is_playing", "said", "held"), [
    (False, 8, None),  # where it was drawn
    (False, 5, 5), (False, 0, 0),
    (True, 5, None),   # an older position, by a timer
    (True, 0, 0),
])
def test_a_replay_is_held_where_its_slider_was_moved_to(monkeypatch: pytest.MonkeyPatch, is_playing: bool, said: int,
                                                        held: int | None):
    session: dict[str, Any] = {state.REPLAY: said, state.REPLAY_AT: None, state.PLAYING: is_playing}
    monkeypatch.setattr(st, "session_state", session)
    slide([5, 8])
    assert session[state.REPLAY_AT] == held
