"""Providers that fail under a LangChain chat model and a LlamaIndex LLM, by each of their faces.

The next route answers, and a cut stream keeps what had come.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core import exceptions
from llama_index.core.llms import ChatMessage

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Router
from multiroute_core.errors import StreamInterruptedError
from multiroute_core.testing.server import Drop, Received, Reply
from tests.chat_server import JSON, SSE, Fleet, answer, error, events

pytestmark = pytest.mark.wire

HELLO = [ChatMessage(role="user", content="Hi")]
WHOLE = ("invoke", "ainvoke", "chat", "achat")
STREAMED = ("stream", "astream", "stream_chat", "astream_chat")
TEXT = "One two three."

every_face = pytest.mark.parametrize("face", [*WHOLE, *STREAMED])
whole_faces = pytest.mark.parametrize("face", WHOLE)
streamed_faces = pytest.mark.parametrize("face", STREAMED)


def ask(router: Router, face: str, heard: list[str] | None = None, **fields: Any) -> str:
    """The text of an answer; `heard` gets its pieces as they come."""
    pieces = [] if heard is None else heard
    theirs = face in WHOLE[:2] or face in STREAMED[:2]
    call: Any = getattr((ChatMultiRoute if theirs else MultiRoute)(router=router, **fields), face)
    question: Any = "Hi" if theirs else HELLO
    if face in WHOLE:
        said = asyncio.run(call(question)) if face.startswith("a") else call(question)
        return said.text if theirs else said.message.content

    async def listen() -> None:
        stream = call(question)
        async for piece in stream if theirs else await stream:
            pieces.append(piece.text if theirs else piece.delta)

    if face.startswith("a"):
        asyncio.run(listen())
    else:
        for piece in call(question):
            pieces.append(piece.text if theirs else piece.delta)
    return "".join(pieces)


def dropped(_: Received) -> Reply:
    """The connection goes as soon as the question is there."""
    raise Drop


def cut(words: int, *, drop: bool) -> Callable[[Received], Reply]:
    """A stream with so many words, and then its end or the connection's; a plain answer loses its second half."""

    def pieces(body: list[bytes]) -> Iterator[bytes]:
        yield from body
        if drop:
            raise Drop

    def reply(received: Received) -> Reply:
        if json.loads(received.body).get("stream"):
            return Reply(200, SSE, pieces(list(events(TEXT))[: 1 + words]), stream=True)
        whole = answer(TEXT)(received).body
        assert isinstance(whole, bytes)
        return Reply(200, JSON, pieces([whole[: len(whole) // 2]]))

    return reply


@pytest.fixture
def silence() -> Iterator[Callable[[Received], Reply]]:
    """A provider that says nothing, until the test is over."""
    over = threading.Event()

    def reply(_: Received) -> Reply:
        over.wait(10)
        raise Drop

    yield reply
    over.set()


@every_face
@pytest.mark.parametrize("dead", [error(500), error(503), dropped], ids=["500", "503", "dropped"])
def test_a_dead_route_is_soon_left_alone(dead, face):
    with Fleet(dead, answer(TEXT)) as fleet:
        started = time.monotonic()
        assert [ask(fleet.router, face) for _ in range(20)] == [TEXT] * 20
        # Three failures in a row open its circuit breaker; then it gets one probe after each break of about 5, 10, … s.
        probes = math.ceil((time.monotonic() - started) / 4)
        first, second = fleet.hits
        assert second == 20
        assert first <= 3 + probes


@every_face
def test_nobody_waits_for_a_rate_limit_while_another_route_is_well(face):
    with Fleet(error(429, retry_after="5"), answer(TEXT)) as fleet:
        assert [ask(fleet.router, face) for _ in range(5)] == [TEXT] * 5
        # Who had waited would have asked the first again; and who asked it again would not have believed it.
        assert fleet.hits == [1, 5]


@every_face
def test_a_hang_is_left_at_its_limit(silence, face):
    with Fleet(silence, answer(TEXT), details=[{"timeout": 0.5}, {}]) as fleet:
        assert ask(fleet.router, face) == TEXT
        assert fleet.hits == [1, 1]


@streamed_faces
@pytest.mark.parametrize("drop", [False, True], ids=["ended", "dropped"])
def test_a_cut_stream_raises_with_what_had_come(drop, face):
    heard = []
    with Fleet(cut(2, drop=drop), answer("Other.")) as fleet:
        with pytest.raises(StreamInterruptedError) as caught:
            ask(fleet.router, face, heard)
        assert fleet.hits == [1, 0]
    assert "".join(heard) == "One two "
    assert isinstance(caught.value, exceptions.ModelConnectionError) == (face in STREAMED[:2])
    assert caught.value.partial.text == "One two "
    assert caught.value.partial.finish_reason is None
    assert [attempt.outcome for attempt in caught.value.attempts] == ["broken_stream"]


@streamed_faces
@pytest.mark.parametrize("drop", [False, True], ids=["ended", "dropped"])
def test_a_stream_that_is_cut_before_its_first_word_is_answered_by_the_next_route(drop, face):
    with Fleet(cut(0, drop=drop), answer(TEXT)) as fleet:
        assert ask(fleet.router, face) == TEXT
        assert fleet.hits == [1, 1]


@whole_faces
@pytest.mark.parametrize("drop", [False, True], ids=["ended", "dropped"])
def test_a_cut_answer_is_answered_by_the_next_route(drop, face):
    with Fleet(cut(2, drop=drop), answer(TEXT)) as fleet:
        assert ask(fleet.router, face) == TEXT
        assert fleet.hits == [1, 1]


@pytest.mark.parametrize("face", ["invoke", "ainvoke"])
def test_an_invoke_that_streams_inside_keeps_what_had_come_as_well(face):
    with Fleet(cut(2, drop=False), answer("Other.")) as fleet:
        with pytest.raises(StreamInterruptedError) as caught:
            ask(fleet.router, face, streaming=True)
        assert fleet.hits == [1, 0]
    assert caught.value.partial.text == "One two "
