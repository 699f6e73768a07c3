"""Sockets: an HTTP client's socket obeys the current deadline and does not leak.

Socket timeouts alone do not enforce a deadline: every ping, comment or dripped byte restarts them. So in sync code the
deadline is applied where the thread blocks: each read and write of the HTTP client's socket gets only the remaining
time. No watchdog thread is needed, and an expired deadline is an ordinary timeout of the transport, never mistaken for
the end of a body.

httpx has no public way to give its transport a network backend, although httpcore has; so `obey` and `tidy` use two
private names. Without them the client still works, under its own socket timeouts.

An abandoned sync stream is closed by the garbage collector, which may run anywhere: also in a thread inside the
connection pool of that stream. There the close would wait for a lock that its own thread holds (httpcore), or change
lists during iteration, so that a new connection is lost (httpcore2). So `obey` makes the pools re-entrant, by two more
private names; without those, they stay as they are.

An interrupt may occur inside the pool, or before the response has an owner that closes it. So each connection
references the deadline of the call that used it last, and `sweep` closes those whose call is gone. In the child of a
fork the parent's connections are neither read nor written.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import math
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, cast

from multiroute_core.runtime import forks, interrupts
from multiroute_core.runtime.async_pool import speed_up
from multiroute_core.runtime.deadline import CONNECT_TIMEOUT, Deadline, current


def obey(client: Any) -> None:
    """Make a sync client of httpx (or httpx2) obey the current deadline, and its pools re-entrant."""
    _replace(client, LimitedBackend)
    for pool in _pools(client):
        is_supported = hasattr(pool, "_optional_thread_lock") and hasattr(pool, "_assign_requests_to_connections")
        if is_supported and not isinstance(pool, _Reentrant):
            pool._optional_thread_lock = threading.RLock()  # noqa: SLF001
            pool.__class__ = _reentrant(pool.__class__)
            forks.renew(pool, _optional_thread_lock=threading.RLock, _at_work=bool)
            _obeying.add(pool)
    _jars.add(client.cookies.jar)


def tidy(client: Any) -> None:
    """Make an async client of httpx (or httpx2) close the socket of a cancelled handshake, and its pools quick."""
    _replace(client, ClosingBackend)
    for pool in _pools(client):
        speed_up(pool)


def _replace(client: Any, backend_class: Callable[[Any, Any], Any]) -> None:
    for pool in _pools(client):
        backend = getattr(pool, "_network_backend", None)
        if backend is not None and type(backend) is not backend_class:
            core = importlib.import_module(type(pool).__module__.partition(".")[0])
            pool._network_backend = backend_class(backend, core)  # noqa: SLF001


def _pools(client: Any) -> Iterator[Any]:
    """Yield the connection pools of a client, those of its proxies too."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        if (pool := getattr(transport, "_pool", None)) is not None:
            yield pool


def sweep() -> None:
    """Close the connections whose calls are gone, and free the locks that the dead call of this thread has left."""
    for jar in list(_jars):
        with contextlib.suppress(AttributeError):  # as below
            _free_cookies(jar._cookies_lock)  # noqa: SLF001
    for pool in list(_obeying):
        with contextlib.suppress(AttributeError):  # a private name that may be removed
            _sweep(pool)


def _free_cookies(lock: Any) -> None:
    """Release a cookie jar's lock if this thread owns it: its call is dead, and all other threads would wait forever.

    `http.cookiejar` takes it by `acquire` before a `try`, in every call, so an interrupt may come in between.
    """
    while lock._is_owned():  # noqa: SLF001
        lock.release()


def _sweep(pool: Any) -> None:
    with pool._optional_thread_lock:  # noqa: SLF001
        requests = pool._requests  # noqa: SLF001
        connections = pool._connections  # noqa: SLF001
        assigned = {id(request.connection) for request in requests}
        orphans = [
            one
            for one in connections
            if not one.is_idle() and not one.is_closed() and (id(one) not in assigned or _is_orphan(one))
        ]
        for request in list(requests):
            # Four references: the pool's list, its copy, the variable and the argument. The caller of the request is
            # gone.
            if any(request.connection is one for one in orphans) or sys.getrefcount(request) <= 4:
                requests.remove(request)
            elif _is_done(request):  # and its connection is free
                requests.remove(request)
                continue
            else:
                continue
            if request.connection is not None and request.connection not in orphans:
                orphans.append(request.connection)
        orphans = [one for one in orphans if all(request.connection is not one for request in requests)]
        for connection in orphans:
            if connection in connections:
                connections.remove(connection)
            with contextlib.suppress(Exception):
                connection.close()
        closing: list[Any] = pool._assign_requests_to_connections() if orphans else []  # noqa: SLF001
    for connection in closing:
        with contextlib.suppress(Exception):
            connection.close()


