"""Records made by hand, for tests of those who keep them and do not train."""

import numpy as np

from echo_core.config import RunConfig, divisors
from echo_core.records import Checkpoint, Evaluation, Point, Progress, Snapshot

#: Small enough to compile in a second or two, whatever its seed, epochs and rate.
TINY = RunConfig(variant="encoder_decoder", vocab_size=10, sequence_length=8, input_length=3, output_length=2, units=6,
                 batch_size=6, epochs=60)


def small(**settings: object) -> RunConfig:
    """A run of any combination, of a few units and numbers, with sizes that fit."""
    if settings.get("task") == "pairs":
        sizes: dict[str, object] = {"text": "what is this => a test\nwho => me\nwho is a test => it is this one\n"
                                            "this => that"}
    else:
        lengths = {"input_length": 3, "output_length": 3 if settings.get("variant", "whole") == "whole" else 2}
        sizes = {"vocab_size": 7, "sequence_length": 8, **lengths}
    wanted = {"units": 4, "epochs": 3, "learning_rate": 0.01, "stateful": False, **sizes, **settings}
    probe = RunConfig(**{"batch_size": 1, **wanted})  # type: ignore[arg-type]
    fits = [size for size in divisors(probe.num_windows) if size > 1]
    return RunConfig(**{"batch_size": fits[0], **wanted})  # type: ignore[arg-type]


EVALUATION = Evaluation(token_accuracy=0.75, window_accuracy=0.5, windows=2000, by_timestep=(1.0, 0.5))


def config(number: int) -> RunConfig:
    """A run of its own for each number."""
    return TINY.model_copy(update={"seed": number})


def checkpoint(epoch: int) -> Checkpoint:
    """One whose weights tell its epoch."""
    weights = (np.full((2, 3), epoch, np.float32), np.arange(3, dtype=np.float32))
    return Checkpoint(epoch, 2 * epoch, weights, tuple(np.ones_like(weight) for weight in weights * 2))


def progress(epoch: int, seconds: float = 0.0, loss: float = 2.5, with_snapshot: bool = False) -> Progress:
    """A record of `TINY`."""
    shape = (TINY.windows_per_sequence, TINY.output_length)
    snapshot = Snapshot(epoch, np.full(shape, epoch, np.int32), np.full(shape, 0.5, np.float32))
    return Progress(epoch, loss, 0.25, seconds, (Point(epoch, loss, 0.25),), checkpoint(epoch),
                    snapshot if with_snapshot else None)
