"""What a request asks and what is answered, in no vendor's words; the four wires are read into it and written from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


class Refused(Exception):
    """A request that the vendor would not take: HTTP 400 with this sentence."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code


@dataclass
class Offered:
    """A tool that the caller offers."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass
class Call:
    """A tool call, asked for now or in an earlier turn. The id is the wire's to make."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass
class Result:
    """What a tool answered."""

    name: str
    text: str
    error: bool = False


@dataclass
class Turn:
    """One turn of the conversation; `seen` are the kinds of content besides text."""

    role: Literal["user", "assistant"]
    texts: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)


@dataclass
class Asked:
    """A request.

    Attributes:
        choice: `auto`, `none`, `required`, or `=name`.
        schema: The form demanded; an empty one is "JSON mode".
        thinking: Whether the model thinks first; `shown` whether it lets that be read.
        marked: Whether the caller marks what is to be cached; None where the vendor caches by itself.
    """

    model: str
    turns: list[Turn]
    system: str = ""
    tools: list[Offered] = field(default_factory=list)
    choice: str = "auto"
    parallel: bool = True
    schema: dict[str, Any] | None = None
    thinking: bool = False
    shown: bool = False
    stop: list[str] = field(default_factory=list)
    max_tokens: int | None = None
    stream: bool = False
    marked: bool | None = None


@dataclass
class Answer:
    """An answer. `finish`: `stop`, `length`, `tool`, `stop_sequence`."""

    text: str = ""
    thoughts: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str = "stop"
    stopped_by: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cache_read: int = 0
    cache_write: int = 0


def pieces(text: str, least: int = 3) -> list[str]:
    """`text` cut as a stream cuts it: into at least so many pieces, if it has as many characters."""
    size = max(1, min(12, len(text) // least))
    return [text[i : i + size] for i in range(0, len(text), size)]
