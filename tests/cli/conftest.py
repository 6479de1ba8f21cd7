"""What tests of commands share: a store that the commands use as well."""

from collections.abc import Iterator, MutableMapping
from pathlib import Path

import pytest

from echo_core.store import Store
from tests.helpers.command import command_store


@pytest.fixture
def store(tmp_path: Path, environment: MutableMapping[str, str]) -> Iterator[Store]:
    with command_store(tmp_path) as opened:
        yield opened
