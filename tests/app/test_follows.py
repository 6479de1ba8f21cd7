"""A page follows the run that it shows, whoever stops it, goes on with it or judges it; a replay stays its visitor's.

The runs are put into the store by hand, so nothing trains.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from echo_app import state, store_outages
from echo_app.panels import run_view
from echo_core.config import RunConfig
from echo_core.records import State
from echo_core.store import RunRow, Store, Ticket
from tests.helpers.apptest import open_page
from tests.helpers.samples import EVALUATION, TINY, checkpoint, progress


class Rerun(Exception):
    """Stands for what `st.rerun` raises."""


@pytest.fixture
def answering_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that answers, and whose clock a page asks."""
    opened = Store(f"sqlite:///{tmp_path / 'runs.db'}")
    monkeypatch.setattr(store_outages, "is_store_down", lambda: False)
    monkeypatch.setattr(state, "store", lambda: opened)
    yield opened
    opened.close()


def begun(store: Store, config: RunConfig = TINY, to: int = 30) -> Ticket:
    """A run under way that has come to an epoch, with snapshots, on a worker that is not there."""
    ticket = store.queue.take(config, worker="nobody", holder="somebody else")
    assert ticket is not None
    store.attempts.start(ticket, threads=1)
    train(store, ticket, 0, to)
    return ticket


def train(store: Store, ticket: Ticket, first: int, last: int) -> None:
    for epoch in range(first, last + 1, 5):
        store.attempts.append(ticket, progress(epoch, seconds=epoch / 10, with_snapshot=True))


def stopped(store: Store, config: RunConfig = TINY) -> Ticket:
    ticket = begun(store, config)
    store.attempts.pause(ticket, checkpoint(30))
    return ticket


def looks_again(store: Store, run: RunRow, standing: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the timer of a page that has drawn this state of the run reruns the whole page."""
    def rerun() -> None:
        raise Rerun

    with monkeypatch.context() as patch:
        patch.setattr(store_outages, "is_fragment_rerun", lambda: True)
        patch.setattr(state, "shown_run", lambda: store.runs.get(run.run_id))
        patch.setattr(st, "rerun", rerun)
        try:
            run_view.watch(run.run_id, standing)
        except Rerun:
            return True
    return False


def test_page_of_a_stopped_run_notices_its_score_however_late_and_that_it_goes_on(answering_store, monkeypatch):
    ticket = stopped(answering_store)
    run = answering_store.runs.get(TINY.run_id)
    late = replace(run, ended_at=run.ended_at - 3600)
    for drawn in (run, late):
        standing = run_view.standing_of(run)
        assert not looks_again(answering_store, drawn, standing, monkeypatch)
    answering_store.attempts.save_score(ticket, EVALUATION)
    assert looks_again(answering_store, run, standing, monkeypatch)
    standing = run_view.standing_of(answering_store.runs.get(run.run_id))
    assert not looks_again(answering_store, run, standing, monkeypatch)
    answering_store.queue.request(TINY, "another", "another browser")
    assert looks_again(answering_store, run, standing, monkeypatch)


def test_page_of_a_stopped_run_notices_that_it_was_gone_on_with_and_stopped_again(answering_store, monkeypatch):
    answering_store.attempts.save_score(stopped(answering_store), EVALUATION)
    run = answering_store.runs.get(TINY.run_id)
    standing = run_view.standing_of(run)
    answering_store.attempts.save_score(stopped(answering_store), EVALUATION)
    assert answering_store.runs.get(TINY.run_id).state is State.PAUSED
    assert looks_again(answering_store, run, standing, monkeypatch)


def test_pages_look_again_where_something_may_come_and_never_at_a_finished_run(answering_store, monkeypatch):
    monkeypatch.setattr(run_view, "pace_of", lambda run: 0.3)
    stopped(answering_store)
    run = answering_store.runs.get(TINY.run_id)
    waits = {state: run_view.watch_seconds(replace(run, state=state, evaluation=EVALUATION)) for state in State}
    assert [state for state, seconds in waits.items() if seconds is None] == [
        State.QUEUED, State.RUNNING, State.FINISHED]  # those under way have the panel's own timer
    assert all(seconds >= 2 for seconds in waits.values() if seconds)
    assert run_view.watch_seconds(run) < 1
    assert run_view.watch_seconds(replace(run, ended_at=run.ended_at - 3600)) >= 2


# --- the replay ------------------------------------------------------------------------------------


def shown_epoch(page: AppTest) -> int:
    """The epoch of the windows that a page shows."""
    drawn = [element.proto.body for element in page.get("html")]
    drawn += [str(element.proto) for element in page.get("bidi_component")]  # windows of which one can be picked
    [epoch] = [found for body in drawn if "echo-grid" in body for found in re.findall(r"Epoch ([\d,]+):", body)]
    return int(epoch.replace(",", ""))


@pytest.mark.slow
@pytest.mark.usefixtures("own_engine")
def test_replay_of_one_visitor_goes_on_where_it_was_when_somebody_goes_on_with_the_run(monkeypatch):
    config = TINY.model_copy(update={"seed": 11, "epochs": 100})
    open_page()  # so that there is an engine
    store = state.store()
    stopped(store, config)
    page = open_page(run=config.run_id)
    assert shown_epoch(page) == 30
    monkeypatch.setattr(state, "frame_seconds", lambda: 3600.0)  # pictures stay until the clock is moved
    page.button(key="play").click().run()
    assert shown_epoch(page) == 0

    def next_picture() -> int:
        page.session_state[state.NEXT_AT] = -math.inf
        page.run()
        return shown_epoch(page)

    assert [next_picture() for _ in range(2)] == [5, 10]
    ticket = begun(store, config)  # somebody goes on
    train(store, ticket, 35, 45)
    page.run()
    assert store.runs.get(config.run_id).state is State.RUNNING
    assert shown_epoch(page) == 10
    assert page.select_slider(key="replay").value == 10
    assert [next_picture() for _ in range(2)] == [15, 20]
    store.attempts.pause(ticket, checkpoint(45))
    page.run()
    assert shown_epoch(page) == page.select_slider(key="replay").value == 20
    assert [next_picture() for _ in range(6)] == [25, 30, 35, 40, 45, 45]
    assert not page.session_state[state.PLAYING]


@pytest.mark.usefixtures("own_engine")
def test_page_at_the_end_of_a_replay_follows_the_newest_windows_of_a_run_that_goes_on():
    config = TINY.model_copy(update={"seed": 12, "epochs": 100})
    open_page()
    store = state.store()
    stopped(store, config)
    page = open_page(run=config.run_id)
    ticket = begun(store, config)
    page.run()
    train(store, ticket, 35, 40)
    page.run()
    assert shown_epoch(page) == 40
    store.attempts.pause(ticket, checkpoint(40))
    page.run()
    assert shown_epoch(page) == page.select_slider(key="replay").value == 40


@pytest.mark.usefixtures("own_engine")
def test_picked_snapshot_stays_while_the_run_is_judged_and_pages_that_were_not_touched_show_its_score():
    config = TINY.model_copy(update={"seed": 13, "epochs": 100})
    open_page()
    store = state.store()
    ticket = stopped(store, config)
    page = open_page(run=config.run_id)
    assert any("is being judged" in str(box.proto) for box in page.info)
    page.select_slider(key="replay").set_value(15).run()
    store.attempts.save_score(ticket, EVALUATION)
    page.run()
    assert shown_epoch(page) == 15
    assert any("So far it gets 50.0 %" in str(box.proto) for box in page.info)
