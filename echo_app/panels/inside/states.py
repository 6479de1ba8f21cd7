"""State and gates: heat maps of what each layer holds and lets through, lines of single units, and what is kept."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from echo_app.charts import inside as pictures
from echo_app.charts.cell import percent
from echo_app.charts.network import has_meters
from echo_app.components.heat_maps import Cell, HeatMap, Layer, heat_maps
from echo_app.panels.inside import pieces
from echo_app.panels.inside.look import TIMESTEP, UNIT, Look, affordable, inside, inspected
from echo_app.panels.inside.steps import TITLE as STEP_BY_STEP
from echo_core.config.cells import CELLS
from echo_core.inspection.gates import OPEN, SHUT
from echo_core.inspection.inside import gate_names, layer_names
from echo_core.inspection.inspecting import INSPECTIONS
from echo_core.records import Floats
from echo_core.text.plurals import counted

TITLE = "State and gates"

#: Keys of `st.session_state`: the order of units that is kept, and the run that it is of.
_KEPT_ORDER = "inside_order"
_STATE, _HIDDEN = "cell state c", "hidden state h"
_TITLES: Mapping[str, str] = MappingProxyType({
    _STATE: "Cell state c: the memory", _HIDDEN: "Hidden state h: what it shows",
    "input": "Input gate: lets news in", "forget": "Forget gate: open keeps, shut drops",
    "output": "Output gate: shows the memory", "update": "Update gate: open keeps, shut replaces",
    "reset": "Reset gate: looks at the old state"})
#: Columns of the inspection `keeping`, in words.
_KEPT: Mapping[str, str] = MappingProxyType({"kept_by_a_tenth": "The tenth that keeps most", "kept": "Mean of all"})
_FIRST_LINES = 4
#: Groups of units that the sentence about their order counts.
_MOST_GROUPS = 6
#: Sequences that it takes to sort units.
_FEWEST_TO_SORT = INSPECTIONS["units"].fewest
#: A scale around zero ends at one of these or at ten, a tenth, … of it: at the first that holds all values.
_ENDS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)


class Quantity(NamedTuple):
    """One quantity of every recurrent layer for the window at hand; `values` are (timesteps, units) each."""

    name: str
    title: str
    values: Sequence[Floats]

    @property
    def is_gate(self) -> bool:
        """Whether it goes from 0 to 1."""
        return self.name.endswith("gate")


def draw(look: Look) -> None:
    """Draw the view."""
    st.subheader("What it holds, and what its gates let through", anchor=False)
    config = look.config
    if not config.traits.num_recurrent_layers:
        st.info("This network has no recurrent layer, so it holds no state and has no gates: it sees one number at a "
                "time and forgets it at once.", icon=":material/block:")
        return
    st.markdown(_READ_IT + ("" if gate_names(config) else " A simple RNN has no gates: each step overwrites its whole "
                                                          "state."))
    orders = kept_orders(look)
    layers = layers_of(look, orders)
    chosen = f"inside_units_{look.run.run_id}"
    if chosen not in st.session_state:
        first = remembering_units(quantities(look)[0].values[0], layers[0])[:_FIRST_LINES]
        st.session_state[chosen] = [_unit_name(layers[0], unit) for unit in first]
    heat_maps(maps_of(quantities(look), layers), layers, f"Heat maps of state and gates: units by timesteps, for the "
              f"window at hand. {_KEYS}", cursor_of(layers), "inside_maps",
              on_choose=lambda cell: _choose(cell, layers, chosen))
    _say_order(look, layers)
    pieces.numbers(value_table(quantities(look), layers), "inside_states", "The numbers in the maps")
    _lines(look, layers, chosen)
    if gate_names(config):
        _keeping(look)


# --- heat maps ----------------------------------------------------------------------------------------


def quantities(look: Look) -> list[Quantity]:
    """The states and gates of the window at hand, the memory first."""
    layers = inside(look).layers
    found = [(_STATE, [layer.cell[0] for layer in layers if layer.cell is not None]),
             (_HIDDEN, [layer.hidden[0] for layer in layers]),
             *((gate, [layer.gates[gate][0] for layer in layers])
               for gate in sorted(layers[0].gates, key=("forget", "update", "input", "reset", "output").index))]
    return [Quantity(name if name in (_STATE, _HIDDEN) else f"{name} gate", _TITLES[name], values)
            for name, values in found if values]


def scale_of(*quantities: Quantity) -> tuple[float, float]:
    """The ends of one scale for a quantity, or for the same quantity of several networks."""
    if quantities[0].is_gate:
        return 0.0, 1.0
    largest = max(float(np.abs(values).max()) for quantity in quantities for values in quantity.values)
    unit = 10 ** np.floor(np.log10(max(largest, 0.1)))
    end = float(next(unit * end for end in _ENDS if unit * end >= largest))
    return -end, end


def maps_of(found: Sequence[Quantity], layers: Sequence[Layer]) -> list[HeatMap]:
    """A heat map of each quantity, rows in the order of the layers' units."""
    return [HeatMap(each.title, each.name, *scale_of(each), range(len(layers)), rows_of(each, layers))
            for each in found]


