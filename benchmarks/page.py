"""How long a visitor waits: `python -m benchmarks.page`. A real server, real workers, a real browser.

Prints a table: the page painted after the server answers, the points of epoch 0 and of the first
trained epoch after Train, Stop said and done, and the app's memory after ten runs.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.server import loads_tensorflow, serve
from echo_core.config import PRESETS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]
#: Milliseconds for a page to come to rest before it is measured.
REST = 1500
EPOCH_0 = "() => /Epoch \\d/.test(document.querySelector('.st-key-windows')?.innerText ?? '')"
TRAINED = "() => /Epoch [1-9]/.test(document.querySelector('.st-key-windows')?.innerText ?? '')"
FINISHED = "() => /Finished/.test(document.querySelector('.st-key-progress')?.innerText ?? '')"
ALL_RIGHT = ("() => { const text = document.querySelector('.st-key-windows')?.innerText ?? '';"
             " return text.includes('✓') && !text.includes('✗'); }")
SAID = "() => /Stopping|Paused/.test(document.querySelector('.st-key-progress')?.innerText ?? '')"
STOPPED = "() => /Paused/.test(document.querySelector('.st-key-progress')?.innerText ?? '')"


def address(preset: str, **changes: object) -> str:
    """The query string of a preset with some fields changed."""
    return "?" + urlencode(PRESETS[preset].config.model_copy(update=changes).to_query())


def until(page: Page, what: str, started: float) -> float:
    """Seconds from `started` until the page shows it."""
    page.wait_for_function(what, polling=20, timeout=120_000)
    return time.perf_counter() - started


def press(page: Page, key: str) -> float:
    """Press a button by its widget's key; the time at which that was done."""
    page.click(f".st-key-{key} button")
    return time.perf_counter()


def settled(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")


def _first_points(page: Page, report: Callable[[str, float], None], name: str) -> None:
    page.wait_for_timeout(REST)
    pressed = press(page, "train")
    report(f"Train to epoch 0, {name}", until(page, EPOCH_0, pressed))
    report(f"Train to first trained point, {name}", until(page, TRAINED, pressed))


def measure(browser: Browser, report: Callable[[str, float], None], cold: bool) -> None:
    """All of it against one fresh server."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"ECHO_XLA_CACHE": f"{folder}/xla"} if cold else {}
        with serve(Path(folder), **settings) as server:
            @contextmanager
            def visit(query: str = "") -> Any:
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                page, started = context.new_page(), time.perf_counter()
                page.goto(server.url + "/" + query)
                page.wait_for_selector(".st-key-train button")
                page.painted = time.perf_counter() - started  # type: ignore[attr-defined]
                yield page
                context.close()

            with visit() as page:
                report("page painted, first visit", page.painted)
            _until_warm(visit)
            for seed in range(3):
                with visit(address("partial", seed=seed)) as page:
                    report("page painted, later visit", page.painted)
                    _first_points(page, report, "partial")
                    pressed = press(page, "stop")
                    report("Stop said", until(page, SAID, pressed))
                    report("Stop done", until(page, STOPPED, pressed))
            for seed in range(3):
                with visit(address("quick", seed=seed)) as page:
                    page.wait_for_timeout(REST)
                    pressed = press(page, "train")
                    report("Train to all ✓, quick", until(page, ALL_RIGHT, pressed))
                    report("Train to finished, quick", until(page, FINISHED, pressed))
            with visit(address("partial", units=77)) as page:
                _first_points(page, report, "never compiled")
                press(page, "stop")
            for seed in range(10):
                with visit(address("whole", seed=seed, epochs=100)) as page:
                    until(page, FINISHED, press(page, "train"))
            report("app's memory after ten more runs, MB", server.process.memory_info().rss / 1e6)
            report("TensorFlow in the app's process (1 is yes)", float(loads_tensorflow(server.process)))
            for line in server.trouble():
                print("log:", line)


def _until_warm(visit: Any) -> None:
    """Wait until the workers have warmed up: a small run finishes, then some rest."""
    with visit(address("whole", seed=999, epochs=20)) as page:
        until(page, FINISHED, press(page, "train"))
        page.wait_for_timeout(8000)


def main() -> None:
    """Measure and print the medians and the worst."""
    figures: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        measure(browser, lambda name, value: figures.setdefault(name, []).append(value), cold="--cold" in sys.argv)
        browser.close()
    print(f"{'':48} {'median':>8} {'worst':>8}")
    for name, values in figures.items():
        print(f"{name:48} {statistics.median(values):8.2f} {max(values):8.2f}")


if __name__ == "__main__":
    main()
