"""The house stands as it was drawn: every module has a place, and imports only from its left.

The imports are read from the source, those inside functions too.
"""

import ast
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers.waiting import PATIENCE

ROOT = Path(__file__).parents[2]

#: From left to right, package by package. A new one must take its place here; what is still to come has one already.
ORDER = (
    "echo_core.text", "echo_core.config", "echo_core.machine", "echo_core.settings", "echo_core.records",
    "echo_core.data", "echo_core.networks", "echo_core.models", "echo_core.store", "echo_core.evaluation",
    "echo_core.training", "echo_core.tables", "echo_core.forecast", "echo_core.workers", "echo_core.engine",
    "echo_core.health", "echo_core.inspection", "echo_core.studies", "echo_core.exports", "echo_core.cli",
    "echo_core.__main__",
    "echo_app.charts", "echo_app.formatting", "echo_app.components", "echo_app.web", "echo_app.store_outages",
    "echo_app.state", "echo_app.links", "echo_app.actions",
    "echo_app.cached_reads", "echo_app.panels", "echo_app.pages", "streamlit_app", "echo_app.__main__",
    "echo_app.command",
)

#: They train, so they import TensorFlow; a process that imports one of them has it.
TRAINERS = {"echo_core.networks.backend", "echo_core.networks.lstm_gradient", "echo_core.networks.cell_gradient",
            "echo_core.networks.in_tensorflow",
            "echo_core.networks.stable_names", "echo_core.models", "echo_core.training",
            "echo_core.training.chunks", "echo_core.training.program"}
TENSORFLOW = {"keras", "tensorflow"}
SCREEN = {"streamlit", "altair"}

#: The store is between those who train and those who look, and knows neither.
STORE_KNOWS = {"echo_core.store", "echo_core.text", "echo_core.config", "echo_core.settings", "echo_core.records"}


@dataclass(frozen=True)
class Import:
    """One import of one module, by another's source."""

    importer: str
    imported: str
    line: int
    in_function: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"

    @property
    def package(self) -> str:
        return self.imported.split(".")[0]


def sources() -> dict[str, Path]:
    """Every module of the project by its dotted name; a package's own file by the package's."""
    files = [*ROOT.glob("echo_core/**/*.py"), *ROOT.glob("echo_app/**/*.py"), *ROOT.glob("streamlit_app.py")]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def place(module: str) -> str | None:
    """The entry of ORDER that a module, or something in it, belongs to."""
    return next((entry for entry in ORDER if module == entry or module.startswith(entry + ".")), None)


