"""Tools, pictures, thoughts and forms of answers, through each SDK in each world, before a real server."""

import base64
import json

import pytest

from multiroute_core.messages import Blob, Message, Raw, Reasoning, Text, ToolCall, ToolCallResponse, assemble
from multiroute_core.providers import models
from multiroute_core.providers.google import encode as wire
from multiroute_core.providers.google.contents import UNSIGNED
from multiroute_core.tools import OutputSchema, ReasoningOptions, ServerTool, Tool, ToolChoice
from multiroute_core.types import Request
from tests.providers.google.gemini import ROUTE, drive, limited, plain, stream, streamed, whole

MODEL = "gemini-3.8-flash"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
    "required": ["city"],
    "additionalProperties": False,
}
OLDER_SCHEMA = {
    "type": "OBJECT",
    "properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER", "nullable": True}},
    "required": ["city"],
}
WEATHER = Tool("weather", "How it is outside.", SCHEMA)
SIGNATURE = base64.b64encode(b"\xfb\xff\xbe signed").decode()
OWN = {"functionCall": {"name": "weather", "args": {"city": "Köln", "days": 2}}, "thoughtSignature": SIGNATURE}
PNG = Blob(b"\x89PNG\xff", "image/png")
EVERYTHING = Request(
    (
        Message("system", "Be brief."),
        Message("user", [Text("Look:"), PNG]),
        Message("assistant", [ToolCall("toolu_1", "weather", {"city": "Bonn"})]),
        Message("tool", [ToolCallResponse("toolu_1", [Text("12 °C"), PNG])]),
        Message(
            "assistant",
            [
                Reasoning("Hmm", Raw("google", {"text": "Hmm", "thought": True}, MODEL)),
                ToolCall("call_x", "weather", {"city": "Köln", "days": 2}, Raw("google", OWN, MODEL)),
            ],
        ),
        Message("tool", [ToolCallResponse("call_x", "no such city", error=True)]),
    ),
    temperature=0.5,
    seed=3,
    tools=(WEATHER, Tool("now", "What time it is."), ServerTool("google", {"codeExecution": {}})),
    tool_choice=ToolChoice("tool", "weather"),
    output_schema=OutputSchema(SCHEMA),
    reasoning=ReasoningOptions("high", summary=True),
    extra={"google": {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]}},
)
CALLS = {"functionCall": {"id": "fc_1", "name": "weather", "args": {"city": "Köln", "days": 2, "exact": 1.5}}}
ANSWER = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Let me see."},
                    {**CALLS, "thoughtSignature": SIGNATURE},
                    {"functionCall": {"name": "now"}},
                ],
            },
            "finishReason": "STOP",
        }
    ],
    "responseId": "r1",
}


def _server_saw(server):
    [sent] = server.requests
    return json.loads(sent.body)


def test_what_is_sent_is_what_was_encoded(provider, server, world, sdk):
    if sdk == "legacy":
        pytest.skip("its types are others; the next test is theirs")
    server.serve(plain(ANSWER))
    drive(world, lambda io: whole(provider, io, request=EVERYTHING))
    assert _server_saw(server) == wire.encode(EVERYTHING, MODEL, models.lookup("google", MODEL), stream=False).body


def test_everything_reaches_the_server(provider, server, world, sdk):
    server.serve(plain(ANSWER))
    drive(world, lambda io: whole(provider, io, request=EVERYTHING))
    body = _server_saw(server)
    roles = [turn["role"] for turn in body["contents"]]
    assert roles == ["user", "model", "user", "model", "user"]
    [functions, code] = body["tools"]
    [weather, now] = functions["functionDeclarations"]
    assert (weather["name"], weather["description"]) == ("weather", "How it is outside.")
    assert (now["name"], code) == ("now", {"codeExecution": {}})
    chosen = {"mode": 2 if sdk == "legacy" else "ANY", "allowedFunctionNames": ["weather"]}  # its number
    assert body["toolConfig"]["functionCallingConfig"] == chosen
    assert body["contents"][0]["parts"] == [
        {"text": "Look:"}, {"inlineData": {"mimeType": "image/png", "data": "iVBOR/8="}}
    ]  # fmt: skip
    config = body["generationConfig"]
    bonn, koeln = body["contents"][1]["parts"][0], body["contents"][3]["parts"][-1]
    assert bonn["functionCall"] == {"id": "toolu_1", "name": "weather", "args": {"city": "Bonn"}}
    assert koeln["functionCall"] == OWN["functionCall"]
    [failed] = body["contents"][4]["parts"]
    assert failed["functionResponse"] == {"name": "weather", "response": {"error": "no such city"}}
    assert config["responseMimeType"] == "application/json"
    if sdk == "legacy":
        assert _lower(weather["parameters"]) == _lower(OLDER_SCHEMA)
        assert _lower(config["responseSchema"]) == _lower(OLDER_SCHEMA)
        assert "parameters" not in now
        assert [list(part) for part in body["contents"][2]["parts"]] == [["functionResponse"], ["inlineData"]]
        assert len(body["contents"][3]["parts"]) == 1, "no thought arrives as a text"
        return
    assert weather["parametersJsonSchema"] == config["responseJsonSchema"] == SCHEMA
    assert (bonn["thoughtSignature"], koeln["thoughtSignature"]) == (UNSIGNED, SIGNATURE)
    assert config["thinkingConfig"] == {"thinkingLevel": "HIGH", "includeThoughts": True}
    [answer] = body["contents"][2]["parts"]
    assert answer["functionResponse"]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "iVBOR/8="}}]


