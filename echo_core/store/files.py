"""Files and folders that nobody else on this machine can read, and the file of a SQLite store."""

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


class StoreFile:
    """The file that connections have open, which may differ from the file that is now at its path.

    Who has opened a file goes on writing to it after it was deleted, and nobody else ever reads that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._beside = [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]
        self._opened: tuple[int, int] | None = None
        self._opened_beside: list[tuple[int, int] | None] = []
        self._had_content = False

    @property
    def identity(self) -> tuple[int, int] | None:
        """An identity of the file that was opened last, unique on this machine."""
        return self._opened

    def open(self, create: bool) -> None:
        """Create the file if it is missing, and let only its owner read it.

        Raises:
            FileNotFoundError: If it is not there, unless `create`.
            OSError: If it cannot be made.
        """
        if create:
            make_folder(self.path.parent)
            if self._is_emptied(_stat(self.path)):
                self.path.unlink()  # otherwise processes that have it open would not notice the change
        elif not self.path.is_file() or self._is_emptied(_stat(self.path)):
            raise FileNotFoundError(str(self.path))
        is_new = create and make_file(self.path)
        is_another = self._opened not in (None, _number(self.path))
        for file, opened in zip(self._beside, self._opened_beside or [None] * len(self._beside), strict=True):
            # SQLite would read the journal of a deleted file into this new one.
            if is_new or (is_another and opened is not None and opened == _number(file)):
                file.unlink(missing_ok=True)
        for each in (self.path, *self._beside):
            close_to_others(each)
        self._opened, self._had_content = _number(self.path), False

    def note_content(self) -> None:
        """Note that it has tables now, and that a connection has opened the files beside it."""
        self._opened_beside, self._had_content = [_number(file) for file in self._beside], True

    def is_gone(self) -> bool:
        """Whether the file that was opened last was removed, replaced or emptied."""
        found = _stat(self.path)
        return found is None or (found.st_dev, found.st_ino) != self._opened or self._is_emptied(found)

    def _is_emptied(self, found: os.stat_result | None) -> bool:
        return self._had_content and found is not None and not found.st_size


def _stat(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _number(path: Path) -> tuple[int, int] | None:
    """An identity of a file, unique on this machine."""
    found = _stat(path)
    return (found.st_dev, found.st_ino) if found else None
