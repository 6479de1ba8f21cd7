"""Several seeds of the same settings: their table is right at every moment. Runs are put into the store by hand."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from echo_app import state
from echo_app.formatting import plain
from echo_app.panels import seeds
from echo_core.config import RunConfig
from echo_core.records import Evaluation, State
from echo_core.settings import LimitExceeded
from echo_core.store import RunRow, Store
from echo_core.store.queue import Queue
from tests.helpers.apptest import open_page
from tests.helpers.samples import EVALUATION, TINY, checkpoint, progress


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One engine for the pages of the module, with a store of its own, whose workers are given nothing to do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "browser_name", lambda: None)
        patch.setattr(Queue, "claim", lambda *_: None)
        patch.setenv("ECHO_COMPILE_AHEAD", "false")
        patch.setenv("DATABASE_URL", f"sqlite:///{tmp_path_factory.mktemp('app') / 'runs.db'}")
        st.cache_resource.clear()
        yield
        state.engine().close()
        st.cache_resource.clear()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunRow:
    """A run to be changed."""
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('one') / 'runs.db'}")
    store.queue.request(TINY)
    found = store.runs.get(TINY.run_id)
    store.close()
    assert found is not None
    return found


def state_of(run: RunRow, place: int | None = None, **changes: Any) -> str:
    return seeds.to_row(run.config, replace(run, **changes), place).state


def test_row_says_the_state_of_its_run_in_words(run: RunRow):
    assert seeds.to_row(TINY, None).cells == ("not asked for", "–", "–", "–")
    assert [state_of(run, place) for place in (0, 1, 2)] == ["queued, next", "queued, 2nd", "queued, 3rd"]
    assert state_of(run, state=State.RUNNING) == "compiling"
    assert state_of(run, state=State.RUNNING, epoch=3) == "training"
    assert state_of(run, state=State.RUNNING, epoch=3, stop_requested=True) == "stopping"
    for ended in (State.PAUSED, State.INTERRUPTED, State.FAILED, State.FINISHED):
        assert state_of(run, state=ended, epoch=60, evaluation=EVALUATION, loss=0.1) == str(ended)
    assert state_of(run, state=State.FAILED, reason="Training diverged in epoch 2: …") == "diverged"
    nothing = Evaluation(0.0, 0.0, 2000, (0.0, 0.0))
    assert state_of(run, state=State.FINISHED, epoch=60, evaluation=nothing, loss=1005.0) == "diverged"


def rows(run: RunRow, *changes: dict[str, Any] | None) -> list[seeds.Row]:
    return [seeds.to_row(TINY.model_copy(update={"seed": seed}),
                         None if each is None else replace(run, **each))
            for seed, each in enumerate(changes)]


def done(right: float) -> dict[str, Any]:
    return {"state": State.FINISHED, "epoch": 60, "loss": 0.1, "seconds": 2.0,
            "evaluation": Evaluation(right, right, 2000, (right, right))}


def test_words_of_several_seeds_count_each_of_them_from_the_first_moment_on(run: RunRow):
    waiting = {"state": State.QUEUED}
    assert seeds.in_words(rows(run, *5 * [waiting]), 0) == (
        "**0 of 5 finished**. They differ in their random start alone.")
    one = seeds.in_words(rows(run, done(0.9), *4 * [waiting]), 2.0)
    assert one.startswith("**1 of 5 finished**. Windows right: **90.0 %**; single tokens: **90.0 %** (of seed 0 alone")
    assert "1 seeds" not in one
    assert "None" not in one
    all_ = seeds.in_words(rows(run, *map(done, (0.8, 0.9, 1.0, 0.9, 0.9))), 10.0)
    assert all_.startswith("**5 of 5 finished**. Windows right: **90.0 % ± 7.1**")
    assert "of 5 seeds, 10 s of training" in all_


def test_seeds_that_failed_diverged_or_were_not_asked_for_are_counted_and_left_out_of_the_mean(run: RunRow):
    diverged = {**done(0.0), "loss": 1005.0}
    failed = {"state": State.FAILED, "reason": "MemoryError"}
    said = seeds.in_words(rows(run, done(0.8), done(0.9), diverged, failed, None), 4.0)
    assert said.startswith("**2 of 5 finished**, 1 failed, 1 diverged, 1 not asked for.")
    assert "Windows right: **85.0 % ± 7.1**" in said
    assert "of 2 seeds" in said
    assert "Those that failed or diverged are not in it." in said


# --- the page --------------------------------------------------------------------------------------


def table(page: AppTest) -> dict[str, tuple[str, ...]]:
    """The cells of each seed's row."""
    bodies = [element.proto.body for element in page.get("html")]
    lines = [body for body in bodies if body.startswith("<div class='echo-seed'")]
    cells = [tuple(line.split("<span>")[n].split("</span>")[0] for n in range(1, 5)) for line in lines]
    names = [button.label for button in page.button if (button.key or "").startswith("seed_")]
    return dict(zip(names, cells, strict=True))


def five_seeds(config: RunConfig) -> list[RunConfig]:
    return [config.model_copy(update={"seed": config.seed + k}) for k in range(5)]


def train(store: Store, config: RunConfig, right: float | None = None, loss: float = 0.1) -> None:
    """Train a run to its 60th epoch, and finish it if it is to be right."""
    ticket = store.queue.take(config, worker="nobody")
    assert ticket is not None
    store.attempts.start(ticket, threads=1)
    for epoch in (0, 30, 60):
        store.attempts.append(ticket, progress(epoch, seconds=epoch / 10, loss=loss, with_snapshot=True))
    if right is not None:
        store.attempts.finish(ticket, checkpoint(60), Evaluation(right, right, 2000, (right, right)))


