"""Training the runs of a study by an engine, behind the runs that people ask for.

Only a few runs of a study are in the queue at one time, so it is paused by asking for no more, and one that is killed
has lost nothing: whoever asks again goes on with the runs that have not ended.
"""

import logging
import threading
import time
from dataclasses import dataclass

from echo_core import machine
from echo_core.engine import Engine
from echo_core.forecast import Estimates
from echo_core.records import State
from echo_core.settings import APP_MB, WORKER_MB, LimitExceeded, QueueFull, Settings
from echo_core.store import RunRow, Store
from echo_core.store.studies import StudyRow
from echo_core.studies.results import tuned_rates
from echo_core.studies.study import Study, Trial

logger = logging.getLogger(__name__)

#: Seconds between two looks at the studies that are to be trained.
LOOK_SECONDS = 0.25
#: A look at a study of a thousand runs takes a while: between two looks the thread rests for so many times as long.
_REST = 10.0
#: Runs of a study in the queue for each worker: one that trains, and one that waits, so that no worker rests.
AHEAD = 2


@dataclass(frozen=True)
class Standing:
    """How far a study is.

    Attributes:
        total: Runs of the study, with those that tune.
        ended: Finished or failed.
        failed: Of these.
        training: Under way now.
        seconds_left: Estimated for the workers that train at one time.
        paused_why: Why one of its runs does not go on, such as a limit of the host; None if none says so.
    """

    total: int
    ended: int
    failed: int
    training: int
    seconds_left: float
    paused_why: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether every run has ended."""
        return self.ended == self.total


def known_trials(study: Study, store: Store) -> list[Trial]:
    """The runs that can be asked for now: those that tune, and those whose rate is known, in this order."""
    return [*study.tuning_trials(), *study.trials(tuned_rates(study, store))]


def standing(study: Study, store: Store, at_a_time: int = 1) -> Standing:
    """How far a study is, and how long the rest takes with so many runs at a time."""
    trials, estimates = known_trials(study, store), Estimates(store)
    configs = {trial.config.run_id: trial.config for trial in trials}
    runs = store.runs.of(list(configs))
    ended = [run for run in runs.values() if run.state.has_ended]
    left = {run_id: config for run_id, config in configs.items() if not _has_ended(runs.get(run_id))}
    compiled = [run.config for run in ended]
    seconds = estimates.together(
        ((config, runs[run_id].epoch if run_id in runs else 0) for run_id, config in left.items()), compiled)
    if unknown := study.num_runs - len(trials):  # runs whose rate is not tuned yet: as long as those that tune
        known = estimates.together(((config, 0) for config in configs.values()), compiled)
        seconds += unknown * known / len(configs)
    return Standing(study.num_runs, len(ended), sum(run.state is State.FAILED for run in ended),
                    sum(run.state is State.RUNNING for run in runs.values()), seconds / max(1, at_a_time),
                    next((run.reason for run in runs.values() if run.state is State.PAUSED and run.reason), None))


def top_up(study: Study, engine: Engine, holder: str | None = None) -> bool:
    """Ask for the next runs of a study, as many as keep the workers busy. Returns whether all have ended.

    A run that failed is not trained again: it would fail again, and counts as a failure. A run that has trained for as
    long as this host allows does not go on. On a hosted copy, a holder who has used up their share waits until there is
    room for their next runs.

    Args:
        holder: Who keeps its runs going; by default the engine.
    Raises:
        LimitExceeded: If this host does not allow one of its runs, or keeps no more of this holder's runs.
    """
    trials = known_trials(study, engine.store)
    configs = {trial.config.run_id: trial.config for trial in trials}
    runs = engine.store.runs.of(list(configs))
    room = AHEAD * engine.num_workers - sum(run.state.is_active for run in runs.values())
    too_long = {run.run_id for run in runs.values() if engine.is_used_up(run)}
    left = {run_id: config for run_id, config in configs.items()
            if run_id not in too_long and not _has_ended(runs.get(run_id))}
    for run_id, config in left.items():
        run = runs.get(run_id)
        if room > 0 and not (run and run.state.is_active):
            try:
                engine.submit(config, holder or f"study-{study.study_id}", holder, background=True)
            except QueueFull:
                return False
            room -= 1
    return not left and (len(trials) == study.num_runs or bool(too_long))


def pause(study: Study, engine: Engine, holder: str | None = None) -> None:
    """Ask for no more runs of a study, and stop those under way, unless somebody else wants it or them.

    Args:
        holder: Who asked for the study; by default the engine. On a hosted copy it goes on for others who did.
    """
    holder = holder or engine.own_holder
    engine.store.studies.rest(study.study_id, holder if engine.settings.hosted else None)
    _stop_runs(study, engine, holder)


def _stop_runs(study: Study, engine: Engine, holder: str) -> None:
    """Stop the runs of a study that are under way, if nobody wants it."""
    row = engine.store.studies.get(study.study_id)
    if row and row.is_wanted:
        return
    runs = engine.store.runs.of([trial.config.run_id for trial in known_trials(study, engine.store)])
    active = [run for run in runs.values() if run.state.is_active]
    for run in sorted(active, key=lambda run: run.state is not State.QUEUED):  # or a queued one would start meanwhile
        engine.stop(run.run_id, holder)


def _has_ended(run: RunRow | None) -> bool:
    return run is not None and run.state.has_ended


def for_studies(settings: Settings) -> Settings:
    """These settings with a worker for each core, where memory allows and the host has set no number.

    Small networks, which studies mostly train, use hardly more than one core each (docs/decisions/0057).
    """
    by_memory = (settings.memory_mb - APP_MB) // WORKER_MB
    return settings.model_copy(update={"workers": settings.workers or max(1, min(machine.cores(), by_memory))})


class Runner:
    """A thread that keeps an engine's workers busy with the studies that connected holders want.

    Whoever asked may leave: the study waits until they are back.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._refused: dict[str, str] = {}  # what was logged last of each study that a limit holds up
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="echo studies", daemon=True)
        self._thread.start()
        engine.on_close(self.close)

    def close(self) -> None:
        """End the thread; the engine's `close` calls it too."""
        self._closing.set()
        self._thread.join()

    def _work(self) -> None:
        is_away, took = False, 0.0
        while not self._closing.wait(max(LOOK_SECONDS, _REST * took)):
            began = time.monotonic()
            try:
                here = set(self._engine.holders)
                for row in self._engine.store.studies.held(here):
                    self._train(row, next(holder for holder in row.holders if holder in here))
                is_away = False
            except Exception:  # an outage of the store, which the engine reports
                if not is_away:
                    logger.warning("studies cannot go on at the moment", exc_info=True)
                is_away = True
            took = time.monotonic() - began

    def _train(self, row: StudyRow, holder: str) -> None:
        studies = self._engine.store.studies
        try:
            study = Study.from_json(row.spec)
            is_done = top_up(study, self._engine, holder)
            if not is_done:  # it may have been paused while runs were asked for
                _stop_runs(study, self._engine, holder)
        except LimitExceeded as error:  # the page says so, and it goes on once the host allows it
            is_done = False
            if self._refused.get(row.study_id) != str(error):
                self._refused[row.study_id] = str(error)
                logger.warning("study %s waits: %s", row.study_id, error)
        except ValueError as error:  # of another version
            logger.warning("study %s cannot go on: %s", row.study_id, error)
            is_done = True
        if is_done:
            studies.rest(row.study_id)
