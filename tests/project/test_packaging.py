"""`pip install .` brings the app, the command `echo-lab` and all they read; data stay outside of site-packages."""

import runpy
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import platformdirs
import pytest

from echo_app import __main__ as app
from echo_app import command
from echo_core.settings import data_folder
from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_package_and_every_file_that_is_no_module_is_listed():
    folders = {file.parent for name in ("echo_core", "echo_app") for file in (ROOT / name).rglob("__init__.py")}
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert {*SETUPTOOLS["packages"]} == {*packages, "echo_lab"}
    listed = {file for package, names in SETUPTOOLS["package-data"].items() for name in names
              for file in (ROOT / SETUPTOOLS["package-dir"].get(package, package.replace(".", "/"))).glob(name)}
    others = {file for folder in folders for file in folder.iterdir() if file.is_file() and file.suffix != ".py"}
    assert listed == {*others, ROOT / ".streamlit" / "config.toml"}


def test_a_clone_keeps_its_data_beside_the_code_and_an_installed_copy_where_the_users_data_are(tmp_path: Path):
    assert data_folder(tmp_path) == tmp_path / ".echo"
    (tmp_path / "echo_lab-0.1.0.dist-info").mkdir()
    assert data_folder(tmp_path) == Path(platformdirs.user_data_dir("echo-lab", appauthor=False))


@pytest.mark.parametrize("arguments", [[], ["--server.port=8502"]])
def test_echo_lab_alone_or_with_options_opens_the_app(arguments: list[str], monkeypatch: pytest.MonkeyPatch):
    opened = []
    monkeypatch.setattr(app, "main", lambda: opened.append(sys.argv[1:]))
    monkeypatch.setattr(sys, "argv", ["echo-lab", *arguments])
    command.main()
    assert opened == [arguments]


@pytest.mark.parametrize(("arguments", "status", "printed"), [
    (["--help"], 0, "Without a command, echo-lab opens the app"),
    (["train", "--set", "units=0", "--no-store"], 2, "units must be at least 1"),
    (["sing"], 2, "No such command 'sing'"),
])
def test_echo_lab_with_a_word_is_the_command_line(arguments: list[str], status: int, printed: str,
                                                  monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["echo-lab", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = "".join(capsys.readouterr())
    assert ended.value.code == status
    assert printed in said


def test_the_script_that_is_named_to_streamlit_is_that_of_this_copy():
    assert app.APP == ROOT / "streamlit_app.py"
    assert "main" in runpy.run_path(str(app.APP), run_name="not main")


@pytest.mark.slow
def test_a_wheel_has_all_that_an_installed_copy_reads_and_nothing_of_the_tests(tmp_path: Path):
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "clone" / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path,
                    tmp_path / "clone"], check=True, timeout=PATIENCE)
    [wheel] = tmp_path.glob("echo_lab-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in packed} == {"echo_core", "echo_app", "echo_lab"}
    for name in ("echo_core/store/migrations/script.py.mako", "echo_core/store/migrations/versions/0001_first.py",
                 "echo_core/py.typed", "echo_app/icon.svg"):
        assert name in packed
    assert {name for name in packed if name.startswith("echo_lab/")} == {"echo_lab/streamlit_app.py",
                                                                         "echo_lab/.streamlit/config.toml"}
