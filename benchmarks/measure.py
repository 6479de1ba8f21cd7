"""Measure one peer on one setting, in its own process.

`python -m benchmarks.measure PEER SETTING` prints a `Measure` as JSON; with `AXIS=VALUE` in place of the setting, a
`Cost`. Only the peer's own module imports its packages.
"""

import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType, ModuleType
from typing import NamedTuple

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
#: Seconds for which a network on an axis is timed, after its first chunk.
AXIS_SECONDS = 1.5


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
    """The time of one peer for an epoch of one network."""

    epoch_milliseconds: float


class Peer(NamedTuple):
    """A way to train a setting.

    Attributes:
        module: Its name in `benchmarks.peers`.
        settings: The settings that it trains.
        timed_epochs: A slow peer trains this many epochs; the rest is extrapolated.
        keeps_programs: Whether it finds programs that an earlier process compiled.
        is_guest: Whether its packages are in `benchmarks/requirements.txt`.
        axes: Whether its cost is measured along `AXES`.
    """

    title: str
    module: str
    settings: tuple[str, ...]
    timed_epochs: int | None = None
    keeps_programs: bool = False
    is_guest: bool = False
    axes: bool = False


LARGE = RunConfig(variant="encoder_decoder", units=512, input_length=50, output_length=25, sequence_length=305,
                  batch_size=256, epochs=8)
SETTINGS: Mapping[str, RunConfig] = MappingProxyType(
    {name: PRESETS[name].config for name in ("whole", "partial", "quick")} | {"large": LARGE})

#: The others are compared with the first.
PEERS: Mapping[str, Peer] = MappingProxyType({
    "tutorial": Peer("tutorial: one `fit` an epoch", "tutorial", ("whole", "partial"), timed_epochs=300),
    "torch": Peer("PyTorch: eager, fused Adam", "in_torch", tuple(SETTINGS), timed_epochs=800, is_guest=True),
    "jax": Peer("JAX: jit and scan", "in_jax", tuple(SETTINGS), is_guest=True, axes=True),
    "ours": Peer("Echo Lab, nothing compiled", "echo_lab", tuple(SETTINGS), axes=True),
    "ours_cached": Peer("Echo Lab, programs in the cache", "echo_lab", tuple(SETTINGS), keeps_programs=True),
})


def on_axis(axis: str, value: int) -> RunConfig:
    """Preset `partial` with one setting changed, still with 21 windows in one update."""
    base = PRESETS["partial"].config
    length = value if axis == "timesteps" else base.input_length
    return RunConfig(**base.model_dump() | {
        "units": value if axis == "units" else base.units,
        "vocab_size": value if axis == "vocabulary" else base.vocab_size,
        "input_length": length, "sequence_length": length + base.num_windows - 1, "epochs": 100_000})


AXES: Mapping[str, tuple[int, ...]] = MappingProxyType({
    "units": (20, 64, 150, 256, 512, 1024), "timesteps": (5, 10, 20, 50, 100), "vocabulary": (10, 100, 1000)})


def measure(name: str, config: RunConfig) -> Measure:
    """Train a seed before anything is compiled, a second one, and a third until every window is right."""
    peer = PEERS[name]
    module = importlib.import_module(f"benchmarks.peers.{peer.module}")
    chunk = max(1, config.epochs // CHUNKS)

    def timed(seed: int, epochs: int = config.epochs) -> Iterator[tuple[float, Trained]]:
        return clocked(module.train, config.model_copy(update={"seed": config.seed + seed, "epochs": epochs}), chunk)

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
    (ended, trained), (middle, halfway) = seen[-1], next(each for each in seen if each[1].epoch >= last / 2)
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


def measure_cost(name: str, config: RunConfig) -> Cost:
    """Time an epoch of one network after compiling and a first chunk."""
    module = importlib.import_module(f"benchmarks.peers.{PEERS[name].module}")
    seen: list[tuple[float, Trained]] = []
    for moment in clocked(module.train, config, 10):
        seen.append(moment)
        if moment[0] - seen[min(1, len(seen) - 1)][0] > AXIS_SECONDS:
            break
    ended, middle = seen[-1], next(each for each in seen if each[0] > seen[-1][0] - AXIS_SECONDS * 0.6)
    return Cost(1000 * (ended[0] - middle[0]) / (ended[1].epoch - middle[1].epoch))


def main() -> None:
    """Measure one peer with one setting, in this process."""
    name, setting = sys.argv[1:]
    axis, _, value = setting.partition("=")
    measured = measure_cost(name, on_axis(axis, int(value))) if value else measure(name, SETTINGS[setting])
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
