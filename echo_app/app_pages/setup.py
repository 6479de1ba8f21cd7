"""What every page begins with."""

import streamlit as st
from pydantic import ValidationError

from echo_app import faults, session
from echo_core.database import StoreAway, StoreError
from echo_core.mending import explain


def begin() -> None:
    """Make the session ready; where the host is not, say why and end the page there."""
    try:
        session.begin()
    except StoreAway:
        raise  # it may come back, for which the page waits
    except (StoreError, ValidationError) as error:
        st.error("Echo Lab cannot work here as it is set up.", icon=":material/block:")
        st.text("\n".join(explain(error)) if isinstance(error, ValidationError) else str(error))
        faults.leave_off()
    if loss := session.loss():
        st.warning(loss, icon=":material/delete_history:")
