"""Mutation testing: change one operator, number or condition at a time, and count the changes that the tests notice.

    make mutants                            400 random mutants
    make mutants ARGS="--sample 0"          every one (hours)
    make mutants ARGS="--only data --sample 100 --seed 3"

Cosmic Ray makes the mutants. Each is tried in a clone of the last commit with the quick tests of its own module. So
another test of `make test` may kill a mutant that survives here.
"""

import argparse
import json
import math
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome

ROOT = Path(__file__).resolve().parents[2]
#: Seconds after which a mutant counts as killed: its tests hang or do many times the work.
TIMEOUT_SECONDS = 240.0
#: Equivalent mutants, which no test can notice: `path`, `line` as it is, `mutant` as it becomes, `because`.
EQUIVALENT = Path(__file__).with_suffix(".json")


class Target(NamedTuple):
    """A module, its tests, and the functions to mutate; without functions, the whole module."""

    module: str
    tests: tuple[str, ...]
    functions: frozenset[str] = frozenset()


TARGETS = (
    Target("echo_core/data.py", ("core/test_data", "core/test_tutorial", "core/test_training")),
    Target("echo_core/config/fields.py", ("config",)),
    Target("echo_core/config/sizes.py", ("config",)),
    Target("echo_core/config/run_config.py", ("config",)),
    Target("echo_core/config/compatibility.py", ("config",)),
    Target("echo_core/config/repair.py", ("config",)),
    Target("echo_core/text/words.py", ("text", "config/test_run_config")),
    Target("echo_core/evaluation/scores.py", ("evaluation/test_scores", "networks/test_models")),
    Target("echo_core/store/queue.py", ("store", "workers/test_attempt")),
    Target("echo_core/store/attempts.py", ("store", "workers/test_attempt")),
    Target("echo_core/store/upkeep.py", ("store", "workers/test_attempt")),
    Target("echo_core/training/program.py", ("core/test_training", "networks/test_arithmetic"), frozenset(
        ("answer_shown", "sample_examples", "train_epoch", "_update", "_losses", "_predicted", "_mean", "adam", "at"))),
    Target("echo_core/training/chunks.py", ("core/test_training",), frozenset(("snapshot_epochs", "_record"))),
)
#: A type union looks like a bitwise operation. Its mutants fail at import, which says nothing about the tests.
LEFT_OUT = ("core/ReplaceBinaryOperator_BitOr_",)


class Result(NamedTuple):
    """The outcome of one mutant."""

    module: str
    outcome: str
    diff: str
    seconds: float


def main() -> None:
    """Draw mutants, try each, and print those that survive."""
    asked = _arguments()
    targets = [target for target in TARGETS if not asked.only or Path(target.module).stem in asked.only]
    with tempfile.TemporaryDirectory() as folder:
        every = [(target, mutant) for target in targets for mutant in _mutants(target, Path(folder) / "mutants.sqlite")]
    drawn = every if asked.sample in (0, None) or asked.sample >= len(every) else (
        random.Random(asked.seed).sample(every, asked.sample))
    print(f"{len(drawn)} of {len(every)} mutants, drawn with seed {asked.seed}", flush=True)
    for target in targets:  # a test that fails without a mutant would seem to kill all of them
        subprocess.run(_command(target), shell=True, check=True, cwd=ROOT)
    results = list(_try_all(drawn, asked.jobs))
    sys.exit(_report(results, asked.least))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=400, help="how many mutants to draw; 0 is all")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", nargs="*", help="names of modules, such as data")
    parser.add_argument("--jobs", type=int, default=2, help="mutants that are tried at a time")
    parser.add_argument("--least", type=float, default=0.9, help="share that must be killed for exit status 0")
    return parser.parse_args()


def _mutants(target: Target, path: Path) -> list[MutationSpec]:
    """Every mutant of a module, in the order of the code."""
    path.unlink(missing_ok=True)
    with use_db(str(path), WorkDB.Mode.create) as work:
        init([ROOT / target.module], work, {})
        mutants = [mutation for item in work.work_items for mutation in item.mutations]
    wanted = [mutant for mutant in mutants if not mutant.operator_name.startswith(LEFT_OUT)
              and (not target.functions or mutant.definition_name in target.functions)]
    return sorted(wanted, key=lambda mutant: (mutant.start_pos, mutant.operator_name, mutant.occurrence))


def _try_all(drawn: list[tuple[Target, MutationSpec]], jobs: int) -> Iterator[Result]:
    """Try the mutants in `jobs` clones, in parallel."""
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool(jobs, _enter_clone, (folder,)) as pool:
        for number, result in enumerate(pool.imap_unordered(_try, drawn), 1):
            if result.outcome != "killed":
                print(f"\n{result.outcome}: {result.diff}", flush=True)
            print(f"\r{number} of {len(drawn)}: {result.outcome} in {result.seconds:.0f} s", end="  ", flush=True)
            yield result


def _enter_clone(folder: str) -> None:
    """Move this process into a clone of its own, at the last commit, with the tests' environment."""
    clone = Path(folder) / f"clone-{os.getpid()}"
    subprocess.run(["git", "clone", "-q", "--shared", str(ROOT), str(clone)], check=True)
    (clone / ".venv").symlink_to((ROOT / ".venv").resolve())
    os.chdir(clone)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # stale bytecode would run the mutant before this one


def _try(drawn: tuple[Target, MutationSpec]) -> Result:
    target, mutant = drawn
    here = MutationSpec(**{**{name: getattr(mutant, name) for name in (
        "operator_name", "occurrence", "start_pos", "end_pos", "operator_args", "definition_name")},
        "module_path": Path(target.module)})
    started = time.monotonic()
    found = mutate_and_test([here], _command(target), TIMEOUT_SECONDS)
    shutil.rmtree(".hypothesis", ignore_errors=True)
    survived = found.test_outcome is TestOutcome.SURVIVED
    outcome = "survived" if survived and not _is_equivalent(found.diff) else "equivalent" if survived else "killed"
    return Result(target.module, outcome, found.diff or "", time.monotonic() - started)


def _command(target: Target) -> str:
    tests = [str(next((ROOT / "tests").glob(f"{test}*")).relative_to(ROOT)) for test in target.tests]
    return f".venv/bin/python -m pytest -x -q -m 'not slow' -p no:cacheprovider {' '.join(tests)}"


def _is_equivalent(diff: str) -> bool:
    known = json.loads(EQUIVALENT.read_text()) if EQUIVALENT.exists() else []
    lines = diff.splitlines()
    before, after = ([line[1:].strip() for line in lines if line.startswith(sign) and not line.startswith(3 * sign)]
                     for sign in "-+")
    return any([each["line"]] == before and [each["mutant"]] == after for each in known)


def _report(results: list[Result], least: float) -> int:
    counted = [result for result in results if result.outcome != "equivalent"]
    print()
    for module in sorted({result.module for result in counted}):
        count = Counter(result.outcome for result in counted if result.module == module)
        print(f"{module}: {count['killed']} of {count.total()} killed")
    killed, number = sum(result.outcome == "killed" for result in counted), max(1, len(counted))
    share = killed / number
    spread = 1.96 * math.sqrt(share * (1 - share) / number)
    print(f"{killed} of {len(counted)} mutants killed: {share:.1%} ± {spread:.1%} "
          f"({len(results) - len(counted)} equivalent ones not counted)")
    return int(share < least)


if __name__ == "__main__":
    main()
