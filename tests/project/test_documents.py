"""The documents are true and complete: what they name exists, and what exists is documented."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from echo_core.cli import cli
from echo_core.config import RunConfig
from echo_core.config.repair import parse_settings, repair_settings
from echo_core.settings import Limits, Settings
from tests.helpers import fields_page

ROOT = Path(__file__).parents[2]
DOCUMENTS = {path.name: path.read_text() for path in
             (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))}
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
README, HOSTING, COMMANDS = (DOCUMENTS[name] for name in ("README.md", "hosting.md", "command-line.md"))


def blocks(document: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
    return [text for written_in, text in fenced if written_in == language]


def commands(start: str) -> Iterator[list[str]]:
    """Every command of the documents that begins so, as words without its comment."""
    for document in DOCUMENTS.values():
        for block in blocks(document, "sh"):
            yield from (shlex.split(line, comments=True) for line in block.splitlines() if line.startswith(start))


def test_every_equivalent_mutant_is_of_a_line_that_is_still_there():
    code = "\n".join(path.read_text() for path in (ROOT / "echo_core").rglob("*.py"))
    known = json.loads((ROOT / "tests" / "helpers" / "mutants.json").read_text())
    assert [each["line"] for each in known if each["line"] not in code] == []


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {command[1] for command in commands("make ")}
    for document in DOCUMENTS.values():
        named |= set(re.findall(r"`make ([\w-]+)", document))
    assert {"run", "test", "test-all", "bench"} <= named <= targets


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_that_is_linked_exists(name: str):
    folder = ROOT if (ROOT / name).exists() else ROOT / "docs"
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", DOCUMENTS[name]) if "://" not in link]
    assert [link for link in links if link and not (folder / link).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_that_is_named_exists(name: str):
    quoted = re.findall(r"`([^`\n]+)`", DOCUMENTS[name])
    quoted += [word for block in blocks(DOCUMENTS[name], "sh") for word in block.split()]
    folders = ("echo_core/", "echo_app/", "tests/", "docs/", "benchmarks/", "deploy/", ".github/")
    assert [path for path in quoted if path.startswith(folders) and not (ROOT / path).exists()] == []


# --- the command line ------------------------------------------------------------------------------


def documented_options() -> dict[str, set[str]]:
    """The rows of the table of commands: for each command, with its arguments, its options."""
    found: dict[str, set[str]] = {}
    for command, option in re.findall(r"^\| (`[^`]+`)? ?\| (`[^`]+`)? ?\|", COMMANDS, re.MULTILINE):
        if command:
            found[command.strip("`")] = set()
        if option:
            found[list(found)[-1]].add(option.strip("`"))
    return found


def options_of(command: click.Command) -> set[str]:
    options = (each for each in command.params if isinstance(each, click.Option))
    return {f"{each.opts[0]} {each.metavar}" if each.metavar else each.opts[0] for each in options}


def arguments_of(command: click.Command) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    return " ".join(each.metavar or str(each.name).upper() for each in arguments)


def test_the_table_of_commands_has_each_command_with_each_option_and_no_other():
    expected = {f"{name} {arguments_of(command)}".strip(): options_of(command)
                for name, command in cli.commands.items()}
    assert len(expected) >= 7
    assert documented_options() == expected


def test_every_command_line_that_is_given_is_understood():
    understood = 0
    for _, _, module, *words in commands("python -m echo_core"):
        assert module == "echo_core"
        settings = parse_settings(words[i + 1] for i, word in enumerate(words) if word == "--set")
        assert repair_settings(settings)[1] == []
        asked = CliRunner().invoke(cli, [*words, "--help"])
        assert asked.exit_code == 0, asked.output
        for option in (word for word in words if word.startswith("--")):
            assert option in asked.output
        understood += 1
    assert understood >= 10


# --- settings of a host, fields of a run -----------------------------------------------------------


def documented_settings() -> dict[str, str]:
    """The rows of the table of variables: each name with its default."""
    return dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", HOSTING, re.MULTILINE))


def test_the_table_of_variables_has_a_row_for_each_setting_and_no_other():
    fields = {model: {str(field.validation_alias or f"ECHO_{name.upper()}"): field
                      for name, field in model.model_fields.items()} for model in (Limits, Settings)}
    assert documented_settings().keys() == fields[Limits].keys() | fields[Settings].keys()
    numbers = {name: field.default for each in fields.values() for name, field in each.items()
               if type(field.default) is int and field.default > 0}  # 0 leaves the number to the machine
    assert len(numbers) > 10
    assert {name: documented_settings()[name] for name in numbers} == {
        name: f"{default:,}" for name, default in numbers.items()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_variable_that_is_named_in_a_text_is_in_the_table(name: str):
    assert set(re.findall(r"\bECHO_[A-Z_]+[A-Z]\b", DOCUMENTS[name])) <= documented_settings().keys()


def test_the_page_of_fields_is_printed_from_the_config():
    """`python -m tests.helpers.fields_page > docs/fields.md` writes it."""
    assert DOCUMENTS["fields.md"] == "\n".join(fields_page.page()) + "\n"


def test_the_page_of_fields_has_a_row_for_each_field_and_no_other():
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+) \|$", DOCUMENTS["fields.md"], re.MULTILINE)
    assert [name for name, *_ in rows] == list(RunConfig.model_fields)
    assert {name: values for name, _, values, _ in rows}["seed"] == f"0 to {2**31 - 1:,}"


def test_every_field_that_an_example_sets_exists():
    named = {name for document in DOCUMENTS.values() for name in re.findall(r"--set (\w+)=", document)}
    assert named
    assert named - {"FIELD"} <= RunConfig.model_fields.keys()


# --- the changelog ---------------------------------------------------------------------------------


def test_the_changelog_has_the_packages_version_after_what_is_unreleased():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    heads = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} – \d{{4}}-\d\d-\d\d", heads[1])
    assert re.findall(r"^### (.+)$", CHANGELOG.split("\n## ")[2], re.MULTILINE) == ["Added", "Changed", "Fixed"]


def test_every_entry_of_the_changelog_is_a_sentence():
    entries = re.findall(r"^- (.+(?:\n  .+)*)", CHANGELOG, re.MULTILINE)
    assert len(entries) > 30
    assert [entry for entry in entries if not entry.endswith((".", "`."))] == []


# --- what else the README gives ---------------------------------------------------------------------


def test_the_map_of_the_code_has_each_package_and_no_other():
    [tree] = [block for block in blocks(README, "") if block.startswith("streamlit_app.py")]
    folders, top = set(), ""
    for line in tree.splitlines():
        if name := re.match(r"( *)(\w+)/", line):
            top = top if name[1] else name[2]
            folders.add(f"{top}/{name[2]}" if name[1] else top)
    packages = {path.parent.relative_to(ROOT).as_posix() for top in ("echo_core", "echo_app")
                for path in (*ROOT.glob(f"{top}/__init__.py"), *ROOT.glob(f"{top}/*/__init__.py"))}
    assert folders == packages | {"tests", "benchmarks", "deploy", "docs"}


def test_the_plain_commands_name_files_that_exist():
    for command in commands(".venv/"):
        for word in command:
            if word.endswith((".txt", ".py")):
                assert (ROOT / word).exists()


@pytest.mark.slow
def test_the_library_example_runs(capsys: pytest.CaptureFixture[str]):
    [example] = blocks(README, "python")
    exec(compile(example.replace("epochs=300", "epochs=3"), "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 ")
