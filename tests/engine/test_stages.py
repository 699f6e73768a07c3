"""The stage seam: a new stage is a class and one entry in `STAGES`, and every face runs through it."""

import asyncio
from dataclasses import replace

import pytest
from llama_index.core.llms import ChatMessage

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Budget, ConfigurationError, Message, Router, Text
from multiroute_core.engine import stages
from multiroute_core.testing.behaviours import Answer
from multiroute_core.testing.scripted import provider_of, scripted_route


class Capitalize:
    """Rewrites the request on its way in, and counts what comes back."""

    def __init__(self):
        self.answers = 0

    async def run(self, context, run_rest):
        messages = [Message(m.role, [Text(m.text.upper())]) for m in context.call.request.messages]
        request = replace(context.call.request, messages=tuple(messages))
        context.call = replace(context.call, request=request)
        chunks = run_rest(context)
        try:
            async for chunk in chunks:
                self.answers += chunk.response is not None
                yield chunk
        finally:
            await chunks.aclose()


class Refuse:
    def run(self, context, run_rest):
        raise ConfigurationError("A stage refused the request.")


@pytest.fixture
def capitalize(monkeypatch):
    stage = Capitalize()
    monkeypatch.setattr(stages, "STAGES", [lambda inputs: stage, *stages.STAGES])
    return stage


def parrot(call):
    return Answer(f"You said {call.request.messages[-1].text}")


FACES = {
    "generate": lambda router: router.generate("hi").text,
    "agenerate": lambda router: asyncio.run(router.agenerate("hi")).text,
    "stream": lambda router: "".join(chunk.text for chunk in router.stream("hi")),
    "astream": lambda router: asyncio.run(collect(router)),
    "langchain invoke": lambda router: ChatMultiRoute(router=router).invoke("hi").content,
    "langchain stream": lambda router: "".join(chunk.text for chunk in ChatMultiRoute(router=router).stream("hi")),
    "llama_index chat": lambda router: MultiRoute(router=router).chat([ChatMessage("hi")]).message.content,
    "llama_index stream": lambda router: [*MultiRoute(router=router).stream_complete("hi")][-1].text,
}


async def collect(router):
    return "".join([chunk.text async for chunk in router.astream("hi")])


@pytest.mark.parametrize("face", FACES)
def test_a_new_stage_is_one_entry_and_every_face_runs_through_it(face, capitalize):
    router = Router([scripted_route("a", parrot)])
    assert FACES[face](router) == "You said HI"
    assert capitalize.answers == 1


def test_a_stage_before_the_cache_sees_hits_too(capitalize):
    route = scripted_route("a", parrot)
    router = Router([route], cache="memory")
    assert [router.generate(word).text for word in ("hi", "Hi", "HI")] == ["You said HI"] * 3
    assert len(provider_of(route).takes) == 1  # the cache's key is made of what the stage sends on
    assert capitalize.answers == 3


def test_a_stage_after_the_cache_sees_misses_only(monkeypatch):
    stage = Capitalize()
    monkeypatch.setattr(stages, "STAGES", [*stages.STAGES, lambda inputs: stage])
    router = Router([scripted_route("a", parrot)], cache="memory", budget=Budget(tokens=10**9))
    assert [router.generate("hi").text for _ in range(3)] == ["You said HI"] * 3
    assert stage.answers == 1


def test_a_stage_that_raises_ends_the_call_before_any_route(monkeypatch):
    monkeypatch.setattr(stages, "STAGES", [lambda inputs: Refuse(), *stages.STAGES])
    route = scripted_route("a", parrot)
    with pytest.raises(ConfigurationError, match="refused"):
        Router([route]).generate("hi")
    assert provider_of(route).takes == []


def test_a_stage_that_the_settings_do_not_ask_for_is_left_out():
    assert Router([scripted_route("a", parrot)])._parts.stages == ()
