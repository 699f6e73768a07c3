"""What a request becomes on Gemini's wire."""

import json

import pytest

from multiroute_core.messages import (
    Message,
    Text,
)
from multiroute_core.providers import models
from multiroute_core.providers.google import encode as wire
from multiroute_core.tools import OutputSchema, ReasoningOptions, ServerTool, Tool, ToolChoice
from multiroute_core.types import Request

NEWER, OLDER, PRO = "gemini-3.8-flash", "gemini-2.5-flash", "gemini-2.5-pro"


def encode(*messages, model=NEWER, traits=None, stream=False, **parameters):
    traits = traits or models.lookup("google", model)
    return wire.encode(Request(messages, **parameters), model, traits, stream=stream)


def test_a_conversation():
    made = encode(
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Yes?"),
        Message("user", [Text("one"), Text(""), Text("two")]),
        Message("system", "Be kind."),
    )
    assert made.body == {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Yes?"}]},
            {"role": "user", "parts": [{"text": "one"}, {"text": "two"}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief.\n\nBe kind."}]},
    }
    assert (made.dropped, made.headers) == ((), {})


def test_empty_turns_are_left_out():
    made = encode(Message("user", "Hi"), Message("assistant", ""), Message("user", "Still there?"))
    assert [turn["parts"] for turn in made.body["contents"]] == [[{"text": "Hi"}, {"text": "Still there?"}]]


@pytest.mark.parametrize("count", [1, 2])
def test_system_messages_alone_are_the_users_turn(count):
    made = encode(*[Message("system", "Say hello.")] * count)
    said = "\n\n".join(["Say hello."] * count)
    assert made.body == {"contents": [{"role": "user", "parts": [{"text": said}]}]}


def test_every_parameter():
    made = encode(Message("user", "Hi"), temperature=0, max_tokens=5, top_p=0.5, stop=("a", "b"), seed=0)
    assert made.body["generationConfig"] == {
        "temperature": 0, "topP": 0.5, "maxOutputTokens": 5, "stopSequences": ["a", "b"], "seed": 0
    }  # fmt: skip


def test_what_a_model_does_not_take_is_dropped():
    traits = models.Model("google", "*", sampling="none", stop=False)
    made = encode(Message("user", "Hi"), temperature=1, top_p=0.5, stop=("a",), traits=traits)
    assert "generationConfig" not in made.body
    assert [reason.partition(":")[0] for reason in made.dropped] == ["temperature", "top_p", "stop"]


@pytest.mark.parametrize(
    ("model", "name"),
    [("gemini-x", "models/gemini-x"), ("models/gemini-x", "models/gemini-x"), ("tunedModels/mine", "tunedModels/mine")],
)
def test_the_path(model, name):
    assert encode(Message("user", "Hi"), model=model).path == f"{name}:generateContent"
    assert encode(Message("user", "Hi"), model=model, stream=True).path == f"{name}:streamGenerateContent?alt=sse"


HELLO = Message("user", "Hello")
WEATHER = Tool("weather", "How it is outside.", {"type": "object", "properties": {"city": {"type": "string"}}})
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def test_tools():
    search = ServerTool("google", {"googleSearch": {}})
    extras = {"google": {"behavior": "NON_BLOCKING"}, "anthropic": {"cache_control": {}}}
    made = encode(HELLO, tools=(WEATHER, search, Tool("now", extras=extras), ServerTool("anthropic", {"type": "x"})))
    empty = {"type": "object", "properties": {}}
    assert made.body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "weather", "description": "How it is outside.", "parametersJsonSchema": WEATHER.parameters},
                {"name": "now", "parametersJsonSchema": empty, "behavior": "NON_BLOCKING"},
            ]
        },
        {"googleSearch": {}},
    ]
    assert "toolConfig" not in made.body


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("tool", "weather"), {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
    ],
)
def test_tool_choice(choice, config):
    assert encode(HELLO, tools=(WEATHER,), tool_choice=choice).body["toolConfig"] == {"functionCallingConfig": config}
    assert "toolConfig" not in encode(HELLO, tool_choice=choice).body


@pytest.mark.parametrize(("parallel", "dropped"), [(None, 0), (True, 0), (False, 1)])
def test_several_calls_at_once_cannot_be_forbidden(parallel, dropped):
    made = encode(HELLO, tools=(WEATHER,), parallel_tool_calls=parallel)
    assert [reason.partition(":")[0] for reason in made.dropped] == ["parallel_tool_calls"] * dropped


