"""Decisions have a head, the same parts, an index, and word of each other where one replaces another."""

import re

import pytest

from tests.helpers.decisions_index import FOLDER, Decision, decisions, index

ALL = decisions()
IDS = [decision.number for decision in ALL]
PARTS = ("Context", "Options considered", "Decision", "Consequences")


def test_the_index_is_printed_from_the_decisions():
    """`python -m tests.helpers.decisions_index > docs/decisions/README.md` writes it."""
    assert (FOLDER / "README.md").read_text() == "\n".join(index()) + "\n"


def test_numbers_are_those_of_the_files_and_each_is_used_once():
    assert all(decision.file.startswith(f"{decision.number}-") for decision in ALL)
    assert len(set(IDS)) == len(IDS) >= 40


@pytest.mark.parametrize("decision", ALL, ids=IDS)
def test_a_decision_has_its_parts_in_order(decision: Decision):
    found = re.findall(r"^(?:\*\*|## )([A-Z][a-z ]+?)\.?(?:\*\*|$)", decision.text, re.MULTILINE)
    assert tuple(part for part in found if part in PARTS) == PARTS


@pytest.mark.parametrize("decision", ALL, ids=IDS)
def test_a_status_is_one_of_three_and_the_other_decision_says_so_too(decision: Decision):
    kind = re.fullmatch(r"accepted|(superseded|amended) by \[(\d{4})\]\((.+\.md)\)", decision.status)
    assert kind, decision.status
    if kind[1]:
        verb = {"superseded": "Supersedes", "amended": "Amends"}[kind[1]]
        [other] = [each for each in ALL if each.number == kind[2]]
        assert other.file == kind[3]
        assert re.search(rf"^Status: .*{verb} .*{decision.number}", other.text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("decision", ALL, ids=IDS)
def test_a_decision_that_supersedes_or_amends_is_named_by_the_other(decision: Decision):
    [line] = re.findall(r"^Status: .*", decision.text, re.MULTILINE)
    for number in re.findall(r"(?:Supersedes|Amends) \[(\d{4})\]", line):
        [other] = [each for each in ALL if each.number == number]
        assert decision.number in other.status


@pytest.mark.parametrize("decision", ALL, ids=IDS)
def test_links_of_a_decision_lead_somewhere(decision: Decision):
    links = [link for link in re.findall(r"\]\(([^)#]+)", decision.text) if "://" not in link]
    assert [link for link in links if not (FOLDER / link).exists()] == []


@pytest.mark.parametrize("decision", [each for each in ALL if not each.status.startswith("superseded")],
                         ids=lambda each: each.number)
def test_a_decision_that_holds_names_files_that_exist(decision: Decision):
    text = re.sub(r"^\| `.*$", "", decision.text, flags=re.MULTILINE)  # what moved is in tables
    paths = re.findall(r"`((?:echo_core|echo_app|tests|benchmarks|docs)/[\w./-]+)`", text)
    assert [path for path in paths if not (FOLDER.parents[1] / path).exists()] == []
