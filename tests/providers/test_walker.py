"""The walker takes good bodies, and refuses every kind of bad one that plain validation lets through."""

import copy

import pytest
from pydantic import TypeAdapter

from tests.providers.walker import WALKS, Misfit

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PNG = "iVBORw0KGgo="

ANTHROPIC = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "tools": [{"name": "get_weather", "description": "It.", "input_schema": SCHEMA}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "stop_sequences": ["a"],
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm", "signature": "s"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "rain"}],
                    "is_error": False,
                },
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            ],
        },
    ],
}
CHAT = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "https://a/b.png"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ],
    "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    "stream": True,
    "stream_options": {"include_usage": True},
}
RESPONSES = {
    "model": "gpt-6.1-sol",
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"effort": "low", "summary": "auto"},
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": "https://a/b.png", "detail": "auto"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
    ],
    "tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}],
    "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": False}},
}
GOOGLE = {
    "systemInstruction": {"parts": [{"text": "Be kind."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]},
        {
            "role": "model",
            "parts": [{"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}, "thoughtSignature": "c2ln"}],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "get_weather", "response": {"result": "rain"}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}},
    "generationConfig": {
        "maxOutputTokens": 9,
        "thinkingConfig": {"thinkingLevel": "LOW"},
        "responseMimeType": "application/json",
    },
}
GOOD = {"anthropic": ANTHROPIC, "chat": CHAT, "responses": RESPONSES, "google": GOOGLE}

BAD = [
    ("anthropic", "an unknown parameter", ("seed",), 1),
    ("anthropic", "an unknown key of a block", ("messages", 1, "content", 1, "id"), "b"),
    ("anthropic", "another vendor's block", ("messages", 1, "content", 1), {"type": "output_text", "text": "a"}),
    ("anthropic", "a role that is none", ("messages", 0, "role"), "tool"),
    ("anthropic", "an object where a text should be", ("messages", 1, "content", 1, "text"), {"value": "a"}),
    ("anthropic", "arguments as text", ("messages", 1, "content", 2, "input"), "{}"),
    ("anthropic", "thinking without its signature", ("messages", 1, "content", 0, "signature"), ...),
    (
        "anthropic",
        "a media type that it does not know",
        ("messages", 2, "content", 1, "source", "media_type"),
        "image/tiff",
    ),
    ("anthropic", "a truth where a number should be", ("max_tokens",), True),
    ("anthropic", "a number as text", ("max_tokens",), "9"),
    ("anthropic", "a tool in OpenAI's words", ("tools", 0), CHAT["tools"][0]),
    ("anthropic", "one value where a list should be", ("stop_sequences",), "a"),
    ("anthropic", "a cache mark for two hours", ("system", 0, "cache_control", "ttl"), "2h"),
    ("anthropic", "a choice that is none", ("tool_choice", "type"), "required"),
    ("chat", "a missing key", ("messages",), ...),
    ("chat", "a missing key far inside", ("messages", 2, "tool_calls", 0, "function", "arguments"), ...),
    ("chat", "arguments as an object", ("messages", 2, "tool_calls", 0, "function", "arguments"), {}),
    ("chat", "a picture in Anthropic's words", ("messages", 1, "content", 1), ANTHROPIC["messages"][2]["content"][1]),
    (
        "chat",
        "a picture in a tool's answer",
        ("messages", 3, "content"),
        [{"type": "image_url", "image_url": {"url": "a"}}],
    ),
    ("chat", "a call with a signature", ("messages", 2, "tool_calls", 0, "thought_signature"), "s"),
    ("chat", "a choice that is none", ("tool_choice",), "any"),
    ("chat", "reasoning in a message", ("messages", 2, "reasoning_content"), "Hm"),
    ("responses", "chat's words for a text", ("input", 0, "content", 0, "type"), "text"),
    ("responses", "an item without its type", ("input", 2, "type"), ...),
    ("responses", "an unknown include", ("include", 0), "everything"),
    ("responses", "reasoning without its id", ("input", 1, "id"), ...),
    ("responses", "an effort that is none", ("reasoning", "effort"), "huge"),
    ("responses", "a tool in chat's words", ("tools", 0), CHAT["tools"][0]),
    ("google", "a name with a low line", ("generationConfig", "max_output_tokens"), 9),
    ("google", "an unknown key of a part", ("contents", 1, "parts", 0, "functionCall", "arguments"), {}),
    ("google", "bytes that are no base64", ("contents", 0, "parts", 1, "inlineData", "data"), "§"),
    ("google", "a mode that is none", ("toolConfig", "functionCallingConfig", "mode"), "REQUIRED"),
    ("google", "an answer that is a text", ("contents", 2, "parts", 0, "functionResponse", "response"), "rain"),
    ("google", "messages in OpenAI's words", ("contents",), CHAT["messages"]),
]


def changed(body, path, value):
    """A copy of `body` with another value at a place, or without it."""
    made = copy.deepcopy(body)
    inside = made
    for step in path[:-1]:
        inside = inside[step]
    if value is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return made


@pytest.mark.parametrize("wire", GOOD)
def test_takes_a_good_body(wire):
    WALKS[wire](GOOD[wire])


@pytest.mark.parametrize(("wire", "what", "path", "value"), BAD, ids=[f"{bad[0]}: {bad[1]}" for bad in BAD])
def test_refuses(wire, what, path, value):
    with pytest.raises(Misfit):
        WALKS[wire](changed(GOOD[wire], path, value))


def test_says_where():
    bad = changed(ANTHROPIC, ("messages", 1, "content", 1, "id"), "b")
    with pytest.raises(Misfit, match=r"body\.messages\[1\]\.content\[1\]: the key 'id' is unknown"):
        WALKS["anthropic"](bad)


def test_reads_what_plain_validation_leaves_unread():
    """Why the walker exists: pydantic takes most of what it refuses."""
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

    plain = TypeAdapter(CompletionCreateParamsStreaming)
    taken = 0
    for _, _, path, value in (bad for bad in BAD if bad[0] == "chat"):
        try:
            plain.validate_python(changed(CHAT, path, value))
            taken += 1
        except ValueError:
            pass
    assert taken >= 4
