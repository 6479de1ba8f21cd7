"""A day's traffic in an hour: `python -m benchmarks.soak`. What grows, and is anything lost?

A real server of strangers, in which sessions are opened and closed by clients that speak the browser's protocol. Some
press Train and wait, stop their run or leave it alone; others follow links, move controls and look at the other pages.
Meanwhile workers are killed by SIGKILL, and the store goes away: PostgreSQL is stopped and started, and another
program locks a SQLite file. Memory, file handles and threads of each process are sampled all the while.

    python -m benchmarks.soak                                             an hour
    python -m benchmarks.soak --minutes 8 --sessions 130 --runs 40        a quick look
    python -m benchmarks.soak --database postgres                         with a PostgreSQL of its own

Prints a line for each sample, with the time left, and a verdict. The exit status is 1 if it is bad.
"""

import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import click
import psutil

from echo_core.config.presets import PRESETS
from echo_core.records import State
from echo_core.store import OUTAGES, RunRow, Store
from tests.helpers.page import address, small
from tests.helpers.postgres import postgres
from tests.helpers.server import Server, serve
from tests.helpers.visitor import Browser, Session

#: Seconds between two samples, and how many there are at least.
SAMPLE_SECONDS, LEAST_SAMPLES = 60.0, 32
#: Shares of the time: what is measured early and late, and until when something is broken.
EARLY, LATE, CALM = (0.25, 0.5), (0.75, 1.0), 0.8
#: The most that memory may have grown from early to late, and handles and threads beyond that share.
GROWTH, FEW = 1.1, 8
#: Minutes between two disturbances, and seconds that the store is away.
DISTURBED_MINUTES, AWAY_SECONDS = 4.0, 10.0
#: Seconds that a visitor looks at a page, at least and at most, and that the last runs may take.
LOOKS, PATIENCE = (2.0, 20.0), 600.0
#: Shares of those who press Train: they stop their run, or leave it alone.
STOP, LEAVE = 0.15, 0.25
PAGES = ("", "", "inside", "history", "studies", "findings")


@dataclass(frozen=True)
class Sample:
    """The processes and the store at one moment.

    Attributes:
        share: Of the time of the soak.
        app, workers: Bytes of memory that a process shares with no other.
        handles, threads: Of the app.
        worker_handles, worker_threads: The most of one worker.
    """

    share: float
    app: int
    workers: tuple[int, ...]
    handles: int
    threads: int
    worker_handles: int
    worker_threads: int
    store: int
    finished: int


@dataclass
class Asked:
    """A run that a visitor has asked for."""

    browser: Browser
    query: str
    is_stopped: bool = False


@dataclass
class Traffic:
    """What has happened so far."""

    asked: dict[str, Asked] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    open: int = 0


