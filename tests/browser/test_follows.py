"""Two browsers look at one run: each page follows it, and a replay is its own visitor's."""

import re
from collections.abc import Callable
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.page import press, settled, small

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Visit = Callable[..., Page]


def shown_epoch(page: Page) -> int:
    """The epoch of the windows that a page shows."""
    found = re.search(r"Epoch ([\d,]+):", page.locator(".st-key-windows").inner_text())
    return int(found.group(1).replace(",", "")) if found else -1


def test_second_browser_sees_the_score_and_that_the_owner_goes_on_while_its_replay_goes_on(visit: Visit):
    owner = visit(small(seed=71, epochs=100_000))
    press(owner, "train")
    expect(owner.locator(".st-key-progress")).to_contain_text("epochs/s")
    viewer = visit("?" + urlparse(owner.url).query)
    press(owner, "stop")
    for page in (owner, viewer):
        expect(page.locator(".st-key-progress")).to_contain_text("So far it gets")
    viewer.locator(".st-key-slow_toggle").get_by_text("Slow").click()
    settled(viewer)
    press(viewer, "play")
    expect(viewer.locator(".st-key-windows")).to_contain_text("Epoch 2:")
    press(owner, "go_on")
    expect(viewer.locator(".st-key-progress")).to_contain_text("epochs/s")
    seen = [shown_epoch(viewer)]
    while len(set(seen)) < 5:  # a picture is drawn every 0.6 s
        viewer.wait_for_timeout(100)
        seen.append(shown_epoch(viewer))
    assert seen == sorted(seen)
    assert 2 <= seen[0] <= seen[-1] < 60
    press(owner, "stop")
    for page in (owner, viewer):
        expect(page.locator(".st-key-progress")).to_contain_text("Paused")
    assert seen[-1] <= shown_epoch(viewer) < 1000


def test_rows_of_several_seeds_stay_open_each_its_run_and_charts_have_one_height(visit: Visit):
    page = visit(small(seed=81, epochs=60), width=390, height=844)
    press(page, "train_seeds")
    expect(page.locator(".st-key-seeds_table button")).to_have_count(5)
    expect(page.locator(".st-key-seeds")).to_contain_text("5 of 5 finished")
    press(page, "seed_83")
    expect(page.locator(".st-key-seeds")).to_contain_text("One of them: seed 83")
    expect(page.locator(".st-key-seeds_table .echo-seed:not(.echo-seed-head)")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    again = visit("?" + urlparse(page.url).query)
    expect(again.locator(".st-key-seeds_table")).to_contain_text("finished")
    expect(again.locator(".st-key-seeds")).to_contain_text("One of them: seed 83")
    heights = [again.locator(f".st-key-seeds_{what} .mark-group.role-frame.root").first.bounding_box()
               for what in ("loss", "accuracy")]
    assert heights[0]["height"] == pytest.approx(heights[1]["height"], abs=4)  # a label may stand above its axis