def test_strict_tools_are_not_known():
    made = encode(HELLO, tools=(Tool("f", strict=True), Tool("g", strict=False)))
    assert [reason.partition(":")[0] for reason in made.dropped] == ["strict"]


@pytest.mark.parametrize("tools", [(), (WEATHER,)])
def test_a_schema_for_the_answer(tools):
    made = encode(HELLO, tools=tools, output_schema=OutputSchema(SCHEMA))
    assert made.body["generationConfig"] == {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    assert (made.dropped, "systemInstruction" in made.body) == ((), False)


def test_any_json_for_the_answer():
    made = encode(HELLO, output_schema=OutputSchema(None))
    assert made.body["generationConfig"] == {"responseMimeType": "application/json"}


@pytest.mark.parametrize("schema", [SCHEMA, None])
@pytest.mark.parametrize("system", [(), (Message("system", "Be brief."),)])
def test_an_older_gemini_with_tools_is_asked_in_words(schema, system):
    made = encode(*system, HELLO, model=OLDER, tools=(WEATHER,), output_schema=OutputSchema(schema))
    assert "generationConfig" not in made.body
    [told] = made.body["systemInstruction"]["parts"]
    assert told["text"].startswith("Be brief.\n\nAnswer with " if system else "Answer with ")
    assert schema is None or json.loads(told["text"].partition("schema:\n")[2]) == SCHEMA
    assert [reason.partition(":")[0] for reason in made.dropped] == ["output_schema"]
    alone = encode(HELLO, model=OLDER, output_schema=OutputSchema(SCHEMA))
    assert "responseJsonSchema" in alone.body["generationConfig"]


@pytest.mark.parametrize(
    ("model", "asked", "config", "dropped"),
    [
        (NEWER, ReasoningOptions("low"), {"thinkingLevel": "LOW"}, 0),
        (NEWER, ReasoningOptions("minimal"), {"thinkingLevel": "LOW"}, 0),
        (NEWER, ReasoningOptions("max"), {"thinkingLevel": "HIGH"}, 0),
        (NEWER, ReasoningOptions("none"), {"thinkingLevel": "LOW"}, 1),
        (NEWER, ReasoningOptions(budget_tokens=10_000), {"thinkingLevel": "MEDIUM"}, 0),
        (NEWER, ReasoningOptions(budget_tokens=100_000), {"thinkingLevel": "HIGH"}, 0),
        (NEWER, ReasoningOptions("high", summary=True), {"thinkingLevel": "HIGH", "includeThoughts": True}, 0),
        (NEWER, ReasoningOptions(summary=True), {"includeThoughts": True}, 0),
        ("gemini-3-flash-preview", ReasoningOptions("minimal"), {"thinkingLevel": "MINIMAL"}, 0),
        ("gemini-3-pro-preview", ReasoningOptions("medium"), {"thinkingLevel": "LOW"}, 0),
        (OLDER, ReasoningOptions("none"), {"thinkingBudget": 0}, 0),
        (OLDER, ReasoningOptions("low"), {"thinkingBudget": 1024}, 0),
        (OLDER, ReasoningOptions("max"), {"thinkingBudget": 24_576}, 0),
        (OLDER, ReasoningOptions(budget_tokens=300, summary=True), {"thinkingBudget": 300, "includeThoughts": True}, 0),
        (PRO, ReasoningOptions("none"), {"thinkingBudget": 128}, 1),
        (PRO, ReasoningOptions("max"), {"thinkingBudget": 32_768}, 0),
        ("gemini-2.0-flash", ReasoningOptions("high"), None, 1),
        ("gemini-2.0-flash", ReasoningOptions("none"), None, 0),
    ],
)
def test_reasoning(model, asked, config, dropped):
    made = encode(HELLO, model=model, reasoning=asked)
    assert made.body.get("generationConfig", {}).get("thinkingConfig") == config
    assert [reason.partition(":")[0] for reason in made.dropped] == ["reasoning"] * dropped


def test_what_else_google_takes_lies_over_the_body():
    extra = {"google": {"generationConfig": {"topK": 3}, "safetySettings": [{}]}, "openai": {"user": "me"}}
    made = encode(HELLO, temperature=0.5, extra=extra)
    assert made.body["generationConfig"] == {"temperature": 0.5, "topK": 3}
    assert made.body["safetySettings"] == [{}]
    assert "user" not in made.body
    assert made.model == NEWER
