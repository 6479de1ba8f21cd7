"""The limits of a real server's upload address, for clients with and without a page."""

import http.client
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.helpers.server import Server, serve

MB = 2**20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app itself, with the configuration that it is run with."""
    with serve(tmp_path_factory.mktemp("uploads"), ECHO_WORKERS="1", ECHO_COMPILE_AHEAD="false") as running:
        yield running


class Stranger:
    """A client that sends files to the server by hand, in a session that a page has opened."""

    def __init__(self, server: Server, socket: ClientConnection) -> None:
        self._address, self.socket = urlsplit(server.url).netloc, socket
        message = BackMsg()
        message.rerun_script.query_string = ""
        socket.send(message.SerializeToString())
        while not (session := ForwardMsg.FromString(socket.recv(60, decode=False)).new_session.initialize.session_id):
            pass
        self._path = f"/_stcore/upload_file/{session}"
        answer = self._ask("GET", "/_stcore/health", {}, b"")
        self._token = answer.headers["Set-Cookie"].split(";")[0].partition("=")[2]

    def put(self, file_id: str, size: int, is_chunked: bool = False) -> int:
        """Send a file of so many bytes; the status of the answer."""
        content = (b'--limit\r\nContent-Disposition: form-data; name="file"; filename="pairs.txt"\r\n\r\n'
                   + b"x" * size + b"\r\n--limit--\r\n")
        headers = {"Content-Type": "multipart/form-data; boundary=limit", "X-Xsrftoken": self._token,
                   "Cookie": f"_streamlit_xsrf={self._token}"}
        chunks = (content[at:at + 65536] for at in range(0, len(content), 65536))
        return self._ask("PUT", f"{self._path}/{file_id}", headers, chunks if is_chunked else content).status

    def _ask(self, method: str, path: str, headers: dict[str, str], body: object) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        with suppress(BrokenPipeError, ConnectionResetError):  # the server has answered before it read everything
            connection.request(method, path, body, headers)  # type: ignore[arg-type]
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer


@pytest.fixture
def stranger(server: Server) -> Iterator[Stranger]:
    address = server.url.replace("http", "ws") + "/_stcore/stream"
    with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None, close_timeout=0.5) as socket:
        yield Stranger(server, socket)


def test_the_server_refuses_a_file_of_more_than_a_megabyte(stranger: Stranger):
    assert stranger.put("small", 1000) == 204
    assert stranger.put("too-large", MB + 1) == 413
    assert stranger.put("too-large", 3 * MB, is_chunked=True) == 413


def test_files_of_one_session_do_not_fill_the_server_s_memory(server: Server, stranger: Stranger):
    before = server.process.memory_info().rss
    for number in range(150):
        assert stranger.put(f"file-{number}", MB - 1000) == 204
    assert server.process.memory_info().rss - before < 80 * MB
