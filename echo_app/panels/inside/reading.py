"""What can be read from the state, and when: probes, with their controls; and whether the answer hangs on the state."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from echo_app.charts import inside as pictures
from echo_app.charts.cell import percent as whole_percent
from echo_app.formatting import duration, percent
from echo_app.panels.inside import pieces
from echo_app.panels.inside.look import BY_MOMENT, Look, affordable, untrained
from echo_app.web.shared_cache import shared_cache
from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.data import TASKS
from echo_core.inspection.inspecting import INSPECTIONS, used
from echo_core.inspection.interventions import reading_steps
from echo_core.inspection.probing import NUM_FEATURES, SEQUENCES_A_FEATURE, probe_steps

TITLE = "What can be read"

#: Share of sequences from which on a number counts as readable.
READABLE = 0.5
_STATES: Mapping[str, str] = MappingProxyType({"hc": "Both", "c": "Cell state c", "h": "Hidden state h"})
_PROBES: Mapping[str, str] = MappingProxyType({"linear": "Linear", "nonlinear": "Non-linear"})
#: Multiplications a second; seconds that a probe may take with the sequences it uses unasked; above these, a picture
#: stops after a moment until it is asked to go on.
_A_SECOND, _UNASKED, _LONGEST, _MOMENT = 2e10, 1.5, 6.0, 0.7
_FEWEST_TO_FIT = 2000
_ASKED = "inside_asked"

Draw = Callable[[pd.DataFrame], None]


def draw(look: Look) -> None:
    """Draw the view."""
    st.subheader("What can be read from the state, and when", anchor=False)
    config = look.config
    if not config.traits.num_recurrent_layers:
        st.info("This network has no recurrent layer, so there is no state to read from: it sees one number at a time.",
                icon=":material/block:")
        return
    noun = pieces.noun(config)
    st.markdown(f"After each timestep a *probe* tries to read every {noun} of the input from the state alone. It is "
                f"trained beside the network and changes nothing in it. Each row is a {noun} of the input, each column "
                f"a timestep, and a cell says in how many percent of unseen sequences the probe reads it. From "
                f"{whole_percent(READABLE)} on a {noun} counts as *readable*.")
    state, kind = _controls(config)
    table = _probed(look, state, kind)
    st.caption(_words(look, table))
    pieces.numbers(table, "inside_probe", "The numbers of what can be read")
    st.subheader("Is it used?", anchor=False)
    _swaps(look)


def _controls(config: RunConfig) -> tuple[str, str]:
    """Draw what to read, and how; a cell without c has one state."""
    with st.container(horizontal=True, key="inside_probe_controls"):
        state = "h"
        if CELLS[config.cell].num_states > 1:
            state = st.segmented_control("Read from", list(_STATES), key="inside_probe_state", default="hc",
                                         required=True, format_func=_STATES.__getitem__) or "hc"
        kind = st.segmented_control("Probe", list(_PROBES), key="inside_probe_kind", default="linear", required=True,
                                    format_func=_PROBES.__getitem__,
                                    help="A linear probe weighs the units. The non-linear one also sees random "
                                         "mixtures of them, so it finds what is stored by size and not by direction.")
    return state, kind or "linear"


# --- probes -------------------------------------------------------------------------------------------


def _probed(look: Look, state: str, kind: str) -> pd.DataFrame:
    """Draw what a probe reads, and the controls, while it is computed. Returns the rows."""
    most = INSPECTIONS["probe"].sequences
    number = pieces.wanted(look, "probe", sequences_for(look.config, state, kind), most)
    seconds = cost(look.config, state, kind, number) / _A_SECOND
    is_short = seconds <= _LONGEST or number == most or _is_asked(look, "probe")
    progress, place = st.empty(), st.empty()

    def show(found: pd.DataFrame) -> None:
        place.html(pictures.SHADED_STYLE + probe_pictures(look.config, found))

    table = _rows_of(look, state, kind, number, progress, show, math.inf if is_short else _MOMENT)
    steps = reading_steps(look.config, "probe its state")
    if table.timestep.max() < steps:
        progress.button(f"Read after all {steps} timesteps, in about {duration(round(seconds))}",
                        icon=":material/timer:", key="inside_read_on",
                        on_click=_ask, args=(look, "probe"))
        show(table)
        return table
    progress.markdown(summary(look.config, table))
    if look.checkpoint.epoch:
        table = _with_untrained(look, state, kind, number, table, show)
        progress.markdown(summary(look.config, table))
    show(table)
    pieces.offer_more(look, "probe", number, most, is_random=True, is_said=True)
    return table


def _with_untrained(look: Look, state: str, kind: str, number: int, table: pd.DataFrame, show: Draw) -> pd.DataFrame:
    show(table)
    weights = untrained(look)
    if weights is None:
        st.caption("The untrained network, as a control, is shown as soon as a worker has time to make it.")
        return table
    before = replace(look, checkpoint=replace(look.checkpoint, epoch=0, weights=weights, moments=()))
    waiting = st.empty()
    control = _rows_of(before, state, kind, number, waiting, lambda found: show(with_control(table, found)))
    waiting.empty()
    return with_control(table, control)


def with_control(table: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """The table of a network with that of itself before training, as the control `untrained`."""
    return pd.concat([table, before[before.control == "none"].assign(control="untrained")], ignore_index=True)


@shared_cache(max_entries=64, hash_funcs=BY_MOMENT)
def _slot(look: Look, state: str, kind: str, number: int) -> dict[str, pd.DataFrame]:
    """Where the finished table of a probe is kept, for all sessions."""
    return {}


def _rows_of(look: Look, state: str, kind: str, number: int, progress: DeltaGenerator, show: Draw,
             most_seconds: float = math.inf) -> pd.DataFrame:
    """The rows of the inspection `probe` for one state and probe, shown timestep by timestep unless they are kept.

    Args:
        most_seconds: After these no further timestep is begun.
    """
    slot = _slot(look, state, kind, number)
    if "table" in slot or (math.isfinite(most_seconds) and "begun" in slot):
        return slot["table"] if "table" in slot else slot["begun"]
    rows: list[dict[str, object]] = []
    steps, began = reading_steps(look.config, "probe its state"), time.monotonic()
    for done, found in enumerate(probe_steps(look.config, look.weights, number, states=[state], probes=[kind]), 1):
        rows += found
        show(pd.DataFrame(rows))
        share = done * (done + 1) / (steps * (steps + 1))  # each timestep has one number more to read
        seconds = time.monotonic() - began
        left = duration(max(1, round(seconds * (1 - share) / share)))
        progress.progress(share, f"Timestep {done} of {steps}, about {left} left")
        if done < steps and seconds > most_seconds:
            return slot.setdefault("begun", pd.DataFrame(rows))
    return slot.setdefault("table", pd.DataFrame(rows))


def cost(config: RunConfig, state: str, kind: str, sequences: int) -> float:
    """Multiplications of a probe at all timesteps: forward passes, covariances, and fits to two sets of labels."""
    width = config.units * (2 if state == "hc" else 1)
    width += min(NUM_FEATURES, sequences // SEQUENCES_A_FEATURE) if kind == "nonlinear" else 0
    steps = reading_steps(config, "probe its state")
    pairs = steps * (steps + 1) / 2 if steps > 1 else config.input_length
    passes = 2 * sequences * steps * config.units ** 2 * CELLS[config.cell].num_gates
    fits = 2 * pairs * (sequences * width * config.vocab_size + width ** 3)
    return passes + steps * sequences * width ** 2 + fits


def sequences_for(config: RunConfig, state: str, kind: str) -> int:
    """Sequences to fit a probe to: the most, of a few numbers, that take little time; at least `_FEWEST_TO_FIT`."""
    most = INSPECTIONS["probe"].sequences
    counts = (most, most // 2, most // 3, _FEWEST_TO_FIT)
    return next((count for count in counts if cost(config, state, kind, count) < _UNASKED * _A_SECOND), counts[-1])


def _is_asked(look: Look, what: str) -> bool:
    """Whether the visitor has asked for what takes long."""
    return bool(st.session_state.get(_ASKED, {}).get(what) == look.moment)


def _ask(look: Look, what: str) -> None:
    """Callback."""
    st.session_state[_ASKED] = {**st.session_state.get(_ASKED, {}), what: look.moment}


# --- pictures and words of probes ---------------------------------------------------------------------


def asked_for(config: RunConfig) -> set[int]:
    """The positions of the input, from 1, that an answer says again; none of a run with pairs."""
    return set() if config.task == "pairs" else set(TASKS[config.task](config, range(1, config.input_length + 1)))


_CONTROLS: Mapping[str, str] = MappingProxyType({
    "none": "Read from this network, in percent", "untrained": "Control: before training",
    "shuffled": "Control: shuffled labels"})


def probe_pictures(config: RunConfig, table: pd.DataFrame) -> str:
    """A shaded table for the network and for each control: input positions by timesteps."""
    steps = sorted(table.timestep.unique())
    is_whole = steps[-1] == reading_steps(config, "probe its state")
    return '<div class="echo-shaded-row">' + "".join(
        pictures.shaded(title, f"{pieces.noun(config)} ↓ timestep →", [str(step) for step in steps],
                        list(_probe_rows(config, table[table.control == control], steps,
                                         with_fate=is_whole and control == "none")))
        for control, title in _CONTROLS.items() if (table.control == control).any()) + "</div>"


def _probe_rows(config: RunConfig, table: pd.DataFrame, steps: Sequence[int],
                with_fate: bool) -> Iterator[pictures.Row]:
    asked = asked_for(config)
    for position, rows in table.groupby("position", sort=True):
        cells, is_asked = pictures.accuracies(rows, "timestep", steps), position in asked
        yield pictures.Row(f"{position}, asked for" if is_asked else str(position), cells, is_asked,
                           fate([cell.value if cell else None for cell in cells]) if with_fate else "")


def fate(accuracies: Sequence[float | None]) -> str:
    """What becomes of a number, by how well it is read after each timestep; None before it has been read."""
    readable = [step for step, value in enumerate(accuracies, 1) if value is not None and value >= READABLE]
    best = max((value for value in accuracies if value is not None), default=0.0)
    if not readable:
        return f"hardly stored: {whole_percent(best)} at best"
    if sum(value is not None for value in accuracies) == 1:
        return "just read"
    if readable[-1] == len(accuracies):
        return "kept to the end"
    return f"readable until timestep {readable[-1]}"


def summary(config: RunConfig, table: pd.DataFrame) -> str:
    """What the picture says, in some sentences."""
    network = table[table.control == "none"]
    last, first = network[network.timestep == network.timestep.max()], network.groupby("position").timestep.min()
    held = sorted(last.position[last.accuracy >= READABLE])
    gone = sorted(last.position[last.accuracy < READABLE])
    just = [position for position in held if first[position] == network.timestep.max()]  # nothing was held yet
    held = [position for position in held if position not in just]
    asked, noun = asked_for(config), pieces.noun(config)
    if (config.traits.answers_while_reading and not config.traits.has_padding) or not asked:
        parts = [f"After the last timestep it still holds {_listed(noun, held)}."] if held else []
        return " ".join([*parts, *_just_read(noun, just, table)]) or (
            f"After the last timestep no {noun} can be read any more.")
    best = network.groupby("position").accuracy.max()
    kept, lost = ([position for position in some if position in asked] for some in (held, gone))
    never, let_go = ([position for position in gone if position not in asked and (best[position] >= READABLE) == stored]
                     for stored in (False, True))
    parts = []
    if kept:
        parts.append(f"**It holds {_listed(noun, kept)}, which it will be asked for, to the end.**")
    if lost:
        them = "it" if len(lost) == 1 else "them"
        parts.append(f"It will be asked for {_listed(noun, lost)} and does not hold {them}" + (
            ": with attention it need not, as it may look back at earlier outputs." if config.traits.has_attention
            else "."))
    if kept and never:
        them = "it" if len(never) == 1 else "them"
        parts.append(f"It does not store {_listed(noun, never)} in the first place: it will not be asked for {them}.")
    if kept and let_go:
        parts.append(f"It lets go of {_listed(noun, let_go)}, which nobody will ask for: learning to remember is "
                     "learning to forget.")
    return " ".join([*parts, *_just_read(noun, [position for position in just if position in asked], table)])


def _just_read(noun: str, just: Sequence[int], table: pd.DataFrame) -> list[str]:
    """A sentence on what can be read because it was read in the last timestep, which takes no training."""
    if not just:
        return []
    last = (table.control == "untrained") & (table.timestep == table.timestep.max()) & table.position.isin(just)
    they, have, them = ("it", "has", "it") if len(just) == 1 else ("they", "have", "them")
    untrained = table.accuracy[last].mean()
    before = f": before training a probe reads {them} in {whole_percent(untrained)}" if last.any() else ""
    return [f"{_listed(noun, just).capitalize()} can be read because {they} {have} only just been read{before}. "
            f"That does not mean that the answer uses {them}."]


def _listed(noun: str, positions: Sequence[int]) -> str:
    """`number 3`, `numbers 1 and 3`, `numbers 1 to 4 and 7`."""
    parts: list[list[int]] = []
    for position in positions:
        if parts and position == parts[-1][-1] + 1:
            parts[-1].append(position)
        else:
            parts.append([position])
    words = [word for part in parts for word in ([f"{part[0]} to {part[-1]}"] if len(part) > 2 else map(str, part))]
    return f"{noun}{'' if len(positions) == 1 else 's'} {pieces.joined(words)}"


def _words(look: Look, table: pd.DataFrame) -> str:
    """Number of sequences, chance and what a dark cell does not prove."""
    config, widest = look.config, (table.high - table.low).max() / 2
    words = (f"Each probe was fitted to {table.n.max():,} random sequences and scored on as many others; 95 % "
             f"intervals are at most ± {100 * widest:.1f} points (point at a cell for its own), and chance is "
             f"{percent(1 / config.vocab_size)}. With shuffled labels there is nothing to learn, so a probe that reads "
             "more than chance there would be cheating.")
    if table.n.max() < INSPECTIONS["probe"].sequences:
        words += " Fewer sequences fit a weaker probe, which reads less than there is."
    if config.cell == "gru":
        words += (" A GRU may store a number by the size of its values and not by their direction (arXiv 2408.10920): "
                  "a pale cell of the linear probe alone proves nothing, so look at the non-linear one as well.")
    return words


# --- swaps --------------------------------------------------------------------------------------------


def _swaps(look: Look) -> None:
    """Draw whether the answer follows a state that is swapped."""
    config, most = look.config, INSPECTIONS["swap"].sequences
    st.markdown("That something can be read does not prove that it is used. So the state after a timestep is exchanged "
                "for that of another sequence, the *donor*. A cell says in how many percent of sequences an answer "
                "(row) is the donor's when the swap comes after that timestep (column): from then on, what decides "
                "the answer is in the state.")
    passes = 2 * reading_steps(config, "swap its state") + 2
    number = pieces.wanted(look, "swap", affordable(config, most, passes), most)
    seconds = number * passes * config.num_parameters * (config.input_length + config.output_length) / _A_SECOND
    if seconds > _LONGEST and number < most and not _is_asked(look, "swap"):
        st.button(f"Measure it, in about {duration(round(seconds))}", icon=":material/timer:", key="inside_swap_now",
                  on_click=_ask, args=(look, "swap"))
        return
    with st.spinner(f"Swapping the states of {number:,} sequences, in about {duration(max(1, round(seconds)))} …"):
        table = pieces.table_of(look, "swap", number)
    if table is None:
        return
    st.html(pictures.SHADED_STYLE + swap_picture(table))
    widest = (table.high - table.low).max() / 2
    attention = (" With attention the decoder also looks at the encoder's earlier outputs, which stay those of its own "
                 "sequence, so it follows the donor less." if config.traits.has_attention else "")
    counted = used(config, "swap", number).sequences
    st.caption(f"Of {counted:,} sequences those count for which the network answers differently for the donor; 95 % "
               f"intervals are at most ± {100 * widest:.1f} points.{attention}")
    pieces.offer_more(look, "swap", number, most, is_said=True)
    pieces.numbers(table, "inside_swap", "The numbers of what is used")


def swap_picture(table: pd.DataFrame) -> str:
    """The inspection `swap` as a shaded table: outputs by timesteps."""
    steps = sorted(table.timestep.unique())
    rows = [pictures.Row(f"answer {output}", pictures.accuracies(part, "timestep", steps, "follows_donor"))
            for output, part in table.groupby("output", sort=True)]
    return pictures.shaded("Answers that follow the donor, in percent", "↓ swap after timestep →",
                           [str(step) for step in steps], rows)
