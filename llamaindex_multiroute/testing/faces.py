"""Tests of the eight LLM methods: complete and streamed, sync and async, by messages and by a prompt."""

# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import base64
import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ImageBlock, MessageRole, TextBlock
from llama_index.core.prompts import PromptTemplate

from llamaindex_multiroute.testing.suite import Suite, arun_all, run, to_messages

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC"
)
"""A PNG of 8 × 8 red pixels."""

CONVERSATION = [
    ChatMessage(role="system", content="Answer in one sentence."),
    ChatMessage(role="user", content="My name is Ada."),
    ChatMessage(role="assistant", content="Hello Ada."),
    ChatMessage(role="user", content="What is my name?"),
]

CHAT: dict[str, Callable[[Any, Sequence[ChatMessage]], ChatResponse]] = {
    "chat": lambda llm, messages: llm.chat(messages),
    "achat": lambda llm, messages: run(llm.achat(messages)),
    "stream_chat": lambda llm, messages: list(llm.stream_chat(messages))[-1],
    "astream_chat": lambda llm, messages: arun_all(llm.astream_chat(messages))[-1],
}
"""The four chat methods; each returns the complete response."""


class FaceTests(Suite):
    """Every method responds in its own format."""

    @pytest.mark.parametrize("face", CHAT)
    def test_chat(self, llm: Any, face: str) -> None:
        """The response has the assistant role and is not empty."""
        response = CHAT[face](llm, to_messages("Say hello."))
        assert isinstance(response, ChatResponse)
        assert response.message.role == MessageRole.ASSISTANT
        assert response.message.content
        assert str(response.message.content) in str(response)

    def test_stream_chat_grows(self, llm: Any) -> None:
        """A stream is a generator; each response holds everything so far, and its delta is the new text."""
        stream = llm.stream_chat(to_messages("Say hello."))
        assert inspect.isgenerator(stream)
        self._grows(list(cast("Any", stream)))

    def test_astream_chat_grows(self, llm: Any) -> None:
        """The same on an event loop: awaiting the method returns an async generator."""

        async def read() -> list[ChatResponse]:
            stream = await llm.astream_chat(to_messages("Say hello."))
            assert inspect.isasyncgen(stream)
            return [response async for response in cast("Any", stream)]

        self._grows(run(read()))

    def _grows(self, responses: list[ChatResponse]) -> None:
        assert responses
        so_far = ""
        for response in responses:
            so_far += response.delta or ""
            assert (response.message.content or "") == so_far
        assert so_far

    def test_complete(self, llm: Any) -> None:
        """A prompt gets a text response."""
        assert llm.complete("Say hello.").text
        assert run(llm.acomplete("Say hello.")).text

    def test_stream_complete_grows(self, llm: Any) -> None:
        """Streams by prompt grow too."""
        for responses in (list(llm.stream_complete("Say hello.")), arun_all(llm.astream_complete("Say hello."))):
            assert "".join(response.delta or "" for response in responses) == responses[-1].text
            assert responses[-1].text

    def test_predict_and_stream(self, llm: Any) -> None:
        """Prompt templates are formatted and sent."""
        prompt = PromptTemplate("Say {word}.")
        assert llm.predict(prompt, word="hello")
        assert "".join(llm.stream(prompt, word="hello"))
        assert run(llm.apredict(prompt, word="hello"))
        assert "".join(arun_all(llm.astream(prompt, word="hello")))

    @pytest.mark.parametrize("face", CHAT)
    def test_conversation(self, llm: Any, face: str) -> None:
        """A system prompt and earlier turns are accepted and not changed."""
        messages = copy.deepcopy(CONVERSATION)
        assert CHAT[face](llm, messages).message.content
        assert messages == CONVERSATION

    def test_an_answer_goes_back(self, llm: Any) -> None:
        """The LLM accepts its own response as a message."""
        messages = to_messages("Say hello.")
        answer = llm.chat(messages)
        assert llm.chat([*messages, answer.message, *to_messages("And once more?")]).message.content

    def test_several_text_blocks(self, llm: Any) -> None:
        """A turn may have several text blocks."""
        message = ChatMessage(role="user", blocks=[TextBlock(text="Say hello."), TextBlock(text="Then say goodbye.")])
        assert llm.chat([message]).message.content

    def test_image(self, llm: Any) -> None:
        """An image is accepted as bytes."""
        self.need("has_images")
        blocks = [TextBlock(text="What is this?"), ImageBlock(image=PICTURE, image_mimetype="image/png")]
        message = ChatMessage(role="user", blocks=blocks)
        before = copy.deepcopy(message)
        for face in CHAT.values():
            assert face(llm, [message]).message.content
        assert message == before

    def test_a_stream_may_be_left(self, llm: Any) -> None:
        """A stream can be closed early, and the LLM stays usable."""
        stream = llm.stream_chat(to_messages("Say hello."))
        next(stream)
        stream.close()
        assert llm.chat(to_messages("Say hello.")).message.content

    def test_inside_a_running_loop(self, llm: Any) -> None:
        """Sync methods work inside a running event loop, as in notebooks."""

        async def ask() -> tuple[str | None, str]:
            streamed = "".join(response.delta or "" for response in llm.stream_chat(to_messages("Say hello.")))
            return llm.chat(to_messages("Say hello.")).message.content, streamed

        assert all(run(ask()))

    def test_one_llm_in_several_loops(self, llm: Any) -> None:
        """Async methods work in several event loops, one after another."""
        self.need("crosses_loops")

        async def ask() -> str | None:
            return (await llm.achat(to_messages("Say hello."))).message.content

        for _ in range(3):
            assert asyncio.run(ask())
