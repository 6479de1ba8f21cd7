"""The documents say what the kept values give, and nothing else."""

from pathlib import Path

from benchmarks.findings import BEGIN, END, page, with_findings
from echo_core.studies import findings

ROOT = Path(__file__).parents[1]


def test_the_documents_are_those_that_the_values_give():
    found = findings.read()
    assert (ROOT / "docs" / "FINDINGS.md").read_text() == "\n".join(page(found)) + "\n"
    readme = (ROOT / "README.md").read_text()
    assert BEGIN in readme
    assert END in readme
    assert with_findings(readme, found) == readme
