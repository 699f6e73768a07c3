"""What a request may ask of a model besides words: tools, a form for the answer, and how long to think. Neutral."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from multiroute_core.messages import Api

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
EFFORTS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

CUSTOM_INPUT = "__arg1"
"""The argument that holds the text of a call of a custom tool of OpenAI's: LangChain's name for the argument of a tool
that takes one text (langchain-openai 1.7.4, `_construct_lc_result_from_responses_api`, read 2026-11-29)."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the caller can run.

    Attributes:
        name: Any text. Names of 1 to 64 letters, digits, `_` and `-` that begin with a letter are sent as they are;
            for vendors that refuse it, another name is sent and read back.
        description: What it does and when to use it.
        parameters: The JSON schema of its arguments, an object's.
        strict: Whether the arguments must follow the schema exactly, where the vendor offers that; None leaves it open.
        extras: What one vendor takes besides, by its provider: `{"anthropic": {"cache_control": …}}`.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    extras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool that its vendor runs, in the vendor's own words; no other vendor can be asked with it."""

    api: Api
    body: Mapping[str, Any]

    @property
    def is_custom(self) -> bool:
        """Whether it is a custom tool of OpenAI's: the caller runs it, with free text, and both wires take it."""
        return self.body.get("type") == "custom" and self.api in ("openai.chat", "openai.responses")


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the model must use a tool.

    Attributes:
        mode: `"auto"` as it likes, `"none"` not at all, `"required"` at least one, `"tool"` the one that `name` says.
        name: The tool's name, with `"tool"`.
    """

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The form that an answer must have.

    Attributes:
        schema: A JSON schema; None asks for any JSON object ("JSON mode").
        name: What it is called, in letters, digits, `_` and `-`.
        description: What it is, where the vendor takes that.
        strict: Whether it must be kept exactly, where the vendor offers that; None leaves it open.
    """

    schema: Mapping[str, Any] | None
    name: str = "answer"
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ReasoningOptions:
    """How long to think before the answer.

    Attributes:
        effort: From `"none"` to `"max"`; a vendor that has fewer steps gets the nearest one.
        budget_tokens: Most tokens to think with, for models that count them; others get the nearest effort.
        summary: Whether the caller wants to read what was thought, where the vendor shows it.
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    summary: bool = False
