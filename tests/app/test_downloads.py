"""A download button delivers the file, or says beside itself why it cannot and when to try again."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from streamlit.proto.BackMsg_pb2 import BackendOperationRequest
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.backend_operation_handler import DeferredFileHandler
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from echo_app import state
from echo_app.panels import share
from echo_app.web import streamlit_patches
from echo_core.engine import Busy
from echo_core.exports.run_files import MODEL
from tests.helpers.samples import TINY

Answer = Callable[[Callable[[], bytes]], tuple[str, str]]


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Press a button whose file a function makes: the file's address, or what is shown beside the button."""
    for owner, name in ((DeferredFileHandler, "handle"), (AppSession, "request_rerun"),
                        (AppSession, "_create_scriptrunner"), (MemoryUploadedFileManager, "add_file")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # so that it is as before in the end
    streamlit_patches.apply()
    manager = MediaFileManager(MemoryMediaFileStorage("/media"))

    def press(make: Callable[[], bytes]) -> tuple[str, str]:
        request = BackendOperationRequest(request_id="1")
        request.deferred_file.file_id = manager.add_deferred(make, "application/zip", "0.0", "a.zip")
        response = asyncio.run(DeferredFileHandler(lambda: manager).handle(request, "a session"))
        return response.deferred_file.url, response.error_msg

    return press


def test_a_file_that_is_made_is_delivered(pressed: Answer):
    url, said = pressed(lambda: b"PK")
    assert (url.startswith("/media/"), said) == (True, "")


def test_who_comes_before_the_workers_is_told_when_to_come_back(pressed: Answer, monkeypatch, caplog):
    def keras_file(*_: object) -> bytes:
        raise Busy("the workers are still starting. Try again in about 12 seconds.")

    monkeypatch.setattr(state, "engine", lambda: SimpleNamespace(keras_file=keras_file))
    run = SimpleNamespace(run_id="0123456789abcdef", config=TINY)
    assert pressed(lambda: share.file_of(run, MODEL)) == (
        "", "The workers are still starting. Try again in about 12 seconds.")
    assert "Busy" not in caplog.text


def test_what_goes_wrong_otherwise_is_in_the_log_and_not_on_the_page(pressed: Answer, caplog):
    def fail() -> bytes:
        raise OSError("/a/path: no space left on device")

    assert pressed(fail) == ("", "The file could not be made. Try again in a moment, or reload the page.")
    assert "no space left" in caplog.text
