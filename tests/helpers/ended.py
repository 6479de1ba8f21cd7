"""Ended runs with the scores that a test wants, stored without training."""

from dataclasses import replace

from echo_core.config import RunConfig
from echo_core.records import Checkpoint, Floats, Point, Progress
from echo_core.store import Store
from tests.helpers.samples import EVALUATION


def end(store: Store, config: RunConfig, windows_right: float = 0.5, failed: bool = False,
        curve: tuple[Point, ...] = (), seconds: float = 1.0, weights: tuple[Floats, ...] = ()) -> None:
    """Store a run of these settings as finished with a score, or as failed; a study asked for it."""
    store.queue.request(config, session="study-x", holder="test", background=True)
    ticket = store.queue.claim("worker")
    assert ticket is not None
    assert ticket.run_id == config.run_id
    store.attempts.start(ticket, threads=1)
    checkpoint = Checkpoint(config.epochs, config.epochs, weights, ())
    store.attempts.append(ticket, Progress(config.epochs, 1.0, 0.5, seconds, curve, checkpoint))
    if failed:
        return store.attempts.fail(ticket, "the loss was not finite at epoch 3")
    store.attempts.finish(ticket, checkpoint, replace(EVALUATION, window_accuracy=windows_right))
