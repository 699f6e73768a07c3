"""What recorded traffic cost, by `genai-prices` from the raw body and by us from what our decoders make of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot

from multiroute_core import Route
from multiroute_core.pricing.prices import Prices
from multiroute_core.testing.recorded import Interaction
from multiroute_core.testing.server import ReplayServer, Reply, split_events
from multiroute_core.types import Attempt, Usage
from tests.providers.faces import FACES, PLAIN, STREAMED, ask, routed
from tests.providers.reading import data, needs_recordings, recordings, reply, route

pytestmark = pytest.mark.wire

FLAVORS = {"chat": "chat", "responses": "responses", "messages": "default", "generate": "default"}
"""What the library calls the vendors' APIs."""

UNKNOWN = {
    "01.0": "a stream without stream_options: OpenAI says nothing of its tokens",
    "24.0": "the same",
    "27.0": "a filtered prompt: the body is an error, and has no usage",
    "54.1": "a blocked prompt: the usage names no tokens",
    "F02.0": "the quota was spent: the stream is an error",
}
"""Answers whose price nobody knows."""

STATED = {
    "23.0": "the URL says OpenAI, the body is OpenRouter's: it names moonshotai/kimi-k2, and says what it cost",
    "23.1": "the same",
}
"""Answers that the library has no price for, since OpenAI does not sell the model, but whose body states the cost."""

SPLICED = "F05.0"
"""Two answers in one stream. A sum over its events would give the second one's tokens for the first; we stop where the
second begins, and price what was said of the first."""

FIXTURES = {"chat": "openai", "responses": "openai", "messages": "anthropic", "generate": "google"}
"""Whose recordings are that have no address."""

SETTLED = sorted(tag for tag, each in recordings().items() if each.status < 400 and tag != SPLICED)
PRICED = [tag for tag in SETTLED if tag not in UNKNOWN and tag not in STATED]


@pytest.fixture(scope="module")
def server():
    with ReplayServer() as running:
        yield running


def events(each: Interaction) -> list[Any]:
    """The events of a stream, however they were sent."""
    if each.body.startswith(b"["):
        return json.loads(each.body)
    return [event for piece in split_events(each.body) if (event := data(piece)) is not None]


def body(each: Interaction) -> dict[str, Any]:
    """The recording as one body: a stream's is what its vendor says would have been sent without streaming."""
    if not each.stream:
        return json.loads(each.body)
    told = events(each)
    match each.api:
        case "chat":
            return next((event for event in reversed(told) if event.get("usage")), told[-1])
        case "responses":
            return told[-1].get("response") or {}
        case "messages":
            message = told[0]["message"]
            usages = [message["usage"], *(event["usage"] for event in told if event["type"] == "message_delta")]
            return message | {"usage": {name: count for usage in usages for name, count in usage.items()}}
        case _:
            whole = {name: value for event in told for name, value in event.items()}
            counts = [event.get("usageMetadata", {}) for event in told]
            return whole | {"usageMetadata": {name: count for each in counts for name, count in each.items()}}


def seller(each: Interaction) -> str:
    """The provider that was asked, as the library finds it by the recording's own URL."""
    if each.endpoint == "fixture":
        return "azure" if each.provider == "azure" else FIXTURES[each.api]
    return data_snapshot.get_snapshot().find_provider(None, None, each.endpoint).id


def theirs(provider: str, api: str, raw: dict[str, Any], tier: str | None = None) -> Decimal | None:
    """What the library makes of a raw body, by its own reading; None where it knows no model or finds no usage."""
    context = {"service_tier": tier} if tier else None
    try:
        found = genai_prices.extract_usage(raw, provider_id=provider, api_flavor=FLAVORS[api])
        return found.calc_price(price_context=context).total_price
    except (LookupError, ValueError):
        return None


def about(amount: Decimal | None) -> Any:
    return None if amount is None else pytest.approx(float(amount), rel=1e-12)


def usage_only(attempt: Attempt) -> Usage:
    assert attempt.usage is not None
    return replace(attempt.usage, stated_cost=None)


