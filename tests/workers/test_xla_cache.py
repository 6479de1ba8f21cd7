"""Compiled programs on disk stay few and whole."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.struct_pb2 import Value

from echo_core.settings import Settings
from echo_core.workers import xla_cache
from echo_core.workers.xla_cache import leave_cache, make_room, open_cache, program_folder, remove_damaged
from tests.helpers.faults import small_disk

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


@pytest.fixture(params=["memory", "no memory disk"])
def opened(request, settings, tmp_path, monkeypatch):
    """A process that keeps its programs, by the link that TensorFlow has; with and without a disk in memory."""
    monkeypatch.setattr(xla_cache, "link", None)
    if request.param != "memory":
        monkeypatch.setattr(xla_cache, "MEMORY_DISK", tmp_path / "nothing")
    return open_cache(settings)


def test_programs_go_by_a_link_into_a_folder_that_is_closed_to_others(settings, opened):
    (opened / "a.pb").write_bytes(WHOLE)
    folder = program_folder(settings)
    assert (folder / "a.pb").read_bytes() == WHOLE
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(opened.parent.stat().st_mode) == 0o700
    assert not leave_cache(settings)  # all is well
    assert [file.name for file in folder.iterdir()] == ["a.pb"]


def put_in_the_way(folder):
    shutil.rmtree(folder)
    folder.touch()


def test_a_folder_that_cannot_be_written_to_any_more_is_left_and_said_once(settings, opened, caplog):
    put_in_the_way(program_folder(settings))
    assert [leave_cache(settings) for _ in range(2)] == [True, False]
    (opened / "a.pb").write_bytes(WHOLE)
    assert len(caplog.messages) == 1
    assert "compiled programs are not kept" in caplog.text
    assert "ECHO_XLA_CACHE" in caplog.text
    make_room(settings)
    assert list(opened.iterdir()) == []


@pytest.mark.parametrize("where", ["file", "file/xla"])
def test_where_no_folder_can_be_made_nothing_is_kept_and_the_log_says_so(tmp_path, where, caplog, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(xla_cache, "link", None)
    assert open_cache(Settings(xla_cache=tmp_path / where)) is None
    assert len(caplog.messages) == 1
    assert not leave_cache(Settings(xla_cache=tmp_path / where))


def test_a_disk_without_room_for_programs_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(xla_cache, "link", None)
    with small_disk(tmp_path, megabytes=4):
        assert open_cache(Settings(xla_cache=tmp_path / "xla")) is None


def test_a_program_that_cannot_be_read_is_removed(settings, monkeypatch):
    (program_folder(settings) / "a.pb").mkdir()  # which even root cannot read
    kept = program(settings, "b")
    assert remove_damaged(settings) == 0  # nor can it be unlinked, and it does not matter
    assert kept.exists()


def train_tiny(cache, *more):
    return subprocess.run([sys.executable, "-m", "echo_core", "train", "--set", "epochs=2", "--set", "units=3",
                           "--no-store", "--json", *more], env={**os.environ, "ECHO_XLA_CACHE": str(cache)},
                          cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_network_trains_where_its_program_cannot_be_kept_and_says_so_once(tmp_path):
    (tmp_path / "file").touch()
    done = train_tiny(tmp_path / "file", "--repeat", "2")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("compiled programs are not kept") == 1 == len(done.stderr.splitlines())


@pytest.mark.slow
def test_a_disk_that_fills_up_while_a_process_lives_ends_no_run(tmp_path):
    script = """
import sys
from pathlib import Path
from echo_core.workers.process import load_training
from echo_core.settings import Settings
from echo_core.workers.attempt import records_of
from tests.helpers.faults import filled
from tests.helpers.samples import TINY

load_training(Settings())
with filled(Path(sys.argv[1])):
    first = [each.checkpoint.fingerprint for each in records_of(TINY)][-1]
    list(records_of(TINY.model_copy(update={"units": 5})))
print(first)
print([each.checkpoint.fingerprint for each in records_of(TINY)][-1])
"""
    with small_disk(tmp_path, megabytes=32):
        done = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=Path(__file__).parents[2], text=True,
                              env={**os.environ, "ECHO_XLA_CACHE": str(tmp_path / "xla")}, capture_output=True,
                              check=False)
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.split())) == 1
    assert done.stderr.count("compiled programs are not kept") == 1


@pytest.mark.slow
def test_a_damaged_program_is_compiled_again_and_trains_the_same(tmp_path):
    def train():
        tiny = ["--set", "epochs=3", "--set", "units=8", "--no-store", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "echo_core", "train", *tiny],
            env={**os.environ, "ECHO_XLA_CACHE": str(tmp_path)}, cwd=Path(__file__).parents[2],
            capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1].partition('"fingerprint"')[2], done.stderr

    fingerprint, _ = train()
    file, = tmp_path.glob("*/*.pb")
    size = file.stat().st_size
    os.truncate(file, size // 2)
    assert train()[0] == fingerprint
    file, = tmp_path.glob("*/*.pb")
    assert file.stat().st_size == pytest.approx(size, rel=0.01)
