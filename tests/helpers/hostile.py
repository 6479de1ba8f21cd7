"""Text that would have an effect if a page rendered it as markup, and a finished run made of it."""

import numpy as np

from echo_core.config import RunConfig
from echo_core.config.repair import repair_settings
from echo_core.data import shown_examples
from echo_core.records import Evaluation, Point, Progress, Snapshot
from echo_core.store import Store
from tests.helpers import samples

#: The address of the planted pictures and links. Nothing listens there.
PLANTED = "127.0.0.1:9"
#: Hostile words for a text.
HOSTILE = (f"![x](http://{PLANTED}/x.png) [log in](http://{PLANTED}/) http://{PLANTED}/bare www.planted.example "
           f"<http://{PLANTED}/> <img/src=http://{PLANTED}/i.png> <b>bold</b> :red[now] :material/home: :smile: $x^2$ "
           "`code` **b** me@planted.example")
#: One hostile word, short enough for a name or the value of a setting.
HOSTILE_WORD = f"![x](http://{PLANTED}/x.png)"
#: A line longer than a page is wide, written from right to left.
UNBROKEN, FROM_RIGHT = "x" * 300, "שלום עולם"

PAIRS = repair_settings({"task": "pairs", "units": 4, "epochs": 3,
              "text": f"{HOSTILE} => ok\nhello => {HOSTILE}\n{UNBROKEN} => {FROM_RIGHT}"})[0]


def keep_run(store: Store, config: RunConfig = PAIRS) -> str:
    """Put a finished run into a store without training. Returns its run_id. It answers everything with one word."""
    ticket = store.queue.take(config, worker="by hand", holder="nobody")
    assert ticket is not None
    store.attempts.start(ticket, threads=1)
    expected = shown_examples(config).expected
    snapshot = Snapshot(config.epochs, np.zeros_like(expected, np.int32), np.full(expected.shape, 0.5, np.float32))
    checkpoint = samples.checkpoint(config.epochs)
    points = tuple(Point(epoch, 2.5, 0.0) for epoch in range(config.epochs + 1))
    store.attempts.append(ticket, Progress(config.epochs, 2.5, 0.0, 1.0, points, checkpoint, snapshot))
    evaluation = Evaluation(0.0, 0.0, len(expected), (0.0,) * config.output_length, "training")
    store.attempts.finish(ticket, checkpoint, evaluation)
    return config.run_id
