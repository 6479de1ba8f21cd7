"""The command line: train a run in this process, go on with one, list the store, export a run.

Commands import TensorFlow late, because it reads its environment only once, when it is imported.
"""

import math
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import click
from threadpoolctl import threadpool_limits

from echo_core.cli.asking import ask, judge
from echo_core.cli.inspecting import inspect
from echo_core.cli.options import (
    BadSettings,
    OnceEach,
    allowed,
    bad_settings,
    known_run,
    open_store,
    preset_config,
    read_settings,
    run_with_weights,
)
from echo_core.cli.signals import BROKEN_PIPE, escape_what_a_stream_cannot_write
from echo_core.cli.sweeping import sweep
from echo_core.cli.training import Outcome, load_tensorflow, print_json, report, settle, train_all
from echo_core.config import RunConfig, compatibility
from echo_core.config.presets import PRESETS, short_name
from echo_core.config.repair import parse_settings, with_settings
from echo_core.evaluation.verdicts import percent
from echo_core.exports import run_files
from echo_core.records import State
from echo_core.store import OUTAGES, StoreError, extended_config
from echo_core.store.upkeep import STALE_SECONDS
from echo_core.text import files
from echo_core.text.words import too_long
from echo_core.workers.attempt import reason_of
from echo_core.workers.worker import keras_file

#: A limit above any number of runs, so that `runs` lists all of them.
ALL_RUNS = 1_000_000


class OneLineErrors(click.Group):
    """A group whose errors are one line each, without the usage above them."""

    command_class = OnceEach

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Like click's, but for any encoding of the terminal, and silent when the reader of the output is gone."""
        escape_what_a_stream_cannot_write()
        before = sys.stdout
        try:
            return super().main(*args, **kwargs)
        except BrokenPipeError:  # click was writing an error
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - Python flushes both at exit
            raise SystemExit(BROKEN_PIPE) from None
        except SystemExit:
            if sys.stdout is not before:  # click found a broken pipe, and has replaced stdout by a silent stream
                raise SystemExit(BROKEN_PIPE) from None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Like click's, with errors that print no usage."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.ctx = None
            raise
        except StoreError as error:
            raise click.ClickException(str(error)) from error
        except OUTAGES as error:
            raise click.ClickException(f"the store does not answer: {reason_of(error)}") from error


@click.group(cls=OneLineErrors, context_settings={"max_content_width": 110})
def cli() -> None:
    """Echo Lab: watch an LSTM learn to repeat random integers."""
    # Two threads that wait for each other take ten times as long where something else runs, such as training.
    threadpool_limits(1, user_api="blas")


@cli.command()
@click.option("--preset", metavar="NAME", help=f"Begin with the settings of one of {', '.join(PRESETS)}.")
@click.option("--set", "pairs", metavar="FIELD=VALUE", multiple=True,
              help=f"Change one setting; may be repeated. Fields: {', '.join(RunConfig.model_fields)}.")
@click.option("--text", metavar="FILE", type=click.File("rb"),
              help="Own words; for task pairs a `question => answer` a line, or a table as spreadsheets and flashcard "
                   "programs write it. - is standard input.")
@click.option("--repeat", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
              help="Train N seeds, one after the other, from `seed` on.")
@click.option("--no-store", is_flag=True, help="Do not keep the run, and do not look whether it is there already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, and nothing else.")
def train(preset: str | None, pairs: tuple[str, ...], text: BinaryIO | None, repeat: int, no_store: bool,
          as_json: bool) -> None:
    """Train a network here and now, and judge it on unseen windows."""
    configs = [allowed(config) for config in _configs(preset, pairs, text, repeat)]
    settings = read_settings()
    if no_store:
        return train_all(configs, None, settings, as_json)
    with closing(open_store(settings)) as store:
        train_all(configs, store, settings, as_json)


@cli.command()
@click.argument("run_id")
@click.option("--epochs", metavar="N", type=click.IntRange(min=1),
              help="The new total: train it extended_config, as a run of its own that goes on from where this one is.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, and nothing else.")
