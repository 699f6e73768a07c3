"""What a request is expected to use on a route, and what its vendor may still have in its prompt cache. Pure."""

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
"""How long an answer is expected to be, where the caller does not say that it must be shorter."""

MOST_OUTPUT_TOKENS = 1_024
"""How much is set aside in a budget for an answer of which the caller does not say how long it may be."""

OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""What the vendors call the longest answer in their bodies."""

TOOLS_PROMPT: Mapping[Api, int] = {"anthropic": 500}
"""What a vendor puts before the tools on its own, and charges for."""

LEAST_KEPT = 1_024
"""Vendors keep no shorter beginning of a conversation in their prompt caches."""

KEEPING: frozenset[Api] = frozenset({"anthropic", "openai.chat", "openai.responses", "google"})
"""The wires whose vendors keep prompts: OpenAI and Google by themselves, Anthropic what is marked, by the caller or,
where it is long, by us."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The beginning of a conversation that a vendor has read before, and likely keeps in its prompt cache.

    Attributes:
        wire: The API that was spoken.
        model: The model that read it.
        tokens: How long it is.
    """

    wire: Api
    model: str
    tokens: int


def find_cached_prefix(request: Request) -> Kept | None:
    """What the model of the latest answer in the history has read before it gave that answer.

    An answer tells its model by the `raw` form of its parts; plain text from elsewhere tells nothing. Where the caller
    has set marks (`CachePoint`), Anthropic keeps what stands before the last of them. None where nothing is known, or
    what is known is too short to be kept.
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
                read = _truncate_at_mark(read)
            size = token_count.of(read) + token_count.of_tools(request)
            return Kept(raw.api, raw.model, size) if size >= LEAST_KEPT else None
    return None


def read_again(request: Request, routes: Sequence[Route], facts: Mapping[str, RouteCapabilities]) -> dict[str, int]:
    """The tokens that each warm route reads from its prompt cache, by the names of the warm ones."""
    if (latest := find_cached_prefix(request)) is None:
        return {}
    warm = (r.name for r in routes if r.model == latest.model and facts[r.name].api == latest.wire)
    return dict.fromkeys(warm, latest.tokens)


def most(request: Request, route: Route, wire: Api, size: int) -> Usage:
    """What `request` may take on a route at most, as far as that can be told before: what a budget holds for it.

    Args:
        request: What is asked.
        route: The route that is asked.
        wire: Its API.
        size: The request's tokens.
    """
    likely = usage(request, wire, size)
    extra = request.extra.get(route.provider)
    if not extra:
        return replace(likely, output_tokens=request.max_tokens or MOST_OUTPUT_TOKENS)
    # What `extra` lays over the body decides about the bill as well.
    generation = mapping(extra.get("generationConfig"))
    limits = [count(extra.get(name)) for name in OUTPUT_LIMITS] + [count(generation.get("maxOutputTokens"))]
    answers = max(count(extra.get("n")) or 1, count(generation.get("candidateCount")) or 1)
    limit = next((limit for limit in limits if limit), None) or request.max_tokens or MOST_OUTPUT_TOKENS
    return replace(
        likely,
        output_tokens=limit * answers,
        service_tier=tier(extra.get("service_tier", extra.get("serviceTier"))),
        speed="fast" if extra.get("speed") == "fast" else None,
    )


def answer(request: Request) -> int:
    """How many tokens to set aside for the answer."""
    return request.max_tokens or OUTPUT_TOKENS


def usage(request: Request, wire: Api, size: int, read: int = 0) -> Usage:
    """What `request` will use; good enough to rank prices, not to bill.

    Args:
        request: What is asked.
        wire: The API of the route.
        size: The request's tokens.
        read: How many of them come from the vendor's prompt cache.
    """
    size += TOOLS_PROMPT.get(wire, 0) if request.tools else 0
    return Usage(
        input_tokens=size,
        output_tokens=min(answer(request), OUTPUT_TOKENS),
        cache_read_tokens=read,
        cache_write_tokens=size - read if wire == "anthropic" and size >= LEAST_KEPT and _comes_again(request) else 0,
    )


def _comes_again(request: Request) -> bool:
    """Whether the request is one of several with the same beginning. Anthropic takes more for what it is to keep."""
    return bool(request.tools) or any(
        message.role not in ("user", "system") or any(isinstance(part, CachePoint) for part in message.parts)
        for message in request.messages
    )


def _truncate_at_mark(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages up to the last mark; all of them where there is none."""
    for place in range(len(messages) - 1, -1, -1):
        if any(isinstance(part, CachePoint) for part in messages[place].parts):
            return messages[: place + 1]
    return messages
