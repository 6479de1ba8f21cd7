"""A folder for a process's temporary files: deleted when the process ends, and by the next one if it was killed."""

import atexit
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

import psutil

#: A file system in memory, which has room when the disk is full.
MEMORY_DISK = Path("/dev/shm")


def make_own_folder() -> Path:
    """Create a folder that only this user can read, named after this process."""
    remove_leftovers()
    own = Path(tempfile.mkdtemp(prefix=f"echo-lab-{socket.gethostname()}-{os.getpid()}-", dir=_parent()))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


def remove_leftovers() -> None:
    """Delete the folders of processes that have ended. A container with another host name keeps its own."""
    for folder in _parent().glob("echo-lab-*"):
        found = re.fullmatch(rf"echo-lab-{re.escape(socket.gethostname())}-(\d+)-\w+", folder.name)
        if found is not None and not is_alive(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs, or cannot be asked."""
    try:
        status: str = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
    return status != psutil.STATUS_ZOMBIE  # it has ended, but its parent has not collected it yet


def _parent() -> Path:
    return MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else Path(tempfile.gettempdir())
