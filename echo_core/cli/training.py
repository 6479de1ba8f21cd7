"""Training in this process, reported on a terminal or as JSON.

Functions import TensorFlow late, because it reads its environment only once, when it is imported.
"""

import json
import math
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import mean
from typing import Self

import click

from echo_core.cli.signals import signals_as_ctrl_c, status_of
from echo_core.config import RunConfig
from echo_core.config.presets import short_name
from echo_core.evaluation.verdicts import Verdict, after_training, before_training, percent
from echo_core.records import Diverged, Evaluation, Progress, State
from echo_core.settings import Settings
from echo_core.store import RunRow, Store, Ticket
from echo_core.store.upkeep import ORPHANED_SECONDS
from echo_core.text.plurals import counted
from echo_core.workers.attempt import drain, reason_of, records_of
from echo_core.workers.cluster import has_ended, local_name
from echo_core.workers.process import load_training


@dataclass(frozen=True)
class Outcome:
    """How a run ended here: the last thing printed about it.

    Attributes:
        fingerprint: Of the kept weights; for a run that diverged, the weights of the last epoch before that.
        loss: Of the newest epoch.
        reason: Why it failed.
    """

    state: State
    config: RunConfig
    epochs: int
    seconds: float
    fingerprint: str | None
    evaluation: Evaluation | None
    loss: float | None
    reason: str | None = None

    @classmethod
    def of_row(cls, row: RunRow) -> Self:
        """As the store has it."""
        return cls(row.state, row.config, row.epoch, row.seconds, row.fingerprint, row.evaluation, row.loss, row.reason)

    @property
    def notes(self) -> list[Verdict]:
        """What is wrong with the run, and what to try."""
        return after_training(self.config, self.evaluation, self.loss, self.state, self.reason)

    def to_dict(self) -> dict[str, object]:
        """The fields that scripts rely on."""
        judged = self.evaluation
        return {
            "state": str(self.state), "run_id": self.config.run_id, "epochs": self.epochs,
            "token_accuracy": judged.token_accuracy if judged else None,
            "window_accuracy": judged.window_accuracy if judged else None,
            "windows": judged.windows if judged else None,
            "judged_on": judged.judged_on if judged else None,
            "seconds": self.seconds, "fingerprint": self.fingerprint,
            "notes": [note.to_dict() for note in self.notes],
        }


def train_all(configs: list[RunConfig], store: Store | None, settings: Settings, as_json: bool) -> None:
    """Train runs one after the other, into the store if one is given, and report each outcome."""
    for verdict in before_training(configs[0]):  # once, as all seeds have the same settings
        click.echo(f"Note: {verdict}", err=True)
    outcomes = []
    try:
        with signals_as_ctrl_c():
            load_tensorflow(settings, quiet=as_json)
            for config in configs:
                outcomes.append(_train_one(config, store, settings, as_json))
                report(outcomes[-1], as_json)
    except KeyboardInterrupt as error:
        raise SystemExit(status_of(error)) from None
    if len(outcomes) > 1 and not as_json:
        _report_all(outcomes)
    if failed := [outcome for outcome in outcomes if outcome.state is State.FAILED]:
        raise click.ClickException(_failures(failed))
    if any(outcome.state is not State.FINISHED for outcome in outcomes):
        raise click.ClickException("stopped from outside before the end. `resume` goes on with it.")


def train_quietly(config: RunConfig, store: Store, settings: Settings) -> None:
    """Train one run into the store, for a command that needs it, with its progress on stderr alone."""
    try:
        with signals_as_ctrl_c():
            load_tensorflow(settings, quiet=False)
            outcome = _train_one(config, store, settings, as_json=False)
    except KeyboardInterrupt as error:
        raise SystemExit(status_of(error)) from None
    if outcome.state is State.FAILED:
        raise click.ClickException(_failures([outcome]))


def _failures(failed: Sequence[Outcome]) -> str:
    """Why runs failed, each in a sentence."""
    if len(failed) == 1:
        return f"the run failed. {failed[0].reason}"
    return " ".join([f"{counted(len(failed), 'run')} failed.",
                     *(f"Seed {each.config.seed}: {each.reason}" for each in failed)])


def load_tensorflow(settings: Settings, quiet: bool) -> None:
    """Import TensorFlow, with a message because it takes some seconds."""
    if not quiet:
        click.echo("Loading TensorFlow …", err=True)
    load_training(settings)


def _train_one(config: RunConfig, store: Store | None, settings: Settings, as_json: bool) -> Outcome:
    if store is None:
        return _train_alone(config, as_json)
    me = f"cli-{uuid.uuid4().hex[:12]}"
    settle(store, store.runs.get(config.run_id))
    if ticket := store.queue.take(config, worker=local_name(me), session="cli", holder=me):
        return _train_into(store, ticket, config, settings, me, as_json)
    known = store.runs.get(config.run_id)
    outcome = _train_alone(config, as_json)
    _compare(outcome, store.runs.get(config.run_id) or known, settings)
    return outcome


def _train_alone(config: RunConfig, as_json: bool) -> Outcome:
    from echo_core.evaluation import evaluate

    started = time.perf_counter()
    try:
        last = _shown(records_of(config), config, as_json)
    except KeyboardInterrupt:
        click.echo("Stopped. Nothing of this run was kept.", err=True)
        raise
    except Diverged as error:
        at = error.checkpoint
        return Outcome(State.FAILED, config, at.epoch, time.perf_counter() - started, at.fingerprint, None, None,
                       str(error))
    assert last is not None  # training yields epoch 0 first
    judged = evaluate(config, last.checkpoint.weights)
    return Outcome(State.FINISHED, config, last.epoch, last.seconds, last.checkpoint.fingerprint, judged, last.loss)


