"""Connection pool of an async HTTP client: the time of a call must not grow with the calls in flight.

httpcore 1 compares every connection with every other one, and asks the operating system about each idle one, at the
start and at the end of every request: with 128 calls in flight that takes several milliseconds of a call. So its pool
gets another `_assign_requests_to_connections`, a private name; without it the pool stays as it is. httpcore2 does not
need this.
"""

from __future__ import annotations

import functools
import time
from typing import Any

SWEEP_SECONDS = 1.0
"""Seconds between two searches for idle connections that have expired."""

_NAMES = ("_assign_requests_to_connections", "_connections", "_requests", "_max_connections")


def speed_up(pool: Any) -> None:
    """Make an async pool of httpcore 1 assign requests in linear time; other pools are left as they are."""
    is_supported = type(pool).__module__.partition(".")[0] == "httpcore" and all(hasattr(pool, name) for name in _NAMES)
    if is_supported and not isinstance(pool, _LinearPool):
        pool.__class__ = _linear(pool.__class__)


class _LinearPool:
    """A pool that looks at its connections once for all waiting requests, and for expired ones once a second."""

    _connections: list[Any]
    _requests: list[Any]
    _max_connections: int
    _next_sweep = 0.0

    def create_connection(self, origin: Any) -> Any:
        raise NotImplementedError  # httpcore's own comes first

    def _assign_requests_to_connections(self) -> list[Any]:
        """Give waiting requests their connections; returns the connections to close."""
        closing: list[Any] = []
        queue = [request for request in self._requests if request.is_queued()]
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            closing += [one for one in self._connections if not one.is_closed() and one.has_expired()]
        if queue or closing:
            closing_ids = {id(one) for one in closing}
            self._connections = [one for one in self._connections if not one.is_closed() and id(one) not in closing_ids]
        if not queue:
            return closing
        # An idle connection stays idle until the task of its request runs.
        assigned_ids = {id(request.connection) for request in self._requests}
        idle = [one for one in self._connections if one.is_available() and id(one) not in assigned_ids]
        for request in queue:
            connection = self._take(idle, request.request.url.origin, closing)
            if connection is None and len(self._connections) >= self._max_connections and idle:
                self._drop(idle.pop(0), closing)
            if connection is None and len(self._connections) < self._max_connections:
                connection = self.create_connection(request.request.url.origin)
                self._connections.append(connection)
            if connection is not None:
                request.assign_to_connection(connection)
        return closing

    def _take(self, idle: list[Any], origin: Any, closing: list[Any]) -> Any:
        """Take the idle connection to `origin` that was used last, and drop those found expired."""
        for place in range(len(idle) - 1, -1, -1):
            connection = idle[place]
            if not connection.can_handle_request(origin):
                continue
            del idle[place]
            if not connection.has_expired():
                return connection
            self._drop(connection, closing)
        return None

    def _drop(self, connection: Any, closing: list[Any]) -> None:
        self._connections.remove(connection)
        closing.append(connection)


@functools.cache
def _linear(pool_class: type) -> type:
    name = _NAMES[0]
    members = {"__module__": pool_class.__module__, name: getattr(_LinearPool, name)}
    return type(pool_class.__name__, (pool_class, _LinearPool), members)
