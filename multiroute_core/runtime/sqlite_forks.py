"""SQLite connections and forks: a fork waits until no connection is in use, and closes them all.

SQLite's locks do not survive a fork. One that a thread of the parent holds inside SQLite stays locked in the child
forever, so that the child's next connection hangs; and a lock on a file that the parent holds counts as the child's
own (https://www.sqlite.org/howtocorrupt.html, section 2.6, 2026-11-30).
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from functools import partial
from typing import Any, Protocol

from multiroute_core.runtime import forks as forks  # noqa: PLC0414  (its hooks must be registered first)

PATIENCE_SECONDS = 10.0
"""Seconds for which a fork waits for each connection."""


class GuardedConnection(Protocol):
    """A connection that a fork closes. Its owner opens it again at the next use.

    Attributes:
        lock: Must be held while the connection is used, and must not be held while its owner waits for anything else
            than SQLite.
    """

    lock: Any

    def close(self) -> None:
        """Closes the connection, if it is open; the lock is held."""
        ...


opening = threading.RLock()  # a finalizer may open a connection while this thread opens another
"""Held while a connection is opened, so that the process does not fork meanwhile."""

_connections: dict[int, weakref.ref[Any]] = {}
_fork_locks: list[Any] = []


def close_at_fork(connection: GuardedConnection) -> None:
    """Closes `connection` before each fork, once its lock is free; a weak reference is kept."""
    key = id(connection)
    _connections[key] = weakref.ref(connection, partial(_forget, key))


def list_connections() -> list[Any]:
    """Returns the connections that exist."""
    return [connection for reference in list(_connections.values()) if (connection := reference()) is not None]


def _forget(key: int, reference: weakref.ref[Any]) -> None:
    if _connections.get(key) is reference:  # the id may have been reused
        _connections.pop(key, None)


def _before_fork() -> None:
    waited = list[Any]()
    while True:
        for connection in list_connections():
            if not any(connection is other for other in waited):
                waited.append(connection)
                _close(connection)
        if not opening.acquire(timeout=PATIENCE_SECONDS):
            return
        if len(list_connections()) <= len(waited):
            _fork_locks.append(opening)
            return
        opening.release()  # a connection was added meanwhile


def _close(connection: GuardedConnection) -> None:
    lock = connection.lock
    if lock.acquire(timeout=PATIENCE_SECONDS):
        _fork_locks.append(lock)
        with contextlib.suppress(Exception):  # the fork goes on, and other connections are closed too
            connection.close()


def _after_fork() -> None:
    while _fork_locks:
        _fork_locks.pop().release()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    # Importing `forks` above makes this run before its hook: work that holds `postponed` uses no SQLite.
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
