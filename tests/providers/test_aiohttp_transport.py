"""aiohttp, httptools and httpx beside each other in async code: the same requests, responses and errors, and nothing left behind.

The whole suite runs on httptools where it is installed, else on aiohttp, else on httpx. These tests compare.
"""

import asyncio
import contextlib
import gc
import importlib.metadata
import logging
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from multiroute_core import Route, Router, StreamInterruptedError
from multiroute_core.providers import aiohttp_transport, http, httptools_transport
from multiroute_core.providers.aiohttp_transport import SWITCH
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.interrupts.steps import Interrupt
from tests.providers.misbehaving import AFTERWARDS, INSTEAD, Misbehaving, asked
from tests.providers.raw_server import ANSWER, ODD_RESPONSES, OK, RESPONSES, SECONDS, RawServer, serving, split_request
from tests.providers.wires import WIRES

TRANSPORTS = {"httpx": ("0", "0"), "aiohttp": ("1", "0"), "httptools": ("1", "1")}
"""By the values of the two switches."""
CLIENTS = [openai.DefaultAsyncHttpxClient, anthropic.DefaultAsyncHttpxClient]

both = pytest.mark.parametrize("transport", TRANSPORTS)
every_client = pytest.mark.parametrize("client_class", CLIENTS, ids=["openai", "anthropic"])


