"""The server of `python -m echo_app`: Streamlit's, with the headers of `security`."""

import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import click
import streamlit as st
from pydantic import ValidationError
from starlette.middleware import Middleware
from streamlit import cli_util
from streamlit.web.cli import configurator_options
from streamlit.web.server import server_util

from echo_app.web.security import BROWSER_HEADER, NOBODY_ELSE, Guard, sorry
from echo_core.settings import Settings


def serve(script: Path, prepare: Callable[[], None]) -> None:
    """Serve a script until somebody ends this process, with Streamlit's options on the command line.

    Args:
        prepare: Called once the options are known to be right, and before the first visitor is let in.
    """
    @click.command(context_settings={"auto_envvar_prefix": "STREAMLIT"})
    @configurator_options
    def command(**options: Any) -> None:
        """Open Echo Lab in the browser, with the options of `streamlit run`."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # or the engine would not be closed
        prepare()
        sys.argv = [str(script)]  # Streamlit reads the settings beside it
        given = {name.replace("_", "."): value for name, value in options.items() if value not in (None, ())}
        # Streamlit gives a session that was left, by its id, to a browser of the same name alone.
        given["server.trustedUserHeaders"] = json.dumps({BROWSER_HEADER: "browser"})
        with suppress(KeyboardInterrupt):
            _app(script).run(config=given)

    command()


def _app(script: Path) -> st.App:
    try:
        frame_ancestors = Settings().frame_ancestors
    except ValidationError:  # the page will show it
        frame_ancestors = NOBODY_ELSE
    return st.App(script, middleware=[Middleware(Guard, frame_ancestors)], lifespan=_open_browser,
                  exception_handlers={Exception: sorry})


@asynccontextmanager
async def _open_browser(_app: st.App) -> AsyncIterator[None]:
    """Open the page where there is a screen, as `streamlit run` does."""
    if not st.get_option("server.headless"):
        named, listening = st.get_option("browser.serverAddress"), st.get_option("server.address")
        address = named if named != "localhost" or not listening else server_util.get_display_address(listening)
        cli_util.open_browser(server_util.get_url(address))
    yield
