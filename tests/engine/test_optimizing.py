"""The optimizer stage: every face and both frameworks send the optimized prompt, on a real wire."""

import asyncio
import json
import logging
import pickle
import time
from dataclasses import replace
from typing import cast

import pytest
from langchain_core.messages import HumanMessage
from llama_index.core.llms import ChatMessage

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import (
    ConfigurationError,
    Message,
    PromptOptimized,
    PromptOptimizer,
    PromptTooLongError,
    RequestEnded,
    RequestStarted,
    Route,
    Router,
    options,
)
from multiroute_core.guards import mask_personal_data
from multiroute_core.parsing import token_count
from multiroute_core.prompts import summarize_with
from multiroute_core.testing.behaviours import Answer
from multiroute_core.testing.scripted import provider_of, scripted_route
from multiroute_core.testing.server import ReplayServer, Reply
from tests.providers.faces import FACES, ask

WIDE = "Please   tell me  what a router  does,\n\n\n\nin one   sentence and no more."
SHORT = "Please tell me what a router does,\n\nin one sentence and no more."
PASSAGE = "The router asks one provider after another until one of them answers. " * 5


def answer(received):
    body = json.loads(received.body)
    path = received.path.partition("?")[0]
    if path.endswith("/count_tokens"):
        return Reply(body=json.dumps({"input_tokens": 41}).encode())
    if path.endswith("/input_tokens"):
        return Reply(body=json.dumps({"object": "response.input_tokens", "input_tokens": 42}).encode())
    if path.endswith(":countTokens"):
        return Reply(body=json.dumps({"totalTokens": 43}).encode())
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It routes."}}
    if body.get("stream"):
        choice["delta"] = choice.pop("message")
        event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        pieces = [f"data: {json.dumps(event)}\n\n".encode(), b"data: [DONE]\n\n"]
        return Reply(headers={"content-type": "text/event-stream"}, body=pieces, stream=True)
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return Reply(headers={"content-type": "application/json"}, body=json.dumps(whole).encode())


@pytest.fixture(scope="module")
def server():
    with ReplayServer(answer) as running:
        yield running


@pytest.fixture(scope="module")
def router(server):
    with Router(openai(server), prompt_optimizer=True, max_retries=0) as built:
        yield built


def openai(server, **settings):
    return Route("openai:gpt-4.1", base_url=f"{server.url}/v1", api_key="k", **settings)


def sent(server):
    return json.loads(server.requests[-1].body)["messages"]


@pytest.mark.wire
@pytest.mark.parametrize("face", FACES)
def test_every_face_sends_the_optimized_prompt(face, router, server):
    outcome = ask(face, router, [("system", "Be   brief in all that you say."), ("user", WIDE)])
    assert outcome.error is None
    assert outcome.text == "It routes."
    assert sent(server) == [
        {"role": "system", "content": "Be brief in all that you say."},
        {"role": "user", "content": SHORT},
    ]


FRAMEWORKS = {
    "langchain invoke": lambda r: ChatMultiRoute(router=r).invoke(WIDE),
    "langchain ainvoke": lambda r: asyncio.run(ChatMultiRoute(router=r).ainvoke(WIDE)),
    "langchain stream": lambda r: [*ChatMultiRoute(router=r).stream(WIDE)],
    "llama_index chat": lambda r: MultiRoute(router=r).chat([ChatMessage(WIDE)]),
    "llama_index stream": lambda r: [*MultiRoute(router=r).stream_chat([ChatMessage(WIDE)])],
}


@pytest.mark.wire
@pytest.mark.parametrize("face", FRAMEWORKS)
def test_both_frameworks_send_the_optimized_prompt(face, router, server):
    FRAMEWORKS[face](router)
    assert sent(server)[0]["content"] in (SHORT, [{"type": "text", "text": SHORT}])


def test_the_option_of_the_frameworks_pickles_and_is_part_of_their_cache_keys(monkeypatch):
    optimizer = PromptOptimizer(max_tokens=500)
    route = Route("openai:gpt-4.1", api_key="k")
    chat = ChatMultiRoute(route, prompt_optimizer=optimizer)
    llm = MultiRoute(route, prompt_optimizer=optimizer)
    for model in (chat, llm):
        assert model.router._settings.prompt_optimizer == optimizer
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert pickle.loads(pickle.dumps(chat.router))._settings.prompt_optimizer == optimizer
    plain = ChatMultiRoute(route)
    assert plain._identifying_params != chat._identifying_params
    assert MultiRoute(route).to_dict()["routing"] != llm.to_dict()["routing"]
    assert chat.get_num_tokens_from_messages([HumanMessage("Hello there")]) > 2


@pytest.mark.parametrize("setting", ["yes", 1, object, PromptOptimizer])
def test_bad_settings(setting):
    with pytest.raises(ConfigurationError, match="prompt_optimizer=.* is not valid; expected True, or a"):
        Router(scripted_route("a", Answer("ok")), prompt_optimizer=setting)


