"""docs/ARCHITECTURE.md is held to the code: each function and name in it exists, and it has every package."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
#: What stands in code quotes.
QUOTED = sorted(set(re.findall(r"`([^`\n]+)`", PAGE)))
#: Steps of a press of Train: a file with a function of it.
STEPS = re.findall(r"^\| \d \| `([^`]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
SOURCES = "\n".join(path.read_text() for folder in ("echo_core", "echo_app")
                    for path in sorted((ROOT / folder).rglob("*.py")))


def functions_of(path: str) -> set[str]:
    """Functions of a module, and methods as `Class.method`."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        match node:
            case ast.FunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name, body=body):
                found |= {f"{name}.{method.name}" for method in body if isinstance(method, ast.FunctionDef)}
    return found


@pytest.mark.parametrize(("path", "function"), STEPS)
def test_a_step_of_the_press_is_a_function_of_its_file(path: str, function: str):
    assert function in functions_of(path)


def test_the_steps_go_from_the_press_to_the_page():
    numbers = [int(number) for number in re.findall(r"^\| (\d) \| `", PAGE, re.MULTILINE)]
    assert len(STEPS) == len(numbers) >= 10
    assert sorted(set(numbers)) == list(range(1, 9)) == [int(number) for number in sorted(set(re.findall(
        r'class="num"[^>]*>(\d)<', (ROOT / "docs" / "architecture.svg").read_text())))]


@pytest.mark.parametrize("name", [quoted for quoted in QUOTED if re.fullmatch(r"[A-Za-z_]+", quoted)])
def test_a_name_that_the_page_gives_is_one_of_the_code(name: str):
    assert re.search(rf"\b{name}\b", SOURCES)


def test_the_table_of_pieces_has_each_package_and_module_of_the_top_and_no_other():
    pieces = PAGE[PAGE.index("## The pieces"):PAGE.index("Three rules")]
    listed = {path for row in re.findall(r"^\| (`[^|]+`) \|", pieces, re.MULTILINE)
              for path in re.findall(r"`([^`]+)`", row)}
    tops = [path for folder in ("echo_core", "echo_app") for path in (ROOT / folder).iterdir()
            if path.suffix == ".py" or (path / "__init__.py").exists()]
    there = {path.relative_to(ROOT).as_posix() for path in tops if path.name not in ("__init__.py", "__main__.py")}
    entries = {"echo_app/command.py", "echo_app/formatting.py"}
    assert there - entries == listed - {"streamlit_app.py"}
