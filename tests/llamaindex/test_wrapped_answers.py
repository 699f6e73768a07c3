"""Answers of LLMs of LlamaIndex's: failures are failures, and usage is read wherever it stands."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import CompletionResponse, CustomLLM
from llama_index.core.llms.mock import MockLLM
from openai.types.chat import ChatCompletion

from llamaindex_multiroute import MultiRoute
from llamaindex_multiroute.wrapped import END, CumulativeDecoder, decode_response
from multiroute_core import Usage
from multiroute_core.providers.provider import Encoded, WireError

ASKED = Encoded("", {}, model="m")


class Saying(CustomLLM):
    """An LLM that answers with a raw body."""

    _raw: Any = PrivateAttr()
    _text: str = PrivateAttr()

    def __init__(self, raw: Any, text: str = "") -> None:
        super().__init__()
        self._raw, self._text = raw, text

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="saying")

    def complete(self, prompt: str, formatted: bool = False, **options: Any) -> CompletionResponse:
        return CompletionResponse(text=self._text, raw=self._raw)

    def stream_complete(self, prompt: str, formatted: bool = False, **options: Any) -> Any:
        yield CompletionResponse(text=self._text, delta=self._text, raw=self._raw)


def choice(finish: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"finish_reason": finish, **more}]}


def response(raw: Any, text: str = "Hi", **beside: Any) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role="assistant", content=text), raw=raw, additional_kwargs=beside)


FAILED = [
    *[choice(word) for word in ("error", "ERROR", "MALFORMED_FUNCTION_CALL", "network_error", "OTHER")],
    choice("stop", error={"code": 502}),
    {"finish_reason": "MALFORMED_FUNCTION_CALL"},
    {"candidates": [{"finish_reason": SimpleNamespace(name="UNEXPECTED_TOOL_CALL")}]},
    {"stop_reason": "error"},
    {"stopReason": "malformed_tool_use"},
    {"status": "failed"},
]


@pytest.mark.parametrize("raw", FAILED)
def test_the_next_route_answers(raw: Any) -> None:
    llm = MultiRoute(routes=[Saying(raw), MockLLM()], max_retries=0)
    for answer in (llm.complete("Second."), list(llm.stream_complete("Second."))[-1]):
        assert answer.text
        assert [each["outcome"] == "success" for each in answer.additional_kwargs["attempts"]] == [False, True]


def test_the_error_says_what_was_used() -> None:
    raw = {**choice("error"), "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    with pytest.raises(WireError) as caught:
        decode_response(response(raw, "Half a sent"), [], ASKED)
    assert caught.value.usage == Usage(9, 2)


@pytest.mark.parametrize(
    ("raw", "finish"),
    [
        (None, "stop"),
        (choice("EOS"), "stop"),
        (choice("OTHER"), "other"),
        (choice("MAX_TOKENS"), "length"),
        ({"stop_reason": "pause_turn"}, "pause"),
        ({"done_reason": "length"}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"response": {"status": "completed"}}, "stop"),
    ],
)
def test_why_it_ended(raw: Any, finish: str) -> None:
    assert decode_response(response(raw), [], ASKED).finish_reason == finish


COMPLETION = {
    "id": "c",
    "created": 1,
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1100, "completion_tokens_details": {"reasoning_tokens": 90}, "cost": 0.5},
}  # fmt: skip
USAGES = [
    (COMPLETION, {}, Usage(1000, 100, reasoning_tokens=90, stated_cost=0.5)),
    (ChatCompletion.model_validate(COMPLETION), {}, Usage(1000, 100, reasoning_tokens=90, stated_cost=0.5)),
    ({"usage": {"input_tokens": 600, "output_tokens": 100, "cache_read_input_tokens": 400}}, {}, Usage(1000, 100, 400)),
    ({"usage": {"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100}}, {}, Usage(1000, 100)),
    (
        {"usage_metadata": {"prompt_token_count": 1000, "candidates_token_count": 60, "total_token_count": 1100}},
        {},
        Usage(1000, 100),
    ),
    ({"prompt_eval_count": 1000, "eval_count": 100}, {}, Usage(1000, 100)),
    (None, {"prompt_tokens": 1000, "completion_tokens": 100}, Usage(1000, 100)),
    ({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, {}, None),
    (None, {}, None),
]


@pytest.mark.parametrize(("raw", "beside", "usage"), USAGES)
def test_usage(raw: Any, beside: dict[str, Any], usage: Usage | None) -> None:
    assert decode_response(response(raw, **beside), [], ASKED).usage == usage
    growing = CumulativeDecoder(ASKED, lambda _: [])
    growing.feed(response(raw, "Hi", **beside))
    growing.feed(response({"choices": [], "usage": None} if raw else None, "Hi", **beside))
    ended = growing.feed(END)
    assert ended is not None
    if raw is None or "prompt_eval_count" not in raw:  # Ollama counts in its last response
        assert ended.usage == usage


def test_a_reason_before_the_last_response_is_not_lost() -> None:
    growing = CumulativeDecoder(ASKED, lambda _: [])
    growing.feed(response(choice("length"), "Hi"))
    growing.feed(response({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}, "Hi"))
    ended = growing.feed(END)
    assert ended is not None
    assert (ended.finish_reason, ended.usage) == ("length", Usage(1, 2))
