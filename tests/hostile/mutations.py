"""Replies as a broken or hostile server may send them: real ones, with their structure changed. Strategies.

A reply is written by the dialect writers, so it is what a vendor sends; then values change their types, members are
left out or given twice, numbers and nesting grow beyond bounds, events are dropped, doubled and cut, and status,
headers, encoding and framing are those of another reply.
"""

from __future__ import annotations

import copy
import gzip
import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from multiroute_core.messages import Reasoning, Text, ToolCall, ToolCallDelta
from multiroute_core.testing.dialects.catalogue import DIALECTS
from multiroute_core.testing.dialects.writers import Writer
from multiroute_core.types import Delta, Usage

WIRES = {"chat": "openai", "responses": "openai_responses", "anthropic": "anthropic", "google": "google"}
USAGE = Usage(input_tokens=7, output_tokens=5, cache_read_tokens=2, reasoning_tokens=1)

RAW = {  # texts that stand for JSON which Python's own writer would not write
    "@@deep100@@": "[" * 100 + "]" * 100,
    "@@deep300@@": "[" * 300 + "]" * 300,
    "@@deep900@@": '{"a":' * 900 + "1" + "}" * 900,
    "@@deep5000@@": "[" * 5000 + "]" * 5000,
    "@@huge@@": "1" + "0" * 400,
    "@@digits@@": "9" * 5000,
    "@@1e999@@": "1e999",
    "@@nan@@": "NaN",
    "@@-inf@@": "-Infinity",
    "@@half@@": '"\\ud83d"',
    "@@control@@": '"\\u001b[2J\\u0000\\u202e\\r\\n"',
    "@@long@@": '"' + "x" * 70_000 + '"',
    "@@args_deep@@": json.dumps('{"a":' + "[" * 2000 + "]" * 2000 + "}"),
    "@@args_cut@@": json.dumps('{"city": "Par'),
}
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, -5, 2**31, 2**63, 10**30, 1.5, -0.0, 1e300, "", " ", "0", "-1", "null", "error"),
    *([], {}, [[]], [None], {"": None}, {"type": "error"}, {"error": {}}, {"error": "overloaded"}, ["x"], [1, "a", {}]),
    *RAW,
]
STATUSES = [200] * 30 + [*(201, 204, 299, 301, 302, 307, 304, 400, 401, 402, 403, 404, 408, 413, 422, 429, 451, 498)]
STATUSES += [500, 502, 503, 504, 529, 599, 600, 999]
TYPES = [
    *("application/json", "text/event-stream", "text/event-stream; charset=utf-8", "text/html", "text/plain", ""),
    *("application/json; charset=utf-16", "application/json; charset=hex", "text/event-stream; charset=hex"),
    *("application/json; charset=klingon", "application/problem+json", "multipart/form-data", "\xff"),
]
HEADERS: list[tuple[str, str]] = [
    *(("retry-after", value) for value in ("1", "-5", "nan", "1e5", "9" * 400, "Wed, 21 Oct 9999 23:59:59 -2359", "")),
    *(("x-ratelimit-remaining-requests", value) for value in ("0", "nan", "-1", "9" * 20)),
    *(("x-ratelimit-reset-tokens", value) for value in ("1s", "99999d", "-1ms", "")),
    ("anthropic-ratelimit-requests-reset", "9999-12-31T23:59:59-23:59"),
    ("anthropic-ratelimit-requests-reset", "0001-01-01T00:00:00+23:59"),
    ("anthropic-ratelimit-requests-remaining", "0"),
    ("ratelimit", '"a";r=5;t=0'),
    ("ratelimit-policy", '"a";q=10;w=0'),
    ("x-litellm-response-cost", "1e999"),
    ("x-litellm-response-cost", "-3"),
    ("request-id", "\xe9\x80<script>"),
    ("location", "http://127.0.0.1:1/elsewhere"),
    ("location", "http://[::bad/"),
    ("location", "/v1/same"),
    ("content-encoding", "br"),
    ("content-encoding", "zstd"),
    ("content-encoding", "gzip, gzip"),
    ("content-encoding", "zzz"),
    ("content-length", "5"),
    ("content-length", "99999999999999999999"),
    ("transfer-encoding", "chunked"),
    ("set-cookie", "a=b; " * 50),
]


