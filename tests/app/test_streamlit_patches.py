"""A press arrives once, and what is drawn arrives: a real server of Streamlit, and a client that is too quick."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.helpers.server import ROOT, Server, serve

PAGE = ("streamlit", "run", str(ROOT / "tests" / "helpers" / "delivery_app.py"))
LATE = ("streamlit", "run", str(ROOT / "tests" / "helpers" / "late_app.py"))
AWAY = ("streamlit", "run", str(ROOT / "tests" / "helpers" / "away_app.py"))
ROUNDS = 40


class Browser:
    """A page in a browser: what stands there, and what it sends."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._fragment, self._button, self.shown = socket, "", "", -1

    def send(self, is_timer: bool = False, is_press: bool = False) -> None:
        message = BackMsg()
        message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = self._fragment, is_timer
        if is_press:
            message.rerun_script.widget_states.widgets.add(id=self._button, trigger_value=True)
        elif not is_timer:
            message.rerun_script.query_string = ""
        self._socket.send(message.SerializeToString())

    def read(self, until: int, patience: float) -> None:
        """Draw what comes until that number of presses is shown, or nothing came for so many seconds."""
        with suppress(TimeoutError):
            while self.shown != until:
                self.read_one(patience)

    def read_one(self, patience: float = 10.0) -> ForwardMsg:
        """Draw the next message and return it."""
        message = ForwardMsg.FromString(self._socket.recv(patience, decode=False))
        self._draw(message)
        return message

    def _draw(self, message: ForwardMsg) -> None:
        self._fragment = message.auto_rerun.fragment_id or self._fragment
        element = message.delta.new_element
        self._button = element.button.id or self._button
        if element.text.body:
            self.shown = int(element.text.body)


def shown_after_presses(server: Server, by_timer_too: bool, patience: float) -> list[int]:
    """What the page shows after each of some presses, which timers follow closely, or send as well."""
    address = server.url.replace("http", "ws") + "/_stcore/stream"
    shown = []
    with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None, close_timeout=0.5) as socket:
        browser = Browser(socket)
        browser.send()
        browser.read(until=0, patience=10.0)
        for number in range(1, ROUNDS + 1):
            if by_timer_too:
                browser.send(is_timer=True, is_press=True)
            browser.send(is_press=True)
            for _ in range(20):
                browser.send(is_timer=True)
                time.sleep(0.001)
            browser.read(number, patience)
            shown.append(browser.shown)
    return shown


ONCE_EACH = list(range(1, ROUNDS + 1))


def test_a_press_arrives_once_and_what_comes_of_it_is_shown(tmp_path: Path):
    with serve(tmp_path, *PAGE) as server:
        for by_timer_too in (False, True):
            assert shown_after_presses(server, by_timer_too, patience=10.0) == ONCE_EACH
        assert server.trouble() == []


@pytest.mark.slow
def test_streamlit_as_it_is_still_needs_both_patches(tmp_path: Path):
    with serve(tmp_path, *PAGE, AS_IT_IS="1") as server:
        tries = (shown_after_presses(server, by_timer_too=False, patience=0.1) for _ in range(5))
        assert any(shown != ONCE_EACH for shown in tries)  # at the first try, most times
        assert shown_after_presses(server, by_timer_too=True, patience=0.1)[-1] > ROUNDS


def drawn_before_its_end(server: Server) -> bool:
    """Whether what a page drew has come when its run is said to have ended, after which a browser removes the rest."""
    address = server.url.replace("http", "ws") + "/_stcore/stream"
    with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None, close_timeout=0.5) as socket:
        browser, message = Browser(socket), ForwardMsg()
        browser.send()
        while message.WhichOneof("type") != "script_finished":
            if message.auto_rerun.fragment_id:
                browser.send(is_timer=True)  # while the page is still being drawn
            message = browser.read_one()
        assert message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
        return browser.shown == 1


def test_what_a_page_has_drawn_comes_before_its_end_although_a_timer_fires_meanwhile(tmp_path: Path):
    with serve(tmp_path, *LATE) as server:
        assert all(drawn_before_its_end(server) for _ in range(5))


@pytest.mark.slow
def test_streamlit_as_it_is_still_drops_what_a_page_has_drawn_when_a_timer_fires(tmp_path: Path):
    with serve(tmp_path, *LATE, AS_IT_IS="1") as server:
        assert not all(drawn_before_its_end(server) for _ in range(5))


def test_what_is_pressed_while_a_page_finds_the_store_away_is_done(tmp_path: Path):
    """`st.stop` would end the page, and with it what waits for the page's end."""
    with serve(tmp_path, *AWAY) as server, connect(
            server.url.replace("http", "ws") + "/_stcore/stream", subprotocols=[Subprotocol("streamlit")],
            max_size=None, close_timeout=0.5) as socket:
        browser = Browser(socket)
        browser.send()
        browser.read(until=0, patience=10.0)  # the page itself goes on
        browser.send(is_press=True)
        browser.read(until=1, patience=5.0)
        assert browser.shown == 1
