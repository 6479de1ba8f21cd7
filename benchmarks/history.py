"""A store with ten thousand runs: `python -m benchmarks.history`. Real databases, a real server, a real browser.

Fills a new store of each kind. Prints the times of the History page and of the Train page, the latter beside those
with an empty store, and the times of the keeper thread's upkeep.
"""

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import Engine, Table, create_engine, insert, make_url, text

from benchmarks.page import CHROMIUM, FINISHED, REST, TRAINED, WARMING, Report, until
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.records import State
from echo_core.store import EVERYBODY, Store
from echo_core.store.schema import CHECKPOINTS, MARKS, MOMENTS, PROGRESS, RUNS, SNAPSHOTS
from tests.helpers.page import QUIET, address, press, settled
from tests.helpers.postgres import postgres
from tests.helpers.server import serve

RUNS_IN_ALL = 10_000
#: For each run: its records, its snapshots among them, and the bytes of its weights; and the share of named runs.
RECORDS, SNAPSHOTS_EACH, CHECKPOINT_BYTES, NAMED = 60, 40, 8_000, 20
POINTS_A_RECORD = 8
MEMORIES = ("too few bits", "many units", "a long sequence", "no reset at all")
BATCH = 250
VISITS = 5
#: The seed of runs that the benchmark trains. No run of the store has it.
OWN_SEED = 500_000
LISTED = ("() => document.querySelector('.st-key-runs_pages')"
          " && document.querySelector('.st-key-runs_table canvas')"
          " && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'")
#: The list is drawn on a canvas, with its text beside it for screen readers.
SHOWN = ("() => ['.st-key-runs_table', '.st-key-runs_pages', '.st-key-runs_actions'].map("
         "part => document.querySelector(part)?.textContent).join()")
SORTS = ("Windows right", "Loss", "Numbers right", "Seconds", "Epochs", "State", "Name", "Variant", "When")


def fill(url: str, runs: int = RUNS_IN_ALL) -> None:
    """Fill an empty store with varied runs, as training leaves them."""
    Store(url).close()
    engine = create_engine(make_url(url.replace("postgresql://", "postgresql+psycopg://")))
    shapes = _Shapes(random.Random(4))
    with engine.begin() as connection:
        for begin in range(0, runs, BATCH):
            many = [shapes.run(number) for number in range(begin, min(begin + BATCH, runs))]
            for table in (RUNS, PROGRESS, SNAPSHOTS, CHECKPOINTS, MOMENTS, MARKS):
                rows = [row for one in many for row in one.get(table, ())]
                if rows:
                    _insert(connection, table, rows)
    _settle(engine)
    engine.dispose()


