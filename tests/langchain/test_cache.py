"""MultiRoute's cache through LangChain's faces, beside LangChain's own."""

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_multiroute import ChatMultiRoute
from multiroute_core import CacheConfig, ConfigurationError, MemoryCache, Router, options
from tests.langchain.conftest import Weather, get_weather
from tests.langchain.faces import FACES, ask

WIRES = ("anthropic", "chat", "responses", "google")


def told(message):
    return message.response_metadata["multiroute"]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("face", FACES)
class TestHit:
    async def test_it_says_the_same_is_marked_and_counts_nothing(self, server, wire, face):
        llm = ChatMultiRoute(routes=[server.route(wire)], cache="memory")
        asked = llm.invoke("Hi")
        with get_usage_metadata_callback() as counter:
            found = await ask(llm, face)
        assert (found.text, told(found)["cached"], told(found)["cost"]) == (asked.text, True, 0.0)
        assert told(found)["saved_cost"] == told(asked)["cost"] > 0
        assert "cached" not in told(asked)
        assert found.usage_metadata["total_tokens"] == 0
        assert all(usage["total_tokens"] == 0 for usage in counter.usage_metadata.values())
        assert found.id != asked.id
        assert found.response_metadata["model_name"] == asked.response_metadata["model_name"]
        assert len(server.requests) == 1
        again = await ask(llm, face)
        assert again.id != found.id

    async def test_tools_and_the_conversation_after_them(self, server, wire, face):
        llm = ChatMultiRoute(routes=[server.route(wire)], cache="memory").bind_tools([get_weather])
        asked = [HumanMessage("Get the weather in Paris.")]
        finals = []
        for _ in range(2):
            call = await ask(llm, face, asked)
            assert [(c["name"], c["args"]) for c in call.tool_calls] == [("get_weather", {"city": "Paris"})]
            answer = ToolMessage("Sunny.", tool_call_id=call.tool_calls[0]["id"])
            finals.append(await ask(llm, face, [*asked, call, answer]))
            call.tool_calls[0]["args"]["city"] = "spoilt"
        assert finals[0].text == finals[1].text
        assert [told(message).get("cached", False) for message in finals] == [False, True]
        assert len(server.requests) == 2


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_answers_in_a_form(server, wire, method):
    llm = ChatMultiRoute(routes=[server.route(wire)], cache="memory").with_structured_output(Weather, method=method)
    first, again = (llm.invoke("The weather in Paris.") for _ in range(2))
    assert isinstance(again, Weather)
    assert first == again
    assert len(server.requests) == 1


class TestWhoseCache:
    def test_langchains_own_stays_langchains(self, server):
        own = InMemoryCache()
        llm = ChatMultiRoute(routes=[server.route("chat")], cache=own)
        assert llm.cache is own
        assert llm.router._parts.cache is None
        for _ in range(2):
            llm.invoke("Hi")
        assert len(server.requests) == 1
        assert ChatMultiRoute(routes=[server.route("chat")], cache=False).cache is False

    @pytest.mark.parametrize(
        "cache", ["memory", MemoryCache(), CacheConfig(ttl=5.0)], ids=["name", "store", "settings"]
    )
    def test_ours_goes_to_the_router(self, server, cache):
        llm = ChatMultiRoute(routes=[server.route("chat")], cache=cache)
        assert llm.cache is None
        assert llm.router._parts.cache is not None
        for _ in range(2):
            llm.invoke("Hi")
        assert len(server.requests) == 1

    def test_it_is_refused_beside_a_router(self, server):
        with pytest.raises(ConfigurationError, match="cache is a setting of the router"):
            ChatMultiRoute(router=Router([server.route("chat")]), cache="memory")

    def test_a_call_may_go_past_it(self, server):
        llm = ChatMultiRoute(routes=[server.route("chat")], cache="memory")
        llm.invoke("Hi")
        llm.invoke("Hi", cache=False)
        with options(cache="refresh"):
            llm.invoke("Hi")
        llm.bind(cache=False).invoke("Hi")
        assert len(server.requests) == 4
        llm.invoke("Hi")
        assert len(server.requests) == 4

    def test_the_keys_of_both_agree_that_ids_do_not_count(self, server):
        llm = ChatMultiRoute(routes=[server.route("chat")], cache="memory")
        for number in range(2):
            history = [
                HumanMessage("Hi", id=f"h{number}"),
                AIMessage("Hello.", id=f"a{number}", response_metadata={"took": number}),
                HumanMessage("And now?", id=f"n{number}"),
            ]
            llm.invoke(history)
        assert len(server.requests) == 1
