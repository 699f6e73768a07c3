"""ChatMultiRoute where LangChain's users put a chat model."""

import asyncio
import copy
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langgraph.graph import END, START, MessagesState, StateGraph

import multiroute_core
from langchain_multiroute import ChatMultiRoute
from multiroute_core import ConfigurationError, Route, Router, ServerError
from tests.chat_server import Fleet, answer, error

PROMPT = ChatPromptTemplate.from_messages([("system", "Be {mood}."), ("human", "{question}")])
ASK = {"mood": "kind", "question": "Hi"}


@pytest.fixture
def fleet():
    with Fleet(error(500), answer("One two.")) as fleet:
        yield fleet


@pytest.fixture
def llm(fleet):
    return ChatMultiRoute(router=fleet.router)


def check(message):
    assert message.content == "One two."
    assert message.usage_metadata == {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    metadata = message.response_metadata
    assert (metadata["model_name"], metadata["model_provider"]) == ("gpt-4.1", "openai")
    assert metadata["finish_reason"] == "stop"
    own = metadata["multiroute"]
    assert own["route"] == "b"
    assert own["cost"] == pytest.approx(2.6e-5)
    assert [attempt["outcome"] for attempt in own["attempts"]] == ["server_error", "success"]


class TestFaces:
    def test_invoke(self, llm):
        check((PROMPT | llm).invoke(ASK))

    def test_ainvoke(self, llm):
        check(asyncio.run((PROMPT | llm).ainvoke(ASK)))

    def test_stream(self, llm):
        chunks = list((PROMPT | llm).stream(ASK))
        assert [chunk.content for chunk in chunks if chunk.content] == ["One ", "two."]
        assert sum("model_name" in chunk.response_metadata for chunk in chunks) == 1
        assert chunks[-1].chunk_position == "last"
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        check(whole)

    def test_astream(self, llm):
        async def read():
            return [chunk async for chunk in (PROMPT | llm).astream(ASK)]

        chunks = asyncio.run(read())
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        check(whole)

    def test_batch_and_abatch(self, llm):
        for message in llm.batch(["a", "b", "c"]):
            assert message.content == "One two."
        for message in asyncio.run(llm.abatch(["a", "b", "c"])):
            assert message.content == "One two."

    def test_astream_events(self, llm):
        async def read():
            return [event async for event in (PROMPT | llm).astream_events(ASK, version="v2")]

        kinds = [event["event"] for event in asyncio.run(read())]
        assert kinds.count("on_chat_model_start") == 1
        assert kinds.count("on_chat_model_end") == 1
        assert "on_chat_model_stream" in kinds

    def test_with_a_parser(self, llm):
        chain = PROMPT | llm | StrOutputParser()
        assert chain.invoke(ASK) == "One two."
        assert "".join(chain.stream(ASK)) == "One two."


class TestCallbacks:
    def test_usage_is_counted_once_in_every_face(self, llm):
        with get_usage_metadata_callback() as counter:
            llm.invoke("Hi")
            list(llm.stream("Hi"))

            async def both():
                await llm.ainvoke("Hi")
                async for _ in llm.astream("Hi"):
                    pass

            asyncio.run(both())
        assert counter.usage_metadata == {"gpt-4.1": {"input_tokens": 20, "output_tokens": 8, "total_tokens": 28}}

    def test_invoke_streams_tokens_to_a_handler_that_wants_them(self, fleet):
        tokens: list[str] = []

        class Tokens(BaseCallbackHandler):
            def on_llm_new_token(self, token, **kwargs):
                tokens.append(token)

        llm = ChatMultiRoute(router=fleet.router, streaming=True)
        check(llm.invoke("Hi", config={"callbacks": [Tokens()]}))
        assert "".join(tokens) == "One two."

    def test_one_run_for_one_call_whatever_was_tried(self, llm):
        starts: list[str] = []

        class Runs(BaseCallbackHandler):
            def on_chat_model_start(self, serialized, messages, **kwargs):
                starts.append(kwargs["metadata"]["ls_model_name"])
                assert kwargs["metadata"]["ls_provider"] == "openai"

        llm.invoke("Hi", config={"callbacks": [Runs()]})
        assert starts == ["gpt-4.1"]

    def test_errors_reach_the_chain(self, fleet):
        llm = ChatMultiRoute(router=fleet.router, fallback=False, max_retries=0)
        with pytest.raises(ServerError):
            (PROMPT | llm).invoke(ASK)
        assert llm.with_fallbacks([ChatMultiRoute(router=fleet.router)]).invoke("Hi").content == "One two."


class TestOptions:
    @pytest.fixture
    def pair(self):
        with Fleet(answer("a"), answer("b"), details=[{}, {"tasks": {"code_generation"}}]) as fleet:
            yield fleet

    def route(self, message):
        return message.response_metadata["multiroute"]["route"]

    def test_as_fields_as_keywords_by_bind_and_by_context(self, pair):
        llm = ChatMultiRoute(router=pair.router)
        assert self.route(llm.invoke("Hi")) == "a"
        assert self.route(ChatMultiRoute(router=pair.router, task="code_generation").invoke("Hi")) == "b"
        assert self.route(llm.invoke("Hi", task="code_generation")) == "b"
        assert self.route((PROMPT | llm.bind(task="code_generation")).invoke(ASK)) == "b"
        assert self.route(llm.bind_tools([], task="code_generation").invoke("Hi")) == "b"
        with multiroute_core.options(task="code_generation"):
            assert self.route((PROMPT | llm).invoke(ASK)) == "b"
            assert [self.route(m) for m in llm.batch(["x", "y", "z"])] == ["b"] * 3
            assert [self.route(m) for m in asyncio.run(llm.abatch(["x", "y"]))] == ["b"] * 2
            assert [c.content for c in llm.stream("Hi")][0] == "b"
            assert self.route(asyncio.run(llm.ainvoke("Hi"))) == "b"
            # The nearest to the call wins.
            assert self.route(llm.invoke("Hi", task="other")) == "a"

    def test_a_field_gives_way_to_the_context(self, pair):
        llm = ChatMultiRoute(router=pair.router, task="code_generation")
        with multiroute_core.options(task="other"):
            assert self.route(llm.invoke("Hi")) == "a"

    @pytest.mark.parametrize("mode", ["invoke", "ainvoke", "stream"])
    def test_through_langgraph(self, pair, mode):
        llm = ChatMultiRoute(router=pair.router)

        def node(state: MessagesState):
            return {"messages": [llm.invoke(state["messages"])]}

        async def anode(state: MessagesState):
            return {"messages": [await llm.ainvoke(state["messages"])]}

        graph = StateGraph(MessagesState)
        graph.add_node("model", RunnableLambda(node, afunc=anode))
        graph.add_edge(START, "model")
        graph.add_edge("model", END)
        app = graph.compile()
        asked: Any = {"messages": [("user", "Hi")]}
        with multiroute_core.options(task="code_generation"):
            if mode == "stream":
                tokens: Any = list(app.stream(asked, stream_mode="messages"))
                assert "".join(chunk.content for chunk, _ in tokens) == "b"
            else:
                call = app.invoke if mode == "invoke" else lambda given: asyncio.run(app.ainvoke(given))
                assert self.route(call(asked)["messages"][-1]) == "b"

    def test_sampling_reaches_the_wire(self, pair):
        import json

        llm = ChatMultiRoute(router=pair.router, temperature=0.5, max_tokens=7, stop=["x"], seed=3, timeout=9)
        assert llm.deadline == 9
        llm.invoke("Hi", temperature=0.1, stop=["y"])
        body = json.loads(pair.servers[0].requests[0].body)
        assert (body["temperature"], body["max_completion_tokens"], body["stop"], body["seed"]) == (0.1, 7, ["y"], 3)

    def test_configurable_fields(self, pair):
        llm = ChatMultiRoute(router=pair.router).configurable_fields(task=ConfigurableField(id="task"))
        assert self.route(llm.with_config(configurable={"task": "code_generation"}).invoke("Hi")) == "b"


class TestConstruction:
    def test_it_is_a_chat_model_that_shares_its_router(self, fleet, llm):
        assert issubclass(ChatMultiRoute, BaseChatModel)
        assert copy.deepcopy(llm).router is fleet.router
        assert llm.model_copy(update={"temperature": 1}).router is fleet.router
        assert "router" not in repr(llm)
        assert "router" not in llm.model_dump()

    def test_routes_make_a_router(self, fleet):
        llm = ChatMultiRoute(routes=fleet.routes, attempt_timeout=7, strategy="cheapest")
        assert isinstance(llm.router, Router)
        assert llm.router.limits.attempt == 7
        check(llm.invoke("Hi"))
        llm.router.close()

    def test_nothing_at_all_takes_the_keys_of_the_environment(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
        assert [route.provider for route in ChatMultiRoute().router.routes] == ["anthropic", "openai"]

    def test_one_api_key_for_one_provider(self):
        llm = ChatMultiRoute(routes=["openai:gpt-4.1", "openai:gpt-6-luna"], api_key="sk-secret")
        assert {route.api_key for route in llm.router.routes} == {"sk-secret"}
        assert "sk-secret" not in repr(llm) + str(llm.model_dump()) + str(llm._identifying_params)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (
                {"routes": ["openai:gpt-4.1"], "temprature": 1},
                "Unknown option 'temprature': did you mean 'temperature'",
            ),
            ({"routes": ["openai:gpt-4.1"], "api_key": "k", "timeout": 1, "deadline": 2}, "pass only one of them"),
            ({"routes": ["openai:gpt-4.1", "anthropic:x"], "api_key": "k"}, "api_key is for one provider"),
            ({"routes": ["openai:gpt-4.1"], "api_key": ""}, "expected a non-empty string"),
            ({"router": "x"}, "router is a str"),
            ({"routes": ["openai:gpt-4.1"], "api_key": "k", "strategy": "cheep"}, "did you mean 'cheapest'"),
            ({}, "No routes"),
        ],
    )
    def test_bad_arguments(self, arguments, sentence):
        with pytest.raises(ConfigurationError) as caught:
            ChatMultiRoute(**arguments)
        assert sentence in str(caught.value)

    def test_a_setting_of_the_router_beside_a_router(self, fleet):
        with pytest.raises(ConfigurationError, match="attempt_timeout is a setting of the router"):
            ChatMultiRoute(router=fleet.router, attempt_timeout=3)

    def test_different_configurations_have_different_cache_keys(self, fleet):
        fields: tuple[dict[str, Any], ...] = ({}, {"temperature": 0.5}, {"task": "x"}, {"stop": ["y"]}, {"model": "a"})
        keys = {ChatMultiRoute(router=fleet.router, **each)._get_llm_string() for each in fields}
        assert len(keys) == 5

    def test_keys_of_the_cache_hold_no_secret(self):
        llm = ChatMultiRoute(routes=[Route("openai:gpt-4.1", api_key="sk-secret")])
        assert "sk-secret" not in llm._get_llm_string()


