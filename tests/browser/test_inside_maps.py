"""The heat maps on the Inside page: what Python sends arrives, and what is picked comes back."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from echo_core.inspection.inside import look_inside
from echo_core.inspection.inspecting import inspect
from echo_core.store import RunRow, Store
from tests.helpers.samples import small
from tests.helpers.server import Server, serve_quick
from tests.helpers.stored import add_finished
from tests.helpers.weights import random_weights

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CONFIG = small(variant="encoder_decoder", units=5)

#: Where something is painted just left of the first map, which begins 24 pixels from the left and 40 from the top:
#: pixels from the top of the map, one for each line.
BORDERS = """canvas => {
  const scale = canvas.width / canvas.clientWidth, paint = canvas.getContext("2d"), found = [];
  const { data } = paint.getImageData(Math.round(21 * scale), 0, 1, Math.round(110 * scale));
  const is = (y) => data[4 * Math.round(y * scale) + 3] > 0;
  for (let y = 42; y < 109; y += 1) if (is(y) && !is(y - 1)) found.push(y - 40);
  return found;
}"""


@pytest.fixture(scope="module")
def run_and_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunRow, Server]]:
    """A server whose store has one finished run."""
    folder = tmp_path_factory.mktemp("app")
    with closing(Store(f"sqlite:///{folder / 'runs.db'}")) as store:
        run = add_finished(store, CONFIG)
    with serve_quick(folder) as running:
        yield run, running
        assert running.trouble() == []


def test_the_cursor_says_what_the_network_computes_and_a_picked_unit_gets_a_line(
        visit_at: Callable[..., Page], run_and_server: tuple[RunRow, Server]):
    run, server = run_and_server
    page = visit_at(server, f"?run={run.run_id}")
    page.get_by_role("link", name="Inside").click()
    tab = page.get_by_role("tab", name="State and gates")
    tab.wait_for()  # the Train page has a question of the same key
    page.locator(".st-key-ask input").fill("1 2 3")
    tab.click()
    said, canvas = page.locator(".readout"), page.get_by_role("application")
    expect(said).to_contain_text("Timestep 1, reads 1: encoder")
    canvas.press("ArrowRight")
    expect(said).to_contain_text("Timestep 2, reads 2: encoder, unit ")
    unit = int(said.inner_text().split("unit ")[1].split(",")[0].rstrip("."))
    encoder, _ = look_inside(CONFIG, random_weights(CONFIG), [[1, 2, 3]]).layers
    expect(said).to_contain_text(f"forget gate {encoder.gates['forget'][0, 1, unit - 1]:.2f}")
    canvas.press("ArrowDown")
    canvas.press("ArrowDown")
    canvas.press("ArrowDown")
    canvas.press("ArrowDown")
    last = int(said.inner_text().split("unit ")[1].split(",")[0].rstrip("."))
    canvas.press("Enter")
    expect(page.locator(".st-key-inside_lines_controls")).to_contain_text(f"encoder {last}")
    expect(canvas).to_be_focused()  # the picture stays where it is
    units = inspect(CONFIG, random_weights(CONFIG), "units", 2000)
    positions = units[(units.layer == "encoder") & (units.state == "c")].position.to_numpy()
    assert [round(y / 14) for y in canvas.evaluate(BORDERS)] == [
        row for row in range(1, 5) if positions[row] != positions[row - 1]]  # a line between groups; rows of 14 pixels
