"""The services of compose.yaml as processes of this machine, started by its own commands, where there is no Docker.

    with postgres() as server, Composed(folder, server) as services:
        services.up()
        services.kill("worker")       # as when its memory ends: it is started again, as `restart` says
        services.down()

What containers would have of their own is replaced by name: folders of volumes lie in `folder`, names of services
become loopback with free ports, and the image's programs are those of the environment that runs the tests.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil
import yaml
from sqlalchemy import make_url

from tests.helpers.postgres import Server
from tests.helpers.server import ROOT
from tests.helpers.waiting import until

#: Seconds that Docker gives a service to end before it kills it.
GRACE_SECONDS = 10.0


def read_compose(**variables: str) -> dict[str, Any]:
    """compose.yaml with the variables that the file `.env` would have."""
    def value(found: re.Match[str]) -> str:
        name, kind, otherwise = found.groups()
        if name not in variables and kind == "?":
            raise KeyError(f"{name}: {otherwise}")
        return variables.get(name, otherwise or "")

    text = re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", value, (ROOT / "compose.yaml").read_text())
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def image_command() -> list[str]:
    """What the image starts where compose.yaml names no command."""
    found: list[str] = json.loads(re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1])
    return found


class Composed:
    """The services of compose.yaml; at the end of the block they are down.

    Attributes:
        url: The app's address.
        database_url: The store, for a test to look into.
        scheduler_address: Where Dask's scheduler listens.
    """

    def __init__(self, folder: Path, server: Server, database: str) -> None:
        self._server, self._folder = server, folder
        password = make_url(server.url()).password
        self._compose = read_compose(POSTGRES_PASSWORD=str(password))
        self._processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._lock, self._over = threading.Lock(), threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()
        app, scheduler, health = _free_port(), _free_port(), _free_port()
        self.url, self.database_url = f"http://127.0.0.1:{app}", server.url(database)
        self.scheduler_address = f"tls://127.0.0.1:{scheduler}"
        address = make_url(self.database_url)
        self._here = {
            "/keys": str(folder / "keys"), "/data": str(folder / "data"),
            "/opt/echo-lab/dask.yaml": str(folder / "dask.yaml"),
            "@database/echo": f"@127.0.0.1:{address.port}/{database}",
            "scheduler:8786": f"127.0.0.1:{scheduler}", "127.0.0.1:8786": f"127.0.0.1:{scheduler}",
            "--port=8786": f"--port={scheduler}", "8501": str(app), "9100": str(health), "0.0.0.0": "127.0.0.1",
            "exec echo-lab": f"exec {sys.executable} -m echo_app.command"}
        for name in ("keys", "data"):
            (folder / name).mkdir()
        (folder / "dask.yaml").write_text(self._replaced((ROOT / "deploy" / "dask.yaml").read_text()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._keeper.join()
        self.down()

    def up(self) -> None:
        """Start each service once those are ready on which it depends."""
        for name, service in self._in_order():
            for other, wanted in service.get("depends_on", {}).items():
                self._wait_for(other, wanted["condition"])
            if name == "database":
                continue  # the server of the tests, which a test stops and starts by itself
            with self._lock:
                self._processes[name] = [self._start(name, service) for _ in range(service.get("scale", 1))]

    def down(self) -> None:
        """End all services, those first on which no other depends, as Docker does: SIGTERM, and SIGKILL later."""
        with self._lock:
            for name, _ in reversed(list(self._in_order())):
                self._end(name)

    def kill(self, name: str) -> None:
        """End one container of a service by SIGKILL, with all its processes."""
        with self._lock:
            _kill(_family(self._processes[name][0]))
            self._processes[name][0].wait()

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """A service is down for the block, as by `docker compose stop`."""
        with self._lock:
            self._end(name)
        yield
        with self._lock:
            self._processes[name] = [self._start(name, self._compose["services"][name])]

    def log(self, name: str) -> str:
        """What a service has printed."""
        return (self._folder / f"{name}.log").read_text()

    def _keep(self) -> None:
        """Start again what has ended by itself, as Docker does where `restart` says so."""
        while not self._over.wait(0.5):
            with self._lock:
                for name, running in self._processes.items():
                    service = self._compose["services"][name]
                    if service["restart"] == "unless-stopped":
                        running[:] = [each if each.poll() is None else self._start(name, service) for each in running]

    def _in_order(self) -> Iterator[tuple[str, dict[str, Any]]]:
        left: dict[str, dict[str, Any]] = dict(self._compose["services"])
        while left:
            name = next(name for name, service in left.items() if not left.keys() & service.get("depends_on", {}))
            yield name, left.pop(name)

    def _wait_for(self, name: str, condition: str) -> None:
        if condition == "service_completed_successfully":
            assert [each.wait(60) for each in self._processes[name]] == [0], self.log(name)
        elif name != "database":
            _, *check = self._compose["services"][name]["healthcheck"]["test"]
            until(lambda: subprocess.run(self._command(check), env=self._environment({}), stderr=subprocess.DEVNULL,
                                         check=False).returncode == 0, what=f"the health of {name}")

    def _start(self, name: str, service: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        command = self._command(service.get("command", image_command()))
        if command[0] == "dask":
            command.append("--host=127.0.0.1")  # in a container it listens to the network of containers
        with (self._folder / f"{name}.log").open("a") as log:
            return subprocess.Popen(command, cwd=self._folder / "data", stdout=log, stderr=log,
                                    env=self._environment(service.get("environment", {})), start_new_session=True)

    def _environment(self, own: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ECHO_", "DASK_", "PG"))}
        return kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
                       "HOME": str(self._folder / "data"),
                       "ECHO_XLA_CACHE": str(self._folder / "data" / "xla"),
                       **{name: self._replaced(value) for name, value in own.items()}}

    def _command(self, command: list[str]) -> list[str]:
        return [self._replaced(word) for word in command]

    def _replaced(self, text: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text

    def _end(self, name: str) -> None:
        running = self._processes.pop(name, [])
        families = [process for each in running for process in _family(each)]
        for each in running:
            with suppress(ProcessLookupError):
                each.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for each in running:
            with suppress(subprocess.TimeoutExpired):
                each.wait(max(0.0, deadline - time.monotonic()))
        _kill(families)
        for each in running:
            each.wait()


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    return []


def _kill(family: list[psutil.Process]) -> None:
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
