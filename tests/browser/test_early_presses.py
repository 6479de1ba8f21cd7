"""A press before the workers have started gives the file or says when to try again, and Train works after it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Page, expect

from tests.helpers.dice import dice
from tests.helpers.page import WAIT, press, settled, small
from tests.helpers.server import ROOT, Server, serve
from tests.helpers.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: Restarts of the app, each with a press at a random moment of its first seconds.
RESTARTS = int(os.environ.get("RESTARTS", "3"))
FIRST_SECONDS = 10.0
FIELDS = ("variant=encoder_decoder", "output_length=2", "vocab_size=10", "units=8", "batch_size=21", "epochs=60")


def trained(folder: Path) -> str:
    """The id of a run that the command line has trained into the store of the server of this folder."""
    pairs = [word for field in FIELDS for word in ("--set", field)]
    done = subprocess.run([sys.executable, "-m", "echo_core", "train", *pairs], cwd=ROOT, check=True, text=True,
                          capture_output=True, env={**os.environ, "DATABASE_URL": f"sqlite:///{folder / 'runs.db'}"})
    found = re.search(r"Run (\w+) finished", done.stdout)
    assert found is not None
    return found[1]


def open_run(chromium: Browser, server: Server, run_id: str) -> Page:
    page = chromium.new_context(accept_downloads=True).new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"{server.url}/?run={run_id}")
    page.wait_for_selector(".st-key-take_home button")
    settled(page)
    return page


def press_keras_model(page: Page) -> str:
    """Press the button and wait for its outcome: the file's name, or the error beside the button."""
    downloads: list[Download] = []
    page.on("download", lambda download: downloads.append(download))
    press(page, "take_home")
    page.click(".st-key-export_model_keras button")
    said = page.locator("[data-testid=stDownloadButtonError]")
    until(lambda: page.wait_for_timeout(50) or downloads or said.count(), seconds=120)
    return downloads[0].suggested_filename if downloads else said.first.inner_text()


def train(chromium: Browser, server: Server, seed: int) -> None:
    page = chromium.new_context().new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"{server.url}/{small(seed=seed)}")
    page.wait_for_selector(".st-key-train button")
    settled(page)
    press(page, "train")
    expect(page.locator(".st-key-progress")).to_contain_text("600 epochs in", timeout=WAIT)
    page.context.close()


def _since(began: float) -> float:
    return time.monotonic() - began


def test_a_press_at_any_moment_after_a_restart_gives_the_file_or_says_when(chromium: Browser, tmp_path: Path):
    run_id, drawn = trained(tmp_path), dice()
    for number in range(RESTARTS):
        moment = drawn.uniform(0, FIRST_SECONDS)
        began = time.monotonic()
        with serve(tmp_path, ECHO_XLA_CACHE=str(tmp_path / "xla"), ECHO_WORKERS="1") as server:
            page = open_run(chromium, server, run_id)
            time.sleep(max(0.0, began + moment - time.monotonic()))
            outcome = press_keras_model(page)
            print(f"restart {number}: pressed after {moment:.1f} s, {outcome!r} after {_since(began):.1f} s")
            assert outcome == "model.keras" or re.search(r"again in about \d+ seconds|again in a moment", outcome)
            page.context.close()
            train(chromium, server, seed=number)
            assert server.trouble() == []


def test_a_press_just_after_a_worker_was_killed_gives_the_file_or_says_when(chromium: Browser, tmp_path: Path):
    run_id = trained(tmp_path)
    with serve(tmp_path, ECHO_XLA_CACHE=str(tmp_path / "xla"), ECHO_WORKERS="1") as server:
        page = open_run(chromium, server, run_id)
        assert press_keras_model(page) == "model.keras"
        page.context.close()
        for pause in (0.0, 1.5):
            page = open_run(chromium, server, run_id)
            for worker in server.workers():
                worker.kill()
            time.sleep(pause)
            outcome = press_keras_model(page)
            assert outcome == "model.keras" or re.search(r"again in about \d+ seconds|again in a moment", outcome)
            page.context.close()
        train(chromium, server, seed=77)
