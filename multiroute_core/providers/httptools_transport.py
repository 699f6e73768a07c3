"""httptools transport: sends the requests of a sync HTTP client of httpx or httpx2, and parses the responses in C.

How this works: httpx spends most of a short call on h11, which parses HTTP in Python, and on the bookkeeping of its
connection pool. Here a request is one write to a socket, and llhttp, the parser of Node.js, reads the response. The
client of httpx keeps its timeouts, redirects, cookies, hooks and errors, and the sockets are opened by the network
backend of its own transport, so deadlines and TLS settings hold. That transport also stays in use for everything
unusual: proxies, other methods than POST, bodies of several parts, headers that are not valid, and while another
library observes or replaces httpx's transport, as tracers and recorders do.

A connection is owned by the response that reads from it, and by the pool only while it is idle. Taking and returning
one is a single operation on a deque, so there is no lock: an interrupt, a fork or the garbage collector cannot leave
one locked.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar, Self

from multiroute_core._util.origin import is_defined_in
from multiroute_core.providers.response_parser import Answer
from multiroute_core.runtime import forks

SWITCH = "MULTIROUTE_HTTPTOOLS"
"""The environment variable that disables httptools if it is `0`; read when a client is created."""

READ_BYTES = 65_536

MAX_HEAD_BYTES = 100 * 1024
"""Bytes of a response before the end of its headers; the same limit as httpx's."""

JOINED_BYTES = 65_536
"""A larger body is written by itself, instead of being copied behind the headers."""

_VALUE = rb"(?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?"
_HEAD = re.compile(rb"POST [\x21-\x7e]+ HTTP/1\.1\r\n(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+: " + _VALUE + rb"\r\n)+")
"""A valid head; h11 accepts the same names and values (RFC 9110, section 5)."""

_UNUSUAL = re.compile(rb"\n(?:transfer-encoding|expect|upgrade|connection: (?!keep-alive\r))", re.IGNORECASE)
"""A header that changes how a request is sent."""


def is_enabled() -> bool:
    """Whether new sync clients send through httptools: it is installed, and not disabled."""
    return os.environ.get(SWITCH) != "0" and _is_installed()


@functools.cache
def _is_installed() -> bool:
    try:
        module = importlib.import_module("httptools")
    except ImportError:
        return False
    return hasattr(module.HttpResponseParser, "set_dangerous_leniencies")


def use_httptools(client: Any, library: ModuleType, limits: Any) -> None:
    """Make a sync client of httpx (or httpx2) send through httptools, except through proxies.

    Args:
        client: The client, before its first request; `sockets.obey` has replaced its network backend.
        library: Its HTTP library.
        limits: The `Limits` of its connection pool; None for httpx's own.
    """
    inner = getattr(client, "_transport", None)
    pool = getattr(inner, "_pool", None)
    if type(inner) is not library.HTTPTransport or pool is None:
        return
    is_plain = getattr(pool, "_uds", "") is None and not getattr(pool, "_http2", True)
    if is_plain and hasattr(pool, "_network_backend") and hasattr(pool, "_ssl_context") and _is_own(inner, pool):
        client._transport = _transport_class(library.__name__)(inner, pool, limits)  # noqa: SLF001


def _is_own(inner: Any, pool: Any) -> bool:
    """Whether no other library has replaced how the transport and its pool send requests."""
    return all(is_defined_in(method, "httpx", "httpx2", "httpcore", "httpcore2") for method in _methods(inner, pool))


def _methods(inner: Any, pool: Any) -> tuple[Any, Any]:
    """Return the methods that send a request: the transport's, and its pool's."""
    transport_class: Any = inner.__class__
    pool_class: Any = pool.__class__
    return transport_class.handle_request, pool_class.handle_request


def build_head(library: Any, request: Any) -> bytes | None:
    """Return the head of a request of httpx (or httpx2) as bytes, or None if it is not plain."""
    if (
        request.method != "POST"
        or type(request.stream) is not library.ByteStream
        or not request.extensions.keys() <= {"timeout"}
        or request.url.raw_scheme not in (b"http", b"https")
    ):
        return None
    headers = request.headers.raw
    lines = [b"%b: %b\r\n" % header for header in headers]
    head = b"POST %b HTTP/1.1\r\n%b" % (request.url.raw_path, b"".join(lines))
    # The count, because a value with a line break would match as two headers.
    is_valid = head.count(b"\n") == len(headers) + 1 and _HEAD.fullmatch(head) and not _UNUSUAL.search(head)
    return head + b"\r\n" if is_valid else None


class Payload:
    """The bytes of a request; an object, because a traceback may show local variables.

    Attributes:
        head: The head, with the key.
        body: The body.
    """

    __slots__ = ("body", "head")

    def __init__(self, head: bytes, body: bytes) -> None:
        self.head = head
        self.body = body


