"""Chat models of LangChain's as routes, beside native ones."""

import asyncio
import contextvars
import time
from typing import Any

import httpx
import pytest
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_openai import ChatOpenAI

from langchain_multiroute import ChatMultiRoute
from multiroute_core import AllRoutesFailedError, ConfigurationError
from tests.langchain.conftest import Weather, get_weather

pytestmark = pytest.mark.wire

opened: list[httpx.AsyncClient] = []


@pytest.fixture(autouse=True)
def _one_loop():
    """Clients of langchain-openai are bound to the loop that they were first used on, and nobody closes its own."""
    global run
    with asyncio.Runner() as runner:
        run = lambda coroutine: runner.run(coroutine, context=contextvars.copy_context())  # noqa: E731
        yield
        while opened:
            run(opened.pop().aclose())


def chat_openai(server, **settings):
    opened.append(httpx.AsyncClient())
    plain = {"model": "gpt-4o", "base_url": f"{server.url}/v1", "api_key": "k", "max_retries": 0, "stream_usage": True}
    return ChatOpenAI(**{**plain, "http_async_client": opened[-1], **settings})


def ask(llm, face, messages: Any = "Hi") -> Any:
    async def astream():
        return [chunk async for chunk in llm.astream(messages)]

    if face == "invoke":
        return llm.invoke(messages)
    if face == "ainvoke":
        return run(llm.ainvoke(messages))
    first, *rest = llm.stream(messages) if face == "stream" else run(astream())
    return first + rest


FACES = ("invoke", "ainvoke", "stream", "astream")


class Slow(BaseChatModel):
    """A model that answers late, and obeys no limit."""

    seconds: float = 15.0

    @property
    def _llm_type(self):
        return "slow"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        time.sleep(self.seconds)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("At last."))])


@pytest.mark.parametrize("face", FACES)
class TestFaces:
    def test_it_answers_and_is_counted_once(self, server, face):
        llm = ChatMultiRoute(routes=[chat_openai(server), server.route("google")])
        with get_usage_metadata_callback() as counter:
            message = ask(llm, face)
        assert message.text.startswith("Hello")
        about = message.response_metadata
        assert (about["model_name"], about["model_provider"]) == ("gpt-4o", "openai")
        assert about["multiroute"]["route"] == "langchain:gpt-4o"
        assert about["multiroute"]["cost"] is None  # a server on this machine: its price is not OpenAI's
        assert counter.usage_metadata["gpt-4o"] == message.usage_metadata

    def test_it_is_left_when_it_is_dead_and_stands_in_when_others_are(self, server, face):
        llm = ChatMultiRoute(routes=[chat_openai(server), server.route("google")])
        server.dead.add("chat")
        assert ask(llm, face).response_metadata["multiroute"]["route"].startswith("google")
        server.dead = {"google"}
        llm = ChatMultiRoute(routes=[server.route("google"), chat_openai(server)])
        message = ask(llm, face)
        outcomes = [attempt["outcome"] for attempt in message.response_metadata["multiroute"]["attempts"]]
        assert outcomes == ["overloaded", "success"]

    def test_tools_and_the_history_of_another_vendor(self, server, face):
        both = ChatMultiRoute(routes=[server.route("anthropic", name="native"), chat_openai(server)])
        llm = both.bind_tools([get_weather])
        asked = [SystemMessage("Be kind."), HumanMessage("Get the weather in Paris.")]
        call = ask(both.bind_tools([get_weather], model="native"), face, asked)
        assert [(c["name"], c["args"]) for c in call.tool_calls] == [("get_weather", {"city": "Paris"})]
        server.dead.add("anthropic")
        answer = ToolMessage("Sunny.", tool_call_id=call.tool_calls[0]["id"])
        message = ask(llm, face, [*asked, call, answer])
        assert message.response_metadata["multiroute"]["route"] == "langchain:gpt-4o"
        assert "Sunny" in message.text
        again = ask(llm, face, asked)
        assert [(c["name"], c["args"]) for c in again.tool_calls] == [("get_weather", {"city": "Paris"})]
        assert again.tool_calls[0]["id"]

    def test_answers_in_a_form(self, server, face):
        llm = ChatMultiRoute(routes=[chat_openai(server)])
        for method in ("json_schema", "function_calling"):
            reader = llm.with_structured_output(Weather, method=method)
            found = reader.invoke("The weather in Paris.") if face in ("invoke", "stream") else None
            found = found or run(reader.ainvoke("The weather in Paris."))
            assert isinstance(found, Weather)

    def test_a_late_model_is_left_in_time(self, server, face):
        llm = ChatMultiRoute(routes=[Slow(), server.route("google")], attempt_timeout=0.3)
        began = time.monotonic()
        assert ask(llm, face).response_metadata["multiroute"]["route"].startswith("google")
        assert time.monotonic() - began < 14

    def test_models_that_tell_little(self, face):
        fake = FakeListChatModel(responses=["One two."])
        llm = ChatMultiRoute(routes=[fake])
        message = ask(llm, face)
        assert message.content == "One two."
        assert message.usage_metadata is None
        slow = ChatMultiRoute(routes=[Slow(seconds=0)])
        assert ask(slow, face).content == "At last."


