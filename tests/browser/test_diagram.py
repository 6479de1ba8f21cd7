"""The picture of a network and its player, in a real Chromium."""

import re
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.server import ROOT, Server, serve

pytestmark = pytest.mark.browser

#: What the element with the keyboard's focus is: its tag, and its name or text.
FOCUSED = """() => { let at = document.activeElement;
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return `${at.tagName} ${at.getAttribute('aria-label') ?? at.textContent}`; }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("diagram"), "streamlit", "run", str(ROOT / "tests/helpers/diagram_app.py"),
               PYTHONPATH=str(ROOT)) as running:
        yield running
        assert running.trouble() == []


@pytest.fixture
def visit(visit_at: Callable[..., Page], server: Server) -> Callable[..., Page]:
    return partial(visit_at, server, shown=".st-key-player .cards section")


def step(page: Page) -> int:
    return int(re.match(r"\d+", page.locator("output").inner_text()).group())


@pytest.mark.slow
def test_it_plays_steps_and_slides_without_a_message_to_the_server(visit: Callable[..., Page]):
    page = visit()
    page.evaluate("() => { window.sent = 0; const send = WebSocket.prototype.send;"
                  "WebSocket.prototype.send = function (...all) { window.sent += 1; return send.apply(this, all); }; }")
    assert step(page) == 1
    page.click("button.play")
    expect(page.locator("output")).to_have_text("7 of 7")
    expect(page.locator("button.play")).to_contain_text("Play")
    page.click("button.back")
    assert step(page) == 6
    page.locator("input[type=range]").fill("3")
    expect(page.locator(".says")).to_contain_text("number 3 of 5")
    assert page.evaluate("window.sent") == 0
    page.click(".pick")
    page.wait_for_function("window.sent > 0")  # so the counter counts
    expect(page.get_by_text("picked 3")).to_be_visible()
    assert step(page) == 3


def test_the_keyboard_alone_reaches_every_step(visit: Callable[..., Page]):
    page = visit()
    page.locator("button.back").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "BUTTON ▶ Play"
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "BUTTON One step on"
    for expected in (2, 3):
        page.keyboard.press("Enter")
        assert step(page) == expected
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "INPUT Step"
    page.keyboard.press("ArrowRight")
    assert step(page) == 4
    page.keyboard.press("End")
    assert step(page) == 7
    page.keyboard.press("Home")
    assert step(page) == 1


def test_new_values_leave_the_step_and_the_focus_where_they_are(visit: Callable[..., Page]):
    page = visit("?changing=1")
    page.locator("input[type=range]").fill("6")
    page.locator("input[type=range]").focus()
    said = page.locator(".says").inner_text()
    expect(page.locator(".says")).not_to_have_text(said)
    assert step(page) == 6
    assert page.evaluate(FOCUSED) == "INPUT Step"


def test_typed_words_are_text_in_the_picture_and_its_player(visit: Callable[..., Page]):
    page = visit("?preset=hostile")
    for k in range(1, int(page.locator("input[type=range]").get_attribute("max")) + 1):
        page.locator("input[type=range]").fill(str(k))
        assert page.locator(".diagram :is(b, a, img, script)").count() == 0
    assert "<b>bold</b>" in page.locator(".diagram .box svg").text_content()


def test_a_wide_picture_scrolls_in_its_own_box_and_follows_the_step(visit: Callable[..., Page]):
    page = visit("?preset=attention_20", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator(".diagram .box")
    assert box.get_attribute("tabindex") == "0"
    page.locator("input[type=range]").fill("40")
    page.wait_for_function("box => box.scrollLeft > 300", arg=box.element_handle())


@pytest.mark.slow
def test_a_step_changes_the_numbers_in_the_cell_and_sends_nothing(visit: Callable[..., Page]):
    page = visit()
    page.evaluate("() => { window.sent = 0; const send = WebSocket.prototype.send;"
                  "WebSocket.prototype.send = function (...all) { window.sent += 1; return send.apply(this, all); }; }")
    cell = page.locator(".inner svg")

    def part(name: str) -> str:
        return cell.locator(f"[data-id={name}] > [data-id=text]").text_content()

    title, seen = cell.locator(".phase"), set()
    for k in range(1, 8):
        page.locator("input[type=range]").fill(str(k))
        assert f"timestep {k if k < 6 else k - 5}:" in title.text_content()
        said = cell.get_attribute("aria-label")
        assert f"c after: {part('after')}" in said
        assert f"Forget gate: {part('forget')}." in said
        seen.add((part("before"), part("after"), part("hidden")))
    assert len(seen) == 7
    page.click("button.back")
    assert "timestep 1:" in title.text_content()
    page.click("button.on")
    assert "timestep 2:" in title.text_content()
    assert page.evaluate("window.sent") == 0


def test_the_cell_stands_upright_on_a_phone_and_no_title_is_cut(visit: Callable[..., Page]):
    page = visit("?preset=attention_20", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator(".inner svg").bounding_box()
    assert box["height"] > box["width"] > 300
    cut = """box => [...box.querySelectorAll('.phase')].filter((title) => {
      const at = title.getBoundingClientRect(), { left, right } = box.getBoundingClientRect();
      return getComputedStyle(title).visibility === 'visible' && (at.left < left - 1 || at.right > right + 1);
    }).length"""
    for k in (1, 12, 25, 40):
        page.locator("input[type=range]").fill(str(k))
        page.wait_for_timeout(100)
        assert page.locator(".diagram .box").evaluate(cut) == 0


@pytest.mark.slow
def test_without_motion_nothing_moves_between_steps(visit: Callable[..., Page]):
    page = visit()
    page.emulate_media(reduced_motion="reduce")
    for part in (".edge", ".valve .level", ".track i"):
        assert page.locator(part).first.evaluate("part => getComputedStyle(part).transitionProperty") == "none", part