class Connection:
    """A connection, owned by one response or by the pool.

    It is created before its socket, because an interrupt can come anywhere: until `open` has a stream there is nothing
    to close, and from then on the connection closes it when it is dropped.

    Args:
        pool: Where it returns to when a response was read completely.

    Attributes:
        stream: The network stream of httpcore; None before `open`.
    """

    __slots__ = ("expires", "generation", "pool", "stream")

    open_streams: ClassVar[set[Any]] = set()
    """The streams of all connections: the garbage collector must not finalize a socket before its connection closes it.
    """

    def __init__(self, pool: deque[Connection]) -> None:
        self.stream: Any = None
        self.pool = pool
        self.expires = 0.0
        self.generation = forks.generation()

    def open(self, connect: Callable[[], Any]) -> None:
        """Take the stream that `connect` returns."""
        self.stream = connect()
        self.open_streams.add(self.stream)

    def start_tls(self, context: Any, host: str, timeout: float | None) -> None:
        """Encrypt the connection."""
        plain = self.stream
        self.stream = plain.start_tls(context, host, timeout)
        self.open_streams.discard(plain)  # first: an interrupt between the two must not leave it in the set
        self.open_streams.add(self.stream)

    def close(self) -> None:
        """Close the socket."""
        # An interrupt before the first step of `__init__` leaves an object without attributes to `__del__`.
        stream = getattr(self, "stream", None)
        if stream is not None:
            self.open_streams.discard(stream)
            with contextlib.suppress(Exception):
                stream.close()

    def __del__(self) -> None:
        self.close()


@atexit.register
def _close_streams() -> None:
    """Close the connections that are still open at exit; the interpreter would warn of each socket."""
    for stream in list(Connection.open_streams):
        with contextlib.suppress(Exception):
            stream.close()


