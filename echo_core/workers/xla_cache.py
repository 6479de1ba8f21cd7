"""Compiled programs on disk: TensorFlow's persistent XLA cache, kept small and readable.

TensorFlow writes a file for each network that it compiles, and reads it in the next process. It never removes one, a
damaged file makes each run of its network fail, and a run fails when its program cannot be written, as on a full
disk. Here old programs make room for new ones, all are deleted once one could not be read, and processes train without
keeping programs where none can be written.
"""

import hashlib
import logging
import os
import platform
import tempfile
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from echo_core.settings import Settings
from echo_core.store.files import make_folder
from echo_core.workers.own_folder import make_own_folder

#: Free bytes that the folder needs: room for several programs.
ROOM = 8 * 2**20
logger = logging.getLogger(__name__)


def program_folder(settings: Settings) -> Path:
    """Where compiled programs are kept: a folder for each kind of CPU, thread count and TensorFlow."""
    return settings.xla_cache / f"{_cpu_kind()}-{settings.threads}-tf{_tensorflow_version()}"


class Link:
    """The path of the folder of programs that TensorFlow in this process is given.

    TensorFlow reads the path once in a process. So it is a link in a folder of this process, and can be turned to a
    spare folder once the first one can no longer be written to.
    """

    def __init__(self, folder: Path) -> None:
        own = make_own_folder()
        self.path, self.spare = own / "programs", own / "spare"
        self.spare.mkdir()
        self.path.symlink_to(folder.absolute(), target_is_directory=True)
        self.is_turned = False

    def turn(self) -> None:
        """Make TensorFlow use the spare folder, which is deleted when the process ends."""
        turned = self.path.with_name("turned")
        turned.symlink_to(self.spare, target_is_directory=True)
        turned.replace(self.path)
        self.is_turned = True


#: The link that TensorFlow in this process was given, if it keeps programs.
link: Link | None = None


def open_cache(settings: Settings) -> Path | None:
    """The folder in which TensorFlow shall keep the programs of this process, or None where it cannot keep any."""
    global link
    folder = program_folder(settings)
    if why := _why_unwritable(folder):
        logger.warning(_NOT_KEPT, folder, why)
        return None
    try:
        link = Link(folder)
    except OSError:  # Windows lets few users make links. There a disk that fills up later makes runs fail
        return folder
    return link.path


def mend_cache(settings: Settings) -> bool:
    """After TensorFlow failed: delete all programs, or leave the folder if it cannot be written to.

    Returns:
        Whether anything changed, so that a second try makes sense.
    """
    folder = program_folder(settings)
    if link is not None and link.is_turned:
        return False
    if why := _why_unwritable(folder):
        if link is not None:
            logger.warning(_NOT_KEPT, folder, why)
            link.turn()
        return link is not None
    programs = list(folder.glob("*.pb"))
    if programs:
        logger.warning("training failed, maybe because a compiled program is damaged: all in %s are deleted", folder)
    for file in programs:
        with suppress(OSError):  # another process deletes them too
            file.unlink()
    return bool(programs)


_NOT_KEPT = ("compiled programs are not kept, so that each process compiles anew: %s cannot be written to (%s). Set "
             "ECHO_XLA_CACHE to a folder that can")


def _why_unwritable(folder: Path) -> str | None:
    """Why no program can be written to a folder, or None. It is created if missing, and closed to other users."""
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
