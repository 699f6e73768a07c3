"""What a request becomes in the Responses API."""

import copy
import json

import pytest
from hypothesis import given, settings

from multiroute_core.messages import (
    Blob,
    File,
    Message,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.providers import models
from multiroute_core.providers.openai import responses
from multiroute_core.tools import OutputSchema, ReasoningOptions, ServerTool, Tool, ToolChoice
from multiroute_core.types import Request
from tests.conversations import conversations, files, media, raws

USER = Message("user", "Hello")
MODEL = "gpt-6-luna"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CLOSED = SCHEMA | {"additionalProperties": False, "required": ["city"]}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "a",
    "name": "f",
    "arguments": '{"x":1}',
    "status": "completed",
}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
ANSWER = Message("tool", [ToolCallResponse("a", "1")])
ANSWERED = {"type": "function_call_output", "call_id": "a", "output": "1"}


def encode(*messages, model=MODEL, stream=False, **parameters):
    traits = models.lookup("openai", model)
    return responses.encode(Request(messages or (USER,), **parameters), model, traits, stream=stream)


def items(*messages, model=MODEL):
    return encode(*messages, model=model).body["input"]


def own(body, model: str | None = MODEL):
    return Raw("openai.responses", body, model)


def test_a_tool_loop():
    made = items(
        Message("system", "Be brief."),
        USER,
        Message("assistant", [Text("I look."), ToolCall("a", "f", {"x": 1}), ToolCall("b", "f", {})]),
        Message("tool", [ToolCallResponse("b", [Text("A cat."), Blob(b"png", "image/png")])]),
        Message("tool", [ToolCallResponse("a", "no", error=True)]),
        Message("assistant", "Done."),
        Message("user", "Thanks."),
    )
    assert made == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x": 1}'},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "b",
            "output": [
                {"type": "input_text", "text": "A cat."},
                {"type": "input_image", "image_url": "data:image/png;base64,cG5n", "detail": "auto"},
            ],
        },
        {"type": "function_call_output", "call_id": "a", "output": "Error: no"},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "Thanks."},
    ]


