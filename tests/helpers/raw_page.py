"""A page without a browser: a client that speaks Streamlit's protocol, with any cookie, header and press."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from google.protobuf.json_format import MessageToDict
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.helpers.server import Server
from tests.helpers.waiting import PATIENCE

#: Seconds since 1970, of every cookie: tests are named by their cookies, and two processes must collect the same ones.
WRITTEN_AT = 1_700_000_000


def cookie_of(owner: str, mask: bytes = b"\x01\x02\x03\x04", size: int = 16) -> str:
    """The cookie of somebody's browser, as Streamlit would write it for a token of so many bytes."""
    token = hashlib.sha256(owner.encode()).digest()[:size]
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(token))
    return f"2|{mask.hex()}|{masked.hex()}|{WRITTEN_AT}"


@contextmanager
def raw_page(server: Server, query: str = "", cookie: str | None = None, page: str = "",
             headers: Mapping[str, str] | None = None, session_id: str | None = None) -> Iterator["RawPage"]:
    """Open a page of the app.

    Args:
        cookie: The value of Streamlit's cookie; None for no cookie.
        session_id: A session to take up again.
    """
    more = {"Cookie": f"_streamlit_xsrf={cookie}"} if cookie is not None else {}
    words = ["streamlit", *(["x", session_id] if session_id else [])]
    with connect(server.url.replace("http", "ws") + "/_stcore/stream", max_size=None, close_timeout=0.5,
                 subprotocols=[Subprotocol(word) for word in words],
                 additional_headers={**more, **(headers or {})}) as socket:
        opened = RawPage(socket, query, page)
        opened.rerun()
        yield opened


class RawPage:
    """One connection.

    Attributes:
        session_id: What the server calls its session.
        widgets: The ids of the widgets on the page, by their keys.
        said: Every string that the server sent for the page, in the last run of the script.
    """

    def __init__(self, socket: ClientConnection, query: str, page: str) -> None:
        self._socket, self._page = socket, page
        self.session_id, self.query = "", query
        self.widgets: dict[str, str] = {}
        self.said: list[str] = []

    def press(self, key: str) -> None:
        """Press a button of the page."""
        self.rerun({self.widgets[key]: True})

    def rerun(self, presses: Mapping[str, bool | str] | None = None) -> None:
        """Run the script with some widgets, by their ids: buttons that are pressed, texts that are typed."""
        message = BackMsg()
        script = message.rerun_script
        script.query_string, script.page_name = self.query, self._page
        for id_, value in (presses or {}).items():
            widget = script.widget_states.widgets.add(id=id_)
            if isinstance(value, str):
                widget.string_value = value
            else:
                widget.trigger_value = value
        self.said = []
        self._socket.send(message.SerializeToString())
        while not self._take(ForwardMsg.FromString(self._socket.recv(PATIENCE, decode=False))):
            pass

    def _take(self, message: ForwardMsg) -> bool:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.session_id = message.new_session.initialize.session_id
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "delta":
            element = message.delta.new_element
            drawn = getattr(element, element.WhichOneof("type") or "", None)
            if id_ := getattr(drawn, "id", ""):
                self.widgets[str(id_).rpartition("-")[2]] = str(id_)
            self.said += strings(MessageToDict(message.delta))
        return kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN

    @property
    def text(self) -> str:
        """All that was said, without what keeps Markdown from reading it."""
        return "\n".join(self.said).replace("\\", "").replace("\u2060", "")


def strings(value: Any) -> Iterator[str]:
    """Every string in a message."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
