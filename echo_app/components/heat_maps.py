"""Heat maps of units by timesteps on one canvas, with one cursor (timestep, unit) through all of them.

The values travel as bytes, because 512 units and 50 timesteps are 25,600 numbers a map: each value is the nearest of
255 steps between the ends of its map's scale, and byte 255 is no value. The readout rounds to that step.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray

#: Steps between the ends of a scale, an even number so that zero is one of them; and the byte where no value is.
STEPS, NOTHING = 254, 255

HTML = """<div class="maps">
  <p id="readout" class="readout" aria-live="polite"></p>
  <canvas tabindex="0" role="application" aria-describedby="readout"></canvas>
  <div class="zoom"><button type="button"></button><label hidden>Units from the top
    <input type="range" min="0" step="1"></label><span></span></div>
</div>"""

CSS = """
.maps { position: relative; color: var(--st-text-color); font-family: var(--st-font); font-size: 0.875rem; }
.maps canvas { display: block; width: 100%; cursor: crosshair; touch-action: pan-y; border-radius: 4px; }
.maps canvas:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 3px; }
.readout { position: sticky; top: 3.75rem; z-index: 1; margin: 0 0 0.5rem; padding: 0.4rem 0.6rem; min-height: 2.9em;
  line-height: 1.45; border-radius: 6px; background: var(--st-secondary-background-color);
  font-variant-numeric: tabular-nums; }
.readout strong { display: block; font-weight: 600; }
.readout span { display: inline-block; margin-right: 1.1em; white-space: nowrap; }
.narrow .readout { min-height: 6.6em; }
.zoom { display: flex; gap: 0.8rem; align-items: center; flex-wrap: wrap; margin-top: 0.3rem; }
.zoom button { font: inherit; color: inherit; background: transparent; cursor: pointer; padding: 0.25rem 0.7rem;
  border: 1px solid var(--st-widget-border-color, var(--st-border-color)); border-radius: var(--st-button-radius); }
.zoom button:is(:hover, :focus-visible) { border-color: var(--st-primary-color); color: var(--st-primary-color); }
.zoom label { display: flex; gap: 0.5rem; align-items: center; }
.maps [hidden] { display: none; }
"""

_component = st.components.v2.component(
    "echo_heat_maps", html=HTML, css=CSS, js=Path(__file__).with_name("heat_maps.js").read_text("utf-8"))


class Cell(NamedTuple):
    """A place in the maps of a layer; timestep and unit count from 1, timesteps over all layers."""

    layer: int
    timestep: int
    unit: int


@dataclass(frozen=True, eq=False)
class Layer:
    """The rows and columns of the maps of one recurrent layer.

    Attributes:
        first: Its first timestep.
        steps: What happens at each timestep, in words for the readout.
        ticks: The same as short as can be, for the axis; empty where there is nothing to say.
        units: The number of each row's unit, from the top.
        groups: Rows that belong together, from the top: the input position they carry, and the number of rows.
        notes: What is known of each row's unit, for the readout.
    """

    name: str
    first: int
    steps: Sequence[str]
    ticks: Sequence[str]
    units: Sequence[int]
    groups: Sequence[tuple[int, int]] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class HeatMap:
    """One quantity, over one layer or several that follow each other in time.

    Attributes:
        title: What stands above it.
        name: What the readout calls the quantity.
        of: Whose it is, where maps of two networks have one name.
        low: The value at the lower end of its scale. Below 0 the scale is centred on zero: `low` is `-high`.
        layers: The places of its layers in the list of layers.
        values: Of each of these layers, (units, timesteps), rows as in `Layer.units`; NaN where there is no value.
    """

    title: str
    name: str
    low: float
    high: float
    layers: Sequence[int]
    values: Sequence[NDArray[np.floating]]
    of: str = ""


def heat_maps(maps: Sequence[HeatMap], layers: Sequence[Layer], label: str, cursor: Cell, key: str,
              on_choose: Callable[[Cell], None], most_columns: int = 3) -> None:
    """Draw heat maps.

    Args:
        label: What they show, for those who cannot see them.
        cursor: Where the cursor is until the visitor moves it. A move sends nothing to the server.
        key: Of the widget.
        on_choose: Called before the rerun that follows a click, or Enter, on a cell.
        most_columns: Maps beside each other at most.
    """
    def chosen() -> None:
        cell = st.session_state[key].chosen
        if isinstance(cell, list) and len(cell) == 3 and all(isinstance(part, int) for part in cell):
            on_choose(Cell(*cell))

    _component(key=key, data=packed(maps, layers, label, cursor, most_columns), on_chosen_change=chosen)


def packed(maps: Sequence[HeatMap], layers: Sequence[Layer], label: str, cursor: Cell, most_columns: int = 3) -> bytes:
    """What the browser gets: the length of a description in JSON (4 bytes, little-endian), it, and the maps' bytes.

    The bytes of the maps follow each other, and in a map those of its layers, row by row.
    """
    described = json.dumps({
        "label": label, "cursor": list(cursor), "columns": most_columns,
        "maps": [{"title": each.title, "name": each.name, "of": each.of, "low": each.low, "high": each.high,
                  "layers": list(each.layers)} for each in maps],
        "layers": [{"name": layer.name, "first": layer.first, "steps": list(layer.steps), "ticks": list(layer.ticks),
                    "units": list(layer.units), "groups": [list(group) for group in layer.groups],
                    "notes": list(layer.notes)} for layer in layers]}).encode()
    values = (quantised(array, each.low, each.high).tobytes() for each in maps for array in each.values)
    return b"".join([len(described).to_bytes(4, "little"), described, *values])


def quantised(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """Values as steps of a scale from 0 to `STEPS`, those outside of it at its ends, and `NOTHING` for NaN."""
    steps = np.round((np.asarray(values, np.float64) - low) * (STEPS / (high - low)))
    return np.where(np.isnan(steps), NOTHING, np.clip(steps, 0, STEPS)).astype(np.uint8)
