"""The commands of `python -m echo_core`, run in the test's own process with a store of their own."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner, Result

from echo_core.cli import cli
from echo_core.config import RunConfig
from echo_core.store import Store

#: Options of `train` for a network that is trained in a blink, and the same as a config.
TINY = ("--set", "units=4", "--set", "vocab_size=10", "--set", "epochs=3")
TINY_CONFIG = RunConfig(units=4, vocab_size=10, epochs=3)
#: What `--json` says last of each run, in this order.
LAST_FIELDS = ["state", "run_id", "epochs", "token_accuracy", "window_accuracy", "windows", "judged_on", "seconds",
               "fingerprint", "notes"]


def echo_core(*arguments: str) -> Result:
    """Run a command, such as `echo_core("train", "--json")`."""
    return CliRunner().invoke(cli, arguments)


def objects(stdout: str) -> list[dict[str, Any]]:
    """What `--json` has printed, an object for each line."""
    return [json.loads(line) for line in stdout.splitlines()]


@contextmanager
def command_store(folder: Path) -> Iterator[Store]:
    """A new store that the commands use as well, because `DATABASE_URL` names it."""
    url = f"sqlite:///{folder / 'runs.db'}"
    with mock.patch.dict(os.environ, DATABASE_URL=url), closing(Store(url)) as opened:
        yield opened
