"""Streams that break in the middle, as LlamaIndex sees them."""

import asyncio

import pytest

from llamaindex_multiroute import MultiRoute
from multiroute_core.testing import Answer, DropConnection, scripted_route


def routes():
    return [
        scripted_route("a", DropConnection(2, Answer(["The quick ", "brown ", "fox"]))),
        scripted_route("b", Answer(["brown fox ", "jumps."])),
    ]


def heard(llm, *, native):
    async def listen():
        return [response async for response in await llm.astream_complete("Hi")]

    return asyncio.run(listen()) if native else list(llm.stream_complete("Hi"))


@pytest.mark.parametrize("native", [False, True], ids=["stream", "astream"])
def test_the_next_route_goes_on(native):
    said = heard(MultiRoute(routes=routes(), on_stream_error="continue"), native=native)
    assert "".join(response.delta or "" for response in said) == said[-1].text == "The quick brown fox jumps."


@pytest.mark.parametrize("native", [False, True], ids=["stream", "astream"])
def test_the_next_route_begins_anew(native):
    """What has been said so far is empty again, and is marked."""
    said = heard(MultiRoute(routes=routes(), on_stream_error="restart"), native=native)
    assert [(r.text, r.delta, r.additional_kwargs.get("restarted", False)) for r in said[:-1]] == [
        ("The quick ", "The quick ", False),
        ("The quick brown ", "brown ", False),
        ("", "", True),
        ("brown fox ", "brown fox ", False),
        ("brown fox jumps.", "jumps.", False),
    ]
    assert said[-1].text == "brown fox jumps."
