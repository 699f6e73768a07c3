"""The responses of a stream are copies without validation, equal to validated ones in every field."""

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, TextBlock

from llamaindex_multiroute.answer import Answer, response_out
from multiroute_core import Chunk, Response, Text, Usage
from tests.prototypes import assert_same


def test_a_text_response_equals_a_validated_one():
    answer = Answer()
    answer.add(Chunk((Text("Hel"),)))
    response = answer.add(Chunk((Text("lo"),)))
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[TextBlock(text="Hello")], additional_kwargs={})
    assert_same(response, ChatResponse(message=message, delta="lo", additional_kwargs={}))
    assert_same(response.message, message)
    assert_same(response.message.blocks[0], message.blocks[0])


def test_a_text_answer_equals_a_validated_one():
    response = response_out(Response((Text("Hello"),), "stop", Usage(3, 2), "m", "openai", "openai:m"))
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[TextBlock(text="Hello")], additional_kwargs={})
    raw = {"model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
    beside = response.additional_kwargs
    assert beside["prompt_tokens"] == 3
    assert_same(response, ChatResponse(message=message, delta=None, raw=raw, additional_kwargs=beside))
    assert_same(response.message, message)


def test_responses_share_nothing_that_can_change():
    answer = Answer()
    first = answer.add(Chunk((Text("a"),)))
    first.additional_kwargs["a"] = first.message.additional_kwargs["a"] = 1
    first.message.blocks.append(TextBlock(text="b"))
    second = answer.add(Chunk((Text("b"),)))
    assert (second.additional_kwargs, second.message.additional_kwargs, second.message.content) == ({}, {}, "ab")
