"""A worker's tasks, called in the test's own process."""

import pytest
from sqlalchemy.exc import OperationalError

from echo_core.config import TRAINING_VERSION
from echo_core.store import Store
from echo_core.workers import worker


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'runs.db'}")
    yield opened
    opened.close()


def test_worker_that_sees_another_store_or_version_says_why_it_cannot_serve(store, tmp_path):
    token = store.leave_handshake()
    assert worker.shake_hands(store.url, token, TRAINING_VERSION) is None
    assert "see another store" in worker.shake_hands(store.url, "another token", TRAINING_VERSION)
    assert f"this app by version {TRAINING_VERSION + 1}" in worker.shake_hands(store.url, token, TRAINING_VERSION + 1)
    elsewhere = worker.shake_hands(f"sqlite:///{tmp_path / 'elsewhere' / 'runs.db'}", token, TRAINING_VERSION)
    assert "cannot open the app's store" in elsewhere
    assert not (tmp_path / "elsewhere").exists()
    closed = worker.shake_hands(f"sqlite:///{tmp_path / ('x' * 300) / 'runs.db'}", token, TRAINING_VERSION)
    assert "cannot be opened: File name too long" in closed  # as "Permission denied" is, of which root knows nothing


def test_worker_that_can_read_the_store_and_not_write_to_it_says_so(store, monkeypatch):
    token = store.leave_handshake()

    def refuse(*_):
        raise OperationalError("DELETE", {}, Exception("attempt to write a readonly database"))

    monkeypatch.setattr(Store, "take_handshake", refuse)
    said = worker.shake_hands(store.url, token, TRAINING_VERSION)
    assert "cannot write to the app's store (OperationalError: attempt to write a readonly database)" in said
