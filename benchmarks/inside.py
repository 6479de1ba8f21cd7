"""How long the Inside page takes beside an empty rerun: `python -m benchmarks.inside`. A real server and browser.

Prints medians of ten in milliseconds, for preset `quick` and for 512 units and 50 timesteps, with random weights: an
empty rerun of the page, an answer after a key, and each view when it is opened.
"""

import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.page import CHROMIUM
from echo_app.pages.inside import VIEWS
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.store import Store
from tests.helpers.page import QUIET, settled
from tests.helpers.server import serve
from tests.helpers.stored import add_finished

ROUNDS = 10
LARGE = RunConfig(variant="attention", units=512, sequence_length=99, input_length=50, output_length=50,
                  sequences_per_epoch=1, batch_size=10, epochs=100)
_STATE = "() => document.querySelector('[data-testid=stApp]').dataset.testScriptState"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        with closing(Store(f"sqlite:///{folder}/runs.db")) as store:
            runs = {"quick": add_finished(store, PRESETS["quick"].config), "512 × 50": add_finished(store, LARGE)}
        with serve(Path(folder)) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            for name, run in runs.items():
                page.goto(f"{server.url}/inside?run={run.run_id}")
                page.wait_for_selector(".echo-answer", timeout=60_000)
                settled(page)
                for what, seconds in _times(page).items():
                    print(f"{name:10} {what:28} {1000 * seconds:7.0f} ms")
            print(f"the app's memory: {server.process.memory_info().rss / 1e6:.0f} MB")
            browser.close()


def _times(page: Page) -> dict[str, float]:
    found = {"empty rerun": [_empty(page) for _ in range(ROUNDS)], "answer": [_answer(page) for _ in range(ROUNDS)]}
    for view in VIEWS:
        found[f"{view}, first"] = [_view(page, view)]
        found[view] = [_view(page, view) for _ in range(ROUNDS)]
    return {what: statistics.median(times) for what, times in found.items()}


def _empty(page: Page) -> float:
    page.locator("body").click(position={"x": 5, "y": 500})
    started = time.perf_counter()
    page.keyboard.press("r")
    page.wait_for_function(f"{_STATE} === 'running' || true")
    page.wait_for_timeout(10)
    settled(page)
    return time.perf_counter() - started - 0.01


def _answer(page: Page) -> float:
    box = page.locator(".st-key-asked input")
    before = page.locator(".echo-answer").inner_html()
    words = box.input_value().split()
    words[0] = str((int(words[0]) + 1) % 90)
    box.evaluate("(box, text) => { box.focus(); box.select(); document.execCommand('insertText', false, text) }",
                 " ".join(words))
    started = time.perf_counter()
    page.wait_for_function("before => document.querySelector('.echo-answer').innerHTML !== before", arg=before,
                           polling="raf")
    seconds = time.perf_counter() - started
    settled(page)
    return seconds


def _view(page: Page, view: str) -> float:
    """Seconds from a press of a tab to the end of the script; another tab is opened first."""
    tabs = page.locator(".st-key-inside [role=tab]")
    other = next(name for name in VIEWS if name != view)
    if tabs.get_by_text(view, exact=True).count() == 0:
        raise SystemExit(f"there is no tab {view}")
    tabs.get_by_text(other, exact=True).click()
    page.wait_for_timeout(1500)
    settled(page)
    started = time.perf_counter()
    tabs.get_by_text(view, exact=True).click()
    page.wait_for_timeout(20)
    settled(page)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
