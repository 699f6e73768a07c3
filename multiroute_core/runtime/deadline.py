"""Deadline: the timeout of the current await.

An event loop interrupts the await when it passes. Sync code cannot be interrupted, so each read and write of the socket
gets only the remaining time; see `sockets`.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from contextvars import ContextVar

CONNECT_TIMEOUT = 5.0
"""Timeout of one TCP or TLS handshake in seconds, as in the providers' SDKs."""


MAX_RESPONSE_BYTES = 64 * 2**20
"""Default maximum size of a response body, decompressed, in bytes: far more than the longest answer, and less than what
would exhaust a worker's memory.
"""


class Expired(TimeoutError):
    """The deadline of an await passed."""


class Cancelled(BaseException):
    """The attempt was cancelled from another thread; the sync counterpart of `asyncio.CancelledError`."""


class Deadline:
    """The deadline of one attempt; its owner moves it from phase to phase.

    Attributes:
        until: The moment, on `clock`, by which the current step must be done.
        phase: The name of what is awaited, for the error message.
        allowed: How long it may take, in seconds.
        body_within: Seconds from the headers of a response that is not streamed to its first meaningful byte, so that a
            provider that only keeps the connection alive times out; None for a stream, whose chunks are timed one by
            one.
        max_bytes: The maximum size of a response body, decompressed, in bytes; None for no limit.
        replied: Whether response headers have arrived: an SDK error after that is caused by the response.
        cancelled: Whether the attempt was cancelled.
        interrupt: Wakes the thread that blocks under this deadline now; None if no thread does, or it cannot be woken.
    """

    __slots__ = (
        *("__weakref__", "allowed", "body_within", "cancelled", "clock", "expired", "interrupt"),
        *("max_bytes", "moved", "phase", "replied", "until"),
    )

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.until = math.inf
        self.phase = ""
        self.allowed = math.inf
        self.body_within: float | None = None
        self.max_bytes: int | None = MAX_RESPONSE_BYTES
        self.replied = False
        self.expired = False
        self.cancelled = False
        self.interrupt: Callable[[], None] | None = None
        self.moved: Callable[[float], None] | None = None

    def set(self, phase: str, until: float, allowed: float) -> None:
        """Set the deadline of `phase` to `until`, and update a waiting event loop."""
        if self.cancelled:
            raise Cancelled
        self.phase = phase
        self.until = until
        self.allowed = allowed
        if self.moved is not None:
            self.moved(until)

    def cancel(self) -> None:
        """Cancel the attempt, from any thread."""
        self.cancelled = True
        self.until = -math.inf
        if (interrupt := self.interrupt) is not None:
            with contextlib.suppress(Exception):  # the step may end in this very moment
                interrupt()

    def remaining(self) -> float:
        """Return the seconds left; 0 or less once it has passed."""
        return self.until - self.clock()


current: ContextVar[Deadline | None] = ContextVar("multiroute_limit", default=None)
"""The deadline of the running code."""
