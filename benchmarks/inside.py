"""How long the Inside page takes beside an empty rerun: `python -m benchmarks.inside`. A real server and browser.

For preset `quick`, and for 512 units and 50 timesteps with random weights, prints milliseconds and what they are above
an empty rerun of the page in the same session: an answer after a key, each view when it is opened for the first time,
and the median of ten openings. Last come the runs of the whole page while a visitor types, steps and plays.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.page import CHROMIUM
from echo_app.pages.inside import VIEWS
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.store import Store
from tests.helpers.page import QUIET
from tests.helpers.server import serve
from tests.helpers.stored import add_finished

ROUNDS = 10
LARGE = RunConfig(variant="attention", units=512, sequence_length=99, input_length=50, output_length=50,
                  sequences_per_epoch=1, batch_size=10, epochs=100)
#: Milliseconds without a change of the page after which it is drawn, and until it must be.
QUIET_FOR, PATIENCE = 500, 120_000
#: Remembers when the page changed last, also inside of components.
_WATCH = """() => {
    const changed = () => { window.changedAt = performance.now(); };
    const watch = (root) => new MutationObserver((changes) => {
        changed();
        for (const { addedNodes } of changes) for (const node of addedNodes) enter(node);
    }).observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
    const enter = (node) => {
        if (node.shadowRoot && !node.isWatched) { node.isWatched = true; watch(node.shadowRoot); }
        for (const child of node.children ?? []) enter(child);
    };
    changed();
    watch(document.body);
    enter(document.body);
}"""
_DRAWN = f"""() => performance.now() - window.changedAt > {QUIET_FOR} && !document.querySelector('[data-stale=true]')
    && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"""


class Time(NamedTuple):
    """A time in seconds, and the number of measurements whose median it is."""

    what: str
    seconds: float
    of: int = 1


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        with closing(Store(f"sqlite:///{folder}/runs.db")) as store:
            runs = {"quick": add_finished(store, PRESETS["quick"].config), "512 × 50": add_finished(store, LARGE)}
        with serve(Path(folder)) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            for name, run in runs.items():
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                whole_runs = _count_whole_runs(page)
                page.goto(f"{server.url}/inside?run={run.run_id}")
                page.wait_for_selector(".echo-answer", timeout=PATIENCE)
                page.evaluate(_WATCH)
                _until_drawn(page)
                _print(name, _times(page))
                before = len(whole_runs)
                assert before > ROUNDS, "an empty rerun must count as a run of the whole page"
                _use(page)
                print(f"{name:10} runs of the whole page while typing, stepping and playing: "
                      f"{len(whole_runs) - before}\n", flush=True)
                page.close()
            print(f"the app's memory: {server.process.memory_info().rss / 1e6:.0f} MB")
            browser.close()


def _print(name: str, times: Iterator[Time]) -> None:
    empty = None
    for what, seconds, of in times:
        empty = seconds if empty is None else empty  # the first one
        print(f"{name:10} {what:36} {'median of ' + str(of) if of > 1 else 'once':12} {1000 * seconds:6.0f} ms"
              f" {1000 * (seconds - empty):+6.0f}", flush=True)


def _times(page: Page) -> Iterator[Time]:
    yield _median("empty rerun", [_timed(page, lambda: page.keyboard.press("r")) for _ in range(ROUNDS)])
    yield _median("answer", [_answer(page) for _ in range(ROUNDS)])
    views = list(VIEWS)
    for view in views[1:]:  # the page has opened with the first one
        yield Time(f"{view}, first", _open(page, view))
    for view, other in zip(views, [*views[1:], views[0]], strict=True):
        times = []
        for _ in range(ROUNDS):
            _open(page, other)
            times.append(_open(page, view))
        yield _median(view, times)


def _median(what: str, times: list[float]) -> Time:
    return Time(what, statistics.median(times), len(times))


def _timed(page: Page, do: Callable[[], object]) -> float:
    """Seconds from an action to the last change that it makes to the page."""
    page.evaluate("() => document.activeElement?.blur()")  # the key `r` is for the page and no widget
    started = float(page.evaluate("() => { window.changedAt = performance.now(); return window.changedAt; }"))
    do()
    return (_until_drawn(page) - started) / 1000


def _until_drawn(page: Page) -> float:
    """Wait until the page has not changed for a while. Returns when it did, in milliseconds of the browser's clock."""
    page.wait_for_function(_DRAWN, timeout=PATIENCE)
    return float(page.evaluate("() => window.changedAt"))


def _open(page: Page, view: str) -> float:
    seconds = _timed(page, lambda: page.get_by_role("tab", name=view, exact=True).click())
    page.wait_for_selector("[role=tabpanel]:not([inert]) [data-testid=stMarkdown]", state="visible")
    return seconds


def _answer(page: Page) -> float:
    """Seconds from a typed number to another answer."""
    before = page.locator(".echo-answer").inner_html()
    _type(page)
    started = time.perf_counter()
    page.wait_for_function("before => document.querySelector('.echo-answer').innerHTML !== before", arg=before,
                           polling="raf")
    seconds = time.perf_counter() - started
    _until_drawn(page)
    return seconds


def _type(page: Page) -> None:
    box = page.locator(".st-key-asked input")
    words = box.input_value().split()
    words[0] = str((int(words[0]) + 1) % 90)
    box.evaluate("(box, text) => { box.focus(); box.select(); document.execCommand('insertText', false, text) }",
                 " ".join(words))


def _use(page: Page) -> None:
    """Type, step and play."""
    _open(page, next(iter(VIEWS)))
    for _ in range(3):
        _answer(page)
    for button in ("on", "on", "back", "play"):
        page.click(f"button.{button}")
    page.wait_for_timeout(3000)
    page.click("button.play")
    _until_drawn(page)


def _count_whole_runs(page: Page) -> list[ForwardMsg]:
    """The messages that begin a run of the whole page; the list grows as they arrive."""
    found: list[ForwardMsg] = []

    def received(payload: bytes | str) -> None:
        message = ForwardMsg.FromString(payload) if isinstance(payload, bytes) else ForwardMsg()
        if message.WhichOneof("type") == "new_session" and not message.metadata.run.fragment_ids:
            found.append(message)

    page.on("websocket", lambda socket: socket.on("framereceived", received))
    return found


if __name__ == "__main__":
    main()
