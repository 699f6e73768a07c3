"""`SemanticCache`: the settings of the semantic cache."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.options import invalid, seconds

Embed: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Embeds texts: returns one vector per text, an empty one for a text that cannot be compared."""

THRESHOLD = 0.95
"""For the bundled model; see `docs/semantic.md`."""

MAX_CHARS = 300
"""The longest texts that the threshold was calibrated on. In longer texts, a word that changes the meaning has little
effect on the vector."""

EMBED_SECONDS = 2.0


@dataclass(frozen=True, slots=True, init=False)
class SemanticCache:
    """Settings of the semantic cache, which finds responses to paraphrases.

    A match is occasionally wrong; see `docs/semantic.md`.

    Two requests match only if they are identical except for the user's last message, and that is plain text.

    Args:
        embed: A function that returns one vector per text; called in a separate thread. By default the model bundled
            with `multiroute-llm[semantic]`, which reads English.
        threshold: Minimum cosine similarity of the vectors, 0 to 1, for a match. 0.95 by default. Required for a
            function of your own: `python -m benchmarks.semantic --embed module:function` shows what each threshold
            costs.
        model: The name of the vector space: vectors of different spaces are never compared. By default the function's
            name; give a name that changes when the model does.
        max_chars: Maximum length of a text that is compared, in characters. 300 by default, the longest that the
            threshold was calibrated on.
        timeout: Seconds that `embed` may take; after that, the request proceeds without a match. 2 by default.

    Raises:
        ConfigurationError: A value is out of range, or `embed` is not a plain function.

    Example:
        >>> SemanticCache(threshold=0.96)
        SemanticCache(model='all-MiniLM-L6-v2-int8', threshold=0.96, max_chars=300, timeout=2.0)
    """

    embed: Embed | None = field(repr=False)
    model: str
    threshold: float
    max_chars: int
    timeout: float

    def __init__(
        self,
        embed: Embed | None = None,
        *,
        threshold: float | None = None,
        model: str | None = None,
        max_chars: int = MAX_CHARS,
        timeout: float = EMBED_SECONDS,
    ) -> None:
        if embed is not None:
            if not callable(embed) or inspect.iscoroutinefunction(embed):
                raise invalid(
                    "embed", embed, "a synchronous function that takes a list of texts and returns their vectors"
                )
            if threshold is None:
                raise ConfigurationError(
                    "SemanticCache(embed=...) needs a threshold, because each model has its own scale; "
                    "`python -m benchmarks.semantic --embed module:function` measures it."
                )
        number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
        if threshold is not None and not (number and 0.0 < threshold <= 1.0):
            raise invalid("threshold", threshold, "a number greater than 0 and at most 1")
        if isinstance(max_chars, bool) or not isinstance(max_chars, int) or max_chars < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("max_chars", max_chars, "an integer of at least 1")
        from multiroute_core.cache.semantic.minilm import NAME

        values: dict[str, Any] = {
            "embed": embed,
            "model": model or (NAME if embed is None else _name(embed)),
            "threshold": THRESHOLD if threshold is None else float(threshold),
            "max_chars": max_chars,
            "timeout": seconds("timeout", timeout),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def load_embedder(self) -> Embed:
        """Return the embedding function.

        Raises:
            ConfigurationError: A required package is missing.
        """
        if self.embed is not None:
            return self.embed
        from multiroute_core.cache.semantic.minilm import MiniLM

        return MiniLM()


def _name(embed: Embed) -> str:
    function: Any = getattr(embed, "func", embed)  # a `functools.partial`
    if not hasattr(function, "__qualname__"):
        function = cast("type[Any]", type(function))
    return f"{function.__module__}.{function.__qualname__}"
