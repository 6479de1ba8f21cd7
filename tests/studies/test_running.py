"""Studies trained by real workers: paused, gone on with, and behind what a visitor asks for."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from echo_core.engine import Engine
from echo_core.records import State
from echo_core.settings import Limits, Settings
from echo_core.studies.measures import Measure
from echo_core.studies.results import results
from echo_core.studies.running import AHEAD, Runner, for_studies, pause, standing, top_up
from echo_core.studies.study import Axis, Study
from echo_core.workers import dispatcher
from tests.helpers.samples import TINY
from tests.helpers.waiting import until

LIMITS = Limits(max_epochs=10_000_000)
BASE = TINY.model_copy(update={"epochs": 300})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with one worker, which all tests here share."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatcher.worker, "WARM_UP_STEPS", ("import",))
        settings = Settings(DATABASE_URL=f"sqlite:///{folder / 'runs.db'}", workers=1, standby=False,
                            xla_cache=folder / "xla")
        with Engine(settings, LIMITS) as engine:
            yield engine


def study_of(first_seed: int, number: int, epochs: int = 300) -> Study:
    """A study of one network, which is compiled once."""
    base = BASE.model_copy(update={"seed": first_seed, "epochs": epochs})
    return Study(base, (Axis("learning_rate", (0.01, 0.02)),), seeds=number)


def runs_of(engine: Engine, study: Study):
    return engine.store.runs.of([trial.config.run_id for trial in study.trials()])


def test_a_study_is_trained_to_the_end_with_few_runs_in_the_queue(lab: Engine):
    study, most = study_of(0, 4), 0

    def is_done() -> bool:
        nonlocal most
        done = top_up(study, lab)
        most = max(most, sum(run.state.is_active for run in runs_of(lab, study).values()))
        return done

    until(is_done)
    assert 0 < most <= AHEAD
    now = standing(study, lab.store)
    assert (now.total, now.ended, now.failed, now.is_done) == (8, 8, 0, True)
    found = results(study, lab.store, Measure.NUMBERS)
    assert found.is_complete
    for row in found.rows:
        alone = [lab.store.runs.get(outcome.run_id).evaluation.token_accuracy for outcome in row.outcomes]
        assert row.estimate.mean == pytest.approx(sum(alone) / 4)


def test_runs_that_the_store_has_are_not_trained_again(lab: Engine):
    first, wider = study_of(100, 1), study_of(100, 2)
    until(lambda: top_up(first, lab))
    before = runs_of(lab, first)
    until(lambda: top_up(wider, lab))
    assert {run_id: runs_of(lab, wider)[run_id] for run_id in before} == before
    assert all(run.attempt == 1 for run in runs_of(lab, wider).values())


def test_a_paused_study_stops_and_goes_on_from_its_checkpoints(lab: Engine):
    study = study_of(200, 1, epochs=60_000)
    until(lambda: top_up(study, lab) or any(run.epoch > 500 for run in runs_of(lab, study).values()))
    pause(study, lab)
    until(lambda: not any(run.state.is_active for run in runs_of(lab, study).values()))
    paused = {run_id: run.epoch for run_id, run in runs_of(lab, study).items()}
    assert max(paused.values()) > 0
    until(lambda: top_up(study, lab))
    assert all(run.state is State.FINISHED for run in runs_of(lab, study).values())


def test_a_visitor_who_presses_train_comes_next(lab: Engine):
    study = study_of(300, 6, epochs=20_000)
    until(lambda: top_up(study, lab) or any(run.state is State.RUNNING for run in runs_of(lab, study).values()))
    top_up(study, lab)
    visitors = lab.submit(BASE.model_copy(update={"seed": 999}), holder="visitor")
    assert lab.store.queue.order()[0] == visitors
    until(lambda: top_up(study, lab) or not lab.store.runs.get(visitors).state.is_active)
    ended = [run for run in runs_of(lab, study).values() if run.state is State.FINISHED]
    assert lab.store.runs.get(visitors).state is State.FINISHED
    assert len(ended) <= 2  # the one that trained when the visitor came, and at most one that had ended before
    pause(study, lab)


def test_a_runner_trains_what_connected_holders_want_and_waits_for_others(lab: Engine):
    here, away = study_of(400, 1), study_of(500, 1)
    with closing(Runner(lab)):
        lab.store.studies.ask(away.study_id, away.to_json(), "somebody who left")
        lab.store.studies.ask(here.study_id, here.to_json(), lab.own_holder)
        until(lambda: lab.store.studies.get(here.study_id).holders == ())
        assert standing(here, lab.store).is_done
        assert runs_of(lab, away) == {}
        lab.connect("somebody who left")
        until(lambda: standing(away, lab.store).is_done)
        lab.disconnect("somebody who left")


def test_a_study_that_this_version_cannot_read_is_laid_to_rest(lab: Engine):
    with closing(Runner(lab)):
        lab.store.studies.ask("unreadable", '{"base": {"depth": 3}}', lab.own_holder)
        until(lambda: lab.store.studies.get("unreadable").holders == ())


def test_studies_have_a_worker_for_each_core_unless_the_host_says_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("echo_core.machine.cores", lambda: 4)
    assert for_studies(Settings(memory_mb=100_000)).num_workers == 4
    assert for_studies(Settings(memory_mb=3000)).num_workers == 2
    assert for_studies(Settings(memory_mb=500)).num_workers == 1
    assert for_studies(Settings(memory_mb=100_000, workers=3)).num_workers == 3
