"""How quick are pages beside a study of 200 runs? `python -m benchmarks.beside_study`.

A real server, real workers, a real browser. Reruns of the Train, History and Studies pages are timed before the study
begins and while it trains. In its midst a visitor presses Train, and the runs that began between that moment
and the start of theirs are counted.
"""

import re
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click
from playwright.sync_api import Browser, Page, expect, sync_playwright
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.page import CHROMIUM, WARMING
from echo_core.records import State
from echo_core.store import Store
from tests.helpers.page import QUIET, press, settled, small
from tests.helpers.server import serve
from tests.helpers.waiting import PATIENCE

#: Reruns of each page.
TIMES = 30
#: Of the base of the study: a run trains for about a second.
EPOCHS = 3000
#: A page's link, and a box of it in which a new text makes the page run again.
BOXES = {"Train": ".st-key-units input", "History": ".st-key-runs_text input", "Studies": ".st-key-study_seeds input"}


class Reruns:
    """The moments at which the server said to a page that its script has ended."""

    def __init__(self, page: Page) -> None:
        self._ended: list[float] = []
        page.on("websocket", lambda socket: socket.on("framereceived", self._note))

    def _note(self, payload: str | bytes) -> None:
        if isinstance(payload, bytes) and ForwardMsg.FromString(payload).WhichOneof("type") == "script_finished":
            self._ended.append(time.perf_counter())

    def seconds(self, page: Page, began: float) -> float:
        """Seconds from a moment to the next end of a script."""
        while not (ended := [moment for moment in self._ended if moment > began]):
            if time.perf_counter() - began > PATIENCE:
                raise TimeoutError(f"the script of {page.url} did not run again")
            page.wait_for_timeout(2)  # which lets frames arrive
        return ended[0] - began


def rerun_milliseconds(page: Page, reruns: Reruns, name: str) -> float:
    """The median time of a page's reruns, from Enter in one of its boxes to the end of its script."""
    page.get_by_role("link", name=name).click()
    box, taken = page.locator(BOXES[name]), list[float]()
    expect(box).to_be_visible()
    settled(page)
    for number in range(TIMES):
        page.wait_for_timeout(300)
        box.fill(str(20 + number))
        began = time.perf_counter()
        box.press("Enter")
        taken.append(1000 * reruns.seconds(page, began))
    return statistics.median(taken)


def begin_study(page: Page) -> None:
    """Two settings with 100 seeds each."""
    page.get_by_role("link", name="Studies").click()
    page.locator(".st-key-study_base input").click()
    page.get_by_role("option", name=re.compile("^Train page")).click()
    settled(page)
    for key, text in (("values_1", "16, 24"), ("seeds", "100")):
        page.locator(f".st-key-study_{key} input").fill(text)
        page.locator(f".st-key-study_{key} input").press("Enter")
    expect(page.get_by_text("200 runs: 2 settings × 100 seeds")).to_be_visible()
    press(page, "study_start")
    expect(page.locator(".st-key-study_pause button")).to_be_visible()


def started_before(store: Store, browser: Browser, url: str) -> int:
    """The runs of the study that begin after a visitor has pressed Train and before theirs does."""
    page = browser.new_page()
    page.goto(url + small(seed=7, epochs=300))
    page.wait_for_selector(".st-key-train button")
    settled(page)
    pressed = time.time()
    press(page, "train")
    expect(page.locator(".st-key-progress")).to_contain_text("Finished", timeout=120_000)
    run_id = page.url.split("run=")[1].split("&")[0]
    page.close()
    runs = store.runs.newest(limit=500)
    [theirs] = [run.started_at or 0 for run in runs if run.run_id == run_id]
    return sum(pressed < (run.started_at or 0) < theirs for run in runs)


@click.command()
def main() -> None:
    """Measure and print a row for each page."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server, sync_playwright() as playwright, \
            closing(Store(f"sqlite:///{folder}/runs.db")) as store:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page, other = browser.new_page(), browser.new_page()
        reruns = Reruns(page)
        for each in (page, other):
            each.goto(server.url + "/" + small(epochs=EPOCHS))
            each.wait_for_selector(".st-key-train button")
        page.wait_for_timeout(WARMING)
        before = {name: rerun_milliseconds(page, reruns, name) for name in BOXES}
        begin_study(other)
        other.close()
        beside = {name: rerun_milliseconds(page, reruns, name) for name in BOXES}
        count = started_before(store, browser, server.url + "/")
        ended = sum(run.state is State.FINISHED for run in store.runs.newest(limit=500))
        browser.close()
        trouble = server.trouble()
    for name in BOXES:
        click.echo(f"{name:8} rerun {before[name]:6.0f} ms, beside the study {beside[name]:6.0f} ms: "
                   f"{beside[name] / before[name]:.2f}")
    click.echo(f"runs that began between a visitor's press and theirs: {count}; runs ended by then: {ended} of 201")
    click.echo(f"trouble in the server's log: {trouble or 'none'}")


if __name__ == "__main__":
    main()
