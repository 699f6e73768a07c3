"""Expected usage of a request on a route, including likely prompt cache reads. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from multiroute_core.messages import Api, CachePoint, Message
from multiroute_core.parsing import token_count
from multiroute_core.providers.body import count, mapping, tier
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.route import Route
from multiroute_core.types import Request, Usage

OUTPUT_TOKENS = 256
"""The expected output tokens, unless the caller sets a lower maximum."""

MOST_OUTPUT_TOKENS = 1_024
"""The output tokens that a budget reserves if the caller sets no maximum."""

OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""The providers' names of the maximum output tokens in a request body."""

TOOLS_PROMPT: Mapping[Api, int] = {"anthropic": 500}
"""The tokens that a provider adds before the tools and bills."""

LEAST_KEPT = 1_024
"""The minimum length of a cached prefix in tokens; providers cache no shorter one."""

KEEPING: frozenset[Api] = frozenset({"anthropic", "openai.chat", "openai.responses", "google"})
"""The APIs whose providers cache prompts: OpenAI and Google automatically, Anthropic up to a mark that the caller sets
or, in long prompts, this library.
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A prefix of the conversation that a provider has read and likely holds in its prompt cache.

    Attributes:
        wire: The API that was used.
        model: The model that read it.
        tokens: Its length.
    """

    wire: Api
    model: str
    tokens: int


def find_cached_prefix(request: Request) -> Kept | None:
    """Return the prefix that the model of the latest answer in the history has read before that answer.

    The `raw` form of an answer's parts identifies its model; plain text from elsewhere does not. If the caller has set
    marks (`CachePoint`), Anthropic caches up to the last of them. Returns None if the model is unknown, or the prefix
    is too short to be cached.
    """
    messages = request.messages
    for place in range(len(messages) - 1, 0, -1):
        if messages[place].role != "assistant":
            continue
        for part in messages[place].parts:
            raw = getattr(part, "raw", None)
            if raw is None or raw.model is None or raw.api not in KEEPING:
                continue
            read = messages[:place]
            if raw.api == "anthropic":
                read = _truncate_at_mark(read, request)
            if not read:
                return None
            size = token_count.of(read) + token_count.of_tools(request)
            return Kept(raw.api, raw.model, size) if size >= LEAST_KEPT else None
    return None


def read_again(request: Request, routes: Sequence[Route], facts: Mapping[str, RouteCapabilities]) -> dict[str, int]:
    """Return the tokens that each warm route reads from its prompt cache, by route name."""
    if (latest := find_cached_prefix(request)) is None:
        return {}
    warm = (r.name for r in routes if r.model == latest.model and facts[r.name].api == latest.wire)
    return dict.fromkeys(warm, latest.tokens)


def most(request: Request, route: Route, wire: Api, size: int) -> Usage:
    """Return the maximum usage of `request` on a route as far as known in advance, for the budget reservation.

    Args:
        request: The request.
        route: The route.
        wire: Its API.
        size: The tokens of the request.
    """
    likely = usage(request, wire, size)
    extra = request.extra.get(route.provider)
    if not extra:
        return replace(likely, output_tokens=request.max_tokens or MOST_OUTPUT_TOKENS)
    # Values that `extra` sets in the body affect the bill as well.
    generation = mapping(extra.get("generationConfig"))
    limits = [count(extra.get(name)) for name in OUTPUT_LIMITS] + [count(generation.get("maxOutputTokens"))]
    answers = max(count(extra.get("n")) or 1, count(generation.get("candidateCount")) or 1)
    limit = next((limit for limit in limits if limit), None) or request.max_tokens or MOST_OUTPUT_TOKENS
    return replace(
        likely,
        output_tokens=limit * answers,
        service_tier=tier(extra.get("service_tier", extra.get("serviceTier"))),
        speed="fast" if extra.get("speed") == "fast" else None,
        inference_geo="us" if extra.get("inference_geo") == "us" else None,
    )


def answer(request: Request) -> int:
    """Return the tokens to reserve for the answer."""
    return request.max_tokens or OUTPUT_TOKENS


def usage(request: Request, wire: Api, size: int, read: int = 0) -> Usage:
    """Return the expected usage of `request`; precise enough to rank prices, not to bill.

    Args:
        request: The request.
        wire: The API of the route.
        size: The tokens of the request.
        read: How many of them come from the provider's prompt cache.
    """
    size += TOOLS_PROMPT.get(wire, 0) if request.tools else 0
    return Usage(
        input_tokens=size,
        output_tokens=min(answer(request), OUTPUT_TOKENS),
        cache_read_tokens=read,
        cache_write_tokens=size - read if wire == "anthropic" and size >= LEAST_KEPT and _comes_again(request) else 0,
    )


def _comes_again(request: Request) -> bool:
    """Whether further requests will likely share the prefix. Anthropic charges extra for cache writes."""
    if request.prompt_cache is not None:
        return bool(request.prompt_cache.mode) or _has_mark(request.messages)
    return bool(request.tools) or any(
        message.role not in ("user", "system") or any(isinstance(part, CachePoint) for part in message.parts)
        for message in request.messages
    )


def _has_mark(messages: Sequence[Message]) -> bool:
    return any(isinstance(part, CachePoint) for message in messages for part in message.parts)


def _truncate_at_mark(messages: tuple[Message, ...], request: Request) -> tuple[Message, ...]:
    """Return the messages up to the last mark: the caller's, or the router's at the end of them all."""
    mode = None if request.prompt_cache is None else request.prompt_cache.mode
    if mode:
        return messages
    for place in range(len(messages) - 1, -1, -1):
        if any(isinstance(part, CachePoint) for part in messages[place].parts):
            return messages[: place + 1]
    return () if mode is False else messages
