"""A real server of the app on a free port, with a store of its own: for benchmarks and browser tests."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]

#: Log messages that a healthy server never writes.
TROUBLE = re.compile(r"Traceback|Exception|ERROR|CRITICAL|WARNING|Error:")
#: Harmless messages of Streamlit when a browser disconnects during a send.
GONE = re.compile(r"^Exception in ASGI application\nTraceback(?:(?!^Exception in ASGI).)*?"
                  r"^starlette\.websockets\.WebSocketDisconnected: Cannot call \"send\"[^\n]*\n",
                  re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Server:
    """A running app: its address, its process and its log."""

    url: str
    process: psutil.Process
    log: Path

    def trouble(self) -> list[str]:
        """Lines of the log that a healthy server does not write."""
        return [line for line in GONE.sub("", self.log.read_text()).splitlines() if TROUBLE.search(line)]

    def workers(self) -> list[psutil.Process]:
        """Its worker processes: those that have loaded TensorFlow."""
        return [child for child in self.process.children(recursive=True) if loads_tensorflow(child)]


def loads_tensorflow(process: psutil.Process) -> bool:
    """Whether TensorFlow's library is in a process."""
    with suppress(psutil.Error):
        return any("libtensorflow" in entry.path for entry in process.memory_maps())
    return False


#: Settings of a server for one test: one worker that starts soon, and no short limit for runs.
QUICK = {"ECHO_WORKERS": "1", "ECHO_THREADS": "1", "ECHO_STANDBY": "false", "ECHO_COMPILE_AHEAD": "false",
         "ECHO_MAX_EPOCHS": "10000000"}


def serve_quick(folder: Path, **environment: str) -> AbstractContextManager[Server]:
    """`serve` for tests, whose workers compile no presets."""
    return serve(folder, "tests.helpers.quick_app", **{**QUICK, **environment})


@contextmanager
def serve(folder: Path, *module: str, **environment: str) -> Iterator[Server]:
    """Start the app, or another module with its arguments, on loopback; end it and its child processes afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "server.log"
    command = [sys.executable, "-m", *(module or ["echo_app"]), "--server.address=127.0.0.1",
               f"--server.port={port}", "--server.headless=true"]
    environment = {**os.environ, "STREAMLIT_LOGGER_MESSAGE_FORMAT": "%(asctime)s %(levelname)s %(message)s",
                   "DATABASE_URL": f"sqlite:///{folder / 'runs.db'}", **environment}
    with log.open("w") as file:
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
    process = psutil.Process(started.pid)
    try:
        _until_it_answers(url, log)
        yield Server(url, process, log)
    finally:
        family = [process]
        with suppress(psutil.NoSuchProcess):  # a test has killed it
            family += process.children(recursive=True)
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(10)
        for member in family:
            with suppress(psutil.Error):
                member.kill()
        started.wait(10)


def _until_it_answers(url: str, log: Path) -> None:
    for _ in range(300):
        with suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            if answer.read() == b"ok":
                return
        time.sleep(0.1)
    raise TimeoutError(f"the server does not answer:\n{log.read_text()}")