def test_what_users_show():
    shown = [
        Text("Look:"),
        Blob(b"png", "image/png"),
        Uri("https://example.com/a.jpg"),
        Blob(b"%PDF", "application/pdf"),
        Uri("https://example.com/a.pdf", modality="document"),
        File("file-1", "openai"),
        File("file-2", "openai", modality="image"),
        File("files/1", "google"),
    ]
    assert items(Message("user", shown))[0]["content"] == [
        {"type": "input_text", "text": "Look:"},
        {"type": "input_image", "image_url": "data:image/png;base64,cG5n", "detail": "auto"},
        {"type": "input_image", "image_url": "https://example.com/a.jpg", "detail": "auto"},
        {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_image", "file_id": "file-2", "detail": "auto"},
    ]


def test_thoughts_calls_and_server_tools_go_back_as_they_came():
    said = [
        Reasoning("", own(THOUGHT)),
        VendorPart(own(SEARCH)),
        ToolCall("a", "f", {"x": 1}, own(CALL)),
    ]
    assert items(USER, Message("assistant", said), ANSWER)[1:] == [THOUGHT, SEARCH, CALL, ANSWERED]


@pytest.mark.parametrize(
    "thought",
    [
        own(THOUGHT, "another-model"),
        own({**THOUGHT, "encrypted_content": None}),  # nothing is stored there, so its id alone means nothing
    ],
)
def test_what_hangs_on_thoughts_that_cannot_go_back_goes_without_its_id(thought):
    said = [Reasoning("Hm.", thought), VendorPart(own(SEARCH)), ToolCall("a", "f", {"x": 1}, own(CALL))]
    bare = {name: value for name, value in CALL.items() if name != "id"}
    assert items(USER, Message("assistant", said), ANSWER)[1:] == [bare, ANSWERED]


def test_thoughts_that_nothing_follows_stay_here():
    assert items(USER, Message("assistant", [Text("So."), Reasoning("Hm.", own(THOUGHT))]), USER)[1:-1] == [
        {"role": "assistant", "content": "So."}
    ]


def test_words_keep_their_phase_and_lose_their_id():
    aside = {"type": "message", "id": "msg_1", "phase": "commentary", "content": []}
    last = {"type": "message", "id": "msg_2", "phase": "final_answer", "content": []}
    said = [Text("I look. ", own(aside)), Text("Found.", own(last)), Text(" Yes.", own(last))]
    assert items(USER, Message("assistant", said), USER)[1:-1] == [
        {"role": "assistant", "content": "I look. ", "phase": "commentary"},
        {"role": "assistant", "content": "Found. Yes.", "phase": "final_answer"},
    ]


def test_items_of_the_users_own():
    approval = {"type": "mcp_approval_response", "approve": True, "approval_request_id": "r"}
    picture = {"type": "input_image", "image_url": "https://example.com/a.jpg", "detail": "low"}
    output = {"type": "custom_tool_call_output", "call_id": "c", "output": "1"}
    custom = {"type": "custom_tool_call", "call_id": "c", "name": "grep", "input": "x"}
    made = items(
        Message("user", [VendorPart(own(approval, None)), Uri("https://example.com/a.jpg", raw=own(picture, None))]),
        Message("assistant", [VendorPart(own(custom))]),
        Message("tool", [ToolCallResponse("c", "1", raw=own(output, None))]),
    )
    assert made == [approval, {"role": "user", "content": [picture]}, custom, output]


def test_what_only_another_vendor_understands_is_left_out():
    said = [
        Reasoning("Hm.", Raw("anthropic", {"type": "thinking"}, "claude")),
        VendorPart(Raw("anthropic", {"type": "server_tool_use"})),
        ToolCall("toolu:1", "f", {}, Raw("anthropic", {"type": "tool_use"})),
    ]
    call, output = items(USER, Message("assistant", said), Message("tool", [ToolCallResponse("toolu:1", "1")]))[1:]
    assert call["call_id"] == output["call_id"] != "toolu:1"
    assert (call["type"], call.keys()) == ("function_call", {"type", "call_id", "name", "arguments"})


def test_tools_are_flat_and_as_strict_as_they_are_told():
    search = {"type": "web_search"}
    body = encode(
        tools=(Tool("f", "Does.", SCHEMA), Tool("g", "", SCHEMA, strict=True), ServerTool("openai.responses", search)),
        tool_choice=ToolChoice("tool", "f"),
        parallel_tool_calls=True,
    ).body
    assert body["tools"] == [
        {"type": "function", "name": "f", "description": "Does.", "parameters": SCHEMA, "strict": False},
        {"type": "function", "name": "g", "parameters": CLOSED, "strict": True},
        search,
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ({"type": "function", "name": "f"}, True)
    assert encode(tool_choice=ToolChoice("required"), parallel_tool_calls=True).body.keys() == encode().body.keys()
    assert encode(tools=(Tool("f"),), tool_choice=ToolChoice("required")).body["tool_choice"] == "required"


def test_the_form_of_the_answer():
    assert encode(output_schema=OutputSchema(SCHEMA)).body["text"] == {
        "format": {"type": "json_schema", "name": "answer", "schema": CLOSED, "strict": True}
    }
    assert encode(output_schema=OutputSchema(SCHEMA, "town", "A town.", strict=True)).body["text"] == {
        "format": {"type": "json_schema", "name": "town", "schema": CLOSED, "description": "A town.", "strict": True}
    }
    body = encode(output_schema=OutputSchema(None)).body
    assert body["text"] == {"format": {"type": "json_object"}}
    assert "JSON" in body["input"][0]["content"]


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("gpt-6-luna", ReasoningOptions("max", summary=True), {"effort": "max", "summary": "auto"}),
        ("gpt-6.1-sol", ReasoningOptions("none"), {"effort": "low"}),
        ("gpt-5.4", ReasoningOptions("max"), {"effort": "xhigh"}),
        ("gpt-6-luna", ReasoningOptions(summary=True), {"summary": "auto"}),
        ("gpt-6-luna", ReasoningOptions(), None),
        ("gpt-6-luna", None, None),
    ],
)
def test_how_long_to_think(model, asked, sent):
    made = encode(model=model, reasoning=asked)
    assert (made.body.get("reasoning"), made.dropped) == (sent, ())
    assert made.body["include"] == ["reasoning.encrypted_content"]
    assert made.body["store"] is False


def test_models_that_do_not_think():
    made = encode(model="gpt-4.1", reasoning=ReasoningOptions("high", summary=True))
    assert made.body.keys() == {"model", "input", "store"}
    assert made.dropped == ("reasoning: the model does not support an effort",)


@pytest.mark.slow
@given(conversations(media | files, raws))
@settings(deadline=None)
def test_any_conversation_is_one_that_responses_take(talk):
    before = copy.deepcopy(talk)
    made = items(*talk)
    json.dumps(made)
    assert talk == before
    calls, answers = [], []
    for item in made:
        if isinstance(item.get("content"), list):
            assert item["content"]
        match item.get("type"):
            case "function_call":
                assert isinstance(json.loads(item["arguments"]), dict)
                calls.append(item["call_id"])
            case "function_call_output":
                assert item["call_id"] in calls
                assert item["output"] != []
                answers.append(item["call_id"])
    assert sorted(calls) == sorted(answers)


@pytest.mark.parametrize(
    ("tool", "name", "choice"),
    [
        (Tool("search"), "search", {"type": "function", "name": "search"}),
        (ServerTool("openai.responses", {"type": "file_search"}), "file_search", {"type": "file_search"}),
        (
            ServerTool("openai.responses", {"type": "mcp", "server_label": "wiki"}),
            "wiki",
            {"type": "mcp", "server_label": "wiki"},
        ),
        (ServerTool("openai.responses", {"type": "custom", "name": "sh"}), "sh", {"type": "custom", "name": "sh"}),
    ],
)
def test_a_tool_that_must_be_used_whoever_runs_it(tool, name, choice):
    request = Request((USER,), tools=(tool,), tool_choice=ToolChoice("tool", name))
    made = responses.encode(request, MODEL, models.lookup("openai", MODEL), stream=False)
    assert made.body["tool_choice"] == choice
