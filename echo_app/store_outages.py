"""What pages do while the store fails: say so in words, keep what can be kept, and go on by themselves afterwards.

A page is drawn by `page`, a fragment of it by `part`, what can be left out by `attempt`, and what visitors press
is `careful`. The message stands in one place, at the top of the page, and stays in sight.

Keys of `st.session_state` are those below; all of them are of one run of the script, but `_REFUSED` and `_TOLD`.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from echo_app.formatting import plain
from echo_app.web import focus
from echo_core.store.errors import FAULTS, Trouble, trouble_of

__all__ = ["FAULTS", "attempt", "careful", "is_alone", "is_away", "leave_off", "note", "page", "part", "refusal",
           "refuse"]

logger = logging.getLogger(__name__)

_REFUSED = "refused"       # why what was pressed last was not done, if it was not
_TROUBLE = "trouble"       # what is wrong with the store
_AWAY = "trouble_away"     # it did not answer, so it is not asked again
_WHOLE = "whole_page"      # the whole page is drawn, not a fragment alone
_TOLD = "trouble_told"     # the page says what is wrong

_RETRY_SECONDS = 2.0
#: So long a refusal stays at least, as pages are drawn anew for many reasons.
READING_SECONDS = 10.0

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class _Refusal:
    """Why something was not done, since when, and whether a page says so."""

    reason: str
    since: float = field(default_factory=time.monotonic)
    is_told: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it has stood there for long enough."""
        return time.monotonic() - self.since > READING_SECONDS


def page(body: Callable[[], None]) -> None:
    """Draw a page. Where the store fails, it says so above it, and the page is drawn again until it does not."""
    state = st.session_state
    state[_TROUBLE], state[_AWAY], state[_WHOLE] = None, False, True
    refused = state.setdefault(_REFUSED, None)
    if refused and refused.is_over:
        refuse(None)
    place = st.container(key="store_trouble")
    try:
        body()
    except FAULTS as error:
        note(error)
    finally:
        state[_WHOLE] = False
    focus.draw()
    state[_TOLD] = state[_TROUBLE] is not None
    if state[_TOLD]:
        with place:
            _say(state[_TROUBLE])
        leave_off()


def part(body: Callable[P, None]) -> Callable[P, None]:
    """The body of a fragment: where the store fails, the page says so in its place, and says so no longer after."""
    @wraps(body)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        state = st.session_state
        alone, refused = is_alone(), state[_REFUSED]
        if alone and refused and (not refused.is_told or refused.is_over):
            st.rerun()  # the whole page, which says why what was pressed here was not done, or no longer
        if alone:
            state[_TROUBLE], state[_AWAY] = None, False
        try:
            body(*args, **kwargs)
        except FAULTS as error:
            note(error)
        if alone:
            focus.draw()
        if alone and (state[_TROUBLE] is not None) != state[_TOLD]:
            st.rerun()
        if alone and state[_TOLD]:
            leave_off()

    return drawn


def leave_off() -> NoReturn:
    """End this run of the script here. Unlike its end, this forgets no widget that could not be drawn; and unlike
    `st.stop`, it does not throw away what somebody has pressed meanwhile."""
    raise StopException


def attempt(draw: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Draw what a page can do without, unless the store fails."""
    if not is_away():
        try:
            draw(*args, **kwargs)
        except FAULTS as error:
            note(error)


def careful(act: Callable[P, T]) -> Callable[P, T | None]:
    """A callback that writes to the store: where that fails, all is as before, and the page says why and what to do."""
    @wraps(act)
    def done(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return act(*args, **kwargs)
        except FAULTS as error:
            found = trouble_of(error)
            logger.warning("%s was not done: %s", act.__name__, _one_line(error))
            refuse(f"That was not done: the store cannot be used, because {found.cause}. Nothing is lost, and your "
                   f"settings are as they were. {found.remedy}")
            return None

    return done


def refuse(reason: str | None) -> None:
    """Have the page say why what was pressed was not done, or no longer."""
    st.session_state[_REFUSED] = _Refusal(reason) if reason else None


def refusal() -> None:
    """Draw why what was pressed last was not done, if it was not."""
    said: _Refusal | None = st.session_state[_REFUSED]
    if said:
        said.is_told = True
        st.error(plain(said.reason), icon=":material/block:")


def note(found: Exception | Trouble) -> None:
    """Have the page say what is wrong with the store: something that it raised, or that others have met."""
    state = st.session_state
    if isinstance(found, Exception):
        state[_AWAY] = True
        if not state.get(_TOLD):
            logger.warning("a page could not use the store: %s", _one_line(found))
        found = trouble_of(found)
    state[_TROUBLE] = state[_TROUBLE] or found


def is_away() -> bool:
    """Whether the store has failed this run of the script: asking it again would make the visitor wait again."""
    return bool(st.session_state[_AWAY])


def is_alone() -> bool:
    """Whether a fragment is drawn by itself, and not with the whole page."""
    return not st.session_state[_WHOLE]


def _say(found: Trouble) -> None:
    st.warning("Runs under way go on, and what they learn is kept once the store can be used again. This page tries "
               "again by itself.", icon=":material/cloud_off:",
               title=f"The store of the runs cannot be used: {found.cause}")
    st.html(STYLE)
    st.fragment(_again, run_every=_RETRY_SECONDS)(time.monotonic())


def _again(said_at: float) -> None:
    if time.monotonic() - said_at > _RETRY_SECONDS / 2:  # not while the page itself is drawn
        st.rerun()


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", error)).split())


#: In sight wherever on the page the visitor is, below Streamlit's own bar.
STYLE = """<style>
[data-testid="stLayoutWrapper"]:has(> .st-key-store_trouble) { position: sticky; top: 3.75rem; z-index: 100; }
.st-key-store_trouble [data-testid="stAlertContainer"] { backdrop-filter: blur(16px); }
</style>"""
