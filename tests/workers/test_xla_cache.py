"""Compiled programs on disk stay few, and a damaged one harms no run."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from echo_core.settings import Settings
from echo_core.workers import own_folder, xla_cache
from echo_core.workers.xla_cache import make_room, mend_cache, open_cache, program_folder
from tests.helpers.faults import small_disk

WHOLE = b"program " * 100


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
    assert not mend_cache(Settings(xla_cache=tmp_path / "nothing"))


@pytest.fixture(params=["memory", "no memory disk"])
def opened(request, settings, tmp_path, monkeypatch):
    """A process that keeps its programs, by the link that TensorFlow has; with and without a disk in memory."""
    monkeypatch.setattr(xla_cache, "link", None)
    if request.param != "memory":
        monkeypatch.setattr(own_folder, "MEMORY_DISK", tmp_path / "nothing")
    return open_cache(settings)


def test_programs_go_by_a_link_into_a_folder_that_is_closed_to_others(settings, opened):
    (opened / "a.pb").write_bytes(WHOLE)
    folder = program_folder(settings)
    assert (folder / "a.pb").read_bytes() == WHOLE
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(opened.parent.stat().st_mode) == 0o700


def test_after_a_failure_all_programs_are_deleted_once(settings, opened, caplog):
    (opened / "a.pb").write_bytes(WHOLE)
    assert mend_cache(settings)
    assert list(program_folder(settings).iterdir()) == []
    assert not mend_cache(settings)  # nothing is left that could be damaged
    assert len(caplog.messages) == 1


def put_in_the_way(folder):
    shutil.rmtree(folder)
    folder.touch()


def test_a_folder_that_cannot_be_written_to_any_more_is_left_and_said_once(settings, opened, caplog):
    put_in_the_way(program_folder(settings))
    assert [mend_cache(settings) for _ in range(2)] == [True, False]
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
    assert not mend_cache(Settings(xla_cache=tmp_path / where))


def test_a_disk_without_room_for_programs_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(xla_cache, "link", None)
    with small_disk(tmp_path, megabytes=4):
        assert open_cache(Settings(xla_cache=tmp_path / "xla")) is None


def train_tiny(cache, *more):
    return subprocess.run([sys.executable, "-m", "echo_core", "train", "--set", "epochs=2", "--set", "units=3",
                           "--no-store", "--json", *more], env={**os.environ, "ECHO_XLA_CACHE": str(cache)},
                          cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)


def fingerprint_of(done):
    return json.loads(done.stdout.splitlines()[-1])["fingerprint"]


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
@pytest.mark.parametrize("damage", [lambda data: data[:len(data) // 2], lambda _: b"", lambda data: bytes(len(data)),
                                    lambda data: data[:len(data) // 3] + b"\xff" * 4 + data[len(data) // 3 + 4:]],
                         ids=["cut", "empty", "zeros", "changed"])
def test_a_damaged_program_is_compiled_again_and_trains_the_same(tmp_path, damage):
    whole = train_tiny(tmp_path)
    file, = tmp_path.glob("*/*.pb")
    data = file.read_bytes()
    file.write_bytes(damage(data))
    again = train_tiny(tmp_path)
    assert again.returncode == 0, again.stderr
    assert fingerprint_of(again) == fingerprint_of(whole)
    assert again.stderr.count("are deleted") == 1
    file, = tmp_path.glob("*/*.pb")
    assert file.stat().st_size == pytest.approx(len(data), rel=0.01)
