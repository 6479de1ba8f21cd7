"""Sees to it that a press arrives once, and that what a page has drawn arrives: in Streamlit 1.67 neither is sure.

Both happen where a timer draws a fragment again while somebody presses a button in it, as in the panel of a run
(`docs/decisions/0019`). And a file that cannot be made when its button is pressed says why beside the button, where
Streamlit says no more than "Failed to generate file for download".

It also bounds the uploads that the server keeps: `server.maxUploadSize` limits one file, but a client can send any
number of files to the upload address, and Streamlit 1.67 keeps all of them until the session ends
(`docs/decisions/0037`).

The four methods that are wrapped here are not public: tests drive a real server with and without this, and fail when a
later version of Streamlit no longer needs it, or has changed.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackendOperationRequest
from streamlit.proto.ForwardMsg_pb2 import BackendOperationResponse
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.backend_operation_handler import DeferredFileHandler
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

logger = logging.getLogger(__name__)

#: What a button sends, and other widgets that say "now" instead of a value.
_TRIGGERS = {"trigger_value", "string_trigger_value", "chat_input_value", "json_trigger_value"}


#: Files that the server keeps of a session: one for each uploader, and one that is just being replaced.
FILES_PER_SESSION = 3


class NotDelivered(Exception):
    """A file cannot be made now. Its text is shown to the visitor, beside the button that was pressed."""


def apply() -> None:
    """Patch this process's Streamlit. A second call does nothing."""
    if AppSession.request_rerun.__module__ != __name__:
        AppSession.request_rerun = _without_presses_of_timers(AppSession.request_rerun)  # type: ignore[method-assign]
        AppSession._create_scriptrunner = _after_what_was_drawn(  # type: ignore[method-assign]
            AppSession._create_scriptrunner)
        DeferredFileHandler.handle = _deliver  # type: ignore[method-assign]
        MemoryUploadedFileManager.add_file = _with_a_limit(  # type: ignore[method-assign]
            MemoryUploadedFileManager.add_file)


def _without_presses_of_timers(request_rerun: Callable[..., None]) -> Callable[..., None]:
    """A browser sends a press a moment after it, and a timer that fires in between sends it as well: once too often."""
    @wraps(request_rerun)
    def request(self: AppSession, client_state: Any) -> None:
        if client_state and client_state.is_auto_rerun:
            widgets = client_state.widget_states.widgets
            values = [widget for widget in widgets if widget.WhichOneof("value") not in _TRIGGERS]
            del widgets[:]
            widgets.extend(values)
        request_rerun(self, client_state)

    request.__module__ = __name__
    return request


def _after_what_was_drawn(create: Callable[..., None]) -> Callable[..., None]:
    """A new run of the script begins after all that the last one drew is taken note of, or that would be thrown away.

    What a run draws waits in the event loop's queue. Where a request comes when the run has ended and its pictures
    still wait, Streamlit starts another runner, and forgets what comes from the one before. They are all in the
    queue by then, so it is enough to go to its end.
    """
    @wraps(create)
    def create_later(self: AppSession, wanted: Any) -> None:
        stopped = self._scriptrunner

        def begin() -> None:
            if self._scriptrunner in (None, stopped):
                create(self, wanted)
            elif not self._scriptrunner.request_rerun(wanted):  # another one that has begun and stopped meanwhile
                create_later(self, wanted)

        if stopped is None:
            create(self, wanted)
        else:
            self._event_loop.call_soon(begin)

    return create_later


async def _deliver(self: DeferredFileHandler, request: BackendOperationRequest,
                   session_id: str) -> BackendOperationResponse:
    """Make the file of a download button, or say why it cannot be made: Streamlit's own says no reason."""
    manager, response = self._get_media_file_mgr(), BackendOperationResponse(request_id=request.request_id)
    try:
        response.deferred_file.url = await asyncio.to_thread(manager.execute_deferred, request.deferred_file.file_id)
    except Exception as error:
        if isinstance(error.__cause__, NotDelivered):
            said = str(error.__cause__)
        else:
            logger.exception("a file could not be made")
            said = "the file could not be made. Try again in a moment, or reload the page."
        response.error_msg = said[:1].upper() + said[1:]
    return response


def _with_a_limit(add_file: Callable[..., None]) -> Callable[..., None]:
    """Keep the newest `FILES_PER_SESSION` files of each session."""
    @wraps(add_file)
    def add_and_drop(self: MemoryUploadedFileManager, session_id: str, file: UploadedFileRec) -> None:
        add_file(self, session_id, file)
        for file_id in list(self.file_storage.get(session_id, ()))[:-FILES_PER_SESSION]:
            self.remove_file(session_id, file_id)

    return add_and_drop
