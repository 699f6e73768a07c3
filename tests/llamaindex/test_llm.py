"""MultiRoute where LlamaIndex's users put an LLM."""

import asyncio
import copy
import inspect

import pytest
from llama_index.core import Document, PromptTemplate, Settings, SummaryIndex
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler, TokenCountingHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.instrumentation import get_dispatcher  # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import LLM, ChatMessage, MessageRole
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer

import multiroute_core
from llamaindex_multiroute import MultiRoute
from multiroute_core import ConfigurationError, Route, ServerError
from multiroute_core.testing import Answer, provider_of, scripted_route
from tests.chat_server import Fleet, answer, error

HELLO = [ChatMessage(role="user", content="Hi")]


@pytest.fixture
def fleet():
    with Fleet(error(500), answer("One two.")) as fleet:
        yield fleet


@pytest.fixture
def llm(fleet):
    return MultiRoute(router=fleet.router)


def check(response):
    assert response.message.content == "One two."
    assert response.message.role is MessageRole.ASSISTANT
    assert response.message.additional_kwargs == {}
    assert response.raw["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    own = response.additional_kwargs
    assert (own["prompt_tokens"], own["completion_tokens"], own["total_tokens"]) == (5, 2, 7)
    assert (own["model"], own["provider"], own["route"]) == ("gpt-4.1", "openai", "b")
    assert own["cost"] == pytest.approx(2.6e-5)
    assert [attempt["outcome"] for attempt in own["attempts"]] == ["server_error", "success"]


class TestFaces:
    def test_chat(self, llm):
        check(llm.chat(HELLO))
        check(asyncio.run(llm.achat(HELLO)))

    def test_stream_chat(self, llm):
        stream = llm.stream_chat(HELLO)
        assert inspect.isgenerator(stream)
        self.check_stream(list(stream))

    def test_astream_chat(self, llm):
        async def read():
            stream = await llm.astream_chat(HELLO)
            assert inspect.isasyncgen(stream)
            return [response async for response in stream]

        self.check_stream(asyncio.run(read()))

    def check_stream(self, responses):
        assert [response.delta for response in responses] == ["One ", "two.", ""]
        assert [response.message.content for response in responses] == ["One ", "One two.", "One two."]
        check(responses[-1])

    def test_complete(self, llm):
        assert llm.complete("Hi").text == "One two."
        assert asyncio.run(llm.acomplete("Hi")).additional_kwargs["total_tokens"] == 7

    def test_stream_complete(self, llm):
        assert [r.text for r in llm.stream_complete("Hi")] == ["One ", "One two.", "One two."]

        async def read():
            return "".join([r.delta async for r in await llm.astream_complete("Hi")])

        assert asyncio.run(read()) == "One two."

    def test_predict_and_stream(self, llm):
        prompt = PromptTemplate("Say {word}.")
        assert llm.predict(prompt, word="x") == "One two."
        assert "".join(llm.stream(prompt, word="x")) == "One two."
        assert asyncio.run(llm.apredict(prompt, word="x")) == "One two."


class TestClosed:
    """A stream that is closed ends at the provider too, also where a handler keeps the exception of its early end."""

    @pytest.fixture
    def route(self):
        return scripted_route("a", Answer(["One ", "two."]))

    @pytest.fixture
    def llm(self, route):
        debug = LlamaDebugHandler(print_trace_on_end=False)
        return MultiRoute(routes=[route], callback_manager=CallbackManager([debug]))

    @pytest.mark.parametrize(("face", "asked"), [("stream_chat", HELLO), ("stream_complete", "Hi")])
    def test_in_sync_code(self, llm, route, face, asked):
        stream = getattr(llm, face)(asked)
        assert next(stream).delta == "One "
        assert provider_of(route).in_flight == 1
        stream.close()
        assert provider_of(route).in_flight == 0
        assert len(llm.callback_manager.handlers[0].get_event_pairs(CBEventType.LLM)) == 1

    @pytest.mark.parametrize(("face", "asked"), [("astream_chat", HELLO), ("astream_complete", "Hi")])
    async def test_on_an_event_loop(self, llm, route, face, asked):
        stream = await getattr(llm, face)(asked)
        assert (await anext(stream)).delta == "One "
        assert provider_of(route).in_flight == 1
        await stream.aclose()
        assert provider_of(route).in_flight == 0
        assert len(llm.callback_manager.handlers[0].get_event_pairs(CBEventType.LLM)) == 1

    def test_one_in_the_other(self, llm, route):
        outer = llm.stream_chat(HELLO)
        next(outer)
        inner = llm.stream_chat(HELLO)
        next(inner)
        outer.close()
        assert provider_of(route).in_flight == 1
        assert "".join(response.delta for response in inner) == "two."


class TestEngines:
    @pytest.fixture
    def index(self):
        return SummaryIndex.from_documents([Document(text="Routers route. Breakers break.")])

    def test_query_engine(self, llm, index):
        assert str(index.as_query_engine(llm=llm).query("What?")) == "One two."
        assert str(asyncio.run(index.as_query_engine(llm=llm).aquery("What?"))) == "One two."

    def test_streaming_query_engine(self, llm, index):
        response = index.as_query_engine(llm=llm, streaming=True).query("What?")
        assert "".join(response.response_gen) == "One two."

    def test_tree_summarize(self, llm, index):
        engine = index.as_query_engine(llm=llm, response_mode="tree_summarize")
        assert str(engine.query("What?")) == "One two."

    def test_chat_engine(self, llm):
        memory = ChatMemoryBuffer.from_defaults(token_limit=1000)  # the default one leaves an SQLite connection open
        engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
        assert str(engine.chat("Hi")) == "One two."
        assert "".join(engine.stream_chat("And?").response_gen) == "One two."

    def test_as_the_settings_llm(self, llm, index, monkeypatch):
        monkeypatch.setattr(Settings, "_llm", None)
        Settings.llm = llm
        assert Settings.llm is llm
        assert str(index.as_query_engine().query("What?")) == "One two."


class TestCounting:
    def test_the_token_counter_counts_what_the_vendor_said(self, fleet):
        counter = TokenCountingHandler(tokenizer=lambda text: [0] * 1000)
        llm = MultiRoute(router=fleet.router, callback_manager=CallbackManager([counter]))
        llm.chat(HELLO)
        list(llm.stream_chat(HELLO))
        llm.complete("Hi")
        asyncio.run(llm.achat(HELLO))
        assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (20, 8)

    def test_one_start_and_one_end_for_one_call_whatever_was_tried(self, llm):
        seen: list[str] = []

        class Events(BaseEventHandler):
            def handle(self, event, **kwargs):
                seen.append(event.class_name())

        dispatcher = get_dispatcher()
        handler = Events()
        dispatcher.add_event_handler(handler)
        try:
            llm.chat(HELLO)
            list(llm.stream_chat(HELLO))
        finally:
            dispatcher.event_handlers.remove(handler)
        assert seen.count("LLMChatStartEvent") == 2
        assert seen.count("LLMChatEndEvent") == 2


class TestOptions:
    @pytest.fixture
    def pair(self):
        with Fleet(answer("a"), answer("b"), details=[{}, {"tasks": {"code_generation"}}]) as fleet:
            yield fleet

    def test_as_fields_as_keywords_and_by_context(self, pair):
        llm = MultiRoute(router=pair.router)
        prompt = PromptTemplate("Say {word}.")
        engine = SummaryIndex.from_documents([Document(text="x")]).as_query_engine(llm=llm)
        assert llm.chat(HELLO).message.content == "a"
        assert MultiRoute(router=pair.router, task="code_generation").chat(HELLO).message.content == "b"
        assert llm.chat(HELLO, task="code_generation").message.content == "b"
        assert llm.complete("Hi", task="code_generation").text == "b"
        assert llm.predict(prompt, word="x") == "a"  # it has no place for options: the context variable is for this
        with multiroute_core.options(task="code_generation"):
            assert llm.predict(prompt, word="x") == "b"
            assert str(engine.query("What?")) == "b"
            assert str(asyncio.run(engine.aquery("What?"))) == "b"
            assert "".join(r.delta or "" for r in llm.stream_chat(HELLO)) == "b"
            assert llm.chat(HELLO, task="other").message.content == "a"


class TestConstruction:
    def test_it_is_a_function_calling_llm_that_shares_its_router(self, fleet, llm):
        assert issubclass(MultiRoute, LLM)
        assert issubclass(MultiRoute, FunctionCallingLLM)
        assert copy.deepcopy(llm).router is fleet.router
        assert "router" not in repr(llm)
        assert "router" not in llm.to_dict()

    def test_metadata_is_cheap_offline_and_the_smallest_of_the_routes(self):
        routes = [
            Route("anthropic:claude-sonnet-5-5", api_key="k"),
            Route("openai:gpt-4o", api_key="k"),
            Route("local:smollm2", backup=True),
        ]
        metadata = MultiRoute(routes=routes).metadata
        assert (metadata.context_window, metadata.num_output) == (128_000, 1_024)
        assert metadata.is_chat_model
        assert metadata.model_name == "claude-sonnet-5-5"
        assert MultiRoute(routes=routes[:2], max_tokens=50).metadata.num_output == 50
        assert MultiRoute(routes=routes[:2], context_window=4_000).metadata.context_window == 4_000
        for known in (metadata, MultiRoute(routes=[Route("openai:mine", api_key="k")]).metadata):
            assert known.num_output < known.context_window

    def test_the_payload_for_instrumentation_holds_no_secret(self):
        llm = MultiRoute(routes=[Route("openai:gpt-4.1", api_key="sk-secret")], temperature=0.5)
        payload = llm.to_payload()
        assert (payload["model"], payload["temperature"]) == ("gpt-4.1", 0.5)
        assert "sk-secret" not in str(payload) + str(llm.to_dict()) + repr(llm)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"routes": ["openai:gpt-4.1"], "temprature": 1}, "did you mean 'temperature'"),
            ({"routes": []}, "routes=[] is empty"),
            ({}, "No routes"),
        ],
    )
    def test_bad_arguments(self, arguments, sentence):
        with pytest.raises(ConfigurationError) as caught:
            MultiRoute(**arguments)
        assert sentence in str(caught.value)

    def test_errors_reach_the_caller(self, fleet):
        with pytest.raises(ServerError):
            MultiRoute(router=fleet.router, fallback=False, max_retries=0).chat(HELLO)


class TestMessages:
    def test_what_cannot_be_sent_is_refused_before_the_network(self, fleet, llm):
        with pytest.raises(ConfigurationError, match="ImageBlock is empty"):
            llm.chat([ChatMessage(role="user", blocks=[ImageBlock()])])
        with pytest.raises(ConfigurationError, match="no earlier message contains the call"):
            llm.chat([ChatMessage(role="tool", content="x", additional_kwargs={"tool_call_id": "1"})])
        assert fleet.hits == [0, 0]

    def test_history_is_read_and_never_changed(self, fleet, llm):
        history = [ChatMessage(role="system", content="Be kind."), ChatMessage(role="user", content="Hi")]
        before = copy.deepcopy(history)
        llm.chat(history)
        assert history == before
