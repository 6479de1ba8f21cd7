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
STEPS = re.findall(r"^\| \d+ \(\d\) \| `([^`]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
SOURCES = "\n".join(path.read_text() for folder in ("echo_core", "echo_app", "tests")
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
    rows, numbers = zip(*((int(row), int(number)) for row, number in re.findall(
        r"^\| (\d+) \((\d)\) \| `", PAGE, re.MULTILINE)), strict=True)
    assert list(rows) == list(range(1, len(STEPS) + 1))
    assert len(STEPS) >= 10
    assert sorted(set(numbers)) == list(range(1, 9)) == [int(number) for number in sorted(set(re.findall(
        r'class="num"[^>]*>(\d)<', (ROOT / "docs" / "architecture.svg").read_text())))]


NAMES = set(re.findall(r"`([A-Za-z_]+)`", PAGE + (ROOT / "CONTRIBUTING.md").read_text()))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_that_the_page_or_the_guide_gives_is_one_of_the_code(name: str):
    assert re.search(rf"\b{name}\b", SOURCES)


PIECES = PAGE[PAGE.index("## The pieces"):PAGE.index("Three rules")]
ROWS = re.findall(r"^\| (`[^|]+`) \|", PIECES, re.MULTILINE)
LISTED = [path for row in ROWS for path in re.findall(r"`([^`]+)`", row)]


def test_the_table_of_pieces_has_each_package_and_module_of_the_top_and_no_other():
    tops = [path for folder in ("echo_core", "echo_app") for path in (ROOT / folder).iterdir()
            if path.suffix == ".py" or (path / "__init__.py").exists()]
    there = {path.relative_to(ROOT).as_posix() for path in tops if path.name not in ("__init__.py", "__main__.py")}
    assert there - {"echo_app/command.py", "echo_app/formatting.py"} == set(LISTED)


def test_the_pieces_stand_in_the_order_of_imports():
    tree = ast.parse((ROOT / "tests" / "project" / "test_architecture.py").read_text())
    [order] = [ast.literal_eval(node.value) for node in tree.body
               if isinstance(node, ast.Assign) and node.targets[0].id == "ORDER"]
    places = [order.index(path.removesuffix(".py").replace("/", ".")) for path in LISTED]
    assert places == sorted(places)


@pytest.mark.parametrize(("piece", "unknown"), [
    ("echo_core/evaluation", "echo_core.store"), ("echo_core/training", "echo_core.store"),
    ("echo_core/training", "echo_core.workers"), ("echo_core/exports", "streamlit"),
    ("echo_app/web", "echo_core.records"), ("echo_app/panels", "sqlalchemy"), ("echo_app/pages", "sqlalchemy")])
def test_a_piece_does_not_import_what_the_page_says_it_must_never_know(piece: str, unknown: str):
    assert piece in LISTED
    files = [ROOT / piece] if piece.endswith(".py") else (ROOT / piece).rglob("*.py")
    assert [file.name for file in files if re.search(rf"\b(from|import) {unknown}\b", file.read_text())] == []
