"""What a view of the Inside page looks at: a network at a moment of its run, which visitors pick, and the tables and
forward passes behind views, cached for all sessions."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from echo_app import cached_reads, state
from echo_app.formatting import duration, plain
from echo_app.web.shared_cache import shared_cache
from echo_core.config import RunConfig
from echo_core.engine import Busy
from echo_core.evaluation.asking import parse_question, spell_question
from echo_core.inspection.inside import Inside, look_inside
from echo_core.inspection.inspecting import INSPECTIONS, inspect
from echo_core.records import Checkpoint, Floats, Ints
from echo_core.store import RunRow

#: Key of `st.session_state`: the title of the open view.
VIEW = "inside_view"
#: Keys of `st.session_state`: the one cursor of all views. The timestep counts from 1, over encoder and decoder; units
#: count from 1.
TIMESTEP, UNIT = "inside_timestep", "inside_unit"
#: Multiplications that a view may take before it is drawn, about half a second, and the fewest sequences it uses.
_MULTIPLICATIONS, _FEWEST = 5e9, 20
#: Seconds of training that a page waits for at most, and those that a worker needs besides.
_LONGEST, _BESIDES = 45.0, 2.0
_OTHER, _OTHER_RUN = "other_moment", "other_run"


@dataclass(frozen=True, eq=False)
class Look:
    """A network at one moment of its run, and the window that it reads.

    Attributes:
        window: Integers, (input_length,); `vocab_size` at a gap.
    """

    run: RunRow
    checkpoint: Checkpoint
    window: Ints

    @property
    def config(self) -> RunConfig:
        """The settings of the run."""
        return self.run.config

    @property
    def weights(self) -> tuple[Floats, ...]:
        """In the order of `build_model(config).trainable_variables`."""
        return self.checkpoint.weights

    @property
    def is_finite(self) -> bool:
        """Whether all weights are finite numbers; those of a run that diverged are not, and show nothing."""
        return all(bool(np.isfinite(array).all()) for array in self.weights)

    @property
    def moment(self) -> tuple[object, ...]:
        """What decides the weights."""
        return self.run.run_id, self.run.attempt, self.checkpoint.epoch


#: For functions cached by the moment of a run, and by that moment and the window at hand.
_HashFuncs = dict[str | type[Any], Callable[[Any], Any]]
BY_MOMENT: _HashFuncs = {Look: lambda look: look.moment}
BY_WINDOW: _HashFuncs = {Look: lambda look: (*look.moment, look.window.tobytes())}


@shared_cache(max_entries=64, hash_funcs=BY_MOMENT)
def inspected(look: Look, what: str, sequences: int | None = None) -> pd.DataFrame:
    """The table of one of `INSPECTIONS`, of at most as many sequences as a page can wait for if None."""
    most, fewest = INSPECTIONS[what].sequences, INSPECTIONS[what].fewest
    number = max(fewest, affordable(look.config, most)) if sequences is None else sequences
    return inspect(look.config, look.weights, what, number)


@shared_cache(max_entries=8, hash_funcs=BY_WINDOW)  # at most a megabyte each
def inside(look: Look) -> Inside:
    """Everything that the network computes for the window at hand; every array has one window."""
    return look_inside(look.config, look.weights, look.window[None])


def untrained(look: Look) -> tuple[Floats, ...] | None:
    """The weights of the same run before its training; None while no worker can make them."""
    try:
        with st.spinner("A worker makes the untrained network …", show_time=True):
            return cached_reads.trained_until(look.run, 0).weights
    except (Busy, LookupError, ValueError):
        return None


def affordable(config: RunConfig, most: int, passes: int = 1) -> int:
    """Sequences whose forward passes take about half a second, at most `most`.

    Args:
        passes: Forward passes for each sequence.
    """
    cost = config.num_parameters * (config.input_length + config.output_length) * passes
    return int(np.clip(_MULTIPLICATIONS / cost, min(_FEWEST, most), most))


# --- which moment ------------------------------------------------------------------------------------


def pick_moment(run: RunRow) -> Checkpoint | None:
    """Draw the slider over the epochs of a run. Returns the network at the picked one; None if there is none yet."""
    newest = cached_reads.newest_checkpoint(run)
    if newest is None:
        st.info("This run has no weights to look into yet. Its first checkpoint comes within some seconds of training."
                if run.state.is_active else
                "This run has no weights any more: they made room for newer runs. Open it on the Train page and press "
                "**Train again**.", icon=":material/visibility_off:")
        return None
    epoch = _slider(run, newest.epoch, state.MOMENT)
    return weights_at(run, newest, epoch)


def _slider(run: RunRow, newest: int, key: str) -> int:
    """Draw a slider over the kept epochs and a box for any other one. `key` holds the epoch, or None for the newest."""
    session = st.session_state
    held = session.get(key)
    at = newest if held is None else min(held, newest)
    kept = [epoch for epoch in cached_reads.snapshot_epochs(run) if epoch < newest] + [newest]
    slider, box = f"{key}_slider", f"{key}_box"
    session[slider], session[box] = kept[max(0, bisect_right(kept, at) - 1)], at
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"{key}_picker"):
        if len(kept) > 1:
            st.select_slider("Moment: after which epoch", kept, key=slider, format_func="{:,}".format,
                             on_change=_hold, args=(key, slider, newest))
        st.number_input("Epoch", 0, newest, key=box, width=130, on_change=_hold, args=(key, box, newest),
                        help="Any epoch from 0, the untrained network. A worker trains the run again up to there, "
                             "which gives the very same weights.")
    return at


def _hold(key: str, widget: str, newest: int) -> None:
    """Callback: keep the picked epoch; the newest one is followed while the run goes on."""
    epoch = st.session_state[widget]
    st.session_state[key] = None if epoch == newest else epoch


def weights_at(run: RunRow, newest: Checkpoint, epoch: int) -> Checkpoint | None:
    """The network after an epoch, trained again by a worker unless it is the newest; None, with a message, if not."""
    if epoch == newest.epoch:
        return newest
    about = _BESIDES + run.seconds * epoch / max(1, run.epoch)
    if about > _LONGEST:
        st.info(f"Training again up to epoch {epoch:,} takes about {duration(round(about))}, longer than a page waits. "
                "Pick an earlier epoch.", icon=":material/hourglass_top:")
        return None
    try:
        with st.spinner(f"A worker trains it again up to epoch {epoch:,}, in about {duration(round(about))} …",
                        show_time=True):
            return cached_reads.trained_until(run, epoch)
    except (Busy, LookupError, ValueError) as error:
        st.warning(plain(str(error)), icon=":material/hourglass_disabled:")
        return None


def pick_other(look: Look) -> Look | None:
    """Draw which moment or run to compare with. Returns it with the same window; None, with a message, if not."""
    others = {run.run_id: run for run in cached_reads.runs_to_open() if _reads(run, look)}
    others.pop(look.run.run_id, None)
    titles = {look.run.run_id: "This run at another moment",
              **{run_id: cached_reads.title_of(run) for run_id, run in others.items()}}
    picked = st.selectbox("Compare with", list(titles), key=_OTHER_RUN, format_func=titles.__getitem__)
    run = others.get(picked, look.run)
    newest = cached_reads.newest_checkpoint(run)
    if newest is None:
        st.info("That run has no weights.", icon=":material/visibility_off:")
        return None
    held = f"{_OTHER}_{run.run_id}"
    if run is look.run and held not in st.session_state:
        st.session_state[held] = 0  # the untrained network; of another run the newest
    checkpoint = weights_at(run, newest, _slider(run, newest.epoch, held))
    return Look(run, checkpoint, look.window) if checkpoint else None


def _reads(run: RunRow, look: Look) -> bool:
    """Whether a run's network reads the same window, token by token."""
    mine, its = look.config, run.config
    if (its.input_length, its.vocab_size, its.text) != (mine.input_length, mine.vocab_size, mine.text):
        return False
    try:
        parse_question(its, spell_question(mine, look.window))
    except ValueError:  # it does not know gaps
        return False
    return True
