"""What an answer costs, in forms of real servers over a socket, whole and streamed: worked out by hand."""

import json
from typing import Any

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI
from pydantic import SecretStr

from multiroute_core import Budget, Route, Router
from multiroute_core.errors import StreamInterruptedError
from multiroute_core.testing.server import Reply
from tests.chat_server import ask
from tests.langchain.faces import own_timeout
from tests.wire_replies import (
    JSON,
    chat,
    chat_chunk,
    events,
    message,
    response_pair,
    route,
    served,
    whole,
)

PRICES = {"input": 1.0, "cache_read": 0.1, "cache_write": 1.25, "output": 10.0}
M = 1_000_000
WORDS = "word " * 20
"""25 tokens by the estimate, 100 characters."""
PROMPT = "Hi " * 100
READ = 80
"""The tokens of `PROMPT` by the estimate."""
OPENAI = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
PLAIN = (1_000 + 100 * 10) / M


def chat_reply(whole_fields: Any, chunk_fields: Any = None, **headers: str) -> Any:
    """A whole answer and a stream, with fields of the body and of the last chunk."""
    body = {**chat({"content": WORDS}), "usage": None, **whole_fields}
    reply = Reply(200, {**JSON, **headers}, json.dumps(body).encode())
    tail = {"choices": [], **(whole_fields if chunk_fields is None else chunk_fields)}
    return reply, events(chat_chunk({"content": WORDS}), chat_chunk({}, "stop"), tail, done=True)


def message_reply(usage: Any, *, stop: Any = None, **headers: str) -> Any:
    """A whole message, and a stream that begins with placeholders."""
    body = {**message({"type": "text", "text": WORDS}), "usage": usage}
    start = {
        "type": "message_start",
        "message": {**body, "content": [], "usage": {"input_tokens": 1000, "output_tokens": 1}},
    }
    return Reply(200, {**JSON, **headers}, json.dumps(body).encode()), events(
        start,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORDS}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop", **(stop or {})},
    )


def gemini_reply(usage: Any) -> Any:
    body = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": WORDS}]}, "finishReason": "STOP", "index": 0}],
        "modelVersion": "m",
        **usage,
    }
    return whole(body), events(body)


