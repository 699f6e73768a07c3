"""Vendors that refuse what theirs documentation says they refuse, on loopback. Support for tests, no test.

An answer is an instance of the schema that was sent, or a call of the first tool that was sent, or a few words.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import jsonschema

from multiroute_core import Route
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.providers.schema_rules import function_faults, gemini_faults, strict_faults

WIRES = ("anthropic", "openai.chat", "openai.responses", "google")
MODELS = {
    "anthropic": "anthropic:claude-sonnet-4-6",
    "openai.chat": "openai:gpt-4o",
    "openai.responses": "openai:gpt-6.1-sol",
    "google": "google:gemini-3.8-flash",
}
PATTERNS = {
    "anthropic": r"[a-zA-Z0-9_-]{1,128}",
    "openai.chat": r"[a-zA-Z0-9_-]{1,64}",
    "openai.responses": r"[a-zA-Z0-9_-]{1,64}",
    "google": r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}",
}
IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
OFFICE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TAKES = {
    "anthropic": IMAGES | {"application/pdf"},
    "openai.chat": IMAGES | {"application/pdf"},
    "openai.responses": IMAGES | {"application/pdf", OFFICE},
    "google": {
        *("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "application/pdf"),
        *("text/plain", "text/html", "text/csv", "text/markdown"),
        *("audio/wav", "audio/mp3", "audio/aiff", "audio/aac", "audio/ogg", "audio/flac", "video/mp4"),
    },
}


class StrictVendor:
    """One vendor's wire, strictly.

    Attributes:
        bodies: What was asked, decoded.
        refused: Why, for each request that was refused.
    """

    def __init__(self, wire: str) -> None:
        self.wire = wire
        self.bodies: list[dict[str, Any]] = []
        self.refused: list[list[str]] = []
        self._server = ReplayServer(self._reply)

    def __enter__(self):
        self._server.__enter__()
        return self

    def __exit__(self, *caught):
        return self._server.__exit__(*caught)

    def route(self, **options: Any) -> Route:
        base = self._server.url + ("/v1" if self.wire.startswith("openai") else "")
        api = {"api": self.wire.removeprefix("openai.")} if self.wire.startswith("openai") else {}
        options = {"base_url": base, "api_key": "k", "name": self.wire, **api, **options}
        return Route(options.pop("model", MODELS[self.wire]), **options)

    def _reply(self, received: Received) -> Reply:
        body = json.loads(received.body)
        self.bodies.append(body)
        faults = [*self._faults(body)]
        if faults:
            self.refused.append(faults)
            error = {"type": "invalid_request_error", "message": f"Invalid: {faults}", "code": 400}
            return Reply(400, {"content-type": "application/json"}, json.dumps({"error": error}).encode())
        text, call = self._say(body)
        if body.get("stream") or ":stream" in received.path:
            events = WRITERS[self.wire](text, call, True)
            return Reply(200, {"content-type": "text/event-stream"}, [event.encode() for event in events], stream=True)
        whole = WRITERS[self.wire](text, call, False)
        return Reply(200, {"content-type": "application/json"}, json.dumps(whole).encode())

    # -- what was asked

    def tools(self, body):
        """The functions of a request: name, schema, whether strict."""
        for tool in body.get("tools") or ():
            match self.wire:
                case "google":
                    for one in tool.get("functionDeclarations", ()):
                        yield one["name"], one.get("parametersJsonSchema", {}), False
                case "openai.chat":
                    one = tool["function"]
                    yield one["name"], one["parameters"], one.get("strict") is True
                case "openai.responses":
                    yield tool["name"], tool["parameters"], tool["strict"]
                case _:
                    yield tool["name"], tool["input_schema"], tool.get("strict") is True

    def form(self, body):
        """The schema of the answer, whether strict, and its name."""
        match self.wire:
            case "google":
                return (body.get("generationConfig") or {}).get("responseJsonSchema"), False, "x"
            case "openai.chat":
                told = (body.get("response_format") or {}).get("json_schema") or {}
            case "openai.responses":
                told = (body.get("text") or {}).get("format") or {}
            case _:
                told = (body.get("output_config") or {}).get("format") or {}
                return told.get("schema"), True, "x"
        return told.get("schema"), told.get("strict") is True, told.get("name", "x")

    def _faults(self, body):
        vendor = self.wire.partition(".")[0]
        for name, schema, strict in self.tools(body):
            if not re.fullmatch(PATTERNS[self.wire], name):
                yield f"the name {name!r}"
            if vendor == "google":
                yield from (fault for fault in gemini_faults(schema))
            else:
                yield from function_faults(schema)
            if strict:
                yield from strict_faults(schema, vendor)
            jsonschema.Draft202012Validator.check_schema(schema)
        schema, strict, name = self.form(body)
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
            yield f"the form's name {name!r}"
        if schema is not None:
            yield from gemini_faults(schema) if vendor == "google" else strict_faults(schema, vendor) if strict else ()
            if vendor == "openai" and (schema.get("type") != "object" or "anyOf" in schema):
                yield "the form's root"
        for name in names_in(body):
            if not re.fullmatch(PATTERNS[self.wire], name):
                yield f"the name {name!r} in the history"
        for kind in media_in(body):
            if kind not in TAKES[self.wire] and not (kind in ("wav", "mp3") and self.wire == "openai.chat"):
                yield f"the medium {kind}"

    def _say(self, body):
        schema, _, _ = self.form(body)
        if schema is not None:
            return json.dumps(made(schema)), None
        for name, parameters, _ in self.tools(body):
            return "", (name, json.dumps(made(parameters)))
        return "A few words.", None


def made(schema):
    """An instance of a schema: the first that is valid."""
    validator = jsonschema.Draft202012Validator(schema)
    return next(value for value in candidates(schema, schema, 0) if validator.is_valid(value))


def candidates(schema, root, depth):
    """Values that may be instances."""
    if not isinstance(schema, dict) or depth > 12:
        yield "x"
        return
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        yield from candidates(target, root, depth + 1)
        return
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            rest = {name: value for name, value in schema.items() if name != word}
            for branch in reversed(schema[word]) if depth > 6 else schema[word]:
                if "$ref" in branch:
                    branch = root["$defs"][branch["$ref"].removeprefix("#/$defs/")]
                both = {**rest.get("properties", {}), **branch.get("properties", {})}
                needed = [*rest.get("required", ()), *branch.get("required", ())]
                merged = {
                    **rest,
                    **branch,
                    **({"properties": both} if both else {}),
                    **({"required": needed} if needed else {}),
                }
                yield from candidates(merged, root, depth + 1)
            return
    if "const" in schema or "enum" in schema:
        yield from [schema["const"]] if "const" in schema else schema["enum"]
        return
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind if isinstance(kind, str) else kind[0]:
        case "object":
            properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
            required = {name: one for name, one in properties.items() if name in schema.get("required", ())}
            for names in (properties if depth < 3 else required, required):
                inner = {name: next(candidates(one, root, depth + 1)) for name, one in names.items()}
                yield {**inner, "more": next(candidates(extra, root, depth + 1))} if isinstance(extra, dict) else inner
        case "array" if "prefixItems" in schema:
            yield [next(candidates(one, root, depth + 1)) for one in schema["prefixItems"]]
        case "array":
            yield [] if depth > 5 else [next(candidates(schema.get("items"), root, depth + 1))]
        case "integer" | "number":
            yield from (1, 0)
        case "boolean":
            yield True
        case "null":
            yield None
        case _:
            yield "words"


def names_in(node: Any):
    """The names of tools in a history."""
    if isinstance(node, list):
        for inner in node:
            yield from names_in(inner)
    elif isinstance(node, dict):
        for word in ("functionCall", "functionResponse", "function"):
            if isinstance(node.get(word), dict) and "name" in node[word]:
                yield node[word]["name"]
        if node.get("type") in ("tool_use", "function_call") or (
            node.get("type") in ("tool", "function") and "name" in node
        ):
            yield node["name"]
        yield from node.get("allowedFunctionNames", ())
        for word, inner in node.items():
            if word not in ("parameters", "input_schema", "parametersJsonSchema", "schema", "responseJsonSchema"):
                yield from names_in(inner)


def media_in(node: Any):
    """The media types of what is shown by its bytes."""
    if isinstance(node, list):
        for inner in node:
            yield from media_in(inner)
    elif isinstance(node, dict):
        if node.get("type") == "base64":
            yield node["media_type"]
        if "inlineData" in node:
            yield node["inlineData"]["mimeType"]
        if "input_audio" in node:
            base64.b64decode(node["input_audio"]["data"])
            yield node["input_audio"]["format"]
        for inner in node.values():
            if isinstance(inner, str) and inner.startswith("data:"):
                yield inner[5:].partition(";")[0]
            else:
                yield from media_in(inner)


def _cut(text):
    return [text[start : start + 7] for start in range(0, len(text), 7)]


def _data(body, name=None):
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(body)}\n\n"


def _chat(text, call, stream):
    tool = call and {"id": "call_1", "type": "function", "function": {"name": call[0], "arguments": call[1]}}
    if not stream:
        message = {"role": "assistant", "content": text or None, **({"tool_calls": [tool]} if tool else {})}
        return {
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if tool else "stop"}],
        }

    def event(delta, finish=None):
        return _data({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    events = [event({"content": piece}) for piece in _cut(text)]
    if call:
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": call[0], "arguments": ""}}
        events.append(event({"tool_calls": [first]}))
        events += [event({"tool_calls": [{"index": 0, "function": {"arguments": p}}]}) for p in _cut(call[1])]
    return [*events, event({}, "tool_calls" if call else "stop"), "data: [DONE]\n\n"]


def _responses(text, call, stream):
    item = (
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": call[0], "arguments": call[1]}
        if call
        else {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    )
    whole = {"id": "r", "status": "completed", "model": "m", "output": [item]}
    if not stream:
        return whole
    start = {**item, "arguments": ""} if call else {**item, "content": []}
    kind = "response.function_call_arguments.delta" if call else "response.output_text.delta"
    events = [_data({"type": "response.output_item.added", "output_index": 0, "item": start})]
    events += [_data({"type": kind, "output_index": 0, "delta": piece}) for piece in _cut(call[1] if call else text)]
    events.append(_data({"type": "response.output_item.done", "output_index": 0, "item": item}))
    return [*events, _data({"type": "response.completed", "response": whole})]


def _anthropic(text, call, stream):
    usage = {"input_tokens": 1, "output_tokens": 1}
    block = (
        {"type": "tool_use", "id": "toolu_1", "name": call[0], "input": json.loads(call[1])}
        if call
        else {"type": "text", "text": text}
    )
    why = "tool_use" if call else "end_turn"
    head = {"type": "message", "id": "m", "role": "assistant", "model": "m", "usage": usage}
    if not stream:
        return {**head, "content": [block], "stop_reason": why}
    start = {**block, "input": {}} if call else {"type": "text", "text": ""}
    delta = {"type": "input_json_delta", "partial_json": ""} if call else {"type": "text_delta", "text": ""}
    word = "partial_json" if call else "text"
    events = [{"type": "message_start", "message": {**head, "content": []}}]
    events.append({"type": "content_block_start", "index": 0, "content_block": start})
    for piece in _cut(call[1] if call else text):
        events.append({"type": "content_block_delta", "index": 0, "delta": {**delta, word: piece}})
    events.append({"type": "content_block_stop", "index": 0})
    events.append({"type": "message_delta", "delta": {"stop_reason": why}, "usage": usage})
    return [_data(event, event["type"]) for event in [*events, {"type": "message_stop"}]]


def _google(text, call, stream):
    parts = (
        [{"functionCall": {"name": call[0], "args": json.loads(call[1])}}]
        if call
        else [{"text": p} for p in _cut(text)]
    )

    def event(parts, **more):
        return {"candidates": [{"content": {"role": "model", "parts": parts}, **more}]}

    if not stream:
        return event([{"text": text}] if not call else parts, finishReason="STOP")
    return [*(_data(event([part])) for part in parts), _data(event([{"text": ""}], finishReason="STOP"))]


WRITERS = {"openai.chat": _chat, "openai.responses": _responses, "anthropic": _anthropic, "google": _google}