def imports_of(module: str, file: Path) -> list[Import]:
    """What a module imports, wherever in its source."""
    found = []

    def visit(node: ast.AST, in_function: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(module, alias.name, node.lineno, in_function) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, file, node)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.append(Import(module, whole if whole in SOURCES else base, node.lineno, in_function))
        for child in ast.iter_child_nodes(node):
            visit(child, in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    visit(ast.parse(file.read_text(), str(file)), False)
    return found


def _absolute(module: str, file: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    return ".".join([*package[:len(package) - node.level + 1], *([node.module] if node.module else [])])


SOURCES = sources()
IMPORTS = [found for module, file in SOURCES.items() for found in imports_of(module, file)]
OWN_IMPORTS = [found for found in IMPORTS if place(found.imported)]


def offenders(broken):
    return [str(found) for found in IMPORTS if broken(found)]


def test_the_reader_of_imports_sees_them():
    seen = {(found.importer, found.imported, found.in_function) for found in IMPORTS}
    assert ("echo_core.data", "echo_core.config", False) in seen
    assert ("echo_core.workers.attempt", "echo_core.training", True) in seen
    assert ("echo_core.networks.backend", "tensorflow", False) in seen


def test_every_module_has_a_place_in_the_order():
    packages = {"echo_core", "echo_app"}
    assert [module for module in SOURCES if module not in packages and place(module) is None] == []


def test_a_module_imports_only_from_its_left():
    def to_the_right(found):
        if place(found.importer) is None or place(found.imported) is None:
            return False
        return ORDER.index(place(found.imported)) > ORDER.index(place(found.importer))
    assert offenders(to_the_right) == []


def test_packages_import_nothing_so_that_importing_one_module_imports_one_module():
    assert offenders(lambda found: found.importer in ("echo_core", "echo_app")) == []


def test_no_folder_has_more_modules_than_one_can_keep_in_mind():
    folders = Counter(file.parent for file in SOURCES.values() if file.name != "__init__.py")
    assert {str(folder.relative_to(ROOT)): number for folder, number in folders.items() if number > 11} == {}


def test_there_are_no_circular_imports():
    order: TopologicalSorter[str] = TopologicalSorter()
    for found in OWN_IMPORTS:
        if not found.in_function:
            order.add(found.importer, found.imported)
    order.prepare()  # raises CycleError, with the modules of the circle


def test_the_core_knows_no_screen():
    assert offenders(lambda found: found.importer.startswith("echo_core")
                     and found.package in {*SCREEN, "echo_app", "streamlit_app"}) == []


def test_charts_know_neither_streamlit_nor_keras():
    assert offenders(lambda found: found.importer.startswith("echo_app.charts")
                     and (found.package in {"streamlit", *TENSORFLOW} or found.imported in TRAINERS)) == []


def test_only_those_who_train_import_tensorflow():
    assert offenders(lambda found: found.package in TENSORFLOW and found.importer not in TRAINERS) == []


#: Functions of these import training, so that it is loaded only in a process that trains.
WORK_IN_FUNCTIONS = {"echo_core.workers.attempt", "echo_core.workers.worker", "echo_core.workers.process",
                     "echo_core.cli.training"}


def test_only_functions_of_the_worker_and_the_command_line_import_those_who_train():
    def improper(found):
        allowed = found.in_function and found.importer in WORK_IN_FUNCTIONS
        return found.imported in TRAINERS and found.importer not in TRAINERS and not allowed
    assert offenders(improper) == []


def test_scipy_is_imported_by_functions_alone_so_that_no_page_waits_for_it_that_shows_no_interval():
    assert offenders(lambda found: found.package == "scipy" and not found.in_function) == []


def test_records_know_numpy_alone():
    outside = {found.package for found in IMPORTS if found.importer == "echo_core.records"} - sys.stdlib_module_names
    assert outside == {"numpy"}


def test_the_store_knows_neither_those_who_train_nor_those_who_look():
    assert offenders(lambda found: place(found.importer) == "echo_core.store" and place(found.imported) is not None
                     and place(found.imported) not in STORE_KNOWS) == []


def test_old_migrations_import_nothing_of_today():
    assert offenders(lambda found: ".migrations.versions" in found.importer and place(found.imported) is not None) == []


def test_the_entry_imports_nothing_heavy_at_its_top():
    # Worker processes that are spawned run it again as __mp_main__.
    assert offenders(lambda found: found.importer == "streamlit_app" and not found.in_function
                     and found.package not in {"streamlit", "echo_app", "echo_core", *sys.stdlib_module_names}) == []


def test_no_class_inherits_from_a_class_of_ours_that_inherits_from_another():
    classes = {node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
               for file in SOURCES.values() for node in ast.walk(ast.parse(file.read_text()))
               if isinstance(node, ast.ClassDef)}
    heirs = {name for name, bases in classes.items() if bases & classes.keys()}
    assert {name: bases & heirs for name, bases in classes.items() if bases & heirs} == {}


#: Records of networks, which alone know what a network of a name is like.
RECORDS = "echo_core.config.variants"
#: Places elsewhere that may compare the name of a network with another one.
FEW = 5


def comparisons_of_a_network(tree: ast.Module) -> list[str]:
    """Where a module compares `variant`, or `….variant` or `…["variant"]`, instead of asking the network's record."""
    def is_variant(node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=name)):
                return name == "variant"
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value="variant"), *_]):
                return True
        return False

    compared = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)
                and any(is_variant(side) for side in (node.left, *node.comparators))]
    looked_up = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                 and node.func.attr == "get" and any(is_variant(argument) for argument in node.args)]
    matched = [node.subject for node in ast.walk(tree) if isinstance(node, ast.Match) and is_variant(node.subject)]
    return [f"{node.lineno}: {ast.unparse(node)}" for node in (*compared, *looked_up, *matched)]


def test_a_network_is_asked_by_its_record_and_not_by_its_name():
    found = [f"{module}:{place}" for module, file in SOURCES.items() if module != RECORDS
             for place in comparisons_of_a_network(ast.parse(file.read_text()))]
    assert len(found) <= FEW, found


