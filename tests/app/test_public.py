"""Error messages for visitors of a hosted copy contain no path, no address and no exception."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import streamlit as st

from echo_app import state
from echo_app.pages import setup
from echo_core.config import RunConfig
from tests.helpers.apptest import open_page
from tests.helpers.samples import TINY

ADDRESS = "tcp://10.1.2.3:8786"


@pytest.fixture(autouse=True)
def hosted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A copy that strangers visit, and its engine's end."""
    monkeypatch.setattr(state, "browser_name", lambda: None)
    for name, value in {"ECHO_HOSTED": "true", "ECHO_COMPILE_AHEAD": "false",
                        "DATABASE_URL": f"sqlite:///{tmp_path / 'runs.db'}"}.items():
        monkeypatch.setenv(name, value)
    st.cache_resource.clear()
    setup.log_once.cache_clear()
    yield
    with suppress(Exception):  # the host of a test may not be able to have one
        state.engine().close()
    st.cache_resource.clear()


def said_on_page(**query: str) -> str:
    page = open_page(**query)
    return "\n".join(str(getattr(element, "proto", "")) for element in page.main)


def test_bad_setting_of_a_host_is_for_its_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("ECHO_WORKERS", "many-of-them")
    said = said_on_page()
    assert "settings is not valid. Its log says why" in said
    assert "many-of-them" not in said
    assert "workers" not in said
    assert "many-of-them" in caplog.text
    monkeypatch.setenv("ECHO_HOSTED", "no")
    assert "many-of-them" in said_on_page()


@pytest.mark.parametrize("url", ["sqlite:////proc/no/such/runs.db", "mysql://host-of-mine/db", "nonsense"])
def test_store_that_cannot_be_opened_is_for_the_log(url: str, monkeypatch: pytest.MonkeyPatch,
                                                   caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("DATABASE_URL", url)
    said = said_on_page()
    assert "store of the runs cannot be used" in said
    for secret in ("/proc", "host-of-mine", "DATABASE_URL", "sqlite"):
        assert secret not in said
    assert caplog.records


@pytest.mark.parametrize("status", [f"The workers could not be started (OSError: {ADDRESS}).",
                                    f"The cluster at {ADDRESS} is refused: its workers are of version 1."])
def test_cluster_that_does_not_answer_is_named_without_its_address(status: str, monkeypatch: pytest.MonkeyPatch):
    said_on_page()  # so that there is an engine
    monkeypatch.setattr(state.engine(), "status", lambda: status)
    state.engine().store.queue.request(TINY, "somebody", "somebody", 10)
    said = said_on_page(run=TINY.run_id)
    assert "workers of this copy cannot be reached" in said
    assert "10.1.2.3" not in said
    assert "OSError" not in said


@pytest.mark.parametrize(("reason", "shown"), [
    ("PermissionError: /srv/secret/xla", "An error ended it (PermissionError)"),
    ("tensorflow.python.framework.errors_impl.ResourceExhaustedError: /srv/secret",
     "An error ended it (ResourceExhaustedError)"),
    ("Its worker process died 3 times without getting further than epoch 0.", "Its worker process died 3 times")])
def test_failed_run_names_its_kind_of_failure_and_no_path(reason: str, shown: str):
    said_on_page()
    store = state.engine().store
    config = RunConfig(epochs=3, seed=78)
    ticket = store.queue.take(config, worker="test", holder="test")
    assert ticket is not None
    store.attempts.start(ticket, threads=1)
    store.attempts.fail(ticket, reason)
    said = said_on_page(run=config.run_id)
    assert shown in said
    assert "secret" not in said