class TestSettings:
    def test_a_call_s_parameters_become_its_fields(self, server):
        llm = ChatMultiRoute(routes=[chat_openai(server, temperature=1)], temperature=0.5, max_tokens=9, stop=["x"])
        llm.invoke("Hi")
        body = server.seen[-1].body
        assert (body["temperature"], body["stop"]) == (0.5, ["x"])
        assert 9 in (body.get("max_tokens"), body.get("max_completion_tokens"))

    def test_what_it_cannot_take_is_dropped_and_told(self):
        message = ChatMultiRoute(routes=[FakeListChatModel(responses=["x"])], temperature=0.5).invoke("Hi")
        (attempt,) = message.response_metadata["multiroute"]["attempts"]
        assert attempt["dropped"] == ["temperature: FakeListChatModel has no such field"]

    def test_bound_options_hold(self, server):
        # bind() gives a Runnable, which the constructor takes at run time.
        ChatMultiRoute(routes=[chat_openai(server).bind(seed=7)]).invoke("Hi")  # pyright: ignore[reportArgumentType]
        assert server.seen[-1].body["seed"] == 7

    def test_its_rate_limiter_is_waited_for(self, server):
        limiter = InMemoryRateLimiter(requests_per_second=5, check_every_n_seconds=0.01)
        llm = ChatMultiRoute(routes=[chat_openai(server, rate_limiter=limiter)])
        began = time.monotonic()
        for face in FACES:
            ask(llm, face)
        assert time.monotonic() - began > 0.5

    def test_a_model_without_tools_is_not_asked_for_any(self, server):
        fake = GenericFakeChatModel(messages=iter(["no"]))
        llm = ChatMultiRoute(routes=[fake, server.route("chat")]).bind_tools([get_weather])
        assert llm.invoke("Get the weather in Paris.").tool_calls

    def test_two_alike_have_names_of_their_own(self, server):
        llm = ChatMultiRoute(routes=[chat_openai(server), chat_openai(server)])
        assert [route.name for route in llm.router.routes] == ["langchain:gpt-4o", "langchain:gpt-4o-2"]

    def test_what_is_no_model_is_refused(self):
        with pytest.raises(ConfigurationError, match="a LangChain RunnableLambda is not a chat model"):
            from langchain_core.runnables import RunnableLambda

            ChatMultiRoute(routes=[RunnableLambda(len).bind(x=1)])  # pyright: ignore[reportArgumentType]

    def test_its_errors_have_their_classes(self, server):
        server.dead.add("chat")
        llm = ChatMultiRoute(routes=[chat_openai(server), server.route("chat")], max_retries=0)
        with pytest.raises(AllRoutesFailedError) as caught:
            llm.invoke("Hi")
        assert [error.code for error in caught.value.errors] == ["server_error", "server_error"]


def test_what_a_model_said_itself_goes_back_to_it_unchanged(server):
    inner = chat_openai(
        server,
        model="gpt-6.1-sol",
        use_responses_api=True,
        reasoning={"effort": "high", "summary": "auto"},
        store=False,
        include=["reasoning.encrypted_content"],
    )
    llm = ChatMultiRoute(routes=[inner, server.route("anthropic", name="native")]).bind_tools([get_weather])
    asked = HumanMessage("Get the weather in Paris.")
    for call in (llm.invoke([asked]), ask(llm, "stream", [asked])):
        assert call.content_blocks[0]["type"] == "reasoning"
        answer = ToolMessage("Sunny.", tool_call_id=call.tool_calls[0]["id"])
        assert "Sunny" in llm.invoke([asked, call, answer]).text
        items = [item["type"] for item in server.seen[-1].body["input"] if "type" in item]
        assert "reasoning" in items
        other = ChatMultiRoute(routes=[server.route("anthropic")]).bind_tools([get_weather])
        assert "Sunny" in other.invoke([asked, call, answer]).text
