"""Any answer goes on: every shape that the SDKs' types allow, and every recorded answer, in the next turn's history.

Through Router, LangChain and LlamaIndex, each is encoded for all four wires. Whatever the shape, nothing is raised, and the
account that gave it gets its own blocks back as they were.
"""

from __future__ import annotations

import collections
import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from multiroute_core import Response
from multiroute_core.providers.provider import WireError
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests import shape_faces
from tests.providers.reading import needs_recordings, recordings
from tests.shape_faces import FACES, ROUTES
from tests.shapes import SOURCES, Shape

pytestmark = pytest.mark.slow

WIRES = tuple(ROUTES)
LEAST = {"anthropic": 600, "responses": 800, "chat": 40, "google": 1000}
"""Fewer shapes than these would mean that the generator has lost some; the SDKs' next versions add theirs."""


@functools.cache
def shapes(wire: str) -> tuple[tuple[Shape, Response], ...]:
    """The shapes of a wire and what its decoder makes of them."""
    known = [shape for source in SOURCES if source.__name__ == f"of_{wire}" for shape in source()]
    return tuple((shape, shape_faces.answered(wire, shape.body)) for shape in known)


def histories(response: Response, chunks: Any = ()) -> Iterator[tuple[str, list[Any]]]:
    """The next turn through each face; one that is the same as another's is told once."""
    told: list[Any] = []
    for face, through in FACES.items():
        messages = through(response, chunks)
        if messages not in told:
            told.append(messages)
            yield face, messages


def plain(value: Any) -> Any:
    """JSON without what says nothing: nulls, and what is empty in an object."""
    if isinstance(value, dict):
        return {name: inner for name, one in value.items() if (inner := plain(one)) not in (None, {}, [], "", False)}
    return [plain(one) for one in value] if isinstance(value, list) else value


def kept(wire: str, blocks: list[Any]) -> list[Any]:
    """What must go back of an answer, where a vendor's next request has a place for it. The exceptions:

    - chat: `annotations`, the bytes of `audio` (told as its transcript) and a `refusal` beside content have no field in
      a request; the older `function_call` goes back as `tool_calls`, where none is beside it.
    - responses: a message's id names nothing where nothing is stored (`store=False`), nor can reasoning go back without
      `encrypted_content`, nor an empty message.
    - google: a thought or a call that says nothing is left out, and neighbouring texts are one; a call that bears no
      signature gets Google's word for that.
    """
    match wire:
        case "chat":
            return [_chat_message(message) for message in plain(blocks)]
        case "responses":
            items = [item for item in plain(blocks) if item["type"] != "reasoning" or item.get("encrypted_content")]
            items = [item for item in items if item["type"] != "message" or item.get("content")]
            return [_message(item) for item in items]
        case "google":
            return _joined(one for part in plain(blocks) if (one := _part(part)))
        case _:
            return plain(blocks)


def _chat_message(message: dict[str, Any]) -> dict[str, Any]:
    spoken = message.get("audio", {}).get("transcript") or ""
    content = (message.get("content") or message.get("refusal") or "") + spoken
    calls = [*message.get("tool_calls", ())]
    if (called := message.get("function_call")) and not calls:
        calls.append({"type": "function", "function": called})
    calls = [_call(call) for call in calls]
    beside = ("annotations", "audio", "refusal", "function_call", "role", "content", "tool_calls")
    return plain({**{n: v for n, v in message.items() if n not in beside}, "content": content, "tool_calls": calls})


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """A call without a random id, its arguments as a text."""
    function = call.get("function")
    if function and isinstance(function["arguments"], dict):
        function = {**function, "arguments": json.dumps(function["arguments"])}
    known_id = {"id": call["id"]} if not call.get("id", "call_").startswith("call_") else {}
    named = {"function": function} if function else {}
    return {n: v for n, v in call.items() if n not in ("id", "type")} | named | known_id


def _message(item: dict[str, Any]) -> dict[str, Any]:
    """A message without its id; one of text alone is written in the short form, which holds no border between two."""
    if item["type"] != "message":
        return item
    texts = [one.get("text") or one.get("refusal", "") for one in item["content"]]
    if "phase" in item or any(one.get("annotations") or one.get("logprobs") for one in item["content"]):
        return {name: value for name, value in item.items() if name in ("type", "content", "phase")}
    return {"type": "message", "content": "".join(texts)}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    call = part.get("functionCall")
    if part == {"thought": True} or (call is not None and not call.get("name")):
        return {}
    return {name: value for name, value in part.items() if value != "skip_thought_signature_validator"}


