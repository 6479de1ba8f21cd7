"""Twenty SIGKILLs at random moments, and nothing lost: `python -m benchmarks.kills`.

An app trains runs of two lengths while its process, or that of a worker, is killed in turn. As a visitor would, the
benchmark starts the app again and presses Train for interrupted runs. In the end each run must be finished with the
weights of an undisturbed training, and runs that had finished must be unchanged.
Prints a line for each kill and each run; the exit status is 1 if anything was lost or differs.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import click

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.records import State
from tests.helpers.trial import PATIENCE, Trial

#: Epochs of a run that ends before its first checkpoint, and of one that has several.
EPOCHS = (5_000, 40_000)
#: Seconds at most from one kill to the next. Most kills wait until a network has trained further, because starting
#: and compiling take longer than training here.
LONGEST_PAUSE, SHARE_IN_TRAINING = 16.0, 0.7


def wanted() -> Iterator[RunConfig]:
    """Configs of each length in turn, each with its own seed."""
    for number in count():
        config = PRESETS["whole"].config
        yield config.model_copy(update={"seed": number // len(EPOCHS), "epochs": EPOCHS[number % len(EPOCHS)]})


@click.command()
@click.option("--kills", default=20, show_default=True)
@click.option("--seed", type=int, help="Of the moments; by default another one each time.")
def main(kills: int, seed: int | None) -> None:
    """Kill workers and apps in turn, and compare their runs with undisturbed ones."""
    seed = random.randrange(10_000) if seed is None else seed
    dice, configs, began, in_training = random.Random(seed), wanted(), time.monotonic(), 0
    click.echo(f"moments of seed {seed}")
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name), ECHO_XLA_CACHE=str(Path(name) / "xla"))
        try:
            for number in range(kills):
                if dice.random() < SHARE_IN_TRAINING:
                    trial.until_it_trains(configs)
                pause = dice.uniform(0, LONGEST_PAUSE)
                rows = trial.look_on(pause, configs)
                in_training += any(run.state is State.RUNNING and run.epoch for run in rows)
                moment = trial.moment(rows)
                killed = trial.kill_app() if number % 2 else trial.kill_worker(dice)
                click.echo(f"{number + 1:3}  {time.monotonic() - began:4.0f} s  {killed:38}  {moment}")
            trial.look_on(PATIENCE)
            judged = trial.judge()
        finally:
            trial.close()
    click.echo(f"\n{'run':16}  {'epochs':>7}  {'attempts':>8}  {'lost workers':>12}  {'fingerprint':12}  undisturbed")
    for run, is_same in judged:
        begun = f"{run.run_id}  {run.epoch:7,}  {run.attempt:8}  {run.restarts:12}"
        click.echo(f"{begun}  {(run.fingerprint or '')[:12]:12}  {'the same' if is_same else 'DIFFERS'}")
    same = sum(is_same for _, is_same in judged)
    click.echo(f"\n{kills} kills, {in_training} while a network was trained: {same} of {len(judged)} runs are finished "
               f"and as undisturbed, in {(time.monotonic() - began) / 60:.1f} minutes")
    for trouble in dict.fromkeys(trial.troubles):
        click.echo(trouble)
    sys.exit(bool(trial.troubles))


if __name__ == "__main__":
    main()
