"""What training yields and what the store keeps: frozen records of NumPy arrays and plain numbers.

The app and the workers both use them, so nothing here knows Keras, a database or a screen.
"""

import hashlib
import io
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

#: The most points in a run's curve.
MAX_POINTS = 500


def curve_stride(epochs: int) -> int:
    """Epochs between two points of the curve of a run of so many epochs; its last epoch is a point as well."""
    return -(-epochs // (MAX_POINTS - 1))


class State(StrEnum):
    """The state of a run."""

    QUEUED = "queued"            # waits for a worker
    RUNNING = "running"          # a worker trains it; its heartbeat is fresh
    PAUSED = "paused"            # stopped at a checkpoint, from which it can go on
    INTERRUPTED = "interrupted"  # its worker or app died; it can go on from the last checkpoint
    FAILED = "failed"            # training raised; the reason is kept
    FINISHED = "finished"        # trained and judged; its weights are kept

    @property
    def is_active(self) -> bool:
        """Whether it is queued or running."""
        return self in (State.QUEUED, State.RUNNING)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it unless somebody asks for it again."""
        return self in (State.FINISHED, State.FAILED)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What the network answers at one epoch on the fixed unseen sequence.

    Attributes:
        epoch: Trained epochs at that moment.
        predicted: The answer for each window and output timestep, (windows, output_length).
        confidence: The probability that the network gave to that answer, same shape.
    """

    epoch: int
    predicted: Ints
    confidence: Floats


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything needed to resume a run as if it had never stopped.

    Attributes:
        epoch: Trained epochs. Data comes from (seed, epoch), so no generator state is kept.
        step: Updates made so far, which Adam's bias correction needs.
        weights: In the order of `build_model(config).trainable_variables`.
        moments: Adam's first moments in that order, then its second ones; empty in a finished run.
    """

    epoch: int
    step: int
    weights: tuple[Floats, ...]
    moments: tuple[Floats, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the weights: two runs that agree bit for bit have the same."""
        digest = hashlib.sha256()
        for array in self.weights:
            digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()

    @property
    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(np.isfinite(array).all()) for array in self.weights)

    def to_bytes(self) -> bytes:
        """As a NumPy archive, for the store."""
        file = io.BytesIO()
        arrays = {f"weight_{i}": array for i, array in enumerate(self.weights)}
        arrays |= {f"moment_{i}": array for i, array in enumerate(self.moments)}
        np.savez(file, epoch=np.int64(self.epoch), step=np.int64(self.step), **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Checkpoint":
        """The inverse of `to_bytes`. Pickled objects are refused."""
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            def numbered(kind: str) -> tuple[Floats, ...]:
                count = sum(name.startswith(kind) for name in archive.files)
                return tuple(archive[f"{kind}_{i}"] for i in range(count))
            return cls(int(archive["epoch"]), int(archive["step"]), numbered("weight"), numbered("moment"))


@dataclass(frozen=True, eq=False)
class Point:
    """Loss and accuracy of one epoch's training data, before each of its updates."""

    epoch: int
    loss: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Milestone:
    """An epoch before the end of a chunk, whose answers are kept. The fields mean what they mean in `Progress`."""

    epoch: int
    loss: float
    accuracy: float
    seconds: float
    snapshot: Snapshot


@dataclass(frozen=True, eq=False)
class Progress:
    """One record of training, yielded after a chunk of epochs.

    Attributes:
        epoch: Trained epochs; 0 is the untrained network.
        loss: Of the newest epoch, at epoch 0 of the unseen sequence: cross-entropy in nats per token, or the squared
            error of scaled numbers.
        accuracy: Share of that epoch's tokens that were right.
        seconds: Since `train` was called.
        points: The chunk's share of the curve, thinned so that a run has at most 500.
        checkpoint: The state to resume from. It shares memory with training and must not be changed.
        snapshot: The answers at this epoch, where one is due.
        milestones: Earlier epochs of the chunk, in their order, at which a snapshot was due.
    """

    epoch: int
    loss: float
    accuracy: float
    seconds: float
    points: tuple[Point, ...]
    checkpoint: Checkpoint
    snapshot: Snapshot | None = None
    milestones: tuple[Milestone, ...] = ()

    @property
    def moments(self) -> tuple["Milestone | Self", ...]:
        """The milestones, and then the record itself."""
        return *self.milestones, self

    def after(self, seconds: float) -> Self:
        """The same record of an attempt that began when the run had been trained for `seconds`."""
        return replace(self, seconds=seconds + self.seconds, milestones=tuple(
            replace(each, seconds=seconds + each.seconds) for each in self.milestones))


class Diverged(ArithmeticError):
    """Training met a loss or weights that are not finite numbers, and stopped.

    Attributes:
        epoch: The first epoch whose loss is not finite. The last epoch of the run, if the loss stayed finite but the
            weights did not.
        checkpoint: The end of the last epoch before it whose weights are finite. It does not depend on the chunks in
            which a run was trained.
    """

    def __init__(self, message: str, epoch: int, checkpoint: Checkpoint) -> None:
        super().__init__(message)
        self.epoch, self.checkpoint = epoch, checkpoint


@dataclass(frozen=True)
class Evaluation:
    """Scores of a network on windows that it was not trained on.

    Attributes:
        token_accuracy: Share of single tokens right.
        window_accuracy: Share of windows right at every timestep.
        windows: How many were judged.
        by_timestep: Token accuracy at each output timestep, oldest first; None where no answer is expected.
        judged_on: `unseen` windows, from a random stream of their own, or the pairs of `training`.
        sameness: Share of single tokens that equal the most common answer at their timestep: 1 if the network gives
            the same answer to everything. None in runs that were judged before this was counted.
        same_accuracy: Window accuracy of giving that most common answer to everything.
    """

    token_accuracy: float
    window_accuracy: float
    windows: int
    by_timestep: tuple[float | None, ...]
    judged_on: str = "unseen"
    sameness: float | None = None
    same_accuracy: float | None = None
