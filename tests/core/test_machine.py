"""Cores and memory are those of the container: trees of files as Linux shows them, and the real one."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from echo_core import machine
from tests.helpers.server import ROOT

GIB = 2**30


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A machine of 16 cores and 64 GiB whose cgroups a test writes: `host(own, {file: text})`."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(total=64 * GIB, available=60 * GIB))

    def write(own: str, files: dict[str, object]):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            file = tmp_path / "cgroup" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")
        return tmp_path / "cgroup", tmp_path / "own"

    return write


def found(groups: tuple[Path, Path]) -> tuple[int, float, float]:
    return machine.cores(*groups), machine.memory_bytes(*groups) / GIB, machine.memory_free(*groups) / GIB


def test_a_machine_without_cgroups_has_all_its_cores_and_memory(host, tmp_path: Path):
    assert found((tmp_path / "nothing", tmp_path / "nothing either")) == (16, 64, 60)


def test_a_group_of_version_2_limits_cores_and_memory(host):
    groups = host("0::/app\n", {"app/cpu.max": "150000 100000", "app/memory.max": 4 * GIB, "app/memory.current": GIB,
                                "app/memory.stat": f"anon 1\ninactive_file {GIB // 2}"})
    assert found(groups) == (1, 4, 3.5)


def test_a_container_that_sees_its_own_group_as_the_root_is_limited_by_it(host):
    groups = host("0::/\n", {"cpu.max": "200000 100000", "memory.max": 2 * GIB, "memory.current": 0})
    assert found(groups) == (2, 2, 2)


def test_a_group_of_version_1_limits_cores_and_memory(host):
    groups = host("4:memory:/app\n3:cpu,cpuacct:/app\n0::/\n", {
        "memory/app/memory.limit_in_bytes": 3 * GIB, "memory/app/memory.usage_in_bytes": 2 * GIB,
        "memory/app/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB}",
        "cpu,cpuacct/app/cpu.cfs_quota_us": 300000, "cpu,cpuacct/app/cpu.cfs_period_us": 100000})
    assert found(groups) == (3, 3, 2)


def test_groups_without_limits_limit_nothing(host):
    groups = host("4:memory:/app\n3:cpu:/app\n0::/app\n", {
        "memory/app/memory.limit_in_bytes": 9223372036854771712, "cpu/app/cpu.cfs_quota_us": -1,
        "cpu/app/cpu.cfs_period_us": 100000, "app/cpu.max": "max 100000", "app/memory.max": "max"})
    assert found(groups) == (16, 64, 60)


@pytest.mark.parametrize("limited", ["pod", "pod/app", "pod/app/worker"])
def test_of_nested_groups_the_tightest_holds(host, limited: str):
    files: dict[str, object] = {f"{group}/memory.max": 8 * GIB for group in ("pod", "pod/app", "pod/app/worker")}
    files |= {f"{group}/cpu.max": "800000 100000" for group in ("pod", "pod/app", "pod/app/worker")}
    groups = host("0::/pod/app/worker\n", {**files, f"{limited}/memory.max": GIB, f"{limited}/cpu.max": "50000 100000"})
    assert found(groups)[:2] == (1, 1)


def test_a_group_whose_folder_only_the_host_has_is_read_at_the_root_of_the_container(host):
    groups = host("4:memory:/docker/0123\n", {"memory/memory.limit_in_bytes": GIB})
    assert machine.memory_bytes(*groups) == GIB


def test_a_process_bound_to_one_core_has_one(host, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    assert machine.cores(tmp_path, tmp_path / "nothing") == 1


def test_this_machine_tells_its_size_whatever_it_is():
    assert machine.cores() >= 1
    assert 0 < machine.memory_free() <= machine.memory_bytes()


@pytest.fixture
def real_groups() -> Iterator[Callable[..., str]]:
    """Make a real group of version 1 and one in it, with cores and megabytes or -1; give the code that joins them."""
    roots = [machine.CGROUPS / kind / f"echo-test-{os.getpid()}" for kind in ("cpu", "memory")]

    def make(*limits: tuple[int, int]) -> str:
        for (cores, megabytes), path in zip(limits, (".", "inner"), strict=True):
            try:
                for root in roots:
                    (root / path).mkdir(parents=True)
                (roots[0] / path / "cpu.cfs_quota_us").write_text(str(max(-1, cores * 100_000)))
                (roots[1] / path / "memory.limit_in_bytes").write_text(str(max(-1, megabytes << 20)))
            except OSError as error:
                pytest.skip(f"no groups of version 1 can be made here: {error}")
        return "\n".join(f"open('{root}/inner/cgroup.procs', 'w').write('0')" for root in roots)

    yield make
    for group in (group for root in roots for group in (root / "inner", root) if group.is_dir()):
        group.rmdir()


@pytest.mark.parametrize("limits", [((1, 600), (-1, -1)), ((2, 900), (1, 600))], ids=["the outer", "the inner"])
def test_of_real_groups_of_version_1_the_tightest_holds(real_groups: Callable[..., str], limits):
    if (os.cpu_count() or 1) < 2:
        pytest.skip("a limit of one core shows on two")
    code = real_groups(*limits) + """
from echo_core import machine
print(machine.cores(), machine.memory_bytes() >> 20)"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["1", "600"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such call")
def test_a_process_gives_the_memory_of_arrays_back_although_a_newer_one_is_in_use():
    code = """
import numpy as np, psutil
from echo_core import machine
from tests.helpers.server import ROOT
machine.give_back_arrays()
del (large := [np.ones(4_000_000)])[:]  # glibc would now keep all that is smaller
before = psutil.Process().memory_info().rss
arrays = [np.ones(100_000) for _ in range(200)]
newest = arrays[-1]
del arrays
print(psutil.Process().memory_info().rss - before)
"""
    kept = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert kept < 20e6  # of 160 MB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such call")
def test_a_process_that_keeps_arrays_takes_no_fresh_pages_for_the_next_and_gives_them_back_when_asked():
    code = """
import psutil, resource
from echo_core import machine
machine.keep_arrays()
def pages(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def megabytes(): return psutil.Process().memory_info().rss / 1e6
def fill(): return [bytearray(b"x") * 40_000_000 for _ in range(3)]
before = megabytes()
fill()
kept, begun = megabytes() - before, pages()
for _ in range(5): fill()
taken = pages() - begun
machine.give_back_freed()
print(kept, taken, megabytes() - before)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    kept, taken, left = map(float, said.split())
    assert kept > 100  # of 120 MB
    assert taken < 100  # of 30,000 pages a time
    assert left < 10


@pytest.mark.parametrize(("soft", "hard", "then"), [(300, 4096, 4096), (300, 10_000, 8192), (9000, 10_000, 9000),
                                                    (300, 300, 300)])
def test_limit_of_open_files_is_raised_as_far_as_the_system_allows_and_never_lowered(soft, hard, then):
    resource = pytest.importorskip("resource")
    if 0 <= resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("this system allows fewer")
    code = "import resource; from echo_core.machine import allow_files; allow_files(); " \
           "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    assert said.stdout.split() == [str(then), str(hard)]