def _train_into(store: Store, ticket: Ticket, config: RunConfig, settings: Settings, me: str,
                as_json: bool) -> Outcome:
    try:
        records = drain(store, ticket, threads=settings.threads, holder=me)
        with closing(records):  # pauses the run wherever Ctrl-C interrupts
            _shown(records, config, as_json)
    except KeyboardInterrupt:
        if row := store.runs.get(config.run_id):
            report(Outcome.of_row(row), as_json)
        raise
    except Diverged:
        pass  # the store has recorded the reason
    except BrokenPipeError:
        raise  # the reader of the output is gone; the run was paused
    except Exception as error:
        raise click.ClickException(f"the run failed: {reason_of(error)}") from error
    row = store.runs.get(config.run_id)
    assert row is not None
    return Outcome.of_row(row)


def settle(store: Store, row: RunRow | None) -> RunRow | None:
    """Return the row of a run. If its process on this machine was killed, wait until the run is marked interrupted.

    It takes `ORPHANED_SECONDS` from the last heartbeat, as a container of the same host name has its own processes.
    """
    is_said = False
    while row and row.state is State.RUNNING and row.worker and has_ended(row.worker):
        left = max(0.0, ORPHANED_SECONDS - store.attempts.heartbeat_age(row.run_id))
        if not is_said:
            click.echo(f"The process that trained run {row.run_id} has ended. It goes on in {math.ceil(left)} s …",
                       err=True)
            is_said = True
        time.sleep(min(left + 0.01, 0.5))
        store.upkeep.sweep(math.inf, has_ended=has_ended)
        row = store.runs.get(row.run_id)
    return row


def _compare(outcome: Outcome, row: RunRow | None, settings: Settings) -> None:
    """Report whether the run that the store has already got the same fingerprint."""
    if row is None or row.fingerprint is None:
        return click.echo("The store has this run under way elsewhere; this training of it was not kept.", err=True)
    if row.fingerprint == outcome.fingerprint:
        return click.echo("The store had this run already, with the same fingerprint.", err=True)
    threads = f" It was trained on {row.threads} threads, this on {settings.threads}." \
        if row.threads not in (None, settings.threads) else " Perhaps another kind of processor trained it."
    click.echo(f"Warning: the store had this run already, with ANOTHER fingerprint: {row.fingerprint}.{threads}",
               err=True)


def _shown(records: Iterator[Progress], config: RunConfig, as_json: bool) -> Progress | None:
    """Print each record as it comes. Returns the last record, or None if there was none."""
    last = None
    if as_json:
        for last in records:
            for each in last.moments:
                print_json({"epoch": each.epoch, "loss": each.loss, "accuracy": each.accuracy, "seconds": each.seconds})
        return last
    if (last := next(records, None)) is None:
        return None
    compiled = None
    with click.progressbar(length=config.epochs - last.epoch, label=short_name(config), show_eta=False,
                           item_show_func=lambda said: said, file=sys.stderr) as bar:
        for progress in records:
            compiled = compiled or progress
            bar.update(progress.epoch - last.epoch, how_it_goes(progress, compiled, config))
            last = progress
    return last


def how_it_goes(progress: Progress, compiled: Progress, config: RunConfig) -> str:
    """Loss, accuracy, and the time left at the speed since `compiled`; earlier epochs include compiling."""
    trained = progress.epoch - compiled.epoch
    left = (config.epochs - progress.epoch) * (progress.seconds - compiled.seconds) / max(1, trained)
    return (f"loss {progress.loss:.3f}, accuracy {progress.accuracy:.3f}"
            + (f", {math.ceil(left)} s left" if trained and left else ""))


def report(outcome: Outcome, as_json: bool) -> None:
    """Print how a run ended."""
    if as_json:
        return print_json(outcome.to_dict())
    click.echo(f"Run {outcome.config.run_id} {outcome.state} after {counted(outcome.epochs, 'epoch')} "
               f"and {outcome.seconds:.2f} s.")
    if judged := outcome.evaluation:
        click.echo(f"Of {counted(judged.windows, f'{judged.judged_on} window')} {percent(judged.window_accuracy)} are "
                   f"right at every timestep; of single numbers, {percent(judged.token_accuracy)}.")
    if outcome.fingerprint:
        click.echo(f"Fingerprint {outcome.fingerprint}")
    if outcome.state is not State.FAILED:  # the error that ends the command has the reason
        for note in outcome.notes:
            click.echo(str(note))


def _report_all(outcomes: list[Outcome]) -> None:
    right = [outcome.evaluation.window_accuracy for outcome in outcomes if outcome.evaluation]
    if right:
        click.echo(f"{counted(len(right), 'seed')}: windows right {percent(mean(right))} on average, "
                   f"{percent(min(right))} at the lowest; {mean(outcome.seconds for outcome in outcomes):.2f} s a run.")


def print_json(values: dict[str, object]) -> None:
    """One object on one line."""
    # JSON has no NaN, which a loss may be.
    plain = {name: None if isinstance(value, float) and not math.isfinite(value) else value
             for name, value in values.items()}
    click.echo(json.dumps(plain))
