"""The Train page as a visitor has it: a real server, real workers, a real browser."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

from echo_core.store import Store
from tests.helpers.page import ENDLESS, address, press, settled, small
from tests.helpers.server import Server, loads_tensorflow
from tests.helpers.steps import run_of

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


def signs(page: Page) -> tuple[int, int]:
    """Right and wrong numbers in the grid, once the page is idle: the line of progress is drawn before the grid."""
    settled(page)
    text = page.locator(".st-key-windows").inner_text()
    return text.count("✓"), text.count("✗")


def said(page: Page, text: str) -> None:
    expect(page.locator(".st-key-progress")).to_contain_text(re.compile(text))


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


def top(page: Page, key: str) -> float:
    box = page.locator(f".st-key-{key}").bounding_box()
    assert box is not None
    return box["y"]


@pytest.mark.parametrize("width", [1280, 1366])
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