def rows_of(quantity: Quantity, layers: Sequence[Layer]) -> list[Floats]:
    """The values of a quantity, (units, timesteps) for each layer, rows in the order of its units."""
    return [values.T[np.asarray(layer.units) - 1] for values, layer in zip(quantity.values, layers, strict=True)]


def kept_orders(look: Look) -> pd.DataFrame:
    """Draw a switch that keeps the order of units. Returns the inspection `units` of the state that is sorted by."""
    is_kept = st.toggle("Keep this order of units", key="inside_keep_order",
                        help="While you move to other moments of this run, so that you see the same units change.")
    run_id, kept = st.session_state.get(_KEPT_ORDER, ("", pd.DataFrame()))
    order: pd.DataFrame = kept if is_kept and run_id == look.run.run_id else order_of(look)
    st.session_state[_KEPT_ORDER] = look.run.run_id, order
    return order


def order_of(look: Look) -> pd.DataFrame:
    """The inspection `units` of the state that units are sorted by: c where there is one, and else h.

    Few sequences show no order: units then are in that of their numbers, and the position is 0.
    """
    used = _used(look, "units")
    if used < _FEWEST_TO_SORT:
        return pd.concat([pd.DataFrame({"layer": layer, "unit": np.arange(1, look.config.units + 1), "position": 0})
                          for layer in layer_names(look.config)], ignore_index=True)
    with st.spinner(f"Sorting units by {used:,} sequences …"):
        table = inspected(look, "units", used)
    return table[table.state == ("c" if (table.state == "c").any() else "h")]


def _say_order(look: Look, layers: Sequence[Layer]) -> None:
    used, most = _used(look, "units"), INSPECTIONS["units"].sequences
    order = _ORDER.format(groups_in_words(layers)) if used >= _FEWEST_TO_SORT else _UNSORTED
    st.caption(f"{_KEYS} {order}")
    if used >= _FEWEST_TO_SORT:
        pieces.offer_more(look, "units", used, most, is_random=True)
    else:
        st.button(f"Sort them by {most:,} sequences", key="inside_sort", icon=":material/sort:",
                  on_click=pieces.ask_for_all, args=("units", look.moment), help="Takes a while at this size.")


def _used(look: Look, what: str) -> int:
    """Sequences of an inspection: three of them are drawn in the time of one view."""
    most = INSPECTIONS[what].sequences
    return pieces.wanted(look, what, affordable(look.config, most, passes=2), most)


def layers_of(look: Look, orders: pd.DataFrame) -> list[Layer]:
    """Rows and columns of the maps of each recurrent layer, units sorted by the input position they carry best."""
    config, first, found = look.config, 1, []
    for place, (name, layer) in enumerate(zip(layer_names(config), inside(look).layers, strict=True)):
        order, timesteps = orders[orders.layer == name], layer.hidden.shape[1]
        steps, ticks = _says(timesteps) if place else _reads(look, timesteps)
        positions, rows = np.unique(order.position.to_numpy(), return_counts=True)
        groups = [group for group in zip(positions.tolist(), rows.tolist(), strict=True) if group[0]]
        found.append(Layer(name_of(look, name), first, steps, ticks, order.unit.tolist(), groups,
                           [_note(row) for row in order.itertuples()]))
        first += timesteps
    return found


def groups_in_words(layers: Sequence[Layer]) -> str:
    """How many units of each layer carry which number best: `encoder: 2 units number 1, 1 unit number 3`."""
    return "; ".join(f"{layer.name}: " * (len(layers) > 1) + ", ".join(
        [f"{counted(count, 'unit')} number {position}" for position, count in layer.groups[:_MOST_GROUPS]]
        + ["and so on"] * (len(layer.groups) > _MOST_GROUPS)) for layer in layers if layer.groups)


