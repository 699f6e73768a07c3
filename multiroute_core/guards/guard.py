"""Guard: checks what goes to a model and what comes back, and may rewrite, block or restrict it.

A guard sees one text at a time, with its origin. It returns a verdict, or None to let the text pass. A router asks its
guards in order before the cache, and in the opposite order after the answer.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, get_args

from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError, unknown
from multiroute_core.guards.identity import is_async_function, name_function

Origin: TypeAlias = Literal["system", "user", "assistant", "tool_result", "retrieved", "answer"]
"""Where a text comes from. `"assistant"` is an earlier answer in the history, `"retrieved"` a document or the result of
a provider's own tool, and `"answer"` what the model says now."""

AnswerPart: TypeAlias = Literal["text", "reasoning", "tool_call"]
"""What a text of an answer belongs to; `"tool_call"` is the arguments of one."""

ORIGINS: tuple[Origin, ...] = get_args(Origin)
INPUT: frozenset[Origin] = frozenset({"system", "user", "assistant", "tool_result", "retrieved"})
"""All origins but the answer."""

TIMEOUT_SECONDS = 5.0
"""Default of `Guard.timeout`."""


@dataclass(frozen=True, slots=True)
class GuardedText:
    """A text that a guard checks.

    Attributes:
        text: The text. Of a stream, what is held back and the new piece.
        origin: Where it comes from.
        tenant: The tenant of the call.
        role: The role of its message; `"assistant"` for an answer.
        is_complete: Whether it is the whole text. False in the middle of a stream.
        instructions: The system prompt of the request, for guards that compare an answer with it; empty if there is
            none.
        before: The last characters of a streamed answer that were given out before this text.
        part: What it belongs to, if it is a text of an answer.
        can_rewrite: Whether a `Rewrite` has an effect; False for the JSON of a streamed tool call, in which a new text
            is only flagged.
    """

    text: str = field(repr=False)
    origin: Origin
    tenant: str | None = None
    role: str = "user"
    is_complete: bool = True
    instructions: str = field(default="", repr=False)
    before: str = field(default="", repr=False)
    part: AnswerPart = "text"
    can_rewrite: bool = True


@dataclass(frozen=True, slots=True)
class Pass:
    """The text may pass. None means the same."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The text passes in another form.

    Attributes:
        text: The new text.
        reason: Why, in a few words without the content.
    """

    text: str = field(repr=False)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """The text passes, and a `GuardTriggered` event tells the hooks.

    Attributes:
        reason: Why, in a few words without the content.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """The request, or the answer, ends with a `GuardBlockedError`.

    Attributes:
        reason: Why, in a few words without the content.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Restrict:
    """Only routes with one of these tags may see the request. Of an answer it has no effect.

    Attributes:
        tags: Tags of `Route(tags=...)`.
        reason: Why, in a few words without the content.
    """

    tags: frozenset[str]
    reason: str

    def __init__(self, tags: str | Iterable[str], reason: str) -> None:
        object.__setattr__(self, "tags", frozenset({tags}) if isinstance(tags, str) else frozenset(tags))
        object.__setattr__(self, "reason", reason)


Verdict: TypeAlias = Pass | Rewrite | Flag | Block | Restrict
VERDICTS = get_args(Verdict)
Check: TypeAlias = Callable[[GuardedText], Verdict | Awaitable[Verdict | None] | None]
"""The check of a guard, sync or async."""


class StreamRestoring(Protocol):
    """Restores the text of a stream."""

    def feed(self, piece: str) -> str:
        """Return what can be given out after this piece."""
        ...

    def finish(self) -> str:
        """Return what was held back."""
        ...


class Masking(Protocol):
    """A reversible rewriting of one request: what it hides from the model, it restores in the answer."""

    def mask(self, text: str) -> str:
        """Return the text for the model."""
        ...

    def restore(self, text: str) -> str:
        """Return the text for the caller."""
        ...

    def stream(self, *, json: bool = False) -> StreamRestoring:
        """Return a restorer for one text of a stream.

        Args:
            json: Whether the text is JSON, in which a restored value has to be escaped.
        """
        ...


@dataclass(frozen=True, slots=True)
class Guard:
    """A check of texts on their way to a model and back.

    Args:
        check: Takes a `GuardedText`; returns a verdict, or None to let it pass. A sync or async function. It runs in a
            thread of its own, or on the running event loop if it is async. None if `masking` does the work.
        name: Its name in errors and events; the name of the function by default.
        origins: The origins of the texts that it checks; all but `"answer"` by default.
        on_error: What happens if the check raises an exception or takes longer than `timeout`: `"block"` ends the
            request, `"pass"` lets the text pass. An event tells it in both cases.
        timeout: Seconds for one check; 5 by default. The deadline of the call holds as well.
        window: Characters at the end of a streamed answer that are held back until more follows, so that what the check
            looks for is seen before its beginning is given out. None, the default, holds back the whole answer.
        inline: Whether the check, or the masking of a text, is so fast that it may run without a thread and a time
            limit.
        masking: Creates the reversible rewriting of one request from all of its texts.

    Raises:
        ConfigurationError: A value is invalid.

    Example:
        >>> def no_passwords(text):
        ...     return Block("a password") if "password:" in text.text else None
        >>> Guard(no_passwords).name
        'no_passwords'
    """

    check: Check | None
    name: str = ""
    origins: Collection[Origin] = INPUT
    on_error: Literal["block", "pass"] = "block"
    timeout: float = TIMEOUT_SECONDS
    window: int | None = None
    inline: bool = False
    masking: Callable[[Sequence[str]], Masking] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.check is None and self.masking is None:
            raise ConfigurationError("A Guard needs a check or a masking; got neither.")
        if self.check is not None and not callable(self.check):
            raise ConfigurationError(f"check={describe_value(self.check)} is not valid; expected a function.")
        names: tuple[Any, ...] = (self.origins,) if isinstance(self.origins, str) else tuple(self.origins)
        for origin in names:
            if origin not in ORIGINS:
                raise unknown("origin", origin, ORIGINS)
        object.__setattr__(self, "origins", frozenset(names))
        if self.on_error not in ("block", "pass"):
            raise ConfigurationError(
                f"on_error={describe_value(self.on_error)} is not valid; expected 'block' or 'pass'."
            )
        timeout: Any = self.timeout
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
            raise ConfigurationError(
                f"timeout={describe_value(timeout)} is not valid; expected seconds greater than 0."
            )
        window: Any = self.window
        if window is not None and (isinstance(window, bool) or not isinstance(window, int) or window < 0):
            raise ConfigurationError(f"window={describe_value(window)} is not valid; expected a number of characters.")
        if self.inline and self.is_async:
            raise ConfigurationError("inline=True is for functions that return at once; this check is async.")
        if not self.name:
            object.__setattr__(self, "name", name_function(self.check or self.masking))

    @property
    def is_async(self) -> bool:
        """Whether the check is an async function."""
        return is_async_function(self.check)

    @classmethod
    def of(cls, guard: Guard | Check) -> Guard:
        """Return a guard as it is, and a function as a guard with the default settings.

        Raises:
            ConfigurationError: It is neither.
        """
        if isinstance(guard, Guard):
            return guard
        if callable(guard) and not isinstance(guard, type):
            return cls(guard)
        raise ConfigurationError(f"{describe_value(guard)} is not a guard; expected a Guard or a function.")
