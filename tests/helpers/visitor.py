"""A visitor's page without a browser: it speaks to a real server by the browser's protocol."""

import asyncio
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol


class Browser:
    """A visitor's browser: it keeps the cookies that the server has set, so that the visitor may return."""

    def __init__(self, url: str) -> None:
        self._url, self._cookies = url, CookieJar()

    @asynccontextmanager
    async def open(self, query: str = "", name: str = "") -> AsyncIterator["Session"]:
        """Open a page of the app by its name, the first one by default, and close it afterwards."""
        await asyncio.to_thread(self._load, query, name)
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)
        async with connect(self._url.replace("http", "ws", 1) + "/_stcore/stream", max_size=None, open_timeout=60,
                           ping_timeout=None, origin=Origin(self._url), additional_headers={"Cookie": cookies},
                           subprotocols=[Subprotocol("streamlit")]) as socket:
            page = Session(socket, query, name)
            await page.run()
            yield page

    def _load(self, query: str, name: str) -> None:
        """Fetch what a browser fetches before it opens the websocket."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))
        for path in (f"{name}?{query}", "_stcore/health", "_stcore/host-config"):
            with opener.open(f"{self._url}/{path}", timeout=60) as answer:
                answer.read()


class Session:
    """One page of one visitor.

    Args:
        name: The page's name in its address; empty for the first one.
    """

    def __init__(self, socket: ClientConnection, query: str, name: str = "") -> None:
        self._socket, self.query, self._name = socket, query, name
        self.timers: dict[str, tuple[float, float]] = {}  # fragment -> (interval, next time)
        self.widgets: dict[str, tuple[str, str]] = {}  # key -> (id, its fragment)
        self.errors: list[str] = []

    async def run(self, **changes: Any) -> float:
        """Have the script rerun and wait for its end; the seconds that this took."""
        message = BackMsg()
        message.rerun_script.query_string, message.rerun_script.page_name = self.query, self._name
        for name, value in changes.items():
            if name in ("fragment_id", "is_auto_rerun"):
                setattr(message.rerun_script, name, value)
            else:
                id_, message.rerun_script.fragment_id = self.widgets[name]
                widget = message.rerun_script.widget_states.widgets.add(id=id_)
                if isinstance(value, bool):
                    widget.trigger_value = value
                else:
                    widget.double_value = value
        if not message.rerun_script.fragment_id:
            self.timers.clear()  # a full run sets all timers again
        started = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        while not self.take(ForwardMsg.FromString(await asyncio.wait_for(self._socket.recv(decode=False), 60))):
            pass
        return time.perf_counter() - started

    def take(self, message: ForwardMsg) -> bool:
        """Read one message. Returns True when the script has ended."""
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            interval = message.auto_rerun.interval
            self.timers[message.auto_rerun.fragment_id] = (interval, time.monotonic() + interval)
        elif kind == "new_session" and not message.metadata.run.fragment_ids:
            self.timers.clear()  # a full run sets all timers again, also one that the server began
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self.timers.pop(fragment, None)
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "delta":
            element = message.delta.new_element
            for widget in (element.number_input, element.button):
                if widget.id:
                    self.widgets[widget.id.rpartition("-")[2]] = widget.id, message.delta.fragment_id
            if element.HasField("exception"):
                self.errors.append(element.exception.message)
        return kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