@contextlib.contextmanager
def on(transport: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip((SWITCH, httptools_transport.SWITCH), TRANSPORTS[transport], strict=True):
            patch.setenv(name, value)
        yield


async def post(client: Any, url: str, content: bytes = b"x", **settings: Any) -> str:
    """What came of a request: the status and the text, or the class of the error."""
    try:
        response = await client.post(url, content=content, **settings)
    except Exception as error:
        return type(error).__name__
    return f"{response.status_code} {response.text}"


def outcome(transport: str, client_class: Any, url: str, *, calls: int = 1, **settings: Any) -> list[str]:
    async def main() -> list[str]:
        client = http.client(client_class)
        try:
            return [await post(client, url, **settings) for _ in range(calls)]
        finally:
            await client.aclose()

    with on(transport):
        return asyncio.run(main())


@every_client
@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_comes_to_the_same_on_both(name, client_class):
    with serving(RESPONSES[name]) as server:
        outcomes = {t: outcome(t, client_class, server.url, content=b"x" * 300_000) for t in TRANSPORTS}
    assert outcomes["aiohttp"] == outcomes["httptools"] == outcomes["httpx"]


@every_client
@pytest.mark.parametrize("name", ODD_RESPONSES)
def test_an_odd_response_comes_to_the_same_on_httptools(name, client_class):
    with serving(ODD_RESPONSES[name]) as server:
        outcomes = {t: outcome(t, client_class, server.url) for t in ("httptools", "httpx")}
    assert outcomes["httptools"] == outcomes["httpx"]


@every_client
@pytest.mark.parametrize(
    "response", [ODD_RESPONSES["more than the response"], ODD_RESPONSES["noise behind the response"]]
)
def test_what_comes_behind_a_response_belongs_to_no_other_request(client_class, response):
    def answer(server: RawServer, connection: socket.socket) -> None:
        while server.read(connection):
            connection.sendall(response)

    with serving(answer) as server:
        assert outcome("httptools", client_class, server.url, calls=3) == ["200 ok"] * 3
        assert server.connections == 3


@every_client
@pytest.mark.parametrize("value", ["a\r\nx-b: c", "a\nb"])
def test_invalid_headers_are_the_same_errors(client_class, value):
    with serving(ANSWER) as server:
        outcomes = {t: outcome(t, client_class, server.url, headers={"x-a": value}) for t in ("httptools", "httpx")}
    assert outcomes["httptools"] == outcomes["httpx"]
    assert not server.requests


@every_client
def test_a_body_that_nobody_reads_is_not_received(client_class):
    """A connection stops reading, so that memory is bounded."""
    sent = 0

    def answer(server: RawServer, connection: socket.socket) -> None:
        nonlocal sent
        server.read(connection)
        connection.sendall(OK + b"content-length: 50000000\r\n\r\n")
        connection.settimeout(1.0)
        with contextlib.suppress(OSError):
            for _ in range(500):
                connection.sendall(b"x" * 100_000)
                sent += 100_000
        stalled.set()

    async def main(url: str) -> int:
        client = http.client(client_class)
        async with client.stream("POST", url, content=b"x") as response:
            pieces = response.aiter_raw()
            size = len(await anext(pieces))
            await asyncio.to_thread(stalled.wait, SECONDS)
            assert sent < 40_000_000
            async for piece in pieces:
                size += len(piece)
                if size >= sent:
                    break
        await client.aclose()
        return size

    stalled = threading.Event()
    with serving(answer) as server, on("httptools"):
        assert asyncio.run(main(server.url)) >= sent > 0


@every_client
@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_httptools_runs_on_every_loop_and_keeps_silent_connections_alive(client_class, name):
    def answer(server: RawServer, connection: socket.socket) -> None:
        while server.read(connection):
            connection.sendall(ANSWER)

    async def main(url: str) -> tuple[list[str], int]:
        client = http.client(client_class)
        outcomes = [await post(client, url) for _ in range(3)]
        ((connection,),) = client._transport._idle.values()
        own = connection.transport.get_extra_info("socket")
        with socket.fromfd(own.fileno(), own.family, own.type) as duplicate:
            is_kept_alive = duplicate.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await client.aclose()
        return outcomes, is_kept_alive

    if name == "uvloop":  # uvicorn[standard] installs it
        runner = pytest.importorskip("uvloop", reason="uvloop is not installed").run
    else:
        runner = asyncio.run
    with serving(answer) as server, on("httptools"):
        assert runner(main(server.url)) == (["200 ok"] * 3, 1)
        assert server.connections == 1


@every_client
def test_a_response_that_is_forgotten_closes_its_connection(client_class):
    closed = threading.Event()

    def answer(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(OK + b"content-length: 10\r\n\r\nhello")
        connection.recv(1)
        closed.set()

    async def main(url: str) -> bool:
        client = http.client(client_class)
        response = await client.send(client.build_request("POST", url, content=b"x"), stream=True)
        del response
        await asyncio.to_thread(gc.collect)
        is_closed = await asyncio.to_thread(closed.wait, SECONDS)
        await client.aclose()
        return is_closed

    with serving(answer) as server, on("httptools"):
        assert asyncio.run(main(server.url))


@pytest.mark.parametrize("reply", [ANSWER, OK + b"content-length: 0\r\n\r\n"], ids=["body", "empty"])
def test_an_interrupt_while_a_body_is_created_leaves_no_call_in_flight(reply, monkeypatch):
    def answer(server: RawServer, connection: socket.socket) -> None:
        while server.read(connection):
            connection.sendall(reply)

    async def main(url: str) -> int:
        client = http.client(CLIENTS[0])
        transport = client._transport
        request = client.build_request("POST", url, content=b"x")
        response = await transport.handle_async_request(request)
        await response.aread()
        body_class = type(response.stream)
        create = body_class.__init__
        interrupts = [Interrupt(number, create.__module__) for number in range(50)]

        def interrupted(body: Any, *arguments: Any) -> None:
            with interrupt:
                create(body, *arguments)

        monkeypatch.setattr(body_class, "__init__", interrupted)
        for interrupt in interrupts:
            with contextlib.suppress(KeyboardInterrupt):
                await (await transport.handle_async_request(request)).aread()
            interrupt.previous.clear()  # its frames of functions that have returned still hold their arguments
            await asyncio.sleep(0)  # a body that is dropped returns its connection in the next step of the loop
            assert not unraisable
            assert transport._busy == len(transport._live) == 0
            assert all(pool.count(one) == 1 for pool in transport._idle.values() for one in pool)
            if not interrupt.has_happened:
                break
        await client.aclose()
        return sum(one.has_happened for one in interrupts)

    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with serving(answer) as server, on("httptools"):
        assert asyncio.run(main(server.url)) > 0


def test_an_interrupt_while_a_session_is_created_is_no_error_of_a_finalizer(monkeypatch):
    async def main() -> int:
        client = http.client(CLIENTS[0])
        for number in range(2000):
            interrupt = Interrupt(number, aiohttp_transport.__name__, "aiohttp.connector", "aiohttp.client")
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                client._transport._start()
            interrupt.previous.clear()
            if not interrupt.has_happened:
                break
            client._transport._session = None  # it was created, but not returned
            # aiohttp warns of a session that is dropped before anything could hold it; it has no socket yet.
            assert all(isinstance(one.exc_value, ResourceWarning) for one in unraisable), number
        await client.aclose()
        return number

    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with on("aiohttp"):
        assert asyncio.run(main()) > 20


@every_client
@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_more_calls_than_connections_wait_for_them(client_class, seconds):
    def answer(server: RawServer, connection: socket.socket) -> None:
        while server.read(connection):
            connection.sendall(ANSWER)

    async def main(url: str) -> list[str]:
        settings = http.family(client_class).Limits(max_connections=3, keepalive_expiry=seconds)
        client = http.client(client_class, limits=settings)
        first = asyncio.create_task(post(client, url))
        cancelled = [asyncio.create_task(post(client, url)) for _ in range(9)]
        await asyncio.sleep(0)
        for task in cancelled[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*(post(client, url) for _ in range(40)))
        assert await first == "200 ok"
        await asyncio.gather(*cancelled, return_exceptions=True)
        assert client._transport._busy == 0
        assert not client._transport._waiters
        await client.aclose()
        return outcomes

    with serving(answer) as server, on("httptools"):
        assert asyncio.run(main(server.url)) == ["200 ok"] * 40
        assert server.connections <= (12 if seconds else 60)


@every_client
def test_connections_that_fail_are_the_same_errors(client_class):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for url in (refused, "http://name.invalid/", "https://127.0.0.1:1/", "ftp://127.0.0.1/", "http://127.0.0.1:0/"):
        outcomes = {t: outcome(t, client_class, url) for t in TRANSPORTS}
        assert outcomes["aiohttp"] == outcomes["httptools"] == outcomes["httpx"], url


@every_client
def test_silence_is_the_same_timeout(client_class):
    with serving(lambda server, connection: server.read(connection) and connection.recv(1)) as server:
        for transport in TRANSPORTS:
            assert outcome(transport, client_class, server.url, timeout=0.2) == ["ReadTimeout"]


@every_client
def test_requests_are_the_same_bytes(client_class):
    def answer(server: RawServer, connection: socket.socket) -> None:
        while server.read(connection):
            connection.sendall(OK + b"set-cookie: a=b\r\ncontent-length: 2\r\n\r\nok")

    requests = {}
    for transport in TRANSPORTS:
        with serving(answer) as server:
            url = f"{server.url}/a%2Fb/c:d?e=f+g%20h"
            headers = {"X-Trace": "one", "Content-Type": "application/json"}
            assert outcome(transport, client_class, url, calls=3, headers=headers) == ["200 ok"] * 3
            requests[transport] = [split_request(request, server.url) for request in server.requests]
            assert server.connections == 1
    assert requests["aiohttp"] == requests["httptools"] == requests["httpx"]
    assert b"cookie: a=b" in [line.lower() for line in requests["aiohttp"][1]]


@both
@every_client
def test_a_connection_that_the_server_has_closed_is_not_used_again(transport, client_class):
    def answer(server: RawServer, connection: socket.socket) -> None:
        if server.read(connection):
            connection.sendall(ANSWER)
            connection.close()
            closed.set()

    async def main(url: str) -> list[str]:
        client = http.client(client_class)
        outcomes = []
        for _ in range(3):
            outcomes.append(await post(client, url))
            assert closed.wait(SECONDS)  # the loop does nothing until then, so it cannot have noticed
            closed.clear()
        await client.aclose()
        return outcomes

    closed = threading.Event()
    with serving(answer) as server, on(transport):
        assert asyncio.run(main(server.url)) == ["200 ok"] * 3


@both
@every_client
@pytest.mark.parametrize("when", ["head", "body"])
def test_a_cancelled_request_closes_its_connection(transport, client_class, when):
    closed = threading.Event()
    waiting = threading.Event()

    def answer(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        if when == "body":
            connection.sendall(OK + b"content-length: 10\r\n\r\nhello")
        waiting.set()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        closed.set()

    async def main(url: str) -> bool:
        client = http.client(client_class)
        task = asyncio.create_task(client.post(url, content=b"x"))
        await asyncio.to_thread(waiting.wait, SECONDS)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        is_closed = await asyncio.to_thread(closed.wait, SECONDS)
        await client.aclose()
        return is_closed

    with serving(answer) as server, on(transport):
        assert asyncio.run(main(server.url))


@both
@every_client
@pytest.mark.parametrize("end", ["close", "reset", "garbage"])
def test_a_reader_that_is_busy_when_the_connection_breaks_loses_nothing(transport, client_class, end):
    is_sent = threading.Event()

    def answer(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(OK + b"transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert is_sent.wait(SECONDS)
        connection.sendall(b"6\r\nsecond\r\n")
        if end == "garbage":
            connection.sendall(b"zz\r\n")
        elif end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    async def main(url: str) -> tuple[bytes, type[Exception] | None]:
        client = http.client(client_class)
        received = b""
        try:
            async with client.stream("POST", url, content=b"x") as response:
                is_sent.set()
                await asyncio.sleep(0.1)  # meanwhile the rest arrives and the connection breaks
                async for piece in response.aiter_raw():
                    received += piece
        except Exception as error:
            return received, type(error)
        finally:
            await client.aclose()
        return received, None

    with serving(answer) as server, on(transport):
        received, error = asyncio.run(main(server.url))
    assert received == b"firstsecond"
    assert error is not None
    assert error.__name__ == ("ReadError" if end == "reset" else "RemoteProtocolError")


@pytest.mark.wire
@both
def test_the_limits_hold(transport):
    wires = tuple(WIRES.values())
    with Misbehaving() as server, on(transport):
        for instead, (faces, *_) in INSTEAD.items():
            faces = tuple(face for face in faces if face.startswith("a"))
            for key, outcome in asked(server.url, wires, faces, instead, "good", attempt_timeout=0.3).items():
                assert outcome.response is not None, (instead, key, outcome)
                assert [attempt.outcome for attempt in outcome.response.attempts] == ["timeout", "success"], (
                    instead,
                    key,
                )
        for afterwards in AFTERWARDS:
            for key, outcome in asked(server.url, wires, ("astream",), afterwards, "good", stall_timeout=0.3).items():
                assert (outcome.kind, outcome.text) == (StreamInterruptedError, "Hello, world"), (afterwards, key)
        server.beat.over.set()


@both
@pytest.mark.parametrize("wire", [WIRES["openai"], WIRES["anthropic"]], ids=["openai", "anthropic"])
def test_a_loop_that_ends_without_a_shutdown_leaves_nothing(transport, wire, caplog):
    async def main(router: Router) -> None:
        assert (await router.agenerate("Hello")).text == "Hello"
        chunks = router.astream("Hello")
        await anext(chunks)
        abandoned.append(chunks)

    async def end(router: Router) -> None:
        async with router:
            await router.agenerate("Hello")  # drops the connections of the loops before

    def reply(request: Received) -> Reply:
        if b'"stream":true' in request.body or "stream" in request.path.lower():
            return Reply(headers={"content-type": "text/event-stream"}, body=pieces(), stream=True)
        return Reply(body=wire.plain)

    def pieces() -> Iterator[bytes]:
        yield from (*wire.opening, *wire.chunks)
        over.wait(SECONDS)

    over = threading.Event()
    abandoned: list[Any] = []
    with ReplayServer(reply) as server, on(transport):
        base_url = f"{server.url}/v1" if wire.provider == "openai" else server.url
        router = Router([Route(f"{wire.provider}:m", api_key="k", base_url=base_url)])
        for _ in range(2):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(main(router))
            loop.close()
        abandoned.clear()

        asyncio.run(end(router))
        del router
        gc.collect()
        gc.collect()  # a socket or a session left behind is a ResourceWarning, and so an error
        over.set()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@every_client
def test_requests_through_a_proxy_are_those_of_httpx(client_class, monkeypatch):
    with serving(ANSWER) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        for transport in TRANSPORTS:
            assert outcome(transport, client_class, "http://provider.invalid/path") == ["200 ok"]
        for request in server.requests:
            assert request.startswith(b"POST http://provider.invalid/path HTTP/1.1\r\n")


@every_client
def test_the_switch_and_a_version_that_is_too_old_keep_httpx(client_class, monkeypatch):
    def is_aiohttp() -> bool:
        return type(http.client(client_class)._transport).__name__ == "AiohttpTransport"

    monkeypatch.setenv(httptools_transport.SWITCH, "0")
    assert is_aiohttp() is (aiohttp_transport.os.environ.get(SWITCH) != "0")
    monkeypatch.setenv(SWITCH, "0")
    assert not is_aiohttp()
    monkeypatch.delenv(SWITCH)
    for version, is_used in {"3.11.18": False, "3.12.0": True, "4.0.0a1": True}.items():
        aiohttp_transport._is_installed.cache_clear()
        monkeypatch.setattr(importlib.metadata, "version", lambda name, version=version: version)
        assert is_aiohttp() is is_used, version
    monkeypatch.undo()
    aiohttp_transport._is_installed.cache_clear()
