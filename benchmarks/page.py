"""How long a visitor waits: `python -m benchmarks.page`. A real server, real workers, a real browser.

Prints a table: the page painted after the server answers, the points of epoch 0 and of the first
trained epoch after Train (of a network that this worker has compiled, that another process has, and that none
has), the acknowledged and the effective Stop, and the app's memory after ten runs.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.helpers.page import QUIET, address, press
from tests.helpers.server import Server, loads_tensorflow, serve

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: Milliseconds until a page is idle before it is measured, and until a worker has warmed up.
REST, WARMING = 1500, 25_000
#: Units that no preset has.
UNUSUAL = (77, 78, 79, 83, 85)
EPOCH_0 = "() => /Epoch \\d/.test(document.querySelector('.st-key-windows')?.innerText ?? '')"
TRAINED = "() => /Epoch [1-9]/.test(document.querySelector('.st-key-windows')?.innerText ?? '')"
FINISHED = "() => /Finished/.test(document.querySelector('.st-key-progress')?.innerText ?? '')"
ALL_RIGHT = ("() => { const text = document.querySelector('.st-key-windows')?.innerText ?? '';"
             " return text.includes('✓') && !text.includes('✗'); }")
SAID = "() => /Stopping|Paused/.test(document.querySelector('.st-key-progress')?.innerText ?? '')"
STOPPED = "() => /Paused/.test(document.querySelector('.st-key-progress')?.innerText ?? '')"


def until(page: Page, what: str, started: float) -> float:
    """Seconds from `started` until the page shows it."""
    page.wait_for_function(what, polling=20, timeout=120_000)
    return time.perf_counter() - started


def _first_points(page: Page, report: Callable[[str, float], None], name: str) -> None:
    page.wait_for_timeout(REST)
    pressed = press(page, "train")
    report(f"Train to epoch 0, {name}", until(page, EPOCH_0, pressed))
    report(f"Train to first trained point, {name}", until(page, TRAINED, pressed))


Report = Callable[[str, float], None]


@contextmanager
def fresh_server(browser: Browser, programs: Path) -> Iterator[tuple[Server, Any]]:
    """Start a server with its own store and these compiled programs; yields it and a function that opens a page."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder), ECHO_XLA_CACHE=str(programs)) as server:
        @contextmanager
        def visit(query: str = "") -> Iterator[Any]:
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page, started = context.new_page(), time.perf_counter()
            page.goto(server.url + "/" + query)
            page.wait_for_selector(".st-key-train button")
            page.painted = time.perf_counter() - started  # type: ignore[attr-defined]
            yield page
            context.close()

        yield server, visit
        if server.trouble():
            print("log:", *server.log.read_text().splitlines()[-80:], sep="\n    ")


def measure(browser: Browser, report: Report, programs: Path) -> None:
    """Measure one new server, and then a second one that finds the first one's compiled programs."""
    with fresh_server(browser, programs) as (server, visit):
        with visit() as page:
            report("page painted, first visit", page.painted)
            page.wait_for_timeout(WARMING)
        for seed in range(5):
            with visit(address("partial", seed=seed)) as page:
                report("page painted, later visit", page.painted)
                _first_points(page, report, "compiled")
                pressed = press(page, "stop")
                report("Stop said", until(page, SAID, pressed))
                report("Stop done", until(page, STOPPED, pressed))
        for seed in range(3):
            with visit(address("quick", seed=seed)) as page:
                page.wait_for_timeout(REST)
                pressed = press(page, "train")
                report("Train to all ✓, quick", until(page, ALL_RIGHT, pressed))
                report("Train to finished, quick", until(page, FINISHED, pressed))
        _unusual(visit, report, "never compiled")
        for seed in range(10):
            with visit(address("whole", seed=seed, epochs=100)) as page:
                until(page, FINISHED, press(page, "train"))
        report("app's memory after ten more runs, MB", server.process.memory_info().rss / 1e6)
        report("TensorFlow in the app's process (1 is yes)", float(loads_tensorflow(server.process)))
    with fresh_server(browser, programs) as (_, visit):
        with visit() as page:
            page.wait_for_timeout(WARMING)
        _unusual(visit, report, "in the cache")


def _unusual(visit: Any, report: Report, name: str) -> None:
    for units in UNUSUAL:
        with visit(address("partial", units=units)) as page:
            _first_points(page, report, name)
            until(page, STOPPED, press(page, "stop"))


def main() -> None:
    """Measure and print the medians and the worst."""
    figures: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        with tempfile.TemporaryDirectory() as programs:
            measure(browser, lambda name, value: figures.setdefault(name, []).append(value), Path(programs))
        browser.close()
    print(f"{'':48} {'median':>8} {'worst':>8}")
    for name, values in figures.items():
        print(f"{name:48} {statistics.median(values):8.2f} {max(values):8.2f}")


if __name__ == "__main__":
    main()
