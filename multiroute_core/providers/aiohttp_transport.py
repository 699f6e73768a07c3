"""aiohttp transport: sends the requests of an async HTTP client of httpx or httpx2 through aiohttp.

How this works: aiohttp parses HTTP in C, and its connection pool takes the same time whether one call is in flight or a
thousand. httpx parses in Python, and its pool looks at every connection for every request. So only the sending is
replaced: the client of httpx keeps its timeouts, redirects, cookies, hooks and errors, and requests through a proxy of
the environment keep httpx's own transport, because aiohttp supports fewer kinds of proxies.

The SDKs have such a transport as well, `DefaultAioHttpClient`. It is not used: its errors, cookies and limits of
headers are not those of httpx and differ between the versions of the SDKs, it keeps TLS connections open that were
cancelled, and it reuses connections that the server has closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import importlib.metadata
import inspect
import os
import re
import select
import socket
import ssl
import weakref
from types import ModuleType
from typing import Any, cast

from multiroute_core.providers.response_parser import INCOMPLETE
from multiroute_core.runtime.deadline import CONNECT_TIMEOUT
from multiroute_core.runtime.sockets import abort

SWITCH = "MULTIROUTE_AIOHTTP"
"""The environment variable that disables aiohttp if it is `0`; read when a client is created."""

OLDEST = (3, 12)
"""The oldest supported version of aiohttp: it lets the caller create the sockets."""

MAX_LINE = 2**16
"""Bytes of a header line. aiohttp's default, 8 KiB, is less than httpx accepts."""

MAX_HEADERS = 1000
"""Headers of a response. aiohttp's default is 128; httpx has no limit but the size of all."""


def is_enabled() -> bool:
    """Whether new async clients send through aiohttp: it is installed, and not disabled."""
    return os.environ.get(SWITCH) != "0" and _is_installed()


@functools.cache
def _is_installed() -> bool:
    try:
        version = importlib.metadata.version("aiohttp")
        importlib.import_module("aiohttp")
    except ImportError:
        return False
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2]) >= OLDEST


def use_aiohttp(client: Any, library: ModuleType, context: ssl.SSLContext, limits: Any) -> None:
    """Make an async client of httpx (or httpx2) send through aiohttp, except through proxies.

    httpx has a public argument for its transport, but with it a client ignores the environment's proxies.

    Args:
        client: The client, before its first request.
        library: Its HTTP library.
        context: The TLS settings.
        limits: The `Limits` of its connection pool; None for those of aiohttp.
    """
    if hasattr(client, "_transport"):
        client._transport = _transport_class(library.__name__)(context, limits)  # noqa: SLF001


@functools.cache
def _transport_class(library_name: str) -> Any:
    import aiohttp
    from aiohttp.client_proto import ResponseHandler
    from yarl import URL

    library: Any = importlib.import_module(library_name)
    to_error = functools.partial(_to_error, aiohttp, library)

    class Resolver(aiohttp.ThreadedResolver):
        """The resolver of the operating system, as in httpx, also where aiohttp would choose another one."""

        async def resolve(self, *args: Any, **kwargs: Any) -> Any:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await super().resolve(*args, **kwargs)

    class Protocol(ResponseHandler):
        """A connection that is closed and reused as httpx does it.

        It closes its socket at once: over TLS aiohttp waits up to 30 s for the server to close as well. And it is not
        reused if the server has closed it: aiohttp knows only if the event loop has run since.
        """

        def is_connected(self) -> bool:
            return super().is_connected() and not is_readable(self.transport)

        def close(self) -> None:
            abort(self.transport)
            super().close()

    class Connector(aiohttp.TCPConnector):
        """A connector that is closed with its event loop: aiohttp would log that it was not."""

        def __init__(self, **settings: Any) -> None:
            self._own_loop = asyncio.get_running_loop()
            cast("Any", super()).__init__(**settings)
            if hasattr(self, "_factory"):  # a private name that may be removed
                self._factory = functools.partial(Protocol, loop=self._own_loop)

        @property
        def closed(self) -> bool:
            return super().closed or self._own_loop.is_closed()

        def __del__(self, *args: Any) -> None:
            if not self.closed:
                with contextlib.suppress(AttributeError):  # an interrupt of `__init__` leaves some attributes unset
                    super().__del__(*args)

    class Body(library.AsyncByteStream):
        """The body of a response. Not a generator, because an unfinished generator is closed late."""

        def __init__(self, response: Any) -> None:
            self._response = response
            self._content = response.content
            self._read = response.content.readany

        def __aiter__(self) -> Body:
            return self

        async def __anext__(self) -> bytes:
            try:
                chunk = await self._read()
            except Exception as error:
                if received := _take_received(self._content):
                    return received  # the next read raises the error
                failure = to_error(error)
            else:
                if not chunk:
                    raise StopAsyncIteration
                return chunk
            raise failure from failure.__cause__  # not from the error of aiohttp

        async def aclose(self) -> None:
            self.release()

        def release(self) -> None:
            """Return the connection to the pool if the body was read to its end, otherwise close it."""
            self._response.release()

    class AiohttpTransport(library.AsyncBaseTransport):
        def __init__(self, context: ssl.SSLContext, limits: Any) -> None:
            self._context = context
            self._limits = limits
            self._session: Any = None
            self._bodies: weakref.WeakSet[Body] = weakref.WeakSet()

        def _start(self) -> Any:
            """Create the session, which belongs to the running loop."""
            limits: dict[str, Any] = {}
            if self._limits is not None:
                limits = {
                    "limit": self._limits.max_connections or 0,
                    "keepalive_timeout": self._limits.keepalive_expiry,
                }
            self._context.set_alpn_protocols(["http/1.1"])  # as httpx does
            connector = Connector(ssl=self._context, resolver=Resolver(), socket_factory=_create_socket, **limits)
            headers: dict[str, Any] = {}
            if (
                "max_headers" in inspect.signature(aiohttp.ClientSession).parameters
            ):  # the oldest versions have no limit
                headers = {"max_headers": MAX_HEADERS}
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),  # the client of httpx has a jar of its own
                auto_decompress=False,
                max_line_size=MAX_LINE,
                max_field_size=MAX_LINE,
                **headers,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
            return self._session

        async def handle_async_request(self, request: Any) -> Any:
            session = self._session or self._start()
            encoding = request.headers.encoding
            seconds = request.extensions.get("timeout", {})
            try:
                response = await session.request(
                    request.method,
                    URL(str(request.url), encoded=True),
                    headers=[(name.decode(encoding), value.decode(encoding)) for name, value in request.headers.raw],
                    data=await request.aread() or None,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        connect=seconds.get("pool"), sock_connect=seconds.get("connect"), sock_read=seconds.get("read")
                    ),
                )
            except Exception as error:
                failure = to_error(error)
            else:
                return self._respond(response)
            raise failure from failure.__cause__  # not from the error of aiohttp

        def _respond(self, response: Any) -> Any:
            extensions = {"http_version": b"HTTP/1.1", "reason_phrase": (response.reason or "").encode()}
            body = Body(response)
            self._bodies.add(body)
            return library.Response(response.status, headers=response.raw_headers, stream=body, extensions=extensions)

        async def aclose(self) -> None:
            if self._session is not None:
                await self._session.close()

        def drop(self) -> None:
            """Close the sockets without the loop, which has ended or will not run again."""
            session = self._session
            if session is None or (connector := session.connector) is None:
                return
            for body in list(self._bodies):
                body.release()
            with contextlib.suppress(AttributeError):  # private names that may be removed
                idle = [protocol for pool in connector._conns.values() for protocol, _ in pool]  # noqa: SLF001
                for protocol in (*idle, *connector._acquired):  # noqa: SLF001
                    abort(protocol.transport)
                connector._conns.clear()  # noqa: SLF001
            session.detach()

    return AiohttpTransport


