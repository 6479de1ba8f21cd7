"""The commands `ask` and `judge`. They use NumPy alone and do not load TensorFlow."""

from dataclasses import asdict
from typing import Any

import click

from echo_core.cli.options import OnceEach, allowed, bad_settings, trained_network
from echo_core.cli.training import print_json
from echo_core.config.repair import parse_settings
from echo_core.evaluation import asking
from echo_core.evaluation.asking import Reply
from echo_core.evaluation.judging import FREE, Judged, judge_run, with_lengths
from echo_core.evaluation.verdicts import percent


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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def judge(run_id: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Judge a trained network on unseen windows, also of other lengths than it was trained on.

    At least 2,000 windows are judged, of which no two overlap, with Wilson's intervals for 95 %. Set the run's
    own sequence_length to judge it on the overlapping windows of its own score.
    """
    config, checkpoint = trained_network(run_id)
    with bad_settings():
        settings = parse_settings(pairs)
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