def _insert(connection: Any, table: Table, rows: list[dict[str, Any]]) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(insert(table), rows)
        return
    with connection.connection.cursor().copy(
            f"COPY {table.name} ({', '.join(rows[0])}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(list(row.values()))


def _settle(engine: Engine) -> None:
    """Analyse the tables, as PostgreSQL does by itself after a while."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


class _Shapes:
    """Runs that look like trained ones, drawn at random."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._presets = [preset.config for preset in PRESETS.values()]
        self._blob = chance.randbytes(2 * CHECKPOINT_BYTES)
        self._now = time.time()

    def run(self, number: int) -> dict[Table, list[dict[str, Any]]]:
        chance = self._chance
        config = self._presets[number % len(self._presets)].model_copy(
            update={"seed": number + 1000, "epochs": chance.choice((500, 800, 2000, 5000))})
        state = chance.choices((State.FINISHED, State.PAUSED, State.FAILED, State.INTERRUPTED), (85, 9, 3, 3))[0]
        reached = config.epochs if state is State.FINISHED else chance.randrange(1, config.epochs)
        run_id = config.run_id
        losses = [4.6 * 0.93 ** place * chance.uniform(0.9, 1.1) for place in range(RECORDS)]
        epochs = [round(reached * place / (RECORDS - 1)) for place in range(RECORDS)]
        epochs = sorted(set(epochs))
        progress = [self._record(run_id, epoch, losses[place]) for place, epoch in enumerate(epochs)]
        snapshots = [{"run_id": run_id, "epoch": epoch, "predicted": self._bytes(config, place),
                      "confidence": self._bytes(config, place + 7)}
                     for place, epoch in enumerate(epochs[:SNAPSHOTS_EACH])]
        size = sum(len(str(row["points"])) for row in progress) + 336 * len(snapshots)
        row = self._row(config, state, reached, losses[len(epochs) - 1], number)
        weights = {"run_id": run_id, "epoch": reached, "data": self._blob[:CHECKPOINT_BYTES]}
        found = {RUNS: [{**row, "size": size}], PROGRESS: progress, SNAPSHOTS: snapshots, CHECKPOINTS: [weights]}
        if state is State.FINISHED:
            found[MOMENTS] = [{**weights, "data": self._blob}]
        if number % NAMED == 0:
            name = f"Try {number} of {chance.choice(MEMORIES)}"
            found[MARKS] = [{"run_id": run_id, "visitor": EVERYBODY, "name": name, "hidden": False}]
        return found

    def _row(self, config: RunConfig, state: State, reached: int, loss: float, number: int) -> dict[str, Any]:
        tokens = self._chance.random()
        judged = state in (State.FINISHED, State.PAUSED)
        evaluation = {"token_accuracy": tokens, "window_accuracy": tokens ** 2, "windows": 2016,
                      "by_timestep": [tokens] * config.output_length, "judged_on": "unseen"}
        began = self._now - 60 * (RUNS_IN_ALL + 100 - number)
        return {"run_id": config.run_id, "config": config.model_dump_json(),
                "training_version": config.training_version, "state": str(state), "attempt": 1,
                "session": f"visitor {number % 40}", "urgent": False,
                "created_at": began, "queued_at": began, "started_at": began + 1, "ended_at": began + 5,
                "heartbeat_at": began + 5, "stop_requested": False, "reason": None, "epoch": reached,
                "seconds": self._chance.uniform(0.3, 9), "threads": 2, "worker": "a worker", "restarts": 0,
                "fruitless": 0, "furthest": 0, "fingerprint": None,
                "evaluation": json.dumps(evaluation) if judged else None, "family": config.family,
                "variant": config.variant, "task": config.task, "loss": loss,
                "token_accuracy": tokens if judged else None, "window_accuracy": tokens ** 2 if judged else None}

    def _record(self, run_id: str, epoch: int, loss: float) -> dict[str, Any]:
        points = ", ".join(f"[{epoch - place}, {loss:.6f}, 0.5]" for place in reversed(range(POINTS_A_RECORD)))
        return {"run_id": run_id, "epoch": epoch, "loss": loss, "accuracy": 0.5, "seconds": epoch / 800,
                "points": f"[{points}]"}

    def _bytes(self, config: RunConfig, place: int) -> bytes:
        length = 4 * min(config.num_windows, 21) * config.output_length
        return self._blob[place:place + length]


@contextmanager
def stores(folder: Path) -> Iterator[dict[str, str]]:
    """For each kind of store, the URLs of two empty ones: one stays empty, one will be filled."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        urls = {}
        for kind in ("empty", "full"):
            urls[f"SQLite, {kind}"] = f"sqlite:///{folder / kind}.db"
            urls[f"PostgreSQL, {kind}"] = stack.enter_context(server.database())
        yield urls


def keeping(url: str, report: Report) -> None:
    """Time the keeper thread's upkeep every half minute, with and without a limit that is exceeded."""
    with closing(Store(url)) as store:
        upkeep = store.upkeep
        held = upkeep.size()
        acts: tuple[tuple[str, Callable[[], object]], ...] = (
            ("size", upkeep.size), ("purge", upkeep.purge), ("evict, nothing to do", lambda: upkeep.evict(held)),
            ("evict 1 MB", lambda: upkeep.evict(upkeep.size() - 2**20)), ("sweep", lambda: upkeep.sweep(300.0)))
        for name, act in acts:
            for _ in range(VISITS):
                report(f"store: {name}", _seconds(act))


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def browse(browser: Browser, url: str, report: Report) -> None:
    """Time the History page of a filled store for a visitor who looks for a run."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    for _ in range(VISITS):
        started = time.perf_counter()
        page.goto(f"{url}/history")
        report("History by its address", until(page, LISTED, started))
        page.get_by_role("link", name="Train").click()
        page.wait_for_selector(".st-key-train button")
        link = page.get_by_role("link", name="History")
        report("History by its link", _rerun(page, link.click))
        report("next page", _rerun(page, lambda: page.click(".st-key-runs_on button")))
        report("tick a run", _rerun(page, lambda: _tick(page)))
        report("pick none", _rerun(page, lambda: page.click(".st-key-runs_none button")))
        report("search for a name", _rerun(page, lambda: _search(page, MEMORIES[0])))
        report("search for a preset", _rerun(page, lambda: _search(page, "quick")))
        report("search for a setting", _rerun(page, lambda: _search(page, "64 units")))
        report("search for nothing", _rerun(page, lambda: _search(page, "")))
    for name in SORTS:
        page.locator(".st-key-runs_sort input").click()
        report(f"sort by {name}", _rerun(page, page.get_by_role("option", name=name, exact=True).click))
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("combobox", name="State").click()
    report("filter by State", _rerun(page, page.get_by_role("option", name="finished").click))
    page.context.close()


def _tick(page: Page) -> None:
    box = page.locator(".st-key-runs_table canvas").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 14, box["y"] + 52)


def _search(page: Page, words: str) -> None:
    page.locator(".st-key-runs_text input").fill(words)
    page.locator(".st-key-runs_text input").press("Enter")


def _rerun(page: Page, act: Callable[[], object]) -> float:
    """Seconds from an action until the list has changed and the script has ended."""
    settled(page)
    page.wait_for_timeout(REST / 3)
    page.evaluate(f"() => {{ window.before = ({SHOWN})(); }}")
    act()
    started = time.perf_counter()
    return until(page, f"() => ({LISTED})() && ({SHOWN})() !== window.before", started)


def train(browser: Browser, url: str, report: Report) -> None:
    """Time the Train page, which should not depend on the number of runs."""
    for visit in range(VISITS):
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        started = time.perf_counter()
        page.goto(f"{url}/{address('quick', seed=OWN_SEED + visit)}")
        page.wait_for_selector(".st-key-train button")
        report("Train page painted", time.perf_counter() - started)
        settled(page)
        report("Train page settled", time.perf_counter() - started)
        page.wait_for_timeout(WARMING if visit == 0 else REST)
        pressed = press(page, "train")
        report("Train to first trained point", until(page, TRAINED, pressed))
        until(page, FINISHED, pressed)
        page.context.close()


def measure(browser: Browser, url: str, kind: str, folder: Path) -> Iterable[tuple[str, list[float]]]:
    """All figures of one store."""
    figures: dict[str, list[float]] = {}

    def report(name: str, seconds: float) -> None:
        figures.setdefault(f"{kind}: {name}", []).append(seconds)

    if "full" in kind:
        report("filled", _seconds(lambda: fill(url)))
        keeping(url, report)
    with serve(folder, DATABASE_URL=url, ECHO_XLA_CACHE=str(folder / "xla"), ECHO_STORE_MB="20000") as server:
        train(browser, server.url, report)
        if "full" in kind:
            browse(browser, server.url, report)
        for line in server.trouble():
            print("log:", line)
    return figures.items()


def main() -> None:
    """Measure and print the medians and the worst."""
    print(f"{RUNS_IN_ALL:,} runs; seconds")
    print(f"{'':56} {'median':>8} {'worst':>8}")
    with tempfile.TemporaryDirectory() as place, stores(Path(place)) as urls, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        for kind, url in urls.items():
            for name, values in measure(browser, url, kind, Path(place)):
                print(f"{name:56} {statistics.median(values):8.3f} {max(values):8.3f}", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
