"""The picture of a network as SVG, and a player that carries a window's values through it in the browser."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

#: The picture, the player, what happens at its step, and the picture in words; `diagram.js` fills them.
_HTML = """
<figure class="diagram">
  <div class="pictures">
    <div class="box" role="group"><svg role="img"></svg></div>
    <div class="inner" hidden><svg role="img"></svg><p></p></div>
  </div>
  <figcaption></figcaption>
  <ul class="words"></ul>
  <div class="player" role="group" aria-label="Steps" hidden>
    <button type="button" class="back" aria-label="One step back">◀ Back</button>
    <button type="button" class="play">▶ Play</button>
    <button type="button" class="on" aria-label="One step on">Step ▶</button>
    <input type="range" min="1" step="1" aria-label="Step">
    <output aria-live="off"></output>
    <button type="button" class="pick">Use this step in all views</button>
  </div>
  <p class="says"></p>
  <div class="cards"></div>
</figure>
"""


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


_component = st.components.v2.component("echo_diagram", html=_HTML, css=_beside("diagram.css"),
                                        js=_beside("diagram.js"))


def diagram(picture: Mapping[str, Any], summary: str, words: Sequence[str], key: str, caption: str = "",
            frames: Sequence[Mapping[str, Any]] = (), start: int = 1,
            on_pick: Callable[[int], object] | None = None, cell: Mapping[str, Any] | None = None) -> None:
    """Draw a picture of `charts.diagram`; with frames of `charts.steps`, a player too.

    Playing and stepping send no message to the server, and new data leaves the step where it is.

    Args:
        summary: The picture in one sentence, for screen readers.
        words: The picture part by part, for screen readers.
        caption: A line below the picture.
        start: The step that is shown first, from 1.
        on_pick: Called with a step that the visitor picks for all views; None offers no such button.
        cell: The picture of one cell, which the frames fill too: as `wide` and as `tall`, and a `note` below it.
    """
    def picked() -> None:
        step = st.session_state[key].picked
        if on_pick and isinstance(step, int) and 1 <= step <= len(frames):  # a browser may send anything
            on_pick(step)

    _component(data={**picture, "summary": summary, "words": list(words), "caption": caption, "frames": list(frames),
                     "start": start, "can_pick": on_pick is not None, "cell": cell}, key=key, on_picked_change=picked)
