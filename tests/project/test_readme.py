"""The README is the front door: the files it names exist, and the commands it gives work."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from echo_core.cli import cli
from echo_core.config.repair import mend, parse_settings
from echo_core.settings import Limits, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(start: str) -> list[list[str]]:
    """Every command of the README that begins so, as words without its comment."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith(start)]
    return [shlex.split(line, comments=True) for line in lines]


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([\w-]+)", README)) | {command[1] for command in commands("make ")}
    assert {"run", "test", "test-all", "bench"} <= named <= targets


def test_every_file_that_is_linked_exists():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_command_line_is_understood():
    understood = 0
    for _, _, module, *words in commands("python -m echo_core"):
        assert module == "echo_core"
        settings = parse_settings(words[i + 1] for i, word in enumerate(words) if word == "--set")
        assert mend(settings)[1] == []
        asked = CliRunner().invoke(cli, [*words, "--help"])
        assert asked.exit_code == 0, asked.output
        for option in (word for word in words if word.startswith("--")):
            assert option in asked.output
        understood += 1
    assert understood >= 3


def documented_settings() -> dict[str, str]:
    """The rows of the README's table of variables: each name with its default."""
    return dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", README, re.MULTILINE))


def test_the_table_of_variables_has_a_row_for_each_setting_and_no_other():
    fields = {model: {str(field.validation_alias or f"ECHO_{name.upper()}"): field
                      for name, field in model.model_fields.items()} for model in (Limits, Settings)}
    assert documented_settings().keys() == fields[Limits].keys() | fields[Settings].keys()
    numbers = {name: field.default for each in fields.values() for name, field in each.items()
               if type(field.default) is int and field.default > 0}  # 0 leaves the number to the machine
    assert len(numbers) > 10
    assert {name: documented_settings()[name] for name in numbers} == {
        name: f"{default:,}" for name, default in numbers.items()}


def test_every_variable_that_is_named_in_the_text_is_in_the_table():
    assert set(re.findall(r"\bECHO_[A-Z_]+[A-Z]\b", README)) <= documented_settings().keys()


def test_the_plain_commands_name_files_that_exist():
    for command in commands(".venv/"):
        for word in command:
            if word.endswith((".txt", ".py")):
                assert (ROOT / word).exists()


@pytest.mark.slow
def test_the_library_example_runs(capsys: pytest.CaptureFixture[str]):
    [example] = blocks("python")
    exec(compile(example.replace("epochs=300", "epochs=3"), "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 ")
