"""Only the app that started its workers can give them anything to do."""

import asyncio
import gc
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.context import BaseContext
from pathlib import Path

import psutil
import pytest
from distributed import Client, Security
from distributed.comm import connect

from echo_core.settings import Settings
from echo_core.workers.cluster import Cluster
from tests.helpers.waiting import until

#: Seconds after which a connection that will be refused is given up.
REFUSAL_SECONDS = 2.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Real processes, which load nothing."""
    started = Cluster(Settings(workers=1, standby=False))
    started.connect(on_exit=lambda: None)
    yield started
    started.close()


def addresses(cluster: Cluster) -> dict[str, str]:
    """Everything that a task could be sent to."""
    worker, info = next(iter(cluster.workers().items()))
    return {"scheduler": cluster.local.scheduler_address, "worker": worker, "nanny": info["nanny"]}


def test_worker_is_told_whether_its_threads_may_spin(cluster: Cluster):
    told = cluster.submit(addresses(cluster)["worker"], "spin", os.getenv, "ECHO_SPIN").result(60)
    assert told == str(Settings(workers=1, standby=False).workers_spin).lower()


def test_the_app_gives_its_worker_a_task(cluster: Cluster):
    assert cluster.submit(addresses(cluster)["worker"], "sum", sum, [1, 2]).result(60) == 3


def test_threads_of_a_worker_share_one_heap_from_its_start(cluster: Cluster):
    (worker,) = cluster.pids().values()
    assert psutil.Process(worker).environ()["MALLOC_ARENA_MAX"] == "1"


def test_the_scheduler_forgets_tasks_that_are_done(cluster: Cluster):
    worker, scheduler = addresses(cluster)["worker"], cluster.local.scheduler
    before = task_groups()  # of clusters of other tests
    for number in range(30):
        task = cluster.submit(worker, f"run-{number:016x}-1", sum, [1, 2])
        assert task.result(60) == 3
        task.release()
        until(lambda: not scheduler.tasks, seconds=20)  # a run takes long enough for that
    scheduler.computations.clear()  # of the last hundred tasks
    assert task_groups() <= before + 1


def task_groups() -> int:
    """What Dask has noted of tasks, in this process."""
    gc.collect()
    return sum(type(each).__name__ == "TaskGroup" for each in gc.get_objects())


@pytest.mark.parametrize("part", ["scheduler", "worker", "nanny"])
@pytest.mark.parametrize("security", [None, Security.temporary()], ids=["without a key", "with a key of its own"])
def test_another_program_cannot_speak_to_any_part_of_the_cluster(cluster: Cluster, part: str, security):
    address = addresses(cluster)[part]
    assert address.startswith("tls://127.0.0.1:")
    where = address if security else address.replace("tls", "tcp")
    keys = (security or Security()).get_connection_args("client")
    with pytest.raises(OSError, match=r"(?i)timed out|reset|closed|certificate"):
        asyncio.run(connect(where, timeout=REFUSAL_SECONDS, **keys))
    if part == "scheduler":
        with pytest.raises(OSError, match=r"(?i)timed out|reset|closed|certificate"):
            Client(where, security=security, timeout=REFUSAL_SECONDS, set_as_default=False)


@pytest.mark.parametrize("part", ["scheduler", "worker", "nanny"])
@pytest.mark.parametrize("has_key", [False, True], ids=["without a key", "with a key of its own"])
def test_a_peer_that_trusts_anybody_is_not_trusted(cluster: Cluster, part: str, has_key: bool, tmp_path: Path):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if has_key:
        own = Security.temporary().get_tls_config_for_role("client")
        for name in ("cert", "key"):
            (tmp_path / name).write_text(own[name])
        context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    host, port = addresses(cluster)[part].removeprefix("tls://").split(":")
    greeting = b""
    hangs_up = suppress(ssl.SSLError, ConnectionError)
    with hangs_up, socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain) as spoken:
        spoken.settimeout(REFUSAL_SECONDS)
        greeting = spoken.recv(1)
    assert greeting == b""


def test_what_workers_write_is_closed_to_other_users(cluster: Cluster):
    (info,) = cluster.workers().values()
    directory = Path(info["local_directory"])
    closed = [folder for folder in directory.parents if folder.name.startswith("echo-lab-")]
    assert stat.S_IMODE(closed[0].stat().st_mode) == 0o700
    assert closed[0].stat().st_uid == os.geteuid()


def test_nothing_of_a_cluster_is_left_on_disk_when_it_has_closed():
    ended = Cluster(Settings(workers=1, standby=False))
    ended.connect(on_exit=lambda: None)
    (info,) = ended.workers().values()
    ended.close()
    assert not any(folder.exists() for folder in [*Path(info["local_directory"]).parents][:2])


def test_where_processes_cannot_share_locks_the_error_says_what_they_need(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(BaseContext, "Lock", refuse)
    with pytest.raises(OSError, match="/dev/shm, which this user must be able to write to"):
        Cluster(Settings()).connect(on_exit=lambda: None)