def write_events(wire: str, *, tool: bool, arguments: tuple[str, str] = ('{"city": ', '"Paris"}')) -> list[Any]:
    """The events of a stream, as JSON values."""
    writer = Writer(DIALECTS[WIRES[wire]], "m")
    deltas = [Delta(parts=(Reasoning("Hmm."),)), Delta(parts=(Text("Hel"),)), Delta(parts=(Text("lo"),))]
    if tool:
        deltas += [
            Delta(parts=(ToolCallDelta(0, "call_1", "get_weather"),)),
            Delta(parts=(ToolCallDelta(0, None, None, arguments[0]),)),
            Delta(parts=(ToolCallDelta(0, None, None, arguments[1]),)),
        ]
    deltas.append(Delta(finish_reason="tool_call" if tool else "stop", usage=USAGE))
    frames = b"".join(writer.frames(delta) for delta in deltas).decode()
    data = [line[6:] for line in frames.split("\n") if line.startswith("data: ")]
    return [json.loads(text) if text[:1] in "{[" and text != "[DONE]" else text for text in data]


def write_body(wire: str, *, tool: bool) -> Any:
    """A whole answer, as a JSON value."""
    call = (ToolCall("call_1", "get_weather", {"city": "Paris"}),) if tool else ()
    delta = Delta(
        parts=(Reasoning("Hmm."), Text("Hello"), *call),
        finish_reason="tool_call" if tool else "stop",
        usage=USAGE,
        model="m",
    )
    return json.loads(Writer(DIALECTS[WIRES[wire]], "m").write_body(delta))


