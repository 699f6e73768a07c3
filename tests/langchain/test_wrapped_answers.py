"""Answers of chat models of LangChain's: failures are failures, and usage is read wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_multiroute import ChatMultiRoute
from langchain_multiroute.wrapped import decode_message
from multiroute_core import UnsupportedError, Usage
from multiroute_core.providers.provider import Encoded, WireError

ASKED = Encoded("", {}, model="m")
COUNTED = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}


class Saying(BaseChatModel):
    """A model that answers with a message, and streams it in two chunks."""

    message: AIMessage

    @property
    def _llm_type(self) -> str:
        return "saying"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.message)])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any
    ) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=self.message.content))
        about = self.message.response_metadata
        yield ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata=about))


def said(content: str = "", **about: Any) -> AIMessage:
    return AIMessage(content=content, response_metadata=about)


@pytest.mark.parametrize(
    "about",
    [
        *[{"finish_reason": word} for word in ("error", "ERROR", "MALFORMED_FUNCTION_CALL", "malformed_function_call")],
        *[
            {"finish_reason": word}
            for word in ("UNEXPECTED_TOOL_CALL", "OTHER", "LANGUAGE", "network_error", "timeout")
        ],
        {"stop_reason": "error"},
        {"stopReason": "malformed_model_output"},
        {"status": "failed", "error": {"message": "no"}},
    ],
)
def test_the_next_route_answers(about: dict[str, Any]) -> None:
    model = ChatMultiRoute(
        routes=[Saying(message=said(**about)), FakeListChatModel(responses=["Second."])], max_retries=0
    )
    assert model.invoke("Hi").content == "Second."
    assert "".join(str(chunk.content) for chunk in model.stream("Hi")) == "Second."


def test_the_error_says_what_was_used() -> None:
    message = said(
        "Half a sent", finish_reason="error", token_usage={"prompt_tokens": 9, "completion_tokens": 2}, model_name="n"
    )
    with pytest.raises(WireError) as caught:
        decode_message(message, ASKED)
    assert (caught.value.usage, caught.value.model) == (Usage(9, 2), "n")
    with pytest.raises(UnsupportedError, match="finish"):
        decode_message(said(finish_reason="LANGUAGE", finish_message="finish"), ASKED)


@pytest.mark.parametrize(
    ("about", "finish"),
    [
        ({}, "stop"),
        ({"finish_reason": "EOS"}, "stop"),
        ({"finish_reason": "MAX_TOKENS"}, "length"),
        ({"stop_reason": "pause_turn"}, "pause"),
        ({"finish_reason": "SAFETY"}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"done_reason": "length"}, "length"),
        ({"finish_reason": "OTHER"}, "other"),
        ({"finish_reason": "something_new"}, "other"),
    ],
)
def test_why_it_ended(about: dict[str, Any], finish: str) -> None:
    assert decode_message(said("Hi", **about), ASKED).finish_reason == finish


@pytest.mark.parametrize(
    ("about", "counted", "usage"),
    [
        ({}, COUNTED, Usage(1000, 100)),
        ({}, None, None),
        ({"token_usage": {"prompt_tokens": 1000, "completion_tokens": 100}}, None, Usage(1000, 100)),
        ({"token_usage": {"prompt_tokens": 1000, "completion_tokens": 100, "cost": 0.5}}, COUNTED, Usage(1000, 100, stated_cost=0.5)),
        ({"token_usage": {"prompt_tokens": 1000, "prompt_cache_hit_tokens": 800}}, COUNTED, Usage(1000, 100, 800)),
        ({"usage": {"input_tokens": 600, "output_tokens": 100, "cache_read_input_tokens": 400}}, None, Usage(1000, 100, 400)),
        (
            {},
            {"input_tokens": 1000, "output_tokens": 10, "total_tokens": 1100, "output_token_details": {"reasoning": 90}},
            Usage(1000, 100, reasoning_tokens=90),
        ),
        ({}, {**COUNTED, "input_token_details": {"cache_read": 800, "cache_creation": 50}}, Usage(1000, 100, 800, 50)),
        ({"service_tier": "flex"}, COUNTED, Usage(1000, 100, service_tier="flex")),
    ],
)  # fmt: skip
def test_usage(about: dict[str, Any], counted: Any, usage: Usage | None) -> None:
    message = said("Hi", **about).model_copy(update={"usage_metadata": counted})
    assert decode_message(message, ASKED).usage == usage
