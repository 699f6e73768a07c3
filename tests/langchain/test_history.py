"""What LangChain's own classes for the vendors said, read so that each vendor gets its own back."""

import copy
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.messages.tool import invalid_tool_call

from langchain_multiroute import history
from langchain_multiroute.convert import messages_in
from multiroute_core import ConfigurationError, InvalidToolCall, Message, Raw, Reasoning, Text, ToolCall, VendorPart

CALL = {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
ITEM = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": "x",
}
SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}}


def said(content, provider, *, v1=False, **more):
    about = {"model_provider": provider} | ({"output_version": "v1"} if v1 else {})
    return AIMessage(content, response_metadata=about, **more)


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (
            said([THINKING, {"type": "text", "text": "So."}, {"type": "tool_use", "id": "c1", "name": "f", "input": {}}],
                 "anthropic", tool_calls=[CALL]),
            (Reasoning("Hm.", Raw("anthropic", THINKING)), Text("So."), ToolCall("c1", "f", {"a": 1})),
        ),
        (
            said([{**THINKING, "index": 0}, {**SEARCH, "input": {}, "partial_json": '{"query": "q"}', "index": 1}], "anthropic"),
            (Reasoning("Hm.", Raw("anthropic", THINKING)), VendorPart(Raw("anthropic", SEARCH))),
        ),
        (
            said([{"type": "reasoning", "reasoning": "Hm.", "extras": {"signature": "s"}}, CALL], "anthropic", v1=True, tool_calls=[CALL]),
            (Reasoning("Hm.", Raw("anthropic", THINKING)), ToolCall("c1", "f", {"a": 1})),
        ),
        (
            said([{"type": "non_standard", "value": {"type": "redacted_thinking", "data": "x"}}], "anthropic", v1=True),
            (Reasoning("", Raw("anthropic", {"type": "redacted_thinking", "data": "x"})),),
        ),
        (
            said([ITEM, {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}], "openai", tool_calls=[CALL]),
            (Reasoning("Hm.", Raw("openai.responses", ITEM)), ToolCall("c1", "f", {"a": 1})),
        ),
        (
            said(
                [
                    {"type": "reasoning", "id": "rs_1", "reasoning": "A", "extras": {"encrypted_content": "x"}},
                    {"type": "reasoning", "id": "rs_1", "reasoning": "B"},
                ],
                "openai",
                v1=True,
            ),
            (
                Reasoning(
                    "AB",
                    Raw(
                        "openai.responses",
                        {
                            "type": "reasoning",
                            "id": "rs_1",
                            "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}],
                            "encrypted_content": "x",
                        },
                    ),
                ),
            ),
        ),
        (
            said("So.", "google_genai", tool_calls=[CALL], additional_kwargs={history.SIGNATURES: {"c1": "s"}}),
            (
                Text("So."),
                ToolCall(
                    "c1",
                    "f",
                    {"a": 1},
                    Raw("google", {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"}),
                ),
            ),
        ),
        (
            said([{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "a", "extras": {"signature": "t"}}], "google_genai"),
            (
                Reasoning("Hm.", Raw("google", {"text": "Hm.", "thought": True, "thoughtSignature": "s"})),
                Text("a", Raw("google", {"text": "a", "thoughtSignature": "t"})),
            ),
        ),
        (
            said([{"type": "executable_code", "executable_code": "1+1"}, {"type": "code_execution_result", "code_execution_result": "2"}], "google_genai"),
            (
                VendorPart(Raw("google", {"executableCode": {"language": "PYTHON", "code": "1+1"}})),
                VendorPart(Raw("google", {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}})),
            ),
        ),
        (said([{"type": "server_tool_call", "id": "s", "name": "x", "args": {}}, {"type": "text", "text": "a"}], "openai", v1=True), (Text("a"),)),
    ],
)  # fmt: skip
def test_every_vendor_gets_its_own_back(message, parts):
    before = copy.deepcopy(message)
    assert messages_in([message]) == (Message("assistant", parts),)
    assert message == before


def test_calls_without_ids_get_stable_ones():
    message = AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": None}, {"name": "g", "args": {}, "id": None}])
    first, second = messages_in([HumanMessage("x"), message]), messages_in([HumanMessage("x"), message])
    assert first == second
    assert [call.id for call in first[1].tool_calls] == ["call_1_0", "call_1_1"]


def test_invalid_calls_and_chunks():
    bad = invalid_tool_call(name="f", args="{", id="c1", error=None)
    (made,) = messages_in([AIMessageChunk(content="a", invalid_tool_calls=[bad])])
    assert made.parts == (Text("a"), InvalidToolCall("c1", "f", "{", "The arguments are malformed."))


def test_anthropic_s_tool_results_in_a_human_message():
    content: Any = [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}, {"type": "text", "text": "And now?"}]
    made = messages_in([HumanMessage("x"), AIMessage("", tool_calls=[CALL]), HumanMessage(content)])
    assert [message.role for message in made] == ["user", "assistant", "tool", "user"]


def test_what_nobody_knows_is_refused():
    with pytest.raises(ConfigurationError, match="hologram"):
        messages_in([AIMessage([{"type": "hologram"}])])
