"""The Train page in a browser: its address, its buttons, and waiting until it is idle."""

import re
import time
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

from echo_core.config.presets import PRESETS
from tests.helpers.waiting import PATIENCE

#: Milliseconds that the browser waits for an element.
WAIT = 1000 * PATIENCE
#: More epochs than any test waits for, on a server that allows them.
ENDLESS = 9_000_000
#: Options that keep Chromium from the network and the graphics card.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]


def address(preset: str, **changes: object) -> str:
    """The query string of a preset with some fields changed."""
    return "?" + urlencode(PRESETS[preset].config.model_copy(update=changes).to_query())


def small(**changes: object) -> str:
    """The query string of an encoder-decoder that learns to echo two of five numbers within a second of training."""
    return address("partial", **{"units": 32, "vocab_size": 10, "learning_rate": 0.01, "epochs": 600, **changes})


def press(page: Page, key: str) -> float:
    """Press a button by its widget's key. Returns the time of the press."""
    page.click(f".st-key-{key} button:visible")  # a button with help is there twice, once for small screens
    return time.perf_counter()


def settled(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")


def said(page: Page, text: str) -> None:
    """Wait until the progress line says it; what is shown as plain text has a word joiner behind each colon."""
    expect(page.locator(".st-key-progress")).to_contain_text(re.compile(text.replace(":", ":\u2060?")))
