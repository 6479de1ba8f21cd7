"""Views of the Inside page, drawn in AppTest for a network whose weights a test has made."""

from collections.abc import Sequence

import numpy as np
from streamlit.testing.v1 import AppTest

from echo_app.panels.inside.look import Look
from echo_core.config import RunConfig
from echo_core.records import Checkpoint, Floats, State
from echo_core.store import RunRow
from tests.helpers.waiting import PATIENCE
from tests.helpers.weights import random_weights, some_windows


def look_at(config: RunConfig, weights: Sequence[Floats] | None = None, window: Sequence[int] | None = None,
            epoch: int | None = None) -> Look:
    """A finished run with these weights, by default random ones of an epoch, and a window that it reads."""
    at = config.epochs if epoch is None else epoch
    checkpoint = Checkpoint(at, at, tuple(random_weights(config, seed=epoch or 0) if weights is None else weights))
    attempt = int(checkpoint.fingerprint[:8], 16)  # what is cached by run and attempt belongs to these weights alone
    row = RunRow(
        run_id=config.run_id, config=config, training_version=config.training_version, state=State.FINISHED,
        attempt=attempt, session="a test", created_at=0.0, queued_at=0.0, started_at=0.0, ended_at=1.0,
        heartbeat_at=None, stop_requested=False, reason=None, epoch=config.epochs, seconds=1.0, threads=1,
        worker=None, restarts=0, fingerprint=checkpoint.fingerprint, evaluation=None, loss=None, background=False)
    read = some_windows(config)[0] if window is None else np.array(window)
    return Look(row, checkpoint, read.astype(np.int32))


def open_views(look: Look, *views: str) -> AppTest:
    """Draw views, by the names of their modules, below each other."""
    page = AppTest.from_function(_draw, default_timeout=PATIENCE, args=(look, views)).run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    """All sentences of a page."""
    return "\n".join(element.value for kind in ("markdown", "caption", "info", "warning", "text")
                     for element in page.get(kind))


def _draw(look, views):  # the body is run as a script of its own
    import importlib

    for view in views:
        importlib.import_module(f"echo_app.panels.inside.{view}").draw(look)
