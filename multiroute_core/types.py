"""The data model: requests, responses, stream chunks, usage.

Everything here is a frozen, slotted dataclass: data without behavior beyond derived properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from multiroute_core.display import card
from multiroute_core.display.blocks import Block, Paragraph, Picture
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import usd
from multiroute_core.display.text import printable, shorten
from multiroute_core.messages import Blob, File, InvalidToolCall, Message, Part, Reasoning, Text, ToolCall, Uri, join
from multiroute_core.tools import OutputSchema, PromptCaching, ReasoningOptions, ServerTool, Tool, ToolChoice

FinishReason: TypeAlias = Literal["stop", "length", "tool_call", "content_filter", "refusal", "pause", "other"]
"""`"pause"`: the provider interrupted a long turn of its server tools; sending the same history again continues it."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a chat model, independent of any provider.

    Attributes:
        messages: The conversation, oldest first; at least one.
        temperature: 0 (deterministic) to 2 (random); None uses the model's default.
        max_tokens: Maximum number of tokens to generate, reasoning included; None uses the model's limit.
        top_p: Nucleus sampling, 0 to 1.
        stop: Sequences that end the response; they are not part of it.
        seed: Seed for repeatable sampling, where a provider supports it.
        tools: The tools that the model may call.
        tool_choice: Whether the model must call a tool; None uses the model's default.
        parallel_tool_calls: Whether the model may call several tools at once; None uses the model's default.
        output_schema: The schema of structured output.
        reasoning: How much the model reasons.
        extra: Provider-specific options by provider, merged into the request body as they are: `{"openai":
            {"service_tier": "flex"}}`.
        prompt_cache: How the providers' prompt caches are used; None for the defaults. It changes costs, never the
            meaning of the request.
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
    prompt_cache: PromptCaching | None = None

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages that are not system messages, for providers that take those separately.

        These require at least one turn, so a conversation of system messages only becomes a user message.
        """
        return tuple(m for m in self.messages if m.role != "system") or (Message("user", self._system()),)

    @property
    def instructions(self) -> str:
        """The system messages as one text, to accompany `turns`; empty if they are the turn themselves."""
        return self._system() if any(m.role != "system" for m in self.messages) else ""

    def _system(self) -> str:
        return "\n\n".join(text for m in self.messages if m.role == "system" and (text := m.text))


@dataclass(frozen=True, slots=True)
class Usage:
    """Normalized token counts of one response. None means that the provider did not report the value.

    Attributes:
        input_tokens: All input tokens: uncached tokens, cache reads and cache writes.
        output_tokens: All output tokens, reasoning included.
        cache_read_tokens: Part of the input that was read from the provider's prompt cache.
        cache_write_tokens: Part of the input that was written to it.
        cache_write_1h_tokens: Part of the cache writes that is kept for an hour, where it has a separate price.
        reasoning_tokens: Part of the output that is reasoning.
        input_audio_tokens: Part of the input that is audio.
        output_audio_tokens: Part of the output that is audio.
        service_tier: The provider's service tier if it is not the standard one: `"flex"`, `"priority"`; prices depend
            on it.
        cache_read_audio_tokens: Part of the cache reads that is audio.
        input_image_tokens: Part of the input that is images, where the provider counts them separately.
        output_image_tokens: Part of the output that is images.
        web_searches: Web searches that the provider ran for the response and charges individually.
        speed: `"fast"` if the provider used a faster, more expensive mode.
        stated_cost: The cost of the response as reported by the provider, in USD.
        other_models: Tokens of other models that the provider called for the response, such as an advisor, each with
            the model's name, or an image model. They are not part of the counts above.
        inference_geo: `"us"` if the response was restricted to servers in the USA, which costs more at Anthropic.
        file_searches: Searches in the caller's files that OpenAI ran for the response and charges individually.
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
    inference_geo: str | None = None
    file_searches: int | None = None

    @property
    def total_tokens(self) -> int:
        """Input plus output tokens, those of other models included; unknown counts are 0."""
        own = (self.input_tokens or 0) + (self.output_tokens or 0)
        if not self.other_models:
            return own
        return own + sum(usage.total_tokens for _, usage in self.other_models)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of one attempt on one route.

    Attributes:
        route: The route's name.
        provider: The route's provider.
        model: The requested model, or the model reported by the provider.
        outcome: `"success"`, `"cancelled"`, or the `code` of the error: `"timeout"`, `"rate_limit"`, …
        seconds: Duration of the attempt.
        first_token_seconds: Time from the start to the first meaningful chunk; None if there was none.
        usage: Token counts, if the provider reported them.
        cost: In USD; None if unknown.
        dropped: Parameters that the route does not support and that were dropped, each with the reason.
        error: The error in one sentence; None on success, unless `fallback_on` counts the answer as a failure.
        estimated_usage: Estimated usage of an attempt that ended early, where the provider reported nothing or only the
            beginning: the tokens of the prompt and of the output received.
        estimated_cost: In USD, if `cost` is unknown: of `estimated_usage`, or of `usage` at the vendor's list price
            where a closed model is served from an unknown address; None if unknown.
        price_source: Where the price behind the cost comes from, and since when it is valid: `"genai-prices 0.2.3
            (2026-10-03)"`, `"the route's own"`, `"stated by the provider"`, `"free"`, or `"an estimate by …"`; None if
            no cost is known.
        started_after: Seconds from the start of the request to the start of the attempt; None if unknown.
        prompt_cache_saving: What the provider's prompt cache saved in USD: cheaper reads minus dearer writes, compared
            with input that is not cached. Negative if the writes outweigh the reads; None if unknown.
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
    started_after: float | None = None
    prompt_cache_saving: float | None = None

    @property
    def charged(self) -> float | None:
        """The amount charged to budgets and the ledger for the attempt, in USD.

        It is `cost` if known, otherwise `estimated_cost`; None if the route has no price or nothing was used, as in a
        rejected attempt.
        """
        return self.estimated_cost if self.cost is None else self.cost

    @property
    def estimated(self) -> bool:
        """Whether the token counts are estimates, or `charged` uses the list price of a closed model's vendor."""
        return self.estimated_usage is not None or (self.cost is None and self.estimated_cost is not None)

    def summary(self) -> dict[str, Any]:
        """Serialize to plain JSON, without unknown values."""
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