def _note(row: Any) -> str:
    if not row.position:
        return ""
    return f"carries number {row.position} best, which explains {percent(row.unseen)} of how its value varies" \
        if row.unseen >= 0.005 else "carries no number"


def name_of(look: Look, layer: str) -> str:
    """A recurrent layer's name on the page: `encoder`, or the title of its cell."""
    return layer if layer in ("encoder", "decoder") else CELLS[look.config.cell].title


def _reads(look: Look, timesteps: int) -> tuple[list[str], list[str]]:
    config = look.config
    if config.traits.reads_all_at_once:
        return [f"reads all {config.input_length} numbers"], ["all"]
    names = [("gap" if token == config.vocab_size else config.vocabulary[token] if config.text else str(token))
             for token in look.window.tolist()]
    return [f"reads {name}" for name in names[:timesteps]], names[:timesteps]


def _says(timesteps: int) -> tuple[list[str], list[str]]:
    return ([f"writes answer {place + 1}" for place in range(timesteps)],
            [f"y{place + 1}" for place in range(timesteps)])


def cursor_of(layers: Sequence[Layer]) -> Cell:
    """The cursor of all views, as a cell of these layers."""
    session = st.session_state
    timestep = session.get(TIMESTEP) or 1
    layer = max((place for place, each in enumerate(layers) if each.first <= timestep), default=0)
    return Cell(layer, timestep, session.get(UNIT) or layers[layer].units[0])


def _choose(cell: Cell, layers: Sequence[Layer], chosen: str) -> None:
    """Callback: move the cursor of all views, and draw a line of the unit."""
    session = st.session_state
    session[TIMESTEP], session[UNIT] = cell.timestep, cell.unit
    unit = _unit_name(layers[cell.layer], cell.unit)
    session[chosen] = [*(each for each in session.get(chosen, []) if each != unit), unit][-pictures.MOST_LINES:]


def value_table(found: Sequence[Quantity], layers: Sequence[Layer]) -> pd.DataFrame:
    """A row for each quantity, layer and unit, in the order of the maps, and a column for each timestep."""
    tables = []
    for each in found:
        for values, layer in zip(rows_of(each, layers), layers, strict=True):
            table = pd.DataFrame(values, columns=[f"t{layer.first + step}" for step in range(len(layer.steps))])
            tables.append(pd.DataFrame({"quantity": each.name, "layer": layer.name, "unit": layer.units}).join(table))
    return pd.concat(tables, ignore_index=True)


# --- lines --------------------------------------------------------------------------------------------


def _unit_name(layer: Layer, unit: int) -> str:
    return f"{layer.name} {unit}"


def remembering_units(state: Floats, layer: Layer) -> list[int]:
    """The units of a layer, first those that look most like a memory of the number that they carry.

    Their value moves much as that number is read, and little afterwards. Of the number that is read last nobody can
    tell whether it is kept.

    Args:
        state: Of the window at hand, (timesteps, units).
    """
    lines, likeness = np.concatenate([np.zeros_like(state[:1]), state]), dict[int, float]()
    positions = [position for position, count in layer.groups for _ in range(count)]
    for unit, position in zip(layer.units, positions, strict=False):  # a large network has no groups
        if position < len(state):
            line = lines[position - 1:, unit - 1]  # from just before it reads its number
            likeness[unit] = float(abs(line[1] - line[0]) - np.abs(line[1:] - line[1]).max())
    return sorted(layer.units, key=lambda unit: -likeness.get(unit, -np.inf))


def _lines(look: Look, layers: Sequence[Layer], chosen: str) -> None:
    st.markdown(_LINES)
    found = {each.name: each for each in quantities(look)}
    names = [_unit_name(layer, unit) for layer in layers for unit in layer.units]
    with st.container(horizontal=True, vertical_alignment="bottom", key="inside_lines_controls"):
        what = st.segmented_control("Quantity", list(found), key="inside_line_quantity", default=next(iter(found)),
                                    required=True, wrap=True)
        picked = st.multiselect("Units, up to eight; a click on a map adds one", names, key=chosen,
                                max_selections=pictures.MOST_LINES)
    quantity = found.get(what or "", next(iter(found.values())))
    table = line_table(quantity, layers, picked)
    low, high = scale_of(quantity._replace(values=[table.value.to_numpy(float)] if len(table) else quantity.values))
    steps = (int(table.timestep.min()), int(table.timestep.max())) if len(table) else (1, _last(layers[-1]))
    st.vega_lite_chart(table, pictures.unit_lines(tuple(picked), quantity.name.capitalize(), low, high, steps),
                       alt=f"{quantity.name} of {len(picked)} chosen units against timesteps")
    if len(layers) > 1:
        st.caption(" ".join(f"Units of the {layer.name} have values at timesteps {layer.first} to {_last(layer)}."
                            for layer in layers))


