"""Compiled programs on disk: TensorFlow's persistent XLA cache, kept small and whole.

TensorFlow writes a file for each network that it compiles, and reads it in the next process. It
never removes one, and a file that a power cut has cut short makes its network fail for ever; both
are seen to here.
"""

import hashlib
import logging
import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from echo_core.settings import Settings

logger = logging.getLogger(__name__)


def program_folder(settings: Settings) -> Path:
    """Where compiled programs are kept: a folder for each kind of CPU, thread count and TensorFlow."""
    return settings.xla_cache / f"{_cpu_kind()}-{settings.threads}-tf{_tensorflow_version()}"


def make_room(settings: Settings) -> None:
    """Remove the programs that were used longest ago until the rest, in all folders, fits into `settings.xla_mb`."""
    with suppress(OSError):  # another process tidies as well, or may not
        sizes = {file: file.stat() for file in settings.xla_cache.glob("*/*")}
        oldest_first = sorted(sizes, key=lambda file: max(sizes[file].st_mtime, sizes[file].st_atime))
        too_much = sum(stat.st_size for stat in sizes.values()) - settings.xla_mb * 2**20
        for file in oldest_first:
            if too_much <= 0:
                break
            file.unlink(missing_ok=True)
            too_much -= sizes[file].st_size


def remove_damaged(settings: Settings) -> int:
    """Remove programs that are no whole records of Protocol Buffers; how many there were."""
    damaged = [file for file in program_folder(settings).glob("*.pb") if not _is_whole(file)]
    for file in damaged:
        logger.warning("a compiled program was damaged, and is compiled again when it is needed: %s", file.name)
        file.unlink(missing_ok=True)
    return len(damaged)


def _is_whole(file: Path) -> bool:
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.message import DecodeError

    data = file.read_bytes()
    try:
        Empty.FromString(data)  # takes fields that it does not know as they come, if they are whole
    except DecodeError:
        return False
    return bool(data) and data[0] != 0  # what a power cut leaves may be zeros


@cache
def _cpu_kind() -> str:
    """A short name that differs where compiled programs may: from the processor's model and flags."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        described = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    except OSError:
        described = [platform.machine(), platform.processor()]
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:8]


def _tensorflow_version() -> str:
    for package in ("tensorflow-cpu", "tensorflow"):
        with suppress(PackageNotFoundError):
            return version(package)
    return "none"
