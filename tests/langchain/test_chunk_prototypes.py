"""The chunks of a stream are copies that nobody validates; they equal validated ones in everything."""

from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_multiroute.answers import ChunkBuilder
from langchain_multiroute.chat_model import _generation
from multiroute_core import Chunk, Text
from tests.prototypes import assert_same


def test_a_text_chunk_equals_a_validated_one():
    generation = _generation(ChunkBuilder(blocks=False), Chunk((Text("Hel"), Text("lo"))))
    message = AIMessageChunk(content="Hello", tool_call_chunks=[], response_metadata={})
    assert_same(generation, ChatGenerationChunk(message=message, generation_info=None))
    assert_same(generation.message, message)
    assert generation.message.text == "Hello"


def build_chunk(text: str) -> Any:
    return _generation(ChunkBuilder(blocks=False), Chunk((Text(text),)))


def test_chunks_share_nothing_that_can_change():
    first = build_chunk("a")
    second = build_chunk("a")
    first.message.response_metadata["a"] = 1
    first.message.additional_kwargs["a"] = 1
    first.message.tool_calls.append({"name": "a", "args": {}, "id": "1"})
    first.message.id = "run-1"
    assert second.message == AIMessageChunk(content="a", tool_call_chunks=[], response_metadata={})
    assert (first + second).message.content == "aa"
    assert second.message.model_copy(deep=True) == second.message