def test_the_reader_of_comparisons_sees_each_kind():
    for line in ("c.variant == 'whole'", "'whole' != variant", "state['variant'] in ('whole', 'padded')",
                 "x = {}.get(c.variant, 1)", "values.get('variant') not in names", "match c.variant:\n case 'x': pass"):
        assert len(comparisons_of_a_network(ast.parse(line))) == 1, line
    for line in ("VARIANTS[c.variant].title", "for variant in VARIANTS: pass", "values.get('variant')"):
        assert comparisons_of_a_network(ast.parse(line)) == []


# --- the tests ---------------------------------------------------------------------------------------


#: Names that begin so and are public all the same: SQLAlchemy documents `Row._mapping`.
PUBLIC = {"_mapping"}
TESTS = {file: ast.parse(file.read_text()) for file in sorted((ROOT / "tests").rglob("*.py"))}


def imports_in(tree: ast.Module) -> list[tuple[str, int]]:
    """The modules that a test imports, wherever in its source, and the lines."""
    found = [(alias.name, node.lineno) for node in ast.walk(tree) if isinstance(node, ast.Import)
             for alias in node.names]
    return found + [(f"{node.module or ''}.{alias.name}", node.lineno) for node in ast.walk(tree)
                    if isinstance(node, ast.ImportFrom) for alias in node.names]


def test_what_several_tests_need_is_in_tests_helpers_and_no_test_is():
    for file, tree in TESTS.items():
        is_helper, is_test = file.parent == ROOT / "tests" / "helpers", file.name.startswith("test_")
        assert is_helper or is_test or file.name in ("conftest.py", "__init__.py"), f"{file.name}: move it to helpers"
        defined = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        assert not is_helper or not [name for name in (file.name, *defined) if name.startswith("test_")]


def test_a_test_imports_neither_another_test_nor_a_benchmark():
    helpers = {file.stem for file in TESTS if file.parent.name == "helpers"} - {"__init__"}
    for file, tree in TESTS.items():
        for imported, line in imports_in(tree):
            first, *rest = imported.split(".")
            where = f"{file.relative_to(ROOT)}:{line} imports {imported}"
            assert first not in {"benchmarks", *helpers}, f"{where}; helpers are in tests.helpers"
            assert not any(part.startswith("test_") or part == "conftest" for part in (first, *rest[:-1])), where
            assert first != "tests" or rest[0] == "helpers", where


def private_reaches(tree: ast.Module) -> list[str]:
    """Where a test uses what another module keeps to itself, by a dot, by import or by `setattr`."""
    def is_private(name: object) -> bool:
        return isinstance(name, str) and name.startswith("_") and not name.startswith("__") and name not in PUBLIC

    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) if is_private(name):
                found.append(f"{node.lineno}: {ast.unparse(node)}")
            case ast.ImportFrom(names=names) if any(is_private(alias.name) for alias in names):
                found.append(f"{node.lineno}: {ast.unparse(node)}")
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=arguments) if (
                    called in ("getattr", "setattr", "delattr")):
                names = [each.value.rpartition(".")[2] for each in arguments
                         if isinstance(each, ast.Constant) and isinstance(each.value, str)]
                if any(map(is_private, names)):
                    found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def test_a_test_reaches_into_no_private_attribute_of_another_module():
    assert {str(file.relative_to(ROOT)): reaches for file, tree in TESTS.items()
            if (reaches := private_reaches(tree))} == {}


def test_the_reader_of_private_reaches_sees_each_kind():
    for line in ("run._state", "from x import _y", "patch.setattr(x, '_y', 1)", "patch.setattr('x._y', 1)"):
        assert len(private_reaches(ast.parse(line))) == 1
    for line in ("self._state", "row._mapping", "run.__dict__", "patch.setattr(x, 'y', 1)"):
        assert private_reaches(ast.parse(line)) == []


@pytest.mark.slow
def test_a_process_that_imports_all_but_those_who_train_has_no_tensorflow_in_it():
    skipped = {*TRAINERS, "echo_core.__main__", "echo_core.store.migrations.env", "streamlit_app"}
    modules = [module for module in SOURCES if module not in skipped and ".pages" not in module]
    code = (f"import importlib, sys\nfor module in {modules}: importlib.import_module(module)\n"
            f"assert not {TENSORFLOW} & set(sys.modules)")
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True, timeout=PATIENCE)
