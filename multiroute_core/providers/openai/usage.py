"""Token usage of Chat Completions and Responses in normal form, for all variants of compatible servers.

Servers differ in the location of the usage, the names of its counts, whether prompt counts include cached tokens and
completion counts include reasoning, and how they report the price. `total_tokens` decides if it is present: its surplus
over prompt and completion is one of the separately reported counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, cast

from multiroute_core.parsing.token_count import CHARACTERS_PER_TOKEN
from multiroute_core.providers.body import LARGEST_COUNT, array, count, mapping, tier
from multiroute_core.providers.openai.usage_names import (
    CACHE_READ,
    CACHE_WRITE,
    INPUT,
    OUTPUT,
    READ_DETAILS,
    READ_INSIDE,
    REASONING,
    REASONING_BESIDE,
    ROOT_COUNTS,
    TOTAL,
    USAGE,
    WRITE_INSIDE,
    WRITES_BY_TTL,
    WRITTEN_DETAILS,
)
from multiroute_core.providers.stated_cost import reported_usage, stated_cost
from multiroute_core.types import Usage


def find_usage(body: Mapping[str, Any]) -> Usage | None:
    """Return the usage of a response or chunk, wherever it is located; None if nothing is reported."""
    service_tier = tier(body.get("service_tier"))
    usage = _read_own(body.get("usage"), service_tier)
    if usage is not None:
        if "provider_metadata" in body or "x_nanogpt_pricing" in body or "cost" in body or "meta" in body:
            return with_reported(usage, body)
        return usage
    choice = mapping(next(iter(array(body.get("choices"))), None))
    places = (body, choice, body.get("x_groq"), choice.get("message"), choice.get("delta"), body.get("response"))
    for place in map(mapping, places):
        for name in USAGE:
            counts = mapping(place.get(name))
            counts = mapping(counts.get("usage")) or counts
            if counts and (place_usage := read_usage(counts, service_tier)) is not None:
                usage = place_usage if usage is None else merge_usage(place_usage, usage)
    if usage is None and any(name in body for name in ROOT_COUNTS):
        usage = read_usage({name: body[name] for name in (*ROOT_COUNTS, "total_tokens") if name in body}, service_tier)
    if usage is None and (meta := mapping(body.get("meta"))):  # Cohere's own API
        usage = read_usage(mapping(meta.get("billed_units")) or mapping(meta.get("tokens")), service_tier)
    if (usage is None or not usage.total_tokens) and (timings := mapping(body.get("timings"))):
        measured = _timings(timings)
        usage = usage if measured is None else merge_usage(usage, measured)
    return with_reported(usage, body)


def with_reported(usage: Usage | None, *places: Mapping[str, Any]) -> Usage | None:
    """Return `usage` with the cost that a gateway states outside it.

    Args:
        usage: The usage that was read.
        places: The body, the choice, the message or the delta.
    """
    if usage is not None and usage.stated_cost:
        return usage
    reported = reported_usage(*places)
    return usage if reported is None else reported if usage is None else merge_usage(reported, usage)


def _read_own(counts: Any, service_tier: str | None) -> Usage | None:
    """Read a usage in OpenAI's own format, the fast path for most servers.

    Returns None for any other format, and for contradictory counts.
    """
    if type(counts) is not dict:
        return None
    own = cast("dict[str, Any]", counts)
    if _CHAT_NAMES.issuperset(own):
        input_tokens = own.get("prompt_tokens")
        output = own.get("completion_tokens")
        read: Any = own.get("prompt_tokens_details") or _NOTHING
        output_details: Any = own.get("completion_tokens_details") or _NOTHING
    elif _RESPONSES_NAMES.issuperset(own):
        input_tokens = own.get("input_tokens")
        output = own.get("output_tokens")
        read = own.get("input_tokens_details") or _NOTHING
        output_details = own.get("output_tokens_details") or _NOTHING
    else:
        return None
    if (
        type(read) is not dict
        or type(output_details) is not dict
        or type(input_tokens) is not int
        or type(output) is not int
    ):
        return None
    of_input = cast("dict[str, Any]", read)
    of_output = cast("dict[str, Any]", output_details)
    if not _READ_NAMES.issuperset(of_input) or not _WRITTEN_NAMES.issuperset(of_output):
        return None
    cached = of_input.get("cached_tokens")
    stored = of_input.get("cache_write_tokens")
    input_audio = of_input.get("audio_tokens")
    output_audio = of_output.get("audio_tokens")
    reasoning = of_output.get("reasoning_tokens")
    for part, limit in (
        (cached, input_tokens),
        (stored, input_tokens),
        (input_audio, input_tokens),
        (reasoning, output),
        (output_audio, output),
    ):
        if part is not None and (type(part) is not int or not 0 <= part <= limit):
            return None
    if (
        not 0 < input_tokens <= LARGEST_COUNT
        or (cached or 0) + (stored or 0) > input_tokens
        or not 0 <= output <= LARGEST_COUNT
        or own.get("total_tokens") != input_tokens + output
    ):
        return None
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output,
        cache_read_tokens=cached,
        cache_write_tokens=stored,
        reasoning_tokens=reasoning,
        input_audio_tokens=input_audio,
        output_audio_tokens=output_audio,
        service_tier=service_tier,
    )


_NOTHING: dict[str, Any] = {}
_CHAT_NAMES = frozenset(
    ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details")
)
_RESPONSES_NAMES = frozenset(
    ("input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details")
)
_READ_NAMES = frozenset(("cached_tokens", "cache_write_tokens", "audio_tokens", "text_tokens"))
_WRITTEN_NAMES = frozenset(
    ("reasoning_tokens", "audio_tokens", "text_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens")
)


class StreamUsage:
    """The usage of a stream whose chunks report it: cumulative in most servers, and for each chunk in a few.

    A cumulative count grows with the text. If it does not, and the latest count is too small for the text, the reports
    are increments, and their sum counts.

    Attributes:
        total: The usage so far; None if nothing was reported.
    """

    __slots__ = ("_characters", "_increments", "_latest", "_repeats", "total")

    def __init__(self) -> None:
        self.total: Usage | None = None
        self._latest = 0
        self._increments = 0
        self._characters = 0
        self._repeats = False

    def add(self, usage: Usage, characters: int) -> None:
        """Add the report of one chunk.

        Args:
            usage: What it reports.
            characters: The length of its text.
        """
        self.total = merge_usage(self.total, usage)
        output = usage.output_tokens
        if not output:
            return
        self._repeats = self._repeats or (characters > 0 and output <= self._latest)
        self._latest = output
        self._increments += output
        self._characters += characters
        if self._repeats and output * CHARACTERS_PER_TOKEN < self._characters:
            self.total = replace(self.total, output_tokens=self._increments)


def merge_usage(previous: Usage | None, latest: Usage) -> Usage:
    """Merge a stream's latest usage over the previous one; zero or None never replaces a count."""
    if previous is None or previous == latest:
        return latest
    fallbacks = {name: value for name in _FIELDS if (value := getattr(previous, name)) and not getattr(latest, name)}
    return replace(latest, **fallbacks) if fallbacks else latest