def line_table(quantity: Quantity, layers: Sequence[Layer], picked: Sequence[str]) -> pd.DataFrame:
    """The values of some units by timestep: unit (by name), timestep, value; without gaps."""
    tables = [pd.DataFrame({"unit": name, "timestep": layer.first + np.arange(len(values)),
                            "value": values[:, unit - 1]})
              for values, layer in zip(quantity.values, layers, strict=True) for unit in layer.units
              if (name := _unit_name(layer, unit)) in picked]
    columns = pd.DataFrame(columns=["unit", "timestep", "value"])
    return pd.concat(tables, ignore_index=True).dropna() if tables else columns


def _last(layer: Layer) -> int:
    return layer.first + len(layer.steps) - 1


# --- keeping ------------------------------------------------------------------------------------------


def _keeping(look: Look) -> None:
    """Draw how long the forget gate keeps, beside how often gates are nearly open or shut."""
    names, gate = layer_names(look.config), "forget" if look.config.cell == "lstm" else "update"
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**How long the {gate} gate keeps.** Of what was written at one timestep (row), this much is left "
                    f"after a later one (column), in percent: the {gate} gate's values multiplied. "
                    + _OF_LITTLE.format("input gate" if gate == "forget" else "update gate, as it did not keep,")
                    + (_OTHER_MEASURE if has_meters(look.config) else ""))
        layer = names[0]
        with st.container(horizontal=True, key="inside_keeping_controls"):
            if len(names) > 1:
                layer = st.segmented_control("Layer", names, key="inside_keeping_layer", default=layer, required=True)
            column = st.segmented_control("Units", list(_KEPT), key="inside_keeping_units", default=next(iter(_KEPT)),
                                          required=True, format_func=_KEPT.__getitem__)
        st.html(pictures.SHADED_STYLE + pictures.kept(inspected(look, "keeping", _used(look, "keeping")),
                                                      inspected(look, "gates", _used(look, "gates")), layer, column))
        pieces.offer_more(look, "keeping", _used(look, "keeping"), INSPECTIONS["keeping"].sequences,
                          is_random=True)
        pieces.numbers(inspected(look, "keeping", _used(look, "keeping")), "inside_keeping",
                       "The numbers of how long it keeps")
    with right:
        does = "drops" if gate == "forget" else "replaces"
        st.markdown(f"**How often gates are nearly open or shut.** Share of units and sequences, in percent, in which "
                    f"a gate is above {OPEN} (open) or below {SHUT} (shut) at a timestep. An open {gate} gate keeps, a "
                    f"shut one {does}.")
        st.html(pictures.SHADED_STYLE + pictures.gate_shares(inspected(look, "gates", _used(look, "gates"))))
        pieces.offer_more(look, "gates", _used(look, "gates"), INSPECTIONS["gates"].sequences)
        pieces.numbers(inspected(look, "gates", _used(look, "gates")), "inside_gates",
                       "The numbers of open and shut gates")


# --- words --------------------------------------------------------------------------------------------

_READ_IT = ("Each row is one unit, a single value of the layer's memory with gates of its own, and each column one "
            "timestep, for the window at hand. A state is blue below zero, orange above, and pale near zero; a gate is "
            "empty when it is shut and full when it is open.")
_LINES = ("**Single units over time.** A memory looks like a step: the line moves as its number is read, and stays "
          "level while others pass by. A line that goes on moving takes in more than one number.")
_OF_LITTLE = ("It is a share of whatever was written, however little: 99\u00a0% of almost nothing is almost nothing. "
              "So each row also says how much of what was new the {} let in, as a mean of all units.")
_OTHER_MEASURE = (f" All this is of the gate alone, over many sequences. The orange bars of *{STEP_BY_STEP}* are "
                  "another measure: there a unit counts by how much was written into it, in the window at hand.")
_KEYS = "Point at a cell, or use arrow keys, Home and End; a click or Enter picks the unit for the lines below."
_ORDER = ("Units are sorted by the input position whose number explains most of the unit's value, though several carry "
          "parts of others. A line ends each group; the small number beside it is the position that its units carry "
          "best ({}). The order is found on one half of some random sequences and checked on the other.")
_UNSORTED = ("Units are in the order of their numbers: it takes more sequences to see which input position each "
             "carries best, and to sort them by that.")
