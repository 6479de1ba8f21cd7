"""Two hundred different runs in a row through the Engine: `python -m benchmarks.steady`.

Prints a line for each ten runs, and at the end the ratio of the last ten to the first ten, the highest memory of the
app and of its workers, and the number of replaced workers.
"""

import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import click
import psutil

from echo_core.config.presets import PRESETS
from echo_core.engine import Engine
from echo_core.records import State
from echo_core.settings import Settings

#: Seconds between two samples of memory.
LOOK_SECONDS = 0.25


class Memory:
    """The highest memory of this process and of each worker, sampled by a thread."""

    def __init__(self) -> None:
        self.app, self.workers = 0, dict[int, int]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop sampling."""
        self._over.set()
        self._thread.join()

    def _look_on(self) -> None:
        me = psutil.Process()
        while not self._over.wait(LOOK_SECONDS):
            self.app = max(self.app, me.memory_info().rss)
            for child in me.children(recursive=True):
                with suppress(psutil.Error):
                    self.workers[child.pid] = max(self.workers.get(child.pid, 0), child.memory_info().rss)


@click.command()
@click.option("--runs", default=200, show_default=True)
@click.option("--preset", default="whole", show_default=True, type=click.Choice(list(PRESETS)))
@click.option("--epochs", default=10, show_default=True)
def main(runs: int, preset: str, epochs: int) -> None:
    """Train networks of 8 units and more, each one unit wider than the one before."""
    base = PRESETS[preset].config
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(DATABASE_URL=f"sqlite:///{folder}/runs.db", xla_cache=Path(folder) / "xla")
        memory, taken, failed = Memory(), [], 0
        with Engine(settings) as engine:
            while engine.status() != "ready":
                time.sleep(0.1)
            for number in range(runs):
                started = time.perf_counter()
                run_id = engine.submit(base.model_copy(update={"units": 8 + number, "epochs": epochs}))
                failed += engine.wait(run_id, 120) is not State.FINISHED
                taken.append(time.perf_counter() - started)
                if number % 10 == 9:
                    click.echo(f"{number + 1:4} runs: the last ten took {sum(taken[-10:]):6.2f} s, "
                               f"app {memory.app / 1e6:.0f} MB, workers {max(memory.workers.values()) / 1e6:.0f} MB")
            names = {run.worker for run in engine.store.runs.newest(limit=runs)}
        memory.close()
    click.echo(f"{runs} runs, {failed} not finished; median {statistics.median(taken):.2f} s, "
               f"longest {max(taken):.2f} s; last ten to first ten {sum(taken[-10:]) / sum(taken[:10]):.2f}")
    click.echo(f"app at most {memory.app / 1e6:.0f} MB; worker processes {len(names)} by name, at most "
               f"{', '.join(f'{most / 1e6:.0f}' for most in memory.workers.values() if most > 3e8)} MB")
    click.echo(f"TensorFlow in the app's process: {'tensorflow' in sys.modules}")


if __name__ == "__main__":
    main()
