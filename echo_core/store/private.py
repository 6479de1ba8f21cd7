"""Files and folders that nobody else on this machine can read."""

import os
from contextlib import suppress
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, each closed to others. One that exists stays as it is.

    Raises:
        OSError: If one cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            each.mkdir(0o700)
    if not folder.is_dir():
        folder.mkdir()  # raises what is wrong with it


def make_file(file: Path) -> bool:
    """Make an empty file that only its owner can read, in a folder that exists; whether there was none.

    Raises:
        OSError: If it cannot be made.
    """
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return False
    return True


def close_to_others(file: Path) -> None:
    """Close a file of ours that everybody may read. One that is shared with a group stays so: somebody chose that."""
    with suppress(OSError, AttributeError):  # it is not there; Windows knows no such modes
        found = file.stat()
        if found.st_mode & 0o007 and found.st_uid == os.geteuid():
            file.chmod(0o600)
