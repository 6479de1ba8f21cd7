"""Faults of a store while runs are trained into it, each for the length of a `with` block."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from echo_core.store import Store
from tests.helpers.postgres import Server


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Another program locks the file."""
    with closing(sqlite3.connect(store.database.url.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def full(store: Store) -> Iterator[None]:
    """The file cannot grow, as on a full disk."""
    # SQLite allows no limit below the file's size, so this limit equals it.
    with _pragma(store, "max_page_count = 1", after="max_page_count = 1000000"):
        yield


@contextmanager
def small_disk(folder: Path, megabytes: int = 8) -> Iterator[Path]:
    """Mount a disk of its own at a folder. It needs root, and not every system allows it."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=False,
                             capture_output=True, text=True) if shutil.which("mount") else None
    if mounted is None or mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip() if mounted else 'no `mount`'}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Fill the disk of a folder to the last byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**16, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def read_only(store: Store) -> Iterator[None]:
    """The file cannot be written to."""
    with _pragma(store, "query_only = on", after="query_only = off"):
        yield


@contextmanager
def crashed(server: Server) -> Iterator[None]:
    """Stop the server, which closes all its connections."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _pragma(store: Store, during: str, after: str) -> Iterator[None]:
    """Set a pragma on every connection of a store in this process at its next use, and set it back in the same way."""
    value = during

    def set_value(raw: Any, *_: Any) -> None:
        raw.execute(f"PRAGMA {value}")

    event.listen(store.database.engine, "checkout", set_value)
    try:
        yield
    finally:
        value = after
