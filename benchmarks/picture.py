"""Makes the README's picture: a network learns, and one looks inside it. `python -m benchmarks.picture`."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Locator, Page, sync_playwright

from benchmarks.page import CHROMIUM, FINISHED
from tests.helpers.page import QUIET, address, settled
from tests.helpers.server import ROOT, serve

#: Width and height in pixels of the Train page and of the Inside page, which are so high that nothing scrolls.
_TRAIN, _INSIDE = (1280, 1200), (1060, 2600)
#: Width and height of the picture in pixels, the part of them above the page for a caption, and the margin.
_PICTURE, _CAPTION, _MARGIN = (932, 776), 48, 16
#: Pictures of the learning at most, and milliseconds for which one of them, one step and one view are seen.
_MOST_LEARNING, _SHORT, _STEP, _LONG = 32, 180, 1100, 4000
_MOST_BYTES = 1_000_000
#: Nothing is faded while the page is drawn anew, and what the edge of the picture would cut is left out.
_STYLE = "[data-stale=true] { opacity: 1 !important; transition: none } .st-key-longer { display: none !important }"
#: Colours of the caption and of the page.
_INK, _PAPER = "#0072B2", "#ffffff"


class Shot(NamedTuple):
    """One picture and the milliseconds for which it is seen."""

    picture: Image.Image
    milliseconds: int


class Box(NamedTuple):
    """Where an element is on the page, in pixels."""

    left: float
    top: float
    bottom: float


def main() -> None:
    """Train preset `partial`, look inside, and keep what is seen as one animation of at most a megabyte."""
    with tempfile.TemporaryDirectory() as folder, \
            serve(Path(folder), ECHO_COMPILE_AHEAD="false", ECHO_STANDBY="false") as server, \
            sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": _TRAIN[0], "height": _TRAIN[1]}, reduced_motion="reduce")
        page.goto(server.url + "/" + address("partial"))
        shots = [*_learning(page), *_inside(page)]
        browser.close()
    path = ROOT / "docs" / "learning.webp"
    shots[0].picture.save(path, save_all=True, append_images=[shot.picture for shot in shots[1:]], loop=0,
                          duration=[shot.milliseconds for shot in shots], quality=70, method=6)
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(shots)} pictures,"
          f" {sum(shot.milliseconds for shot in shots) / 1000:.1f} s")
    if path.stat().st_size > _MOST_BYTES:
        raise SystemExit(f"More than {_MOST_BYTES:,} bytes.")


def _learning(page: Page) -> list[Shot]:
    """The training, from the untrained network to the verdict."""
    shots, seen = [], ""

    def picture() -> Image.Image:
        return _picture(page, "It reads five numbers and learns to say the first two again",
                        _box(page.locator(".st-key-run")), _box(page.locator(".st-key-windows")).bottom)

    page.wait_for_selector(".st-key-train button")
    settled(page)
    page.add_style_tag(content=_STYLE)
    page.dispatch_event(".st-key-train button", "click")  # without a mouse that hovers over it
    while not page.evaluate(FINISHED):
        epoch = page.locator(".st-key-windows").inner_text().partition(":")[0]
        if epoch.startswith("Epoch") and epoch != seen:
            shots.append(Shot(picture(), _SHORT))
            seen = epoch
        page.wait_for_timeout(50)
    page.wait_for_timeout(2000)
    every = -(-len(shots) // _MOST_LEARNING)
    return [Shot(shots[0].picture, _STEP), *shots[every::every], Shot(picture(), 2 * _STEP)]


def _inside(page: Page) -> Iterator[Shot]:
    """The views of the Inside page that tell most."""
    page.set_viewport_size({"width": _INSIDE[0], "height": _INSIDE[1]})
    page.get_by_role("link", name="Inside").click()
    page.mouse.move(0, 0)
    on = page.get_by_role("button", name="One step on")
    on.wait_for()
    _rest(page)
    while True:
        yield Shot(_picture(page, "Inside: a window goes through it, step by step", _box(page.locator(".diagram .box")),
                            _box(page.locator(".diagram .cards")).bottom), _STEP)
        if on.get_attribute("aria-disabled") == "true":
            break
        on.dispatch_event("click")
        page.wait_for_timeout(500)
    page.get_by_role("tab", name="What can be read").dispatch_event("click")
    measured = page.get_by_text("Each probe was fitted")
    measured.first.wait_for()
    _rest(page)
    yield Shot(_picture(page, "It keeps what it will be asked for, and little of the rest",
                        _box(page.get_by_role("heading", name="What can be read")), _box(measured.first).top), _LONG)
    page.get_by_role("tab", name="State and gates").dispatch_event("click")
    maps = page.get_by_role("application")
    maps.wait_for()
    _rest(page)
    box = _box(maps)
    # Two of three rows: the states, the forget gate and the input gate.
    yield Shot(_picture(page, "Its memory and its gates, unit by unit", box, box.top + (box.bottom - box.top) * 2 / 3),
               _LONG)


def _rest(page: Page) -> None:
    """Wait until the page is at rest."""
    page.wait_for_timeout(1000)
    settled(page)
    page.wait_for_timeout(2000)


def _box(element: Locator) -> Box:
    box = element.bounding_box()
    assert box is not None
    return Box(box["x"], box["y"], box["y"] + box["height"])


def _picture(page: Page, caption: str, begin: Box, bottom: float) -> Image.Image:
    """The page from the upper left corner of an element to a height, below a caption."""
    top = begin.top - _MARGIN / 2
    shot = page.screenshot(clip={"x": begin.left - _MARGIN, "y": top, "width": _PICTURE[0],
                                 "height": min(bottom - top, _PICTURE[1] - _CAPTION)})
    picture = Image.new("RGB", _PICTURE, _PAPER)
    picture.paste(Image.open(io.BytesIO(shot)).convert("RGB"), (0, _CAPTION))
    ImageDraw.Draw(picture).text((_MARGIN, _CAPTION / 2), caption, _INK, ImageFont.load_default(24), anchor="lm")
    return picture


if __name__ == "__main__":
    main()
