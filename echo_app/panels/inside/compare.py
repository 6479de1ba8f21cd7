"""Before and after: two moments of a run, or two runs, on the same window and the same scales."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from echo_app.charts import answers
from echo_app.charts import inside as pictures
from echo_app.components.heat_maps import Cell, HeatMap, Layer, heat_maps
from echo_app.panels.inside import pieces, states
from echo_app.panels.inside.look import TIMESTEP, UNIT, Look, affordable, inspected, pick_other
from echo_core.config.presets import short_name
from echo_core.evaluation.asking import ask, spell_question
from echo_core.inspection.inspecting import INSPECTIONS

TITLE = "Before and after"


def draw(look: Look) -> None:
    """Draw the view."""
    st.subheader("Two moments, or two runs, side by side", anchor=False)
    st.markdown("Both networks read the window at hand, and both pictures of a quantity have one scale, so a deeper "
                "colour is a larger value. Pick the untrained network, epoch 0, to see what training has changed.")
    other = pick_other(look)
    if other is None:
        return
    if not other.is_finite:
        st.info("That network's weights are no finite numbers any more: its training diverged. Pick an earlier epoch.",
                icon=":material/info:")
        return
    looks, names = (other, look), names_of(other, look)
    titles = _titles(looks, names)
    _answers(looks, titles)
    _accuracies(looks, titles)
    if all(each.config.traits.num_recurrent_layers for each in looks):
        _maps(looks, names)
    else:
        st.info("A network without a recurrent layer has no state and no gates to compare.", icon=":material/block:")


def names_of(other: Look, look: Look) -> tuple[str, str]:
    """The two networks in short: by epoch, or by a letter where these are two runs."""
    if other.run.run_id == look.run.run_id:
        return f"epoch {other.checkpoint.epoch:,}", f"epoch {look.checkpoint.epoch:,}"
    return "A", "B"


def _titles(looks: Sequence[Look], names: Sequence[str]) -> list[str]:
    if names[0] != "A":
        return [name.capitalize() for name in names]
    return [f"{name}: {short_name(each.config)}, epoch {each.checkpoint.epoch:,}"
            for name, each in zip(names, looks, strict=True)]


def _answers(looks: Sequence[Look], names: Sequence[str]) -> None:
    st.html(answers.STYLE)
    for column, each, name in zip(st.columns(2, gap="large"), looks, names, strict=True):
        with column:
            st.text(f"{name} answers")  # as text, because a run's name may hold words that were typed
            st.html(answers.answer(ask(each.config, each.weights, spell_question(each.config, each.window))))


def _accuracies(looks: Sequence[Look], names: Sequence[str]) -> None:
    most = INSPECTIONS["errors"].sequences
    tables = [inspected(each, "errors", affordable(each.config, most)) for each in looks]
    outputs = sorted({output for table in tables for output in table.output})
    rows = [pictures.Row(name, pictures.accuracies(table, "output", outputs))
            for name, table in zip(names, tables, strict=True)]
    st.html(pictures.SHADED_STYLE + pictures.shaded("Answers right by place, in percent, on new sequences", "network",
                                                    [str(output) for output in outputs], rows))
    pieces.numbers(pd.concat([table.assign(network=name) for name, table in zip(names, tables, strict=True)]),
                   "inside_compared")


def _maps(looks: Sequence[Look], names: Sequence[str]) -> None:
    maps, layers, is_one_order = compared_maps(looks, names)
    heat_maps(maps, layers, f"Heat maps of the same quantities of {names[0]} and {names[1]}, side by side.",
              states.cursor_of(layers), "inside_compared_maps", on_choose=_move_cursor, most_columns=2)
    st.caption(("Units of both are in the order of the second network's memory." if is_one_order else
                "Units of two runs do not correspond, so each network's are sorted by what they carry.")
               + " An open forget gate keeps, a shut one drops." * any(each.name == "forget gate" for each in maps))


def compared_maps(looks: Sequence[Look], names: Sequence[str]) -> tuple[list[HeatMap], list[Layer], bool]:
    """Heat maps of the quantities that both networks have, in pairs on one scale; their layers; and whether both have
    the same order of units, which two moments of a run have."""
    first, second = looks
    is_one_order = first.run.run_id == second.run.run_id
    own = states.layers_of(second, states.order_of(second))
    layers = own if is_one_order else [*states.layers_of(first, states.order_of(first)), *own]
    before = len(layers) - len(own)
    places = range(len(own)) if is_one_order else range(before), range(before, len(layers))
    found = [{each.name: each for each in states.quantities(look)} for look in looks]
    maps = []
    for name in found[0]:
        if name in found[1]:
            pair = [of[name] for of in found]
            low, high = states.scale_of(*pair)
            maps += [HeatMap(f"{quantity.name.capitalize()}, {title}", quantity.name, low, high, place,
                             states.rows_of(quantity, [layers[layer] for layer in place]), title)
                     for quantity, title, place in zip(pair, names, places, strict=True)]
    return maps, layers, is_one_order


def _move_cursor(cell: Cell) -> None:
    """Callback: move the cursor of all views."""
    st.session_state[TIMESTEP], st.session_state[UNIT] = cell.timestep, cell.unit
