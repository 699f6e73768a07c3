"""What a request becomes in Chat Completions."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
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
from multiroute_core.providers.openai import chat
from multiroute_core.tools import OutputSchema, ReasoningOptions, ServerTool, Tool, ToolChoice
from multiroute_core.types import Request
from tests.conversations import conversations, files, media, parts, raws
from tests.examples import examples

USER = Message("user", "Hello")
WEATHER = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "size": {"type": "integer", "default": 1}}}
CLOSED = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "size": {"type": "integer"}},
    "additionalProperties": False,
    "required": ["city", "size"],
}
OPEN = {"type": "object", "properties": {"more": {"type": "object", "additionalProperties": True}}}


def encode(*messages, model="gpt-4o", stream=False, **parameters):
    traits = models.lookup("openai", model)
    return chat.encode(Request(messages or (USER,), **parameters), model, traits, stream=stream)


def history(*messages, model="gpt-4o"):
    return encode(*messages, model=model).body["messages"]


def test_a_tool_loop():
    made = history(
        Message("system", "Be brief."),
        Message("user", "Weather in Oslo and Rome?"),
        Message(
            "assistant", [Text("I look."), ToolCall("a", "weather", {"city": "Oslo"}), ToolCall("b", "weather", {})]
        ),
        Message("tool", [ToolCallResponse("b", "No such city", error=True)]),
        Message("tool", [ToolCallResponse("a", "Snow")]),
    )
    assert made == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather in Oslo and Rome?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
                {"id": "b", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "b", "content": "Error: No such city"},
        {"role": "tool", "tool_call_id": "a", "content": "Snow"},
    ]


def test_an_error_that_says_so_is_not_marked_twice():
    call = Message("assistant", [ToolCall("a", "weather", {})])
    failed = ToolCallResponse("a", "ValueError: no such city", error=True)
    assert history(USER, call, Message("tool", [failed]))[-1]["content"] == "ValueError: no such city"


def test_answers_come_at_once_after_their_calls_whatever_stands_between():
    made = history(
        USER,
        Message("assistant", [ToolCall("a", "f", {})]),
        Message("assistant", [ToolCall("b", "f", {})]),
        Message("user", [Text("Hurry!"), ToolCallResponse("b", "2")]),
        Message("tool", [ToolCallResponse("a", "1")]),
    )
    assert [message["role"] for message in made] == ["user", "assistant", "tool", "tool", "user"]
    assert [call["id"] for call in made[1]["tool_calls"]] == ["a", "b"]
    assert made[-1]["content"] == "Hurry!"


def test_an_answer_without_its_call_is_told_in_words():
    broken = InvalidToolCall("a", "", '{"x": ', "cut")  # a call without a name cannot be sent
    made = history(USER, Message("assistant", [broken]), Message("tool", [ToolCallResponse("a", "no JSON", name="f")]))
    assert made == [
        {"role": "user", "content": "Hello"},
        {"role": "user", "content": "The tool f answered: no JSON"},
    ]


def test_ids_that_openai_refuses_are_made_anew_and_stay_paired():
    made = history(
        USER,
        Message("assistant", [ToolCall("x" * 41, "f", {})]),
        Message("tool", [ToolCallResponse("x" * 41, "1")]),
    )
    assert made[1]["tool_calls"][0]["id"] == made[2]["tool_call_id"]
    assert len(made[2]["tool_call_id"]) <= 40


def test_what_users_show():
    made = history(
        Message(
            "user",
            [
                Text("Look:"),
                Blob(b"png", "image/png"),
                Uri("https://example.com/a.jpg"),
                Blob(b"%PDF", "application/pdf", "report.pdf"),
                Blob(b"RIFF", "audio/x-wav"),
                Blob(b"ID3", "audio/mpeg"),
                File("file-1", "openai"),
                File("files/1", "google"),  # no other vendor can read it
                Blob(b"plain words", "text/plain"),
                CachePoint(),
            ],
        )
    )
    assert made[0]["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
        {"type": "file", "file": {"filename": "report.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "text", "text": "plain words"},
    ]


def test_a_part_in_openais_own_words_goes_as_it_is():
    given = {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg", "detail": "low"}}
    picture = Uri("https://example.com/a.jpg", raw=Raw("openai.chat", given))
    assert history(Message("user", [picture]))[0]["content"] == [given]


def test_what_a_tool_shows_is_shown_by_the_user():
    made = history(
        USER,
        Message("assistant", [ToolCall("a", "draw", {}), ToolCall("b", "draw", {})]),
        Message("tool", [ToolCallResponse("a", [Text("A cat."), Blob(b"png", "image/png")], name="draw")]),
        Message("tool", [ToolCallResponse("b", [Blob(b"gif", "image/gif")])]),
        Message("user", "Which is nicer?"),
    )
    assert [message["role"] for message in made] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert made[2]["content"] == "A cat."
    assert made[3]["content"] == "The answer is shown in the next message of the user."
    assert [part["type"] for part in made[4]["content"]] == ["text", "image_url", "text", "image_url"]


def test_calls_go_back_as_the_vendor_wrote_them():
    body = {
        "id": "a",
        "type": "function",
        "function": {"name": "f", "arguments": '{"x":1}'},
        "extra_content": {"google": {"thought_signature": "s"}},
    }
    call = ToolCall("a", "f", {"x": 1}, Raw("openai.chat", body, "m"))
    made = history(USER, Message("assistant", [call]), Message("tool", [ToolCallResponse("a", "1")]))
    assert made[1]["tool_calls"] == [body]
    foreign = ToolCall("a", "f", {"x": 1}, Raw("anthropic", {"type": "tool_use", "id": "a"}, "m"))
    made = history(USER, Message("assistant", [foreign]), Message("tool", [ToolCallResponse("a", "1")]))
    assert made[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"x": 1}'}


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (Raw("openai.chat", {"reasoning_content": "Hm."}, "deepseek-chat"), {"reasoning_content": "Hm."}),
        (Raw("openai.chat", {"reasoning_content": "Hm."}), {"reasoning_content": "Hm."}),
        (Raw("openai.chat", {"reasoning_content": "Hm."}, "another"), {}),
        (Raw("anthropic", {"type": "thinking"}, "deepseek-chat"), {}),
        (None, {}),
    ],
)
def test_thoughts_go_back_to_the_model_that_had_them(raw, sent):
    said = Message("assistant", [Reasoning("Hm.", raw), Text("Yes.")])
    made = history(USER, said, USER, model="deepseek-chat")
    assert made[1] == {"role": "assistant", "content": "Yes.", **sent}


def test_what_only_another_vendor_understands_is_left_out():
    said = [Text("Found."), VendorPart(Raw("anthropic", {"type": "server_tool_use"})), Reasoning("Hm.")]
    made = history(USER, Message("assistant", said), Message("assistant", [Reasoning("Hm.")]), USER)
    assert made[1:-1] == [{"role": "assistant", "content": "Found."}]


def test_a_call_of_a_tool_without_a_schema_goes_back():
    body = {"id": "c", "type": "custom", "custom": {"name": "grep", "input": "x"}}
    call = Message("assistant", [VendorPart(Raw("openai.chat", body, "m"))])
    made = history(USER, call, Message("tool", [ToolCallResponse("c", "line 1")]))
    assert made[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [body]},
        {"role": "tool", "tool_call_id": "c", "content": "line 1"},
    ]


def test_tools_and_whether_they_must_be_used():
    body = encode(
        tools=(WEATHER, ServerTool("openai.chat", {"type": "custom", "custom": {"name": "grep"}})),
        tool_choice=ToolChoice("tool", "weather"),
        parallel_tool_calls=False,
    ).body
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Tells the weather.", "parameters": WEATHER.parameters},
        },
        {"type": "custom", "custom": {"name": "grep"}},
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize("mode", ["auto", "none", "required"])
def test_modes_of_choice(mode):
    assert encode(tools=(WEATHER,), tool_choice=ToolChoice(mode)).body["tool_choice"] == mode


def test_without_tools_nothing_is_said_of_them():
    assert encode(tool_choice=ToolChoice("auto"), parallel_tool_calls=True).body.keys() == {"model", "messages"}


def test_models_that_cannot_be_told_to_call_one_tool_at_a_time():
    made = encode(model="o3-mini", tools=(WEATHER,), parallel_tool_calls=False)
    assert "parallel_tool_calls" not in made.body
    assert made.dropped == ("parallel_tool_calls: the model does not support it",)


def test_strict_tools_get_a_schema_that_strict_mode_takes():
    tool = Tool("f", "", SCHEMA, strict=True)
    before = copy.deepcopy(SCHEMA)
    function = encode(tools=(tool,)).body["tools"][0]["function"]
    assert function == {"name": "f", "parameters": CLOSED, "strict": True}
    assert before == SCHEMA
    made = encode(tools=(Tool("f", "", OPEN, strict=True),))
    assert made.body["tools"][0]["function"] == {"name": "f", "parameters": OPEN, "strict": False}
    assert [told.split(":")[0] for told in made.dropped] == ["strict of tool f"]


def test_what_a_tool_says_to_openai_alone():
    tool = Tool("f", extras={"openai": {"function": {"strict": False}}, "anthropic": {"cache_control": {}}})
    assert encode(tools=(tool,)).body["tools"][0]["function"]["strict"] is False


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        (OutputSchema(SCHEMA), {"name": "answer", "schema": CLOSED, "strict": True}),
        (OutputSchema(OPEN), {"name": "answer", "schema": OPEN}),
        (
            OutputSchema(SCHEMA, "town", "A town.", strict=True),
            {"name": "town", "schema": CLOSED, "description": "A town.", "strict": True},
        ),
        (OutputSchema(SCHEMA, strict=False), {"name": "answer", "schema": SCHEMA, "strict": False}),
        (OutputSchema(OPEN, strict=True), {"name": "answer", "schema": OPEN, "strict": False}),
    ],
)
def test_the_form_of_the_answer(form, sent):
    body = encode(output_schema=form).body
    assert body["response_format"] == {"type": "json_schema", "json_schema": sent}
    assert body["messages"] == [{"role": "user", "content": "Hello"}]


def test_json_mode_is_asked_for_in_words_too():
    body = encode(output_schema=OutputSchema(None)).body
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0] == {"role": "system", "content": "Answer with a JSON object and nothing else."}
    assert len(encode(Message("user", "As JSON, please."), output_schema=OutputSchema(None)).body["messages"]) == 1


def test_models_that_know_no_schemas_get_it_in_words():
    body = encode(Message("system", "Be brief."), USER, model="gpt-4-turbo", output_schema=OutputSchema(SCHEMA)).body
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["content"].startswith("Be brief.\n\nAnswer with a JSON object")
    assert body["messages"][0]["content"].endswith(json.dumps(SCHEMA))


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("o3", ReasoningOptions("minimal"), "low"),
        ("o3", ReasoningOptions("max"), "high"),
        ("gpt-5-mini", ReasoningOptions("none"), "minimal"),
        ("gpt-5.1", ReasoningOptions("none"), "none"),
        ("gpt-5.1", ReasoningOptions("minimal"), "low"),
        ("gpt-5.2", ReasoningOptions(budget_tokens=2_000), "low"),
        ("gpt-5.2", ReasoningOptions(budget_tokens=100_000), "xhigh"),
        ("gpt-6-luna", ReasoningOptions("max"), "xhigh"),  # the highest is in the other API alone
        ("openai/gpt-oss-20b", ReasoningOptions("high"), "high"),
        ("o3", ReasoningOptions(), None),
    ],
)
def test_how_long_to_think(model, asked, sent):
    made = encode(model=model, reasoning=asked)
    assert made.body.get("reasoning_effort") == sent
    assert made.dropped == ()


@pytest.mark.parametrize("model", ["gpt-4o", "some-open-model"])
def test_models_that_cannot_be_told_how_long_to_think(model):
    made = encode(model=model, reasoning=ReasoningOptions("high"))
    assert "reasoning_effort" not in made.body
    assert made.dropped == ("reasoning: the model does not support an effort",)


def test_newer_models_do_not_think_as_told_when_they_have_tools_here():
    made = encode(model="gpt-5.4", tools=(WEATHER,), reasoning=ReasoningOptions("high", summary=True))
    assert "reasoning_effort" not in made.body
    assert [told.split(":")[0] for told in made.dropped] == ["reasoning.summary", "reasoning"]
    made = encode(model="gpt-5.4", tools=(WEATHER,), reasoning=ReasoningOptions("none"))
    assert (made.body["reasoning_effort"], made.dropped) == ("none", ())
    assert encode(model="gpt-5.2", tools=(WEATHER,), reasoning=ReasoningOptions("high")).dropped == ()


def test_what_openai_takes_besides():
    made = encode(extra={"openai": {"service_tier": "flex"}, "google": {"x": 1}}, stream=True)
    assert (made.body["service_tier"], made.body["stream"], made.model) == ("flex", True, "gpt-4o")
    assert "x" not in made.body


shown = media | files
anything = st.lists(
    st.builds(Message, st.sampled_from(("system", "user", "assistant", "tool")), st.lists(parts, max_size=3)),
    min_size=1,
    max_size=6,
).map(tuple)


@pytest.mark.slow
@given(conversations(shown, raws) | anything)
@settings(max_examples=examples(100), deadline=None)
def test_any_conversation_is_one_that_chat_completions_take(talk):
    before = copy.deepcopy(talk)
    made = history(*talk)
    json.dumps(made)
    assert talk == before
    waiting = set()
    for message in made:
        if isinstance(message.get("content"), list):
            assert message["content"]
            assert message["role"] == "user"
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting
            assert len(message["tool_call_id"]) <= 40
            assert isinstance(message["content"], str)
            continue
        waiting = set()
        if message["role"] == "assistant":
            assert message["content"] or message["tool_calls"]
            for call in message.get("tool_calls", ()):
                assert isinstance(call["function"]["arguments"], str)
                waiting.add(call["id"])


@pytest.mark.slow
@given(conversations(shown))
@settings(deadline=None)
def test_no_call_stays_without_its_answer(talk):
    made = history(*talk)
    asked = [call["id"] for message in made for call in message.get("tool_calls", ())]
    assert sorted(asked) == sorted(message["tool_call_id"] for message in made if message["role"] == "tool")


@pytest.mark.parametrize(
    ("provider", "model", "effort"),
    [
        ("xai", "grok-4.5", "low"),
        ("xai", "grok-4.3", "none"),
        ("xai", "grok-4", None),
        ("openrouter", "openai/gpt-5.2", "none"),
        ("openai", "openai/gpt-5", "minimal"),
        ("openrouter", "anthropic/claude-sonnet-4.5", "low"),
        ("openrouter", "x-ai/grok-4.5", "low"),
        ("openrouter", "meta-llama/llama-4", None),
        ("groq", "openai/gpt-oss-120b", "low"),
    ],
)
def test_an_effort_reaches_models_that_have_one_also_behind_gateways(provider, model, effort):
    request = Request((USER,), reasoning=ReasoningOptions(effort="none"), max_tokens=5)
    encoded = chat.encode(request, model, models.lookup(provider, model), stream=False)
    assert encoded.body.get("reasoning_effort") == effort
    assert encoded.body["max_tokens"] == 5  # which gateways know
    assert bool(encoded.dropped) == (effort is None)


def test_a_gateways_name_has_the_limits_of_the_model():
    row = models.lookup("openrouter", "anthropic/claude-opus-4.7")
    own = models.lookup("anthropic", "claude-opus-4-7")
    assert (row.window, row.sampling, row.provider) == (own.window, own.sampling, "openrouter")
    assert models.lookup("openrouter", "anthropic/unknown") == models.lookup("openrouter", "unknown")
