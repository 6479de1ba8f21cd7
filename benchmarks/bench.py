"""Measure all peers side by side and write RESULTS.md: `make bench`.

Each measurement runs in its own process with the same number of threads. Each round measures all peers in turn, so
that a slow spell of the machine affects all of them.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, Self

import click

from benchmarks.measure import LARGE, MAX_WRITTEN_OUT, NETWORKS, PEERS, SETTINGS, SHORT, Cost, Measure
from echo_core.config import RunConfig
from echo_core.config.sizes import flops_per_window
from echo_core.settings import Settings
from echo_core.text.plurals import counted
from echo_core.workers.process import environment
from echo_core.workers.xla_cache import program_folder

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "RESULTS.md"
#: The Python that has the packages of JAX and PyTorch; `make bench` makes it.
GUESTS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"

#: (setting, peer) -> measurements, one a round.
Measures = Mapping[tuple[str, str], list[Measure]]
#: (network, peer) -> its costs, one a round.
Costs = Mapping[tuple[str, str], list[Cost]]


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often everything is measured; medians count.")
@click.option("--setting", "settings", multiple=True, type=click.Choice(list(SETTINGS)), help="Only this one.")
@click.option("--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)), help="Only this one's cost.")
@click.option("--minutes", default=20.0, show_default=True, help="No measurement begins later; the tables say it.")
@click.option("--write/--no-write", default=True, help="Whether RESULTS.md is written.")
def main(rounds: int, settings: tuple[str, ...], networks: tuple[str, ...], minutes: float, write: bool) -> None:
    """Measure all peers side by side."""
    measures: dict[tuple[str, str], list[Measure]] = defaultdict(list)
    costs: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    everything = not settings and not networks
    begun, ends = Busy.now(), time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as kept:
        for number, name, what in turns(rounds, settings or tuple(SETTINGS) if everything or settings else (),
                                        networks or tuple(NETWORKS) if everything or networks else ()):
            if time.monotonic() > ends:
                click.echo(f"{minutes:g} minutes are over in round {number}", err=True)
                break
            found = measure_apart(name, what, Path(kept))
            click.echo(f"round {number}/{rounds}  {what:24} {name:12} {found}", err=True)
            if what in SETTINGS:
                measures[what, name].append(Measure(**found))
            else:
                costs[what, name].append(Cost(**found))
    page = "\n".join(report(measures, costs, Busy.now().others_since(begun)))
    click.echo(page)
    if write:
        RESULTS.write_text(page + "\n")


def turns(rounds: int, settings: Iterable[str], networks: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """Each round, each setting and network, and each peer that trains it, in the order in which they are measured."""
    for number in range(1, rounds + 1):
        for setting in settings:
            yield from ((number, name, setting) for name, peer in PEERS.items() if setting in peer.settings)
        for network in networks:
            yield from ((number, name, network) for name, peer in PEERS.items() if peer.costs and not (
                name == "jax" and NETWORKS[network].input_length > MAX_WRITTEN_OUT))


def measure_apart(peer: str, setting: str, kept: Path | None = None) -> dict[str, Any]:
    """Measure once in a new process. `kept` is the folder of compiled programs, for peers that keep them."""
    with tempfile.TemporaryDirectory() as empty:
        if kept is None or not PEERS[peer].keeps_programs:
            return _run(peer, setting, Path(empty))
        if not (kept / setting).exists():
            _run(peer, setting, kept / setting)  # compiles them for the later ones
        return _run(peer, setting, kept / setting)


def _run(peer: str, setting: str, programs: Path) -> dict[str, Any]:
    settings = Settings().model_copy(update={"xla_cache": programs})
    program_folder(settings).mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, **environment(settings), "NPROC": str(settings.threads)}  # which is what JAX reads
    if PEERS[peer].is_guest:
        variables.pop("XLA_FLAGS", None)  # JAX as it comes
    python = str(GUESTS_PYTHON) if PEERS[peer].is_guest else sys.executable
    done = subprocess.run([python, "-m", "benchmarks.measure", peer, setting], cwd=ROOT, text=True,
                          env=variables, capture_output=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{peer} could not be measured:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Busy(NamedTuple):
    """Seconds that the processor has been busy: with all processes, and with ours."""

    clock: float
    all: float
    ours: float

    @classmethod
    def now(cls) -> Self:
        """The seconds as the kernel counts them; only ours where it does not count."""
        own = os.times()
        ours = own.user + own.system + own.children_user + own.children_system
        try:
            counts = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        except OSError:
            return cls(own.elapsed, ours, ours)
        user, nice, system, _idle, _waiting, *interrupts = counts[:7]
        return cls(own.elapsed, (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK"), ours)

    def others_since(self, begun: Self) -> float:
        """The share of all cores that other processes used meanwhile."""
        taken = (self.all - begun.all) - (self.ours - begun.ours)
        return max(0.0, taken / ((self.clock - begun.clock) * (os.cpu_count() or 1)))


def report(measures: Measures, costs: Costs, others: float) -> Iterator[str]:
    """The page: the machine, a table for each setting, and one of the costs of networks."""
    yield "# Results\n"
    yield f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: medians over rounds, each measurement in a process"
    yield "of its own. Such machines are shared and noisy: compare within one run only.\n"
    yield from (f"- {line}" for line in machine())
    yield f"- Other work took {others:.0%} of the processor meanwhile{': too much to trust this' * (others > 0.1)}"
    for setting, config in SETTINGS.items():
        found = {peer: measures[setting, peer] for peer in PEERS if measures.get((setting, peer))}
        if found:
            yield f"\n## {setting}\n"
            yield f"{describe(config)} {counted(max(map(len, found.values())), 'round')}.\n"
            yield from shares(found, config) if config == LARGE else table(found)
    yield EXPLAINED
    if costs:
        yield from costs_table(costs)


#: The meaning of the tables' words.
EXPLAINED = f"""
"Trained model" counts from the call of training to the trained weights, with compiling and without imports. Peers
that compile nothing are extrapolated from their first epochs ({", ".join(
    f"{peer.title.partition(':')[0]}: {peer.timed_epochs}" for peer in PEERS.values() if peer.timed_epochs)}); their
