"""Compiled programs on disk stay few and whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.struct_pb2 import Value

from echo_core.programs import make_room, program_folder, remove_damaged
from echo_core.settings import Settings

WHOLE = Value(string_value="program " * 100).SerializeToString()


@pytest.fixture
def settings(tmp_path):
    found = Settings(xla_cache=tmp_path / "xla", xla_mb=2)
    program_folder(found).mkdir(parents=True)
    return found


def program(settings, name, data=WHOLE, used_at=0.0):
    file = program_folder(settings) / f"{name}.pb"
    file.write_bytes(data)
    os.utime(file, (used_at, used_at))
    return file


def test_each_number_of_threads_has_a_folder_of_its_own():
    one, two = (program_folder(Settings(threads=threads)) for threads in (1, 2))
    assert one.parent == two.parent == Settings().xla_cache
    assert one != two


def test_programs_that_were_used_longest_ago_make_room(settings):
    half = bytes(2**20)
    oldest, middle, newest = (program(settings, name, half, at) for name, at in (("a", 2.0), ("b", 3.0), ("c", 1.0)))
    os.utime(newest, (9.0, 1.0))  # compiled first, and used last
    elsewhere = settings.xla_cache / "another kind of processor" / "d.pb"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(half)
    os.utime(elsewhere, (2.5, 2.5))
    make_room(settings)
    assert [file.exists() for file in (oldest, elsewhere, middle, newest)] == [False, False, True, True]
    make_room(settings)
    assert middle.exists()


def test_a_folder_that_is_not_there_needs_no_room(tmp_path):
    make_room(Settings(xla_cache=tmp_path / "nothing"))
    assert remove_damaged(Settings(xla_cache=tmp_path / "nothing")) == 0


@pytest.mark.parametrize("damage", [WHOLE[:-1], WHOLE[:40], b"", bytes(500)], ids=["byte", "cut", "empty", "zeros"])
def test_damaged_programs_are_removed_and_whole_ones_stay(settings, damage, caplog):
    whole, damaged = program(settings, "whole"), program(settings, "damaged", damage)
    assert remove_damaged(settings) == 1
    assert (whole.exists(), damaged.exists()) == (True, False)
    assert "compiled again" in caplog.text


@pytest.mark.slow
def test_a_damaged_program_is_compiled_again_and_trains_the_same(tmp_path):
    def train():
        tiny = ["--set", "epochs=3", "--set", "units=8", "--no-store", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "echo_core", "train", *tiny],
            env={**os.environ, "ECHO_XLA_CACHE": str(tmp_path)}, cwd=Path(__file__).parent.parent,
            capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1].partition('"fingerprint"')[2], done.stderr

    fingerprint, _ = train()
    file, = tmp_path.glob("*/*.pb")
    size = file.stat().st_size
    os.truncate(file, size // 2)
    assert train()[0] == fingerprint
    file, = tmp_path.glob("*/*.pb")
    assert file.stat().st_size == pytest.approx(size, rel=0.01)
