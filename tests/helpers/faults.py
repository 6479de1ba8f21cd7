"""What can befall a store while runs are trained into it, each as long as a `with` lasts."""

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
    """Another program has the file to itself."""
    with closing(sqlite3.connect(store.database.url.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def full(store: Store) -> Iterator[None]:
    """The file cannot grow, as on a full disk."""
    # SQLite allows no limit below the size that the file has, so it is just that.
    with _pragma(store, "max_page_count = 1", after="max_page_count = 1000000"):
        yield


@contextmanager
def small_disk(folder: Path, megabytes: int = 8) -> Iterator[Path]:
    """A disk of its own, mounted at a folder; only root may do that, and not everywhere."""
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
    """The disk that a folder is on is full to the last byte."""
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
    """The server is gone, with all connections to it."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _pragma(store: Store, during: str, after: str) -> Iterator[None]:
    """Set something on every connection of a store in this process when it is used next, and set it back so."""
    value = during

    def set_value(raw: Any, *_: Any) -> None:
        raw.execute(f"PRAGMA {value}")

    event.listen(store.database.engine, "checkout", set_value)
    try:
        yield
    finally:
        value = after
