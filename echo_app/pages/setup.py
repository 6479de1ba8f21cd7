"""What every page begins with."""

import logging
import os
from functools import lru_cache

import streamlit as st
from pydantic import ValidationError

from echo_app import links, state, store_outages
from echo_core.config.repair import explain
from echo_core.store.errors import StoreAway, StoreError

logger = logging.getLogger(__name__)


def begin() -> None:
    """Make the session ready; where the host is not, say why and end the page there."""
    try:
        _begin_session()
    except StoreAway:
        raise  # it may come back, for which the page waits
    except (StoreError, ValidationError) as error:
        st.error("Echo Lab cannot work here as it is set up.", icon=":material/block:")
        details = " ".join(explain(error)) if isinstance(error, ValidationError) else str(error)
        log_once(details)
        st.text(_public(error) if _may_be_hosted() else details)
        store_outages.leave_off()
    if loss := state.loss():
        st.warning(loss, icon=":material/delete_history:")


def _begin_session() -> None:
    """Open the link of a new session; make the settings fit.

    Raises:
        StoreError: If the store cannot be opened.
        pydantic.ValidationError: If a setting of this host is not valid.
    """
    if state.READY not in st.session_state:
        state.engine()  # first, as it may raise, and the link is opened once
        state.fill_in()
        links.open_link({name: st.query_params.get_all(name) for name in st.query_params})
        st.session_state[state.READY] = True  # last, as the link asks the store
    state.keep()


@lru_cache(maxsize=16)
def log_once(details: str) -> None:
    """Log each message once, however often a page is drawn."""
    logger.error("Echo Lab cannot work here as it is set up: %s", details)


def _public(error: StoreError | ValidationError) -> str:
    """A message for strangers, without paths, addresses or settings of this host."""
    if isinstance(error, StoreError):
        return error.public
    return "One of this copy's settings is not valid. Its log says why."


def _may_be_hosted() -> bool:
    """Whether this copy is hosted; read by itself, because the other settings may be invalid."""
    return os.environ.get("ECHO_HOSTED", "").strip().lower() not in ("", "0", "false", "f", "no", "n", "off")
