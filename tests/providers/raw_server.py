"""A server of bytes, and responses of every shape, for the tests that compare two HTTP transports."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

SECONDS = 30.0

Script = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\n"
ANSWER = OK + b"content-length: 2\r\n\r\nok"


class RawServer:
    """A server of bytes: `script` gets each connection, in a thread of its own, and is called until it ends."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        with connection, contextlib.suppress(OSError):
            self._script(connection)

    def read(self, connection: socket.socket) -> bytes:
        """Read one request, and keep it; empty at the end of the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := connection.recv(2**16)):
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        while len(body) < size:
            body += connection.recv(2**16)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def close(self) -> None:
        # `shutdown` wakes the thread that accepts, which `close` would not.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@contextlib.contextmanager
def serving(answers: bytes | Callable[[RawServer, socket.socket], Any]) -> Iterator[RawServer]:
    """A server that sends the same bytes to every request and closes, or does what a function does."""

    def script(connection: socket.socket) -> None:
        if callable(answers):
            answers(server, connection)
        elif server.read(connection):
            connection.sendall(answers)

    server = RawServer(script)
    try:
        yield server
    finally:
        server.close()


def reset(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # its close sends RST


def reset_in_the_body(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    connection.sendall(OK + b"content-length: 100\r\n\r\nhello")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def refuse_early(server: RawServer, connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
    while connection.recv(2**16):
        pass


RESPONSES: dict[str, bytes | Callable[[RawServer, socket.socket], None]] = {
    "length": ANSWER,
    "to the end of the connection": OK + b"\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nok",
    "chunks": OK + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + ANSWER,
    "no reason": b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok",
    "a long header": OK + b"content-security-policy: " + b"x" * 20_000 + b"\r\ncontent-length: 2\r\n\r\nok",
    "many headers": OK + b"".join(b"x-%d: y\r\n" % n for n in range(300)) + b"content-length: 2\r\n\r\nok",
    "a header in Latin-1": OK + b"x-name: J\xf6rg\r\ncontent-length: 2\r\n\r\nok",
    "an early refusal": refuse_early,
    "nothing": b"",
    "half a head": OK + b"content-le",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a body that is short": OK + b"content-length: 100\r\n\r\nhello",
    "chunks that end early": OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe",
    "chunks without a size": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "a reset instead": reset,
    "a reset in the body": reset_in_the_body,
    "a redirect elsewhere": b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.2:9/\r\ncontent-length: 0\r\n\r\n",
}


ODD_RESPONSES: dict[str, bytes] = {
    "line feeds alone": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "a length beside chunks": OK + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunks with extensions and trailers": OK
    + b"transfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nx-end: yes\r\n\r\n",
    "several early hints": b"HTTP/1.1 103 Early\r\na: b\r\n\r\n" * 3 + ANSWER,
    "more than the response": ANSWER + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno",
    "noise behind the response": ANSWER + b"\x00noise",
    "connection: close": OK + b"connection: close\r\ncontent-length: 2\r\n\r\nok",
    "no body for 304": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n",
    "endless headers": OK + b"x-a: " + b"y" * (300_000),
    "a blank before the colon": OK + b"content-length : 2\r\n\r\nok",
    "a length that is no number": OK + b"content-length: two\r\n\r\nok",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n\x00\x01",
}


def split_request(request: bytes, url: str) -> list[bytes]:
    """The first line, the headers in order, and the body, without the port of the server."""
    head, _, body = request.replace(url.partition("//")[2].encode(), b"HOST").partition(b"\r\n\r\n")
    first, *rest = head.split(b"\r\n")
    return [first, *sorted(rest), body]
