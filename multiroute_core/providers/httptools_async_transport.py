"""httptools transport of async clients: a request is one write, and llhttp parses the response as it arrives.

As `httptools_transport` for sync clients: the client of httpx keeps its timeouts, redirects, cookies, hooks and errors,
and everything unusual takes the transport that it had before, aiohttp's or httpx's. A connection belongs to the event
loop of its client. It has one timer, which is set again only when it fires: most calls end long before.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import math
import socket
import ssl
import time
from collections import deque
from types import ModuleType
from typing import Any, Self

from multiroute_core._util.origin import is_defined_in
from multiroute_core.providers.aiohttp_transport import is_readable, keep_alive
from multiroute_core.providers.httptools_transport import MAX_HEAD_BYTES, Payload, build_head
from multiroute_core.providers.response_parser import Answer
from multiroute_core.runtime.deadline import CONNECT_TIMEOUT
from multiroute_core.runtime.sockets import abort

HIGH_WATER_BYTES = 2**18
"""Number of received but unread bytes at which a connection stops reading."""


def use_httptools(client: Any, library: ModuleType, context: ssl.SSLContext, limits: Any) -> None:
    """Make an async client of httpx (or httpx2) send through httptools, except through proxies.

    Args:
        client: The client, before its first request.
        library: Its HTTP library.
        context: The TLS settings.
        limits: The `Limits` of its connection pool; None for httpx's own.
    """
    inner = getattr(client, "_transport", None)
    method = _method(library)
    if inner is not None and is_defined_in(method, library.__name__):
        client._transport = _transport_class(library.__name__)(inner, context, limits, method)  # noqa: SLF001


def _method(library: Any) -> Any:
    """Return the method by which httpx's own transport sends."""
    return library.AsyncHTTPTransport.handle_async_request


class AsyncConnection(asyncio.Protocol):
    """A connection, owned by one response or by the pool.

    Attributes:
        loop: Its event loop.
        answer: What is received; None while the connection is idle.
        transport: The transport of asyncio; None before the connection.
        is_lost: Whether the connection has ended.
        error: Why it was lost; None if it was closed.
        expires: Until when it may be idle, on the clock of `time.monotonic`.
        received: Bytes of the current answer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: deque[AsyncConnection]) -> None:
        self.pool = pool
        self.answer: Answer | None = None
        self.transport: Any = None
        self.is_lost = False
        self.error: BaseException | None = None
        self.expires = 0.0
        self.received = 0
        self.loop = loop
        self._waiter: asyncio.Future[None] | None = None
        self._unread = 0
        self._is_paused = False
        self._wait_until = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        answer = self.answer
        if answer is None or answer.is_complete or answer.failure is not None:  # it was not requested
            if answer is not None:
                answer.has_surplus = True
            self.close()
            return
        try:
            answer.feed(data)
        except Exception as error:
            if answer.is_complete:
                answer.has_surplus = True
            else:
                answer.failure = error
        self.received += len(data)
        self._unread += len(data)
        if self._unread > HIGH_WATER_BYTES and not self._is_paused and not answer.is_complete:
            self._is_paused = True
            self.transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.error = exc
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, seconds: float | None) -> None:
        """Wait until something arrives or the connection is lost.

        Raises:
            TimeoutError: nothing came for `seconds`.
        """
        self._unread = 0
        if self.is_lost:
            return
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        self._waiter = waiter = self.loop.create_future()
        if seconds is not None:
            self._wait_until = self.loop.time() + seconds
            if self._timer is None:
                self._timer = self.loop.call_later(seconds, self._check_time)
        try:
            await waiter
        finally:
            self._waiter = None
            self._wait_until = math.inf

    def _check_time(self) -> None:
        self._timer = None
        if self._waiter is None or self._wait_until == math.inf:
            return
        if (left := self._wait_until - self.loop.time()) > 0:
            self._timer = self.loop.call_later(left, self._check_time)
        elif not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    def close(self) -> None:
        """Close the socket at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        abort(self.transport)


