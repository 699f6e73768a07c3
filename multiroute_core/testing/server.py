"""HTTP test server: answers every POST with a configured reply, including streams and dropped connections."""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias

_FRAMING = ("content-length", "transfer-encoding")  # set by the server


class Drop(Exception):
    """Raised by a reply's body, or instead of a reply: drops the connection at that point."""


@dataclass(frozen=True, slots=True)
class Received:
    """A received request. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to send.

    Attributes:
        status: The HTTP status.
        headers: The headers; framing headers are ignored, because the server sets them.
        body: The bytes, or an iterable of pieces, which are requested one by one as they are sent, so that the iterator
            controls the timing. A generator serves one request only: for several, serve a function that creates one.
        stream: Whether the body is sent in chunks, one write per piece. Otherwise it is sent in one write with its
            Content-Length when the last piece is available; if it is dropped, the available pieces are sent first.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | Iterable[bytes] = b""
    stream: bool = False


Serving: TypeAlias = Reply | Callable[[Received], Reply]


def split_events(body: bytes) -> list[bytes]:
    """Splits the text of an event stream after each event. The joined pieces equal the body."""
    return re.findall(rb".+?(?:\r?\n){2,}|.+\Z", body, re.DOTALL)


class ReplayServer:
    """An HTTP/1.1 server on a free port of 127.0.0.1, running within its `with` block.

    Every POST to any path gets the reply last set with `serve`; every GET gets a 404.

    Attributes:
        requests: The received requests, in order.

    Example:
        >>> with ReplayServer(Reply(body=b"{}")) as server:
        ...     server.url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(self, reply: Serving | None = None) -> None:
        self.requests: list[Received] = []
        self._reply: Serving = reply if reply is not None else Reply(500, body=b'{"error":{"message":"serve nothing"}}')
        self._server: _Server
        self._thread: threading.Thread

    @property
    def url(self) -> str:
        """The server's address, without a trailing slash.

        Raises:
            RuntimeError: if the server has not been started.
        """
        if not hasattr(self, "_server"):
            raise RuntimeError("The server is not running; use it in a `with` block.")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def connections(self) -> int:
        """Number of connections opened so far."""
        return self._server.connections

    def serve(self, reply: Serving) -> None:
        """Sets the reply from now on: a reply, or a function from the request to one, which may raise `Drop`."""
        self._reply = reply

    def _answer(self, received: Received) -> Reply:
        reply = self._reply
        return reply if isinstance(reply, Reply) else reply(received)

    def __enter__(self) -> Self:
        self._server = _Server(self.requests, self._answer)
        # Stopping takes up to one poll interval; a request wakes the thread at once.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # with the default of 5, a burst of connections waits a second for its second SYN

    def __init__(self, requests: list[Received], answer: Callable[[Received], Reply]) -> None:
        self.requests = requests
        self.answer = answer
        self.connections = 0
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's looks up the host's name in DNS, which may take seconds

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        self._open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # a bug in a test's own reply: show it

    def hang_up(self) -> None:
        """Closes open connections, whatever their threads are doing."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads or writes, which then closes it
        patience = time.monotonic() + 0.1
        while self._open and time.monotonic() < patience:
            time.sleep(0.002)
        for connection in list(self._open):  # its thread sleeps in a body; it finds the socket closed later
            descriptor = connection.detach()
            if descriptor >= 0:
                socket.close(descriptor)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self._receive()
        self._plain(Reply(404, {"content-type": "application/json"}, b'{"error":{"message":"not found"}}'))

    def do_POST(self) -> None:
        try:
            if "transfer-encoding" in self.headers:  # no SDK sends it; unread, it would be parsed as the next request
                self._plain(Reply(411, {"connection": "close"}))
                return
            reply = self.server.answer(self._receive())
            if reply.stream:
                self._stream(reply)
            else:
                self._plain(reply)
        except (Drop, OSError):  # OSError: the client disconnected, or the server is being stopped
            self.close_connection = True

    def _receive(self) -> Received:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(self.command, self.path, headers, body)
        self.server.requests.append(received)
        return received

    def _head(self, reply: Reply, framing: str) -> bytes:
        lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, '')}", framing]
        for name, value in reply.headers.items():
            if name.lower() not in _FRAMING:
                lines.append(f"{name}: {value}")
            if name.lower() == "connection" and value.lower() == "close":
                self.close_connection = True
        return "".join(line + "\r\n" for line in [*lines, ""]).encode("latin-1")

    def _plain(self, reply: Reply) -> None:
        body = b""
        missing = 0
        try:
            if isinstance(reply.body, bytes):
                body = reply.body
            else:
                for piece in reply.body:
                    body += piece
        except Drop:
            missing = 1  # announce more than is sent
        self.wfile.write(self._head(reply, f"Content-Length: {len(body) + missing}") + body)
        if missing:
            raise Drop

    def _stream(self, reply: Reply) -> None:
        self.wfile.write(self._head(reply, "Transfer-Encoding: chunked"))
        pieces = iter([reply.body] if isinstance(reply.body, bytes) else reply.body)
        try:
            for piece in pieces:
                if piece:  # an empty chunk would end the body
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:  # so that a generator notices a disconnected client at once
                close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (its name there)
        pass
