"""LLMs of LlamaIndex's as routes: asked below its callbacks and spans, and routed around when they fail."""

import asyncio
import gc
import pickle
import threading
import time

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata, ThinkingBlock, ToolCallBlock
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher  # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import CompletionResponse, CustomLLM, MockLLM, mock
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.tools import FunctionTool

from llamaindex_multiroute import MultiRoute
from llamaindex_multiroute.bare import bare
from llamaindex_multiroute.testing import LLMTests
from llamaindex_multiroute.testing.suite import add, listening, to_messages
from multiroute_core import (
    AllRoutesFailedError,
    AttemptTimeoutError,
    ConfigurationError,
    Message,
    Reasoning,
    Request,
    Route,
    Router,
    Text,
    ToolCall,
    ToolCallResponse,
)
from multiroute_core.testing import Answer, scripted_route
from tests.llamaindex.conftest import import_openai
from tests.vendors.server import VendorServer

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def vendors():
    with VendorServer() as server:
        yield server


def openai(vendors, model="gpt-4o", **more):
    return import_openai()(
        model=model, api_key="k", api_base=f"{vendors.url}/v1", max_retries=0, reuse_client=False, **more
    )


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
class TestStandard(LLMTests):
    """The whole contract holds through a route that is an LLM. It leaves its connections open."""

    has_streamed_usage = False  # it does not ask for it

    @pytest.fixture
    def llm(self, vendors):
        yield MultiRoute(routes=[openai(vendors)])
        gc.collect()  # now, while the warnings are meant for this class


class Plain(CustomLLM):
    """An LLM that answers with a text, after a while, or fails."""

    text: str = "One two."
    seconds: float = 0.0
    fails: bool = False

    @property
    def metadata(self):
        return LLMMetadata(model_name="plain", context_window=9_000, num_output=-1, is_chat_model=True)

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        if self.fails:
            raise ConnectionError("It is down.")
        time.sleep(self.seconds)
        return CompletionResponse(text=self.text)

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        def gen():
            so_far = ""
            for word in self.text.split(" "):
                time.sleep(self.seconds)
                so_far += (new := word if not so_far else f" {word}")
                yield CompletionResponse(text=so_far, delta=new)

        if self.fails:
            raise ConnectionError("It is down.")
        return gen()


class Thinker(MockLLM):
    """An LLM that thinks, and remembers what it was sent."""

    _sent: list = PrivateAttr(default_factory=list)

    @llm_chat_callback()
    def chat(self, messages, **kwargs):
        self._sent.append((messages, kwargs))
        thought = ThinkingBlock(content="Hm.", additional_information={"seal": "x"})
        return ChatResponse(
            message=ChatMessage(role="assistant", blocks=[thought, *ChatMessage(content="Yes.").blocks])
        )


def faces(llm):
    """The four faces, each to its whole text."""

    async def arun():
        plain = (await llm.achat(to_messages("Hi"))).message.content
        return plain, [response async for response in await llm.astream_chat(to_messages("Hi"))][-1].message.content

    return [
        llm.chat(to_messages("Hi")).message.content,
        list(llm.stream_chat(to_messages("Hi")))[-1].message.content,
        *asyncio.run(arun()),
    ]


