"""Patches of Streamlit 1.67, each around a method that is not public.

- `_without_presses`: a button is counted twice when a fragment's timer fires between the press and its sending.
- `_after_last_run`: what a run of the script has drawn is lost when a request arrives just as it ends.
- `_with_what_was_drawn`: what a fragment has just drawn is dropped when its timer fires meanwhile, and its place stays
  empty until it has been drawn again.
- `_deliver`: a file that cannot be made says why beside its button, instead of "Failed to generate file for download".
- `_with_a_limit`: `server.maxUploadSize` limits one file, but not the number of files of a session.

Tests drive a real server with and without them, and fail when a later version no longer needs one or has changed
(decisions 0019, 0037, 0045 and 0073).
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
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

logger = logging.getLogger(__name__)

#: The values of buttons and of other widgets that report an event instead of a state.
_TRIGGERS = {"trigger_value", "string_trigger_value", "chat_input_value", "json_trigger_value"}
#: Files that the server keeps of a session: one for each uploader, and one that is just being replaced.
FILES_PER_SESSION = 3


class NotDelivered(Exception):
    """A file cannot be made now. Its text is shown to the visitor, beside the button that was pressed."""


def apply() -> None:
    """Patch this process's Streamlit. A second call does nothing."""
    if AppSession.request_rerun.__module__ != __name__:
        AppSession.request_rerun = _without_presses(AppSession.request_rerun)  # type: ignore[method-assign]
        AppSession._create_scriptrunner = _after_last_run(  # type: ignore[method-assign]
            AppSession._create_scriptrunner)
        ForwardMsgQueue.clear = _with_what_was_drawn(ForwardMsgQueue.clear)  # type: ignore[method-assign]
        DeferredFileHandler.handle = _deliver  # type: ignore[method-assign]
        MemoryUploadedFileManager.add_file = _with_a_limit(  # type: ignore[method-assign]
            MemoryUploadedFileManager.add_file)


def _without_presses(request_rerun: Callable[..., None]) -> Callable[..., None]:
    """Ignore the presses in a timer's request: a timer sends all values, and each press is sent by itself as well."""
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


def _after_last_run(create: Callable[..., None]) -> Callable[..., None]:
    """Start a new runner of the script only after the messages of the last one were handled.

    Messages wait in the event loop's queue, and Streamlit ignores those of a runner that it has replaced. All messages
    of a runner that has ended are in the queue, so a call at the end of the queue comes after them.
    """
    @wraps(create)
    def create_later(self: AppSession, request: Any) -> None:
        ended = self._scriptrunner

        def start() -> None:
            if self._scriptrunner in (None, ended):
                create(self, request)
            elif not self._scriptrunner.request_rerun(request):  # another runner has started and ended meanwhile
                create_later(self, request)

        if ended is None:
            create(self, request)
        else:
            self._event_loop.call_soon(start)

    return create_later


def _with_what_was_drawn(clear: Callable[..., None]) -> Callable[..., None]:
    """Keep the messages that are not sent yet when a fragment begins: they may complete a page that has just ended."""
    @wraps(clear)
    def clear_nothing_drawn(self: ForwardMsgQueue, retain_lifecycle_msgs: bool = False,
                            fragment_ids_this_run: list[str] | None = None) -> None:
        clear(self, retain_lifecycle_msgs, None if fragment_ids_this_run is None else [])

    return clear_nothing_drawn


async def _deliver(self: DeferredFileHandler, request: BackendOperationRequest,
                   session_id: str) -> BackendOperationResponse:
    """Make the file of a download button, or say why it cannot be made."""
    manager, response = self._get_media_file_mgr(), BackendOperationResponse(request_id=request.request_id)
    try:
        response.deferred_file.url = await asyncio.to_thread(manager.execute_deferred, request.deferred_file.file_id)
    except Exception as error:
        if isinstance(error.__cause__, NotDelivered):
            reason = str(error.__cause__)
        else:
            logger.exception("a file could not be made")
            reason = "the file could not be made. Try again in a moment, or reload the page."
        response.error_msg = reason[:1].upper() + reason[1:]
    return response


def _with_a_limit(add_file: Callable[..., None]) -> Callable[..., None]:
    """Keep only the newest `FILES_PER_SESSION` files of a session."""
    @wraps(add_file)
    def add_and_drop(self: MemoryUploadedFileManager, session_id: str, file: UploadedFileRec) -> None:
        add_file(self, session_id, file)
        for file_id in list(self.file_storage.get(session_id, ()))[:-FILES_PER_SESSION]:
            self.remove_file(session_id, file_id)

    return add_and_drop