def _lower(schema):
    """Enums of Protocol Buffers may be written as words or as numbers."""
    numbers = {1: "STRING", 2: "NUMBER", 3: "INTEGER", 4: "BOOLEAN", 5: "ARRAY", 6: "OBJECT"}
    if not isinstance(schema, dict):
        return schema
    return {name: numbers.get(value, value) if name == "type" else _lower(value) for name, value in schema.items()}


def test_what_the_older_sdk_cannot_say_is_recorded(provider, sdk):
    dropped = [reason.partition(":")[0] for reason in provider.encode(EVERYTHING, ROUTE, stream=False).dropped]
    assert dropped == (["reasoning", "seed"] if sdk == "legacy" else [])
    request = Request((Message("user", "Hi"),), tools=(ServerTool("google", {"urlContext": {}}),))
    encoded = provider.encode(request, ROUTE, stream=False)
    assert ("tools" in encoded.body, len(encoded.dropped)) == ((False, 1) if sdk == "legacy" else (True, 0))


def test_calls_of_tools(provider, server, world, sdk):
    server.serve(plain(ANSWER))
    answer = drive(world, lambda io: whole(provider, io, request=EVERYTHING))
    text, weather, now = answer.parts
    assert (text, answer.finish_reason) == (Text("Let me see."), "tool_call")
    assert weather == ToolCall("fc_1", "weather", {"city": "Köln", "days": 2, "exact": 1.5}, weather.raw)
    assert type(weather.arguments["days"]) is int
    assert (now.name, now.arguments) == ("now", {})
    assert now.id.startswith("call_")
    assert weather.raw.model == MODEL
    assert ("thoughtSignature" in weather.raw.body) == (sdk != "legacy")
    if sdk == "genai":
        assert weather.raw.body["thoughtSignature"] == SIGNATURE


def test_a_stream_says_what_the_whole_answer_says(provider, server, world, sdk):
    [candidate] = ANSWER["candidates"]
    pieces = [
        {"candidates": [{"content": {"role": "model", "parts": [part]}}], "responseId": "r1"}
        for part in candidate["content"]["parts"]
    ]
    end = {"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP"}]}
    server.serve(stream(sdk, [*pieces, end]))
    deltas, decoder = drive(world, lambda io: streamed(provider, io))
    found = assemble(part for delta in deltas for part in delta.parts)
    assert (decoder.complete, deltas[-1].finish_reason, deltas[-1].parts) == (True, "tool_call", ())
    server.serve(plain(ANSWER))
    expected = drive(world, lambda io: whole(provider, io)).parts
    assert found == expected
    assert [getattr(part, "raw", None) for part in found] == [getattr(part, "raw", None) for part in expected]


def test_an_answer_goes_back_as_it_came(provider, server, world, sdk):
    server.serve(plain(ANSWER))
    answer = drive(world, lambda io: whole(provider, io))
    server.requests.clear()
    results = [ToolCallResponse(call.id, "done") for call in answer.parts if isinstance(call, ToolCall)]
    talk = (Message("user", "Hi"), Message("assistant", answer.parts), Message("tool", results))
    drive(world, lambda io: whole(provider, io, limited(), Request(talk)))
    _, model, user = _server_saw(server)["contents"]
    assert [part["functionResponse"].get("id") for part in user["parts"]] == ["fc_1", None]
    said = ANSWER["candidates"][0]["content"]["parts"]
    if sdk == "genai":
        assert model["parts"] == said
    calls = [part["functionCall"] for part in model["parts"][1:]]
    assert [call["name"] for call in calls] == ["weather", "now"]
    assert calls[0] == CALLS["functionCall"]
