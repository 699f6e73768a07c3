"""A second reading of recorded bodies, by hand and independent of the library. Support for tests, no test.

It knows only what the vendors document: where the text stands, what the finish reasons mean, how tokens are counted.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from multiroute_core import Route, Usage
from multiroute_core.testing.recorded import Interaction, interactions, recorded_folder
from multiroute_core.testing.server import Reply, split_events

needs_recordings = pytest.mark.skipif(
    recorded_folder() is None, reason="no recordings: MULTIROUTE_SHARED does not name a folder with data/recorded in it"
)

FINISH = {
    "chat": {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_call",
        "content_filter": "content_filter",
    },
    "messages": {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "tool_use": "tool_call",
        "refusal": "refusal",
    },
    "generate": {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"},
    "responses": {"completed": "stop", "max_output_tokens": "length", "content_filter": "content_filter"},
}


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says.

    Attributes:
        tokens: Input, output, cache reads, cache writes and reasoning, in normal form; None where nothing was said.
    """

    text: str
    finish_reason: str | None
    tokens: tuple[int | None, ...]


def tokens(usage: Usage | None) -> tuple[int | None, ...]:
    """The library's `Usage` as `Told.tokens`."""
    if usage is None:
        return (None,) * 5
    read, write = usage.cache_read_tokens, usage.cache_write_tokens
    return usage.input_tokens, usage.output_tokens, read, write, usage.reasoning_tokens


@functools.cache
def recordings() -> dict[str, Interaction]:
    """Every recording of a generation by its tag, such as `"23.0"` or `"LCA_test_thinking.1"`; none without folder."""
    folder = recorded_folder()
    found = interactions(folder) if folder else []
    return {tag(each): each for each in found if each.api != "other"}


def tag(each: Interaction) -> str:
    """A short name: the file's number, or its stem where it has none, and the interaction's."""
    first = each.file.split("_")[0]
    return f"{each.file.partition('.')[0] if first == 'LCA' else first}.{each.index}"


def route(each: Interaction, url: str, **settings: Any) -> Route:
    """A route that speaks the recording's wire to a server at `url`."""
    provider = each.provider if each.provider in ("anthropic", "google") else "openai"
    if each.api == "responses":
        settings["api"] = "responses"
    return Route(f"{provider}:{each.model or 'some-model'}", base_url=url, api_key="k", **settings)


def reply(each: Interaction, pieces: Iterable[bytes] | None = None, *, array: bool = False) -> Reply:
    """The recording as it was sent, or other `pieces` of its body.

    Args:
        array: A stream as the JSON array that Gemini sends without `alt=sse`, which the older SDK asks for.
    """
    if not each.stream or each.status != 200:
        return Reply(each.status, each.headers, each.body)
    pieces = split_events(each.body) if pieces is None else pieces
    if not array:
        return Reply(each.status, each.headers, pieces, stream=True)
    return Reply(each.status, {"content-type": "application/json"}, elements(pieces), stream=True)


