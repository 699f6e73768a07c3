"""What vendors and gateways answer instead of an answer, in words met in 2026: the class that each comes to.

`gateways.jsonl` has one refusal per line. The words that matter are from public threads and pages on errors, read on
2026-11-30: anthropics/claude-code#45069, earendil-works/pi#2943, #3739, QuantumNous/new-api#1737, songquanpeng/one-api#1061,
#1270, QwenLM/qwen-code#9605, run-llama/llama_index#16503, mnfst/llm-gateway#1849, gptme/gptme#3788, antirez/ds4#150,
XiaomiMiMo/MiMo-Code#2417, BerriAI/litellm#21647, aaif-goose/goose#9831, tinyhumansai/openhuman#2082,
NousResearch/hermes-agent#23088, vercel/ai#2837, 0xku/kon#5, mistralai/mistral-vibe#1006, docs.sambanova.ai,
volcengine.com/docs/82379/1299023, platform.kimi.com/docs/api/errors. Numbers and names are invented.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from multiroute_core.errors import UnsupportedError
from multiroute_core.providers.classify import classify
from multiroute_core.providers.provider import WireError
from tests.providers.test_classify_refusals import refused

LINES = (Path(__file__).parent / "gateways.jsonl").read_text(encoding="utf-8").splitlines()
ROWS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
CLIENT = openai.OpenAI(api_key="k", base_url="http://127.0.0.1")
CODES = sorted({row["code"] for row in ROWS})


def of(code: str) -> list[dict[str, Any]]:
    return [row for row in ROWS if row["code"] == code]


@pytest.mark.parametrize("code", CODES)
def test_each_comes_to_its_class(code: str) -> None:
    for row in of(code):
        error = refused(row["status"], row["body"])
        for one in (error, CLIENT._make_status_error_from_response(error.response)):
            found = classify(one)
            assert found.code == code, row
            if isinstance(found, UnsupportedError):
                assert found.ability == row["ability"], row


@pytest.mark.parametrize("code", ["content_filter", "context_overflow", "unsupported"])
def test_inside_a_stream_as_well(code: str) -> None:
    for row in of(code):
        if isinstance(row["body"], dict) and row["status"] == 400:
            assert classify(WireError("The stream failed.", row["body"])).code == code, row


def test_whose_fault_it_is() -> None:
    """What is not the caller's moves on; what is nobody's health leaves the breaker alone."""
    for row in ROWS[::3]:
        found = classify(refused(row["status"], row["body"]))
        assert found.fallback_allowed == (row["code"] != "bad_request"), row
        if row["code"] in ("content_filter", "context_overflow", "unsupported", "bad_request", "rate_limit"):
            assert not found.counts_against_breaker, row


@pytest.mark.parametrize(
    ("message", "ability", "beside"),
    [
        ("This model doesn't support tool use in streaming mode.", "tools", "stream"),
        ("`temperature` may only be set to 1 when thinking is enabled.", "temperature", "reasoning"),
        ("Thinking may not be enabled when tool_choice forces tool use.", "reasoning", "tool_choice"),
        ("controlled generation is not supported with google_search tool", "output_schema", "tools"),
        ("tools are not supported with this model", "tools", ""),
        ("This model does not support tool calling.", "tools", ""),
    ],
)
def test_what_cannot_be_combined(message: str, ability: str, beside: str) -> None:
    found = classify(refused(400, {"error": {"message": message}}))
    assert isinstance(found, UnsupportedError)
    assert (found.ability, found.beside) == (ability, beside)


def test_a_gateways_own_status_is_not_the_callers_fault() -> None:
    for status in (412, 417, 421, 428, 440, 444, 446, 460, 497):
        assert classify(refused(status, {"error": {"message": "No."}})).code == "server_error"
    for status in (400, 414, 422, 431):
        assert classify(refused(status, {"error": {"message": "No."}})).code == "bad_request"
