"""A bare clone sets itself up with one command and asks nothing."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


def requirements(name):
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]


def test_tests_keep_away_from_the_developers_runs_and_settings():
    assert [name for name in os.environ if name.startswith("ECHO_")] == []
    assert ROOT not in Path(os.environ["DATABASE_URL"].removeprefix("sqlite:///")).parents


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "constraints.txt"])
def test_every_requirement_is_pinned(name):
    assert [str(one) for one in requirements(name) if not re.fullmatch(r"==[\w.]+", str(one.specifier))] == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_is_tested_is_what_is_pinned(name):
    here = [one for one in requirements(name) if one.marker is None or one.marker.evaluate()]
    assert {one.name: version(one.name) for one in here} == {one.name: str(one.specifier)[2:] for one in here}


@pytest.mark.parametrize(("machine", "system", "package"), [
    ("x86_64", "linux", "tensorflow-cpu"), ("AMD64", "win32", "tensorflow-cpu"),
    ("arm64", "darwin", "tensorflow"), ("aarch64", "linux", "tensorflow")])
def test_each_kind_of_machine_gets_the_one_tensorflow_that_has_a_wheel_for_it(machine, system, package):
    here = {"platform_machine": machine, "sys_platform": system}
    assert [one.name for one in requirements("requirements.txt")
            if one.name.startswith("tensorflow") and one.marker.evaluate(here)] == [package]


def test_peers_of_the_benchmarks_are_no_requirement_of_the_app():
    names = {one.name for name in ("requirements.txt", "requirements-dev.txt") for one in requirements(name)}
    assert names.isdisjoint({"torch", "jax", "jaxlib"})


def test_the_first_start_asks_for_no_email_and_opens_a_browser_only_where_there_is_one():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["showEmailPrompt"] is False
    assert "headless" not in settings["server"]  # Streamlit looks for a screen itself
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"


def test_ci_can_be_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_every_page_is_ready_and_what_was_imported_is_never_looked_through_again(tmp_path: Path):
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'runs.db'}"}
    found = subprocess.run([sys.executable, "-c", """
import gc, sys
from echo_app.__main__ import _prepare
_prepare()
print(gc.get_freeze_count(), len(gc.get_objects()))
print(*sys.modules)
"""], env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE)
    counts, imported = found.stdout.splitlines()
    frozen, others = map(int, counts.split())
    assert frozen > 100 * others
    pages = {f"echo_app.pages.{file.stem}" for file in (ROOT / "echo_app" / "pages").glob("[a-z]*.py")}
    assert pages - set(imported.split()) == set()
