"""Semantic matcher: embeds a text, searches similar ones, returns the first that passes the lexical guards."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

from multiroute_core.cache.semantic.index import Near, SemanticIndex, Vector
from multiroute_core.cache.semantic.memory import MemoryIndex, numpy
from multiroute_core.cache.semantic.settings import SemanticCache
from multiroute_core.cache.semantic.veto import difference, normalised
from multiroute_core.cache.trouble import FailureLogger
from multiroute_core.runtime import forks
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO

REMEMBERED = 256
"""Number of recent vectors kept: a text that is not found is usually added a moment later."""


class SemanticMatcher:
    """Finds earlier questions with the same meaning.

    It never fails a request: errors are logged and count as no match.

    Args:
        settings: The settings of the semantic cache.
        index: The vector index. By default in this process.

    Raises:
        ConfigurationError: A required package is missing.

    Example:
        >>> matcher = SemanticMatcher(SemanticCache())  # doctest: +SKIP
        >>> await matcher.add(io, scope, "How do I reset my password?", key, 86_400.0)  # doctest: +SKIP
        >>> (await matcher.find(io, scope, "how can I reset my password")).key == key  # doctest: +SKIP
        True
    """

    def __init__(self, settings: SemanticCache | None = None, index: SemanticIndex | None = None) -> None:
        self.settings = settings or SemanticCache()
        self.index: SemanticIndex = index if index is not None else MemoryIndex()
        self._numpy, self._embed = numpy(), self.settings.load_embedder()
        self._known: OrderedDict[str, Vector | None] = OrderedDict()
        self._lock = threading.Lock()
        self._failures = FailureLogger()
        forks.renew(self, _lock=threading.Lock)

    async def find(self, io: IO, scope: str, text: str) -> Near | None:
        """Return an earlier question with the same meaning as `text` in this scope; None if there is none.

        Args:
            io: The IO of the call.
            scope: The key of everything else in the request. Requests that differ in it never match.
            text: The user's last message.
        """
        text = normalised(text)
        try:
            if (vector := await self._vector(io, text)) is None:
                return None
            candidates = await self.index.near(io, self._scope(scope), vector, self.settings.threshold)
        except Exception as error:
            self._failures.log("A semantic lookup failed", error)
            return None
        return next((near for near in candidates if difference(text, near.text) is None), None)

    async def add(self, io: IO, scope: str, text: str, key: str, seconds: float) -> None:
        """Store for `seconds` that the response to `text` is under `key`."""
        text = normalised(text)
        try:
            if (vector := await self._vector(io, text)) is not None:
                await self.index.add(io, self._scope(scope), vector, text, key, seconds)
        except Exception as error:
            self._failures.log("A question was not added to the semantic index", error)

    def close(self) -> None:
        """Close the resources of sync code."""
        self.index.close()

    async def aclose(self) -> None:
        """Close the resources of the running event loop."""
        await self.index.aclose()

    async def _vector(self, io: IO, text: str) -> Vector | None:
        if not text or len(text) > self.settings.max_chars:
            return None
        with self._lock:
            if text in self._known:
                self._known.move_to_end(text)
                return self._known[text]
        limit = Deadline(io.now)
        limit.set("an embedding", io.now() + self.settings.timeout, self.settings.timeout)
        vector = self._checked(await io.thread(limit, self._embed, [text]))
        with self._lock:
            self._known[text] = vector
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return vector

    def _checked(self, vectors: Any) -> Vector | None:
        """Validate the embedding and normalize it to length 1."""
        np = self._numpy
        if len(vectors) != 1:
            raise ValueError(f"embed returned {len(vectors)} vectors for one text.")
        vector = np.asarray(vectors[0], np.float32)
        if vector.ndim != 1:
            raise ValueError(f"embed returned an array of shape {vector.shape}; expected a vector.")
        length = float(np.linalg.norm(vector.astype(np.float64))) if len(vector) else 0.0
        if not np.isfinite(length):
            raise ValueError("embed returned a vector that is not finite.")
        return vector / length if length else None

    def _scope(self, scope: str) -> str:
        return hashlib.sha256(f"{self.settings.model}\0{scope}".encode()).hexdigest()
