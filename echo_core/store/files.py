"""Files and folders that nobody else on this machine can read, and the file of a SQLite store."""

import os
from contextlib import suppress
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, closed to other users. An existing one is left as it is.

    Raises:
        OSError: If one cannot be created.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            each.mkdir(0o700)
    if not folder.is_dir():
        folder.mkdir()  # raises the reason


def make_file(file: Path) -> bool:
    """Create an empty file that only its owner can read. Returns False if the file exists.

    Raises:
        OSError: If it cannot be created.
    """
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return False
    return True


def close_to_others(file: Path) -> None:
    """Close our own file to other users if everybody may read it. One that is shared with a group stays shared."""
    with suppress(OSError, AttributeError):  # the file is missing; Windows has no such modes
        found = file.stat()
        if found.st_mode & 0o007 and found.st_uid == os.geteuid():
            file.chmod(0o600)


class StoreFile:
    """The file of a SQLite store, as opened: another file may be at its path by now.

    A process that has opened a file goes on writing to it after it was deleted, and nobody else reads that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._beside = [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]
        #: An identity of the file that was opened last, unique on this machine.
        self.identity: tuple[int, int] | None = None
        self._opened_beside: list[tuple[int, int] | None] = []
        self._had_content = False

    def open(self, create: bool) -> None:
        """Create the file if it is missing, and let only its owner read it.

        Raises:
            FileNotFoundError: If it is missing and `create` is false.
            OSError: If it cannot be created.
        """
        if create:
            make_folder(self.path.parent)
            if self._is_emptied(_stat(self.path)):
                self.path.unlink()  # so that other processes notice that it is another file
        elif not self.path.is_file() or self._is_emptied(_stat(self.path)):
            raise FileNotFoundError(str(self.path))
        is_new = create and make_file(self.path)
        is_another = self.identity not in (None, _number(self.path))
        for file, opened in zip(self._beside, self._opened_beside or [None] * len(self._beside), strict=True):
            # SQLite would read the journal of the deleted file into this new one.
            if is_new or (is_another and opened is not None and opened == _number(file)):
                file.unlink(missing_ok=True)
        for each in (self.path, *self._beside):
            close_to_others(each)
        self.identity, self._had_content = _number(self.path), False

    def bytes(self) -> int:
        """Bytes of the file and of those beside it."""
        return sum(found.st_size for each in (self.path, *self._beside) if (found := _stat(each)))

    def note_content(self) -> None:
        """Note that the file has tables now, and that a connection has opened the files beside it."""
        self._opened_beside, self._had_content = [_number(file) for file in self._beside], True

    def is_gone(self) -> bool:
        """Whether the file that was opened last was removed, replaced or emptied."""
        found = _stat(self.path)
        return found is None or (found.st_dev, found.st_ino) != self.identity or self._is_emptied(found)

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
