"""Streams that break in the middle, as LangChain sees them."""

import asyncio

import pytest

from langchain_multiroute import ChatMultiRoute
from multiroute_core import Router, StreamInterruptedError, options
from multiroute_core.testing import Answer, DropConnection, provider_of, scripted_route


def routes():
    return [
        scripted_route("a", DropConnection(2, Answer(["The quick ", "brown ", "fox"]))),
        scripted_route("b", Answer(["brown fox ", "jumps."])),
    ]


def heard(llm, *, native, **more):
    async def listen():
        return [chunk async for chunk in llm.astream("Hi", **more)]

    return asyncio.run(listen()) if native else list(llm.stream("Hi", **more))


@pytest.mark.parametrize("native", [False, True], ids=["stream", "astream"])
def test_the_next_route_goes_on(native):
    chunks = heard(ChatMultiRoute(routes=routes(), on_stream_error="continue"), native=native)
    message = sum(chunks[1:], chunks[0])
    assert message.text == "The quick brown fox jumps."
    assert message.response_metadata["multiroute"]["route"] == "b"
    assert [a["outcome"] for a in message.response_metadata["multiroute"]["attempts"]] == ["broken_stream", "success"]


@pytest.mark.parametrize("native", [False, True], ids=["stream", "astream"])
@pytest.mark.parametrize("where", ["field", "router", "call", "block"])
def test_nothing_is_said_anew_to_who_adds_chunks_up(native, where):
    """LangChain's chunks cannot be taken back: so it raises, with what had come."""
    made, more = routes(), {"on_stream_error": "restart"} if where == "call" else {}
    if where == "router":
        llm = ChatMultiRoute(router=Router(made, on_stream_error="restart"))
    else:
        llm = ChatMultiRoute(routes=made, on_stream_error="restart" if where == "field" else None)
    with pytest.raises(StreamInterruptedError) as caught:
        if where == "block":
            with options(on_stream_error="restart"):
                heard(llm, native=native)
        else:
            heard(llm, native=native, **more)
    assert caught.value.partial.text == "The quick brown "
    assert provider_of(made[1]).takes == []


def test_the_way_is_part_of_what_an_answer_depends_on():
    made = routes()
    some = ChatMultiRoute(routes=made, fallback_on={"refusal", "content_filter"}, on_stream_error="continue")
    assert some._identifying_params["on_stream_error"] == "continue"
    assert some._identifying_params["fallback_on"] == ["content_filter", "refusal"]
