"""The heat maps in a real Chromium, without a server: their cursor, what they say, and how fast they are drawn."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from echo_app.components import heat_maps as component
from echo_app.components.heat_maps import Cell, HeatMap, Layer, packed

pytestmark = pytest.mark.browser

MODULE = Path(component.__file__).with_name("heat_maps.js").read_text("utf-8")
MOUNT = """async ([module, html, css, data]) => {
  document.body.innerHTML = `<style>:root { --st-text-color: #31333f; --st-background-color: #ffffff; }
    ${css}</style><div id="mounted">${html}</div>`;
  window.chosen = [];
  const draw = (await import(URL.createObjectURL(new Blob([module], {type: "text/javascript"})))).default;
  window.redraw = (bytes) => draw({data: Uint8Array.from(bytes), parentElement: document.querySelector("#mounted"),
    setStateValue: (name, value) => window.chosen.push([name, value])});
  const began = performance.now();
  window.redraw(data);
  document.querySelector("canvas").getContext("2d").getImageData(0, 0, 1, 1);
  return performance.now() - began;
}"""
ENCODER = Layer("encoder", 1, ["reads 4", "reads <b>7</b>", "reads 2"], ["4", "7", "2"], [3, 1, 2],
                [(1, 2), (2, 1)], ["carries number 1 best", "", ""])
DECODER = Layer("decoder", 4, ["writes answer 1"], ["y1"], [2, 1, 3])
MEMORY = np.array([[0.25, -0.5, 1.0], [0.0, 0.1, 0.2], [-1.0, 0.75, 0.5]])
MAPS = [HeatMap("Memory", "cell state c", -1, 1, [0, 1], [MEMORY, np.array([[0.5], [-0.25], [0.0]])]),
        HeatMap("Gate", "forget gate", 0, 1, [0, 1], [np.abs(MEMORY), np.array([[1.0], [np.nan], [0.0]])])]


@pytest.fixture
def mount(chromium: Browser) -> Iterator[Callable[..., tuple[Page, float]]]:
    """Mount the component in an empty page; no test leaves an error in its console."""
    page, errors = chromium.new_page(viewport={"width": 900, "height": 700}), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))

    def mounted(data: bytes) -> tuple[Page, float]:
        page.goto("about:blank")
        return page, page.evaluate(MOUNT, [MODULE, component.HTML, component.CSS, list(data)])

    yield mounted
    page.close()
    assert errors == []


def test_the_keyboard_moves_one_cursor_through_time_layers_and_units(mount: Callable[..., tuple[Page, float]]):
    page, _ = mount(packed(MAPS, [ENCODER, DECODER], "Two maps", Cell(0, 1, 3)))
    said = page.locator(".readout")
    expect(said).to_have_text("Timestep 1, reads 4: encoder, unit 3, carries number 1 best. cell state c 0.25 "
                              "forget gate 0.25")
    page.keyboard.press("Tab")
    expect(page.get_by_role("application", name="Two maps")).to_be_focused()
    for key, words in (
            ("ArrowRight", "Timestep 2, reads <b>7</b>: encoder, unit 3"), ("ArrowDown", "encoder, unit 1"),
            ("End", "Timestep 4, writes answer 1: decoder, unit 1. cell state c −0.25 forget gate none: a gap"),
            ("ArrowUp", "decoder, unit 2. cell state c 0.50 forget gate 1.00"),
            ("Home", "Timestep 1, reads 4: encoder"), ("ArrowLeft", "Timestep 1"),
            ("ArrowUp", "unit 3"), ("PageDown", "unit 2. cell state c −1.00")):
        page.keyboard.press(key)
        expect(said).to_contain_text(words)
    assert page.evaluate("window.chosen") == []  # a move sends nothing
    page.keyboard.press("Enter")
    assert page.evaluate("window.chosen") == [["chosen", [0, 1, 2]]]


def test_a_mouse_shows_what_it_points_at_and_a_click_chooses_it(mount: Callable[..., tuple[Page, float]]):
    page, _ = mount(packed(MAPS, [ENCODER, DECODER], "Two maps", Cell(0, 1, 3)))
    box = page.locator("canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + 24 + 3, box["y"] + 40 + 2 * 14 + 3  # the first column, the third row of 14 pixels
    page.mouse.move(x, y)
    expect(page.locator(".readout")).to_contain_text("encoder, unit 2. cell state c −1.00")
    page.mouse.move(1, 1)
    expect(page.locator(".readout")).to_contain_text("encoder, unit 3")  # the cursor goes back
    page.mouse.click(x, y)
    assert page.evaluate("window.chosen") == [["chosen", [0, 1, 2]]]
    page.mouse.move(1, 1)
    expect(page.locator(".readout")).to_contain_text("encoder, unit 2")


def test_the_cursor_stays_on_its_unit_when_the_order_changes(mount: Callable[..., tuple[Page, float]]):
    page, _ = mount(packed(MAPS, [ENCODER, DECODER], "Two maps", Cell(0, 1, 3)))
    page.locator("canvas").press("ArrowDown")
    expect(page.locator(".readout")).to_contain_text("encoder, unit 1")
    other = Layer("encoder", 1, ENCODER.steps, ENCODER.ticks, [2, 3, 1])
    page.evaluate("window.redraw", list(packed(MAPS, [other, DECODER], "Two maps", Cell(0, 1, 3))))
    expect(page.locator(".readout")).to_contain_text("encoder, unit 1. cell state c −1.00")


def test_maps_of_two_networks_say_whose_each_value_is(mount: Callable[..., tuple[Page, float]]):
    other = Layer("GRU", 1, ENCODER.steps, ENCODER.ticks, [7, 8])
    maps = [HeatMap("Memory, A", "cell state c", -1, 1, [0], [MEMORY], "A"),
            HeatMap("Memory, B", "cell state c", -1, 1, [1], [MEMORY[:2]], "B")]
    page, _ = mount(packed(maps, [ENCODER, other], "Two networks", Cell(0, 2, 1)))
    expect(page.locator(".readout")).to_contain_text("encoder, unit 1. cell state c A: 0.10, B (unit 8): 0.10")


def test_zero_is_the_colour_of_the_page_and_the_signs_differ(mount: Callable[..., tuple[Page, float]]):
    values = np.array([[-1.0, 0.0, 1.0]])
    page, _ = mount(packed([HeatMap("Memory", "c", -1, 1, [0], [values])], [
        Layer("encoder", 1, ["a", "b", "c"], ["", "", ""], [1])], "One map", Cell(0, 1, 1)))
    wide = page.evaluate("document.querySelector('canvas').clientWidth")
    at = "x => [...document.querySelector('canvas').getContext('2d').getImageData(x, 47, 1, 1).data].slice(0, 3)"
    colours = [page.evaluate(at, 24 + (wide - 24) * (step + 0.5) / 3) for step in range(3)]
    assert colours[1] == [255, 255, 255]
    assert colours[0][2] > colours[0][0]  # blue
    assert colours[2][0] > colours[2][2]  # orange


def test_units_that_share_a_row_show_the_state_farthest_from_zero_and_the_mean_of_a_gate(
        mount: Callable[..., tuple[Page, float]]):
    pairs = np.tile([[0.4], [-1.0]], (128, 1)), np.tile([[0.0], [1.0]], (128, 1))
    layer = Layer("encoder", 1, ["a"], [""], list(range(1, 257)))
    maps = [HeatMap("Memory", "c", -1, 1, [0], [pairs[0]]), HeatMap("Gate", "g", 0, 1, [0], [pairs[1]])]
    whole = [HeatMap("Memory", "c", -1, 1, [0], [np.full((256, 1), -1.0)]),
             HeatMap("Gate", "g", 0, 1, [0], [np.full((256, 1), 0.5)])]
    at = "x => [...document.querySelector('canvas').getContext('2d').getImageData(x, 200, 1, 1).data]"
    colours = []
    for each in (maps, whole):
        page, _ = mount(packed(each, [layer], "Two maps", Cell(0, 1, 1)))
        colours.append([page.evaluate(at, x) for x in (200, 650)])
    assert colours[0] == colours[1]


def test_maps_of_512_units_and_50_timesteps_are_drawn_quickly_and_each_unit_can_be_reached(
        mount: Callable[..., tuple[Page, float]]):
    rng = np.random.default_rng(0)
    layer = Layer("encoder", 1, [f"reads {t}" for t in range(50)], list(map(str, range(50))), list(range(1, 513)))
    maps = [HeatMap(f"Map {k}", f"q{k}", -1, 1, [0], [rng.uniform(-1, 1, (512, 50))]) for k in range(5)]
    data = packed(maps, [layer], "Five maps", Cell(0, 1, 1))
    page, milliseconds = mount(data)
    assert len(data) < 5 * 512 * 50 + 6000
    assert milliseconds < 500  # 20 to 60 on an idle machine
    expect(page.locator(".zoom")).to_contain_text("Each row stands for 4 neighbouring units")
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator(".zoom")).to_contain_text("rows 1 to 32 of 512")
    page.locator("canvas").focus()
    for _ in range(33):
        page.keyboard.press("ArrowDown")
    expect(page.locator(".readout")).to_contain_text("unit 34")
    expect(page.locator(".zoom")).to_contain_text("rows 3 to 34 of 512")
    moves = page.evaluate("""() => { const canvas = document.querySelector("canvas"), began = performance.now();
      for (let k = 0; k < 50; k += 1)
        canvas.dispatchEvent(new PointerEvent("pointermove", {clientX: 60 + k, clientY: 120}));
      return (performance.now() - began) / 50; }""")
    assert moves < 30
    assert json.loads(data[4:4 + int.from_bytes(data[:4], "little")])["layers"][0]["units"][-1] == 512