def test_without_it_there_is_no_stage():
    for setting in (None, False):
        assert Router(scripted_route("a", Answer("ok")), prompt_optimizer=setting)._parts.stages == ()


def test_the_order_is_guards_optimizer_cache():
    route = scripted_route("a", Answer("ok"))
    events = []
    settings = {"prompt_optimizer": True, "cache": "memory", "guards": [mask_personal_data()]}
    with Router(route, on_event=[events.append], **settings) as router:
        router.generate("Write   to ada@example.org,  and be quick about it, please.")
        router.generate("Write to ada@example.org, and be   quick about it,  please.")
    texts = [take.asked.request.messages[-1].text for take in provider_of(route).takes]
    assert texts == ["Write to [EMAIL_1], and be quick about it, please."], "the second comes from the cache"
    saved = [event for event in events if isinstance(event, PromptOptimized)]
    assert len(saved) == 2
    assert all(0 < event.tokens_before - event.tokens_after == event.saved_by_rule["whitespace"] for event in saved)
    assert {event.request_id for event in saved} == {e.request_id for e in events if isinstance(e, RequestEnded)}


def test_no_event_where_nothing_changes():
    events = []
    with Router(scripted_route("a", Answer("ok")), prompt_optimizer=True, on_event=[events.append]) as router:
        router.generate("Nothing to save here.")
    assert not [event for event in events if isinstance(event, PromptOptimized)]


def conversation(turns):
    for turn in range(turns):
        yield Message("user", f"Question {turn}: " + "why " * 60)
        yield Message("assistant", f"Answer {turn}: " + "so " * 60)
    yield Message("user", "And then?")


def test_a_summary_by_a_router_is_stable_while_the_cut_is():
    small = scripted_route("small", Answer("They talked about it."))
    route = scripted_route("a", Answer("ok"))
    events = []
    with Router(small) as summarizer:
        optimizer = PromptOptimizer(max_tokens=900, summarize=summarize_with(summarizer))
        with Router(route, prompt_optimizer=optimizer, on_event=[events.append]) as router:
            for face in FACES:
                assert ask(face, router, [*conversation(9)]).text == "ok"
            assert ask("generate", router, [*conversation(10)]).text == "ok"
    assert 1 <= len(provider_of(small).takes) <= 3, "one for each cut"
    prompts = [take.asked.request.messages for take in provider_of(route).takes]
    assert all(prompt[0].text.startswith("Summary of the earlier conversation:\n\nThey talked") for prompt in prompts)
    assert prompts[0] == prompts[1] == prompts[2] == prompts[3]
    assert [event.summarized for event in events if isinstance(event, PromptOptimized)] == [True] * 5


def test_a_summary_is_shortened_where_the_latest_turn_leaves_less_room_and_only_there():
    route = scripted_route("a", Answer("ok"))
    events = []
    optimizer = PromptOptimizer(max_tokens=400, summarize=lambda messages: "A fact to remember. " * 50)
    with Router(route, prompt_optimizer=optimizer, on_event=[events.append]) as router:
        for words in (180, 290, 180):
            router.generate([*conversation(9), Message("assistant", "word " * words)])
    assert [event.summarized for event in events if isinstance(event, PromptOptimized)] == [True] * 3
    prompts = [take.asked.request.messages for take in provider_of(route).takes]
    sizes = [token_count.of(prompt) + 1 for prompt in prompts]
    assert max(sizes) <= 400
    assert len(prompts[1][0].text) < len(prompts[0][0].text)
    assert prompts[2] == prompts[0], "the one that is remembered stays whole"


@pytest.mark.parametrize("face", FACES)
def test_a_summary_inherits_who_calls_and_not_what_the_answer_must_be(face):
    small = scripted_route("small", Answer("They talked about it."))
    started = []
    with Router(small, on_event=[started.append]) as summarizer:

        async def summarize(removed):
            return await summarizer.agenerate(f"{len(removed)} messages")

        for chosen in (summarize, summarize_with(summarizer)):
            optimizer = PromptOptimizer(max_tokens=900, summarize=chosen)
            route = scripted_route("a", Answer("ok"))
            with Router(route, prompt_optimizer=optimizer) as router:
                with options(accept=lambda response: response.text == "ok", model="a", tenant="t"):
                    assert ask(face, router, [*conversation(9)]).text == "ok"
            assert provider_of(route).takes[0].asked.request.messages[0].text.startswith("Summary of")
    tenants = {event.tenant for event in started if isinstance(event, RequestStarted)}
    assert tenants == {"t"}


def test_a_summary_that_takes_too_long_is_left_out(caplog):
    optimizer = PromptOptimizer(max_tokens=900, summarize=lambda messages: time.sleep(0.5), summary_timeout=0.01)
    route = scripted_route("a", Answer("ok"))
    with Router(route, prompt_optimizer=optimizer) as router, caplog.at_level(logging.WARNING):
        assert router.generate([*conversation(9)]).text == "ok"
    assert "The summary of a trimmed prompt failed (Expired)" in caplog.text
    assert provider_of(route).takes[0].asked.request.messages[0].text.startswith("Question")


