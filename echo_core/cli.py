"""The command line: train a run in this very process, go on with one, list the store, take a run away.

TensorFlow is imported within a command, after the environment is set that it reads only once.
"""

import json
import math
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, BinaryIO, Self

import click
from pydantic import ValidationError

from echo_core import export
from echo_core.config import TRAINING_VERSION, RunConfig
from echo_core.mending import explain, parse_settings, with_settings
from echo_core.presets import PRESETS, short_name
from echo_core.records import Evaluation, Progress, State
from echo_core.settings import LimitExceeded, Limits, Settings
from echo_core.store import OUTAGES, RunRow, Store, StoreError, Ticket, longer
from echo_core.text import MAX_BYTES
from echo_core.worker import drain, keras_file, load_training, reason_of, records_of

INTERRUPTED_BY_CTRL_C = 130

#: More than anybody has, so that `runs` lists them all.
ALL_RUNS = 1_000_000


class BadSettings(click.UsageError):
    """What was asked for cannot be: one line on stderr, exit status 2."""


class OneLineErrors(click.Group):
    """A group whose errors are one line each, without the usage above them."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, with errors that know no usage."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.ctx = None
            raise
        except StoreError as error:
            raise click.ClickException(str(error)) from error
        except OUTAGES as error:
            raise click.ClickException(f"the store does not answer: {reason_of(error)}") from error


@dataclass(frozen=True)
class Outcome:
    """How a run ended here: the last thing that is said of it."""

    state: State
    config: RunConfig
    epochs: int
    seconds: float
    fingerprint: str | None
    evaluation: Evaluation | None

    @classmethod
    def of_row(cls, row: RunRow) -> Self:
        """As the store has it."""
        return cls(row.state, row.config, row.epoch, row.seconds, row.fingerprint, row.evaluation)

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
        }


@click.group(cls=OneLineErrors, context_settings={"max_content_width": 110})
def cli() -> None:
    """Echo Lab: watch an LSTM learn to repeat random integers."""


@cli.command()
@click.option("--preset", metavar="NAME", help=f"Begin with the settings of one of {', '.join(PRESETS)}.")
@click.option("--set", "pairs", metavar="FIELD=VALUE", multiple=True,
              help=f"Change one setting; may be repeated. Fields: {', '.join(RunConfig.model_fields)}.")
@click.option("--text", metavar="FILE", type=click.File("rb"),
              help="Own words, or pairs `question => answer` a line for task pairs; - is standard input.")
@click.option("--repeat", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
              help="Train N seeds, one after the other, from `seed` on.")
@click.option("--no-store", is_flag=True, help="Do not keep the run, and do not look whether it is there already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, and nothing else.")
def train(preset: str | None, pairs: tuple[str, ...], text: BinaryIO | None, repeat: int, no_store: bool,
          as_json: bool) -> None:
    """Train a network here and now, and judge it on unseen windows."""
    words = _read(text) if text else None
    configs = [_allowed(config) for config in _configs(preset, pairs, words, repeat)]
    settings = _settings()
    if no_store:
        return _train_all(configs, None, settings, as_json)
    with closing(_open_store(settings)) as store:
        _train_all(configs, store, settings, as_json)


@cli.command()
@click.argument("run_id")
@click.option("--epochs", metavar="N", type=click.IntRange(min=1),
              help="The new total: train it longer, as a run of its own that goes on from where this one is.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, and nothing else.")
def resume(run_id: str, epochs: int | None, as_json: bool) -> None:
    """Go on with a run of the store that was paused or interrupted, or train one longer."""
    settings = _settings()
    with closing(_open_store(settings)) as store:
        row = _known(store, run_id)
        if epochs is not None and epochs != row.config.epochs:
            try:
                longer_config = longer(row, epochs)
            except ValidationError as error:
                raise BadSettings(" ".join(explain(error))) from error
            except ValueError as error:
                raise BadSettings(str(error)) from error
            known = store.run(longer_config.run_id)
            if known is not None and known.state is State.FINISHED:
                return _report(Outcome.of_row(known), as_json)
            return _train_all([_allowed(longer_config)], store, settings, as_json)
        if row.state is State.FINISHED:
            return _report(Outcome.of_row(row), as_json)
        if row.state is State.RUNNING:
            raise BadSettings(f"run {run_id} is under way already. Try again when it has paused.")
        if row.training_version != TRAINING_VERSION:
            raise BadSettings(f"run {run_id} was begun by another version of the training "
                              f"({row.training_version}; this is {TRAINING_VERSION}). Try `train` with its settings.")
        _train_all([_allowed(row.config)], store, settings, as_json)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def runs(as_json: bool) -> None:
    """List the runs of the store, newest first."""
    with closing(_open_store(_settings())) as store:
        rows = store.runs(limit=ALL_RUNS)
    if as_json:
        for row in rows:
            _print_json({**Outcome.of_row(row).to_dict(), "created_at": row.created_at, "reason": row.reason,
                         "config": row.config.model_dump()})
        return
    if not rows:
        click.echo("No runs yet. Try `python -m echo_core train --preset quick`.")
        return
    line = "{:16}  {:11}  {:>9}  {:>8}  {:>8}  {}"
    click.echo(line.format("run", "state", "epochs", "windows", "seconds", "settings"))
    for row in rows:
        right = _percent(row.evaluation.window_accuracy) if row.evaluation else ""
        click.echo(line.format(row.run_id, row.state, f"{row.epoch:,}", right, f"{row.seconds:.1f}",
                               short_name(row.config)))


@cli.command("export")
@click.argument("run_id")
@click.option("--to", "folder", metavar="FOLDER", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="Where to write; it is made if it is not there.")
@click.option("--force", is_flag=True, help="Replace files of the same names.")
def export_run(run_id: str, folder: Path, force: bool) -> None:
    """Write a run to a folder: Keras model, weights, settings, history, answers, and a script and a notebook.

    Script and notebook answer as the run did, and need keras, tensorflow and numpy alone. Of a run that is not
    finished, it is the newest checkpoint that is written.
    """
    settings = _settings()
    with closing(_open_store(settings)) as store:
        row, checkpoint = _known(store, run_id), store.checkpoint(run_id)
        if checkpoint is None and row.state is State.FINISHED:
            raise BadSettings(f"run {run_id} has no weights any more: the store was full and gave up its oldest ones.")
        if checkpoint is None:
            raise BadSettings(f"run {run_id} has no weights yet. Try again when it has trained for a while.")
        history, snapshots = store.history(run_id), store.snapshots(run_id, newest=1)
    there = [name for name in export.FILES if (folder / name).exists()]
    if there and not force:
        raise BadSettings(f"{folder} has {', '.join(there)} already. Try another folder, or --force to replace them.")
    _load_tensorflow(settings, quiet=False)
    files = {export.MODEL: keras_file(row.config, checkpoint.weights),
             **export.export(row.config, checkpoint, history, snapshots[0] if snapshots else None)}
    try:
        export.write(files, folder)
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written to: {error.strerror}.") from error
    for name in export.FILES:
        click.echo(folder / name)


# --- what was asked for --------------------------------------------------------------------------


def _configs(preset: str | None, pairs: tuple[str, ...], text: str | None, repeat: int) -> list[RunConfig]:
    if preset is not None and preset not in PRESETS:
        raise BadSettings(f"preset must be one of {', '.join(PRESETS)}; received {preset}.")
    begin = PRESETS[preset].config if preset else RunConfig()
    try:
        settings = parse_settings(pairs) | ({"text": text} if text is not None else {})
        first = with_settings(begin, settings)
        return [RunConfig.model_validate({**first.model_dump(), "seed": first.seed + n}) for n in range(repeat)]
    except ValidationError as error:
        raise BadSettings(" ".join(explain(error))) from error
    except ValueError as error:
        raise BadSettings(str(error)) from error


def _read(file: BinaryIO) -> str:
    try:
        return file.read(4 * MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadSettings("text must be a file in UTF-8; this one is not. Save it as UTF-8 and try again.") from None


def _allowed(config: RunConfig) -> RunConfig:
    try:
        Limits().check(config)
    except ValidationError as error:
        raise BadSettings(_in_environment(error)) from error
    except LimitExceeded as error:
        raise BadSettings(str(error)) from error
    return config


def _known(store: Store, run_id: str) -> RunRow:
    row = store.run(run_id)
    if row is None:
        raise BadSettings(f"there is no run {run_id} in the store. Try `runs`, which lists them.")
    return row


def _open_store(settings: Settings) -> Store:
    """The store, with runs marked interrupted of which nothing was heard: there may be no app that does it."""
    store = Store(settings.database_url)
    store.sweep(math.inf)
    return store


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise BadSettings(_in_environment(error)) from error


def _in_environment(error: ValidationError) -> str:
    return "in the environment (ECHO_…): " + " ".join(explain(error))


# --- training ------------------------------------------------------------------------------------


def _train_all(configs: list[RunConfig], store: Store | None, settings: Settings, as_json: bool) -> None:
    _load_tensorflow(settings, quiet=as_json)
    outcomes = []
    try:
        for config in configs:
            outcomes.append(_train_one(config, store, settings, as_json))
            _report(outcomes[-1], as_json)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED_BY_CTRL_C) from None
    if len(outcomes) > 1 and not as_json:
        _report_all(outcomes)
    if any(outcome.state is not State.FINISHED for outcome in outcomes):
        raise click.ClickException("stopped from outside before the end. `resume` goes on with it.")


def _load_tensorflow(settings: Settings, quiet: bool) -> None:
    if not quiet:
        click.echo("Loading TensorFlow …", err=True)
    load_training(settings)


def _train_one(config: RunConfig, store: Store | None, settings: Settings, as_json: bool) -> Outcome:
    if store is None:
        return _train_alone(config, as_json)
    me = f"cli-{uuid.uuid4().hex[:12]}"
    if ticket := store.take(config, worker=me, session="cli", holder=me):
        return _train_into(store, ticket, config, settings, me, as_json)
    known = store.run(config.run_id)
    outcome = _train_alone(config, as_json)
    _compare(outcome, store.run(config.run_id) or known, settings)
    return outcome


def _train_alone(config: RunConfig, as_json: bool) -> Outcome:
    from echo_core.evaluation import evaluate

    try:
        last = _shown(records_of(config), config, as_json)
    except KeyboardInterrupt:
        click.echo("Stopped. Nothing of this run was kept.", err=True)
        raise
    assert last is not None  # there is a record of epoch 0 at least
    judged = evaluate(config, last.checkpoint.weights)
    return Outcome(State.FINISHED, config, last.epoch, last.seconds, last.checkpoint.fingerprint, judged)


def _train_into(store: Store, ticket: Ticket, config: RunConfig, settings: Settings, me: str,
                as_json: bool) -> Outcome:
    try:
        records = drain(store, ticket, threads=settings.threads, holder=me)
        with closing(records):  # which pauses the run, wherever Ctrl-C strikes
            _shown(records, config, as_json)
    except KeyboardInterrupt:
        if row := store.run(config.run_id):
            _report(Outcome.of_row(row), as_json)
        raise
    except Exception as error:
        raise click.ClickException(f"the run failed: {reason_of(error)}") from error
    row = store.run(config.run_id)
    assert row is not None
    return Outcome.of_row(row)


def _compare(outcome: Outcome, row: RunRow | None, settings: Settings) -> None:
    """Say whether a run that the store had already came out the same."""
    if row is None or row.fingerprint is None:
        return click.echo("The store has this run under way elsewhere; this training of it was not kept.", err=True)
    if row.fingerprint == outcome.fingerprint:
        return click.echo("The store had this run already, with the same fingerprint.", err=True)
    threads = f" It was trained on {row.threads} threads, this on {settings.threads}." \
        if row.threads not in (None, settings.threads) else " Perhaps another kind of processor trained it."
    click.echo(f"Warning: the store had this run already, with ANOTHER fingerprint: {row.fingerprint}.{threads}",
               err=True)


# --- what is said --------------------------------------------------------------------------------


def _shown(records: Iterator[Progress], config: RunConfig, as_json: bool) -> Progress | None:
    """Show training as it goes on; the last record, if there was one."""
    last = None
    if as_json:
        for last in records:
            _print_json({"epoch": last.epoch, "loss": last.loss, "accuracy": last.accuracy, "seconds": last.seconds})
        return last
    if (last := next(records, None)) is None:
        return None
    compiled = None
    with click.progressbar(length=config.epochs - last.epoch, label=short_name(config), show_eta=False,
                           item_show_func=lambda said: said, file=sys.stderr) as bar:
        for progress in records:
            compiled = compiled or progress
            bar.update(progress.epoch - last.epoch, _how_it_goes(progress, compiled, config))
            last = progress
    return last


def _how_it_goes(progress: Progress, compiled: Progress, config: RunConfig) -> str:
    """Loss, accuracy, and the time left at the speed since `compiled`: what came before says nothing of it."""
    trained = progress.epoch - compiled.epoch
    left = (config.epochs - progress.epoch) * (progress.seconds - compiled.seconds) / max(1, trained)
    return (f"loss {progress.loss:.3f}, accuracy {progress.accuracy:.3f}"
            + (f", {math.ceil(left)} s left" if trained and left else ""))


def _report(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        return _print_json(outcome.to_dict())
    click.echo(f"Run {outcome.config.run_id} {outcome.state} after {outcome.epochs:,} epochs "
               f"and {outcome.seconds:.2f} s.")
    if judged := outcome.evaluation:
        click.echo(f"Of {judged.windows:,} {judged.judged_on} windows {_percent(judged.window_accuracy)} are right at "
                   f"every timestep; of single numbers, {_percent(judged.token_accuracy)}.")
    if outcome.fingerprint:
        click.echo(f"Fingerprint {outcome.fingerprint}")


def _report_all(outcomes: list[Outcome]) -> None:
    right = [outcome.evaluation.window_accuracy for outcome in outcomes if outcome.evaluation]
    if right:
        click.echo(f"{len(right)} seeds: windows right {_percent(mean(right))} on average, {_percent(min(right))} at "
                   f"the lowest; {mean(outcome.seconds for outcome in outcomes):.2f} s a run.")


def _print_json(values: dict[str, object]) -> None:
    # JSON has no NaN, which a loss may be.
    plain = {name: None if isinstance(value, float) and not math.isfinite(value) else value
             for name, value in values.items()}
    click.echo(json.dumps(plain))


def _percent(share: float) -> str:
    """Rounded down, so that 100 % means every one."""
    return f"{math.floor(share * 1000) / 10:.1f} %"
