"""The command `sweep`: a study, trained by worker processes, from the question to its table."""

import math
import sys
import time
from collections.abc import Iterator

import click

from echo_core.cli.options import OnceEach, allowed, bad_settings, preset_config, read_settings
from echo_core.cli.signals import signals_as_ctrl_c, status_of
from echo_core.cli.training import print_json
from echo_core.config import RunConfig, written
from echo_core.config.presets import PRESETS
from echo_core.config.repair import parse_settings, with_settings
from echo_core.engine import Engine
from echo_core.evaluation.verdicts import percent
from echo_core.settings import Limits
from echo_core.studies.intervals import USUAL_SEEDS, Kind
from echo_core.studies.measures import MEASURES, Measure
from echo_core.studies.results import Results, results, said
from echo_core.studies.running import for_studies, pause, standing, top_up
from echo_core.studies.study import MAX_SEEDS, RATES, Study, parse_axis
from echo_core.text.plurals import counted, duration

#: Seconds between two requests for runs. After a slow request it is `_REST` times as long as that took: with a thousand
#: runs each takes a tenth of a second, and the workers need the cores.
_LOOK_SECONDS, _REST = 0.2, 4.0
#: Seconds between two updates of the progress bar.
_SHOW_SECONDS = 1.0
#: Seconds for which the workers may be out of reach.
_PATIENCE_SECONDS = 60.0


@click.command(cls=OnceEach)
@click.option("--preset", metavar="NAME", help=f"Begin with the settings of one of {', '.join(PRESETS)}.")
@click.option("--set", "pairs", metavar="FIELD=VALUE", multiple=True,
              help="Change one setting of all runs; may be repeated.")
@click.option("--over", "over", metavar="FIELD=V1,V2,…", multiple=True, required=True,
              help="Vary a setting; may be given twice for a grid. Whole numbers may be a range: output_length=1-5.")
@click.option("--seeds", metavar="N", type=click.IntRange(1, MAX_SEEDS), default=USUAL_SEEDS, show_default=True,
              help="Runs of each setting, which differ in their seed alone.")
@click.option("--measure", metavar="NAME", type=click.Choice([each.value for each in Measure]),
              default=Measure.WINDOWS.value, show_default=True,
              help=f"What is looked at: {', '.join(each.value for each in Measure)}. It needs no new training.")
@click.option("--tune", is_flag=True,
              help=f"First choose the learning rate of each setting from {', '.join(map(written, RATES))}.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def sweep(preset: str | None, pairs: tuple[str, ...], over: tuple[str, ...], seeds: int, measure: str, tune: bool,
          as_json: bool) -> None:
    """Train a grid of settings, each with several seeds, and print the mean of each with its 95 % interval.

    Runs that the store has already are not trained again, so a sweep that was stopped goes on when it is started again.
    """
    study = _study(preset, pairs, over, seeds, tune)
    settings = read_settings()
    with Engine(for_studies(settings)) as engine:
        try:
            with signals_as_ctrl_c(), bad_settings():
                _train(study, engine, quiet=as_json)
        except KeyboardInterrupt as error:
            pause(study, engine)
            how_far = standing(study, engine.store)
            click.echo(f"Stopped: {how_far.ended} of {counted(how_far.total, 'run')} have ended. The same command goes "
                       "on with the rest.", err=True)
            raise SystemExit(status_of(error)) from None
        found = results(study, engine.store, Measure(measure))
    if as_json:
        return print_json(found.to_dict())
    _print(found)


def _study(preset: str | None, pairs: tuple[str, ...], over: tuple[str, ...], seeds: int, tune: bool) -> Study:
    with bad_settings():
        base: RunConfig = with_settings(preset_config(preset), parse_settings(pairs))
        study = Study(base, tuple(parse_axis(text) for text in over), seeds, tune)
        Limits().check_study(study.num_runs)
        for setting in study.settings:
            allowed(study.config_of(setting, base.seed)[0])
    return study


def _train(study: Study, engine: Engine, quiet: bool) -> None:
    before = standing(study, engine.store, engine.num_workers)
    # How many workers a cluster has is known once it has answered.
    where = "the cluster" if engine.settings.dask_scheduler_address else counted(engine.num_workers, "worker")
    click.echo(f"{counted(before.total, 'run')} on {where}, {before.ended} of them trained before.", err=True)
    engine.store.studies.ask(study.study_id, study.to_json(), engine.own_holder)
    if before.is_done:
        return engine.store.studies.rest(study.study_id)
    with click.progressbar(length=before.total, label="Training", show_eta=False, file=sys.stderr,
                           item_show_func=lambda text: text) as bar:
        bar.update(before.ended)
        shown, shown_at = before.ended, -_SHOW_SECONDS
        for looked_at in _looks(study, engine):
            if looked_at - shown_at < _SHOW_SECONDS:
                continue
            now, shown_at = standing(study, engine.store, engine.num_workers), looked_at
            if not quiet or now.ended != shown:
                bar.update(now.ended - shown, f"{f'{now.failed} failed, ' if now.failed else ''}"
                                              f"about {duration(now.seconds_left)} left")
                shown = now.ended
        bar.update(before.total - shown, "")
    engine.store.studies.rest(study.study_id)


def _looks(study: Study, engine: Engine) -> Iterator[float]:
    """Ask for the study's runs until all have ended; the moment of each request.

    Raises:
        click.ClickException: If the workers are out of reach for too long.
    """
    well_at = looked_at = time.monotonic()
    while not top_up(study, engine):
        took, status = time.monotonic() - looked_at, engine.status()
        if status in ("starting", "warming", "ready"):
            well_at = looked_at
        elif looked_at - well_at > _PATIENCE_SECONDS:
            raise click.ClickException(status)
        yield looked_at
        time.sleep(max(_LOOK_SECONDS, _REST * took))
        looked_at = time.monotonic()


def _print(found: Results) -> None:
    traits = MEASURES[found.measure]
    for row in found.rows:
        one = row.estimate
        interval = f"{_value(one.low, traits.kind)} to {_value(one.high, traits.kind)}" if one.low is not None else "–"
        lost = "".join(f", {number} {word}" for number, word in (
            (row.failures, "failed"), (row.missed, "never got there"), (row.valueless, "without a value")) if number)
        rate = f", learning_rate {written(row.rate)}" if row.rate is not None else ""
        changed = f" (with {said(row.changed)})" if row.changed else ""
        click.echo(f"{said(row.setting)}{rate}: {traits.title.lower()} {_value(one.mean, traits.kind)} "
                   f"[{interval}], n {one.n}{lost}{changed}")
    click.echo(f"In brackets the interval of the mean ({found.rows[0].estimate.method}).")
    click.echo(f"Open the app's address with ?study={found.study.study_id} behind it: it draws the study and compares "
               "its settings.")
    if found.study.ranks_untuned:
        click.echo("All have the same learning rate, and which is best at one rate says little. Try --tune.")


def _value(value: float | None, kind: Kind) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.4g}" if kind is Kind.AMOUNT else percent(value)
