"""Tools, structured output and reasoning settings of a request, independent of any provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from multiroute_core.messages import Api

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
EFFORTS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

CUSTOM_INPUT = "__arg1"
"""The argument that holds the text input of an OpenAI custom tool call: LangChain's name for the argument of a
single-input tool (langchain-openai 1.7.4, `_construct_lc_result_from_responses_api`, read 2026-11-29)."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the caller runs.

    Attributes:
        name: Any text. Names of 1 to 64 letters, digits, `_` and `-` that begin with a letter are sent as they are; for
            providers that reject a name, a substitute is sent and mapped back.
        description: What it does and when to use it.
        parameters: The JSON schema of its arguments; its type is object.
        strict: Whether the arguments must follow the schema exactly, where the provider supports that; None uses its
            default.
        extras: Provider-specific fields, by provider: `{"anthropic": {"cache_control": …}}`.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    extras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool that the provider runs, in the provider's own format; only routes with that API support it."""

    api: Api
    body: Mapping[str, Any]

    @property
    def is_custom(self) -> bool:
        """Whether it is an OpenAI custom tool: the caller runs it, with free text, and both OpenAI APIs support it."""
        return self.body.get("type") == "custom" and self.api in ("openai.chat", "openai.responses")


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the model must call a tool.

    Attributes:
        mode: `"auto"` lets the model decide, `"none"` allows no call, `"required"` requires at least one, `"tool"`
            requires the tool `name`.
        name: The tool's name, with `"tool"`.
    """

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The schema of structured output.

    Attributes:
        schema: A JSON schema; None requests any JSON object ("JSON mode").
        name: The schema's name: letters, digits, `_` and `-`.
        description: A description, where the provider supports one.
        strict: Whether the output must follow the schema exactly, where the provider supports that; None uses its
            default.
    """

    schema: Mapping[str, Any] | None
    name: str = "answer"
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ReasoningOptions:
    """How much the model reasons before its answer.

    Attributes:
        effort: From `"none"` to `"max"`; a provider with fewer levels gets the nearest one.
        budget_tokens: Maximum number of reasoning tokens, for models that support a budget; others get the nearest
            effort.
        summary: Whether the caller wants the reasoning text, where the provider returns it.
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    summary: bool = False


@dataclass(frozen=True, slots=True)
class FallbackCredit:
    """A provider's credit for sending a refused request to another of its models.

    Attributes:
        token: The provider's opaque token.
        account: Digest of the account that it was issued for; no other may use it.
        model: The model that refused.
    """

    token: str = field(repr=False)
    account: str
    model: str


@dataclass(frozen=True, slots=True)
class PromptCaching:
    """How a request uses the providers' prompt caches: the option `prompt_cache`, where it is set.

    Attributes:
        mode: True, `"1h"` for the longer expiry, or False for none of the router's marks.
        tenant: The tenant of the call; tenants never share a key.
        credit: A refusal's credit, for the retry on another model.
    """

    mode: bool | Literal["1h"]
    tenant: str | None = None
    credit: FallbackCredit | None = None
