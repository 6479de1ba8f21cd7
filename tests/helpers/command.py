"""The commands of `python -m echo_core`, run in the test's own process with a store of their own."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

from click.testing import CliRunner, Result

from echo_core.cli import cli
from echo_core.store import Store


def echo_core(*arguments: str) -> Result:
    """Run a command, such as `echo_core("train", "--json")`."""
    return CliRunner().invoke(cli, arguments)


@contextmanager
def command_store(folder: Path) -> Iterator[Store]:
    """A new store that the commands use as well, because `DATABASE_URL` names it."""
    url = f"sqlite:///{folder / 'runs.db'}"
    with mock.patch.dict(os.environ, DATABASE_URL=url), closing(Store(url)) as opened:
        yield opened
