"""The line of progress says what a visitor waits for."""

import math

import pytest

from echo_app.panels.progress import queued_in_words
from echo_core.forecast import Wait


@pytest.mark.parametrize(("wait", "status", "words"), [
    (Wait(0, 0.0), "ready", "Starting …"),
    (Wait(0, 0.0), "warming", "Starting …"),
    (Wait(0, 0.0), "starting", "Next in the queue, about 1 s. The workers are starting …"),
    (Wait(0, 12.4), "ready", "Next in the queue, about 12 s"),
    (Wait(1, 0.0), "ready", "In the queue: 1 run ahead of yours, about 1 s"),
    (Wait(3, math.nan), "ready", "In the queue: 3 runs ahead of yours"),
])
def test_queued_run_says_when_it_starts_or_how_many_are_ahead(wait: Wait, status: str, words: str):
    assert queued_in_words(wait, status).replace("\N{NO-BREAK SPACE}", " ") == words
