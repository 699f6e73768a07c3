"""Tests of query and chat engines."""

# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import Document, Settings, SummaryIndex
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer

from llamaindex_multiroute.testing.suite import Suite, run

QUESTION = "What do routers do?"


class EngineTests(Suite):
    """The framework's own engines work with the LLM."""

    @property
    def index(self) -> SummaryIndex:
        """A small index that needs no embeddings."""
        return SummaryIndex.from_documents([Document(text="Routers route. Breakers break.")])

    @property
    def memory(self) -> ChatMemoryBuffer:
        """A new memory."""
        return ChatMemoryBuffer.from_defaults(token_limit=100_000)

    @pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize", "accumulate"])
    def test_query_engine(self, llm: Any, mode: str) -> None:
        """Documents are packed into prompts, in every response mode that calls an LLM."""
        engine: Any = self.index.as_query_engine(llm=llm, response_mode=mode)
        assert str(engine.query(QUESTION))
        assert str(run(engine.aquery(QUESTION)))

    def test_streaming_query_engine(self, llm: Any) -> None:
        """The response is streamed."""
        engine: Any = self.index.as_query_engine(llm=llm, streaming=True)
        assert "".join(engine.query(QUESTION).response_gen)

        async def ask() -> str:
            response = await engine.aquery(QUESTION)
            return "".join([text async for text in response.async_response_gen()])

        assert run(ask())

    def test_as_the_settings_llm(self, llm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The global LLM in `Settings` is used by default, and stays the same object."""
        monkeypatch.setattr(Settings, "_llm", None)
        Settings.llm = llm
        assert Settings.llm is llm
        assert str(self.index.as_query_engine().query(QUESTION))

    @pytest.mark.parametrize("mode", ["simple", "context", "condense_question", "condense_plus_context"])
    def test_chat_engine(self, llm: Any, mode: Any) -> None:
        """A conversation by four methods, completely stored in the memory."""
        engine: Any = self._engine(llm, mode)
        assert str(engine.chat(QUESTION))
        assert "".join(engine.stream_chat("And breakers?").response_gen)

        async def ask() -> tuple[str, str]:
            plain = await engine.achat("Really?")
            streamed = await engine.astream_chat("And then?")
            return str(plain), "".join([text async for text in streamed.async_response_gen()])

        assert all(run(ask()))
        roles = [message.role.value for message in engine.chat_history]
        assert roles == ["user", "assistant"] * 4
        assert all(message.content for message in engine.chat_history)

    def _engine(self, llm: Any, mode: Any) -> Any:
        if mode == "simple":
            return SimpleChatEngine.from_defaults(llm=llm, memory=self.memory)
        return self.index.as_chat_engine(chat_mode=mode, llm=llm, memory=self.memory)
