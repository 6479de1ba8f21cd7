"""What becomes of the answers without a part of the network: silent units, a pinned gate, attention spread evenly."""

import pandas as pd
import streamlit as st

from echo_app.charts import inspection
from echo_app.formatting import percent
from echo_app.panels.inside import pieces
from echo_app.panels.inside.look import BY_MOMENT, Look, affordable
from echo_app.web.shared_cache import shared_cache
from echo_core.config import RunConfig
from echo_core.inspection.inside import gate_names, layer_names
from echo_core.inspection.inspecting import INSPECTIONS
from echo_core.inspection.interventions import Part, accuracy_without, parts

TITLE = "What if a part were missing?"

#: Sequences of the inspection and the fewest that are judged, and units that can be silenced one by one.
_ALL, _FEWEST, _MOST_UNITS = INSPECTIONS["ablation"].sequences, 10, 8
#: Answers that are computed together: those without all parts to few sequences, or without a single one to many.
_TOGETHER = 256
#: The row of the whole network.
_NONE, _WHOLE = "none", "Nothing: the whole network"

#: What each gate does when it is pinned, by its name in `gate_names`.
_PINNED = {
    "input": "**Input gate** shut: nothing new is written into the memory; open: all that is read is written.",
    "forget": "**Forget gate** shut: the memory is dropped at every timestep; open: all of it is kept, for ever.",
    "output": "**Output gate** shut: nothing of the memory is shown to the rest; open: all of it.",
    "update": "**Update gate** shut: the state is overwritten at every timestep; open: it never changes.",
    "reset": "**Reset gate** shut: what is written ignores the old state; open: it takes all of it into account.",
}


def draw(look: Look) -> None:
    """Draw accuracy without each part, at one output with intervals and at all outputs as a heat map."""
    config = look.config
    if not config.traits.num_recurrent_layers:
        st.info("This network has no recurrent layer, so there is neither a gate to pin nor a unit to silence.",
                icon=":material/info:")
        return
    st.markdown("One part at a time is taken out of the trained network, and the rest answers sequences that it has "
                "never seen. **Read a row:** the further its dot is to the left of the grey line, which is the whole "
                "network, the more that part is needed. The dashed line is chance; the bar through a dot is a 95 % "
                "interval.")
    units = st.multiselect("Silence single units", range(1, config.units + 1), max_selections=_MOST_UNITS,
                           placeholder="Choose units by their number", key=f"missing_units_{config.units}")
    used = pieces.wanted(look, "ablation", _affordable_sequences(config), _ALL)
    table = _table(look, used, units)
    st.markdown(finding(config, table))
    _pictures(config, table)
    pieces.offer_more(look, "ablation", int(table.n.max()), _ALL)
    if gates := gate_names(config):
        st.caption("A gate lets through a share between nothing and all; pinned, it is always shut or always open. "
                   + " ".join(_PINNED[gate] for gate in gates))
    pieces.numbers(table.drop(columns="name"), "missing")


def _affordable_sequences(config: RunConfig) -> int:
    """Sequences that can be judged without each part in about half a second."""
    passes = 1 + len(layer_names(config)) * (2 * len(gate_names(config)) + 1)
    at_once = 2 if config.traits.has_attention else 5  # passes in the time that `affordable` counts for one
    return min(_ALL, max(_FEWEST, at_once * affordable(config, _ALL * passes) // passes))


def _table(look: Look, sequences: int, units: list[int]) -> pd.DataFrame:
    always, every = list(parts(look.config, look.weights)), list(parts(look.config, look.weights, units=units))
    known = {part.name for part in always}
    chosen = [part for part in every if part.name not in known]
    size = max(1, _TOGETHER // sequences)
    groups = [some[first:first + size] for some in (always, chosen) for first in range(0, len(some), size)]
    tables = [_accuracy(look, group, sequences)
              for group in pieces.with_progress(groups, "Judging the network without its parts")]
    table = pd.concat(tables).set_index("part").loc[[part.name for part in every]].reset_index()
    return table.assign(name=[name_of(look.config, part) for part in table.part])


@shared_cache(max_entries=512, hash_funcs={**BY_MOMENT, Part: lambda part: part.name})
def _accuracy(look: Look, missing: list[Part], sequences: int) -> pd.DataFrame:
    return accuracy_without(look.config, missing, sequences)


def name_of(config: RunConfig, part: str) -> str:
    """A part as people read it: `encoder forget gate shut -> Encoder: forget gate shut`."""
    if part == _NONE:
        return _WHOLE
    layers = layer_names(config)
    for layer in layers:
        if part.startswith(f"{layer} "):
            rest = part.removeprefix(f"{layer} ")
            return f"{layer.capitalize()}: {rest}" if len(layers) > 1 else rest.capitalize()
    return part.capitalize()


def finding(config: RunConfig, table: pd.DataFrame) -> str:
    """The parts without which most and least is lost, over all outputs, in Markdown."""
    means = dict(table.groupby("name", sort=False).accuracy.mean())
    whole, others = float(means.pop(_WHOLE)), {str(name): float(mean) for name, mean in means.items()}
    if whole <= 2 / config.vocab_size and config.task != "pairs":
        return (f"**There is little to lose:** with all its parts the network gets {percent(whole)} of the answers "
                "right, about as many as a guess.")
    most, least = min(others, key=others.__getitem__), max(others, key=others.__getitem__)
    if whole - others[most] < 0.02:
        return f"**No single part is needed:** without any of them it still gets {percent(others[most])} right."
    return (f"The whole network gets **{percent(whole)}** of the answers right. Most is lost with "
            f"{_alike(others, most)}: **{percent(others[most])}** stay right. Least is lost with "
            f"{_alike(others, least)}: {percent(others[least])} stay right.")


def _alike(means: dict[str, float], part: str) -> str:
    """A part by name, or how many are as good as it: so many percent stay right without any of them."""
    same = [name for name, mean in means.items() if percent(mean) == percent(means[part])]
    return f"any one of {len(same)} parts" if len(same) > 2 else " or ".join(f"*{name}*" for name in same)


def _pictures(config: RunConfig, table: pd.DataFrame) -> None:
    outputs = sorted(table.output.unique().tolist())
    several = len(outputs) > 1
    left, right = st.columns(2, gap="medium") if several else (st.container(), None)
    with left:
        output = st.select_slider("At output", outputs, key=f"missing_output_{len(outputs)}") if several else outputs[0]
        shown = table[table.output == output]
        whole = float(shown.accuracy[shown.part == _NONE].iloc[0])
        chance = None if config.task == "pairs" else 1 / config.vocab_size
        st.vega_lite_chart(shown, inspection.accuracy_by_name(len(shown), "name", whole, chance), key="missing_one",
                           alt=f"Accuracy at output {output} without each part, with intervals")
    if right:
        with right:
            st.markdown("At every output")
            spec = inspection.accuracy_of_parts(len(shown), len(outputs))
            st.vega_lite_chart(table, spec, key="missing_all",
                               alt="Heat map of accuracy: a row for each missing part, a column for each output")