@functools.cache
def _transport_class(library_name: str) -> Any:
    import httptools

    library: Any = importlib.import_module(library_name)
    parser_errors = httptools.HttpParserError, httptools.HttpParserUpgrade

    class Body(library.SyncByteStream):
        """The body of a response. Not a generator, because an unfinished generator is closed late."""

        def __init__(
            self, transport: HttptoolsTransport, connection: Connection, answer: Answer, timeout: float | None
        ) -> None:
            self._transport = transport
            self._connection: Connection | None = connection
            self._answer = answer
            self._timeout = timeout
            self.network_stream = connection.stream

        def __iter__(self) -> Self:
            return self

        def __next__(self) -> bytes:
            answer = self._answer
            while not answer.pieces:
                if self._connection is None:
                    if answer.is_complete:
                        raise StopIteration
                    raise library.StreamClosed
                if answer.is_complete or answer.failure is not None:
                    self.close()
                    raise answer.failure or StopIteration
                try:
                    _receive(self._connection, answer, self._timeout)
                except BaseException:
                    self.close()
                    raise
            return answer.take_pieces()

        def close(self) -> None:
            """Return the connection to the pool if the body was read to its end, otherwise close it."""
            connection = self._connection
            self._connection = None
            if connection is not None:
                self._transport.give_back(connection, self._answer)

    def _receive(connection: Connection, answer: Answer, timeout: float | None) -> int:
        """Read once; returns the number of bytes."""
        try:
            piece = connection.stream.read(READ_BYTES, timeout)
        except Exception as error:
            failure = _to_error(library, error)
        else:
            if piece:
                try:
                    answer.feed(piece)
                except httptools.HttpParserCallbackError as error:  # an interrupt
                    raise error.__context__ or error from None
                except parser_errors as error:
                    if answer.is_complete:
                        answer.has_surplus = True
                    else:
                        failure = library.RemoteProtocolError(f"The server sent an invalid HTTP response: {error}")
                        failure.__cause__ = error
                        if not answer.status:
                            raise failure from error
                        answer.failure = failure  # what came before it is given out first
                return len(piece)
            if answer.ends_with_connection():
                answer.is_complete = answer.has_surplus = True
                return 0
            raise library.RemoteProtocolError(answer.early_end)
        raise failure from failure.__cause__

    class HttptoolsTransport(library.BaseTransport):
        """Sends plain requests itself, and all others by the transport of httpx.

        Args:
            inner: The transport of httpx.
            pool: Its connection pool, whose network backend and TLS settings are used.
            limits: The limits of idle connections.
        """

        def __init__(self, inner: Any, pool: Any, limits: Any) -> None:
            self._inner = inner
            self._pool = pool
            self._methods = _methods(inner, pool)
            self._logger = logging.getLogger(type(pool).__module__.partition(".")[0])
            self._max_idle = 1000 if limits is None else limits.max_keepalive_connections
            self._idle_seconds = 5.0 if limits is None else limits.keepalive_expiry
            self._idle: dict[Any, deque[Connection]] = {}
            self._closed = False
            forks.renew(self, _idle=dict)  # the parent's connections belong to the parent

        def handle_request(self, request: Any) -> Any:
            if not self.is_usable() or (head := self.build_head(request)) is None:
                return self._inner.handle_request(request)
            timeouts = request.extensions.get("timeout", {})
            return self.to_response(*self.exchange(request.url, Payload(head, b"".join(request.stream)), timeouts))

        def is_usable(self) -> bool:
            """Whether no other library observes or replaces the transport of httpx."""
            return _methods(self._inner, self._pool) == self._methods and not self._logger.isEnabledFor(logging.DEBUG)

        def exchange(self, url: Any, payload: Payload, timeouts: Any) -> tuple[Answer, Any]:
            """Send a request.

            Args:
                url: The URL of httpx.
                payload: The head that `build_head` returned, and the body.
                timeouts: The timeouts in seconds, as in a request's extensions.

            Returns:
                The answer, whose headers are complete, and its body.
            """
            connection = self._take(url) or self._connect(url, timeouts.get("connect"))
            try:
                return self._exchange(connection, payload, timeouts)
            except BaseException:
                connection.close()
                raise

        def to_response(self, answer: Answer, body: Any) -> Any:
            """Return an answer as a response of httpx."""
            extensions = {
                "http_version": answer.version,
                "reason_phrase": answer.reason,
                "network_stream": body.network_stream,
            }
            return library.Response(answer.status, headers=answer.headers, stream=body, extensions=extensions)

        def build_head(self, request: Any) -> bytes | None:
            """Return the head of a request, or None if httpx's transport has to send it."""
            return build_head(library, request)

        def _exchange(self, connection: Connection, payload: Payload, timeouts: Any) -> tuple[Answer, Body]:
            stream = connection.stream
            try:
                if len(payload.body) > JOINED_BYTES:
                    stream.write(payload.head, timeouts.get("write"))
                    stream.write(payload.body, timeouts.get("write"))
                else:
                    stream.write(payload.head + payload.body, timeouts.get("write"))
            except Exception as error:
                # A server may respond, and close the connection, before it has read the whole request.
                failure = _to_error(library, error)
                if not isinstance(failure, library.WriteError):
                    raise failure from failure.__cause__
            answer = Answer(httptools.HttpResponseParser)
            size = 0
            while not answer.status:
                size += _receive(connection, answer, timeouts.get("read"))
                if size > MAX_HEAD_BYTES and not answer.status:
                    raise library.RemoteProtocolError("The headers of the response are too long.")
            return answer, Body(self, connection, answer, timeouts.get("read"))

        def _take(self, url: Any) -> Connection | None:
            """Return an idle connection."""
            if (pool := self._idle.get((url.raw_scheme, url.raw_host, url.port))) is None:
                return None
            while pool:
                try:
                    connection = pool.pop()
                except IndexError:  # another thread has taken it
                    break
                if time.monotonic() < connection.expires and not connection.stream.get_extra_info("is_readable"):
                    return connection
                connection.close()
            return None

        def _connect(self, url: Any, timeout: float | None) -> Connection:
            pool = self._idle.setdefault((url.raw_scheme, url.raw_host, url.port), deque())
            host = url.raw_host.decode("ascii")
            connect = functools.partial(
                self._pool._network_backend.connect_tcp,  # noqa: SLF001
                host=host,
                port=url.port or (443 if url.raw_scheme == b"https" else 80),
                local_address=getattr(self._pool, "_local_address", None),
                timeout=timeout,
                socket_options=getattr(self._pool, "_socket_options", None),
            )
            connection = Connection(pool)
            try:
                connection.open(connect)
                if url.raw_scheme == b"https":
                    context = self._pool._ssl_context or library.create_ssl_context()  # noqa: SLF001
                    context.set_alpn_protocols(["http/1.1"])
                    connection.start_tls(context, host, timeout)
            except Exception as error:
                connection.close()
                failure = _to_error(library, error)
            except BaseException:
                connection.close()
                raise
            else:
                return connection
            raise failure from failure.__cause__

        def give_back(self, connection: Connection, answer: Answer) -> None:
            """Return a connection whose response was read or given up."""
            is_reusable = not answer.pieces and answer.is_reusable and connection.generation == forks.generation()
            answer.forget_parser()
            pool = connection.pool
            if not is_reusable or self._closed or (self._max_idle is not None and len(pool) >= self._max_idle):
                connection.close()
                return
            now = time.monotonic()
            connection.expires = float("inf") if self._idle_seconds is None else now + self._idle_seconds
            pool.append(connection)
            with contextlib.suppress(IndexError):  # another thread has taken it
                while pool[0].expires <= now:
                    pool.popleft().close()

        def close(self) -> None:
            self._closed = True
            for pool in list(self._idle.values()):
                while pool:
                    with contextlib.suppress(IndexError):
                        pool.pop().close()
            self._inner.close()

    return HttptoolsTransport


def _to_error(library: Any, error: Exception) -> Exception:
    """Return the error that httpx raises for one of httpcore; others are returned as they are."""
    kind = getattr(library, type(error).__name__, None)
    if not type(error).__module__.startswith("httpcore") or kind is None:
        return error
    failure: Exception = kind(str(error))
    failure.__cause__ = error
    return failure
