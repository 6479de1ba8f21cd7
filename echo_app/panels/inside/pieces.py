"""What several views are made of: names of symbols, a table that an inspection may refuse, the numbers behind a
picture, and more sequences for whoever wants narrower intervals."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import pandas as pd
import streamlit as st

from echo_app.formatting import duration, plain
from echo_app.panels.inside.look import Look, inspected
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.evaluation.asking import GAP, PADDING
from echo_core.text.plurals import counted, shortened

T = TypeVar("T")

#: Key of `st.session_state`: the inspections that use all of their sequences, each with the moment it was asked for.
_THOROUGH = "inside_thorough"
#: Seconds after which work shows how far it is, and characters of a symbol in a sentence.
_PATIENCE, _LONGEST = 0.4, 24
#: Where there is more to see than in a network that is always right; Markdown.
WHERE_IT_FAILS = ("For one that fails, move the slider above to an early epoch, or open a run such as "
                  f"*{PRESETS['ten_without_attention'].title}*.")


def names_of(config: RunConfig) -> list[str]:
    """What each symbol is called, by its number; the last is a gap, or the padding that a network may answer."""
    symbols = config.vocabulary if config.text else map(str, range(config.vocab_size))
    return [*symbols, PADDING if config.traits.has_padding else GAP]


def quoted(symbol: object) -> str:
    """A symbol in a sentence of Markdown, as it was typed."""
    return plain(shortened(str(symbol), _LONGEST))


def noun(config: RunConfig) -> str:
    """`word` where the run has words, else `number`."""
    return "word" if config.text else "number"


def joined(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def numbers(table: pd.DataFrame, key: str, label: str = "The numbers") -> None:
    """Draw the table behind a picture, in an expander that sends it only when it is opened."""
    expander = st.expander(label, key=f"{key}_numbers", on_change="rerun", icon=":material/table:")
    if expander.open:
        expander.dataframe(table, hide_index=True)


def table_of(look: Look, what: str, sequences: int) -> pd.DataFrame | None:
    """The table of an inspection; None where this network has nothing for it to look at, which is then said."""
    try:
        with st.spinner(f"Reading {counted(sequences, 'sequence')} …"):
            return inspected(look, what, sequences)
    except ValueError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return None


def wanted(look: Look, what: str, quick: int, most: int) -> int:
    """How many sequences a view uses: `quick`, or `most` once the visitor has asked for them at this moment."""
    return most if st.session_state.get(_THOROUGH, {}).get(what) == look.moment else min(quick, most)


def offer_more(look: Look, what: str, used: int, most: int, is_random: bool = False, is_said: bool = False) -> None:
    """Say how many sequences are behind a picture, and offer all of them.

    Args:
        is_random: Whether the sequences are random also where a run has pairs.
        is_said: Whether a caption beside it says how many there are.
    """
    if look.config.task == "pairs" and not is_random:
        st.caption("Measured on the pairs that it has learnt.")
        return
    if is_said and used == most:
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"{what}_sequences"):
        if not is_said:
            st.caption(f"Measured on {counted(used, 'new sequence')}.", width="content")
        if used < most:
            st.button(f"Use {most:,}", key=f"{what}_more", type="tertiary", icon=":material/zoom_in:",
                      on_click=ask_for_all, args=(what, look.moment), help="Takes longer, and narrows the intervals.")


def ask_for_all(what: str, moment: tuple[object, ...]) -> None:
    """Callback: use all sequences of an inspection at this moment."""
    st.session_state[_THOROUGH] = {**st.session_state.get(_THOROUGH, {}), what: moment}


def with_progress(items: Sequence[T], says: str) -> Iterator[T]:
    """The items, with a bar that shows how many are done and the time left once they take a while."""
    place, began = st.empty(), time.monotonic()
    for done, item in enumerate(items):
        if done and (taken := time.monotonic() - began) > _PATIENCE:
            left = duration(math.ceil(taken / done * (len(items) - done)))
            place.progress(done / len(items), f"{says}: {done} of {len(items)}, about {left} left")
        yield item
    place.empty()
