"""Takes the README's picture of the app as it is: `python -m benchmarks.picture`."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.page import CHROMIUM, FINISHED
from tests.helpers.page import QUIET, address
from tests.helpers.server import ROOT, serve


def main() -> None:
    """Train preset `partial` and keep what the page shows then."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 960})
        page.goto(server.url + "/" + address("partial"))
        page.click(".st-key-train button")
        page.wait_for_function(FINISHED, timeout=120_000)
        page.wait_for_timeout(2000)
        page.screenshot(path=ROOT / "docs" / "train-page.png")
        browser.close()


if __name__ == "__main__":
    main()
