"""A hosted copy among strangers: what one visitor can do to another's runs, and how much each may ask for."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from echo_app import state
from echo_core import engine as engines
from echo_core.config import RunConfig
from echo_core.records import State
from tests.helpers.apptest import open_page
from tests.helpers.samples import EVALUATION, checkpoint, progress
from tests.helpers.waiting import until


@pytest.fixture(autouse=True)
def hosted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hosted copy without workers."""
    monkeypatch.setattr(engines, "Dispatcher", Mock())
    monkeypatch.setattr(engines, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(state, "browser_name", lambda: None)  # the test runner mocks cookies
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'hosted' / 'runs.db'}")
    monkeypatch.setenv("ECHO_HOSTED", "true")
    monkeypatch.setenv("ECHO_MAX_QUEUE_PER_VISITOR", "7")
    st.cache_resource.clear()
    yield
    state.engine().close()
    st.cache_resource.clear()


@contextmanager
def visitor(name: str) -> Iterator[None]:
    """Pages that are opened and used here are of this browser."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "browser_name", lambda: name)
        yield


def said(page: AppTest) -> str:
    """Why a press was refused, without the escapes of Markdown."""
    return re.sub(r"\\(.)", r"\1", " ".join(error.value for error in page.error))


def of_a(seed: int) -> str:
    """A run that A has asked for before closing the page."""
    with visitor("a"):
        page = open_page(epochs=400, seed=seed)
        page.button(key="train").click().run()
        assert not page.exception
    return RunConfig(epochs=400, seed=seed).run_id


def test_stranger_with_the_link_cannot_stop_a_run_and_its_visitor_can():
    run_id = of_a(seed=1)
    state.store().queue.claim("w")
    with visitor("b"):
        page = open_page(run=run_id)
        page.button(key="stop").click().run()
    assert "it goes on until they stop it or have been away for a while" in said(page)
    assert not state.store().runs.get(run_id).stop_requested
    with visitor("a"):
        open_page(run=run_id).button(key="stop").click().run()
    assert state.store().runs.get(run_id).stop_requested


def test_stranger_with_the_link_cannot_go_on_with_a_stopped_run_and_can_train_its_settings():
    run_id = of_a(seed=2)
    ticket = state.store().queue.claim("w")
    state.store().attempts.append(ticket, progress(3))
    state.store().attempts.pause(ticket, checkpoint(3))
    with visitor("b"):
        page = open_page(run=run_id)
        page.button(key="go_on").click().run()
        assert "This run is another visitor's." in said(page)
        assert state.store().runs.get(run_id).state is State.PAUSED
        page.button(key="train").click().run()
    assert state.store().runs.get(run_id).state is State.QUEUED


def test_stranger_cannot_train_anew_what_another_has_finished_and_its_visitor_can():
    run_id = of_a(seed=4)
    ticket = state.store().queue.claim("w")
    state.store().attempts.append(ticket, progress(400))
    state.store().attempts.finish(ticket, checkpoint(400), EVALUATION)
    with visitor("b"):
        page = open_page(run=run_id)
        page.button(key="train").click().run()  # shows it, and it is in B's list from now on
        page.button(key="train_again").click().run()
        assert "Other visitors have this run too, so it stays as it is" in said(page)
        assert state.store().runs.get(run_id).state is State.FINISHED
    own = of_a(seed=6)
    ticket = state.store().queue.claim("w")
    state.store().attempts.append(ticket, progress(400))
    state.store().attempts.finish(ticket, checkpoint(400), EVALUATION)
    with visitor("a"):
        open_page(run=own).button(key="train_again").click().run()
    assert state.store().runs.get(own).state is State.QUEUED


def test_visitor_who_runs_seeds_again_and_again_is_refused_kindly_and_another_is_served():
    with visitor("greedy"):
        open_page(epochs=300, seed=10).button(key="train_seeds").click().run()
        page = open_page(epochs=300, seed=20)  # another tab of the same browser
        page.button(key="train_seeds").click().run()
    assert len(state.store().queue.order()) == 7
    assert "7 of your runs wait already" in said(page)
    assert re.search(r"Try again in (a moment|about \d+ (seconds|minutes))", said(page))
    with visitor("modest"):
        page = open_page(epochs=300, seed=30)
        page.button(key="train").click().run()
    assert not page.error
    assert state.store().queue.order().index(RunConfig(epochs=300, seed=30).run_id) == 1


def test_page_that_was_open_says_once_that_the_store_was_emptied(tmp_path: Path):
    run_id = of_a(seed=3)
    page = open_page(run=run_id)
    for file in (tmp_path / "hosted").iterdir():
        file.unlink()
    until(lambda: state.engine().loss)
    page.run()
    warned = [warning.value for warning in page.warning if "The store was emptied" in warning.value]
    assert len(warned) == 1
    assert str(tmp_path) not in warned[0]
    assert not page.exception
    assert not any("emptied" in warning.value for warning in open_page().warning)
    page.button(key="train").click().run()
    assert state.store().runs.get(run_id).state is State.QUEUED
