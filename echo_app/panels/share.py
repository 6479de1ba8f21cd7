"""Links to the settings and to the run, and the run as files to download."""

import io
import zipfile
from collections.abc import Mapping
from functools import partial

import streamlit as st

from echo_app import actions, cached_reads, links, state
from echo_app.components.copy_button import copy_button
from echo_app.panels import controls
from echo_app.web.streamlit_patches import NotDelivered
from echo_core.config import RunConfig
from echo_core.engine import Busy
from echo_core.exports import run_files
from echo_core.exports.snippets import TRIED_WITH
from echo_core.store import RunRow

#: The label of each file's button.
_TITLES = {
    run_files.SCRIPT: "Script of plain Keras", run_files.NOTEBOOK: "Notebook", run_files.WEIGHTS: "Weights for NumPy",
    run_files.HISTORY: "History", run_files.PICTURE: "Picture of the curves", run_files.MODEL: "Keras model",
    run_files.STATEFUL_MODEL: "Stateful Keras model, to train on"}


def share(config: RunConfig, run: RunRow | None) -> None:
    """Draw links to copy and the settings as a file, for a run and for settings."""
    settings, result = links.share_links(config, run)
    with st.popover("Share", icon=":material/share:", key="share"):
        st.markdown("**This run**, as it stands and as it goes on. A copy of Echo Lab that "
                    "does not have this run offers to train it.")
        copy_button("Copy link to this run", result or "", key="copy_run_link")
        if not result:
            st.caption("Press Train first: there is no run yet.")
        st.markdown("**These settings**, every one of them, so that the link means the same for ever.")
        copy_button("Copy link to these settings", settings or "", key="copy_settings_link")
        if not settings:
            st.caption("Their text is too long for a link. Send the file instead.")
        # A function, which is called when the button is pressed. With the content itself each page would fetch the
        # file at once, and fail if another visitor's rerun had just removed it.
        st.download_button("Settings as a file", partial(config.model_dump_json, indent=2), "echo-lab-settings.json",
                           "application/json", key="download_settings", icon=":material/download:", on_click="ignore")
        st.file_uploader("Settings from a file", type="json", key=state.IMPORT, on_change=actions.take_config,
                         help="A file that was saved here. Nothing but settings is read.")
        controls.file_errors(state.IMPORT)


def downloads(run: RunRow) -> None:
    """Draw the buttons for the files of a run that is not under way; a file is made when its button is pressed."""
    if run.state.is_active or cached_reads.weights(run) is None:
        return
    tried = ", ".join(map(" ".join, TRIED_WITH.items()))
    with st.popover("Take it home", icon=":material/download:", key="take_home"):
        st.markdown("Script and notebook build this network with plain Keras, load the weights beside them, and answer "
                    f"as the page does. They need keras, tensorflow and numpy, and were tried with {tried}. The Keras "
                    "model needs that version of Keras, or a newer one.")
        st.download_button("All of it", partial(_zip, run), f"echo-lab-{run.run_id}.zip", "application/zip",
                           key="export_all", icon=":material/folder_zip:", on_click="ignore", type="primary")
        with st.container(horizontal=True):
            for name in (name for name in _TITLES if name in run_files.file_names(run.config)):
                st.download_button(_TITLES[name], partial(file_of, run, name), name, on_click="ignore", help=name,
                                   key=f"export_{name.replace('.', '_')}")


def file_of(run: RunRow, name: str) -> bytes:
    """One file of a run. Raises `NotDelivered`, whose text the visitor reads, if it cannot be made now."""
    models = run_files.models_of(run.config)
    return _keras_file(run, models[name]) if name in models else _files(run)[name]


def _keras_file(run: RunRow, stateful: bool) -> bytes:
    try:
        return state.engine().keras_file(run.run_id, stateful)
    except (Busy, LookupError) as error:
        raise NotDelivered(str(error)) from error


def _files(run: RunRow) -> Mapping[str, bytes]:
    store = state.store()
    checkpoint = store.progress.checkpoint(run.run_id)
    if checkpoint is None:
        raise NotDelivered(f"run {run.run_id} has no weights any more.")
    newest = store.progress.snapshots(run.run_id, newest=1)
    return run_files.export(run.config, checkpoint, store.progress.history(run.run_id), newest[0] if newest else None)


def _zip(run: RunRow) -> bytes:
    """A ZIP archive with every file of a run."""
    models = {name: _keras_file(run, stateful) for name, stateful in run_files.models_of(run.config).items()}
    files = {**_files(run), **models}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in run_files.file_names(run.config):
            archive.writestr(f"echo-lab-{run.run_id}/{name}", files[name])
    return packed.getvalue()
