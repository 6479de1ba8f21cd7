"""Compiled programs on disk: TensorFlow's persistent XLA cache, kept small and whole.

TensorFlow writes a file for each network that it compiles, and reads it in the next process. It never removes one, a
file that a power cut has cut short makes its network fail for ever, and a run fails when its program cannot be written,
as on a full disk. All three are mended here: old programs make room, damaged ones are removed, and where none can be
written, processes train without keeping any.
"""

import atexit
import hashlib
import logging
import os
import platform
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from echo_core.settings import Settings
from echo_core.store.files import make_folder

#: Free bytes that the folder needs: room for several programs.
ROOM = 8 * 2**20
#: Memory that looks like a disk, where a disk may be full.
MEMORY_DISK = Path("/dev/shm")

logger = logging.getLogger(__name__)


def program_folder(settings: Settings) -> Path:
    """Where compiled programs are kept: a folder for each kind of CPU, thread count and TensorFlow."""
    return settings.xla_cache / f"{_cpu_kind()}-{settings.threads}-tf{_tensorflow_version()}"


class Link:
    """The name by which TensorFlow in this process knows the folder of programs.

    TensorFlow reads the name once in a process. So it is a link of this process's own, that can be turned to a spare
    folder when the first one cannot be written to any more.
    """

    def __init__(self, folder: Path) -> None:
        parent = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
        own = Path(tempfile.mkdtemp(prefix="echo-lab-", dir=parent))
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        self.path, self.spare = own / "programs", own / "spare"
        self.spare.mkdir()
        self.path.symlink_to(folder.absolute(), target_is_directory=True)
        self.is_turned = False

    def turn(self) -> None:
        """Have TensorFlow use the spare folder, which is deleted when the process ends."""
        turned = self.path.with_name("turned")
        turned.symlink_to(self.spare, target_is_directory=True)
        turned.replace(self.path)
        self.is_turned = True


#: The link that TensorFlow in this process got, if it keeps programs.
link: Link | None = None


def open_cache(settings: Settings) -> Path | None:
    """The folder in which TensorFlow is to keep the programs of this process; None where it cannot keep any."""
    global link
    folder = program_folder(settings)
    if why := _why_unwritable(folder):
        logger.warning(_NOT_KEPT, folder, why)
        return None
    try:
        link = Link(folder)
    except OSError:  # Windows lets few users make links. Then only what is wrong already at the start is mended
        return folder
    return link.path


def leave_cache(settings: Settings) -> bool:
    """If the folder has become unwritable, train on without keeping programs. Returns whether that is new."""
    if link is None or link.is_turned or not (why := _why_unwritable(program_folder(settings))):
        return False
    logger.warning(_NOT_KEPT, program_folder(settings), why)
    link.turn()
    return True


_NOT_KEPT = ("compiled programs are not kept, so that each process compiles anew: %s cannot be written to (%s). Set "
             "ECHO_XLA_CACHE to a folder that can")


def _why_unwritable(folder: Path) -> str | None:
    """Why no program could be written to a folder, which is made where it is missing and closed to other users."""
    try:
        make_folder(folder)
        if folder.stat().st_mode & 0o007:
            folder.chmod(0o700)  # programs are run: nobody else may put one there
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, ROOM)
            else:
                file.write(bytes(ROOM))
                file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def make_room(settings: Settings) -> None:
    """Remove the programs that were used longest ago until the rest, in all folders, fits into `settings.xla_mb`."""
    if link is not None and link.is_turned:
        for file in link.spare.iterdir():  # this process has them in its memory already
            file.unlink(missing_ok=True)
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
    removed = 0
    for file in damaged:
        with suppress(OSError):  # somebody else's folder
            file.unlink(missing_ok=True)
            removed += 1
            logger.warning("a compiled program was damaged, and is compiled again when it is needed: %s", file.name)
    return removed


def _is_whole(file: Path) -> bool:
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.message import DecodeError

    try:
        data = file.read_bytes()
    except OSError:  # TensorFlow cannot read it either
        return False
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
