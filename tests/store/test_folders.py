"""Store and compiled programs land in the project, whatever the folder is called that it was cloned into."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from echo_core.settings import PROJECT_ROOT, Settings, sqlite_url
from echo_core.store import Store
from echo_core.store.database import Database
from echo_core.workers.process import XLA_CACHE_FLAG, environment
from tests.helpers.samples import config

NAMES = ["a%20b", "What?", "back\\slash", 'with "quotes"', "it's", "with space é", "#hash", "a&b=c;d", "{b} $HOME", "%",
         "100% %s %(here)s", "a:b@c", "~", "日本語 😀", "line\nbreak", "[1]", "a+b", "-dash"]


@pytest.mark.parametrize("name", NAMES)
def test_store_lands_in_the_project_whatever_its_folder_is_called(tmp_path, monkeypatch, name):
    path = tmp_path / name / ".echo" / "runs.db"
    url = sqlite_url(path)
    monkeypatch.setenv("DATABASE_URL", url)
    with closing(Store(Settings().database_url)) as store:
        store.queue.request(config(1))
    assert path.is_file()
    assert Path(Database(url).url.database) == path
    assert [folder.name for folder in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_compiled_programs_land_in_the_project_whatever_its_folder_is_called(tmp_path, name):
    """TensorFlow's parser takes double quotes and backslashes as a shell does, which is the oracle here."""
    settings = Settings(xla_cache=tmp_path / name / "xla")
    (flag,) = shlex.split(environment(settings)["TF_XLA_FLAGS"])
    assert Path(flag.removeprefix(XLA_CACHE_FLAG)).parent == settings.xla_cache


def copy_of_the_project(folder):
    shutil.copytree(PROJECT_ROOT / "echo_core", folder / "echo_core", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run_in(folder, *arguments):
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("ECHO_")}
    surroundings.pop("DATABASE_URL", None)
    done = subprocess.run([sys.executable, "-m", "echo_core", *arguments], cwd=folder, env=surroundings, check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


ALL_AT_ONCE = """a%20b What? back\\slash "quotes" 'it's' é #hash $HOME {b} &;="""


def test_project_in_a_folder_of_any_name_keeps_its_store_in_it(tmp_path):
    folder = copy_of_the_project(tmp_path / ALL_AT_ONCE)
    assert run_in(folder, "runs").startswith("No runs yet.")
    assert (folder / ".echo" / "runs.db").is_file()
    assert [found.name for found in tmp_path.iterdir()] == [ALL_AT_ONCE]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a%20b", "What?", "back\\slash", 'with "quotes"', ALL_AT_ONCE])
def test_project_in_a_folder_of_any_name_trains_and_keeps_what_it_compiles_in_it(tmp_path, name):
    folder = copy_of_the_project(tmp_path / name)
    told = run_in(folder, "train", "--set", "epochs=2", "--json").splitlines()
    assert json.loads(told[-1])["state"] == "finished"
    assert (folder / ".echo" / "runs.db").is_file()
    assert list((folder / ".echo" / "xla").glob("*/*.pb"))
    assert [found.name for found in tmp_path.iterdir()] == [name]
