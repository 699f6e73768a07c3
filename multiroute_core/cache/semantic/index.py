"""The vector index interface of the semantic cache: similarity search within a scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from multiroute_core.runtime.io import IO

Vector: TypeAlias = Any
"""A one-dimensional numpy array of floats with length 1: the dot product of two is their cosine similarity."""

COUNT = 8
"""Maximum number of matches examined: the nearest may have a different meaning."""


@dataclass(frozen=True, slots=True)
class Near:
    """A similar earlier question.

    Attributes:
        key: The cache key of its response.
        text: The question, normalized.
        similarity: The cosine similarity of the vectors, -1 to 1.
    """

    key: str
    text: str
    similarity: float


class SemanticIndex(Protocol):
    """Stores vectors by scope; a search never returns vectors of another scope.

    The methods are async in form, as those of `Cache` are. Exceptions are logged and count as no match.
    """

    async def near(self, io: IO, scope: str, vector: Vector, threshold: float) -> Sequence[Near]:
        """Return up to `COUNT` vectors in the scope with a similarity of at least `threshold`, the nearest first."""
        ...

    async def add(self, io: IO, scope: str, vector: Vector, text: str, key: str, seconds: float) -> None:
        """Store a vector for `seconds`, replacing an earlier one with the same scope and key."""
        ...

    def close(self) -> None:
        """Close the resources of sync code."""
        ...

    async def aclose(self) -> None:
        """Close the resources of the running event loop."""
        ...
