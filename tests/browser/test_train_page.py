"""The Train page as a visitor has it: a real server, real workers, a real browser."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

from echo_core.store import Store
from tests.helpers.page import ENDLESS, address, press, said, settled, small
from tests.helpers.server import Server, loads_tensorflow
from tests.helpers.steps import run_of

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


def signs(page: Page) -> tuple[int, int]:
    """Right and wrong numbers in the grid, once the page is idle: the line of progress is drawn before the grid."""
    settled(page)
    text = page.locator(".st-key-windows").inner_text()
    return text.count("✓"), text.count("✗")


def epoch(page: Page) -> int:
    """The epoch that the progress line says."""
    found = re.search(r"[Ee]poch ([\d,]+)", page.locator(".st-key-progress").inner_text())
    return int(found.group(1).replace(",", "")) if found else -1


def test_first_visit_says_what_this_is_and_offers_one_primary_button(visit: Visit):
    page = visit()
    expect(page.get_by_text("An LSTM (long short-term memory) is a neural network with a memory.")).to_be_visible()
    expect(page.locator("[data-testid='stBaseButton-primary']")).to_have_count(1)
    expect(page.locator(".st-key-windows")).to_contain_text("21 windows of a sequence that training never sees")
    expect(page.get_by_text("81,764 parameters")).to_be_visible()
    expect(page.get_by_role("button", name="Compare: whole echo needs no memory").first).to_be_visible()
    press(page, "contrast")
    expect(page.get_by_text("11,780 parameters")).to_be_visible()


def test_whole_echo_is_trained_and_replayed_from_chance_to_the_end(visit: Visit):
    page = visit(address("whole", seed=1))
    press(page, "train")
    said(page, "Finished")
    expect(page.locator(".st-key-windows")).to_contain_text("windows right")
    right, wrong = signs(page)
    assert right >= 100
    assert right + wrong == 105
    page.locator(".st-key-replay input").press("Home")
    expect(page.locator(".st-key-windows")).to_contain_text("Epoch 0:")
    assert signs(page)[0] <= 15
    press(page, "step")
    expect(page.locator(".st-key-windows")).to_contain_text("Epoch 1:")
    page.locator(".st-key-replay input").press("End")
    expect(page.locator(".st-key-windows")).to_contain_text("Epoch 500:")
    page.locator(".st-key-slow_toggle").get_by_text("Slow").click()
    settled(page)
    press(page, "play")
    expect(page.locator(".st-key-windows")).to_contain_text("Epoch 0:")
    expect(page.locator(".st-key-windows")).to_contain_text(re.compile("Epoch [1-9]:"))  # one may pass unseen
    page.locator(".st-key-slow_toggle").get_by_text("Slow").click()
    expect(page.locator(".st-key-windows")).to_contain_text("Epoch 500:")
    assert signs(page)[0] == right
    expect(page.locator(".st-key-play")).to_contain_text("Play")


def test_partial_echo_fills_the_grid_while_a_second_visitor_looks_on(visit: Visit):
    page = visit(small(seed=2))
    press(page, "train")
    page.wait_for_url("**run=*")
    other = visit("?" + urlparse(page.url).query)
    assert parse_qs(urlparse(page.url).query)["units"] == ["32"]
    said(page, "Finished")
    said(other, "Finished")
    assert signs(page)[0] >= 38
    expect(other.locator(".st-key-windows")).to_have_text(page.locator(".st-key-windows").inner_text(),
                                                          use_inner_text=True)


@pytest.mark.slow
def test_pairs_come_back_right_and_what_was_typed_is_never_html(visit: Visit):
    page = visit("?preset=pairs")
    box = page.locator(".st-key-text textarea")
    box.fill(box.input_value() + "\n<b>who</b> ? => <img src=x onerror=alert(1)> me")
    box.press("Control+Enter")
    expect(page.get_by_text("13 pairs an epoch")).to_be_visible()
    press(page, "train")
    said(page, "Finished")
    expect(page.locator(".st-key-windows")).to_contain_text("13 of 13 pairs right")
    row = page.locator(".st-key-windows tr", has_text="how are you ?")
    expect(row).to_contain_text("i'm✓ fine✓")
    expect(page.locator(".st-key-windows")).to_contain_text("<b>who</b>")
    assert page.locator(".st-key-windows img, .st-key-windows b").count() == 0


def test_a_stateful_network_that_is_not_reset_forgets_what_it_knew(visit: Visit):
    page = visit(small(seed=1))
    press(page, "train")
    said(page, "Finished")
    page.get_by_role("tab", name="What a reset does").click()
    expect(page.get_by_text("Without a reset the decoder begins")).to_be_visible()
    shown = page.locator(".echo-grid caption").nth(1)
    rights = []
    for time_ in ("First", "Second", "Third"):  # the second is shown at first
        before = shown.inner_text()
        page.get_by_role("radio", name=f"{time_} time").or_(page.get_by_role("button", name=f"{time_} time")).click()
        expect(shown).not_to_have_text(before)
        rights.append(int(re.search(r": (\d+) of 21 windows", shown.inner_text()).group(1)))
    assert rights[0] >= 19
    assert rights[0] >= rights[1] >= rights[2] < rights[0]


def test_reload_goes_on_stop_keeps_the_epochs_and_train_goes_on_from_them(visit: Visit):
    page = visit(small(seed=3, epochs=ENDLESS))
    press(page, "train")
    said(page, r"Epoch [1-9][\d,]* of 9,000,000 · [\d,]+ epochs/s · .* left")
    assert re.match(r"\d+ % · Echo Lab", page.title())
    page.reload()
    said(page, r"Epoch [1-9][\d,]* of 9,000,000")
    before = epoch(page)
    press(page, "stop")
    said(page, "Paused at epoch")
    stopped = epoch(page)
    assert stopped >= before
    page.reload()
    said(page, f"Paused at epoch {stopped:,}")
    press(page, "train")
    said(page, r"Epoch [1-9][\d,]* of 9,000,000 · [\d,]+ epochs/s")
    assert epoch(page) >= stopped
    press(page, "stop")
    said(page, "Paused at epoch")


def test_same_settings_show_the_same_run_at_once(visit: Visit):
    first = visit(address("whole", seed=4, epochs=50))
    press(first, "train")
    said(first, "Finished")
    second = visit(address("whole", seed=4, epochs=50))
    press(second, "train")
    said(second, "Finished: 50 epochs")
    assert parse_qs(urlparse(first.url).query)["run"] == parse_qs(urlparse(second.url).query)["run"]
    expect(second.locator(".st-key-windows")).to_have_text(first.locator(".st-key-windows").inner_text(),
                                                           use_inner_text=True)


@pytest.mark.slow
def test_a_press_of_another_run_shows_it(visit: Visit):
    page = visit(address("whole", seed=9, epochs=50))
    press(page, "train")
    said(page, "Finished: 50 epochs")
    first = run_of(page)
    page.locator(".st-key-epochs input").fill("60")
    page.locator(".st-key-epochs input").press("Enter")
    settled(page)
    press(page, "train")
    said(page, "Finished: 60 epochs")
    press(page, f"other_{first}")
    said(page, "Finished: 50 epochs")
    assert run_of(page) == first


def test_what_to_try_next_is_trained_by_its_button(visit: Visit):
    page = visit(address("whole", seed=0))
    press(page, "train")
    said(page, "Finished")
    settled(page)
    first = run_of(page)
    press(page, "next_step")
    page.wait_for_selector(".st-key-bar")
    expect(page.get_by_role("combobox", name="Network")).to_have_value(re.compile("^Encoder–decoder"))
    assert run_of(page) != first
    press(page, "stop")
    said(page, "Paused")


def test_the_page_says_which_run_it_shows_while_the_controls_stand_at_other_settings(visit: Visit):
    page = visit(address("whole", seed=4, epochs=50))
    press(page, "train")
    said(page, "Finished")
    for units in ("21", "22"):
        page.locator(".st-key-units input").fill(units)
        page.locator(".st-key-units input").press("Enter")
        expect(page.locator(".st-key-banner")).to_contain_text(
            "Showing Whole echo. Your controls are set to Whole echo, other units.")
    press(page, "back_to_shown")
    expect(page.locator(".st-key-banner")).to_have_count(0)
    expect(page.locator(".st-key-units input")).to_have_value("20")
    said(page, "Finished")


@pytest.mark.slow
def test_who_waits_reads_how_many_are_ahead_and_about_how_long_that_is(visit: Visit):
    first = visit(small(seed=90, epochs=ENDLESS))
    others = [visit(address("whole", seed=seed)) for seed in (91, 92)]
    press(first, "train")
    said(first, "epochs/s")
    for page, place in zip(others, ("Next in the queue", "In the queue: 1 run ahead of yours"), strict=True):
        press(page, "train")
        said(page, rf"{place}, about \d")
    press(first, "stop")
    for page in others:
        said(page, "Finished")


@pytest.mark.slow
def test_nine_runs_of_three_visitors_take_turns_and_none_is_lost(visit: Visit, server: Server):
    pages = [visit(address("whole", seed=100 + k, epochs=2000)) for k in range(3)]
    for turn in range(3):
        for k, page in enumerate(pages):
            if turn:
                seed = page.locator(".st-key-seed input")
                if not seed.is_visible():
                    page.get_by_text("Advanced").click()
                seed.fill(str(100 + k + 10 * turn))
                seed.press("Enter")
                expect(page.get_by_text("Your controls are set to")).to_be_visible()
            press(page, "train")
            page.wait_for_url(f"**seed={100 + k + 10 * turn}&run=*")
    store = Store(f"sqlite:///{server.log.parent / 'runs.db'}")
    for page in pages:
        said(page, "Finished")
    runs = [run for run in store.runs.newest(limit=100) if run.config.seed >= 100 and run.config.epochs == 2000]
    assert len(runs) == 9
    assert {run.state for run in runs} == {"finished"}
    visitor_of = [run.config.seed % 10 for run in sorted(runs, key=lambda run: run.started_at or 0)]
    waiting = visitor_of[3:]  # those that were not begun at once, as they came
    assert all(len(set(waiting[i:i + 3])) == 3 for i in range(0, 6, 3))
    store.close()


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_run_goes_on_by_itself(visit: Visit, server: Server):
    page = visit(small(seed=11, epochs=12_000))
    press(page, "train")
    said(page, r"Epoch [1-9][\d,]* of 12,000 · [\d,]+ epochs/s")
    workers = server.workers()
    assert workers
    for worker in workers:
        worker.kill()
    said(page, "Finished")
    store = Store(f"sqlite:///{server.log.parent / 'runs.db'}")
    run = store.runs.get(parse_qs(urlparse(page.url).query)["run"][0])
    store.close()
    assert run is not None
    assert run.epoch == 12_000
    assert 1 <= run.restarts <= len(workers)  # one that stood by may have taken it on, and been killed too


def test_the_apps_process_has_no_tensorflow_in_it_and_stays_small(visit: Visit, server: Server):
    page = visit(address("whole", seed=12, epochs=50))
    press(page, "train")
    said(page, "Finished")
    assert not loads_tensorflow(server.process)
    assert server.process.memory_info().rss < 300e6
