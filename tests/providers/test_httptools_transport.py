"""httptools and httpx beside each other: the same requests, responses and errors, and nothing left behind.

The whole suite runs on httptools where it is installed, and on httpx with `MULTIROUTE_HTTPTOOLS=0`. These tests compare.
"""

import contextlib
import gc
import logging
import os
import socket
import ssl
import sys
import threading
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import anthropic
import openai
import pytest

from multiroute_core import Route, Router
from multiroute_core.providers import http, httptools_transport
from multiroute_core.providers.httptools_transport import SWITCH, Connection
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.interrupts.steps import Interrupt
from tests.providers.raw_server import ANSWER, ODD_RESPONSES, OK, RESPONSES, SECONDS, RawServer, serving, split_request
from tests.providers.wires import WIRES

pytestmark = pytest.mark.skipif(not httptools_transport._is_installed(), reason="httptools is not installed")

TRANSPORTS = {"httpx": "0", "httptools": "1"}
CLIENTS = [openai.DefaultHttpxClient, anthropic.DefaultHttpxClient]

both = pytest.mark.parametrize("transport", TRANSPORTS)
every_client = pytest.mark.parametrize("client_class", CLIENTS, ids=["openai", "anthropic"])


@contextlib.contextmanager
def opened(transport: str, client_class: Any) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, TRANSPORTS[transport])
        client = http.client(client_class)
    assert (type(client._transport).__name__ == "HttptoolsTransport") is (transport == "httptools")
    with client:
        yield client


def post(client: Any, url: str, content: Any = b"x", **settings: Any) -> str:
    """What came of a request: the status, headers and text, or the class of the error."""
    try:
        response = client.post(url, content=content, **settings)
    except Exception as error:
        return type(error).__name__
    headers = sorted((name.lower(), value) for name, value in response.headers.raw)
    http_version = response.http_version
    return f"{response.status_code} {response.reason_phrase} {http_version} {headers} {response.text}"


def outcome(transport: str, client_class: Any, url: str, *, calls: int = 1, **settings: Any) -> list[str]:
    with opened(transport, client_class) as client:
        return [post(client, url, **settings) for _ in range(calls)]


@every_client
@pytest.mark.parametrize("name", {**RESPONSES, **ODD_RESPONSES})
def test_a_response_comes_to_the_same_on_both(name, client_class):
    with serving({**RESPONSES, **ODD_RESPONSES}[name]) as server:
        outcomes = {t: outcome(t, client_class, server.url, content=b"x" * 300_000) for t in TRANSPORTS}
    assert outcomes["httptools"] == outcomes["httpx"]