class Soak:
    """Visitors of one server, and what befalls it."""

    def __init__(self, server: Server, store: Store, minutes: float, sessions: int, runs: int, seed: int) -> None:
        self.server, self.store, self.seconds = server, store, 60 * minutes
        self.sessions, self.dice = sessions, random.Random(seed)
        self.trainers = set(self.dice.sample(range(sessions), runs))
        self.began = time.monotonic()
        self.traffic = Traffic()

    @property
    def share(self) -> float:
        """How much of the time is over."""
        return (time.monotonic() - self.began) / self.seconds

    async def run(self, outage: Callable[[], None] | None) -> None:
        """Let all visitors in and break things; then let those return whose runs wait for them."""
        async with asyncio.TaskGroup() as all_tasks:
            watching = [all_tasks.create_task(self._watch()), all_tasks.create_task(self._disturb(outage))]
            async with asyncio.TaskGroup() as visits:
                for number in range(self.sessions):
                    await asyncio.sleep(self.began + self.seconds * number / self.sessions - time.monotonic())
                    visits.create_task(self._visit(number))
            await asyncio.sleep(self.began + self.seconds - time.monotonic())
            self._sample()
            for each in watching:
                each.cancel()
        await asyncio.gather(*(self._return(run_id) for run_id in self.traffic.asked))

    # --- visitors ----------------------------------------------------------------------------------------------------

    async def _visit(self, number: int) -> None:
        self.traffic.open += 1
        self.traffic.counts["sessions"] += 1
        try:
            await (self._train(number) if number in self.trainers else self._look())
        except Exception as error:
            steps = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
                     if Path(frame.filename).name in ("soak.py", "visitor.py")]
            self.traffic.errors.append(f"{type(error).__name__} {error} in {' '.join(steps)}")
            click.echo(self.traffic.errors[-1])
        self.traffic.open -= 1

    async def _train(self, number: int) -> None:
        """Press Train, and wait for the end, stop the run or leave it."""
        dice, browser = self.dice, Browser(self.server.url)
        changes = {"seed": number, "units": dice.choice((8, 16, 24, 32, 48, 64)), "cell": dice.choice(("lstm", "gru")),
                   "epochs": dice.choice((600, 3000, 9000))}
        async with browser.open(small(**changes)[1:]) as page:
            while "run" not in (parsed := parse_qs(page.query)):
                await page.run(train=True)
                self.traffic.counts["presses of Train"] += 1
                await asyncio.sleep(0 if "run" in parse_qs(page.query) else 3)
            run_id = parsed["run"][0]
            mine = self.traffic.asked[run_id] = Asked(browser, page.query)
            choice = dice.random()
            if choice < STOP:
                await self._stay(page, dice.uniform(*LOOKS))
                if "stop" in page.widgets and (await self._row(run_id)).state.is_active:
                    await page.run(stop=True)
                    mine.is_stopped = True
            elif choice < STOP + LEAVE:
                await self._stay(page, 1.0)
            else:
                while self.share < 1 and (await self._row(run_id)).state.is_active:
                    await self._stay(page, 2.0)
                await self._stay(page, 2.0)
            self.traffic.errors += page.errors

    async def _look(self) -> None:
        """Follow a link or open another page, and move a control now and then."""
        dice, known = self.dice, list(self.traffic.asked)
        name, preset = dice.choice(PAGES), dice.choice(list(PRESETS))
        query = f"run={dice.choice(known)}" if known and dice.random() < 0.6 else address(preset)[1:]
        async with Browser(self.server.url).open(query if name in ("", "inside") else "", name) as page:
            for _ in range(dice.randint(1, 4)):
                await self._stay(page, dice.uniform(*LOOKS) / 4)
                if "units" in page.widgets:
                    await page.run(units=float(dice.randint(8, 200)))
            self.traffic.errors += page.errors

    async def _stay(self, page: Session, seconds: float) -> None:
        """Redraw what the page asks for, as often as it does."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            fragment, (interval, at) = min(page.timers.items(), key=lambda item: item[1][1],
                                           default=("", (0.0, float("inf"))))
            await asyncio.sleep(max(0.0, min(until, at) - time.monotonic()))
            if at <= time.monotonic():
                page.timers[fragment] = (interval, time.monotonic() + interval)
                await page.run(fragment_id=fragment, is_auto_rerun=True)

    async def _return(self, run_id: str) -> None:
        """Whoever left comes back and presses Go on, until the run has ended."""
        mine, until = self.traffic.asked[run_id], time.monotonic() + PATIENCE
        while (not mine.is_stopped and not (await self._row(run_id)).state.has_ended
               and time.monotonic() < until):
            if not (await self._row(run_id)).state.is_active:
                self.traffic.counts["runs that waited for their visitor"] += 1
                async with mine.browser.open(f"run={run_id}") as page:
                    await self._stay(page, 15.0)
                    if "go_on" in page.widgets and not (await self._row(run_id)).state.is_active:
                        await page.run(go_on=True)
                    await self._stay(page, 15.0)
            await asyncio.sleep(1)

    async def _row(self, run_id: str) -> RunRow:
        while True:
            with suppress(*OUTAGES):
                found = await asyncio.to_thread(self.store.runs.get, run_id)
                assert found is not None, f"run {run_id} is gone"
                return found
            await asyncio.sleep(1)

    # --- what befalls the server -------------------------------------------------------------------------------------

    async def _disturb(self, outage: Callable[[], None] | None) -> None:
        """Kill a worker and take the store away, by turns."""
        number = 0
        while True:
            await asyncio.sleep(min(60 * DISTURBED_MINUTES, self.seconds / 8))
            if self.share > CALM:
                return
            number += 1
            if number % 2 and (workers := self.server.workers()):
                self.dice.choice(workers).kill()
                self.traffic.counts["kills of a worker"] += 1
            elif outage is not None:
                await asyncio.to_thread(outage)
                self.traffic.counts["outages of the store"] += 1

    # --- measuring ---------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        click.echo(f"{'minute':>6} {'left':>5} {'open':>5} {'seen':>5} {'runs':>5} {'app MB':>7} {'workers MB':>14} "
                   f"{'handles':>8} {'threads':>8} {'of workers':>11} {'store MB':>9}")
        while True:
            await asyncio.sleep(min(SAMPLE_SECONDS, self.seconds / LEAST_SAMPLES))
            await asyncio.to_thread(self._sample)

    def _sample(self) -> None:
        with suppress(psutil.Error, *OUTAGES):  # a worker has just been killed, or the store is away
            tally = self.store.upkeep.tally()
            workers = self.server.workers()
            app = self.server.process
            now = Sample(
                self.share, own_bytes(app), tuple(sorted(map(own_bytes, workers))), app.num_fds(), app.num_threads(),
                max((each.num_fds() for each in workers), default=0),
                max((each.num_threads() for each in workers), default=0), tally.bytes,
                tally.runs.get(State.FINISHED, 0))
            self.traffic.samples.append(now)
            minutes, left = self.seconds * self.share / 60, max(0.0, self.seconds * (1 - self.share) / 60)
            each = " ".join(f"{size / 1e6:.0f}" for size in now.workers)
            click.echo(f"{minutes:6.1f} {left:5.1f} {self.traffic.open:5} {self.traffic.counts['sessions']:5} "
                       f"{now.finished:5} {now.app / 1e6:7.1f} {each:>14} {now.handles:8} {now.threads:8} "
                       f"{now.worker_handles:5}/{now.worker_threads:<5} {now.store / 1e6:9.1f}")


def own_bytes(process: psutil.Process) -> int:
    """Bytes of memory that a process shares with no other."""
    return int(process.memory_full_info().uss)


def verdict(samples: list[Sample], lost: list[str], errors: list[str]) -> list[tuple[bool, str]]:
    """A line for each thing that must hold, and whether it does."""
    def line(name: str, of: Callable[[Sample], float], more: float = 0, unit: float = 1,
             sum_up: Callable[[list[float]], float] = statistics.median) -> tuple[bool, str]:
        early, late = (sum_up([of(each) for each in samples if low <= each.share <= high] or [float("nan")])
                       for low, high in (EARLY, LATE))
        words = f"{early / unit:.1f} early, {late / unit:.1f} late, ratio {late / early:.3f}"
        return late <= GROWTH * early + more, f"{name}: {words}"

    return [
        line("memory of the app, MB", lambda each: each.app, unit=1e6),
        # A worker grows until it is replaced, so only its peaks can be compared.
        line("most memory of a worker, MB", lambda each: max(each.workers, default=0), unit=1e6, sum_up=max),
        line("file handles of the app", lambda each: each.handles, FEW),
        line("threads of the app", lambda each: each.threads, FEW),
        line("most file handles of a worker", lambda each: each.worker_handles, FEW, sum_up=max),
        line("most threads of a worker", lambda each: each.worker_threads, FEW, sum_up=max),
        (not lost, f"lost runs: {len(lost)} {'; '.join(lost[:5])}"),
        (not errors, f"errors that visitors met: {len(errors)} {'; '.join(sorted(set(errors))[:5])}"),
    ]


def lock(store: Store) -> None:
    """Another program locks the file of a SQLite store for a while."""
    with closing(sqlite3.connect(str(store.database.url.database), isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(AWAY_SECONDS)


@contextmanager
def database(name: str, folder: Path) -> Iterator[tuple[str, Callable[[Store], None] | None]]:
    """The URL of a store, and how to take it away for a while."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'runs.db'}", lock
    elif name == "postgres":
        with postgres() as server, server.database() as url:
            def stop(_: Store) -> None:
                server.stop()
                time.sleep(AWAY_SECONDS)
                server.start()
            yield url, stop
    else:
        yield name, None