def _is_done(request: Any) -> bool:
    """Whether the stream of a request is closed, but an interrupt kept the pool from noticing."""
    connection = request.connection
    if connection is None or not (connection.is_idle() or connection.is_closed()):
        return False
    for holder in gc.get_referrers(request):
        fields: Any = cast("Any", holder) if isinstance(holder, dict) else getattr(holder, "__dict__", {})
        if fields.get("_pool_request") is request and fields.get("_closed"):
            return True
    return False


def _is_orphan(connection: Any) -> bool:
    """Whether the call that used a connection last is gone."""
    inner = connection
    while inner is not None:
        stream = getattr(inner, "_network_stream", None)
        if isinstance(stream, LimitedStream):
            return stream.owner() is None
        inner = getattr(inner, "_connection", None)
    return False


def drop_connections(client: Any) -> None:
    """Close the sockets of an async client whose event loop has ended, or will not run again."""
    http = getattr(client, "http", None) or getattr(client, "_client", client)  # an SDK's client wraps one of httpx
    with contextlib.suppress(AttributeError):  # a private name that may be removed
        if (drop := getattr(http._transport, "drop", None)) is not None:  # noqa: SLF001  (that of aiohttp)
            drop()
        for pool in _pools(http):
            for connection in list(pool._connections):  # noqa: SLF001
                _drop(connection)


def _drop(connection: Any) -> None:
    inner = connection
    stream = None
    while inner is not None and stream is None:
        stream = getattr(inner, "_network_stream", None)
        inner = getattr(inner, "_connection", None)
    transport: Any = None
    # AnyIO's stream in httpcore's in ours; a TLS stream wraps another one.
    for _ in range(8):
        if stream is None or transport is not None:
            break
        transport = getattr(stream, "_transport", None)
        stream = next(
            (s for name in ("_inner", "_stream", "transport_stream") if (s := getattr(stream, name, None))), None
        )
    abort(transport)


def abort(transport: Any) -> None:
    """Close the socket of a transport of asyncio, also if its event loop has ended; None is ignored."""
    if transport is None:
        return
    try:
        transport.abort()
    except RuntimeError:  # its loop is closed and cannot schedule it, so the rest of the close is done here
        with contextlib.suppress(Exception):
            transport._call_connection_lost(None)  # noqa: SLF001


_obeying: weakref.WeakSet[Any] = weakref.WeakSet()
_jars: weakref.WeakSet[Any] = weakref.WeakSet()
forks.renew(
    sys.modules[__name__], _obeying=weakref.WeakSet, _jars=weakref.WeakSet
)  # the parent's pools belong to the parent
interrupts.sweepers.append(sweep)


class _Reentrant:
    """A connection pool in which a thread may close a stream while it is working there."""

    _at_work = _again = False

    def _assign_requests_to_connections(self) -> list[Any]:
        """Assign connections to requests; a nested call lets the outer one repeat it."""
        closing: list[Any] = []
        if self._at_work:
            self._again = True
            return closing
        while True:
            self._at_work = True
            self._again = False
            try:
                closing += cast("Any", super())._assign_requests_to_connections()  # noqa: SLF001
            finally:
                self._at_work = False
            if not self._again:
                return closing


@functools.cache
def _reentrant(pool_class: type) -> type:
    return type(pool_class.__name__, (_Reentrant, pool_class), {"__module__": pool_class.__module__})


def _left(core: Any, timeout: float | None, late: str) -> float | None:
    """Return the time that a socket operation may take; raises the transport's own error `late` if none is left."""
    limit = current.get()
    if limit is None or limit.until == math.inf:  # infinity is not a valid socket timeout
        return timeout
    left = limit.remaining()
    if left <= 0:
        limit.expired = True
        raise getattr(core, late)("the time limit has passed")
    return left if timeout is None else min(left, timeout)


