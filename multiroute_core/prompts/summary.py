"""Summaries that take the place of the exchanges that are left out.

How this works: each cut has one summary. That of the first cut is made of the messages before it, each later one of the
summary before and the messages that are left out in addition, so its input stays short however long the conversation
is. Summaries are remembered by what they stand for, so a prompt begins with the same text while its cut stays the same.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from multiroute_core.guards.acceptance import JudgeRouter
from multiroute_core.messages import Blob, Message, Reasoning, Text, ToolCall, ToolCallResponse, every
from multiroute_core.prompts.edits import CountText

Summarize: TypeAlias = Callable[[tuple[Message, ...]], Any]
"""Takes the messages that are left out; returns a text or a `Response`, or an awaitable of one. Sync or async."""

AskSummary: TypeAlias = Callable[[tuple[Message, ...]], Awaitable[Any]]

TITLE = "Summary of the earlier conversation:\n\n"
"""What stands before a summary."""

INSTRUCTIONS = (
    "Summarize the conversation that follows for a colleague who continues it. State what the user wants, facts, "
    "names, numbers, decisions and open questions; leave out greetings. Answer with the summary only."
)
"""Default instructions of `summarize_with`."""


class SummaryMemory:
    """The summaries of one router, by what they stand for: the latest few hundred, in this process only.

    Args:
        size: The most summaries to remember.
    """

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._summaries: OrderedDict[bytes, str] = OrderedDict()

    def get(self, key: bytes) -> str | None:
        """Return the summary of `key`; None if there is none."""
        summary = self._summaries.get(key)
        if summary is not None:
            with contextlib.suppress(KeyError):  # another thread may have removed it
                self._summaries.move_to_end(key)
        return summary

    def remember(self, key: bytes, summary: str) -> str:
        """Remember a summary; return the one that was remembered first, so that all callers use the same."""
        summary = self._summaries.setdefault(key, summary)
        while len(self._summaries) > self._size:
            self._summaries.popitem(last=False)
        return summary


async def summarize_cuts(
    messages: Sequence[Message],
    cuts: Sequence[int],
    ask: AskSummary,
    memory: SummaryMemory,
    *,
    finish: Callable[[str], str],
) -> str:
    """Return the summary of the messages before the last cut; empty if it says nothing.

    Args:
        messages: The conversation.
        cuts: The places of the cuts, in order.
        ask: Asks for a summary.
        memory: The summaries so far.
        finish: Brings a summary into its final form.

    Raises:
        TypeError: The answer is not a text.
    """
    segments: list[tuple[Message, ...]] = []
    keys: list[bytes] = []
    key = b""
    start = 0
    for cut in cuts:
        removed = tuple(message for message in messages[start:cut] if message.role != "system")
        key = _digest(key, removed)
        segments.append(removed)
        keys.append(key)
        start = cut
    summary = ""
    first = 0
    for place in range(len(keys) - 1, -1, -1):
        if (remembered := memory.get(keys[place])) is not None:
            summary = remembered
            first = place + 1
            break
    for place in range(first, len(keys)):
        before = (to_message(summary),) if summary else ()
        summary = memory.remember(keys[place], finish(_read(await ask((*before, *segments[place])))))
    return summary


def to_message(summary: str) -> Message:
    """Return the message that holds a summary. It is the user's: a system message would raise its authority."""
    return Message("user", TITLE + summary)


def fit(text: str, limit: int, count: CountText) -> str:
    """Return the beginning of a text that has at most `limit` tokens."""
    text = text.strip()
    while text and (tokens := count(text)) > limit:
        text = text[: min(len(text) - 1, len(text) * limit // tokens)].rstrip()
    return text


def _read(answer: Any) -> str:
    text = answer if isinstance(answer, str) else getattr(answer, "text", None)
    if not isinstance(text, str):
        raise TypeError(f"summarize returned {type(answer).__name__} instead of a text or a Response.")
    return text


def _digest(key: bytes, messages: Sequence[Message]) -> bytes:
    digest = hashlib.sha256(key)
    for message in messages:
        digest.update(repr(message).encode("utf-8", "surrogatepass") + b"\0")
    for part in every(messages):
        if isinstance(part, Blob):
            digest.update(hashlib.sha256(part.data).digest())
    return digest.digest()


@dataclass(frozen=True, slots=True)
class RouterSummary:
    """A function for `summarize=` that asks a router; `summarize_with` builds it."""

    router: JudgeRouter
    instructions: str
    max_tokens: int = field(default=1_000)

    def __call__(self, messages: tuple[Message, ...]) -> Any:
        """Return the summary of `messages`."""
        return self.router.generate(to_transcript(messages), system=self.instructions, max_tokens=self.max_tokens).text


def summarize_with(router: JudgeRouter, *, instructions: str = INSTRUCTIONS, max_tokens: int = 1_000) -> RouterSummary:
    """Return a function for `PromptOptimizer(summarize=...)` that asks a router for the summary.

    Args:
        router: The router, such as one of a cheap model. It should not have a `prompt_optimizer` that trims.
        instructions: The system prompt.
        max_tokens: The most tokens of the summary, 1,000 by default; the optimizer shortens a longer one than fits.

    Example:
        >>> summarize = summarize_with(Router("openai:gpt-4.1-mini"))  # doctest: +SKIP
        >>> PromptOptimizer(max_tokens=50_000, summarize=summarize)  # doctest: +SKIP
    """
    return RouterSummary(router, instructions, max_tokens)


def to_transcript(messages: Sequence[Message]) -> str:
    r"""Return a conversation as one text, with a line before each message that names its role.

    Example:
        >>> to_transcript([Message("user", "Hello")])
        '[user]\nHello'
    """
    return "\n\n".join(f"[{message.role}]\n{_render(message)}" for message in messages)


def _render(message: Message) -> str:
    lines: list[str] = []
    for part in message.parts:
        if isinstance(part, Text | ToolCallResponse):
            lines.append(part.text)
        elif isinstance(part, ToolCall):
            lines.append(f"(calls {part.name} with {dict(part.arguments)!r})")
        elif not isinstance(part, Reasoning):
            lines.append(f"({type(part).__name__})")
    return "\n".join(lines)
