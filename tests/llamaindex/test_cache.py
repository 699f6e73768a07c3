"""MultiRoute's cache through LlamaIndex's faces; its token counter counts nothing for a hit."""

import json

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate

from llamaindex_multiroute import MultiRoute
from multiroute_core import CacheConfig, ConfigurationError, MemoryCache, options
from tests.llamaindex.conftest import Weather, get_weather

WIRES = ("anthropic", "chat", "responses", "google")
FACES = ("chat", "achat", "stream_chat", "astream_chat", "complete", "stream_complete")


async def ask(llm, face):
    messages = [ChatMessage("Hi")]
    if face == "chat":
        return llm.chat(messages)
    if face == "achat":
        return await llm.achat(messages)
    if face == "stream_chat":
        return list(llm.stream_chat(messages))[-1]
    if face == "astream_chat":
        return [response async for response in await llm.astream_chat(messages)][-1]
    return llm.complete("Hi") if face == "complete" else list(llm.stream_complete("Hi"))[-1]


def text(response):
    return response.message.content if hasattr(response, "message") else response.text


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("face", FACES)
async def test_a_hit_says_the_same_is_marked_and_counts_nothing(server, wire, face):
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = MultiRoute(routes=[server.route(wire)], cache="memory", callback_manager=CallbackManager([counter]))
    asked = llm.chat([ChatMessage("Hi")])
    assert counter.total_llm_token_count > 0
    counter.reset_counts()
    found = await ask(llm, face)
    about = found.additional_kwargs
    assert text(found) == asked.message.content
    assert (about["cached"], about["stale"], about["cost"]) == (True, False, 0.0)
    assert about["saved_cost"] == asked.additional_kwargs["cost"] > 0
    assert (about["prompt_tokens"], about["completion_tokens"], about["total_tokens"]) == (0, 0, 0)
    assert counter.total_llm_token_count == 0
    assert json.loads(json.dumps(found.raw["usage"])) == dict.fromkeys(found.raw["usage"], 0)
    assert len(server.requests) == 1


@pytest.mark.parametrize("wire", WIRES)
def test_tools_and_answers_in_a_form(server, wire):
    from llama_index.core.tools import FunctionTool

    llm = MultiRoute(routes=[server.route(wire)], cache="memory")
    tools = [FunctionTool.from_defaults(get_weather)]
    for _ in range(2):
        response = llm.chat_with_tools(tools, "Get the weather in Paris.")
        (call,) = llm.get_tool_calls_from_response(response)
        assert (call.tool_name, call.tool_kwargs) == ("get_weather", {"city": "Paris"})
        call.tool_kwargs["city"] = "spoilt"
    assert len(server.requests) == 1
    found = [llm.structured_predict(Weather, PromptTemplate("The weather in Paris.")) for _ in range(2)]
    assert found[0] == found[1]
    assert len(server.requests) == 2


@pytest.mark.parametrize("cache", ["memory", MemoryCache(), CacheConfig(ttl=5.0)], ids=["name", "store", "settings"])
def test_it_goes_to_the_router_and_a_call_may_go_past_it(server, cache):
    llm = MultiRoute(routes=[server.route("chat")], cache=cache)
    for _ in range(2):
        llm.complete("Hi")
    llm.complete("Hi", cache=False)
    with options(cache="refresh"):
        llm.complete("Hi")
    assert len(server.requests) == 3


def test_what_is_no_cache_is_refused(server):
    with pytest.raises(ConfigurationError, match="expected"):
        MultiRoute(routes=[server.route("chat")], cache=True)