_PARENTS = "the connection belongs to the parent process"


def _owner(limit: Deadline | None) -> Callable[[], object]:
    """Return a function that returns None once the call is gone; without a deadline that is unknown."""
    return object if limit is None else weakref.ref(limit)


class LimitedStream:
    """A network stream of httpcore (or httpcore2) whose operations obey the current deadline."""

    def __init__(self, inner: Any, core: Any) -> None:
        self._inner = inner
        self._core = core
        self._generation = forks.generation()
        self._socket: Any = inner.get_extra_info("socket") if type(inner).__name__ == "SyncStream" else None
        self._timeout = -1.0
        self.owner = _owner(current.get())

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        limit = current.get()
        if self._generation != forks.generation():
            raise self._core.ReadError(_PARENTS)
        seconds = _left(self._core, timeout, "ReadTimeout")
        if limit is not None:
            limit.interrupt = self._shut
        try:
            if self._socket is None:
                return self._inner.read(max_bytes, seconds)
            # What the inner stream does, without its context managers, which take longer than the rest.
            self._set_timeout(seconds)
            return self._socket.recv(max_bytes)
        except TimeoutError as error:
            raise self._core.ReadTimeout(str(error)) from error
        except OSError as error:
            raise self._core.ReadError(str(error)) from error
        finally:
            if limit is not None:
                limit.interrupt = None

    def _set_timeout(self, seconds: float | None) -> None:
        """Set the timeout of the socket, a system call, unless it is already that, or up to a thousandth longer."""
        if seconds is None or not 0.999 * self._timeout <= seconds <= self._timeout:
            self._socket.settimeout(seconds)
            self._timeout = -1.0 if seconds is None else seconds

    def _shut(self) -> None:
        """Wake the reading thread, which `close` from another thread would not; bypasses TLS."""
        if self._generation == forks.generation():  # a shutdown would affect the parent's connection
            self._inner.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.owner = _owner(current.get())
        if self._generation != forks.generation():
            raise self._core.WriteError(_PARENTS)
        seconds = _left(self._core, timeout, "WriteTimeout")
        if self._socket is None:
            self._inner.write(buffer, seconds)
            return
        try:
            while buffer:
                self._set_timeout(seconds)
                buffer = buffer[self._socket.send(buffer) :]
        except TimeoutError as error:
            buffer = b""  # a traceback may show local variables, and the headers hold a key
            raise self._core.WriteTimeout(str(error)) from error
        except OSError as error:
            buffer = b""
            raise self._core.WriteError(str(error)) from error

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        left = _left(self._core, min(timeout or CONNECT_TIMEOUT, CONNECT_TIMEOUT), "ConnectTimeout")
        return LimitedStream(self._inner.start_tls(ssl_context, server_hostname, left), self._core)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class LimitedBackend:
    """A network backend of httpcore (or httpcore2) that opens limited streams."""

    def __init__(self, inner: Any, core: Any) -> None:
        self._inner = inner
        self._core = core

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **rest: Any) -> LimitedStream:
        return self._limited(self._inner.connect_tcp, host, port, timeout=timeout, **rest)

    def connect_unix_socket(self, path: str, timeout: float | None = None, **rest: Any) -> LimitedStream:
        return self._limited(self._inner.connect_unix_socket, path, timeout=timeout, **rest)

    def _limited(self, connect: Callable[..., Any], *where: Any, timeout: float | None, **rest: Any) -> LimitedStream:
        within = _left(self._core, min(timeout or CONNECT_TIMEOUT, CONNECT_TIMEOUT), "ConnectTimeout")
        return LimitedStream(connect(*where, timeout=within, **rest), self._core)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class ClosingStream:
    """An async network stream that closes its socket when a handshake on it is cancelled, which httpcore's does not."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def start_tls(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await self._inner.start_tls(*args, **kwargs)
        except BaseException:
            await self._inner.aclose()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class ClosingBackend:
    """An async network backend of httpcore (or httpcore2) that opens closing streams."""

    def __init__(self, inner: Any, core: Any) -> None:
        self._inner = inner
        self._core = core

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> ClosingStream:
        return ClosingStream(await self._inner.connect_tcp(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
