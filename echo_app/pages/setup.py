"""What each page does first: prepare the session, or say why this host cannot work."""

import logging
import os
from functools import lru_cache

import streamlit as st
from pydantic import ValidationError

from echo_app import links, state, store_outages
from echo_core.config.repair import explain
from echo_core.store.errors import StoreAway, StoreError

#: Each would have too little contrast: white text on the light blue of the dark theme, code in a caption, which is
#: drawn at 60 %, and the blue text of a picked option on the blue that it gets below the pointer.
STYLE = """<style>
[data-testid="stBaseButton-primary"]:enabled :is(p, span) { color: light-dark(#fff, #0e1117); }
[data-testid="stCaptionContainer"] code { color: inherit; }
button[data-variant="segmented_control"][data-selected] p { color: light-dark(#005a8c, #8fd0f5); }
</style>"""

logger = logging.getLogger(__name__)


def prepare() -> None:
    """Prepare the session. If this host cannot work, say why and end the page."""
    try:
        _prepare_session()
    except StoreAway:
        raise  # `store_outages` says so and tries again
    except (StoreError, ValidationError) as error:
        st.error("Echo Lab cannot work here as it is set up.", icon=":material/block:")
        details = " ".join(explain(error)) if isinstance(error, ValidationError) else str(error)
        log_once(details)
        st.text(_public(error) if _may_be_hosted() else details)
        store_outages.end_run()
    if loss := state.loss():
        st.warning(loss, icon=":material/delete_history:")


def _prepare_session() -> None:
    """Open the link of a new session, and make the settings fit.

    Raises:
        StoreError: If the store cannot be opened.
        pydantic.ValidationError: If a setting of this host is not valid.
    """
    if state.READY not in st.session_state:
        state.engine()  # first, as it may raise
        state.runner()
        state.set_defaults()
        links.open_link({name: st.query_params.get_all(name) for name in st.query_params})
        st.session_state[state.READY] = True  # last, so that a link that meets a store outage is opened again
    state.refresh()


@lru_cache(maxsize=16)
def log_once(details: str) -> None:
    """Log each message once, not in each rerun."""
    logger.error("Echo Lab cannot work here as it is set up: %s", details)


def _public(error: StoreError | ValidationError) -> str:
    """A message for strangers, without paths, addresses or settings of this host."""
    if isinstance(error, StoreError):
        return error.public
    return "One of this copy's settings is not valid. Its log says why."


def _may_be_hosted() -> bool:
    """Whether this copy is hosted, read without `Settings`, which may be the invalid ones."""
    return os.environ.get("ECHO_HOSTED", "").strip().lower() not in ("", "0", "false", "f", "no", "n", "off")