class TestMessages:
    def test_roles_and_text_blocks(self, fleet):
        import json

        history = [
            SystemMessage("Be kind."),
            HumanMessage(["a", {"type": "text", "text": "b"}]),
            AIMessage("c"),
            ChatMessage(role="developer", content="d"),
            HumanMessage("e"),
        ]
        before = copy.deepcopy(history)
        ChatMultiRoute(router=fleet.router).invoke(history)
        assert history == before
        body = json.loads(fleet.servers[1].requests[0].body)
        roles = [(m["role"], m["content"]) for m in body["messages"]]
        assert roles == [("system", "Be kind."), ("user", "ab"), ("assistant", "c"), ("system", "d"), ("user", "e")]

    @pytest.mark.parametrize(
        ("message", "sentence"),
        [
            (ToolMessage("x", tool_call_id="1"), "The tool call '1' has a result"),
            (FunctionMessage(content="x", name="f"), "A FunctionMessage is not supported"),
            (RemoveMessage(id="1"), "A RemoveMessage is not supported"),
            (HumanMessage([{"type": "hologram"}]), "Unknown type of content 'hologram'"),
        ],
    )
    def test_what_cannot_be_carried_is_refused_before_the_network(self, fleet, message, sentence):
        with pytest.raises(ConfigurationError, match=sentence):
            ChatMultiRoute(router=fleet.router).invoke([message])
        assert fleet.hits == [0, 0]

    def test_chunks_are_ai_chunks(self, llm):
        assert all(isinstance(chunk, AIMessageChunk) for chunk in llm.stream("Hi"))