def resume(run_id: str, epochs: int | None, as_json: bool) -> None:
    """Go on with a run of the store that was paused or interrupted, or train one longer."""
    settings = read_settings()
    with closing(open_store(settings)) as store:
        row = settle(store, known_run(store, run_id)) or known_run(store, run_id)
        if epochs is not None and epochs != row.config.epochs:
            with bad_settings():
                longer_config = extended_config(row, epochs)
            known = store.runs.get(longer_config.run_id)
            if known is not None and known.state is State.FINISHED:
                return report(Outcome.of_row(known), as_json)
            return train_all([allowed(longer_config)], store, settings, as_json)
        if row.state is State.FINISHED:
            return report(Outcome.of_row(row), as_json)
        if row.state is State.RUNNING:
            left = math.ceil(max(1.0, STALE_SECONDS - store.attempts.heartbeat_age(run_id)))
            raise BadSettings(f"run {run_id} is under way already. Stop it, or try again when it has paused. If its "
                              f"process was killed, try again in {left} s.")
        if row.training_version != row.config.training_version:
            raise BadSettings(f"run {run_id} was begun by another version of the training ({row.training_version}; "
                              f"here it is {row.config.training_version}). Try `train` with its settings.")
        train_all([allowed(row.config)], store, settings, as_json)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def runs(as_json: bool) -> None:
    """List the runs of the store, newest first."""
    with closing(open_store(read_settings())) as store:
        rows = store.runs.newest(limit=ALL_RUNS)
    if as_json:
        for row in rows:
            print_json({**Outcome.of_row(row).to_dict(), "created_at": row.created_at, "reason": row.reason,
                         "config": row.config.model_dump()})
        return
    if not rows:
        click.echo("No runs yet. Try `python -m echo_core train --preset quick`.")
        return
    line = "{:16}  {:11}  {:>9}  {:>8}  {:>8}  {}"
    click.echo(line.format("run", "state", "epochs", "windows", "seconds", "settings"))
    for row in rows:
        right = percent(row.evaluation.window_accuracy) if row.evaluation else ""
        click.echo(line.format(row.run_id, row.state, f"{row.epoch:,}", right, f"{row.seconds:.1f}",
                               short_name(row.config)))


@cli.command()
@click.argument("run_ids", metavar="RUN_ID...", nargs=-1, required=True)
@click.confirmation_option(prompt="They are deleted for good. Go on?")
def delete(run_ids: tuple[str, ...]) -> None:
    """Delete runs for good. One that is under way stays."""
    with closing(open_store(read_settings())) as store:
        for run_id in run_ids:
            known_run(store, run_id)
        deleted = store.runs.delete(run_ids)
        store.upkeep.purge(undo_seconds=0)
    for run_id in run_ids:
        click.echo(f"Deleted {run_id}." if run_id in deleted else f"Left {run_id}, which is under way. Stop it first.")


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
    settings = read_settings()
    with closing(open_store(settings)) as store:
        row, checkpoint = run_with_weights(store, run_id)
        history, snapshots = store.progress.history(run_id), store.progress.snapshots(run_id, newest=1)
    there = [name for name in run_files.file_names(row.config) if (folder / name).exists()]
    if there and not force:
        raise BadSettings(f"{folder} has {', '.join(there)} already. Try another folder, or --force to replace them.")
    load_tensorflow(settings, quiet=False)
    files = {name: keras_file(row.config, checkpoint.weights, stateful)
             for name, stateful in run_files.models_of(row.config).items()}
    files |= run_files.export(row.config, checkpoint, history, snapshots[0] if snapshots else None)
    try:
        run_files.write(files, folder)
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written to: {error.strerror}.") from error
    for name in run_files.file_names(row.config):
        click.echo(folder / name)


@cli.command()
def combinations() -> None:
    """Print which settings can be combined, as docs/combinations.md shows it."""
    click.echo("\n".join(compatibility.page()))


cli.add_command(ask)
cli.add_command(judge)
cli.add_command(inspect)
cli.add_command(sweep)


# --- arguments --------------------------------------------------------------------------


def _configs(preset: str | None, pairs: tuple[str, ...], file: BinaryIO | None, repeat: int) -> list[RunConfig]:
    begin = preset_config(preset)
    with bad_settings():
        settings = parse_settings(pairs)
        if file:
            if "text" in settings:
                raise BadSettings("text must be given once; received --text and --set text=…. Try one of them.")
            settings["text"] = _read(file, settings.get("task", begin.task))
        first = with_settings(begin, settings)
        return [RunConfig.model_validate({**first.model_dump(), "seed": first.seed + n}) for n in range(repeat)]


def _read(file: BinaryIO, task: str) -> str:
    """The text of a file. Parts of a table that were left out are named on stderr."""
    data = file.read(files.MAX_FILE_BYTES + 1)
    if len(data) > files.MAX_FILE_BYTES:
        size = f"{file.seek(0, os.SEEK_END):,}" if file.seekable() else f"more than {files.MAX_FILE_BYTES:,}"
        raise too_long(size)
    if task != "pairs":
        return files.read_words(data)
    found = files.read_pairs(data)
    for note in found.notes:
        click.echo(note, err=True)
    return found.text