_FIELDS = tuple(field.name for field in fields(Usage))


def read_usage(counts: Mapping[str, Any], service_tier: str | None = None) -> Usage | None:
    """Normalize a usage object: the input includes cached tokens, the output includes reasoning.

    Args:
        counts: The object as the server wrote it.
        service_tier: The service tier of the response, if not the server's standard tier.
    """
    read_details = _details(counts, READ_DETAILS)
    written_details = _details(counts, WRITTEN_DETAILS)
    read_inside = _first(read_details, READ_INSIDE)
    read = read_inside or _first(counts, CACHE_READ, read_inside)
    write_inside = _first(read_details, WRITE_INSIDE)
    write = write_inside or _first(counts, CACHE_WRITE, write_inside)
    write_5m, write_1h = _writes_by_ttl(counts, read_details)
    if not write and (write_5m or write_1h):
        write = (write_5m or 0) + (write_1h or 0)
    reasoning = _first(written_details, REASONING)
    reasoning = reasoning or _first(counts, REASONING_BESIDE, reasoning)
    input_tokens = _first(counts, INPUT)
    output = _first(counts, OUTPUT)
    total = _first(counts, TOTAL)
    if input_tokens is None and (miss := count(counts.get("prompt_cache_miss_tokens"))) is not None:
        input_tokens = miss + (read or 0)
    cost = stated_cost(counts)
    if input_tokens is None and output is None:
        return None if cost is None else Usage(stated_cost=cost)
    if read_inside and write_inside and input_tokens and read_inside <= input_tokens < read_inside + write_inside:
        # OpenAI counts a write from the beginning of the prompt, but what was read is not billed again:
        # https://developers.openai.com/api/docs/guides/prompt-caching (2026-11-30)
        write = input_tokens - read_inside
    input_tokens, output = _reconcile_counts(
        counts, input_tokens, output, total, cached=(read or 0, write or 0), reasoning=reasoning or 0
    )
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=write_1h,
        reasoning_tokens=reasoning,
        input_audio_tokens=_first(read_details, ("audio_tokens", "audio")),
        output_audio_tokens=_first(written_details, ("audio_tokens", "audio")),
        service_tier=service_tier or tier(counts.get("service_tier")),
        cache_read_audio_tokens=count(mapping(read_details.get("cached_tokens_details")).get("audio_tokens")),
        input_image_tokens=count(read_details.get("image_tokens")),
        output_image_tokens=count(written_details.get("image_tokens")),
        web_searches=_searches(counts),
        stated_cost=cost,
    )