second seed needs no tracing. "All windows right" is the time until each of at least 2,000 unseen windows is right, for
a seed that may go on for four times the epochs, without the time of judging. Where some rounds did not reach that, the
table says how many did. "Windows right" is the lowest share of the rounds, after the setting's epochs."""


def table(measures: Mapping[str, list[Measure]]) -> Iterator[str]:
    """One row a peer."""
    yield ("| | ms an epoch | of JAX's | trained model, new process | times faster | trained model, second seed | "
           "times faster | all windows right | windows right |")
    yield "|---|---|---|---|---|---|---|---|---|"
    base = measures.get(next(iter(PEERS)))
    for peer, measured in measures.items():
        cells = [PEERS[peer].title, f"{median(measured, 'epoch_milliseconds'):.2f}", of_jax(measures, peer)]
        for field in ("first_seconds", "warm_seconds"):
            seconds = median(measured, field)
            faster = f"{median(base, field) / seconds:.0f}" if base and measured is not base else ""
            cells += [f"{seconds:.2f} s", faster]
        right = [one.right_seconds for one in measured if one.right_seconds is not None]
        partly = "" if len(right) == len(measured) else f" ({len(right)} of {len(measured)})"
        cells.append(f"{statistics.median(right):.2f} s{partly}" if right else "")
        judged = [one.window_accuracy for one in measured if one.window_accuracy is not None]
        cells.append(f"{100 * min(judged):.1f} %" if judged else "")
        yield f"| {' | '.join(cells)} |"


def shares(measures: Mapping[str, list[Measure]], config: RunConfig) -> Iterator[str]:
    """One row a peer, with the share of the machine's speed that it reaches."""
    yield "| | ms an epoch | of JAX's | GFLOP/s | of its own matrix product | of the fastest one |"
    yield "|---|---|---|---|---|---|"
    # Backwards is twice the work of forwards.
    work = 3 * flops_per_window(config) * config.num_windows / 1e6  # in millions, as time is in milliseconds
    fastest = max(median(measured, "matrix_gflops") for measured in measures.values())
    for peer, measured in measures.items():
        milliseconds = median(measured, "epoch_milliseconds")
        speed, own = work / milliseconds, median(measured, "matrix_gflops")
        yield (f"| {PEERS[peer].title} | {milliseconds:.0f} | {of_jax(measures, peer)} | {speed:.0f} | "
               f"{speed / own:.0%} of {own:.0f} | {speed / fastest:.0%} |")


