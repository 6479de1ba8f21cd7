"""`python -m echo_app`: like `streamlit run streamlit_app.py`, with headers for strangers and ready before they arrive.

Streamlit imports a page on its first visit, which then waits for pandas, Altair, SQLAlchemy, Dask and the creation of
the store. Here the server starts after all that. Options are those of Streamlit.
"""

import gc
import importlib
from contextlib import suppress
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
#: The script of the app; an installed copy keeps it in the folder `echo_lab` (see pyproject.toml).
APP = next(file for file in (_ROOT / "echo_lab" / "streamlit_app.py", _ROOT / "streamlit_app.py") if file.exists())


def main() -> None:
    """Import the pages and create the store, then start the server."""
    from echo_app.web.server import serve  # late, as worker processes that start before the first page import this file

    serve(APP, _prepare)


def _prepare() -> None:
    for page in ("train", "inside", "history", "studies", "findings"):
        importlib.import_module(f"echo_app.pages.{page}")
    from pydantic import ValidationError

    from echo_app import state
    from echo_app.pages.setup import log_once
    from echo_core.config.repair import explain
    from echo_core.settings import Settings
    from echo_core.store import Store, StoreError

    with suppress(StoreError, ValidationError):  # the page will show them
        Store(Settings().database_url).close()
    importlib.import_module("distributed")
    gc.collect()
    gc.freeze()  # full collections would scan the imported modules, and block every page meanwhile
    try:
        state.health()
    except ValidationError as error:  # the page will show it, too
        log_once(" ".join(explain(error)))


if __name__ == "__main__":
    main()
