"""Usage of Gemini: by modality, with the searches that are charged, and never lost in a stream."""

from typing import Any

import pytest

from multiroute_core.providers.google.decode import GeminiDecoder, decode
from multiroute_core.providers.provider import Encoded
from multiroute_core.types import Usage
from tests.providers.google.gemini import chunk

COUNTS = {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}


def rows(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": number} for modality, number in counts.items()]


CASES: dict[str, tuple[dict[str, Any], Usage]] = {
    "plain": (COUNTS, Usage(9, 2)),
    "texts": ({"promptTokenCount": "9", "candidatesTokenCount": 2.0}, Usage(9, 2)),
    "thoughts": ({**COUNTS, "thoughtsTokenCount": 5, "totalTokenCount": 16}, Usage(9, 7, reasoning_tokens=5)),
    "tools": ({**COUNTS, "toolUsePromptTokenCount": 4, "totalTokenCount": 15}, Usage(13, 2)),
    "thoughts, the rest in the total": ({"promptTokenCount": 9, "thoughtsTokenCount": 5, "totalTokenCount": 16}, Usage(9, 7, reasoning_tokens=5)),
    "thoughts among the candidates": (
        {"promptTokenCount": 9, "candidatesTokenCount": 7, "thoughtsTokenCount": 5, "totalTokenCount": 16}, Usage(9, 7, reasoning_tokens=5),
    ),
    "cached beside the prompt": ({**COUNTS, "cachedContentTokenCount": 90, "totalTokenCount": 101}, Usage(99, 2, 90)),
    "the flex tier": ({**COUNTS, "serviceTier": "SERVICE_TIER_FLEX"}, Usage(9, 2, service_tier="service_tier_flex")),
    "the standard tier": ({**COUNTS, "serviceTier": "SERVICE_TIER_STANDARD", "trafficType": "ON_DEMAND"}, Usage(9, 2)),
    "Vertex AI's priority": ({**COUNTS, "trafficType": "ON_DEMAND_PRIORITY"}, Usage(9, 2, service_tier="priority")),
    "Vertex AI's throughput": ({**COUNTS, "trafficType": "PROVISIONED_THROUGHPUT"}, Usage(9, 2)),
    "a gateway's cost": ({**COUNTS, "cost": 0.25}, Usage(9, 2, stated_cost=0.25)),
    "OpenAI's names": ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}, Usage(9, 2)),
    "the SDK's names": (
        {"prompt_token_count": 9, "candidates_token_count": 2, "thoughts_token_count": 5, "total_token_count": 16, "candidates_tokens_details": [{"modality": "IMAGE", "token_count": 2}]},
        Usage(9, 7, reasoning_tokens=5, output_image_tokens=2),
    ),
    "modalities": (
        {
            **COUNTS,
            "cachedContentTokenCount": 5,
            "promptTokensDetails": rows(TEXT=1, AUDIO=3, IMAGE=2, DOCUMENT=3),
            "candidatesTokensDetails": rows(IMAGE=2),
            "cacheTokensDetails": rows(AUDIO=2, TEXT=3),
        },
        Usage(9, 2, 5, input_audio_tokens=3, cache_read_audio_tokens=2, input_image_tokens=5, output_image_tokens=2),
    ),
}  # fmt: skip


def last_usage(*bodies: dict[str, Any], model: str = "gemini-3.8-flash") -> Usage | None:
    decoder, usage = GeminiDecoder(Encoded("", {}, model=model)), None
    for body in bodies:
        delta = decoder.feed(body)
        usage = delta.usage if delta and delta.usage else usage
    return usage


@pytest.mark.parametrize("name", CASES)
def test_usage(name: str):
    counts, right = CASES[name]
    body = chunk("Hi", "STOP", usageMetadata=counts)
    assert decode(body, Encoded("", {}, model="m")).usage == last_usage(body) == right
    zeros = dict.fromkeys(counts, 0)
    assert last_usage(chunk("Hi", usageMetadata=counts), chunk("", "STOP", usageMetadata=zeros)) == right


@pytest.mark.parametrize(
    ("model", "queries", "charged"),
    [
        ("gemini-3.8-flash", ["a", "", "b", "a"], 2),
        ("gemini-4-argon", ["a", "b", "c"], 3),
        ("gemini-nano-banana-2.1", ["a", "b"], 2),
        ("gemini-2.5-pro", ["a", "b"], 1),
        ("models/gemini-2.0-flash", ["a"], 1),
        ("gemini-2.5-pro", [""], None),
        ("gemini-3.8-flash", None, None),
    ],
)
def test_searches(model: str, queries: list[str] | None, charged: int | None):
    body = chunk("Hi", "STOP", usageMetadata=COUNTS)
    body["modelVersion"] = model
    body["candidates"][0]["groundingMetadata"] = {"webSearchQueries": queries}
    right = Usage(9, 2, web_searches=charged)
    assert decode(body, Encoded("", {}, model="m")).usage == right
    assert last_usage({**chunk("Hi"), "modelVersion": model}, body) == right