@click.command()
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--sessions", default=1000, show_default=True)
@click.option("--runs", default=300, show_default=True, help="Sessions that press Train.")
@click.option("--database", "where", default="sqlite", show_default=True,
              help="sqlite, postgres, or a URL, whose store is not taken away.")
@click.option("--seed", default=0, show_default=True)
def main(minutes: float, sessions: int, runs: int, where: str, seed: int) -> None:
    """Open and close sessions, train runs, break things, and say what has grown or is lost."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, away = stack.enter_context(database(where, folder))
        server = stack.enter_context(serve(folder, DATABASE_URL=url, ECHO_HOSTED="true",
                                           ECHO_XLA_CACHE=str(folder / "xla")))
        store = stack.enter_context(closing(Store(url)))
        soak = Soak(server, store, minutes, sessions, runs, seed)
        asyncio.run(soak.run((lambda: away(store)) if away else None))
        traffic = soak.traffic
        rows = store.runs.of(traffic.asked)
        lost = [f"{run_id} {rows[run_id].state} {rows[run_id].reason or ''}" if run_id in rows else f"{run_id} gone"
                for run_id, mine in traffic.asked.items()
                if not mine.is_stopped and (run_id not in rows or rows[run_id].state is not State.FINISHED)]
        states = Counter(str(row.state) for row in rows.values())
        workers = len({row.worker for row in rows.values()})
        trouble = Counter(line[24:100] for line in server.trouble())
    click.echo(f"\n{traffic.counts['sessions']} sessions, {len(traffic.asked)} runs ({dict(states)}) on {workers} "
               f"workers, {sum(row.restarts for row in rows.values())} restarts; "
               + ", ".join(f"{number} {what}" for what, number in traffic.counts.items() if what != "sessions"))
    for words, number in trouble.most_common(8):
        click.echo(f"log, {number} times: {words}")
    judged = verdict(traffic.samples, lost, traffic.errors)
    for holds, words in judged:
        click.echo(f"{'met    ' if holds else 'NOT MET'} {words}")
    sys.exit(not all(holds for holds, _ in judged))


if __name__ == "__main__":
    main()
