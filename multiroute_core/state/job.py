"""One command on its way to Redis, and how that may end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

Command: TypeAlias = "tuple[Any, ...] | Callable[[bool], tuple[Any, ...]]"
"""A command; or what makes it when it is sent, and is told whether it may have been carried out once already.

Where a `Script` stands first, a tuple of its keys follows, and then its arguments.
"""

Tell: TypeAlias = Callable[[Any, BaseException | None], None]

_log = logging.getLogger("multiroute_core")


class Down(Exception):
    """Redis does not answer, or is known not to.

    Attributes:
        asked: Whether the command may have reached it all the same.
    """

    def __init__(self, message: str, *, was_sent: bool = False) -> None:
        super().__init__(message)
        self.asked = was_sent


class Refused(Exception):
    """Redis answered one command with an error, and is well otherwise."""


class Job:
    """One command on its way.

    Args:
        command: What is sent.
        listener: Is called once, with the reply or an error, in the multiplexer's thread; None for nobody.
        keep: Whether it is sent later where Redis is away now.
        lazy: Whether it may wait for company.

    Attributes:
        again: Whether it may have been carried out already.
        dropped: Whether nobody waits for it any more, so that it need not be sent.
        whole: Whether the text of its script is sent with it.
    """

    __slots__ = ("again", "command", "dropped", "keep", "lazy", "listener", "whole")

    def __init__(
        self, command: Command, listener: Tell | None = None, *, keep: bool = False, lazy: bool = False
    ) -> None:
        self.command = command
        self.listener = listener
        self.keep = keep
        self.lazy = lazy
        self.again = self.dropped = self.whole = False

    def tell(self, reply: Any, error: BaseException | None) -> None:
        """Tell whoever listens, the first time."""
        listener = self.listener
        self.listener = None
        if listener is not None:
            try:
                listener(reply, error)
            except Exception:
                _log.exception("A reply of Redis could not be taken in.")