def _create_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket that keeps a silent connection alive, as Anthropic's SDK does.

    A model may work for minutes before the first byte of its answer, and network equipment forgets silent connections.
    """
    family, kind, protocol, *_ = address
    tcp_socket = socket.socket(family, kind, protocol)
    keep_alive(tcp_socket)
    return tcp_socket


def keep_alive(tcp_socket: Any) -> None:
    """Let the system ask from time to time whether the other end is still there."""
    tcp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5), ("TCP_KEEPIDLE", 60)):
        if (option := getattr(socket, name, None)) is not None:
            tcp_socket.setsockopt(socket.IPPROTO_TCP, option, value)


def is_readable(transport: Any) -> bool:
    """Whether an idle connection is at its end, or has received what was not requested."""
    idle = transport.get_extra_info("socket")
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(idle.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([idle], [], [], 0)[0])


def _to_error(aiohttp: Any, library: Any, error: Any) -> Exception:
    """Return the error that httpx would raise, with its cause; one that httpx does not know is returned as it is.

    aiohttp's errors of parsing are not among the causes: they have a status, 400, which is not that of a response.
    """
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = getattr(error, "certificate_error", None) or error.os_error
        kind = library.ConnectTimeout if isinstance(cause, TimeoutError) else library.ConnectError
        return _with_cause(kind(str(cause) or "The connection timed out."), cause)
    if isinstance(error, aiohttp.ClientPayloadError):
        # Only the text tells that the connection was reset.
        return (library.ReadError if "ConnectionResetError" in str(error) else library.RemoteProtocolError)(INCOMPLETE)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return library.RemoteProtocolError("Server disconnected without sending a response.")
    if isinstance(error, aiohttp.ClientResponseError):
        return library.RemoteProtocolError(f"The server sent an invalid HTTP response: {error.message}")
    if isinstance(error, RuntimeError) and str(error) == "Connection closed.":  # nobody waited when the body broke
        return library.RemoteProtocolError(INCOMPLETE)
    message = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        kind = library.ConnectTimeout if isinstance(error, aiohttp.ConnectionTimeoutError) else library.ReadTimeout
    elif isinstance(error, ValueError):
        kind = library.LocalProtocolError
    elif isinstance(error, aiohttp.NonHttpUrlClientError):
        kind = library.UnsupportedProtocol
    elif isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        kind = library.ReadError
    else:
        return error
    return _with_cause(kind(message), error)


def _take_received(content: Any) -> bytes:
    """Return what a body that broke has received, which aiohttp 3.14.5 (read 2026-11-30) keeps to itself.

    It raises the error at once: a reader that was busy when the connection broke would lose the end of a stream.
    """
    try:
        return content._read_nowait(-1)  # noqa: SLF001
    except (AttributeError, TypeError):  # a private name that may be removed
        return b""


def _with_cause(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error
