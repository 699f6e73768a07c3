"""The chunks of a stream are copies without validation, equal to validated ones in every field."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_multiroute.answers import ChunkBuilder, metadata, usage_out
from langchain_multiroute.chat_model import _generation, _result
from langchain_multiroute.traces import answered_by
from multiroute_core import Chunk, Response, Text, Usage
from tests.prototypes import assert_same


def test_a_text_chunk_equals_a_validated_one():
    generation = _generation(ChunkBuilder(blocks=False), Chunk((Text("Hel"), Text("lo"))))
    message = AIMessageChunk(content="Hello", tool_call_chunks=[], response_metadata={})
    assert_same(generation, ChatGenerationChunk(message=message, generation_info=None))
    assert_same(generation.message, message)
    assert generation.message.text == "Hello"


def build_chunk(text: str) -> Any:
    return _generation(ChunkBuilder(blocks=False), Chunk((Text(text),)))


@pytest.mark.parametrize("usage", [Usage(3, 2), Usage(3, 2, cache_read_tokens=1), None])
def test_a_text_answer_equals_a_validated_one(usage):
    response = Response((Text("Hello"),), "stop", usage, "m", "openai", "openai:m")
    result = _result(response)
    (generation,) = result.generations
    message = AIMessage(content="Hello", usage_metadata=usage_out(usage), response_metadata=metadata(response))
    info = answered_by(response, message.response_metadata)
    assert_same(generation.message, message)
    assert_same(generation, ChatGeneration(message=message, generation_info=info))
    assert_same(result, ChatResult(generations=[ChatGeneration(message=message, generation_info=info)]))


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
