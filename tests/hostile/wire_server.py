"""A server of bytes in a process of its own, so that its sockets and threads are not those of the test.

What it sends is decided beforehand: `reply(pieces)` sets the pieces of the next replies, each of them bytes to send, or
a number of seconds to wait. `python -m tests.hostile.wire_server` is the process.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parent.parent.parent


class WireServer:
    """The server, to be used in a `with` block.

    Attributes:
        url: Its address; every path below it gets the reply that was set.
        good: Another address, which always answers as a good server of Chat Completions.
    """

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.hostile.wire_server"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        self.port, self.good_port = self._receive()
        self.url, self.good = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.good_port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def reply(self, *pieces: bytes | float) -> None:
        """Send `pieces` to whoever asks from now on, and hang up."""
        self._send(list(pieces))
        self._receive()

    def requests(self) -> list[tuple[int, bytes]]:
        """The port and the bytes of every request since the last time this was called."""
        self._send(None)
        return self._receive()

    def _send(self, value: Any) -> None:
        data = pickle.dumps(value)
        self._process.stdin.write(struct.pack("!I", len(data)) + data)
        self._process.stdin.flush()

    def _receive(self) -> Any:
        head = self._process.stdout.read(4)
        return pickle.loads(self._process.stdout.read(struct.unpack("!I", head)[0]))


class _State:
    pieces: list[bytes | float] = []
    requests: list[tuple[int, bytes]] = []


def good_reply(body: bytes) -> bytes:
    """An answer of Chat Completions, whole or streamed, as the request asks."""
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    answer: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
    if b'"stream":true' not in body.replace(b" ", b""):
        answer["choices"] = [{"index": 0, "message": {"role": "assistant", "content": "good"}, "finish_reason": "stop"}]
        data = json.dumps(answer).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data) + data
    answer["object"] = "chat.completion.chunk"
    answer["choices"] = [{"index": 0, "delta": {"role": "assistant", "content": "good"}, "finish_reason": "stop"}]
    data = b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(data) + data


def _read_request(conn: socket.socket, buffer: bytes) -> tuple[bytes, bytes, bytes]:
    """The head and the body of a request, and what came after it; an empty head where the client hung up."""
    while b"\r\n\r\n" not in buffer:
        piece = conn.recv(65536)
        if not piece:
            return b"", b"", b""
        buffer += piece
    head, _, rest = buffer.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(rest) < length:
        piece = conn.recv(65536)
        if not piece:
            return b"", b"", b""
        rest += piece
    return head, rest[:length], rest[length:]


def _serve(conn: socket.socket, port: int, *, good: bool) -> None:
    with conn, contextlib.suppress(OSError, ValueError):
        conn.settimeout(20)
        rest = b""
        while True:
            head, body, rest = _read_request(conn, rest)
            if not head:
                return
            _State.requests.append((port, head + b"\r\n\r\n" + body))
            del _State.requests[:-200]
            if good:
                conn.sendall(good_reply(body))
                continue
            for piece in list(_State.pieces):
                if isinstance(piece, bytes):
                    conn.sendall(piece)
                else:
                    time.sleep(piece)
            return


def _listen(*, good: bool) -> int:
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    port = listener.getsockname()[1]

    def accept() -> None:
        while True:
            conn, _ = listener.accept()
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve, args=(conn, port), kwargs={"good": good}, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return port


def main() -> None:
    """Serve until the standard input ends."""

    def send(value: Any) -> None:
        data = pickle.dumps(value)
        sys.stdout.buffer.write(struct.pack("!I", len(data)) + data)
        sys.stdout.buffer.flush()

    send((_listen(good=False), _listen(good=True)))
    while head := sys.stdin.buffer.read(4):
        value = pickle.loads(sys.stdin.buffer.read(struct.unpack("!I", head)[0]))
        if value is None:
            requests, _State.requests = _State.requests, []
            send(requests)
        else:
            _State.pieces = value
            send(True)


if __name__ == "__main__":
    main()
