"""The Train page on a screen: what is in sight, what fits, what a click and a key do, and what an address may say."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.page import ENDLESS, address, press, said, settled, small
from tests.helpers.server import Server

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


def top(page: Page, key: str) -> float:
    box = page.locator(f".st-key-{key}").bounding_box()
    assert box is not None
    return box["y"]


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 1366])
def test_train_is_in_sight_on_a_small_screen_and_nothing_jumps_when_a_run_ends(visit: Visit, width: int):
    page = visit(address("whole", seed=width, epochs=20_000), width=width, height=640)
    box = page.locator(".st-key-train button").bounding_box()
    assert box["y"] + box["height"] <= 640
    press(page, "train")
    said(page, "epochs/s")
    before = top(page, "windows"), top(page, "loss_chart")
    assert before[0] < 500
    said(page, "Finished")
    settled(page)
    assert (top(page, "windows"), top(page, "loss_chart")) == pytest.approx(before, abs=2)


def test_windows_and_curves_stay_in_sight_when_train_is_pressed_and_the_run_has_to_wait(visit: Visit):
    first = visit(small(seed=60, epochs=ENDLESS))
    press(first, "train")
    said(first, "epochs/s")
    address_of_first = first.url
    first.goto("about:blank")  # a page whose visitor is alone waits on the server for the first record
    page = visit(small(seed=61))
    page.evaluate("""() => { window.fewest = 3;
        const look = () => { window.fewest = Math.min(window.fewest, document.querySelectorAll(
            '.st-key-windows, .st-key-run [data-testid=stVegaLiteChart]').length); requestAnimationFrame(look); };
        look(); }""")
    press(page, "train")
    said(page, "Next in the queue")
    page.wait_for_timeout(1500)
    assert page.evaluate("window.fewest") == 3
    first.goto(address_of_first)
    press(first, "stop")
    said(first, "Paused")


@pytest.mark.slow
def test_twenty_numbers_fit_beside_the_curves(visit: Visit):
    page = visit(address("attention_20", seed=7, epochs=2, schedule="constant"))
    press(page, "train")
    said(page, "Finished")
    assert page.locator(".echo-grid").evaluate("box => box.scrollWidth <= box.clientWidth")
    plots = [page.locator(f"{at} .mark-group.role-frame.root").first.bounding_box()
             for at in (".st-key-loss_chart", ".st-key-accuracy_curve")]
    assert plots[0]["width"] >= 200
    assert plots[0]["x"] == pytest.approx(plots[1]["x"], abs=1)
    assert plots[0]["width"] == pytest.approx(plots[1]["width"], abs=1)


def test_a_click_on_a_curve_puts_the_replay_there_and_both_curves_say_where_it_is(visit: Visit):
    page = visit(address("whole", seed=8))
    press(page, "train")
    said(page, "Finished")
    settled(page)
    kept = page.locator(".st-key-accuracy_curve .mark-path.role-mark path")  # a strip around each kept snapshot
    expect(kept.nth(39)).to_be_attached()
    kept.nth(30).click()
    expect(page.locator(".st-key-windows")).not_to_contain_text("Epoch 500:")
    at = int(re.search(r"Epoch (\d+):", page.locator(".st-key-windows").inner_text()).group(1))
    assert 20 < at < 480
    for chart, number in (("accuracy_curve", 1), ("loss_chart", 2)):  # which has a rule of pure guessing too
        expect(page.locator(f".st-key-{chart} .mark-rule.role-mark line")).to_have_count(number)


def test_an_empty_chart_leaves_nothing_in_the_console(visit: Visit, server: Server):
    page, warnings = visit(), []
    page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    page.goto(f"{server.url}/{address('whole', seed=9)}")
    page.wait_for_selector(".st-key-accuracy_curve .mark-group")
    press(page, "train")
    said(page, "Finished")
    settled(page)
    assert [text for text in warnings if "nfinite" in text] == []


def test_nonsense_in_the_address_gives_a_page_that_works_and_says_what_it_did_not_accept(visit: Visit):
    page = visit("?units=-5&variant=<script>alert(1)</script>&epochs=1e99&colour=red&seed=7")
    for words in ("units must be at least 1; received -5", "variant must be one of", "<script>alert(1)</script>",
                  "epochs must be a whole number; received 1e99", "colour is not a setting"):
        expect(page.get_by_text(words).first).to_be_visible()
    assert page.locator(".st-key-seed input").get_attribute("value") in ("7", None)
    press(page, "train")
    said(page, "Finished")


def test_a_link_to_an_unknown_run_says_so_and_keeps_the_settings(visit: Visit):
    page = visit(address("quick", seed=9) + "&run=0123456789abcdef")
    expect(page.get_by_text("This run is not on this copy")).to_be_visible()
    expect(page.get_by_text("81,764 parameters")).to_be_visible()


def test_a_batch_size_that_no_longer_divides_the_windows_is_replaced_and_that_is_said(visit: Visit):
    page = visit(address("whole"))
    page.get_by_text("Advanced").click()
    page.locator(".st-key-input_length input").fill("7")
    page.locator(".st-key-input_length input").press("Enter")
    expect(page.get_by_text("batch_size=7 does not fit the other settings; it is 19 instead.")).to_be_visible()
    expect(page.get_by_text("19 windows an epoch")).to_be_visible()
    expect(page.locator(".st-key-batch_size input")).to_have_value("19")  # the test runner's tests read the options


def test_it_can_be_trained_by_keyboard_alone(visit: Visit):
    page = visit(address("whole", seed=5, epochs=50))
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.st-key-train') !== null"):
            break
    page.keyboard.press("Enter")
    said(page, "Finished")


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_hangs_over_the_edge_of_a_telephone(visit: Visit, dark: bool):
    page = visit(address("whole", seed=6, epochs=50), width=390, height=844, dark=dark)
    press(page, "train")
    said(page, "Finished")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    grid = page.locator(".echo-grid")
    assert grid.evaluate("box => box.scrollWidth <= box.clientWidth")


def test_the_data_and_the_code_are_shown_for_the_settings_at_hand(visit: Visit):
    page = visit(address("partial"))
    expect(page.get_by_text("Encoder–decoder: first read, then answer.")).to_be_visible()
    page.get_by_role("tab", name="The data").click()
    expect(page.get_by_text("1. A random sequence.")).to_be_visible()
    page.get_by_role("tab", name="The code").click()
    expect(page.get_by_text("Total params: 346,300").first).to_be_visible()
    expect(page.get_by_text("RepeatVector(2, name=\"context\")").first).to_be_visible()