def elements(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Events as the elements of a JSON array, which closes after the one that is the stream's proper end."""
    opening = b"["
    for piece in pieces:
        event = piece.removeprefix(b"data:").strip()
        yield opening + event
        opening = b","
        with contextlib.suppress(ValueError):  # a piece of one, cut by a test
            if _ends("generate", json.loads(event)):
                yield b"]"


def data(event: bytes) -> Any:
    """The JSON of an event's data line; None where there is none."""
    lines = [line.removeprefix(b"data:").strip() for line in event.splitlines() if line.startswith(b"data:")]
    return json.loads(lines[0]) if lines and lines[0] != b"[DONE]" else None


def before_end(each: Interaction) -> list[bytes]:
    """The events of a stream before the one that is its proper end, as the vendor documents it."""
    pieces = split_events(each.body)
    return pieces[: next(i for i, piece in enumerate(pieces) if _ends(each.api, data(piece)))]


def _ends(api: str, event: Any) -> bool:
    match api:
        case "chat":
            return any(choice.get("finish_reason") for choice in event.get("choices") or ())
        case "responses":
            return event["type"] in ("response.completed", "response.incomplete")
        case "messages":
            return event["type"] == "message_stop"
        case _:
            return any(candidate.get("finishReason") for candidate in event.get("candidates") or ())


def told(each: Interaction, pieces: list[bytes] | None = None) -> Told:
    """What a recorded answer says; of a stream, what its events, or those of `pieces`, say together."""
    if not each.stream:
        return _WHOLE[each.api](json.loads(each.body))
    if each.body.startswith(b"["):  # Gemini's stream as an array
        return _STREAMED[each.api](json.loads(each.body))
    pieces = split_events(each.body) if pieces is None else pieces
    events = [event for piece in pieces if (event := data(piece)) is not None]
    return _STREAMED[each.api](events) if events else Told("", None, (None,) * 5)


def _chat(body: Any) -> Told:
    choice = body["choices"][0]
    message = choice.get("message") or {}
    if message.get("refusal"):
        return Told(message["refusal"], "refusal", _openai_tokens(body.get("usage"), "prompt", "completion"))
    finish = FINISH["chat"][choice["finish_reason"]]
    return Told(message.get("content") or "", finish, _openai_tokens(body.get("usage"), "prompt", "completion"))


def _chat_stream(events: list[Any]) -> Told:
    choices = [event["choices"][0] for event in events if event["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    usage = next((event["usage"] for event in reversed(events) if event.get("usage")), None)
    return Told(text, FINISH["chat"][reasons[-1]] if reasons else None, _openai_tokens(usage, "prompt", "completion"))


def _openai_tokens(usage: Any, read: str, written: str) -> tuple[int | None, ...]:
    if not usage:
        return (None,) * 5
    into, out = usage.get(f"{read}_tokens_details") or {}, usage.get(f"{written}_tokens_details") or {}
    return (
        usage[f"{read}_tokens"],
        usage[f"{written}_tokens"],
        into.get("cached_tokens"),
        into.get("cache_write_tokens"),
        out.get("reasoning_tokens"),
    )


def _responses(body: Any) -> Told:
    messages = [item for item in body["output"] if item["type"] == "message"]
    text = "".join(part["text"] for item in messages for part in item["content"] if part["type"] == "output_text")
    return Told(text, _responses_finish(body), _openai_tokens(body["usage"], "input", "output"))


def _responses_finish(body: Any) -> str:
    if body["status"] == "incomplete":
        return FINISH["responses"][body["incomplete_details"]["reason"]]
    called = any(item["type"] == "function_call" for item in body["output"])
    return "tool_call" if called else FINISH["responses"][body["status"]]


def _responses_stream(events: list[Any]) -> Told:
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    if not _ends("responses", end := events[-1]):
        return Told(text, None, (None,) * 5)
    return Told(text, _responses_finish(end["response"]), _openai_tokens(end["response"]["usage"], "input", "output"))


def _messages(body: Any) -> Told:
    text = "".join(block["text"] for block in body["content"] if block["type"] == "text")
    return Told(text, FINISH["messages"][body["stop_reason"]], _anthropic_tokens(body["usage"]))


def _messages_stream(events: list[Any]) -> Told:
    text, usage, reason = "", {}, None
    for event in events:
        match event["type"]:
            case "message_start":
                usage = dict(event["message"]["usage"])
            case "content_block_delta" if event["delta"]["type"] == "text_delta":
                text += event["delta"]["text"]
            case "message_delta":
                usage |= event["usage"]  # the counts are cumulative
                reason = event["delta"]["stop_reason"]
    return Told(text, FINISH["messages"][reason] if reason else None, _anthropic_tokens(usage))


def _anthropic_tokens(usage: Any) -> tuple[int | None, ...]:
    read, write = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
    return usage["input_tokens"] + (read or 0) + (write or 0), usage["output_tokens"], read, write, thought


def _generate(body: Any) -> Told:
    return _generate_stream([body])


def _generate_stream(events: list[Any]) -> Told:
    candidates = [event["candidates"][0] for event in events if event.get("candidates")]
    parts = [part for candidate in candidates for part in candidate.get("content", {}).get("parts", ())]
    text = "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    reason = next((c["finishReason"] for c in reversed(candidates) if c.get("finishReason")), None)
    finish = FINISH["generate"][reason] if reason else None
    if finish == "stop" and any("functionCall" in part for part in parts):
        finish = "tool_call"
    counts: dict[str, Any] = {}
    for event in events:
        counts |= event.get("usageMetadata", {})  # cumulative as well
    read, thought = counts.get("promptTokenCount"), counts.get("thoughtsTokenCount")
    written = [counts[n] for n in ("candidatesTokenCount", "thoughtsTokenCount") if n in counts]
    if not written and counts.get("totalTokenCount") == read is not None:
        written = [0]  # zeros are not written
    cached = counts.get("cachedContentTokenCount")
    return Told(text, finish, (read, sum(written) if written else None, cached, None, thought))


_WHOLE = {"chat": _chat, "responses": _responses, "messages": _messages, "generate": _generate}
_STREAMED = {
    "chat": _chat_stream,
    "responses": _responses_stream,
    "messages": _messages_stream,
    "generate": _generate_stream,
}
