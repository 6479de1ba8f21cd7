"""What a view of the Inside page looks at, and the tables and forward passes behind it, cached for all sessions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from echo_app import cached_reads
from echo_core.config import RunConfig
from echo_core.engine import Busy
from echo_core.records import Checkpoint, Floats, Ints
from echo_core.store import RunRow
from echo_core.studies.inside import Inside, look_inside
from echo_core.studies.inspecting import STUDIES, inspect

#: Key of `st.session_state`: the title of the open view.
VIEW = "inside_view"
#: Keys of `st.session_state`: the one cursor of all views. The timestep counts from 1, over encoder and decoder; units
#: count from 1.
TIMESTEP, UNIT = "inside_timestep", "inside_unit"
#: Multiplications that a view may take before it is drawn, about half a second, and the fewest sequences it uses.
_MULTIPLICATIONS, _FEWEST = 5e9, 20


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


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_MOMENT)
def study(look: Look, what: str, sequences: int | None = None) -> pd.DataFrame:
    """The table of one of `STUDIES`, of at most as many sequences as a page can wait for if None."""
    most, fewest = STUDIES[what].sequences, STUDIES[what].fewest
    number = max(fewest, affordable(look.config, most)) if sequences is None else sequences
    return inspect(look.config, look.weights, what, number)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=BY_WINDOW)  # at most a megabyte each
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
