"""Temporary folders of processes, also of those that are killed."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from echo_core.workers import own_folder
from echo_core.workers.own_folder import make_own_folder, remove_leftovers

ROOT = Path(__file__).parents[2]

MAKE = """
import os, sys
from pathlib import Path
from echo_core.workers import own_folder
own_folder.MEMORY_DISK = Path(sys.argv[1])
print(own_folder.make_own_folder())
if sys.argv[2] == "killed":
    sys.stdout.flush()
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def disk(tmp_path, monkeypatch):
    monkeypatch.setattr(own_folder, "MEMORY_DISK", tmp_path)
    return tmp_path


def made_by_a_process_that_is(how: str, disk: Path) -> Path:
    command = [sys.executable, "-c", MAKE, disk, how]
    return Path(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False).stdout.strip())


def test_a_folder_is_this_users_alone_and_goes_with_its_process(disk):
    assert stat.S_IMODE(make_own_folder().stat().st_mode) == 0o700
    assert not made_by_a_process_that_is("ended", disk).exists()


def test_the_folder_of_a_process_that_was_killed_is_deleted_by_the_next_one(disk):
    left = made_by_a_process_that_is("killed", disk)
    assert left.exists()
    own = make_own_folder()
    assert (left.exists(), own.exists()) == (False, True)


def test_folders_of_others_stay(disk):
    mine, parent = make_own_folder(), disk / make_own_folder().name.replace(f"-{os.getpid()}-", f"-{os.getppid()}-")
    others = [parent, disk / "echo-lab-another-host-999999-abc", disk / "echo-lab-notes"]
    for folder in others:
        folder.mkdir()
    remove_leftovers()
    assert all(folder.exists() for folder in (mine, *others))


def test_where_no_disk_is_in_memory_the_folder_is_on_the_disk_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(own_folder, "MEMORY_DISK", tmp_path / "nothing")
    monkeypatch.setattr(own_folder.tempfile, "tempdir", str(tmp_path))
    assert make_own_folder().parent == tmp_path
