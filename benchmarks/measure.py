"""Measure one peer on one setting, in its own process.

`python -m benchmarks.measure PEER SETTING` prints a `Measure` as JSON; with a name of `NETWORKS` in place of the
setting, a `Cost`. Only the peer's own module imports its packages.
"""

import importlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from benchmarks.peers import Trained
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.evaluation import evaluate

#: The number of moments that a peer reports in a run.
CHUNKS = 20
#: The limit for the time until every window is right, as a multiple of the run's epochs.
PATIENCE = 4
#: A second seed that trains in less than these seconds is repeated until they are over, and the median counts.
WARM_SECONDS = 2.0
#: The size of the matrices whose product measures the machine, and the number of products.
MATRIX_SIZE, MATRIX_ROUNDS = 2048, 15
#: Seconds for which a network of `NETWORKS` is timed, after its first epochs.
COST_SECONDS = 1.5
#: But for at least these epochs, as the first ones have a snapshot each.
COST_EPOCHS = 100


@dataclass(frozen=True)
class Measure:
    """The times of one peer on one setting.

    Attributes:
        first_seconds: From the call to the trained model, in a process that had compiled nothing.
        warm_seconds: The same for another seed, after that.
        epoch_milliseconds: An epoch, over the second half of that.
        right_seconds: Until every unseen window was right, for a third seed; None if that was not seen.
        window_accuracy: Share of unseen windows right in the first run, where all of it was trained.
        matrix_gflops: The machine's speed in a matrix product, with the peer's own means.
    """

    first_seconds: float
    warm_seconds: float
    epoch_milliseconds: float
    right_seconds: float | None = None
    window_accuracy: float | None = None
    matrix_gflops: float | None = None


@dataclass(frozen=True)
class Cost:
    """What one network costs one peer.

    Attributes:
        epoch_milliseconds: An epoch, once it has found its stride; of `SHORT`, over the whole run.
        first_seconds: From the call to the first trained epochs, in a process that had compiled nothing.
        peak_megabytes: The most memory of the process until then.
    """

    epoch_milliseconds: float
    first_seconds: float
    peak_megabytes: float


class Peer(NamedTuple):
    """A way to train a setting.

    Attributes:
        module: Its name in `benchmarks.peers`.
        settings: The settings that it trains.
        timed_epochs: A slow peer trains this many epochs; the rest is extrapolated.
        keeps_programs: Whether it finds programs that an earlier process compiled.
        is_guest: Whether its packages are in `benchmarks/requirements.txt`.
        costs: Whether the cost of `NETWORKS` is measured.
        train: The function of its module that trains.
    """

    title: str
    module: str
    settings: tuple[str, ...]
    timed_epochs: int | None = None
    keeps_programs: bool = False
    is_guest: bool = False
    costs: bool = False
    train: str = "train"


LARGE = RunConfig(variant="encoder_decoder", units=512, input_length=50, output_length=25, sequence_length=305,
                  batch_size=256, epochs=8)
SETTINGS: Mapping[str, RunConfig] = MappingProxyType(
    {name: PRESETS[name].config for name in ("whole", "partial", "quick")} | {"large": LARGE})

#: The others are compared with the first.
PEERS: Mapping[str, Peer] = MappingProxyType({
    "tutorial": Peer("tutorial: one `fit` an epoch", "tutorial", ("whole", "partial"), timed_epochs=300),
    "torch": Peer("PyTorch: eager, fused Adam", "in_torch", tuple(SETTINGS), timed_epochs=800, is_guest=True),
    "jax": Peer("JAX: jit and scan, timesteps written out", "in_jax", ("whole", "partial", "quick"), is_guest=True,
                costs=True),
    "jax_loop": Peer("JAX: jit and scan", "in_jax", tuple(SETTINGS), is_guest=True, costs=True, train="train_scanned"),
    "ours": Peer("Echo Lab, nothing compiled", "echo_lab", tuple(SETTINGS), costs=True),
    "ours_cached": Peer("Echo Lab, programs in the cache", "echo_lab", tuple(SETTINGS), keeps_programs=True),
})


def _partial(**settings: Any) -> RunConfig:
    """Preset `partial` with some settings changed, and more epochs than are measured."""
    return RunConfig(**PRESETS["partial"].config.model_dump() | {"epochs": 100_000} | settings)


def on_axis(axis: str, value: int) -> RunConfig:
    """Preset `partial` with one setting changed, still with 21 windows in one update."""
    if axis == "timesteps":
        return _partial(input_length=value, sequence_length=value + PRESETS["partial"].config.num_windows - 1)
    return _partial(**{{"units": "units", "vocabulary": "vocab_size"}[axis]: value})


AXES: Mapping[str, tuple[int, ...]] = MappingProxyType({
    "units": (20, 64, 150, 256, 512, 1024), "timesteps": (5, 10, 20, 50, 100), "vocabulary": (10, 100, 1000)})
#: A run of few epochs of 1,024 units, of which nearly each has a snapshot.
SHORT = "60 epochs"
#: Networks of which an epoch, the first one and the memory are measured.
NETWORKS: Mapping[str, RunConfig] = MappingProxyType({
    **{f"{axis}={value}": on_axis(axis, value) for axis, values in AXES.items() for value in values},
    "gru": _partial(cell="gru"), "simple_rnn": _partial(cell="simple_rnn"),
    "masked": _partial(missing="mask", batch_size=26),
    **{name: PRESETS[name].config.model_copy(update={"epochs": 100_000})
       for name in ("attention_20", "reverse_10", "padded", "pairs")},
    SHORT: _partial(units=1024, epochs=60)})
