"""`python -m echo_app`: what `streamlit run streamlit_app.py` does, with the first visitor's wait done ahead.

Streamlit imports a page when somebody asks for it, who then waits for pandas, Altair, SQLAlchemy and
Dask, and for the store to be made. Here the server answers when that is done. Options go on to Streamlit.
"""

import gc
import importlib
import sys
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError
from streamlit.web import cli

_ROOT = Path(__file__).resolve().parent.parent
#: The script of the app: an installed copy has it in a folder of its own (see pyproject.toml).
APP = next(file for file in (_ROOT / "echo_lab" / "streamlit_app.py", _ROOT / "streamlit_app.py") if file.exists())


def main() -> None:
    """Do what the first visitor would wait for, then start the server."""
    _prepare()
    sys.argv = ["streamlit", "run", str(APP), *sys.argv[1:]]
    sys.exit(cli.main())


def _prepare() -> None:
    for page in ("train", "history"):
        importlib.import_module(f"echo_app.pages.{page}")
    from echo_core.settings import Settings
    from echo_core.store import Store, StoreError

    with suppress(StoreError, ValidationError):  # which the page says
        Store(Settings().database_url).close()
    importlib.import_module("distributed")
    gc.collect()
    gc.freeze()  # what is imported stays: each full collection would look through it, and hold every page meanwhile


if __name__ == "__main__":
    main()
