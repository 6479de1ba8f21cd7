"""Train the studies of the findings and write what they found: `make findings`.

The runs are kept in a store of their own, so that what was trained is not trained again.
"""

import re
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.bench import machine
from echo_core.config import written
from echo_core.engine import Engine
from echo_core.settings import DATA_FOLDER, Settings, sqlite_url
from echo_core.studies import findings
from echo_core.studies.answers import mean_text
from echo_core.studies.findings import Finding
from echo_core.studies.measures import MEASURES
from echo_core.studies.questions import QUESTIONS
from echo_core.studies.results import Results
from echo_core.studies.running import for_studies, standing, top_up

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "echo_core" / "studies" / findings.FILE
PAGE = ROOT / "docs" / "FINDINGS.md"
README = ROOT / "README.md"
#: What stands between these lines of the README is written here.
BEGIN, END = "<!-- findings -->", "<!-- /findings -->"


@click.command()
@click.option("--train/--no-train", default=True, help="Without training, the documents are written from kept values.")
@click.option("--store", "url", default=sqlite_url(DATA_FOLDER / "findings.db"), help="Where the runs are kept.")
def main(train: bool, url: str) -> None:
    """Train the studies of the findings and write what they found."""
    if train:
        settings = for_studies(Settings(DATABASE_URL=url).model_copy(update={"store_mb": 20_000}))
        with Engine(settings) as engine:
            train_all(engine)
            processor, software, threads = machine()
            made = f"Made on {datetime.now(UTC):%Y-%m-%d}. {processor}. {software.partition(', jax')[0]}. {threads}."
            KEPT.write_text(findings.gather(engine.store, made))
    found = findings.read()
    PAGE.write_text("\n".join(page(found)) + "\n")
    README.write_text(with_findings(README.read_text(), found))
    missing = [question.name for question in QUESTIONS if question.name not in found]
    click.echo(f"{len(found)} findings." + (f" Not complete: {', '.join(missing)}." if missing else ""))


def train_all(engine: Engine) -> None:
    """Train each study to its end, with its progress on stderr."""
    for question in QUESTIONS:
        for study in (asked.study for asked in question.asked):
            now = standing(study, engine.store, engine.num_workers)
            with click.progressbar(length=now.total, label=f"{question.name:12}", file=sys.stderr, show_eta=False,
                                   item_show_func=lambda text: text) as bar:
                bar.update(done := now.ended, "")
                while not top_up(study, engine):
                    now = standing(study, engine.store, engine.num_workers)
                    bar.update(now.ended - done, f"about {now.seconds_left:.0f} s left")
                    done = now.ended
                    time.sleep(0.5)
                bar.update(now.total - done, "")


def page(found: Mapping[str, Finding]) -> Iterator[str]:
    """`docs/FINDINGS.md`."""
    yield "# Findings\n"
    yield "Written by `make findings`. Each mean is over seeds, with its 95 % interval in brackets; the app draws the"
    yield "same on its page *Findings*.\n"
    yield findings.machine() + "\n"
    for name, finding in found.items():
        yield f"\n## {finding.question.question}\n"
        yield f"*{finding.question.guess}*\n"
        yield finding.answer
        for asked, tables in zip(finding.question.asked, finding.tables, strict=True):
            for measure, results in tables.items():
                yield ""
                yield from table(results)
                yield f"\n`{asked.command(measure)}`"
        yield f"\nIn the app: `?finding={name}`."


def table(results: Results) -> Iterator[str]:
    """A study as Markdown: one axis down, the other across."""
    measure, *axes = results.measure, *results.study.over
    down, across = axes[-1], axes[0] if len(axes) > 1 else None
    columns = across.values if across else (None,)
    title = MEASURES[measure].title.lower()
    heads = [f"{title}, {across.field} {written(value)}" if across else title for value in columns]
    yield f"| {down.field} | {' | '.join(heads)} |"
    yield "|---" * (1 + len(columns)) + "|"
    for value in down.values:
        rows = [next(row for row in results.rows if row.setting[down.field] == value
                     and (across is None or row.setting[across.field] == column)) for column in columns]
        yield f"| {written(value)} | " + " | ".join(mean_text(row, measure) for row in rows) + " |"


def with_findings(text: str, found: Mapping[str, Finding]) -> str:
    """The README with its section of findings written anew."""
    lines = [f"- **{finding.question.question}** {finding.answer}" for finding in found.values()]
    section = "\n".join([BEGIN, *lines, END])
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: section, text, flags=re.DOTALL)


if __name__ == "__main__":
    main()