ERROR_BODIES: list[Any] = [
    {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    [{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE", "details": [{"retryDelay": "7s"}]}}],
    {"detail": [{"loc": ["body", "x"], "msg": "extra fields not permitted", "type": "value_error.extra"}]},
    {"error": "overloaded"},
    {"message": "boom"},
    "str",
    None,
]


@dataclass(frozen=True)
class Plan:
    """One reply, as the pieces that are sent, and what was done to it, for the report of a failure."""

    wire: str
    pieces: tuple[bytes | float, ...]


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every value in `value`."""
    result = [before]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        result += paths(inner, (*before, key))
    return result


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """`value` with a few changes of its structure."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(paths(value)))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                value = draw(st.sampled_from(ODD))
            continue
        parent, key = _at(value, path[:-1]), path[-1]
        change = draw(st.sampled_from(("odd", "odd", "odd", "delete", "wrap", "text", "copy", "rename")))
        if change == "odd":
            parent[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif change == "delete":
            del parent[key]
        elif change == "wrap":
            parent[key] = [parent[key]]
        elif change == "text":
            parent[key] = json.dumps(parent[key])
        elif change == "copy":
            parent[key] = copy.deepcopy(_at(value, draw(st.sampled_from(paths(value)))))
        elif isinstance(parent, dict):
            parent[f"{key}_"] = parent.pop(key)
    return value


def dump(value: Any, *, doubled: bool = False) -> str:
    """`value` as JSON text, marks replaced by what they stand for; with its members given twice, if `doubled`."""
    text = json.dumps(value)
    for mark, raw in RAW.items():
        text = text.replace(f'"{mark}"', raw)
    if doubled and text.startswith("{") and len(text) > 2:
        text = f"{text[:-1]},{text[1:]}"
    return text


@st.composite
def streams(draw: st.DrawFn, wire: str) -> bytes:
    """The body of an event stream."""
    events = write_events(wire, tool=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(events) - 1))
        change = draw(st.sampled_from(("drop", "double", "swap", "insert", "mutate", "mutate", "mutate")))
        if change == "drop" and len(events) > 1:
            del events[place]
        elif change == "double":
            events.insert(place, copy.deepcopy(events[place]))
        elif change == "swap":
            other = draw(st.integers(0, len(events) - 1))
            events[place], events[other] = events[other], events[place]
        elif change == "insert":
            events.insert(place, draw(st.sampled_from([*ERROR_BODIES, *ODD, "[DONE]", {"type": "ping"}])))
        else:
            events[place] = draw(mutated(events[place]))
    end = draw(st.sampled_from(("\n", "\n", "\n", "\r\n", "\r")))
    lines: list[str] = []
    for event in events:
        name = event.get("type") if isinstance(event, dict) else None
        if isinstance(name, str) and draw(st.integers(0, 4)):
            lines.append(f"event: {name}")
        lines += [f"data: {event if event == '[DONE]' else dump(event)}", ""]
    if draw(st.integers(0, 9)) == 0:
        extra = (": ping", "id: 5", "retry: 99999999999999999999", "data", "event: error", "error: {}", "\x00", "{")
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(extra)))
    return end.join([*lines, ""]).encode("utf-8", "surrogatepass")


@st.composite
def bodies(draw: st.DrawFn, wire: str) -> bytes:
    """The body of a plain reply."""
    if draw(st.integers(0, 5)) == 0:
        value = draw(mutated(draw(st.sampled_from(ERROR_BODIES))))
    else:
        value = draw(mutated(write_body(wire, tool=draw(st.booleans()))))
    return dump(value, doubled=draw(st.integers(0, 19)) == 0).encode("utf-8", "surrogatepass")


@st.composite
def plans(draw: st.DrawFn, wire: str | None = None) -> Plan:
    """A whole reply, on one of the wires."""
    wire = wire or draw(st.sampled_from(list(WIRES)))
    streamed = draw(st.booleans())
    body = draw(streams(wire) if streamed else bodies(wire))
    match draw(st.sampled_from(("as it is",) * 12 + ("cut", "bom", "utf-16", "bytes", "empty", "html", "flip"))):
        case "cut":
            body = body[: draw(st.integers(0, len(body)))]
        case "bom":
            body = b"\xef\xbb\xbf" + body
        case "utf-16":
            body = body.decode("utf-8", "replace").encode("utf-16")
        case "bytes":
            body = draw(st.binary(max_size=60))
        case "empty":
            body = b""
        case "html":
            body = b"<html><body>Sign in to the network</body></html>"
        case "flip" if body:
            place = draw(st.integers(0, len(body) - 1))
            body = body[:place] + bytes([draw(st.integers(0, 255))]) + body[place + 1 :]
        case _:
            pass
    kind = "text/event-stream" if streamed else "application/json"
    if draw(st.integers(0, 9)) == 0:
        kind = draw(st.sampled_from(TYPES))
    headers = [("content-type", kind), ("connection", "close")]
    if draw(st.integers(0, 9)) == 0:
        packed = gzip.compress(body)
        body = packed if draw(st.integers(0, 2)) else packed[: len(packed) // 2] + b"\0\0" + packed[len(packed) // 2 :]
        headers.append(("content-encoding", "gzip"))
    framing = draw(st.sampled_from(("length",) * 8 + ("close", "chunked", "chunked cut", "longer", "shorter")))
    if framing in ("chunked", "chunked cut"):
        headers.append(("transfer-encoding", "chunked"))
        size = draw(st.sampled_from((1, 7, 1000, 100_000))) if len(body) < 3000 else 100_000
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        body += b"0\r\n\r\n" if framing == "chunked" else b""
    elif framing != "close":
        headers.append(("content-length", str(max(0, len(body) + {"longer": 40, "shorter": -20}.get(framing, 0)))))
    if draw(st.integers(0, 3)) == 0:
        headers += draw(st.lists(st.sampled_from(HEADERS), max_size=3))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {draw(st.sampled_from(STATUSES))} Odd\r\n{lines}\r\n".encode("latin-1")
    if draw(st.integers(0, 19)) == 0:
        place = draw(st.integers(0, len(body)))
        return Plan(wire, (head + body[:place], 0.02, body[place:]))
    return Plan(wire, (head + body,))