@every_client
@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_response_that_comes_in_pieces_is_the_same(client_class, size):
    response = OK + b"transfer-encoding: chunked\r\nx-name: a b\r\n\r\n2\r\nok\r\n11\r\n, in seven pieces\r\n0\r\n\r\n"

    def answer(server: RawServer, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.read(connection)
        for start in range(0, len(response), size):
            connection.sendall(response[start : start + size])

    with serving(answer) as server:
        outcomes = {t: outcome(t, client_class, server.url) for t in TRANSPORTS}
    assert outcomes["httptools"] == outcomes["httpx"]
    assert outcomes["httptools"][0].endswith("ok, in seven pieces")


@every_client
def test_connections_that_fail_are_the_same_errors(client_class):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for url in (refused, "http://name.invalid/", "https://127.0.0.1:1/", "ftp://127.0.0.1/", "http://127.0.0.1:0/"):
        outcomes = {t: outcome(t, client_class, url) for t in TRANSPORTS}
        assert outcomes["httptools"] == outcomes["httpx"], url


@every_client
def test_silence_is_the_same_timeout(client_class):
    with serving(lambda server, connection: server.read(connection) and connection.recv(1)) as server:
        for transport in TRANSPORTS:
            assert outcome(transport, client_class, server.url, timeout=0.2) == ["ReadTimeout"]


def answer_all(server: RawServer, connection: socket.socket) -> None:
    while server.read(connection):
        connection.sendall(OK + b"set-cookie: a=b\r\ncontent-length: 2\r\n\r\nok")


@every_client
def test_requests_are_the_same_bytes(client_class):
    requests = {}
    for transport in TRANSPORTS:
        with serving(answer_all) as server:
            url = f"{server.url}/a%2Fb/c:d?e=f+g%20h"
            headers = {"X-Trace": "one", "Content-Type": "application/json", "X-Name": "Jörg".encode("latin-1")}
            outcomes = [
                outcome(transport, client_class, url, calls=2, headers=headers, content=content)
                for content in (b"x", b"x" * 100_000, b"")
            ]
            assert all(text.endswith("ok") for texts in outcomes for text in texts)
            requests[transport] = [split_request(request, server.url) for request in server.requests]
            assert server.connections == 3
    assert requests["httptools"] == requests["httpx"]
    assert b"cookie: a=b" in [line.lower() for line in requests["httptools"][1]]


@every_client
@pytest.mark.parametrize("value", ["a\r\nx-b: c", "a\nb", "a\0b", " a", "a "])
def test_invalid_headers_are_the_same_errors(client_class, value):
    with serving(answer_all) as server:
        outcomes = {t: outcome(t, client_class, server.url, headers={"x-a": value}) for t in TRANSPORTS}
    assert outcomes["httptools"] == outcomes["httpx"]
    assert not any(b"x-b" in request for request in server.requests)


@both
@every_client
def test_a_connection_that_the_server_has_closed_is_not_used_again(transport, client_class):
    closed = threading.Event()

    def answer(server: RawServer, connection: socket.socket) -> None:
        if server.read(connection):
            connection.sendall(ANSWER)
            connection.close()
            closed.set()

    with serving(answer) as server, opened(transport, client_class) as client:
        for _ in range(3):
            assert post(client, server.url).startswith("200")
            assert closed.wait(SECONDS)
            closed.clear()


@every_client
@pytest.mark.parametrize(
    "response", [ODD_RESPONSES["more than the response"], ODD_RESPONSES["noise behind the response"]]
)
def test_what_comes_behind_a_response_belongs_to_no_other_request(client_class, response):
    def answer(server: RawServer, connection: socket.socket) -> None:
        while server.read(connection):
            connection.sendall(response)

    with serving(answer) as server, opened("httptools", client_class) as client:
        assert [post(client, server.url)[-2:] for _ in range(3)] == ["ok"] * 3
        assert server.connections == 3


@every_client
def test_idle_connections_end_with_their_time_and_with_the_client(client_class, monkeypatch):
    with serving(answer_all) as server, opened("httptools", client_class) as client:
        (pool,) = [deque for _ in [post(client, server.url)] for deque in client._transport._idle.values()]
        assert len(pool) == 1
        pool[0].expires = 0.0
        post(client, server.url)
        assert server.connections == 2
        stream = pool[0].stream
        client.close()
        assert not pool
        assert stream.get_extra_info("socket").fileno() == -1


@every_client
def test_threads_share_the_connections(client_class):
    with serving(answer_all) as server, opened("httptools", client_class) as client:
        texts: list[str] = []

        def work() -> None:
            texts.extend(post(client, server.url)[-2:] for _ in range(50))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        assert texts == ["ok"] * 400
        assert server.connections <= 8


@every_client
def test_a_stream_that_is_left_closes_its_connection(client_class):
    def answer(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(OK + b"content-length: 10\r\n\r\nhello")
        connection.recv(1)
        ended.set()

    ended = threading.Event()
    with serving(answer) as server, opened("httptools", client_class) as client:
        response = client.send(client.build_request("POST", server.url, content=b"x"), stream=True)
        pieces = response.iter_raw()
        assert next(pieces) == b"hello"
        before = len(Connection.open_streams)
        response.cycle = response, pieces  # only the collector frees it; a socket left behind is a ResourceWarning
        del response, pieces
        gc.collect()
        assert ended.wait(SECONDS)
        assert len(Connection.open_streams) == before - 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@every_client
def test_a_forked_child_uses_connections_of_its_own(client_class):
    with serving(answer_all) as server, opened("httptools", client_class) as client:
        response = client.send(client.build_request("POST", server.url, content=b"x"), stream=True)
        post(client, server.url)  # so that one connection is in use, and another one idle
        reads, writes = os.pipe()
        if not (pid := os.fork()):
            outcomes = [post(client, server.url)[-2:]]
            with contextlib.suppress(Exception):
                response.close()
            outcomes.append(post(client, server.url)[-2:])
            os.write(writes, ",".join(outcomes).encode())
            os._exit(0)
        os.close(writes)
        with open(reads, "rb") as pipe:
            assert pipe.read() == b"ok,ok"
        os.waitpid(pid, 0)
        assert response.read() == b"ok"
        assert post(client, server.url)[-2:] == "ok"
        assert server.connections == 3


@every_client
def test_what_is_not_plain_is_sent_by_httpx(client_class, monkeypatch):
    with serving(answer_all) as server, opened("httptools", client_class) as client:
        inner: list[str] = []
        send = type(client._transport._inner).handle_request

        def watch(transport: Any, request: Any) -> Any:
            inner.append(request.method)
            return send(transport, request)

        def is_sent_by_httpx(**settings: Any) -> bool:
            inner.clear()
            client.request(**{"method": "POST", "url": server.url, "content": b"x", **settings})
            return bool(inner)

        client._transport._inner.handle_request = watch.__get__(client._transport._inner)
        assert not is_sent_by_httpx()
        assert is_sent_by_httpx(method="PUT")
        assert is_sent_by_httpx(headers={"connection": "close"})
        assert is_sent_by_httpx(extensions={"trace": lambda name, info: None})
        logger = client._transport._logger
        logger.setLevel(logging.DEBUG)
        assert is_sent_by_httpx()
        logger.setLevel(logging.NOTSET)
        with monkeypatch.context() as patch:  # as tracers and recorders do
            patch.setattr(type(client._transport._inner), "handle_request", watch)
            assert is_sent_by_httpx()
        assert not is_sent_by_httpx()


@every_client
def test_requests_through_a_proxy_are_those_of_httpx(client_class, monkeypatch):
    with serving(ANSWER) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        assert outcome("httptools", client_class, "http://provider.invalid/path")[0].startswith("200")
        assert server.requests[0].startswith(b"POST http://provider.invalid/path HTTP/1.1\r\n")


@every_client
def test_the_switch_and_other_transports_keep_httpx(client_class, monkeypatch):
    def is_httptools(**settings: Any) -> bool:
        with http.client(client_class, **settings) as client:
            return type(client._transport).__name__ == "HttptoolsTransport"

    library = http.family(client_class)
    monkeypatch.delenv(SWITCH, raising=False)
    assert is_httptools()
    assert not is_httptools(transport=library.HTTPTransport(uds="llm.sock"))
    assert not is_httptools(transport=library.MockTransport(lambda request: library.Response(200)))
    monkeypatch.setenv(SWITCH, "0")
    assert not is_httptools()


def test_an_interrupt_while_a_response_is_parsed_is_an_interrupt(monkeypatch):
    def interrupt(self: Any, name: bytes, value: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(httptools_transport.Answer, "on_header", interrupt)
    before = len(Connection.open_streams)
    with serving(answer_all) as server, opened("httptools", CLIENTS[0]) as client:
        with pytest.raises(KeyboardInterrupt):
            client.post(server.url, content=b"x")
        assert len(Connection.open_streams) == before


class Stream:
    """A network stream without a socket."""

    made: ClassVar[list[weakref.ref[Any]]] = []

    def __init__(self):
        self.is_closed = False
        self.made.append(weakref.ref(self))

    def start_tls(self, context: Any, host: str, timeout: float | None) -> Any:
        self.is_closed = True  # the encrypted one has its socket
        return Stream()

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_interrupt_at_any_step_of_connecting_leaves_nothing(scheme, monkeypatch):
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    monkeypatch.setattr(Stream, "made", [])
    before = set(Connection.open_streams)
    with opened("httptools", CLIENTS[0]) as client:
        client._transport._pool._network_backend = SimpleNamespace(connect_tcp=lambda **where: Stream())
        url = http.family(CLIENTS[0]).URL(f"{scheme}://provider.invalid")
        for number in range(200):
            interrupt = Interrupt(number, httptools_transport.__name__)
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                client._transport._connect(url, None)
            interrupt.previous.clear()  # its frames of functions that have returned still hold their arguments
            assert not unraisable, number
            assert Connection.open_streams == before, number
            # One that was dropped before anything could hold it has closed its socket itself.
            assert all(stream is None or stream.is_closed for stream in (made() for made in Stream.made)), number
            if not interrupt.has_happened:
                break
    assert number > 10


@both
@pytest.mark.parametrize("wire", [WIRES["openai"], WIRES["anthropic"]], ids=["openai", "anthropic"])
def test_routers_use_one_connection(transport, wire, monkeypatch):
    monkeypatch.setenv(SWITCH, TRANSPORTS[transport])

    def reply(request: Received) -> Reply:
        if b'"stream":true' in request.body:
            body = [*wire.opening, *wire.chunks, *wire.closing]
            return Reply(headers={"content-type": "text/event-stream"}, body=body, stream=True)
        return Reply(body=wire.plain)

    with ReplayServer(reply) as server:
        base_url = f"{server.url}/v1" if wire.provider == "openai" else server.url
        with Router([Route(f"{wire.provider}:m", api_key="k", base_url=base_url)]) as router:
            for _ in range(3):
                assert router.generate("Hello").text == "Hello"
                assert "".join(chunk.text for chunk in router.stream("Hello"))
        assert server.connections == 1


@every_client
def test_tls_settings_hold(client_class):
    class Stream:
        def start_tls(self, context: Any, host: str, timeout: float | None) -> Any:
            seen.append((context, host, timeout))
            raise library_error("stop")

        def close(self) -> None:
            seen.append("closed")

    with opened("httptools", client_class) as client:
        transport = client._transport
        core = type(transport._pool).__module__.partition(".")[0]
        library_error = __import__(core).ConnectError
        seen: list[Any] = []
        transport._pool._network_backend.connect_tcp = lambda **settings: seen.append(settings["port"]) or Stream()
        with pytest.raises(http.family(client_class).ConnectError):
            client.post("https://provider.invalid/v1", content=b"x", timeout=3.0)
        assert seen[0] == 443
        context, host, seconds = seen[1]
        assert (context, host, seconds) == (transport._pool._ssl_context, "provider.invalid", 3.0)
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert seen[2] == "closed"
