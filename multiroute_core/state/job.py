"""Job: one command for Redis, and its possible errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

Command: TypeAlias = "tuple[Any, ...] | Callable[[bool], tuple[Any, ...]]"
"""A command; or a function that builds it when it is sent, from whether it may already have been executed.

If a `Script` comes first, a tuple of its keys follows, and then its arguments.
"""

Listener: TypeAlias = Callable[[Any, BaseException | None], None]

_log = logging.getLogger("multiroute_core")


class Down(Exception):
    """Redis does not answer, or is known to be unavailable.

    Attributes:
        was_sent: Whether the command may have reached it all the same.
    """

    def __init__(self, message: str, *, was_sent: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class Refused(Exception):
    """Redis answered one command with an error, and is otherwise available."""


class Job:
    """One pending command.

    Args:
        command: The command.
        listener: Called once, with the reply or an error, in the multiplexer's thread; None for no callback.
        keep: Whether it is sent later if Redis is unavailable now.
        lazy: Whether it may wait to be batched.

    Attributes:
        maybe_executed: Whether it may already have been executed.
        dropped: Whether its caller has given up, so that it need not be sent.
        sends_text: Whether the text of its script is sent with it.
    """

    __slots__ = ("command", "dropped", "keep", "lazy", "listener", "maybe_executed", "sends_text")

    def __init__(
        self, command: Command, listener: Listener | None = None, *, keep: bool = False, lazy: bool = False
    ) -> None:
        self.command = command
        self.listener = listener
        self.keep = keep
        self.lazy = lazy
        self.maybe_executed = self.dropped = self.sends_text = False

    def finish(self, reply: Any, error: BaseException | None) -> None:
        """Call the listener, the first time only."""
        listener = self.listener
        self.listener = None
        if listener is not None:
            try:
                listener(reply, error)
            except Exception:
                _log.exception("A reply from Redis could not be processed.")