FORMS: dict[str, tuple[str, Any, float, bool]] = {
    "Vercel": ("openai.chat", chat_reply({"usage": OPENAI, "provider_metadata": {"gateway": {"cost": "0.25"}}}), 0.25, False),
    "NanoGPT": ("openai.chat", chat_reply({"x_nanogpt_pricing": {"costUsd": 0.25, "inputTokens": 9, "outputTokens": 9}}), 0.25, False),
    "Cohere's counts": ("openai.chat", chat_reply({"meta": {"billed_units": {"input_tokens": 1000, "output_tokens": 100}}}, {"usage": OPENAI}), PLAIN, False),
    "a list": ("openai.chat", chat_reply({"usage": [OPENAI]}), (READ + 250) / M, True),
    "too much": ("openai.chat", chat_reply({"usage": {"prompt_tokens": 10**15, "completion_tokens": 10**15}}), (READ + 250) / M, True),
    "a write over a read": (
        "openai.chat", chat_reply({"usage": {**OPENAI, "prompt_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 1000}}}),
        (800 * 0.1 + 200 * 1.25 + 1_000) / M, False,
    ),
    "OpenRouter's messages": ("anthropic", message_reply({"input_tokens": 1000, "output_tokens": 100, "cost": 0.25}), 0.25, False),
    "OpenAI's names from an Anthropic server": ("anthropic", message_reply(OPENAI), PLAIN, False),
    "placeholder": ("anthropic", message_reply({"input_tokens": 1000, "output_tokens": 1}), (1_000 + 250) / M, True),
    "zeros after a placeholder": ("anthropic", message_reply({"input_tokens": 1000, "output_tokens": 0}), (1_000 + 250) / M, True),
    "Gemini's counts in snake case": ("google", gemini_reply({"usage_metadata": {"prompt_token_count": 1000, "candidates_token_count": 60, "total_token_count": 1100}}), PLAIN, False),
    "OpenAI's names from a Gemini server": ("google", gemini_reply({"usageMetadata": OPENAI}), PLAIN, False),
    "a count of the first chunk": ("google", gemini_reply({"usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 2, "totalTokenCount": 1002}}), (1_000 + 250) / M, True),
    "a cost in a response": ("openai.responses", response_pair({"type": "message", "content": [{"type": "output_text", "text": WORDS}]}, cost=0.25), 0.25, False),
}  # fmt: skip


def check(router: Router, charged: float, *, estimated: bool) -> None:
    (record,) = router.ledger.query()
    assert (record.outcome, record.charged) == ("success", pytest.approx(charged))
    assert record.estimated == estimated
    assert record.cost == (None if estimated else record.charged)
    assert router.budgets()[0].spent == pytest.approx(charged)


@pytest.mark.parametrize("face", ["agenerate", "stream"])
@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_charged(name: str, face: str):
    wire, replies, charged, estimated = FORMS[name]
    with served(replies) as server:
        target = route(server, wire, prices=PRICES)
        router = Router([target], ledger="memory", budget=Budget(usd=100, per="session"), max_retries=0)
        ask(router, face, PROMPT, max_tokens=5_000)
        check(router, charged, estimated=estimated)
        router.close()


TGI = {"x-prompt-tokens": "1000", "x-generated-tokens": "100"}
BEDROCK = {
    "x-amzn-bedrock-input-token-count": "100",
    "x-amzn-bedrock-output-token-count": "100",
    "x-amzn-bedrock-cache-read-input-token-count": "900",
}
LITELLM = {"x-litellm-response-cost": "0.25"}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": WORDS}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8},
}
HEADERS: dict[str, tuple[str, Any, dict[str, str], float]] = {
    "TGI": ("openai.chat", chat({"content": WORDS}) | {"usage": None}, TGI, PLAIN),
    "TGI, zeros": ("openai.chat", chat({"content": WORDS}) | {"usage": dict.fromkeys(OPENAI, 0)}, TGI, PLAIN),
    "Bedrock": ("anthropic", message({"type": "text", "text": WORDS}) | {"usage": {}}, BEDROCK, (100 + 90 + 1_000) / M),
    "a cost without counts": ("openai.chat", chat({"content": WORDS}) | {"usage": None}, LITELLM, 0.25),
    "a cost, Anthropic": ("anthropic", message({"type": "text", "text": WORDS}), LITELLM, 0.25),
    "a cost, Gemini": ("google", GEMINI, LITELLM, 0.25),
    "body before headers": ("openai.chat", chat({"content": WORDS}) | {"usage": OPENAI}, {**TGI, "x-prompt-tokens": "5"}, PLAIN),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_read_where_the_body_says_nothing(name: str):
    wire, body, headers, charged = HEADERS[name]
    with served(Reply(200, {**JSON, **headers}, json.dumps(body).encode())) as server:
        target = route(server, wire, prices=PRICES)
        router = Router([target], ledger="memory", budget=Budget(usd=100, per="session"), max_retries=0)
        router.generate(PROMPT)
        check(router, charged, estimated=False)
        router.close()


@pytest.mark.parametrize(
    ("stated", "charged"),
    [
        pytest.param(1e-6, (1_000 + 10 * 25) / M, id="the estimate of the whole"),
        pytest.param(0.25, 0.25, id="never less than what was stated"),
    ],
)
def test_a_cost_before_the_cut_is_not_that_of_the_whole(stated: float, charged: float):
    usage = {"prompt_tokens": 1000, "completion_tokens": 1, "total_tokens": 1001, "cost": stated}
    broken = events(chat_chunk({"content": "w"}, usage=usage), chat_chunk({"content": WORDS[1:]}))
    with served((broken, broken)) as server:
        router = Router([route(server, "openai.chat", prices=PRICES)], ledger="memory", max_retries=0)
        with pytest.raises(StreamInterruptedError):
            list(router.stream(PROMPT, max_tokens=5_000))
        (record,) = router.ledger.query()
        assert (record.cost, record.charged, record.estimated) == (None, pytest.approx(charged), True)
        router.close()


class TestWrapped:
    """Framework models keep the vendors' extras, as far as they pass them on."""

    def charge(self, model: Any, *replies: Any, prices: Any = None) -> float:
        with served(*replies) as server, httpx.Client() as http:
            llm = model(server.url, http)
            wrapped = Route(llm=llm, **({} if prices is None else {"prices": prices}))
            router = Router([wrapped], ledger="memory", max_retries=0)
            router.generate(PROMPT, max_tokens=5_000)
            if isinstance(llm, ChatAnthropic):
                llm._client.close()
            (record,) = router.ledger.query()
            assert record.charged is not None
            return record.charged

    def claude(self, url: str, _http: httpx.Client) -> ChatAnthropic:
        return ChatAnthropic(model="claude-opus-5", api_key="k", base_url=url, max_retries=0, timeout=own_timeout())  # pyright: ignore[reportCallIssue, reportArgumentType]

    def test_extras_of_anthropic(self):
        usage = {
            "input_tokens": 1000,
            "output_tokens": 1000,
            "cache_creation_input_tokens": 2000,
            "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 1500},
            "server_tool_use": {"web_search_requests": 2},
            "speed": "fast",
            "inference_geo": "us",
        }
        reply = whole({**message({"type": "text", "text": WORDS}), "model": "claude-opus-5", "usage": usage})
        # Fast mode of Claude Opus 5: $10 in, $50 out, writes $12.50 and $20; in the USA times 1.1; a search 1 cent.
        fast = (1_000 * 10 + 500 * 12.5 + 1_500 * 20 + 1_000 * 50) / M
        assert self.charge(self.claude, reply) == pytest.approx(1.1 * fast + 2 * 0.01)

    def test_a_compaction(self):
        counts = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
        usage = {
            "input_tokens": 412,
            "output_tokens": 264,
            "iterations": [
                {"type": "compaction", "input_tokens": 10_000, "output_tokens": 500, **counts},
                {"type": "message", "input_tokens": 412, "output_tokens": 264, **counts},
            ],
        }
        reply = whole({**message({"type": "text", "text": WORDS}), "model": "claude-opus-5", "usage": usage})
        assert self.charge(self.claude, reply) == pytest.approx((10_412 * 5 + 764 * 25) / M)

    @pytest.mark.parametrize(
        "model",
        [
            pytest.param(
                lambda url, http: ChatOpenAI(
                    model="gpt-4o", api_key=SecretStr("k"), base_url=f"{url}/v1", http_client=http
                ),
                id="langchain",
            ),
            pytest.param(
                lambda url, http: OpenAI(model="gpt-4o", api_key="k", api_base=f"{url}/v1", http_client=http),
                id="llamaindex",
            ),
        ],
    )
    def test_a_stated_cost_and_no_counts(self, model: Any):
        body = {**chat({"content": WORDS}), "model": "gpt-4o"}
        assert self.charge(model, whole({**body, "usage": {**OPENAI, "cost": 0.25}}), prices=PRICES) == 0.25
        nothing = whole({**body, "usage": dict.fromkeys(OPENAI, 0)})
        assert self.charge(model, nothing, prices=PRICES) == pytest.approx((READ + 250) / M)
