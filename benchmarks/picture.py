"""Makes the README's picture: a network learns, and one looks inside it. `python -m benchmarks.picture`."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.page import CHROMIUM, FINISHED
from tests.helpers.page import QUIET, address
from tests.helpers.server import ROOT, serve

#: Pixels of the page and of the picture, and milliseconds between two pictures of a replay.
_PAGE, _PICTURE, _EVERY = (1280, 800), (960, 600), 300
#: Milliseconds for which a picture is seen: one of many, and one to read.
_SHORT, _LONG = 300, 2000
_MOST_BYTES = 1_000_000


def main() -> None:
    """Train preset `quick`, replay it, look inside, and keep what is seen as one animation of at most a megabyte."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": _PAGE[0], "height": _PAGE[1]})
        page.goto(server.url + "/" + address("quick"))
        page.click(".st-key-train button")
        page.wait_for_function(FINISHED, timeout=120_000)
        page.wait_for_timeout(2000)
        seen = [*_learning(page), *_inside(page)]
        browser.close()
    pictures, milliseconds = zip(*seen, strict=True)
    path = ROOT / "docs" / "learning.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, quality=60,
                     method=6)
    if path.stat().st_size > _MOST_BYTES:
        raise SystemExit(f"{path.name} has {path.stat().st_size:,} bytes, more than {_MOST_BYTES:,}")


def _learning(page: Page) -> Iterator[tuple[Image.Image, int]]:
    """The replay of the learning, from the untrained network to the end."""
    page.click(".st-key-play button")
    for _ in range(30):
        yield _picture(page), _SHORT
        page.wait_for_timeout(_EVERY)
        if "Play" in page.locator(".st-key-play").inner_text():
            break
    yield _picture(page), _LONG


def _inside(page: Page) -> Iterator[tuple[Image.Image, int]]:
    """The views of the Inside page that tell most."""
    page.get_by_role("link", name="Inside").click()
    for name in ("Step by step", "What can be read", "State and gates"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(4000)
        page.locator(".st-key-inside [role=tablist]").evaluate("(tabs) => tabs.scrollIntoView()")
        page.wait_for_timeout(300)
        yield _picture(page), _LONG


def _picture(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB").resize(_PICTURE, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
