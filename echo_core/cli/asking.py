"""The commands `ask` and `judge`. They use NumPy alone and do not load TensorFlow."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click
import pandas as pd

from echo_core.cli.options import BadSettings, OnceEach, allowed, bad_settings, trained_network
from echo_core.cli.training import print_json
from echo_core.config import RunConfig
from echo_core.config.repair import parse_settings
from echo_core.evaluation import asking
from echo_core.evaluation.asking import Reply
from echo_core.evaluation.judging import FREE, Judged, judge_run, with_lengths
from echo_core.evaluation.lengths import WAYS, judge_length, ladder, length_config, parse_lengths, way_of
from echo_core.evaluation.verdicts import percent
from echo_core.records import Checkpoint
from echo_core.settings import Limits


@click.command(cls=OnceEach, context_settings={"ignore_unknown_options": True})
@click.argument("run_id")
@click.argument("question", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the answer with its probabilities.")
def ask(run_id: str, question: tuple[str, ...], as_json: bool) -> None:
    """Ask a trained network: numbers as `97 81 29 75 6`, or words where the run has words.

    It answers as the page does, with its newest weights. Commas, brackets and tabs between numbers are understood.
    """
    config, checkpoint = trained_network(run_id)
    with bad_settings():
        reply = asking.ask(config, checkpoint.weights, " ".join(question))
    if as_json:
        return print_json({"run_id": run_id, "epoch": checkpoint.epoch, **_to_dict(reply)})
    if config.task == "pairs" and reply.expected is not None:  # places beyond the expected answer do not count
        said = [word for word, wanted in zip(reply.answer, reply.expected, strict=True) if wanted is not None]
    else:
        said = list(reply.answer)
    click.echo(" ".join(map(str, said)))


@click.command(cls=OnceEach)
@click.argument("run_id")
@click.option("--set", "pairs", metavar="FIELD=VALUE", multiple=True,
              help=f"Judge it on windows of another size; may be repeated. Fields: {', '.join(FREE)}.")
@click.option("--lengths", "wanted", metavar="LENGTHS", help="Print a table of accuracy against length, for 2,5,8 or "
              "2-20 or auto, which goes up to four times the trained length.")
@click.option("--vary", metavar="NAME", type=click.Choice(list(WAYS)), help="What has these lengths: the input, the "
              "output, or both. By default the first of both, input and output that the network can read.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def judge(run_id: str, pairs: tuple[str, ...], wanted: str | None, vary: str | None, as_json: bool) -> None:
    """Judge a trained network on unseen windows, also of other lengths than it was trained on.

    At least 2,000 windows are judged, of which no two overlap, with Wilson's intervals for 95 %. Set the run's
    own sequence_length to judge it on the overlapping windows of its own score. With --lengths fewer windows are
    judged where 2,000 would take more than about a second a length.
    """
    config, checkpoint = trained_network(run_id)
    if vary and wanted is None:
        raise BadSettings(f"vary must be given with --lengths; received --vary {vary} alone. Try --lengths auto.")
    with bad_settings():
        settings = parse_settings(pairs)
        if wanted is not None:
            return _judge_lengths(config, checkpoint, settings, wanted, vary, as_json)
        allowed(with_lengths(config, settings))
        judged = judge_run(config, checkpoint.weights, settings)
    if as_json:
        return print_json({"run_id": run_id, "epoch": checkpoint.epoch, **_judged_to_dict(judged)})
    c, found = judged.config, judged.evaluation
    click.echo(f"Windows of {c.input_length} with an answer of {c.output_length} (trained on {config.input_length} and "
               f"{config.output_length}).")
    click.echo(f"Of {found.windows:,} unseen windows {percent(found.window_accuracy)} are right at every timestep "
               f"({_interval(judged.window_interval)}); of single numbers, {percent(found.token_accuracy)} "
               f"({_interval(judged.token_interval)}).")


def _judge_lengths(config: RunConfig, checkpoint: Checkpoint, settings: Mapping[str, str], wanted: str,
                   vary: str | None, as_json: bool) -> None:
    """Print accuracy against length. Raises ValueError, before any is judged, if the network cannot read a length."""
    way = way_of(config, vary, settings)
    asked = parse_lengths(wanted) if wanted != "auto" else ladder(
        with_lengths(config, settings), way, Limits().max_input_length)
    for length in asked:
        allowed(length_config(config, way, length, settings))
    with click.progressbar(asked, file=sys.stderr, hidden=not sys.stderr.isatty()) as lengths:
        rows = [judge_length(config, checkpoint.weights, way, length, settings) for length in lengths]
    if as_json:
        return print_json({"run_id": config.run_id, "epoch": checkpoint.epoch, "vary": way,
                           "seed": with_lengths(config, settings).seed, "chance": 1 / config.vocab_size,
                           "method": "Wilson, 95 %", "rows": rows})
    click.echo(f"Trained on windows of {config.input_length} with an answer of {config.output_length}. Share of unseen "
               "windows and of single numbers that are right (95 % interval):")
    click.echo(pd.DataFrame([{
        "input": row["input_length"], "output": row["output_length"], "trained": "yes" if row["trained"] else "",
        "windows right": _share(row, "window"), "numbers right": _share(row, "token"), "windows": f"{row['windows']:,}"}
        for row in rows]).to_string(index=False))


def _share(row: Mapping[str, float], name: str) -> str:
    low, high = 100 * row[f"{name}_low"], 100 * row[f"{name}_high"]
    return f"{percent(row[f'{name}_accuracy'])} ({low:.1f} to {high:.1f})"


def _to_dict(reply: Reply) -> dict[str, Any]:
    return {"question": reply.question, "answer": reply.answer, "expected": reply.expected, "right": reply.is_right,
            "places": [asdict(place) | {"probability": place.likeliest[0].probability if place.likeliest else None}
                       for place in reply.places]}


def _judged_to_dict(judged: Judged) -> dict[str, Any]:
    c, found = judged.config, judged.evaluation
    return {
        **{name: getattr(c, name) for name in FREE},
        "token_accuracy": found.token_accuracy, "token_low": judged.token_interval[0],
        "token_high": judged.token_interval[1], "window_accuracy": found.window_accuracy,
        "window_low": judged.window_interval[0], "window_high": judged.window_interval[1],
        "windows": found.windows, "independent": judged.independent, "judged_on": found.judged_on,
        "by_timestep": found.by_timestep, "method": "Wilson, 95 %"}


def _interval(interval: tuple[float, float]) -> str:
    return f"95 % interval {100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
