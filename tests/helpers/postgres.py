"""A real PostgreSQL for tests and benchmarks; `python tests/helpers/postgres.py` finds or provides one.

    with postgres() as server:                # a cluster of its own, in a temporary folder, on loopback
        with server.database() as url:        # a fresh database in it, dropped at the end
            ...                               # DATABASE_URL=url
        server.stop()                         # as when it crashes; what was committed stays
        server.start()

The server's programs are found on PATH or in the usual folders. If there are none, root installs the system's package.
If that fails too, the tests that need a server are skipped with a warning; in CI they fail.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

USER = "echo"
#: Folders of servers that are not on PATH.
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*",
          "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
          "/Applications/Postgres.app/Contents/Versions/latest/bin")
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off  # only a crash of the whole machine would lose anything
"""


class NoPostgres(Exception):
    """No server was found, or it does not run; the message has the reason."""


class Server:
    """A PostgreSQL of our own, which can crash and come back."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._identity = _unprivileged()
        self._password = secrets.token_urlsafe()
        self._port = 0
        secret = folder / "password"
        secret.touch(0o600)
        secret.write_text(self._password)
        if self._identity:
            for path in (folder, secret):
                os.chown(path, self._identity["user"], self._identity["group"])
        self._run("initdb", "-D", "data", "-U", USER, "-A", "scram-sha-256", "--pwfile", "password", "-E", "UTF8",
                  "--no-locale", "--no-sync")
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(SETTINGS)
        self._start_on_a_free_port()

    def url(self, database: str = "postgres") -> str:
        """The URL of a database of this server, for DATABASE_URL."""
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start the server on its port, and wait until it takes connections."""
        self._run("pg_ctl", "start", "-D", "data", "-l", "log", "-w", "-t", "60", "-o", f"-p {self._port}")

    def stop(self) -> None:
        """Stop the server at once, as in a crash."""
        self._run("pg_ctl", "stop", "-D", "data", "-m", "immediate", "-w")

    def create(self, database: str, template: str = "template1") -> None:
        """Create a database as a copy of another, to which nobody may be connected."""
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')

    def drop(self, database: str) -> None:
        """Drop a database even if clients are connected to it."""
        self.execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The URL of a fresh database, dropped at the end."""
        name = f"test_{secrets.token_hex(8)}"
        self.create(name, template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def execute(self, statement: str) -> None:
        """Run a statement as the superuser, outside a transaction."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _start_on_a_free_port(self) -> None:
        for is_last in (False, False, True):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self._port = free.getsockname()[1]
            try:
                return self.start()
            except NoPostgres:  # another program may have taken the port meanwhile
                if is_last:
                    raise

    def _run(self, program: str, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        command = [str(self._programs / program), *arguments]
        # The server inherits the output. It is a file, because a pipe would stay open until the server ends.
        with (self._folder / f"{program}.out").open("w+b") as output:
            try:
                subprocess.run(command, cwd=self._folder, env={**environment, "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
                               stdout=output, stderr=subprocess.STDOUT, timeout=120, check=True, **self._identity)
            except (OSError, subprocess.SubprocessError) as error:
                output.seek(0)
                said = output.read().decode(errors="replace") + _read(self._folder / "log")
                raise NoPostgres(f"{error}\n{said[-2000:]}") from error


@contextmanager
def postgres() -> Iterator[Server]:
    """Run an empty PostgreSQL, and delete it at the end. Raises `NoPostgres`."""
    programs = find_postgres()
    if programs is None:
        raise NoPostgres("no PostgreSQL was found; where it may, `make postgres` installs one")
    # Not in pytest's folder, which the server's user may not enter when we are root.
    with tempfile.TemporaryDirectory(prefix="echo-postgres-", ignore_cleanup_errors=True) as folder:
        server = Server(programs, Path(folder))
        try:
            yield server
        finally:
            with suppress(NoPostgres):  # already stopped
                server.stop()


def in_ci() -> bool:
    """Whether a missing server is a failure."""
    return os.environ.get("CI") == "true"


def find_postgres() -> Path | None:
    """The folder of a server's programs, of the newest server if there are several, or None."""
    return next((folder for folder in _candidates() if version(folder)), None)


def version(programs: Path) -> str:
    """The version line of the server in a folder; empty if it, `initdb` or `pg_ctl` is missing or does not run."""
    try:
        said = [subprocess.run([programs / name, "--version"], capture_output=True, text=True, timeout=30, check=True)
                for name in ("initdb", "pg_ctl", "postgres")]
    except (OSError, subprocess.SubprocessError):
        return ""
    return said[-1].stdout.strip()


def provide_postgres() -> Path | None:
    """`find_postgres`, after an attempt to install one if there is none."""
    if (found := find_postgres()) is None and shutil.which("apt-get") and _is_root():
        print("No PostgreSQL yet; trying to install from system.", flush=True)
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "postgresql"]):
            try:
                subprocess.run(["apt-get", *arguments], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                               stdin=subprocess.DEVNULL, timeout=600, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                print(f"apt-get {' '.join(arguments)}: {error}", flush=True)
        found = find_postgres()
    return found


def _candidates() -> Iterator[Path]:
    for name in ("pg_ctl", "initdb"):
        if path := shutil.which(name):
            yield Path(path).resolve().parent
    for place in PLACES:
        folders = Path("/").glob(place.removeprefix("/"))
        yield from sorted(folders, key=_numbers, reverse=True)


def _numbers(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _unprivileged() -> dict[str, Any]:
    """Arguments of `subprocess` that run the server as another user if we are root, as whom it refuses to run."""
    if not _is_root():
        return {}
    import pwd  # not on Windows

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise NoPostgres("we are root, as whom PostgreSQL refuses to run, and there is neither `postgres` nor `nobody`")


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def main() -> int:
    """Print which server the tests will use. Returns 1 if there is none and CI needs one."""
    programs = provide_postgres()
    try:
        with postgres():
            print(f"PostgreSQL for the tests: {version(programs) if programs else ''} ({programs})")
        return 0
    except NoPostgres as error:
        print("*" * 78 + f"\nNO POSTGRESQL: {error}\nThe tests that need one "
              + ("fail." if in_ci() else "are skipped.") + "\n" + "*" * 78, file=sys.stderr)
        return 1 if in_ci() else 0


if __name__ == "__main__":
    sys.exit(main())
