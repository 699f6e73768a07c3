"""The time limit of what is being awaited now, and how a blocked socket obeys it.

Socket timeouts alone do not keep a limit: every ping, comment or dripped byte starts them anew. In async code the event
loop cuts in. In sync code nobody can, so the limit goes to the one place where the thread blocks: each read and write
of the HTTP client's socket is given only the time that is left. No thread watches, and a limit that passes is an
ordinary timeout of the transport, never mistaken for the end of a body.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

CONNECT_TIMEOUT = 5.0
"""Seconds for one TCP or TLS handshake, as the vendors' SDKs have it."""


class Expired(TimeoutError):
    """The time limit of an awaited step passed."""


class Limit:
    """The time limit of one attempt; its owner moves it from phase to phase.

    Attributes:
        until: The moment, on `clock`, by which the awaited step must be done.
        phase: What is being waited for, in words, for the error message.
        allowed: How long it was allowed to take, in seconds.
        body_within: Seconds from a plain reply's headers to its first meaningful byte, so that a provider that only
            keeps the connection alive is left; None where the answer is a stream, whose chunks are watched one by one.
    """

    __slots__ = ("allowed", "body_within", "clock", "expired", "moved", "phase", "until")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.until = math.inf
        self.phase = ""
        self.allowed = math.inf
        self.body_within: float | None = None
        self.expired = False
        self.moved: Callable[[float], None] | None = None

    def set(self, phase: str, until: float, allowed: float) -> None:
        """Allow until `until` for `phase`; a waiting event loop is told."""
        self.phase, self.until, self.allowed = phase, until, allowed
        if self.moved is not None:
            self.moved(until)

    def remaining(self) -> float:
        """Seconds left; 0 or less when it has passed."""
        return self.until - self.clock()


current: ContextVar[Limit | None] = ContextVar("multiroute_limit", default=None)
"""The limit under which the running code waits."""


def _left(core: Any, timeout: float | None, late: str) -> float | None:
    """The time that a step of the socket may take; raises the transport's own error `late` when there is none."""
    limit = current.get()
    if limit is None or limit.until == math.inf:  # which no socket takes for a timeout
        return timeout
    left = limit.remaining()
    if left <= 0:
        limit.expired = True
        raise getattr(core, late)("the time limit has passed")
    return left if timeout is None else min(left, timeout)


class LimitedStream:
    """A network stream of httpcore (or httpcore2) whose every step is bound by the current limit."""

    def __init__(self, inner: Any, core: Any) -> None:
        self._inner, self._core = inner, core

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._core, timeout, "ReadTimeout"))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._core, timeout, "WriteTimeout"))

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        left = _left(self._core, min(timeout or CONNECT_TIMEOUT, CONNECT_TIMEOUT), "ConnectTimeout")
        return LimitedStream(self._inner.start_tls(ssl_context, server_hostname, left), self._core)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class LimitedBackend:
    """A network backend of httpcore (or httpcore2) that opens limited streams."""

    def __init__(self, inner: Any, core: Any) -> None:
        self._inner, self._core = inner, core

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **rest: Any) -> LimitedStream:
        return self._limited(self._inner.connect_tcp, host, port, timeout=timeout, **rest)

    def connect_unix_socket(self, path: str, timeout: float | None = None, **rest: Any) -> LimitedStream:
        return self._limited(self._inner.connect_unix_socket, path, timeout=timeout, **rest)

    def _limited(self, connect: Callable[..., Any], *where: Any, timeout: float | None, **rest: Any) -> LimitedStream:
        within = _left(self._core, min(timeout or CONNECT_TIMEOUT, CONNECT_TIMEOUT), "ConnectTimeout")
        return LimitedStream(connect(*where, timeout=within, **rest), self._core)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def obey(client: Any) -> None:
    """Make a sync client of httpx (or httpx2) obey the current limit.

    httpx has no public way to give its transport a network backend, although httpcore has; so this reaches for two
    private names. Where they are missing the client still works, under its own socket timeouts.
    """
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        pool: Any = getattr(transport, "_pool", None)
        backend = getattr(pool, "_network_backend", None)
        if backend is not None and not isinstance(backend, LimitedBackend):
            core = importlib.import_module(type(pool).__module__.partition(".")[0])
            pool._network_backend = LimitedBackend(backend, core)  # noqa: SLF001