def _reconcile_counts(
    counts: Mapping[str, Any],
    input_tokens: int | None,
    output: int | None,
    total: int | None,
    *,
    cached: tuple[int, int],
    reasoning: int,
) -> tuple[int | None, int | None]:
    """Return complete input and output counts.

    xAI reports reasoning separately from the completion (vercel/ai#12425, UKGovernmentBEIS/inspect_ai#5528), Gemini's
    OpenAI endpoint only in the total (router-for-me/CLIProxyAPI#5733), and gateways to Anthropic's models exclude
    cached tokens from the prompt.
    """
    read, write = cached
    if input_tokens is None or output is None:
        if total is not None:
            input_tokens = max(0, total - (output or 0)) if input_tokens is None else input_tokens
            output = max(0, total - input_tokens) if output is None else output
        return input_tokens, output
    surplus = 0 if total is None else total - input_tokens - output
    if surplus <= 0:
        beside = read + write > input_tokens or (total is None and _apart(counts))
        return input_tokens + (read + write if beside else 0), output + (reasoning if reasoning > output else 0)
    caches = {one for one in (read, write, read + write) if one}
    if surplus == reasoning:
        return input_tokens, output + surplus
    if surplus in caches:
        return input_tokens + surplus, output + (reasoning if reasoning > output else 0)
    if reasoning and surplus - reasoning in caches:
        return input_tokens + surplus - reasoning, output + reasoning
    if read + write > input_tokens and surplus > read + write:
        return input_tokens + read + write, output + surplus - read - write
    return input_tokens, output + surplus


def _apart(counts: Mapping[str, Any]) -> bool:
    """Return whether the names are Anthropic's or Bedrock's, whose input excludes cached tokens."""
    if "prompt_tokens" in counts or any(name in counts for name in READ_DETAILS):
        return False
    return "cache_read_input_tokens" in counts or "cacheReadInputTokens" in counts


def _details(counts: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        if details := mapping(counts.get(name)):
            return details
    return {}


def _first(counts: Mapping[str, Any], names: tuple[str, ...], otherwise: int | None = None) -> int | None:
    """Return the first non-zero count, otherwise 0 if one is present: some servers write zeros under a second name."""
    zero = otherwise
    for name in names:
        if name in counts and (number := count(counts[name])) is not None:
            if number:
                return number
            zero = otherwise or 0
    return zero


def _writes_by_ttl(counts: Mapping[str, Any], details: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the tokens written to the cache for 5 minutes and for an hour, where they are separate."""
    for place in (mapping(counts.get("cache_creation")), counts, mapping(details.get("cache_creation")), details):
        for names in WRITES_BY_TTL:
            short, long = (count(place.get(name)) for name in names)
            if short is not None or long is not None:
                return short, long
    return None, None


def _searches(counts: Mapping[str, Any]) -> int | None:
    """Return the number of web searches, as Anthropic, OpenRouter, xAI, or either API of Perplexity report it."""
    if used := mapping(counts.get("server_tool_use")):
        return count(used.get("web_search_requests"))
    if used := mapping(counts.get("server_side_tool_usage_details")):  # xAI
        return count(used.get("web_search_calls"))
    if calls := mapping(counts.get("tool_calls_details")):
        return count(mapping(calls.get("search_web")).get("invocation"))
    return count(counts.get("num_search_queries"))


def _timings(timings: Mapping[str, Any]) -> Usage | None:
    """Return the tokens as measured by llama.cpp, which may omit the usual usage.

    `prompt_n` excludes the `cache_n` reused tokens (ggml-org/llama.cpp, tools/server/README.md, 2026-11-28).
    """
    fresh, reused, output_tokens = (count(timings.get(name)) for name in ("prompt_n", "cache_n", "predicted_n"))
    if fresh is None and output_tokens is None:
        return None
    input_tokens = None if fresh is None else fresh + (reused or 0)
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=reused)
