"""The server sends what it is told to, in the pieces that it is given, and stops whatever goes on."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from multiroute_core.testing.server import Drop, Received, ReplayServer, Reply, Serving, split_events


def post(server: ReplayServer, body: bytes = b"{}") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    try:
        connection.request("POST", "/v1/messages?beta=true", body, {"Content-Type": "application/json", "X-Key": "k"})
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def raw_post(server: ReplayServer) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=5)
    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    return connection


def test_requests_are_kept_and_a_function_answers_them() -> None:
    def answer(received: Received) -> Reply:
        return Reply(201, {"Retry-After": "7", "Content-Length": "999"}, received.body.upper())

    with ReplayServer(answer) as server:
        status, headers, body = post(server, b'{"a": "b"}')
        assert (status, headers["retry-after"], body) == (201, "7", b'{"A": "B"}')
        server.serve(Reply(body=[b"two ", b"pieces"]))
        assert post(server)[2] == b"two pieces"
    first = server.requests[0]
    assert (first.method, first.path, first.body) == ("POST", "/v1/messages?beta=true", b'{"a": "b"}')
    assert first.headers["x-key"] == "k"
    assert len(server.requests) == 2


def test_a_connection_is_used_again_and_get_is_not_found() -> None:
    with ReplayServer(Reply(body=[b"a", b"", b"b"], stream=True)) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
        seen: list[tuple[int, bytes]] = []
        own: list[object] = []
        for method in ("POST", "GET", "POST"):
            connection.request(method, "/v1/models", b"{}" if method == "POST" else None)
            reply = connection.getresponse()
            seen.append((reply.status, reply.read()))
            own.append(connection.sock)
        connection.close()
    assert [status for status, _ in seen] == [200, 404, 200]
    assert seen[0][1] == seen[2][1] == b"ab"
    assert own[0] is own[1] is own[2] is not None


def test_a_body_drips_one_write_a_piece() -> None:
    go = threading.Event()

    def drip() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        go.wait(5)
        yield b"data: 2\n\n"

    with ReplayServer(Reply(200, {}, drip(), True)) as server, raw_post(server) as connection:
        got = b""
        while b"data: 1" not in got:
            got += connection.recv(4096)
        assert got.endswith(b"\r\n\r\n9\r\ndata: 1\n\n\r\n"), "the piece is there before the next one is made"
        go.set()
        while b"0\r\n\r\n" not in got:
            got += connection.recv(4096)
        assert got.endswith(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")


def cut() -> Iterator[bytes]:
    yield b"data: 1\n\n"
    raise Drop


def refuse(received: Received) -> Reply:
    raise Drop


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(200, {}, cut(), True), http.client.IncompleteRead),
        (Reply(200, {}, cut(), False), http.client.IncompleteRead),
        (refuse, http.client.RemoteDisconnected),
    ],
)
def test_a_dropped_reply_is_cut(reply: Serving, error: type[Exception]) -> None:
    with ReplayServer(reply) as server, pytest.raises(error) as caught:
        post(server)
    if isinstance(caught.value, http.client.IncompleteRead):
        assert caught.value.partial == b"data: 1\n\n"


def test_stopping_is_quick_whatever_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    woken, asleep, ended = threading.Event(), threading.Event(), threading.Event()

    def drip() -> Iterator[bytes]:
        try:
            yield b"data: 1\n\n"
            asleep.set()
            woken.wait(20)
            yield b"data: 2\n\n"
        finally:
            ended.set()

    with ReplayServer(Reply(200, {}, drip(), True)) as server:
        idle = socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0))
        dripping = raw_post(server)
        assert asleep.wait(5)
        began = time.monotonic()
    took = time.monotonic() - began
    with idle, dripping:
        dripping.settimeout(1)
        while dripping.recv(4096):
            pass
        assert idle.recv(1) == b"", "both are closed"
    woken.set()
    assert ended.wait(5), "the body is closed when its thread wakes"
    assert took < 5, "the drip would go on for 20 s"
    assert capfd.readouterr().err == ""


def test_a_client_that_went_away_is_no_matter(capfd: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"data: 1\n\n" * 1000
        finally:
            ended.set()

    with ReplayServer(Reply(200, {}, endless(), True)) as server:
        with raw_post(server) as connection:
            connection.recv(100)
        assert ended.wait(5), "the body learns of it"
        server.serve(Reply(body=b"still here"))
        assert post(server)[2] == b"still here"
    assert capfd.readouterr().err == ""


def test_a_fault_in_a_tests_own_reply_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def faulty(received: Received) -> Reply:
        raise LookupError("in the test")

    with ReplayServer(faulty) as server, pytest.raises(http.client.RemoteDisconnected):
        post(server)
    assert "LookupError: in the test" in capfd.readouterr().err


def test_events_are_split_where_they_end() -> None:
    assert split_events(b"a: 1\n\nb: 2\r\n\r\nc: 3") == [b"a: 1\n\n", b"b: 2\r\n\r\n", b"c: 3"]
    assert split_events(b"") == []
