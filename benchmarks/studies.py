"""How much faster are two workers than one with a study of many small runs? `python -m benchmarks.studies`.

By turns: one local worker and two, a Dask cluster of one worker process and of two, each with a new store. Compiled
programs are kept, as of a study that was begun before. Seconds count from the start of the first run to the end of the
last one.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import click

from echo_core.store import Store
from tests.helpers.clusters import dask_cluster

ROOT = Path(__file__).parent.parent
#: 40 runs of a preset, shortened.
GRID = ["--set", "epochs=400", "--over", "learning_rate=0.005,0.01", "--seeds", "20", "--json"]


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often each is measured.")
@click.option("--preset", default="quick", show_default=True, help="The network; `whole` is the smallest.")
def main(rounds: int, preset: str) -> None:
    """Measure all by turns and print the ratios."""
    seconds: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), "local", 1, preset)  # compiles
        for number in range(rounds):
            for kind in ("local", "cluster"):
                for workers in (1, 2):
                    taken = measure(Path(folder), kind, workers, preset)
                    seconds.setdefault((kind, workers), []).append(taken)
                    click.echo(f"round {number + 1}: {kind}, {workers} workers: {taken:.1f} s", err=True)
    for kind in ("local", "cluster"):
        ratios = [one / two for one, two in zip(seconds[kind, 1], seconds[kind, 2], strict=True)]
        click.echo(f"{kind}: two workers are {statistics.median(ratios):.2f} times as fast as one "
                   f"({min(ratios):.2f} to {max(ratios):.2f})")


def measure(folder: Path, kind: str, workers: int, preset: str) -> float:
    """Seconds of one study."""
    with tempfile.TemporaryDirectory() as own, ExitStack() as running:
        url = f"sqlite:///{own}/runs.db"
        environment = {"DATABASE_URL": url, "ECHO_XLA_CACHE": str(folder), "ECHO_WORKERS": str(workers),
                       "ECHO_STANDBY": "false"}
        if kind == "cluster":
            environment["DASK_SCHEDULER_ADDRESS"] = running.enter_context(
                dask_cluster(Path(own), workers, ROOT, **environment))
        done = subprocess.run([sys.executable, "-m", "echo_core", "sweep", "--preset", preset, *GRID], text=True,
                              capture_output=True, env={**os.environ, **environment}, check=False)
        if done.returncode:
            raise click.ClickException(done.stderr)
        found = json.loads(done.stdout)
        with closing(Store(url)) as store:
            runs = store.runs.of([each["run_id"] for row in found["rows"] for each in row["runs"]]).values()
        began = [run.started_at for run in runs if run.started_at is not None]
        ended = [run.ended_at for run in runs if run.ended_at is not None]
        assert len(began) == len(ended) == len(runs) == 40
        return max(ended) - min(began)


if __name__ == "__main__":
    main()