@pytest.mark.usefixtures("engine")
def test_table_of_seeds_is_there_at_once_and_right_while_they_train_and_after():
    configs = five_seeds(TINY.model_copy(update={"seed": 100}))
    page = open_page(**configs[0].to_query())
    page.button(key="train_seeds").click().run()
    store = state.store()
    assert table(page) == {str(100 + k): (f"queued, {place}", "0", "–", "–")
                           for k, place in enumerate(("next", "2nd", "3rd", "4th", "5th"))}
    train(store, configs[0])
    page.run()
    assert table(page)["100"] == ("training", "60", "–", "6 s")
    other = configs[1]
    store.queue.stop(configs[0].run_id)
    train(store, other, right=0.8)
    page.run()
    assert table(page)["100"][0] == "stopping"
    assert table(page)["101"] == ("finished", "60", "80.0 %", "6 s")
    assert any("**1 of 5 finished**" in words.value for words in page.markdown)


@pytest.mark.usefixtures("engine")
def test_each_row_opens_its_run_and_the_link_opens_the_same_table_again():
    configs = five_seeds(TINY.model_copy(update={"seed": 200}))
    page = open_page(**configs[0].to_query())
    store = state.store()
    for config in configs[:3]:
        train(store, config, right=0.5)
    page.button(key="train_seeds").click().run()
    shown = table(page)
    page.button(key="seed_202").click().run()
    assert page.session_state[state.RUN] == configs[2].run_id
    assert table(page) == shown
    assert any(words.value == "One of them: seed 202" for words in page.subheader)
    assert page.session_state["seed"] == 200  # Train 5 times asks for the same ones again
    again = open_page(**{name: page.query_params[name] for name in page.query_params})
    assert not again.warning
    assert table(again) == shown
    assert again.session_state[state.RUN] == configs[2].run_id


@pytest.mark.usefixtures("engine")
def test_stop_all_stops_what_waits_and_what_is_under_way_and_nothing_else():
    configs = five_seeds(TINY.model_copy(update={"seed": 300}))
    page = open_page(**configs[0].to_query())
    store = state.store()
    train(store, configs[4], right=0.5)
    outside = store.queue.request(TINY.model_copy(update={"seed": 399}))
    page.button(key="train_seeds").click().run()
    train(store, configs[0])
    page.button(key="stop_seeds").click().run()
    states = [store.runs.get(config.run_id) for config in configs]
    assert [run.state for run in states] == ["running", "paused", "paused", "paused", "finished"]
    assert states[0].stop_requested
    assert store.runs.get(outside).state is State.QUEUED
    assert any("3 paused" in words.value for words in page.markdown)


@pytest.mark.usefixtures("engine")
def test_stop_all_leaves_a_run_that_somebody_else_has_asked_for_too_and_says_so():
    configs = five_seeds(TINY.model_copy(update={"seed": 350}))
    page = open_page(**configs[0].to_query())
    page.button(key="train_seeds").click().run()
    state.store().queue.request(configs[2], "another", "another browser")
    page.button(key="stop_seeds").click().run()
    assert [error.value for error in page.error] == [
        plain("1 of 5 goes on for somebody else who pressed Train too.")]
    assert [state.store().runs.get(config.run_id).state for config in configs] == [
        "paused", "paused", "queued", "paused", "paused"]


@pytest.mark.usefixtures("engine")
def test_fewer_seeds_than_wanted_are_said_and_can_be_asked_for_again(monkeypatch: pytest.MonkeyPatch):
    configs = five_seeds(TINY.model_copy(update={"seed": 400}))
    page = open_page(**configs[0].to_query())
    submit = state.engine().submit

    def three(config: RunConfig, *rest: Any) -> str:
        if config.seed >= 403:
            raise LimitExceeded("3 runs wait on this host already")
        return submit(config, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(state.engine(), "submit", three)
        page.button(key="train_seeds").click().run()
    assert [error.value for error in page.error] == [
        plain("3 of the 5 seeds were asked for, and then: 3 runs wait on this host already")]
    assert [cells[0] for cells in table(page).values()][3:] == ["not asked for"] * 2
    assert any("2 not asked for" in words.value for words in page.markdown)
    page.button(key="train_seeds").click().run()
    assert "not asked for" not in [cells[0] for cells in table(page).values()]


@pytest.mark.usefixtures("engine")
def test_last_seeds_that_there_are_make_a_table_too():
    page = open_page(**TINY.model_copy(update={"seed": 2**31 - 1}).to_query())
    page.button(key="train_seeds").click().run()
    assert list(table(page)) == [str(2**31 - 5 + k) for k in range(5)]


@pytest.mark.usefixtures("engine")
def test_links_to_ones_other_runs_stay_when_they_have_finished_and_say_their_place():
    first = TINY.model_copy(update={"seed": 500})
    page = open_page(**first.to_query())
    page.button(key="train").click().run()
    page.number_input(key="seed").set_value(501).run()
    page.button(key="train").click().run()
    label = page.button(key=f"other_{first.run_id}").label.replace("\\", "")
    assert label.startswith("Encoder–decoder, units 6, epochs 60, seed 500, ")
    assert ": queued, " in label
    train(state.store(), first, right=0.5)
    page.run()
    assert page.button(key=f"other_{first.run_id}").label.endswith(": finished, epoch 60")
    page.button(key=f"other_{first.run_id}").click().run()
    assert page.session_state[state.RUN] == first.run_id
