"""History, comparison, several seeds, links, going on and taking away, as a visitor meets them in a real Chromium."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Page, expect

from echo_core.config.presets import PRESETS
from echo_core.store import Store
from tests.helpers.page import ENDLESS, address, press, settled, small
from tests.helpers.server import Server
from tests.helpers.steps import history, press_as_a_timer_is_late, run_of, tick

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


def finished(page: Page) -> None:
    expect(page.locator(".st-key-progress")).to_contain_text("Finished")


def copied(page: Page, key: str) -> str:
    """The text that a copy button puts into the clipboard."""
    press(page, key)
    expect(page.locator(f".st-key-{key}")).to_contain_text("Copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_runs_are_listed_compared_named_deleted_and_brought_back(visit: Visit, server: Server):
    page = visit(address("whole", seed=41, epochs=60))
    press(page, "train")
    finished(page)
    first = run_of(page)
    page.goto(f"{server.url}/{address('whole', seed=42, epochs=90)}")
    settled(page)
    press(page, "train")
    finished(page)
    history(page)
    tick(page, 0)
    expect(page.get_by_text("1 picked")).to_be_visible()
    tick(page, 1)
    expect(page.get_by_text("2 picked")).to_be_visible()
    differences = page.locator(".echo-differences")
    expect(differences).to_contain_text("A · Whole echo, epochs 90, seed")
    expect(differences.locator("th")).to_have_text(
        ["Line", "Run", "Windows right", "Numbers right", "Epochs trained", "Seconds", "Epochs", "Seed"])
    page.get_by_text("seconds", exact=True).first.click()
    page.get_by_text("Log scale").click()
    expect(page.locator(".st-key-comparison_chart canvas, .st-key-comparison_chart svg").first).to_be_visible()

    tick(page, 0)
    expect(page.get_by_text("1 picked")).to_be_visible()
    page.get_by_role("button", name="Rename").click()
    page.get_by_placeholder("two bits too few").fill("a name of my own <b>")
    page.get_by_placeholder("two bits too few").press("Enter")
    expect(differences).to_contain_text("A · a name of my own <b>")
    page.keyboard.press("Escape")
    press(page, "runs_delete")
    expect(page.get_by_text("1 run is deleted")).to_be_visible()
    store = Store(f"sqlite:///{server.log.parent / 'runs.db'}")
    assert store.runs.get(first) is None
    press(page, "undo_delete")
    expect(page.get_by_text("1 run is deleted")).to_be_hidden()
    assert store.runs.get(first) is not None
    store.close()
    tick(page, 1)
    expect(page.get_by_text("1 picked")).to_be_visible()
    press(page, "runs_open")
    finished(page)
    assert run_of(page) == first


def test_settings_survive_a_look_at_the_history(visit: Visit):
    page = visit(address("quick", seed=43))
    history(page)
    page.get_by_role("link", name="Train").click()
    expect(page.get_by_text("81,764 parameters")).to_be_visible()


@pytest.mark.slow
def test_settings_survive_a_comparison_that_a_timer_redraws(visit: Visit):
    page = visit(small(seed=48, units=33, epochs=ENDLESS))
    press(page, "train")
    expect(page.locator(".st-key-progress")).to_contain_text(re.compile(r"Epoch [1-9]"))
    history(page)
    tick(page, 0)
    expect(page.get_by_text("Its curve")).to_be_visible()
    page.wait_for_timeout(4000)  # the timer redraws the curve every second
    page.get_by_role("link", name="Train").click()
    expect(page.locator(".st-key-units input")).to_have_value("33")
    expect(page.get_by_text("not accepted")).to_be_hidden()
    press(page, "stop")
    expect(page.locator(".st-key-progress")).to_contain_text("Paused")


def test_settings_and_the_question_survive_a_look_inside(visit: Visit):
    page = visit(small(seed=49, units=33, epochs=20))
    press(page, "train")
    finished(page)
    page.get_by_role("button", name="Look inside").click()
    page.get_by_role("tab", name="Step by step").wait_for()  # the Train page has a question of the same key
    expect(page.locator(".st-key-ask input")).not_to_have_value("")  # the replay still played when it was pressed
    expect(page.locator(".st-key-inside_run input")).to_have_value(re.compile("units 33"))
    page.locator(".st-key-ask input").fill("1 2 3 4 5")
    for view in ("State and gates", "Where does it fail?", "Step by step"):
        page.get_by_role("tab", name=view).click()
        settled(page)
    page.get_by_role("link", name="Train").click()
    expect(page.locator(".st-key-units input")).to_have_value("33")
    expect(page.get_by_text("not accepted")).to_be_hidden()
    expect(page.locator(".st-key-ask input")).to_have_value("1 2 3 4 5")


@pytest.mark.slow
def test_five_seeds_are_one_band_and_a_mean_with_its_spread(visit: Visit):
    page = visit(address("whole", seed=50, epochs=80))
    press(page, "train_seeds")
    expect(page.locator(".st-key-seeds")).to_contain_text(
        re.compile(r"Windows right: .* % ± \d.*standard deviation of 5 seeds"))
    expect(page.locator(".st-key-seeds_loss")).to_be_visible()
    other = visit("?" + urlparse(page.url).query)
    expect(other.locator(".st-key-seeds")).to_contain_text("5 runs from different random starts")


def test_a_run_goes_on_from_where_it_was_stopped_and_can_be_trained_longer(visit: Visit):
    page = visit(small(seed=44, epochs=20_000))
    press(page, "train")
    expect(page.locator(".st-key-progress")).to_contain_text(re.compile(r"Epoch [1-9]"))
    press(page, "stop")
    expect(page.locator(".st-key-progress")).to_contain_text("Paused")
    press(page, "go_on")
    finished(page)
    press(page, "extend")
    expect(page.locator(".st-key-progress")).to_contain_text("21,000")
    finished(page)
    expect(page.locator(".st-key-epochs input")).to_have_value("21000")


def test_links_open_the_run_elsewhere_and_settings_travel_as_a_file(visit: Visit, tmp_path: Path):
    page = visit(address("whole", seed=45, epochs=50))
    press(page, "train")
    finished(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    press(page, "share")
    result, settings = (copied(page, f"copy_{which}_link") for which in ("run", "settings"))
    with page.expect_download() as download:
        press(page, "download_settings")
    saved = tmp_path / "settings.json"
    download.value.save_as(saved)
    assert json.loads(saved.read_text()) == PRESETS["whole"].config.model_copy(
        update={"seed": 45, "epochs": 50}).model_dump()
    finished(visit("?" + urlparse(result).query))
    other = visit("?" + urlparse(settings).query)
    assert "run=" not in settings
    expect(other.locator(".st-key-epochs input")).to_have_value("50")

    fresh = visit()
    press(fresh, "share")
    fresh.locator("[data-testid=stPopoverBody] input[type=file]").set_input_files(saved)
    expect(fresh.locator(".st-key-epochs input")).to_have_value("50")
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{")
    fresh.locator("[data-testid=stPopoverBody] input[type=file]").set_input_files(damaged)
    expect(fresh.get_by_text("A file with settings must be one JSON object")).to_be_visible()


@pytest.mark.slow
def test_stop_of_one_of_two_owners_says_why_the_run_goes_on_and_how_to_stop_it(visit: Visit):
    query = small(seed=47, epochs=ENDLESS)
    owners = [visit(query), visit(query)]
    for page in owners:
        press(page, "train")
        expect(page.locator(".st-key-progress")).to_contain_text("epochs/s")
    press_as_a_timer_is_late(owners[0], "stop")  # which must not count as two
    expect(owners[0].get_by_text("Somebody else who pressed Train is here")).to_be_visible()
    press(owners[0], "stop")
    for page in owners:
        expect(page.locator(".st-key-progress")).to_contain_text("Paused")


@pytest.mark.slow
def test_a_run_is_seen_live_elsewhere_and_a_viewer_does_not_keep_it_from_stopping(visit: Visit):
    owner = visit(small(seed=46, epochs=ENDLESS))
    press(owner, "train")
    expect(owner.locator(".st-key-progress")).to_contain_text("epochs/s")
    viewer = visit("?" + urlparse(owner.url).query)
    expect(viewer.locator(".st-key-progress")).to_contain_text("epochs/s")
    press(owner, "stop")
    for page in (owner, viewer):
        expect(page.locator(".st-key-progress")).to_contain_text("Paused")
