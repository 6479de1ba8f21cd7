"""Finished runs with random weights, stored without training."""

from echo_core.config import RunConfig
from echo_core.evaluation.scores import evaluate, take_snapshot
from echo_core.records import Checkpoint, Point, Progress
from echo_core.store import RunRow, Store
from tests.helpers.weights import random_weights


def add_finished(store: Store, config: RunConfig, seed: int = 0) -> RunRow:
    """Store a finished run of these settings, with two snapshots and its score, unless the store has it."""
    if known := store.runs.get(config.run_id):
        return known
    weights = tuple(random_weights(config, seed))
    ticket = store.queue.take(config, worker="test", holder="test")
    assert ticket is not None
    store.attempts.start(ticket, threads=1)
    for epoch in (0, config.epochs):
        checkpoint, snapshot = Checkpoint(epoch, epoch, weights), take_snapshot(config, weights, epoch)
        store.attempts.append(ticket, Progress(epoch, 1.0, 0.5, float(epoch), (Point(epoch, 1.0, 0.5),), checkpoint,
                                               snapshot))
    store.attempts.finish(ticket, checkpoint, evaluate(config, weights))
    run = store.runs.get(config.run_id)
    assert run is not None
    return run
