"""In-memory vector index: exact search over all vectors, fast enough for tens of thousands."""

from __future__ import annotations

import importlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from multiroute_core.cache.semantic.index import COUNT, Near, Vector
from multiroute_core.errors import ConfigurationError
from multiroute_core.options import invalid
from multiroute_core.runtime import forks
from multiroute_core.runtime.io import IO

ROUNDING = 1e-6
"""Tolerance for rounding errors of dot products in 32 bits."""


class MemoryIndex:
    """A vector index in this process.

    Args:
        max_entries: Maximum number of vectors over all scopes; the oldest are evicted first. 10,000 by default: about
            16 MB with 384 dimensions, and one to a few milliseconds per search.

    Raises:
        ConfigurationError: `max_entries` is not a whole number above 0, or numpy is missing.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        if isinstance(max_entries, bool) or not isinstance(max_entries, int) or max_entries < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("max_entries", max_entries, "an integer of at least 1")
        self.max_entries = max_entries
        self._numpy = numpy()
        self._shelves: dict[str, _Shelf] = {}
        self._order: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()
        forks.renew(self, _lock=threading.Lock)

    def __len__(self) -> int:
        return len(self._order)

    async def near(self, io: IO, scope: str, vector: Vector, threshold: float) -> Sequence[Near]:
        with self._lock:
            shelf = self._shelves.get(scope)
            if shelf is None or shelf.rows.shape[1] != len(vector):
                return ()
            for key in shelf.over(io.now()):
                self._drop(scope, key)
            return shelf.near(vector, threshold)

    async def add(self, io: IO, scope: str, vector: Vector, text: str, key: str, seconds: float) -> None:
        with self._lock:
            self._drop(scope, key)
            shelf = self._shelves.get(scope)
            if shelf is None or shelf.rows.shape[1] != len(vector):
                for other in list(shelf.keys) if shelf is not None else ():
                    self._drop(scope, other)
                shelf = self._shelves[scope] = _Shelf(self._numpy, len(vector))
            shelf.add(vector, text, key, io.now() + seconds)
            self._order[scope, key] = None
            while len(self._order) > self.max_entries:
                self._drop(*next(iter(self._order)))

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    def _drop(self, scope: str, key: str) -> None:
        if (scope, key) in self._order:
            del self._order[scope, key]
            shelf = self._shelves[scope]
            shelf.drop(key)
            if not shelf.keys:
                del self._shelves[scope]


class _Shelf:
    """The vectors of one scope: rows of an array that grows by doubling. A removed row is replaced by the last one."""

    def __init__(self, np: Any, size: int) -> None:
        self._np = np
        self.rows = np.empty((4, size), np.float32)
        self.until = np.empty(4)
        self.keys: list[str] = []
        self.texts: list[str] = []
        self._places: dict[str, int] = {}

    def near(self, vector: Vector, threshold: float) -> list[Near]:
        np = self._np
        similar = np.minimum(self.rows[: len(self.keys)] @ vector.astype(np.float32, copy=False), 1.0)
        indices = np.flatnonzero(similar >= threshold - ROUNDING)
        best: list[int] = indices[np.argsort(-similar[indices], kind="stable")][:COUNT].tolist()
        return [Near(self.keys[row], self.texts[row], float(similar[row])) for row in best]

    def over(self, now: float) -> list[str]:
        """Return the keys of expired vectors."""
        rows: list[int] = self._np.flatnonzero(self.until[: len(self.keys)] <= now).tolist()
        return [self.keys[row] for row in rows]

    def add(self, vector: Vector, text: str, key: str, until: float) -> None:
        row = self._places[key] = len(self.keys)
        if row == len(self.until):
            self.rows = self._np.concatenate((self.rows, self._np.empty_like(self.rows)))
            self.until = self._np.concatenate((self.until, self._np.empty_like(self.until)))
        self.rows[row] = vector
        self.until[row] = until
        self.keys.append(key)
        self.texts.append(text)

    def drop(self, key: str) -> None:
        row = self._places.pop(key)
        last = self.keys.pop()
        text = self.texts.pop()
        if row < len(self.keys):
            self.rows[row] = self.rows[len(self.keys)]
            self.until[row] = self.until[len(self.keys)]
            self.keys[row] = last
            self.texts[row] = text
            self._places[last] = row


def numpy() -> Any:
    """Import numpy on first use."""
    try:
        return importlib.import_module("numpy")
    except ImportError as error:
        raise ConfigurationError(
            f"The semantic cache needs a package that is not installed ({error}); "
            "run: pip install 'multiroute-llm[semantic]', or install only numpy and pass your own embedding function."
        ) from error
