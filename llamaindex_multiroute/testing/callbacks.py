"""Tests of callbacks and events: token counts, start and end, each reported once."""

# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.callbacks import (
    CallbackManager,
    CBEventType,
    LlamaDebugHandler,
    TokenCountingHandler,
    token_counting,
)

from llamaindex_multiroute.testing.faces import CHAT
from llamaindex_multiroute.testing.suite import Suite, arun_all, listening, run, to_messages

COMPLETE: dict[str, Callable[[Any, str], Any]] = {
    "complete": lambda llm, prompt: llm.complete(prompt),
    "acomplete": lambda llm, prompt: run(llm.acomplete(prompt)),
    "stream_complete": lambda llm, prompt: list(llm.stream_complete(prompt))[-1],
    "astream_complete": lambda llm, prompt: arun_all(llm.astream_complete(prompt))[-1],
}
"""The four completion methods; each returns the complete response."""


class CallbackTests(Suite):
    """Token counters are correct, and each call is reported once."""

    @pytest.mark.parametrize("face", [*CHAT, *COMPLETE])
    def test_usage(self, llm: Any, face: str) -> None:
        """Token counts are ints, where LlamaIndex's own counter reads them."""
        self.need("has_streamed_usage" if "stream" in face else "has_usage")
        response = CHAT[face](llm, to_messages("Say hello.")) if face in CHAT else COMPLETE[face](llm, "Say hello.")
        input_tokens, output_tokens = token_counting.get_tokens_from_response(response)
        assert type(input_tokens) is int
        assert type(output_tokens) is int
        assert input_tokens > 0
        assert output_tokens > 0

    @pytest.mark.parametrize("face", CHAT)
    def test_token_counter(self, llm: Any, face: str) -> None:
        """The counter uses the provider's token counts, without estimates."""
        self.need("has_streamed_usage" if "stream" in face else "has_usage")
        counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1_000_000)
        llm.callback_manager = CallbackManager([counter])
        input_tokens, output_tokens = token_counting.get_tokens_from_response(
            CHAT[face](llm, to_messages("Say hello."))
        )
        assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (input_tokens, output_tokens)
        assert len(counter.llm_token_counts) == 1

    @pytest.mark.parametrize("face", CHAT)
    def test_chat_events(self, llm: Any, face: str) -> None:
        """One start and one end event per call; a stream emits progress events between them."""
        with listening() as events:
            CHAT[face](llm, to_messages("Say hello."))
        names = [event.class_name() for event in events]
        counts = Counter(names)
        assert (counts["LLMChatStartEvent"], counts["LLMChatEndEvent"]) == (1, 1)
        assert names.index("LLMChatStartEvent") < names.index("LLMChatEndEvent")
        assert (counts["LLMChatInProgressEvent"] > 0) == ("stream" in face)
        end = next(event for event in events if event.class_name() == "LLMChatEndEvent")
        assert end.response.message.content

    @pytest.mark.parametrize("face", COMPLETE)
    def test_completion_events(self, llm: Any, face: str) -> None:
        """The same for prompts, without events of an inner chat call."""
        with listening() as events:
            COMPLETE[face](llm, "Say hello.")
        counts = Counter(event.class_name() for event in events)
        assert (counts["LLMCompletionStartEvent"], counts["LLMCompletionEndEvent"]) == (1, 1)
        assert counts["LLMChatStartEvent"] == 0

    @pytest.mark.parametrize("face", CHAT)
    def test_callbacks(self, llm: Any, face: str) -> None:
        """The legacy callbacks report the call once as well."""
        debug = LlamaDebugHandler(print_trace_on_end=False)
        llm.callback_manager = CallbackManager([debug])
        CHAT[face](llm, to_messages("Say hello."))
        assert len(debug.get_event_pairs(CBEventType.LLM)) == 1
        assert all(len(pair) == 2 for pair in debug.get_event_pairs(CBEventType.LLM))

    def test_a_stream_that_is_left_does_not_end(self, llm: Any) -> None:
        """A stream that is closed early emits no end event."""
        with listening() as events:
            stream = llm.stream_chat(to_messages("Say hello."))
            next(stream)
            stream.close()
        counts = Counter(event.class_name() for event in events)
        assert (counts["LLMChatStartEvent"], counts["LLMChatEndEvent"]) == (1, 0)