@pytest.mark.parametrize("face", FACES)
def test_a_prompt_that_is_too_long_ends_before_the_network(face):
    route = scripted_route("a", Answer("ok"))
    events = []
    with Router(route, prompt_optimizer=PromptOptimizer(max_tokens=20), on_event=[events.append]) as router:
        outcome = ask(face, router, "word " * 200)
    assert isinstance(outcome.error, PromptTooLongError)
    assert provider_of(route).takes == []
    assert [event.error for event in events if isinstance(event, RequestEnded)] == [outcome.error]


def answering_route(messages, **settings):
    """The route that answers, of one with a small context window and one with a large one."""
    routes = [scripted_route("small", Answer("small")), scripted_route("large", Answer("large"))]
    with Router(routes, **settings) as router:
        facts = cast("dict", router._parts.facts)
        for name, window in (("small", 2_000), ("large", 100_000)):
            facts[name] = replace(facts[name], window=window)
        return router.generate(messages).route


def test_a_route_whose_window_fits_the_shorter_prompt_is_a_candidate():
    long = [*conversation(60)]
    assert answering_route(long) == "large"
    assert answering_route(long, prompt_optimizer=PromptOptimizer(max_tokens=700)) == "small"
    assert answering_route(long, prompt_optimizer=True) == "large"


class TestCountTokens:
    ROUTES = {
        "anthropic": (lambda url: Route("anthropic:claude-haiku-5-5", base_url=url, api_key="k"), 41),
        "openai": (lambda url: Route("openai:gpt-4.1", base_url=f"{url}/v1", api_key="k", api="responses"), 42),
        "google": (lambda url: Route("google:gemini-3.5-flash", base_url=url, api_key="k"), 43),
    }

    @pytest.mark.wire
    @pytest.mark.parametrize("name", ROUTES)
    def test_each_vendor_counts_what_would_be_sent(self, name, server):
        build, tokens = self.ROUTES[name]
        route = build(server.url)
        tool = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
        with Router(route, prompt_optimizer=True) as router:
            given = {"system": "Be brief.", "tools": [tool], "temperature": 0.5, "max_tokens": 9}
            counts = [router.count_tokens(WIDE, **given), asyncio.run(self.acount(router, **given))]
        for count in counts:
            assert (count.tokens, count.exact, count.method, count.route) == (tokens, True, "provider", route.name)
        body = json.loads(server.requests[-1].body)
        text = json.dumps(body)
        assert json.dumps(SHORT)[1:-1] in text
        assert "Be brief." in text
        assert "look" in text
        if name != "google":
            assert not body.keys() & {"max_tokens", "max_output_tokens", "temperature", "stream", "store", "include"}
        else:
            assert body["generateContentRequest"]["model"] == "models/gemini-3.5-flash"

    async def acount(self, router, **options):
        return await router.acount_tokens(WIDE, **options)

    @pytest.mark.wire
    def test_where_nothing_counts_it_is_an_estimate(self, server):
        with Router(openai(server)) as router:
            count = router.count_tokens("Hello")
        assert (count.method in ("estimate", "tiktoken"), count.exact) == (True, False)
        assert count.reason == "The API of this route does not count tokens."
        assert "Hello" not in repr(count)
        with ReplayServer(Reply(404, body=b"{}")) as broken:
            with Router(Route("anthropic:claude-haiku-5-5", base_url=broken.url, api_key="k")) as router:
                count = router.count_tokens("Hello")
        assert (count.method, count.reason) == ("estimate", "The provider's count failed (not_found).")
        assert "not_found" in str(count)

    @pytest.mark.wire
    def test_it_is_bounded_in_time(self):
        def slow(received):
            time.sleep(0.3)
            return Reply(body=b'{"input_tokens": 5}')

        with ReplayServer(slow) as server:
            with Router(Route("anthropic:claude-haiku-5-5", base_url=server.url, api_key="k")) as router:
                count = router.count_tokens("Hello", timeout=0.05)
        assert count.reason == "The provider's count did not arrive within 0.05 s."
        with pytest.raises(ConfigurationError, match="timeout=0 is not valid"):
            Router(scripted_route("a", Answer("ok"))).count_tokens("Hello", timeout=0)

    @pytest.mark.wire
    def test_the_provider_gets_nothing_that_a_guard_hides(self, server):
        route = Route("anthropic:claude-haiku-5-5", base_url=server.url, api_key="k")
        with Router(route, guards=[mask_personal_data()]) as router:
            assert router.count_tokens("Write to ada@example.org").exact
        assert b"ada@example.org" not in server.requests[-1].body

    def test_a_scripted_route_is_estimated(self):
        assert Router(scripted_route("a", Answer("ok"))).count_tokens("Hello").method == "estimate"
