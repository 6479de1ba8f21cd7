"""Another user of the machine, without rights: gives the workers nothing to do, and reads no run."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

from tests.helpers.raw_page import raw_page
from tests.helpers.server import Server, serve_quick
from tests.helpers.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")]

#: A user whom every system has and who owns nothing.
NOBODY = 65534

#: Becomes that user, tries every way into each port and to read each file, and prints what it got. What it needs is
#: imported before, by a first try at a port where nobody listens: the interpreter may be in a folder of root's.
INTRUDER = """
import asyncio, json, os, socket, ssl, sys
from contextlib import suppress
from distributed import Client, Security
from distributed.comm import connect

def ask(port, own):
    for address, security in ((f"tcp://127.0.0.1:{port}", Security()), (f"tls://127.0.0.1:{port}", own)):
        with suppress(OSError):
            # Dask waits for ever for the greeting of a server that speaks HTTP.
            asyncio.run(asyncio.wait_for(connect(address, timeout=2, **security.get_connection_args("client")), 4))
            with Client(address, security=security, timeout=10) as client:
                yield f"a task ran as user {client.submit(os.getuid, pure=False).result(60)}"

def listen(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for wrap in (lambda plain: plain, context.wrap_socket):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as plain:
            spoken = wrap(plain)
            spoken.settimeout(2)
            spoken.sendall(bytes(64))
            if b"handshake" in (said := spoken.recv(4096)):
                yield f"port {port} answered {said[:40]!r}"

def read(name):
    with suppress(OSError):
        yield f"read {name}: {(os.listdir(name) if os.path.isdir(name) else open(name, 'rb').read(20))!r}"

user, ports, files = json.loads(sys.argv[1])
own = Security.temporary()
assert list(ask(1, own)) == []
os.setgroups([]), os.setgid(user), os.setuid(user)
got = [said for port in ports for said in (*ask(port, own), *listen(port))]
got += [said for name in files for said in read(name)]
print(json.dumps([os.getuid(), got]))
"""


def as_nobody(ports: list[int], files: list[Path]) -> list[str]:
    """What an unprivileged user gets from these ports and files."""
    asked = json.dumps([NOBODY, ports, [str(file) for file in files]])
    done = subprocess.run([sys.executable, "-c", INTRUDER, asked], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.stdout, done.stderr
    uid, got = json.loads(done.stdout.splitlines()[-1])
    assert uid == NOBODY
    return list(got)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A real app whose folder everybody may enter, as on a host that was set up in a hurry."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        with serve_quick(folder, ECHO_HOSTED="true", ECHO_XLA_CACHE=str(folder / "xla")) as running:
            with raw_page(running):  # the first visitor, with whom workers start
                until(running.workers)
            yield running
    finally:
        shutil.rmtree(folder)


def listeners(server: Server) -> list[tuple[str, int]]:
    """Where the app, its scheduler, its nannies and its workers listen."""
    family = [server.process, *server.process.children(recursive=True)]
    return [(found.laddr.ip, found.laddr.port) for process in family for found in process.net_connections("all")
            if found.status == psutil.CONN_LISTEN]


def test_the_intruder_gets_into_a_cluster_that_is_not_secured():
    alone = {"dashboard_address": "127.0.0.1:0", "dashboard": False}
    with LocalCluster(n_workers=1, processes=True, host="127.0.0.1", dashboard_address=None,
                      scheduler_kwargs=alone) as open_to_all:
        port = int(open_to_all.scheduler_address.rpartition(":")[2])
        assert any("a task ran as user 0" in each for each in as_nobody([port], []))


def test_nobody_else_gives_the_scheduler_the_workers_and_the_nannies_a_task(server: Server):
    found, pages = listeners(server), int(server.url.rpartition(":")[2])
    assert {host for host, _ in found} == {"127.0.0.1"}
    ports = sorted({port for _, port in found} - {pages})
    assert len(ports) >= 3  # the scheduler, a worker and its nanny
    assert as_nobody(ports, []) == []


def test_nobody_else_reads_the_runs_the_workers_folder_and_the_programs(server: Server):
    folder = server.log.parent
    family = [server.process, *server.process.children(recursive=True)]
    memory = [Path(each) for each in Path("/dev/shm").glob("echo-lab-*") if f"-{server.process.pid}-" in each.name]
    assert memory
    secret = [*folder.glob("runs.db*"), folder / "xla", *memory,
              *(Path(f"/proc/{process.pid}/{name}") for process in family for name in ("environ", "fd", "mem"))]
    assert len(secret) > 8
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert as_nobody([], secret) == []
    for process in family:  # which everybody may read
        assert "runs.db" not in " ".join(process.cmdline())
        assert "PRIVATE KEY" not in " ".join(process.cmdline())
