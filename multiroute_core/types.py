"""What goes in and what comes out: requests, responses, chunks, usage.

Everything here is a frozen, slotted dataclass: data, no behaviour beyond reading itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from multiroute_core.messages import InvalidToolCall, Message, Part, Reasoning, ToolCall, join
from multiroute_core.tools import OutputSchema, ReasoningOptions, ServerTool, Tool, ToolChoice

FinishReason: TypeAlias = Literal["stop", "length", "tool_call", "content_filter", "refusal", "pause", "other"]
"""`"pause"`: the vendor interrupted a long turn of its own tools; the same history, sent again, goes on."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a chat model, in no vendor's words.

    Attributes:
        messages: The conversation, oldest first; at least one.
        temperature: 0 (firm) to 2 (free); None leaves the model's default.
        max_tokens: Most tokens to generate, reasoning included; None leaves the model's limit.
        top_p: Nucleus sampling, 0 to 1.
        stop: Sequences that end the answer; they are not part of it.
        seed: For repeatable sampling, where a vendor offers it.
        tools: What the model may call.
        tool_choice: Whether it must; None leaves the model's default.
        parallel_tool_calls: Whether it may call several at once; None leaves the model's default.
        output_schema: The form that the answer must have.
        reasoning: How long to think.
        extra: What one vendor takes besides, by its provider, laid over the body as it is:
            `{"openai": {"service_tier": "flex"}}`.
    """

    messages: tuple[Message, ...]
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[Tool | ServerTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    output_schema: OutputSchema | None = None
    reasoning: ReasoningOptions | None = None
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages that are not system messages, for vendors that keep those apart.

        They want at least one turn, so a conversation of system messages only is the user's.
        """
        return tuple(m for m in self.messages if m.role != "system") or (Message("user", self._system()),)

    @property
    def instructions(self) -> str:
        """The system messages as one text, to go with `turns`; empty where they are the turn."""
        return self._system() if any(m.role != "system" for m in self.messages) else ""

    def _system(self) -> str:
        return "\n\n".join(text for m in self.messages if m.role == "system" and (text := m.text))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, in normal form. None means that the vendor did not say.

    Attributes:
        input_tokens: All tokens read: fresh ones, cache reads and cache writes.
        output_tokens: All tokens written, reasoning included.
        cache_read_tokens: Part of the input that came from the vendor's prompt cache.
        cache_write_tokens: Part of the input that was written to it.
        cache_write_1h_tokens: Part of the cache writes that is kept for an hour, where it is priced apart.
        reasoning_tokens: Part of the output that is reasoning.
        input_audio_tokens: Part of the input that is audio.
        output_audio_tokens: Part of the output that is audio.
        service_tier: In which tier the vendor answered, where that is not its standard one: `"flex"`, `"priority"`;
            prices differ by it.
        cache_read_audio_tokens: Part of the cache reads that is audio.
        input_image_tokens: Part of the input that is images, where the vendor counts them apart.
        output_image_tokens: Part of the output that is images.
        web_searches: Searches that the vendor ran for the answer and charges one by one.
        speed: `"fast"` where the vendor answered in a faster, dearer mode.
        stated_cost: What the provider itself says that the answer cost, in USD.
        other_models: Tokens of other models that the vendor asked on the way, such as an advisor, each with the
            model's name. They are not part of the counts above.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    service_tier: str | None = None
    cache_read_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    web_searches: int | None = None
    speed: str | None = None
    stated_cost: float | None = None
    other_models: tuple[tuple[str, Usage], ...] = ()

    @property
    def total_tokens(self) -> int:
        """Input and output tokens together, those of other models included; what is unknown counts as 0."""
        own = (self.input_tokens or 0) + (self.output_tokens or 0)
        if not self.other_models:
            return own
        return own + sum(usage.total_tokens for _, usage in self.other_models)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What happened on one try on one route.

    Attributes:
        route: The route's name.
        provider: Its provider.
        model: The model that was asked, or the one that answered where the vendor named it.
        outcome: `"success"`, `"cancelled"`, or the `kind` of the error: `"timeout"`, `"rate_limit"`, …
        seconds: From the start of the try to its end.
        first_token_seconds: From the start to the first meaningful chunk; None where none came.
        usage: Its tokens, where the vendor reported them.
        cost: In USD; None for unknown.
        estimated_usage: What it likely used where it ended in the middle, and the provider reported nothing or only the
            beginning: the prompt's tokens and those of what had arrived.
        estimated_cost: In USD, where `cost` is unknown: of `estimate`, or of `usage` by the vendor's list where a
            closed model answers at an unknown address; None for unknown.
        price_source: Where the price of its cost comes from, and since when it holds:
            `"genai-prices 0.2.3 (2026-10-03)"`, `"the route's own"`, `"stated by the provider"`, `"free"`, or
            `"an estimate by …"`; None where no cost is known.
        dropped: Parameters that the route cannot take and that were left out, each with the reason.
        error: The error in one sentence; None for an answer.
    """

    route: str
    provider: str
    model: str
    outcome: str
    seconds: float
    first_token_seconds: float | None = None
    usage: Usage | None = None
    cost: float | None = None
    dropped: tuple[str, ...] = ()
    error: str | None = None
    estimated_usage: Usage | None = None
    estimated_cost: float | None = None
    price_source: str | None = None

    @property
    def charged(self) -> float | None:
        """What budgets and the ledger are charged for the attempt, in USD.

        It is `cost` where that is known, or else `estimated_cost`; None where the route has no price, or nothing was
        used, as in an attempt that was refused.
        """
        return self.estimated_cost if self.cost is None else self.cost

    @property
    def estimated(self) -> bool:
        """Whether the tokens were not reported, or `charged` rests on the list price of a closed model's vendor."""
        return self.estimated_usage is not None or (self.cost is None and self.estimated_cost is not None)

    def summary(self) -> dict[str, Any]:
        """As plain JSON, without what is not known."""
        values = {
            "route": self.route,
            "model": self.model,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 6),
            "first_token_seconds": self.first_token_seconds and round(self.first_token_seconds, 6),
            "cost": self.cost,
            "estimated_cost": self.estimated_cost,
            "dropped": list(self.dropped) or None,
            "error": self.error,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, and what it took to get it.

    Attributes:
        parts: What the model said, in order.
        finish_reason: Why it ended, in normal form; None for the part of a stream that broke.
        usage: Its tokens; None where the vendor reported none.
        model: The model that answered, as the vendor names it.
        provider: The provider that answered.
        route: The name of the route that answered.
        cost: Of this answer, in USD by `genai-prices`; None for "unknown", never a guess.
        attempts: Every try of this request, the answering one last.
        cached: Whether it came from MultiRoute's own cache. Its usage and cost are 0 then.
        stale: Whether it is older than cached answers should be, and was given because no route could answer.
        saved_cost: What the cache spared, in USD.
        similarity: How near a cached question in other words is to the one that was asked, 0 to 1; None where the
            request was the same.
        raw: The vendor's own body for a whole answer; None for a streamed one.
    """

    parts: tuple[Part, ...]
    finish_reason: FinishReason | None
    usage: Usage | None
    model: str
    provider: str
    route: str
    cost: float | None = None
    attempts: tuple[Attempt, ...] = ()
    cached: bool = False
    stale: bool = False
    saved_cost: float | None = None
    similarity: float | None = None
    raw: Mapping[str, Any] | None = field(default=None, repr=False)

    def summary(self) -> dict[str, Any]:
        """What it took, as plain JSON: the route, the cost in USD, every attempt; and whether it was cached."""
        summary: dict[str, Any] = {
            "route": self.route,
            "cost": self.cost,
            "attempts": [attempt.summary() for attempt in self.attempts],
        }
        if self.cached:
            summary |= {"cached": True, "stale": self.stale, "saved_cost": self.saved_cost}
            if self.similarity is not None:
                summary["similarity"] = self.similarity
        return summary

    @property
    def text(self) -> str:
        """All text of the answer."""
        return join(self.parts)

    @property
    def reasoning(self) -> str:
        """All that the model showed of its thoughts."""
        return "".join(part.text for part in self.parts if isinstance(part, Reasoning))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools that the model asks for."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def invalid_tool_calls(self) -> tuple[InvalidToolCall, ...]:
        """Calls whose arguments are cut or malformed."""
        return tuple(part for part in self.parts if isinstance(part, InvalidToolCall))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a streamed answer.

    Attributes:
        parts: What is new since the last chunk: pieces of text and reasoning, and of tool calls as `ToolCallDelta`s.
        response: The whole answer so far complete; on the last chunk only.
        restarted: All that was said before is void: another route begins anew (`on_stream_error="restart"`).
    """

    parts: tuple[Part, ...] = ()
    response: Response | None = None
    restarted: bool = False

    @property
    def text(self) -> str:
        """The new text."""
        return join(self.parts)

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended; on the last chunk only."""
        return None if self.response is None else self.response.finish_reason

    @property
    def usage(self) -> Usage | None:
        """The answer's tokens; on the last chunk only."""
        return None if self.response is None else self.response.usage

    @property
    def model(self) -> str | None:
        """The model that answered; on the last chunk only."""
        return None if self.response is None else self.response.model

    @property
    def provider(self) -> str | None:
        """The provider that answered; on the last chunk only."""
        return None if self.response is None else self.response.provider

    @property
    def route(self) -> str | None:
        """The route that answered; on the last chunk only."""
        return None if self.response is None else self.response.route

    @property
    def cost(self) -> float | None:
        """The answer's cost in USD; on the last chunk only."""
        return None if self.response is None else self.response.cost

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every try of the request; on the last chunk only."""
        return () if self.response is None else self.response.attempts


@dataclass(frozen=True, slots=True)
class Delta:
    """What a provider's decoder makes of one event, or of a whole body: only what is new in it."""

    parts: tuple[Part, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None
    raw: Mapping[str, Any] | None = None
