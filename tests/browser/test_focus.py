"""The keyboard's focus keeps its place when the pressed button disappears."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.page import address

pytestmark = [pytest.mark.slow, pytest.mark.browser]

FOCUSED = "key => document.activeElement?.closest(`.st-key-${key}`) !== null"


def press_by_keyboard(page: Page, key: str) -> None:
    page.locator(f".st-key-{key} button:not(:disabled)").focus()
    page.keyboard.press("Enter")


def test_the_focus_goes_from_stop_to_go_on_and_back(visit: Callable[..., Page]):
    page = visit(address("partial", seed=91, units=16, epochs=60_000))
    press_by_keyboard(page, "train")
    expect(page.locator(".st-key-progress")).to_contain_text("Epoch ")
    press_by_keyboard(page, "stop")
    expect(page.locator(".st-key-progress")).to_contain_text("Paused")
    page.wait_for_function(FOCUSED, arg="go_on")
    page.keyboard.press("Enter")
    page.wait_for_function(FOCUSED, arg="stop")
    page.keyboard.press("Enter")
    page.wait_for_function(FOCUSED, arg="go_on")