def of_jax(measures: Mapping[str, list[Measure]], peer: str) -> str:
    """A peer's time of an epoch as a multiple of the faster JAX's."""
    found = [median(measures[name], "epoch_milliseconds") for name in ("jax", "jax_loop") if name in measures]
    return f"{median(measures[peer], 'epoch_milliseconds') / min(found):.2f}" if found else ""


#: What the table of costs shows.
COSTS_EXPLAINED = f"""
## Cost by network

Preset `partial`, one update of 21 windows an epoch, with one setting changed; or a preset. "Of JAX's" is our time over
that of the faster JAX, timesteps written out (up to {MAX_WRITTEN_OUT}) or in a loop: the median over rounds, with the
lowest and the highest. The first epoch counts from the call of training, in a process that had compiled nothing. Memory
is the most that the process took. Of "{SHORT}", at 1,024 units, an epoch is a sixtieth of a run whose program
is compiled; Echo Lab keeps 48 snapshots meanwhile.
"""


def costs_table(costs: Costs) -> Iterator[str]:
    """One row a network, the ratios first."""
    yield COSTS_EXPLAINED
    yield ("| network | of JAX's | lowest to highest | ms an epoch | JAX's | first epoch, s | JAX's | of JAX's | "
           "peak MB | JAX's | rounds |")
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    left_out = [network for network in NETWORKS if not costs.get((network, "ours"))]
    for network in NETWORKS:
        ours = costs.get((network, "ours"), [])
        theirs = [found for peer in ("jax", "jax_loop") if (found := costs.get((network, peer)))]
        if not ours or not theirs:
            continue
        ratios = {field: [getattr(one, field) / min(getattr(other, field) for other in others)
                          for one, *others in zip(ours, *theirs, strict=False)]
                  for field in ("epoch_milliseconds", "first_seconds")}
        jax = {field: min(median(found, field) for found in theirs)
               for field in ("epoch_milliseconds", "first_seconds", "peak_megabytes")}
        epochs = ratios["epoch_milliseconds"]
        yield (f"| {network} | {statistics.median(epochs):.2f} | {min(epochs):.2f} to {max(epochs):.2f} | "
               f"{median(ours, 'epoch_milliseconds'):.2f} | {jax['epoch_milliseconds']:.2f} | "
               f"{median(ours, 'first_seconds'):.1f} | {jax['first_seconds']:.1f} | "
               f"{statistics.median(ratios['first_seconds']):.2f} | {median(ours, 'peak_megabytes'):.0f} | "
               f"{jax['peak_megabytes']:.0f} | {len(epochs)} |")
    if left_out:
        yield f"\nLeft out, as the time was over or others were asked for: {', '.join(left_out)}."


def median(measures: Sequence[Measure | Cost], field: str) -> float:
    """The median of one figure over all rounds."""
    return statistics.median([float(getattr(one, field)) for one in measures])


def describe(config: RunConfig) -> str:
    """A setting in one line."""
    return (f"`{config.variant}`, {config.units} units, {config.input_length} in and {config.output_length} out of "
            f"{config.vocab_size}, {config.num_windows} windows in {config.updates_per_epoch} updates an epoch, "
            f"{config.epochs:,} epochs, {config.num_parameters:,} parameters.")


def machine() -> list[str]:
    """The machine and the versions that the figures were taken with."""
    packages = [f"{name} {found}" for name in ("tensorflow-cpu", "tensorflow", "keras", "numpy")
                if (found := _version(name))]
    asked = Path(__file__).with_name("requirements.txt").read_text().split()
    packages += [line.replace("==", " ") for line in asked if line.startswith(("jax==", "torch=="))]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [f"Processor: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory",
            f"{platform.system()}, Python {platform.python_version()}, {', '.join(packages)}",
            f"Threads of each training: {Settings().threads}"]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    vectors = next((f" ({name})" for name, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2")) if flag in flags), "")
    return (model or platform.machine()) + vectors


if __name__ == "__main__":
    main()