class TestRoutes:
    def test_beside_native_ones(self, vendors):
        vendors.dead.add("chat")
        try:
            llm = MultiRoute(routes=[Plain(fails=True), vendors.route("chat"), Plain()])
            assert faces(llm) == ["One two."] * 4
            attempts = llm.chat(to_messages("Hi")).additional_kwargs["attempts"]
            assert [attempt["route"] for attempt in attempts][-1] == "llamaindex:plain-2"
        finally:
            vendors.dead.clear()
            llm.router.close()

    def test_before_native_ones(self, vendors):
        llm = MultiRoute(routes=[Plain(fails=True), vendors.route("anthropic")])
        assert all(text.startswith("Hello") for text in faces(llm))
        llm.router.close()

    def test_a_single_one(self):
        assert faces(MultiRoute(routes=Plain())) == ["One two."] * 4

    def test_names_and_details(self, vendors):
        given = [openai(vendors), openai(vendors), Plain(), MockLLM(), Route(llm=Plain(), name="own", backup=True)]
        router = MultiRoute(routes=given).router
        assert [route.name for route in router.routes] == [
            "llamaindex:gpt-4o",
            "llamaindex:gpt-4o-2",
            "llamaindex:plain",
            "llamaindex:MockLLM",
            "own",
        ]
        assert (router.routes[0].provider, router.routes[0].model) == ("openai", "gpt-4o")
        assert router.routes[-1].backup

    def test_metadata_takes_them_into_account(self, vendors):
        both = MultiRoute(routes=[openai(vendors), Plain()]).metadata
        assert (both.context_window, both.is_function_calling_model) == (9_000, False)
        first = MultiRoute(routes=[openai(vendors), Route(llm=Plain(), backup=True)]).metadata
        assert (first.context_window, first.is_function_calling_model) == (128_000, True)

    def test_what_calls_no_tools_is_not_asked_with_tools(self, vendors):
        tools = [FunctionTool.from_defaults(add)]
        llm = MultiRoute(routes=[Plain(), vendors.route("chat")])
        response = llm.chat_with_tools(tools, "What is add(2, 3)?")
        assert [attempt["route"] for attempt in response.additional_kwargs["attempts"]] == ["chat:gpt-4o"]
        llm.router.close()
        with pytest.raises(ConfigurationError, match="tools"):
            MultiRoute(routes=[Plain()]).chat_with_tools(tools, "What is add(2, 3)?")

    def test_an_llm_that_cannot_say_what_it_is(self):
        with pytest.raises(ConfigurationError, match="OpenAI has no metadata"):
            MultiRoute(routes=[import_openai()(model="gpt-unheard-of", api_key="k")])

    def test_the_cost_is_known_where_the_vendor_is(self, vendors):
        listed = Route(llm=openai(vendors), prices="openai")
        assert MultiRoute(routes=[listed]).complete("Hi").additional_kwargs["cost"] > 0
        assert MultiRoute(routes=[openai(vendors)]).complete("Hi").additional_kwargs["cost"] is None
        assert MultiRoute(routes=[Plain()]).complete("Hi").additional_kwargs["cost"] is None

    def test_a_router_with_one_pickles(self):
        again = pickle.loads(pickle.dumps(MultiRoute(routes=[MockLLM()])))
        assert again.complete("Hi").text


def nested(**given):
    return MultiRoute(routes=[scripted_route("a", Answer("One two."))], **given)


class TestTold:
    @pytest.mark.parametrize("make", [Plain, MockLLM, nested])
    def test_nothing_is_told_twice(self, make):
        """Its faces call each other: none of them is heard."""
        inner = TokenCountingHandler(tokenizer=lambda text: [0])
        outer = TokenCountingHandler(tokenizer=lambda text: [0])
        llm = MultiRoute(
            routes=[make(callback_manager=CallbackManager([inner]))], callback_manager=CallbackManager([outer])
        )
        spans = SimpleSpanHandler()
        get_dispatcher().add_span_handler(spans)
        try:
            with listening() as heard:
                faces(llm)
        finally:
            get_dispatcher().span_handlers.remove(spans)
        names = [event.class_name() for event in heard]
        assert (names.count("LLMChatStartEvent"), names.count("LLMChatEndEvent")) == (4, 4)
        assert not [name for name in names if name.startswith("LLMCompletion")]
        assert {span.id_.partition(".")[0] for span in spans.completed_spans} == {"MultiRoute"}
        assert len(outer.llm_token_counts) == 4
        assert inner.llm_token_counts == []

    def test_asked_by_itself_it_is_told_as_before(self):
        llm = Plain()
        MultiRoute(routes=[llm]).complete("Hi")
        with listening() as heard:
            llm.complete("Hi")
        assert [event.class_name() for event in heard].count("LLMCompletionStartEvent") == 1

    def test_the_view_below_shares_the_state(self):
        llm = Plain()
        below = bare(llm)
        assert isinstance(below, Plain)
        llm.text = "Changed."
        assert below.complete("Hi").text == "Changed."


