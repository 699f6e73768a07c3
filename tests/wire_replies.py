"""Answers of the four wires, whole or streamed, from a server on loopback, for tests of what the frameworks see."""

import itertools
import json
from contextlib import contextmanager
from typing import Any

from multiroute_core import Route
from multiroute_core.testing.server import ReplayServer, Reply, Serving

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
MODELS = {
    "anthropic": "anthropic:claude-sonnet-4-5",
    "openai.chat": "openai:gpt-4.1",
    "openai.responses": "openai:gpt-6.1-sol",
    "google": "google:gemini-3.8-flash",
}
NUMBERS = itertools.count(1)
"""LangGraph takes two messages of one id for the same, and ChatOpenAI's have the id of the response."""

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def whole(body):
    """A plain answer."""
    return Reply(200, JSON, json.dumps(body).encode())


def events(*bodies, done=False):
    """A stream of events; those with a type are named by it."""
    pieces = [
        (f"event: {body['type']}\n" if "type" in body else "").encode()
        + b"data: "
        + json.dumps(body).encode()
        + b"\n\n"
        for body in bodies
    ]
    return Reply(200, SSE, [*pieces, b"data: [DONE]\n\n"] if done else pieces, stream=True)


def wire_of(path):
    """Whose address it is."""
    known = {"/messages": "anthropic", "/chat/completions": "openai.chat", "/responses": "openai.responses"}
    return next((wire for end, wire in known.items() if end in path), "google")


class BodiesServer(ReplayServer):
    """A server that keeps the requests' bodies, read."""

    def __init__(self, reply: Serving) -> None:
        super().__init__(reply)
        self.bodies: list[Any] = []


@contextmanager
def served(*replies):
    """A server that gives the replies one after the other, the last one for ever; its requests' bodies are `bodies`.

    A reply may be a pair: what it gives to plain requests, and to those for a stream.
    """

    def answer(received):
        body = json.loads(received.body)
        server.bodies.append(body)
        reply = replies[min(len(server.bodies), len(replies)) - 1]
        streams = bool(body.get("stream")) or "streamGenerate" in received.path
        return reply[streams] if isinstance(reply, tuple) else reply

    with BodiesServer(answer) as server:
        yield server


def route(server, wire, **details):
    """A route to a server by one of the wires."""
    if wire.startswith("openai."):
        details["api"] = wire.removeprefix("openai.")
    base_url = f"{server.url}/v1" if wire.startswith("openai.") else server.url
    return Route(MODELS[wire], name=wire, base_url=base_url, api_key="k", **details)


# Chat Completions.


def chat_chunk(delta=None, finish=None, **more):
    """A chunk of a stream."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


def chat(message, finish="stop"):
    """A whole answer."""
    choices = [{"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}]
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": USAGE}


def chat_pair(message, finish="stop"):
    """The same answer, whole and streamed."""
    calls = [{"index": place, **call} for place, call in enumerate(message.get("tool_calls", ()))]
    delta = {"role": "assistant", **message, **({"tool_calls": calls} if calls else {})}
    return whole(chat(message, finish)), events(chat_chunk(delta), chat_chunk({}, finish), done=True)


# Responses.


def response(*output, status="completed", **more):
    """A whole response."""
    usage = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
    about = {
        "id": f"resp_{next(NUMBERS)}",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": status,
        "usage": usage,
    }
    return {**about, "output": list(output), **more}


def response_pair(*output, status="completed", **more):
    """The same response, whole and streamed."""
    body = response(*output, status=status, **more)
    told = []
    for place, item in enumerate(output):
        about = {"output_index": place, "item_id": item.get("id")}
        told.append({"type": "response.output_item.added", "output_index": place, "item": begun(item)})
        match item["type"]:
            case "message":
                for part in item["content"]:
                    name, text = ("refusal", part["refusal"]) if "refusal" in part else ("output_text", part["text"])
                    half = len(text) // 2
                    told += [
                        {"type": f"response.{name}.delta", **about, "delta": d} for d in (text[:half], text[half:])
                    ]
                    told.append({"type": f"response.{name}.done", **about, name.removeprefix("output_"): text})
            case "function_call":
                told.append({"type": "response.function_call_arguments.delta", **about, "delta": item["arguments"]})
            case "custom_tool_call":
                text = item["input"]
                half = len(text) // 2
                name = "response.custom_tool_call_input"
                told += [{"type": f"{name}.delta", **about, "delta": piece} for piece in (text[:half], text[half:])]
                told.append({"type": f"{name}.done", **about, "input": text})
        told.append({"type": "response.output_item.done", "output_index": place, "item": item})
    end = "response.completed" if status == "completed" else "response.incomplete"
    return whole(body), events({"type": "response.created", "response": body}, *told, {"type": end, "response": body})


def begun(item):
    """An item as it is when it begins: what comes in pieces is empty."""
    return {**item, **{name: type(item[name])() for name in ("content", "arguments", "input") if name in item}}


# Anthropic.


def message(*content, stop_reason: str | None = "end_turn", **more):
    """A whole message."""
    usage = {"input_tokens": 5, "output_tokens": 3}
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    return {**about, "content": list(content), "stop_reason": stop_reason, "usage": usage, **more}


def message_pair(*content, stop_reason="end_turn", **more):
    """The same message, whole and streamed; a call's input may be text, as where it is cut."""
    told = []
    for place, block in enumerate(content):
        kind, name = ("text_delta", "text") if block["type"] == "text" else ("input_json_delta", "partial_json")
        given = block.get("text", block.get("input"))
        text = given if isinstance(given, str) else json.dumps(given) if given else ""
        empty = {**block, **({"text": ""} if name == "text" else {"input": {}})}
        told += [
            {"type": "content_block_start", "index": place, "content_block": empty},
            {"type": "content_block_delta", "index": place, "delta": {"type": kind, name: text}},
            {"type": "content_block_stop", "index": place},
        ]
    end = {"stop_reason": stop_reason, "stop_sequence": None, **more}
    body = message(*content, stop_reason=stop_reason, **more)
    start = {"type": "message_start", "message": {**body, "content": [], "stop_reason": None}}
    return whole(body), events(
        start,
        *told,
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    )


# Google.


def candidate_pair(*parts, finish="STOP", **more):
    """The same answer, whole and streamed in one event."""
    body = {
        "candidates": [
            {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish, "index": 0, **more}
        ],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8},
        "modelVersion": "m",
    }
    return whole(body), events(body)
