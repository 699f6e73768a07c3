"""The time limit of what is being awaited now.

On an event loop the loop cuts in when it passes. In sync code nobody can, so each read and write of the socket is given
only the time that is left; see `sockets`.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from contextvars import ContextVar

CONNECT_TIMEOUT = 5.0
"""Seconds for one TCP or TLS handshake, as the vendors' SDKs have it."""


MAX_RESPONSE_BYTES = 64 * 2**20
"""Bytes of one reply's body, decompressed, that are read by default: far more than the longest answer, and less than
what would exhaust a worker's memory."""


class Expired(TimeoutError):
    """The time limit of an awaited step passed."""


class Cancelled(BaseException):
    """The try was called off from another thread: what `asyncio.CancelledError` is on an event loop."""


class Deadline:
    """The time limit of one attempt; its owner moves it from phase to phase.

    Attributes:
        until: The moment, on `clock`, by which the awaited step must be done.
        phase: What is being waited for, in words, for the error message.
        allowed: How long it was allowed to take, in seconds.
        body_within: Seconds from a plain reply's headers to its first meaningful byte, so that a provider that only
            keeps the connection alive is left; None where the answer is a stream, whose chunks are watched one by one.
        max_bytes: How large the body of a reply may be, decompressed, in bytes; None is without limit.
        replied: Whether the head of a reply has come: what the SDK stumbles over after that is the reply's fault.
        cancelled: Whether the try was called off.
        interrupt: Wakes whoever blocks under this limit now; None where nobody does, or nobody can.
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
        """Allow until `until` for `phase`; a waiting event loop is told."""
        if self.cancelled:
            raise Cancelled
        self.phase = phase
        self.until = until
        self.allowed = allowed
        if self.moved is not None:
            self.moved(until)

    def cancel(self) -> None:
        """Call the try off, from any thread."""
        self.cancelled = True
        self.until = -math.inf
        if (interrupt := self.interrupt) is not None:
            with contextlib.suppress(Exception):  # it came back in this very moment
                interrupt()

    def remaining(self) -> float:
        """Seconds left; 0 or less when it has passed."""
        return self.until - self.clock()


current: ContextVar[Deadline | None] = ContextVar("multiroute_limit", default=None)
"""The limit under which the running code waits."""