class TestCalls:
    def test_parameters_that_it_has_fields_for(self, vendors):
        llm = MultiRoute(routes=[openai(vendors)], temperature=0.3, max_tokens=50, seed=7, stop=["x"])
        attempts = llm.chat(to_messages("Hi"), extra={"openai": {"user": "u"}}).additional_kwargs["attempts"]
        body = vendors.seen[-1].body
        assert (body["temperature"], body["max_tokens"], body["user"]) == (0.3, 50, "u")
        dropped = [reason.partition(":")[0] for reason in attempts[0]["dropped"]]
        assert dropped == ["stop", "seed"]

    def test_thoughts_go_back_to_their_own_model_only(self, vendors):
        thinker = Thinker(max_tokens=None)
        with Router([Route(llm=thinker, name="thinker")]) as router:
            first = router.generate("Hi")
            assert (first.reasoning, first.text) == ("Hm.", "Yes.")
            foreign = Message("assistant", [Reasoning("Mine."), Text("No.")])
            router.generate(
                [("user", "Hi"), Message("assistant", first.parts), ("user", "And?"), foreign, ("user", "So?")]
            )
        messages, _ = thinker._sent[-1]
        (thought,) = [block for message in messages for block in message.blocks if isinstance(block, ThinkingBlock)]
        assert thought == ThinkingBlock(content="Hm.", additional_information={"seal": "x"})

    @pytest.mark.parametrize("face", ["chat", "stream_chat"])
    def test_a_slow_one_is_left_in_time(self, face):
        """It obeys no limit by itself; sync calls and streams are not held up by it."""
        llm = MultiRoute(
            routes=[Plain(seconds=15.0), Route(llm=Plain(), name="quick")], first_token_timeout=0.2, attempt_timeout=0.2
        )
        began = time.monotonic()
        response = getattr(llm, face)(to_messages("Hi"))
        last = response if face == "chat" else list(response)[-1]
        assert last.message.content == "One two."
        assert time.monotonic() - began < 14
        assert [attempt["outcome"] for attempt in last.additional_kwargs["attempts"]] == ["timeout", "success"]

    def test_a_stream_that_is_left_is_closed(self):
        closed = threading.Event()

        class Endless(MockLLM):
            def stream_chat(self, messages, **kwargs):
                def gen():
                    try:
                        while True:
                            yield ChatResponse(message=ChatMessage(role="assistant", content="x"), delta="x")
                            time.sleep(0.001)
                    finally:
                        closed.set()

                return gen()

        stream = MultiRoute(routes=[Endless(max_tokens=None)]).stream_chat(to_messages("Hi"))
        next(stream)
        stream.close()
        assert closed.wait(5)

    def test_its_rate_limiter_is_waited_for(self):
        acquired = []

        class Limiter:
            def acquire(self, num_tokens=0):
                acquired.append("sync")

            async def async_acquire(self, num_tokens=0):
                acquired.append("async")

        inner = Plain()
        object.__setattr__(inner, "rate_limiter", Limiter())
        faces(MultiRoute(routes=[inner]))
        assert acquired == ["sync", "sync", "async", "async"]

    def test_its_errors_have_classes(self):
        llm = MultiRoute(
            routes=[Plain(fails=True), Route(llm=Plain(seconds=1), name="slow", timeout=0.05)], max_retries=0
        )
        with pytest.raises(AllRoutesFailedError) as caught:
            llm.chat(to_messages("Hi"))
        assert [error.code for error in caught.value.errors] == ["connection", "timeout"]
        assert isinstance(caught.value.errors[1], AttemptTimeoutError)

    def test_a_form_by_a_tool(self, vendors):
        schema = {"title": "Person", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        llm = MultiRoute(routes=[openai(vendors)])
        assert llm.complete("Who is 'Ada'?", output_schema=schema).text == '{"name": "Ada"}'
        assert (
            "".join(r.delta or "" for r in llm.stream_complete("Who is 'Ada'?", output_schema=schema))
            == '{"name": "Ada"}'
        )

    @pytest.mark.skipif(
        not hasattr(mock, "MockFunctionCallingLLM"), reason="llama-index-core has no MockFunctionCallingLLM yet"
    )
    def test_tool_calls_of_the_framework_s_mock(self):
        block = ToolCallBlock(tool_name="add", tool_kwargs={"a": 1, "b": 2})
        inner = mock.MockFunctionCallingLLM(
            response_generator=lambda messages, **kwargs: ChatMessage(role="assistant", blocks=[block, block])
        )
        llm = MultiRoute(routes=[inner])
        response = llm.chat_with_tools([FunctionTool.from_defaults(add)], "Add.", allow_parallel_tool_calls=True)
        calls = llm.get_tool_calls_from_response(response)
        assert [call.tool_kwargs for call in calls] == [{"a": 1, "b": 2}] * 2
        assert len({call.tool_id for call in calls}) == 2


@pytest.mark.parametrize(("kind", "written"), [("openai", '{"city": "Oslo"}'), ("other", {"city": "Oslo"})])
def test_openai_gets_the_arguments_of_earlier_calls_as_text(vendors, kind, written):
    """Its LLM sends an object as it is before version 0.8 (findings/llama_index_openai_sends_tool_arguments_…)."""
    llm = openai(vendors) if kind == "openai" else Plain()
    router = Router([Route(llm=llm)])
    provider = next(iter(router._parts.providers.values()))
    call = ToolCall("c1", "weather", {"city": "Oslo"})
    turns = (Message("user", "Hello"), Message("assistant", [call]), Message("tool", [ToolCallResponse("c1", "-3")]))
    encoded = provider.encode(Request(turns), router.routes[0], stream=False)
    (block,) = encoded.body["messages"][1].blocks
    assert block.tool_kwargs == written
    assert call.arguments == {"city": "Oslo"}
