"""Controls that a busy browser sends as they were before it got the settings that were loaded."""

from typing import Any

import pytest
import streamlit as st

from echo_app import actions, state
from echo_core.config.presets import PRESETS


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A session whose controls were at preset `whole` when preset `quick` was loaded."""
    class Session(dict[str, Any]):
        __getattr__ = dict.__getitem__

    session = Session()
    monkeypatch.setattr(st, "session_state", session)
    state.set_defaults()
    state.load(PRESETS["whole"].config)
    state.load(PRESETS["quick"].config)
    return session


def test_controls_of_before_do_not_undo_settings_that_were_just_loaded(session: dict[str, Any]):
    session.update(PRESETS["whole"].config.model_dump(exclude={"text"}), preset="whole")
    actions.load_preset()  # Streamlit takes the old value for a change
    assert state.config() == PRESETS["quick"].config
    session.update(PRESETS["whole"].config.model_dump(exclude={"text"}), preset="whole")
    state.settle()
    assert state.config() == PRESETS["quick"].config


def test_a_preset_and_a_control_that_are_set_back_are_the_visitors_wish(session: dict[str, Any]):
    session["units"] = PRESETS["whole"].config.units
    state.settle()
    assert state.config().units == PRESETS["whole"].config.units
    state.load(PRESETS["quick"].config)
    session["preset"] = "whole"
    actions.load_preset()
    assert state.config() == PRESETS["whole"].config


def test_after_some_seconds_controls_are_taken_as_they_come(session: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    loaded_at = session[state.LOADED][0]
    monkeypatch.setattr("echo_app.state.time.monotonic", lambda: loaded_at + 10)
    session.update(PRESETS["whole"].config.model_dump(exclude={"text"}), preset="whole")
    state.settle()
    assert state.config() == PRESETS["whole"].config