def _joined(parts: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    joined: list[dict[str, Any]] = []
    for part in parts:
        if joined and part.keys() == joined[-1].keys() == {"text"}:
            joined[-1] = {"text": joined[-1]["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


def sent(wire: str, body: Any) -> list[Any]:
    """What goes back of the answer."""
    blocks = shape_faces.sent(wire, body)
    if wire == "responses":  # a message of text alone is written in the short form
        blocks = [_long(item) for item in blocks]
    return kept(wire, blocks)


def _long(item: dict[str, Any]) -> dict[str, Any]:
    if isinstance(item.get("content"), str):
        return {**item, "type": "message", "content": [{"type": "output_text", "text": item["content"]}]}
    return item


@pytest.mark.parametrize("wire", WIRES)
def test_the_number_of_shapes(wire):
    counts = collections.Counter(shape.name for shape, _ in shapes(wire))
    assert sum(counts.values()) >= LEAST[wire], counts
    assert sum(LEAST.values()) >= 824


@pytest.mark.parametrize("target", WIRES)
@pytest.mark.parametrize("wire", WIRES)
def test_every_shape_goes_to_every_wire(wire, target):
    wrong: list[str] = []
    for shape, response in shapes(wire):
        for face, messages in histories(response):
            try:
                encoded = shape_faces.encode(target, messages)
            except Exception as error:
                wrong.append(f"{face} {shape.name}: {type(error).__name__}: {error} {shape.body}")
                continue
            if wire != target:
                continue
            expected = [one for one in kept(wire, shape_faces.given(wire, shape.body)) if one]
            actual = [one for one in sent(wire, encoded.body) if one]
            if actual != expected:
                wrong.append(f"{face} {shape.name}: {actual} is sent back for {expected}")
    assert wrong == []


def events(shape: Shape) -> list[Any]:
    """The shape as its vendor streams it: whole blocks and items."""
    match shape.wire:
        case "anthropic":
            message = {**shape.body, "content": []}
            told: list[Any] = [{"type": "message_start", "message": message}]
            for index, block in enumerate(shape.body["content"]):
                told.append({"type": "content_block_start", "index": index, "content_block": block})
                told.append({"type": "content_block_stop", "index": index})
            delta = {"stop_reason": shape.body["stop_reason"], "stop_sequence": None}
            return [*told, {"type": "message_delta", "delta": delta, "usage": {}}, {"type": "message_stop"}]
        case "responses":
            told = [{"type": "response.created", "response": {**shape.body, "output": []}}]
            for index, item in enumerate(shape.body["output"]):
                told.append({"type": "response.output_item.added", "output_index": index, "item": item})
                told.append({"type": "response.output_item.done", "output_index": index, "item": item})
            return [*told, {"type": "response.completed", "response": shape.body}]
        case "chat":
            choice = shape.body["choices"][0]
            calls = [{"index": n, **call} for n, call in enumerate(choice["message"].get("tool_calls") or ())]
            delta = {**choice["message"], **({"tool_calls": calls} if calls else {})}
            first = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            return [first, {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}]
        case _:
            return [shape.body]


@pytest.mark.parametrize("wire", WIRES)
def test_every_shape_comes_as_a_stream(wire):
    wrong: list[str] = []
    for shape, _ in shapes(wire):
        if shape.in_pieces:
            continue
        response, chunks = shape_faces.streamed(wire, events(shape))
        for face, messages in histories(response, chunks):
            try:
                encoded = shape_faces.encode(wire, messages)
            except Exception as error:
                wrong.append(f"{face} {shape.name}: {type(error).__name__}: {error} {shape.body}")
                continue
            expected = [one for one in kept(wire, shape_faces.given(wire, shape.body)) if one]
            actual = [one for one in sent(wire, encoded.body) if one]
            if actual != expected:
                wrong.append(f"{face} {shape.name}: {actual} is sent back for {expected}")
    assert wrong == []


ANSWERING = {"chat": "chat", "responses": "responses", "messages": "anthropic", "generate": "google"}


def recorded() -> list[Any]:
    """The recordings that are answers."""
    return [each for each in recordings().values() if each.status == 200 and each.api in ANSWERING]


@needs_recordings
def test_every_recorded_answer_goes_to_every_wire():
    wrong: list[str] = []
    number = 0
    for each in recorded():
        wire = ANSWERING[each.api]
        chunks: Any = ()
        try:
            told = [
                json.loads(line[5:])
                for line in each.body.splitlines()
                if line.startswith(b"data:") and b"[DONE]" not in line
            ]
            if told:
                response, chunks = shape_faces.streamed(wire, told)
            else:
                body = json.loads(each.body)
                if isinstance(body, list):
                    response, chunks = shape_faces.streamed(wire, body)
                else:
                    response = shape_faces.answered(wire, body)
        except (WireError, ValueError):  # an error under HTTP 200, or a stream that was cut: no answer
            continue
        number += 1
        for face, messages in histories(response, chunks):
            for target in WIRES:
                try:
                    encoded = shape_faces.encode(target, messages)
                except Exception as error:
                    wrong.append(f"{face} {each.file} to {target}: {type(error).__name__}: {error}")
                    continue
                if target == wire and not chunks:
                    expected = [one for one in kept(wire, shape_faces.given(wire, json.loads(each.body))) if one]
                    actual = [one for one in sent(wire, encoded.body) if one]
                    if actual != expected:
                        wrong.append(f"{face} {each.file}: {actual} is sent back for {expected}")
    assert wrong == []
    assert number >= 60


def sample(wire: str) -> list[Shape]:
    """One shape of each kind."""
    return [*{shape.name: shape for shape, _ in reversed(shapes(wire))}.values()]


@pytest.mark.parametrize("wire", WIRES)
def test_over_real_sockets(wire):
    """The same through the SDKs, for one shape of each kind: what comes and goes is the same as without a socket."""
    seen: list[Any] = []
    waiting: list[dict[str, Any]] = []

    def answer(received: Received) -> Reply:
        seen.append(json.loads(received.body))
        body = waiting.pop() if waiting else shape_faces.hello(wire)
        return Reply(200, {"content-type": "application/json"}, json.dumps(body).encode())

    wrong: list[str] = []
    with ReplayServer(answer) as server:
        for face, ask in shape_faces.asking(wire, server.url).items():
            for shape in sample(wire):
                waiting.append(shape.body)
                ask()
                expected = [one for one in kept(wire, shape_faces.given(wire, shape.body)) if one]
                actual = [one for one in sent(wire, seen[-1]) if one]
                if actual != expected:
                    wrong.append(f"{face} {shape.name}: {actual} is sent back for {expected}")
    assert wrong == []
    assert len(seen) >= 3 * 2 * 5
