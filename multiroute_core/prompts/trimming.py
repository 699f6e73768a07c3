"""Trimming rule: leaves out the oldest exchanges of a conversation that is over its token budget. Pure.

How this works: an exchange is a turn of the user (one or more messages) with all that follows up to the next one, so a
tool call and its results are never separated. The conversation is replayed from its beginning, message by message. When
it grows over the budget, so many of the oldest exchanges are left out that the rest has about `target` tokens. The cut
therefore depends only on what came before, and stays where it is until the budget is exceeded again: in between, each
request begins with the same bytes as the one before, which a provider's prompt cache requires
(https://platform.claude.com/docs/en/build-with-claude/prompt-caching, 2026-11-30).

System messages, the latest turn of the user and all that follows it always stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from multiroute_core.errors import PromptTooLongError
from multiroute_core.messages import Message

CountMessage: TypeAlias = Callable[[Message], int]


class Shortener(Protocol):
    """Shortens the messages of one conversation, one after another; what it does depends on those before."""

    def __call__(self, message: Message, /) -> Message: ...


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """How many tokens a prompt may have.

    Attributes:
        limit: The most tokens of the whole prompt.
        target: The tokens to which it is trimmed.
        overhead: The tokens of all that is not a message, such as the tools.
        reserve: The tokens for a summary of what is left out; 0 for none.
    """

    limit: int
    target: int
    overhead: int
    reserve: int = 0


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A conversation without its oldest exchanges.

    Attributes:
        cuts: For each time the budget was exceeded, the number of messages before the first that stays.
        messages: The remaining messages, shortened.
        tokens: The tokens of the remaining messages.
    """

    cuts: tuple[int, ...]
    messages: tuple[Message, ...]
    tokens: int


class _Window:
    """The part of a conversation that stays."""

    def __init__(self, shorten: Shortener, count: CountMessage) -> None:
        self._shorten = shorten
        self._count = count
        self.messages: list[Message] = []
        self.tokens = 0

    def add(self, message: Message) -> None:
        shortened = self._shorten(message)
        self.messages.append(shortened)
        self.tokens += self._count(shortened)


def trim(
    messages: Sequence[Message],
    budget: TokenBudget | None,
    build_shortener: Callable[[], Shortener],
    count: CountMessage,
) -> Trimmed:
    """Return a conversation without its oldest exchanges, as far as the budget requires it.

    Args:
        messages: The conversation.
        budget: The budget; None for none.
        build_shortener: Builds what shortens the messages that stay.
        count: Counts the tokens of a message.

    Raises:
        PromptTooLongError: What has to stay exceeds the budget.
    """

    def build_window(cut: int, end: int) -> _Window:
        window = _Window(build_shortener(), count)
        for place in range(end):
            if place >= cut or messages[place].role == "system":
                window.add(messages[place])
        return window

    window = _Window(build_shortener(), count)
    starts = find_exchanges(messages)
    cuts: list[int] = []
    for place, message in enumerate(messages):
        window.add(message)
        if budget is None:
            continue
        reserve = budget.reserve if cuts else 0
        if window.tokens + budget.overhead + reserve <= budget.limit:
            continue
        last_cut = cuts[-1] if cuts else 0
        candidates = [start for start in starts if last_cut < start <= place]
        # The fewest exchanges to leave out: the remaining tokens only fall from one candidate to the next.
        low = 0
        high = len(candidates) - 1
        while low < high:
            middle = (low + high) // 2
            remaining = build_window(candidates[middle], place + 1).tokens
            if remaining + budget.overhead + budget.reserve <= budget.target:
                high = middle
            else:
                low = middle + 1
        if candidates:
            cuts.append(candidates[low])
            window = build_window(candidates[low], place + 1)
    if budget is not None and (tokens := window.tokens + budget.overhead) > budget.limit:
        raise PromptTooLongError(tokens, budget.limit)
    return Trimmed(tuple(cuts), tuple(window.messages), window.tokens)


def find_exchanges(messages: Sequence[Message]) -> list[int]:
    """Return the places at which exchanges begin, but for the first: before it, nothing can be left out.

    Example:
        >>> conversation = [Message(role, "x") for role in ("system", "user", "assistant", "user", "user", "assistant")]
        >>> find_exchanges(conversation)
        [3]
    """
    starts: list[int] = []
    role = ""
    for place, message in enumerate(messages):
        if message.role == "system":
            continue
        if message.role == "user" and role not in ("", "user"):
            starts.append(place)
        role = message.role
    return starts
