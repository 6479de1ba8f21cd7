"""What pages do while the store fails: they say so, keep what they showed, and recover by themselves.

`draw_page` draws a page, `fragment` makes a fragment of it, and `draw_optional` draws what a page can do without.
Callbacks that use the store are marked with `needs_store`. The message is at the top of the page and stays in sight.

Its keys of `st.session_state` are below. Each rerun of the script resets all of them but `_REFUSED` and `_SHOWN`.
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
from echo_core.store.errors import FAULTS, Trouble, one_line, trouble_of

__all__ = ["FAULTS", "draw_optional", "draw_page", "draw_refusal", "end_run", "fragment", "is_fragment_rerun",
           "is_store_down", "needs_store", "refuse", "report"]

logger = logging.getLogger(__name__)

_REFUSED = "refused"       # why the last press was refused, if it was
_TROUBLE = "trouble"       # what is wrong with the store
_DOWN = "store_is_down"    # the store has failed, so this run of the script does not ask it again
_WHOLE = "whole_page"      # the whole page is drawn, not one fragment
_SHOWN = "trouble_shown"   # the page shows the message about the store

_RETRY_SECONDS = 2.0
#: Seconds for which a refusal stays at least: pages are redrawn for many reasons.
READING_SECONDS = 10.0

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class _Refusal:
    """Why a press was refused, since when, and whether a page shows it."""

    reason: str
    since: float = field(default_factory=time.monotonic)
    is_shown: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it was shown for long enough."""
        return time.monotonic() - self.since > READING_SECONDS


def draw_page(body: Callable[[], None]) -> None:
    """Draw a page. If the store fails, show a message above it and redraw it until the store answers."""
    session = st.session_state
    session[_TROUBLE], session[_DOWN], session[_WHOLE] = None, False, True
    refused = session.setdefault(_REFUSED, None)
    if refused and refused.is_over:
        refuse(None)
    place = st.container(key="store_trouble")
    try:
        _draw(body)
    finally:
        session[_WHOLE] = False
    focus.draw()
    session[_SHOWN] = session[_TROUBLE] is not None
    if session[_SHOWN]:
        with place:
            _message(session[_TROUBLE])
        end_run()


def fragment(body: Callable[P, None], run_every: float | None = None, key: str | None = None) -> Callable[P, None]:
    """A fragment that redraws the whole page when the message about the store, or a refusal, must come or go."""
    @wraps(body)
    def draw(*args: P.args, **kwargs: P.kwargs) -> None:
        if not is_fragment_rerun():
            return _draw(body, *args, **kwargs)
        session = st.session_state
        refused = session[_REFUSED]
        if refused and (not refused.is_shown or refused.is_over):
            st.rerun()
        session[_TROUBLE], session[_DOWN] = None, False
        _draw(body, *args, **kwargs)
        focus.draw()
        if (session[_TROUBLE] is not None) != session[_SHOWN]:
            st.rerun()
        if session[_SHOWN]:
            end_run()

    return st.fragment(draw, run_every=run_every, key=key)


def draw_optional(draw: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Draw what a page can do without, unless the store fails."""
    if not is_store_down():
        _draw(draw, *args, **kwargs)


def _draw(draw: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    try:
        draw(*args, **kwargs)
    except FAULTS as error:
        report(error)


def end_run() -> NoReturn:
    """End this run of the script here, so that widgets that could not be drawn keep their values.

    Unlike `st.stop`, this does not discard the presses that wait for the end of the run.
    """
    raise StopException


def needs_store(act: Callable[P, T]) -> Callable[P, T | None]:
    """A callback that uses the store: if that fails, nothing changes, and the page says why and what to do."""
    @wraps(act)
    def done(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return act(*args, **kwargs)
        except FAULTS as error:
            found = trouble_of(error)
            logger.warning("%s was not done: %s", act.__name__, one_line(error))
            refuse(f"That was not done: the store cannot be used, because {found.cause}. Nothing is lost, and your "
                   f"settings are as they were. {found.remedy}")
            return None

    return done


def refuse(reason: str | None) -> None:
    """Have the page say why a press was refused; None removes the last refusal."""
    st.session_state[_REFUSED] = _Refusal(reason) if reason else None


def draw_refusal() -> None:
    """Draw why the last press was refused, if it was."""
    refused: _Refusal | None = st.session_state[_REFUSED]
    if refused:
        refused.is_shown = True
        st.error(plain(refused.reason), icon=":material/block:")


def report(found: Exception | Trouble) -> None:
    """Have the page show what is wrong with the store: an error that it raised here, or trouble met elsewhere."""
    session = st.session_state
    if isinstance(found, Exception):
        session[_DOWN] = True
        if not session.get(_SHOWN):
            logger.warning("a page could not use the store: %s", one_line(found))
        found = trouble_of(found)
    session[_TROUBLE] = session[_TROUBLE] or found


def is_store_down() -> bool:
    """Whether the store has failed in this run of the script: asking again would make the visitor wait again."""
    return bool(st.session_state[_DOWN])


def is_fragment_rerun() -> bool:
    """Whether one fragment is rerun, not the whole page."""
    return not st.session_state[_WHOLE]


def _message(found: Trouble) -> None:
    st.warning("Runs under way go on, and what they learn is kept once the store can be used again. This page tries "
               "again by itself.", icon=":material/cloud_off:",
               title=f"The store of the runs cannot be used: {found.cause}")
    st.html(STYLE)
    st.fragment(_retry, run_every=_RETRY_SECONDS)(time.monotonic())


def _retry(since: float) -> None:
    if time.monotonic() - since > _RETRY_SECONDS / 2:  # not while the page itself is drawn
        st.rerun()


#: In sight wherever the page is scrolled to, below Streamlit's own bar.
STYLE = """<style>
[data-testid="stLayoutWrapper"]:has(> .st-key-store_trouble) { position: sticky; top: 3.75rem; z-index: 100; }
.st-key-store_trouble [data-testid="stAlertContainer"] { backdrop-filter: blur(16px); }
</style>"""
