"""Share and take away: links to the settings and to the run."""

import streamlit as st

from echo_app import session
from echo_core.config import RunConfig
from echo_core.store import RunRow


def share(config: RunConfig, run: RunRow | None) -> None:
    """Two links, ready to copy, and the settings as a file."""
    settings, result = session.links(config, run)
    with st.popover("Share", icon=":material/share:", key="share"):
        st.markdown("**This run**, as it stands and as it goes on. Where it is not known, the link offers to train it.")
        if result:
            st.code(result, language=None, wrap_lines=True)
        else:
            st.caption("Press Train first: there is no run yet.")
        st.markdown("**These settings**, every one of them, so that the link means the same for ever.")
        if settings:
            st.code(settings, language=None, wrap_lines=True)
        else:
            st.caption("Their text is too long for a link. Send the file instead.")
        st.download_button("Settings as a file", config.model_dump_json(indent=2), "echo-lab-settings.json",
                           "application/json", key="download_settings", icon=":material/download:", on_click="ignore")
        st.file_uploader("Settings from a file", type="json", key=session.IMPORT, on_change=session.take_config,
                         help="A file that was saved here. Nothing but settings is read.")