@dataclass(frozen=True, slots=True, repr=False)
class Response(Displayable):
    """A complete response, and how it was obtained.

    Shows itself as a card, in notebooks and when printed: the text, the figures, and a timeline of the attempts.

    Attributes:
        parts: The model's output, in order.
        finish_reason: Why the output ended, normalized; None for the partial response of an interrupted stream.
        usage: Token counts; None if the provider reported none.
        model: The model's name as reported by the provider.
        provider: The provider that returned the response.
        route: The name of the route that returned the response.
        cost: Cost of this response, in USD by `genai-prices`; None if unknown, never a guess.
        attempts: Every attempt of this request, the successful one last.
        cached: Whether it comes from MultiRoute's own cache. Its usage and cost are 0 then.
        stale: Whether it is past its TTL and was served because all routes failed.
        saved_cost: The cost that the cache saved, in USD.
        similarity: Similarity between the request and the paraphrase found in the semantic cache, 0 to 1; None for an
            identical request.
        raw: The provider's response body; None if streamed.
        prompt_cache_saving: What the provider's prompt cache saved in USD, as in `Attempt`; 0.0 from MultiRoute's own
            cache.
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
    prompt_cache_saving: float | None = None

    def summary(self) -> dict[str, Any]:
        """Serialize to plain JSON: the route, the cost in USD, every attempt, and whether it was cached."""
        summary: dict[str, Any] = {
            "route": self.route,
            "cost": self.cost,
            "attempts": [attempt.summary() for attempt in self.attempts],
        }
        if self.cached:
            summary |= {"cached": True, "stale": self.stale, "saved_cost": self.saved_cost}
            if self.similarity is not None:
                summary["similarity"] = self.similarity
        if self.prompt_cache_saving:
            summary["prompt_cache_saving"] = self.prompt_cache_saving
        return summary

    @property
    def text(self) -> str:
        """All text of the response."""
        return join(self.parts)

    @property
    def reasoning(self) -> str:
        """All reasoning text that the model returned."""
        return "".join(part.text for part in self.parts if isinstance(part, Reasoning))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in the response."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def invalid_tool_calls(self) -> tuple[InvalidToolCall, ...]:
        """Tool calls with truncated or malformed arguments."""
        return tuple(part for part in self.parts if isinstance(part, InvalidToolCall))

    def __repr__(self) -> str:
        text = printable(shorten(self.text, 40))
        figures = f"route={self.route!r}, model={self.model!r}, cost={_round(self.cost)}, attempts={len(self.attempts)}"
        calls = f", tool_calls={[call.name for call in self.tool_calls]!r}" if self.tool_calls else ""
        cached = ", cached=True" if self.cached else ""
        return f"Response({text!r}{calls}, {figures}{cached})"

    def _display(self) -> list[Block]:
        usage = self.usage or Usage()
        cost = usd(self.cost)
        counts = card.tokens(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens)
        if self.cached:
            cost = f"{'stale' if self.stale else 'cached'}; it cost {usd(self.saved_cost)}"
            counts = ""
        facts = card.facts(
            ("route", self.route),
            ("model", self.model),
            ("cost", cost),
            ("prompt cache", card.prompt_cache_saving(self.prompt_cache_saving)),
            ("tokens", counts),
            ("similarity", "" if self.similarity is None else f"{self.similarity:.2f}"),
            ("finish", self.finish_reason or "interrupted"),
        )
        timeline = [card.timeline(self.attempts)] if self.attempts else []
        return [*_show_parts(self.parts), facts, *timeline]


def _round(cost: float | None) -> str:
    return "None" if cost is None else f"{cost:.6g}"


_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_LARGEST_PICTURE = 2 * 1024 * 1024
"""Bytes of a picture that a card shows."""


def _show_parts(parts: tuple[Part, ...]) -> list[Block]:
    """Return what a card shows of a response's parts."""
    blocks: list[Block] = []
    if reasoning := "".join(part.text for part in parts if isinstance(part, Reasoning)):
        blocks.append(Paragraph(f"Reasoning: {shorten(' '.join(reasoning.split()), 300)}", soft=True))
    if text := join(parts):
        blocks.append(card.excerpt(text))
    for part in parts:
        if isinstance(part, ToolCall):
            arguments = ", ".join(f"{name}={value!r}" for name, value in part.arguments.items())
            blocks.append(Paragraph(f"→ {part.name}({shorten(arguments, 300)})"))
        elif isinstance(part, InvalidToolCall):
            blocks.append(Paragraph(f"→ {part.name}: {part.error} {shorten(part.arguments, 100)}"))
        elif isinstance(part, Blob):
            label = f"[{part.mime_type}, {len(part.data):,} bytes]"
            if part.mime_type in _PICTURES and len(part.data) <= _LARGEST_PICTURE:
                blocks.append(Picture(part.data, part.mime_type, label))
            else:
                blocks.append(Paragraph(label, soft=True))
        elif isinstance(part, Uri | File):
            place = part.uri if isinstance(part, Uri) else part.file_id
            blocks.append(Paragraph(f"[{part.modality}: {shorten(place, 100)}]", soft=True))
        elif not isinstance(part, Text | Reasoning):
            blocks.append(Paragraph(f"[{type(part).__name__}]", soft=True))
    return blocks


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a streamed response.

    Attributes:
        parts: What is new since the last chunk: pieces of text and reasoning, and of tool calls as `ToolCallDelta`s.
        response: The complete response; on the last chunk only.
        restarted: All earlier chunks are void: another route starts over (`on_stream_error="restart"`).
        interim_usage: What the provider has counted so far, such as the prompt's tokens; None if it counts at the end.
    """

    parts: tuple[Part, ...] = ()
    response: Response | None = None
    restarted: bool = False
    interim_usage: Usage | None = field(default=None, compare=False, repr=False)

    @property
    def text(self) -> str:
        """The new text."""
        return join(self.parts)

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the response ended; on the last chunk only."""
        return None if self.response is None else self.response.finish_reason

    @property
    def usage(self) -> Usage | None:
        """The token counts; on the last chunk only."""
        return None if self.response is None else self.response.usage

    @property
    def model(self) -> str | None:
        """The model's name as reported by the provider; on the last chunk only."""
        return None if self.response is None else self.response.model

    @property
    def provider(self) -> str | None:
        """The provider that returned the response; on the last chunk only."""
        return None if self.response is None else self.response.provider

    @property
    def route(self) -> str | None:
        """The name of the route that returned the response; on the last chunk only."""
        return None if self.response is None else self.response.route

    @property
    def cost(self) -> float | None:
        """The cost in USD; on the last chunk only."""
        return None if self.response is None else self.response.cost

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every attempt of the request; on the last chunk only."""
        return () if self.response is None else self.response.attempts


@dataclass(slots=True)  # not frozen: that doubles the time to make one, and every chunk of a stream makes one
class Delta:
    """The decoded content of one stream event or of a complete body: only what is new in it."""

    parts: tuple[Part, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None
    raw: Mapping[str, Any] | None = None
