"""The workflow on GitHub runs what is here: its files, targets, rooms and versions exist."""

import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
#: YAML 1.1 reads the key `on` as the value true.
WORKFLOW = {str(key): value for key, value in
            yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text()).items()}
JOBS: dict[str, Any] = WORKFLOW["jobs"]


def commands(job: str) -> list[list[str]]:
    return [shlex.split(step["run"], comments=True) for step in JOBS[job]["steps"] if "run" in step]


def test_linux_runs_what_a_clone_must_pass_on_each_python_that_the_project_names():
    assert commands("linux") == [[".ci/run"]]
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    first, beyond = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", named).groups())
    assert JOBS["linux"]["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(first, beyond)]


def test_the_script_that_it_calls_can_be_run_and_its_target_exists():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    [target] = re.findall(r"exec make ([\w-]+)", script.read_text())
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_other_systems_install_lint_and_run_rooms_that_exist():
    install, *lint, tests = commands("core")
    assert all((ROOT / word).is_file() for word in install if word.endswith(".txt"))
    assert [command[2] for command in lint] == ["ruff", "mypy"]
    rooms = [word for word in tests if word.startswith("tests/")]
    assert len(rooms) >= 5
    assert [room for room in rooms if not (ROOT / room).is_dir()] == []


def test_actions_are_pinned_by_their_major_version():
    used = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert {action.split("@")[0] for action in used} == {"actions/checkout", "actions/setup-python"}
    assert [action for action in used if not re.search(r"@v\d+$", action)] == []


def test_it_may_only_read_ends_older_runs_and_ends_itself():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True
    assert all(job["timeout-minutes"] <= 60 for job in JOBS.values())