def charged(server: ReplayServer, each: Interaction, face: str) -> Attempt:
    """The try that a replay of the recording comes to."""
    if each.body.startswith(b"["):  # asked for without alt=sse, as our SDK never does: the same events, as it asks
        pieces = [b"data: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events(each)]
        server.serve(Reply(200, {"content-type": "text/event-stream"}, pieces, stream=True))
    else:
        server.serve(reply(each))
    with routed(route(each, server.url, prices=seller(each))) as router:
        outcome = ask(face, router)
    told: Any = outcome.response or outcome.error
    (attempt,) = told.attempts
    return attempt


@needs_recordings
@pytest.mark.parametrize("tag", [tag for tag in SETTLED if tag not in STATED])
def test_a_recording_costs_what_genai_prices_makes_of_its_raw_body(server: ReplayServer, tag: str) -> None:
    each = recordings()[tag]
    provider = seller(each)
    expected = theirs(provider, each.api, body(each))
    assert (expected is None) == (tag in UNKNOWN)
    for face in STREAMED if each.stream else PLAIN:
        attempt = charged(server, each, face)
        assert attempt.cost == about(expected)
        if each.endpoint != "fixture":  # the same, by the address that was asked
            asked = route(each, each.endpoint)
            assert Prices().cost_on(asked, attempt.usage, model=attempt.model) == about(expected)


@needs_recordings
@pytest.mark.parametrize("tag", STATED)
def test_what_the_body_states_is_the_cost_of_a_model_without_a_price(server: ReplayServer, tag: str) -> None:
    each = recordings()[tag]
    stated = body(each)["usage"]["cost"]
    for face in STREAMED if each.stream else PLAIN:
        attempt = charged(server, each, face)
        assert attempt.usage is not None
        assert attempt.model == "moonshotai/kimi-k2"
        for address in (each.endpoint, "https://openrouter.ai/api/v1", "http://127.0.0.1:9/v1"):
            usage = replace(attempt.usage, stated_cost=stated)
            cost = Prices().cost_on(route(each, address), usage, model=attempt.model)
            assert cost == stated and cost.source == "stated by the provider"
        # Without it, OpenRouter's list comes near; OpenAI's has the model that was asked only.
        listed = Prices().cost_on(route(each, "https://openrouter.ai/api/v1"), usage_only(attempt), model=attempt.model)
        assert listed == pytest.approx(stated, rel=0.6)


@needs_recordings
def test_the_recordings_are_of_several_providers() -> None:
    assert {seller(recordings()[tag]) for tag in PRICED} == {"openai", "anthropic", "google", "azure"}


@needs_recordings
@pytest.mark.parametrize("tag", PRICED)
def test_every_recording_was_answered_in_the_standard_tier(tag: str) -> None:
    """So nothing is lost by pricing it as that."""
    each = recordings()[tag]
    raw, provider = body(each), seller(each)
    usage = raw.get("usage") or raw.get("usageMetadata") or {}
    tier = raw.get("service_tier") or usage.get("service_tier") or usage.get("serviceTier")
    assert tier in (None, "default", "standard")
    assert theirs(provider, each.api, raw, tier) == theirs(provider, each.api, raw)


TIERED = b'"service_tier":"default"'


@needs_recordings
@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_another_tier_has_its_own_price(server: ReplayServer, tier: str) -> None:
    dearer = 0
    for tag in PRICED:
        each = recordings()[tag]
        told = each.body.replace(TIERED, f'"service_tier":"{tier}"'.encode())
        provider = seller(each)
        expected = theirs(provider, each.api, body(each), tier)
        if told == each.body or each.provider != "openai" or expected == theirs(provider, each.api, body(each)):
            continue
        attempt = charged(server, replace(each, body=told), (STREAMED if each.stream else PLAIN)[0])
        assert attempt.usage is not None and attempt.usage.service_tier == tier
        assert attempt.cost == about(expected)
        dearer += 1
    assert dearer > 3


@needs_recordings
@pytest.mark.parametrize("face", STREAMED)
def test_two_answers_in_one_stream_are_not_added_up(server: ReplayServer, face: str) -> None:
    each = recordings()[SPLICED]
    first = events(each)[0]["message"]
    attempt = charged(server, each, face)
    assert attempt.outcome in ("broken_stream", "bad_reply")
    assert attempt.cost is None  # the first one told what it had read, and not what it would say
    assert attempt.usage is not None and attempt.usage.input_tokens == first["usage"]["input_tokens"]
    assert attempt.estimated_cost is not None
    assert attempt.estimated_cost > float(theirs("anthropic", "messages", first) or 0)


@needs_recordings
def test_the_recordings_are_of_every_kind() -> None:
    priced = [recordings()[tag] for tag in PRICED]
    assert len(priced) > 60
    assert {(each.api, each.stream) for each in priced} == {
        (api, stream) for api in FLAVORS for stream in (True, False)
    }
    usages = [json.dumps(body(each)) for each in priced if not each.stream]
    for kind in ("cache_read_input_tokens", "cache_write_tokens", "reasoning_tokens", "thoughtsTokenCount"):
        assert any(f'"{kind}": ' in usage and f'"{kind}": 0' not in usage for usage in usages), kind


# Streams of Anthropic with a prompt cache. No recording has one, so they are written from whole bodies.

Usages = tuple[dict[str, Any], dict[str, Any]]


def only_output(usage: dict[str, Any]) -> Usages:
    """What is read stands in the beginning, and what is written at the end; as it was until 2025."""
    return usage | {"output_tokens": 1}, {"output_tokens": usage["output_tokens"]}


def cumulative(usage: dict[str, Any]) -> Usages:
    """The end repeats what was read, without the times for which the writes are kept; as it is now."""
    return usage | {"output_tokens": 1}, {name: count for name, count in usage.items() if isinstance(count, int)}


def all_at_the_end(usage: dict[str, Any]) -> Usages:
    """Nothing is known at the beginning; as bridges to other vendors send it."""
    return {"input_tokens": 0, "output_tokens": 0}, usage


def as_stream(message: dict[str, Any], spelling: Callable[[dict[str, Any]], Usages]) -> Iterable[bytes]:
    first, last = spelling(message["usage"])
    text = "".join(block["text"] for block in message["content"])
    opening = message | {"content": [], "stop_reason": None, "usage": first}
    told = [
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": last},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in told]


def message(model: str, **usage: Any) -> dict[str, Any]:
    said = {"type": "text", "text": "Yes."}
    about = {"id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "end_turn", "stop_sequence": None}
    return about | {"model": model, "content": [said], "usage": usage}


def split(five_minutes: int, hour: int) -> dict[str, Any]:
    kept = {"ephemeral_5m_input_tokens": five_minutes, "ephemeral_1h_input_tokens": hour}
    return {"cache_creation_input_tokens": five_minutes + hour, "cache_creation": kept}


CACHED = {
    # BerriAI/litellm#11789: the stream was said to cost $0.002059, all of its cache reads at the full price.
    "litellm-11789": (
        message(
            "claude-3-5-haiku-20241022",
            input_tokens=4,
            cache_creation_input_tokens=0,
            cache_read_input_tokens=2455,
            output_tokens=23,
        ),
        0.0002916,
    ),
    # BerriAI/litellm#9812: $0.091311 by adding the cache writes twice; the vendor's own console said $0.05439.
    "litellm-9812": (
        message(
            "claude-3-7-sonnet-20250219",
            input_tokens=3,
            cache_creation_input_tokens=12304,
            cache_read_input_tokens=0,
            output_tokens=550,
        ),
        0.054399,
    ),
    # BerriAI/litellm#31724: what is kept for an hour costs more. 15 · $3 + 4803 · $6 + 47 · $15, per million.
    "litellm-31724": (
        message("claude-sonnet-4-6", input_tokens=15, cache_read_input_tokens=0, **split(0, 4803), output_tokens=47),
        0.029568,
    ),
    "of-everything": (
        message("claude-sonnet-4-6", input_tokens=10, cache_read_input_tokens=900, **split(500, 300), output_tokens=20),
        (10 * 3 + 900 * 0.3 + 500 * 3.75 + 300 * 6 + 20 * 15) / 1e6,
    ),
}


@pytest.mark.parametrize("spelling", [only_output, cumulative, all_at_the_end])
@pytest.mark.parametrize("case", CACHED)
def test_a_cached_stream_costs_what_the_whole_answer_costs(server: ReplayServer, case: str, spelling: Any) -> None:
    whole, dollars = CACHED[case]

    def answer(received: Any) -> Reply:
        if json.loads(received.body).get("stream"):
            return Reply(200, {"content-type": "text/event-stream"}, as_stream(whole, spelling), stream=True)
        return Reply(200, {"content-type": "application/json"}, json.dumps(whole).encode())

    server.serve(answer)
    assert float(theirs("anthropic", "messages", whole) or 0) == pytest.approx(dollars, rel=1e-12)
    usages = set()
    with routed(Route(f"anthropic:{whole['model']}", base_url=server.url, api_key="k")) as router:
        for face in FACES:
            response = ask(face, router).response
            assert response is not None
            assert response.cost == response.attempts[0].cost == pytest.approx(dollars, rel=1e-12)
            usages.add(response.usage)
    assert len(usages) == 1


def test_the_models_of_the_cached_streams_are_known() -> None:
    for whole, _ in CACHED.values():
        provider, model = data_snapshot.get_snapshot().find_provider_model(whole["model"], None, "anthropic", None)
        assert provider.id == "anthropic"
        assert model.id
