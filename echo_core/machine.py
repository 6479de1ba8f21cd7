"""The machine as this process may use it: the cores and the memory of its container, and not of the whole host.

A process is in one or more control groups (cgroups) of Linux, nested in each other, each of which may limit processor
time and memory; the tightest limit holds. Both versions of cgroups are read, and where there are none, or on another
system, the machine's own figures count.
"""

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

CGROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
#: Parameters of `mallopt` by their numbers in malloc.h: bytes at the end of a heap that are given back, bytes of an
#: array that is, both as they are when a process starts, and heaps that threads share.
_GIVE_BACK = {-1: 128 * 1024, -3: 128 * 1024, -8: 2}
#: All that is freed is kept, in one heap: another one holds at most 64 MB in a piece, and is given back once empty.
_KEEP = {-1: 2**31 - 1, -3: 2**30, -8: 1}


def cores(cgroups: Path = CGROUPS, own_groups: Path = OWN_GROUPS) -> int:
    """Cores that this process may keep busy: of the machine, its affinity, and the processor time of its cgroups."""
    found = os.cpu_count() or 1
    with suppress(AttributeError, OSError):  # only Linux knows an affinity
        found = min(found, len(os.sched_getaffinity(0)))
    return max(1, int(min([found, *_quotas(cgroups, own_groups)])))


def memory_bytes(cgroups: Path = CGROUPS, own_groups: Path = OWN_GROUPS) -> int:
    """Bytes of memory that this process and those beside it in its cgroups may take in all."""
    return min([psutil.virtual_memory().total, *(limit for _, limit in _memory_limits(cgroups, own_groups))])


def memory_free(cgroups: Path = CGROUPS, own_groups: Path = OWN_GROUPS) -> int:
    """Bytes of that memory that are free at the moment."""
    left = [psutil.virtual_memory().available]
    for group, limit in _memory_limits(cgroups, own_groups):
        used = next(_numbers(group, "memory.current", "memory.usage_in_bytes"), 0)
        left.append(limit - used + _file_pages(group))
    return max(0, min(left))


def give_back_arrays() -> None:
    """Have this process give the memory of arrays back as soon as they are freed (decision 0055).

    glibc gives back what is large, but raises what counts as large with each larger array that is freed. What is
    smaller stays in a heap, of which it makes up to eight for each core, as Streamlit draws each page in a new thread.
    Other C libraries have no such call.
    """
    _tune_heap(_GIVE_BACK)


def keep_arrays() -> None:
    """Have this process keep the memory of freed arrays for the next ones (decision 0069).

    Each call of a large network's program makes weights and moments anew, on pages that the system would have to clear
    first. `give_back_freed` gives back what is left over.
    """
    _tune_heap(_KEEP)


def give_back_freed() -> None:
    """Give freed memory back to the system: up to 270 MB after compiling. It takes 3 to 15 milliseconds."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _tune_heap(parameters: Mapping[int, int]) -> None:
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for parameter, value in parameters.items():
            libc.mallopt(parameter, value)


def allow_files(wanted: int = 8192) -> None:
    """Raise this process's limit of open files and sockets, which is 1,024 on many systems.

    Streamlit takes four for an open page, and keeps three for two minutes after it was closed.
    """
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit; another system may refuse
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _quotas(cgroups: Path, own_groups: Path) -> Iterator[float]:
    """Cores' worth of processor time of each cgroup that limits it."""
    for group in _groups("cpu", cgroups, own_groups):
        with suppress(OSError, ValueError, ZeroDivisionError):  # version 2; "max 100000" is no limit
            quota, period = (group / "cpu.max").read_text().split()
            yield int(quota) / int(period)
        with suppress(OSError, ValueError, ZeroDivisionError):  # version 1; -1 is no limit
            quota_us, period_us = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            if quota_us > 0:
                yield quota_us / period_us


def _memory_limits(cgroups: Path, own_groups: Path) -> Iterator[tuple[Path, int]]:
    """Each cgroup that limits memory, and its bytes. Without a limit version 1 has a number beyond all memory."""
    for group in _groups("memory", cgroups, own_groups):
        for limit in _numbers(group, "memory.max", "memory.high", "memory.limit_in_bytes"):
            yield group, limit


def _groups(controller: str, cgroups: Path, own_groups: Path) -> Iterator[Path]:
    """The folders of this process's cgroups, from the innermost to the root.

    In a container the root is often the container's own group, and `own_groups` names folders that only the host has:
    those are passed over.
    """
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, names, path = line.split(":", 2)
        if number == "0":  # version 2, alone or beside version 1
            roots = [cgroups, cgroups / "unified"]
        elif controller in names.split(","):
            roots = [cgroups / names, cgroups / controller]
        else:
            continue
        for root in roots:
            inner = root / path.strip("/")
            for group in (inner, *inner.parents):
                if group.is_dir():
                    yield group
                if group == root:
                    break


def _numbers(group: Path, *names: str) -> Iterator[int]:
    for name in names:
        with suppress(OSError, ValueError):  # it has no such file, or "max"
            yield int((group / name).read_text())


def _file_pages(group: Path) -> int:
    """Bytes of files that the system gives up as soon as memory is wanted."""
    with suppress(OSError, ValueError):
        counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))
    return 0
