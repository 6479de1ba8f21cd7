"""The thread that trains studies, on an engine without workers: it ends with the engine, and a pause holds."""

import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from echo_core import engine as engines
from echo_core.engine import Engine
from echo_core.records import State
from echo_core.settings import Settings
from echo_core.studies import running
from echo_core.studies.running import Runner
from echo_core.studies.study import Axis, Study
from tests.helpers.samples import TINY
from tests.helpers.waiting import until

STUDY = Study(TINY, (Axis("units", (4, 6)),), seeds=3)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(engines, "Dispatcher", Mock())
    with Engine(Settings(DATABASE_URL=f"sqlite:///{tmp_path / 'runs.db'}")) as engine:
        yield engine


def test_the_thread_ends_before_the_engine_closes_its_store(lab: Engine, caplog: pytest.LogCaptureFixture):
    before = threading.active_count()
    Runner(lab)
    assert threading.active_count() == before + 1
    lab.close()
    assert not any(thread.name == "echo studies" for thread in threading.enumerate())
    assert caplog.messages == []


def test_a_study_that_is_paused_while_its_runs_are_asked_for_keeps_none_of_them_in_the_queue(
        lab: Engine, monkeypatch: pytest.MonkeyPatch):
    ask_for_runs = running.top_up

    def pause_meanwhile(*args):
        done = ask_for_runs(*args)
        lab.store.studies.rest(STUDY.study_id)
        return done

    monkeypatch.setattr(running, "top_up", pause_meanwhile)
    lab.store.studies.ask(STUDY.study_id, STUDY.to_json(), lab.own_holder)
    Runner(lab)
    until(lambda: lab.store.studies.get(STUDY.study_id).holders == ())
    ids = [trial.config.run_id for trial in STUDY.trials()]
    until(lambda: (runs := lab.store.runs.of(ids)) and all(run.state is State.PAUSED for run in runs.values()))


def test_a_study_that_is_wanted_again_just_after_its_pause_stays_wanted(lab: Engine, monkeypatch: pytest.MonkeyPatch):
    studies, ask_for_runs, read = lab.store.studies, running.top_up, type(lab.store.studies).get
    looks = []

    def pause_meanwhile(*args):
        done = ask_for_runs(*args)
        if not looks:
            studies.rest(STUDY.study_id)
        return done

    def go_on_after_the_look(self, study_id):
        row = read(self, study_id)
        if threading.current_thread().name == "echo studies":
            looks.append(row)
            if len(looks) == 1:
                studies.ask(STUDY.study_id, STUDY.to_json(), lab.own_holder)
        return row

    monkeypatch.setattr(running, "top_up", pause_meanwhile)
    monkeypatch.setattr(type(studies), "get", go_on_after_the_look)
    studies.ask(STUDY.study_id, STUDY.to_json(), lab.own_holder)
    Runner(lab)
    until(lambda: len(looks) > 2)  # it looks at no study that rests
    assert [row.is_wanted for row in looks[:3]] == [False, True, True]
    ids = [trial.config.run_id for trial in STUDY.trials()]
    until(lambda: any(run.state is State.QUEUED for run in lab.store.runs.of(ids).values()))