#: JAX compiles a loop over more timesteps than these for minutes if it is written out.
MAX_WRITTEN_OUT = 20


def measure(name: str, config: RunConfig) -> Measure:
    """Train a seed before anything is compiled, a second one, and a third until every window is right."""
    peer = PEERS[name]
    module = importlib.import_module(f"benchmarks.peers.{peer.module}")
    chunk = max(1, config.epochs // CHUNKS)

    def timed(seed: int, epochs: int = config.epochs) -> Iterator[tuple[float, Trained]]:
        changed = config.model_copy(update={"seed": config.seed + seed, "epochs": epochs})
        return clocked(getattr(module, peer.train), changed, chunk)

    first, model, _ = _to_the_end(timed(0), config.epochs, peer.timed_epochs)
    warm = [_to_the_end(timed(1), config.epochs, peer.timed_epochs)]
    while sum(seconds for seconds, _, _ in warm) < WARM_SECONDS:
        warm.append(_to_the_end(timed(1), config.epochs, peer.timed_epochs))
    can_be_judged = config != LARGE and model.weights is not None
    is_whole = can_be_judged and model.epoch == config.epochs
    return Measure(
        first, statistics.median(seconds for seconds, _, _ in warm),
        1000 * statistics.median(epoch_seconds for _, _, epoch_seconds in warm),
        _until_right(timed(2, PATIENCE * config.epochs), config) if can_be_judged else None,
        evaluate(config, model.weights()).window_accuracy if is_whole and model.weights else None,
        _matrix_gflops(module) if config == LARGE else None)


def clocked(train: Callable[..., Iterator[Trained]], config: RunConfig, chunk: int) -> Iterator[tuple[float, Trained]]:
    """Yield each moment with the seconds since the call, without the time that the consumer takes."""
    seconds, started = 0.0, time.perf_counter()
    for trained in train(config, chunk):
        seconds += time.perf_counter() - started
        yield seconds, trained
        started = time.perf_counter()


def _to_the_end(moments: Iterator[tuple[float, Trained]], epochs: int,
                timed_epochs: int | None) -> tuple[float, Trained, float]:
    """Seconds to the trained model, its last moment, and seconds an epoch over the second half."""
    last = min(epochs, timed_epochs or epochs)
    seen = []
    for moment in moments:
        seen.append(moment)
        if moment[1].epoch >= last:
            break
    *before, (ended, trained) = seen
    middle, halfway = next((each for each in reversed(before) if each[1].epoch <= last / 2), before[0])
    epoch_seconds = (ended - middle) / (trained.epoch - halfway.epoch)
    return ended + (epochs - trained.epoch) * epoch_seconds, trained, epoch_seconds


def _until_right(moments: Iterator[tuple[float, Trained]], config: RunConfig) -> float | None:
    for seconds, trained in moments:
        if trained.weights and evaluate(config, trained.weights()).window_accuracy == 1:
            return seconds
    return None


def _matrix_gflops(module: ModuleType) -> float | None:
    if not hasattr(module, "matrix_product"):
        return None
    multiply, taken = module.matrix_product(MATRIX_SIZE), []
    multiply()
    for _ in range(MATRIX_ROUNDS):
        started = time.perf_counter()
        multiply()
        taken.append(time.perf_counter() - started)
    return 2 * MATRIX_SIZE**3 / statistics.median(taken) / 1e9


def measure_cost(name: str, network: str) -> Cost:
    """Time an epoch of one network after compiling and its first epochs, or an epoch of a whole short run."""
    peer, config = PEERS[name], NETWORKS[network]
    train = getattr(importlib.import_module(f"benchmarks.peers.{peer.module}"), peer.train)
    seen: list[tuple[float, int]] = []  # without the weights, which would keep their memory
    for seconds, trained in clocked(train, config, 10):
        if trained.epoch:
            seen.append((seconds, trained.epoch))
        if network != SHORT and seen and seconds - seen[0][0] > COST_SECONDS and trained.epoch >= COST_EPOCHS:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if network == SHORT:
        other_seed = config.model_copy(update={"seed": 1})  # whose program is compiled
        ended = [seconds for seconds, _ in clocked(train, other_seed, 10)][-1]
        return Cost(1000 * ended / config.epochs, seen[0][0], peak)
    (ended, last), *before = reversed(seen)
    middle, halfway = next((each for each in before if each[0] < (ended + seen[0][0]) / 2), before[-1])
    return Cost(1000 * (ended - middle) / (last - halfway), seen[0][0], peak)


def main() -> None:
    """Measure one peer with one setting, in this process."""
    name, setting = sys.argv[1:]
    if PEERS[name].module == "echo_lab":  # guests have none of what these import
        from echo_core.settings import Settings
        from echo_core.workers.process import load_training

        load_training(Settings())  # as the app's workers and the command line do, with programs kept
    measured = measure(name, SETTINGS[setting]) if setting in SETTINGS else measure_cost(name, setting)
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