@functools.cache
def _transport_class(library_name: str) -> Any:
    import httptools

    library: Any = importlib.import_module(library_name)

    class Body(library.AsyncByteStream):
        """The body of a response. Not a generator, because an unfinished generator is closed late."""

        def __init__(
            self, transport: AsyncHttptoolsTransport, connection: AsyncConnection, answer: Answer, timeout: float | None
        ) -> None:
            self._transport = transport
            self._connection: AsyncConnection | None = connection
            self._answer = answer
            self._timeout = timeout

        def __aiter__(self) -> Self:
            return self

        async def __anext__(self) -> bytes:
            answer = self._answer
            while not answer.pieces:
                if self._connection is None:
                    if answer.is_complete:
                        raise StopAsyncIteration
                    raise library.StreamClosed
                if answer.is_complete or answer.failure is not None:
                    failure = None if answer.is_complete else _to_parser_error(answer.failure)
                    self.release()
                    raise failure or StopAsyncIteration
                try:
                    await _receive(self._connection, answer, self._timeout)
                except BaseException:
                    self.release()
                    raise
            return answer.take_pieces()

        def release(self) -> None:
            """Return the connection to the pool if the body was read to its end, otherwise close it."""
            connection = self._connection
            self._connection = None
            if connection is not None:
                self._transport.give_back(connection, self._answer)

        async def aclose(self) -> None:
            self.release()

        def __del__(self) -> None:
            # An interrupt before the first step of `__init__` leaves an object without attributes.
            connection = getattr(self, "_connection", None)
            if connection is not None:  # the garbage collector may run in another thread
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    connection.loop.call_soon_threadsafe(self._transport.give_back, connection, self._answer)

    def _to_parser_error(error: BaseException | None) -> Exception:
        failure = library.RemoteProtocolError(f"The server sent an invalid HTTP response: {error}")
        failure.__cause__ = error
        return failure

    async def _receive(connection: AsyncConnection, answer: Answer, seconds: float | None) -> None:
        """Wait for more of an answer."""
        try:
            await connection.wait(seconds)
        except TimeoutError as error:
            raise library.ReadTimeout(str(error)) from error
        if not connection.is_lost or answer.pieces or answer.is_complete or answer.failure is not None:
            return
        if connection.error is not None:
            raise library.ReadError(str(connection.error)) from connection.error
        if answer.ends_with_connection():
            answer.is_complete = answer.has_surplus = True
            return
        raise library.RemoteProtocolError(answer.early_end)

    async def _receive_head(connection: AsyncConnection, answer: Answer, seconds: float | None) -> None:
        while not answer.status:
            if answer.failure is not None:
                raise _to_parser_error(answer.failure)
            await _receive(connection, answer, seconds)
            if connection.received > MAX_HEAD_BYTES and not answer.status:
                raise library.RemoteProtocolError("The headers of the response are too long.")

    class AsyncHttptoolsTransport(library.AsyncBaseTransport):
        """Sends plain requests itself, and all others by the transport that the client had.

        Args:
            inner: The transport that the client had.
            context: The TLS settings.
            limits: The limits of idle connections.
            method: The method by which httpx's own transport sends, while no other library replaces it.
        """

        def __init__(self, inner: Any, context: ssl.SSLContext, limits: Any, method: Any) -> None:
            self._inner = inner
            self._context = context
            self._method = method
            self._max_idle = 1000 if limits is None else limits.max_keepalive_connections
            self._idle_seconds = 5.0 if limits is None else limits.keepalive_expiry
            self._idle: dict[Any, deque[AsyncConnection]] = {}
            self._live: set[AsyncConnection] = set()
            self._closed = False
            self._max_busy = math.inf if limits is None or limits.max_connections is None else limits.max_connections
            self._busy = 0
            self._waiters: deque[asyncio.Future[None]] = deque()
            if (pool := getattr(inner, "_pool", None)) is not None:
                self._pool = pool  # `sockets` looks for it

        async def handle_async_request(self, request: Any) -> Any:
            if not self.is_usable() or (head := build_head(library, request)) is None:
                return await self._inner.handle_async_request(request)
            timeouts = request.extensions.get("timeout", {})
            content = await request.aread()
            return self.to_response(*await self.exchange(request.url, Payload(head, content), timeouts))

        def is_usable(self) -> bool:
            """Whether no other library observes or replaces the transport of httpx."""
            return _method(library) is self._method

        def build_head(self, request: Any) -> bytes | None:
            """Return the head of a request, or None if the inner transport has to send it."""
            return build_head(library, request)

        async def exchange(self, url: Any, payload: Payload, timeouts: Any) -> tuple[Answer, Any]:
            """Send a request; returns the answer, whose headers are complete, and its body."""
            while self._busy >= self._max_busy:
                await self._wait_for_another(timeouts.get("pool"))
            self._busy += 1
            try:
                connection = self._take(url) or await self._connect(url, timeouts.get("connect"))
            except BaseException:
                self._end_one()
                raise
            self._live.add(connection)
            answer = connection.answer = Answer(httptools.HttpResponseParser)
            connection.received = 0
            try:
                connection.transport.write(payload.head + payload.body)
                await _receive_head(connection, answer, timeouts.get("read"))
                return answer, Body(self, connection, answer, timeouts.get("read"))
            except BaseException:
                self.give_back(connection, answer)
                raise

        async def _wait_for_another(self, seconds: float | None) -> None:
            """Wait until a request ends: as many as the limits allow are in flight."""
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                async with asyncio.timeout(seconds):
                    await waiter
            except TimeoutError as error:
                raise library.PoolTimeout(str(error)) from error
            except BaseException:
                if waiter.done() and not waiter.cancelled():  # it was its turn: another one may have it
                    self._wake_one()
                raise

        def _end_one(self) -> None:
            self._busy -= 1
            self._wake_one()

        def _wake_one(self) -> None:
            while self._waiters:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return

        def to_response(self, answer: Answer, body: Any) -> Any:
            """Return an answer as a response of httpx."""
            extensions = {"http_version": answer.version, "reason_phrase": answer.reason}
            return library.Response(answer.status, headers=answer.headers, stream=body, extensions=extensions)

        def _take(self, url: Any) -> AsyncConnection | None:
            """Return an idle connection."""
            if (pool := self._idle.get((url.raw_scheme, url.raw_host, url.port))) is None:
                return None
            while pool:
                connection = pool.pop()
                is_open = not connection.is_lost and not connection.transport.is_closing()
                if is_open and time.monotonic() < connection.expires and not is_readable(connection.transport):
                    return connection
                connection.close()
            return None

        async def _connect(self, url: Any, seconds: float | None) -> AsyncConnection:
            pool = self._idle.setdefault((url.raw_scheme, url.raw_host, url.port), deque())
            loop = asyncio.get_running_loop()
            host = url.raw_host.decode("ascii")
            # uvloop has no such parameter, and its sockets cannot be configured.
            settings: dict[str, Any] = {"happy_eyeballs_delay": 0.25} if isinstance(loop, asyncio.BaseEventLoop) else {}
            if url.raw_scheme == b"https":
                self._context.set_alpn_protocols(["http/1.1"])
                settings |= {"ssl": self._context, "server_hostname": host}
            try:
                async with asyncio.timeout(min(seconds or CONNECT_TIMEOUT, CONNECT_TIMEOUT)):
                    _, connection = await loop.create_connection(
                        lambda: AsyncConnection(loop, pool),
                        host,
                        url.port or (443 if url.raw_scheme == b"https" else 80),
                        **settings,
                    )
            except TimeoutError as error:
                raise library.ConnectTimeout(str(error) or "The connection timed out.") from error
            except OSError as error:
                raise library.ConnectError(str(error)) from error
            own = connection.transport.get_extra_info("socket")
            with contextlib.suppress(OSError), socket.fromfd(own.fileno(), own.family, own.type) as duplicate:
                keep_alive(duplicate)
            return connection

        def give_back(self, connection: AsyncConnection, answer: Answer) -> None:
            """Return a connection whose response was read or given up."""
            if connection.answer is not answer:  # returned before, by a call that was interrupted in creating the body
                return
            if connection in self._live:
                self._live.discard(connection)
                self._end_one()
            is_reusable = answer.is_reusable and not answer.pieces and not connection.is_lost
            connection.answer = None
            answer.forget_parser()
            pool = connection.pool
            if not is_reusable or self._closed or (self._max_idle is not None and len(pool) >= self._max_idle):
                connection.close()
                return
            now = time.monotonic()
            connection.expires = math.inf if self._idle_seconds is None else now + self._idle_seconds
            pool.append(connection)
            while pool and pool[0].expires <= now:
                pool.popleft().close()

        async def aclose(self) -> None:
            self._close_idle()
            await self._inner.aclose()

        def _close_idle(self) -> None:
            self._closed = True
            for pool in self._idle.values():
                while pool:
                    pool.pop().close()

        def drop(self) -> None:
            """Close the sockets without the loop, which has ended or will not run again."""
            self._close_idle()
            for connection in list(self._live):
                connection.close()
            if (drop := getattr(self._inner, "drop", None)) is not None:
                drop()

    return AsyncHttptoolsTransport
