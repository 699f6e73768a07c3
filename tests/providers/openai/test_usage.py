"""Usage in the dialects of compatible servers: plain and streamed it is the same, and odd counts never raise."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from multiroute_core.providers.openai import chat_answer, responses_answer
from multiroute_core.providers.openai.usage import find_usage, merge_usage, read_usage
from multiroute_core.providers.provider import Encoded
from multiroute_core.providers.stated_cost import header_cost
from multiroute_core.types import Usage

ASKED = Encoded("/chat/completions", {}, model="m")
OPENAI = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
PLAIN = Usage(1000, 100)


def choice(**more: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": "stop", **more}


def whole(counts: Any, place: str = "usage") -> Usage | None:
    body = {"model": "m", "choices": [choice(message={"content": "Hi"})]}
    return chat_answer.decode(placed(body, counts, place, "message"), ASKED).usage


def placed(body: dict[str, Any], counts: Any, place: str, inner: str) -> dict[str, Any]:
    first = body["choices"][0] if body["choices"] else {}
    match place:
        case "choice":
            first["usage"] = counts
        case "inner":
            first.setdefault(inner, {})["usage"] = counts
        case "x_groq":
            body["x_groq"] = {"id": "r", "usage": counts}
        case _:
            body[place] = counts
    return body


def streamed(*counted: Any, place: str = "usage", at_end: bool = True) -> Usage | None:
    decoder, usage = chat_answer.ChatDecoder(ASKED), None
    events: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": "Hi"}}]}]
    for number, counts in enumerate(counted):
        last = number == len(counted) - 1
        if last and at_end and place in ("usage", "timings", "x_groq"):
            events.append({"choices": [choice(delta={})]})
            events.append(placed({"choices": []}, counts, place, "delta"))
        else:
            events.append(
                placed({"choices": [choice(delta={}) if last else choice(finish_reason=None)]}, counts, place, "delta")
            )
    for event in events:
        delta = decoder.feed(event)
        usage = delta.usage if delta is not None and delta.usage else usage
    assert decoder.complete
    return usage


DIALECTS: dict[str, tuple[dict[str, Any], Usage]] = {
    "OpenAI": (OPENAI, PLAIN),
    "floats": ({"prompt_tokens": 1000.0, "completion_tokens": 100.0}, PLAIN),
    "texts": ({"prompt_tokens": "1000", "completion_tokens": "100", "total_tokens": "1100"}, PLAIN),
    "Anthropic's names": ({"input_tokens": 1000, "output_tokens": 100}, PLAIN),
    "both names, zeros first": ({"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 1000, "output_tokens": 100}, PLAIN),
    "no completion": ({"prompt_tokens": 1000, "total_tokens": 1100}, PLAIN),
    "no prompt": ({"completion_tokens": 100, "total_tokens": 1100}, PLAIN),
    "a total that is too small": ({**OPENAI, "total_tokens": 5}, PLAIN),
    "no counts": ({"prompt_tokens": -5, "completion_tokens": True, "total_tokens": 10**30, "input_tokens": 1000, "output_tokens": 100}, PLAIN),
    "cached": ({**OPENAI, "prompt_tokens_details": {"cached_tokens": 800}}, Usage(1000, 100, 800)),
    "DeepSeek": ({**OPENAI, "prompt_cache_hit_tokens": 800, "prompt_cache_miss_tokens": 200}, Usage(1000, 100, 800)),
    "DeepSeek's cache alone": ({"prompt_cache_hit_tokens": 800, "prompt_cache_miss_tokens": 200, "completion_tokens": 100}, Usage(1000, 100, 800)),
    "a zero and DeepSeek's": ({**OPENAI, "prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 800}, Usage(1000, 100, 800)),
    "Moonshot": ({**OPENAI, "cached_tokens": 800}, Usage(1000, 100, 800)),
    "LiteLLM": ({**OPENAI, "cache_read_input_tokens": 800, "cache_creation_input_tokens": 50}, Usage(1000, 100, 800, 50)),
    "cache counts beside the prompt, in the total": (
        {"prompt_tokens": 150, "completion_tokens": 100, "total_tokens": 1100, "cache_read_input_tokens": 800, "cache_creation_input_tokens": 50},
        Usage(1000, 100, 800, 50),
    ),
    "reads beside the prompt, in the total": (
        {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 1100, "prompt_tokens_details": {"cached_tokens": 800}},
        Usage(1000, 100, 800),
    ),
    "more cached than in the prompt": ({"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300, "cached_tokens": 800}, Usage(1000, 100, 800)),
    "Anthropic's names and cache": ({"input_tokens": 600, "output_tokens": 100, "cache_read_input_tokens": 400}, Usage(1000, 100, 400)),
    "Bedrock": (
        {"inputTokens": 150, "outputTokens": 100, "totalTokens": 1100, "cacheReadInputTokens": 800, "cacheWriteInputTokens": 50},
        Usage(1000, 100, 800, 50),
    ),
    "an hour's cache": (
        {**OPENAI, "cache_creation_input_tokens": 500, "cache_creation": {"ephemeral_1h_input_tokens": 500}},
        Usage(1000, 100, None, 500, 500),
    ),
    "reasoning inside": ({**OPENAI, "completion_tokens_details": {"reasoning_tokens": 90}}, Usage(1000, 100, reasoning_tokens=90)),
    "xAI": (
        {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1100, "completion_tokens_details": {"reasoning_tokens": 90}},
        Usage(1000, 100, reasoning_tokens=90),
    ),
    "reasoning beside, no total": ({"prompt_tokens": 1000, "completion_tokens": 10, "reasoning_tokens": 90}, Usage(1000, 100, reasoning_tokens=90)),
    "reasoning beside, not in the total": (
        {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010, "reasoning_tokens": 90},
        Usage(1000, 100, reasoning_tokens=90),
    ),
    "reasoning and cache beside": (
        {"prompt_tokens": 200, "completion_tokens": 10, "total_tokens": 1100, "cached_tokens": 800, "reasoning_tokens": 90},
        Usage(1000, 100, 800, reasoning_tokens=90),
    ),
    "Gemini's OpenAI endpoint": ({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1100}, PLAIN),
    "output details": (
        {"input_tokens": 1000, "output_tokens": 100, "input_tokens_details": {"cached_tokens": 800}, "output_tokens_details": {"reasoning_tokens": 40}},
        Usage(1000, 100, 800, reasoning_tokens=40),
    ),
    "audio and images": (
        {
            **OPENAI,
            "prompt_tokens_details": {"audio_tokens": 7, "image_tokens": 5, "cached_tokens": 3, "cached_tokens_details": {"audio_tokens": 2}},
            "completion_tokens_details": {"audio_tokens": 4, "image_tokens": 6},
        },
        Usage(1000, 100, 3, input_audio_tokens=7, output_audio_tokens=4, cache_read_audio_tokens=2, input_image_tokens=5, output_image_tokens=6),
    ),
    "searches": ({**OPENAI, "num_search_queries": 3}, Usage(1000, 100, web_searches=3)),
    "searches of OpenRouter": ({**OPENAI, "server_tool_use": {"web_search_requests": 2}}, Usage(1000, 100, web_searches=2)),
    "OpenRouter's cost": ({**OPENAI, "cost": 0.95, "is_byok": False, "cost_details": {"upstream_inference_cost": 19}}, Usage(1000, 100, stated_cost=0.95)),
    "a key of one's own": ({**OPENAI, "cost": 0.5, "is_byok": True, "cost_details": {"upstream_inference_cost": 19}}, Usage(1000, 100, stated_cost=19.5)),
    "a key of one's own, unknown": ({**OPENAI, "cost": 0.5, "is_byok": True}, PLAIN),
    "free of charge": ({**OPENAI, "cost": 0}, Usage(1000, 100, stated_cost=0.0)),
    "Perplexity's cost": ({**OPENAI, "cost": {"request_cost": 0.006, "total_cost": 0.014}}, Usage(1000, 100, stated_cost=0.014)),
    "a cost in another currency": ({**OPENAI, "cost": {"currency": "EUR", "total_cost": 0.014}}, PLAIN),
    "DeepInfra's cost": ({**OPENAI, "estimated_cost": "0.002"}, Usage(1000, 100, stated_cost=0.002)),
    "xAI's ticks": ({**OPENAI, "cost_in_usd_ticks": 37756000}, Usage(1000, 100, stated_cost=0.0037756)),
    "Mistral": ({**OPENAI, "num_cached_tokens": 800, "prompt_audio_seconds": None}, Usage(1000, 100, 800)),
    "Mistral's and Writer's other name": ({**OPENAI, "prompt_token_details": {"cached_tokens": 800}}, Usage(1000, 100, 800)),
    "DashScope's explicit cache": (
        {**OPENAI, "prompt_tokens_details": {"cached_tokens": 100, "cache_creation_input_tokens": 800, "cache_type": "ephemeral", "cache_creation": {"ephemeral_5m_input_tokens": 800}}},
        Usage(1000, 100, 100, 800),
    ),
    "DashScope's, only by its lifetime": (
        {**OPENAI, "prompt_tokens_details": {"cached_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 800}}},
        Usage(1000, 100, 0, 800),
    ),
    "new-api": (
        {**OPENAI, "prompt_tokens_details": {"cached_tokens": 100, "cached_creation_tokens": 500, "text_tokens": 400}, "claude_cache_creation_5_m_tokens": 300, "claude_cache_creation_1_h_tokens": 200},
        Usage(1000, 100, 100, 500, 200),
    ),
    "new-api's, only by its lifetime": (
        {**OPENAI, "claude_cache_creation_5_m_tokens": 300, "claude_cache_creation_1_h_tokens": 200},
        Usage(1000, 100, None, 500, 200),
    ),
    "GoModel": ({**OPENAI, "cache_write_input_tokens": 300}, Usage(1000, 100, None, 300)),
    "a write that begins with what was read": (
        {"prompt_tokens": 3619, "completion_tokens": 36, "total_tokens": 3655, "prompt_tokens_details": {"cached_tokens": 2921, "cache_write_tokens": 3616}},
        Usage(3619, 36, 2921, 698),
    ),
    "a write and a read that are all": (
        {**OPENAI, "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 1000}}, Usage(1000, 100, 1000, 0),
    ),
    "Bedrock's metrics": (
        {"inputTokenCount": 150, "outputTokenCount": 100, "cacheReadInputTokenCount": 800, "cacheWriteInputTokenCount": 50, "totalTokens": 1100},
        Usage(1000, 100, 800, 50),
    ),
    "camel case": (
        {"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100, "cachedInputTokens": 800, "reasoningTokens": 40},
        Usage(1000, 100, 800, reasoning_tokens=40),
    ),
    "Gemini's names": (
        {"prompt_token_count": 1000, "candidates_token_count": 60, "thoughts_token_count": 40, "total_token_count": 1100},
        Usage(1000, 100, reasoning_tokens=40),
    ),
    "Gemini's names in JSON": (
        {"promptTokenCount": 1000, "candidatesTokenCount": 60, "thoughtsTokenCount": 40, "totalTokenCount": 1100, "cachedContentTokenCount": 800},
        Usage(1000, 100, 800, reasoning_tokens=40),
    ),
    "watsonx": ({"input_token_count": 1000, "generated_token_count": 100}, PLAIN),
    "one in the other": ({"usage": OPENAI}, PLAIN),
    "LangChain's cache by lifetime": (
        {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100, "input_token_details": {"cache_read": 100, "cache_creation": 0, "ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200}},
        Usage(1000, 100, 100, 500, 200),
    ),
    "LangChain's priority tier": (
        {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100, "input_token_details": {"priority_cache_read": 800, "priority": 200}, "output_token_details": {"priority_reasoning": 40, "priority": 60}},
        Usage(1000, 100, 800, reasoning_tokens=40),
    ),
    "searches of xAI": ({**OPENAI, "server_side_tool_usage_details": {"web_search_calls": 2, "x_search_calls": 1}}, Usage(1000, 100, web_searches=2)),
    "Bifrost's cost": ({**OPENAI, "cost": {"input_tokens_cost": 0.01, "output_tokens_cost": 0.02, "total_cost": 0.03}}, Usage(1000, 100, stated_cost=0.03)),
    "a cost in pieces, and its sum": ({**OPENAI, "cost": {"input": 0.01}, "total_cost": 0.03}, Usage(1000, 100, stated_cost=0.03)),
    "a cost that is no number, and one that is": ({**OPENAI, "cost": "n/a", "estimated_cost": 0.03}, Usage(1000, 100, stated_cost=0.03)),
    "a cost in Nano": ({**OPENAI, "cost": 0.5, "cost_currency": "XNO"}, PLAIN),
    "a cost in dollars": ({**OPENAI, "cost": 0.5, "currency": "usd"}, Usage(1000, 100, stated_cost=0.5)),
    "no cost": ({**OPENAI, "cost": -1, "cost_in_usd_ticks": "many"}, PLAIN),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_the_same_plain_and_streamed(name: str):
    counts, right = DIALECTS[name]
    assert whole(counts) == right
    assert streamed(counts) == streamed(counts, at_end=False) == right
    response = {"model": "m", "status": "completed", "output": [], "usage": counts}
    assert responses_answer.decode(response, ASKED).usage == right


ROOT: dict[str, tuple[dict[str, Any], Usage]] = {
    "Vercel": ({"provider_metadata": {"gateway": {"cost": "0.0045405"}}, "usage": OPENAI}, Usage(1000, 100, stated_cost=0.0045405)),
    "Vercel, with a key of one's own": (
        {"provider_metadata": {"gateway": {"cost": "0", "marketCost": "0.25"}}, "usage": OPENAI}, Usage(1000, 100, stated_cost=0.25),
    ),
    "Vercel, free": ({"provider_metadata": {"gateway": {"cost": "0"}}, "usage": OPENAI}, PLAIN),
    "NanoGPT": ({"x_nanogpt_pricing": {"amount": 0.02, "currency": "USD"}, "usage": OPENAI}, Usage(1000, 100, stated_cost=0.02)),
    "NanoGPT, in Nano": ({"x_nanogpt_pricing": {"amount": 0.02, "currency": "XNO"}, "usage": OPENAI}, PLAIN),
    "NanoGPT, in Nano and dollars": (
        {"x_nanogpt_pricing": {"amount": 5, "currency": "XNO", "costUsd": 0.02}, "usage": OPENAI}, Usage(1000, 100, stated_cost=0.02),
    ),
    "NanoGPT alone": (
        {"x_nanogpt_pricing": {"amount": 0.02, "currency": "USD", "inputTokens": 1000, "outputTokens": 100}}, Usage(1000, 100, stated_cost=0.02),
    ),
    "Eden AI": ({"cost": 0.02, "usage": OPENAI}, Usage(1000, 100, stated_cost=0.02)),
    "AIMLAPI": ({"meta": {"usage": {"credits_used": 4, "usd_spent": 0.02}}, "usage": OPENAI}, Usage(1000, 100, stated_cost=0.02)),
    "two costs": ({"cost": 0.02, "usage": {**OPENAI, "cost": 0.01}}, Usage(1000, 100, stated_cost=0.01)),
    "Gemini's usage": ({"usage_metadata": {"prompt_token_count": 1000, "candidates_token_count": 100}}, PLAIN),
    "Gemini's usage in JSON": ({"usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 100}}, PLAIN),
    "another name": ({"token_usage": OPENAI}, PLAIN),
    "Ollama's": ({"prompt_eval_count": 1000, "eval_count": 100}, PLAIN),
    "Cohere's": ({"usage": None, "meta": {"billed_units": {"input_tokens": 1000, "output_tokens": 100}}}, PLAIN),
}  # fmt: skip


@pytest.mark.parametrize("name", ROOT)
def test_in_the_body_itself(name: str):
    fields, right = ROOT[name]
    body = {"model": "m", "choices": [choice(message={"content": "Hi"})], **fields}
    assert chat_answer.decode(body, ASKED).usage == right
    if name == "Cohere's":  # its streams are not those of Chat Completions
        return
    decoder = chat_answer.ChatDecoder(ASKED)
    decoder.feed({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]})
    delta = decoder.feed({"choices": [], **fields})
    assert delta is not None
    assert delta.usage == right


def test_vercel_states_the_cost_in_the_message():
    cost = {"provider_metadata": {"gateway": {"cost": "0.25"}}}
    right = Usage(1000, 100, stated_cost=0.25)
    for where in ({"message": {"content": "Hi", **cost}}, {"message": {"content": "Hi"}, **cost}):
        assert chat_answer.decode({"choices": [choice(**where)], "usage": OPENAI}, ASKED).usage == right
    for where in ({"delta": cost}, {"delta": {}, **cost}):
        decoder = chat_answer.ChatDecoder(ASKED)
        decoder.feed({"choices": [{"index": 0, "delta": {"content": "Hi"}}]})
        decoder.feed({"choices": [choice(**where)]})
        delta = decoder.feed({"choices": [], "usage": OPENAI})
        assert delta is not None
        assert delta.usage == right


def chunk_counts(*reports: tuple[str, dict[str, Any] | None]) -> Usage | None:
    decoder, usage = chat_answer.ChatDecoder(ASKED), None
    for text, counts in reports:
        delta = decoder.feed({"choices": [{"index": 0, "delta": {"content": text}}], "usage": counts})
        usage = delta.usage if delta is not None and delta.usage else usage
    return usage


ONE = {"prompt_tokens": 1000, "completion_tokens": 1, "total_tokens": 1001}


@pytest.mark.parametrize(
    ("reports", "right"),
    [
        pytest.param([("word ", ONE)] * 50, Usage(1000, 50), id="each chunk for itself"),
        pytest.param([("word ", ONE)] * 50 + [("", dict.fromkeys(ONE, 0))], Usage(1000, 50), id="and zeros"),
        pytest.param([("word ", ONE)] * 50 + [("", OPENAI)], PLAIN, id="and the sum"),
        pytest.param([("word ", ONE), *[("word ", {"completion_tokens": 1})] * 49], Usage(1000, 50), id="the prompt once"),
        pytest.param([("word ", {"prompt_tokens": 1000, "completion_tokens": n + 1}) for n in range(50)], Usage(1000, 50), id="cumulative"),
        pytest.param([("word ", OPENAI)] * 50, PLAIN, id="the whole in each chunk"),
        pytest.param([("", ONE)] * 50, Usage(1000, 1), id="without text"),
        pytest.param([("word " * 20, None), ("", ONE)], Usage(1000, 1), id="once"),
    ],
)  # fmt: skip
def test_increments_and_totals(reports: Any, right: Usage):
    assert chunk_counts(*reports) == right


@given(st.lists(st.integers(1, 20), min_size=1, max_size=40), st.integers(0, 60))
def test_a_growing_count_is_never_summed(steps: list[int], characters: int):
    """Whatever the text: a count that grows is a total."""
    totals = [sum(steps[: number + 1]) for number in range(len(steps))]
    reports = [("x" * characters, {"prompt_tokens": 9, "completion_tokens": total}) for total in totals]
    assert chunk_counts(*reports) == Usage(9, totals[-1])


@pytest.mark.parametrize("place", ["choice", "inner", "x_groq"])
def test_places(place: str):
    assert whole(OPENAI, place) == PLAIN
    assert streamed(OPENAI, place=place) == streamed(OPENAI, place=place, at_end=False) == PLAIN


def test_llama_cpp_measures_where_it_does_not_count():
    timings = {"prompt_n": 200, "cache_n": 800, "predicted_n": 100, "predicted_ms": 5.0}
    assert whole(timings, "timings") == streamed(timings, place="timings") == Usage(1000, 100, 800)
    assert find_usage({"usage": OPENAI, "timings": {"prompt_n": 1, "predicted_n": 1}}) == PLAIN
    assert find_usage({"timings": {"predicted_ms": 5.0}}) is None


@pytest.mark.parametrize(
    "counted",
    [
        pytest.param(({**OPENAI, "completion_tokens": 1, "total_tokens": 1001}, OPENAI), id="growing"),
        pytest.param((OPENAI, dict.fromkeys(OPENAI, 0)), id="zeros at the end"),
        pytest.param((OPENAI, None), id="null at the end"),
        pytest.param((OPENAI, {}), id="nothing at the end"),
        pytest.param((OPENAI, {"prompt_tokens": None, "completion_tokens": 0}), id="both at the end"),
        pytest.param(({"prompt_tokens": 1000}, {"completion_tokens": 100}), id="a half each"),
    ],
)
@pytest.mark.parametrize("at_end", [True, False])
def test_a_count_is_never_lost_again(counted: tuple[Any, ...], at_end: bool):
    assert streamed(*counted, at_end=at_end) == PLAIN


def test_searches_of_responses_are_those_that_cost():
    def search(**more: Any) -> dict[str, Any]:
        return {"type": "web_search_call", "status": "completed", **more}

    items = [search(action={"type": "search"}), search(action={"type": "open_page"}), search(), search(status="failed")]
    body = {"model": "m", "status": "completed", "output": items, "usage": {"input_tokens": 1, "output_tokens": 2}}
    assert responses_answer.decode(body, ASKED).usage == Usage(1, 2, web_searches=2)
    decoder = responses_answer.ResponsesDecoder(ASKED)
    for place, item in enumerate(items):
        decoder.feed({"type": "response.output_item.done", "output_index": place, "item": item})
    delta = decoder.feed({"type": "response.completed", "response": {**body, "output": []}})
    assert delta is not None
    assert delta.usage == Usage(1, 2, web_searches=2)


TOOL_USAGE = {
    "web_search": {"num_requests": 3},
    "image_gen": {
        "input_tokens": 1550,
        "output_tokens": 515,
        "total_tokens": 2065,
        "input_tokens_details": {"image_tokens": 1521, "text_tokens": 29},
        "output_tokens_details": {"image_tokens": 515, "text_tokens": 0},
    },
}
DRAWN = Usage(1550, 515, input_image_tokens=1521, output_image_tokens=515)


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"tool_usage": TOOL_USAGE}, Usage(1, 2, web_searches=3, other_models=(("gpt-image-1", DRAWN),))),
        (
            {"tool_usage": TOOL_USAGE, "tools": [{"type": "function"}, {"type": "image_generation", "model": "gpt-image-2"}]},
            Usage(1, 2, web_searches=3, other_models=(("gpt-image-2", DRAWN),)),
        ),
        ({"tool_usage": {"web_search": {"num_requests": 0}, "image_gen": dict.fromkeys(TOOL_USAGE["image_gen"], 0)}}, Usage(1, 2)),
        ({"tool_usage": None}, Usage(1, 2)),
        ({"tool_usage": {"image_gen": {"images": 1}}}, Usage(1, 2)),
        (
            {"output": [{"type": "file_search_call", "status": "completed"}] * 2 + [{"type": "file_search_call", "status": "failed"}]},
            Usage(1, 2, file_searches=2),
        ),
    ],
)  # fmt: skip
def test_tools_of_responses(fields: dict[str, Any], right: Usage):
    counts = {"input_tokens": 1, "output_tokens": 2}
    body = {"model": "m", "status": "completed", "output": [], "usage": counts, **fields}
    assert responses_answer.decode(body, ASKED).usage == right
    decoder = responses_answer.ResponsesDecoder(ASKED)
    for place, item in enumerate(body["output"]):
        decoder.feed({"type": "response.output_item.done", "output_index": place, "item": item})
    delta = decoder.feed({"type": "response.completed", "response": {**body, "output": []}})
    assert delta is not None
    assert delta.usage == right


def test_usage_of_the_last_event_itself():
    body = {"model": "m", "status": "completed", "output": []}
    decoder = responses_answer.ResponsesDecoder(ASKED)
    delta = decoder.feed(
        {"type": "response.completed", "response": body, "usage": {"input_tokens": 1, "output_tokens": 2}}
    )
    assert delta is not None
    assert delta.usage == Usage(1, 2)


@pytest.mark.parametrize(
    ("told", "cost"), [("0.012", 0.012), ("0.0", None), ("None", None), ("-1", None), ("nan", None), (None, None)]
)
def test_the_cost_in_a_header(told: str | None, cost: float | None):
    assert header_cost({} if told is None else {"x-litellm-response-cost": told}) == cost


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["7", "1e3", "1e999", "NaN"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
names = st.sampled_from(
    sorted({name for counts, _ in DIALECTS.values() for name in counts} | {"is_byok", "cost_details"})
)
inner = st.sampled_from(
    ["cached_tokens", "reasoning_tokens", "audio_tokens", "total_cost", "ephemeral_1h_input_tokens"]
)
usages = st.dictionaries(names, odd | st.integers(0, 2000) | st.dictionaries(inner, odd, max_size=3), max_size=8)


@pytest.mark.slow
@given(usages, usages)
def test_odd_usage_never_raises_and_is_never_negative(first: dict[str, Any], second: dict[str, Any]):
    known = read_usage(first)
    latest = find_usage({"usage": second, "timings": first, "choices": [{"usage": first}]})
    for usage in (known, latest, merge_usage(known, latest) if latest else None):
        for field in fields(Usage) if usage is not None else ():
            value = getattr(usage, field.name)
            if isinstance(value, int | float):
                assert value >= 0
                assert isinstance(value, float) == (field.name == "stated_cost")


counts = st.none() | st.integers(0, 50) | st.sampled_from([0, 10**13, -1, 1.0, "5", True])


@given(
    names=st.sampled_from([("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")]),
    given_count=counts,
    output=counts,
    total=counts | st.just("right"),
    details=st.tuples(counts, counts, counts, counts, counts),
)
@example(  # read and written tokens that are more than the input together are beside it
    names=("prompt_tokens", "completion_tokens"), given_count=1, output=0, total=1, details=(1, 1, None, None, None)
)
def test_the_quick_way_says_what_the_long_way_says(names, given_count, output, total, details):
    """OpenAI's own form is read at once; a form that differs in anything is read in full."""
    if total == "right":
        total = (given_count if isinstance(given_count, int) else 0) + (output if isinstance(output, int) else 0)
    cached, stored, heard, reasoning, spoken = details
    usage = {
        names[0]: given_count,
        names[1]: output,
        "total_tokens": total,
        f"{names[0]}_details": {"cached_tokens": cached, "cache_write_tokens": stored, "audio_tokens": heard},
        f"{names[1]}_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
    }
    quick = find_usage({"usage": usage})
    slow = read_usage(usage)
    assert quick == slow or (quick is None and slow == Usage())
