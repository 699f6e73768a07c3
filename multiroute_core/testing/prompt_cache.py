"""Emulator of Anthropic's prompt cache: bills request bodies as the API documents, on a clock of the test's own.

How this works: a request is a row of blocks: tools, then system, then messages. A breakpoint is a block with
`cache_control`; the prefix up to it is looked up there and at the blocks before it, within a window of 20, and is
written there if it is long enough. So what comes before a block decides whether it is found: a changed tool loses
everything, a changed system text the system and the messages.

The rules, from https://platform.claude.com/docs/en/build-with-claude/prompt-caching (2026-11-30): the order tools,
system, messages; at most four breakpoints; entries only at breakpoints; a window of 20 blocks, the breakpoint's own
included; expiries of 5 minutes and of 1 hour, which a read renews; longer expiries before shorter ones; minimum lengths
per model; the usage fields; caches of models and workspaces are separate.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from multiroute_core.testing.server import Received, Reply

WINDOW = 20
"""Blocks that a look-up checks, counted back from the breakpoint, with the breakpoint's own."""

MARKS = 4
SECONDS = {"5m": 300.0, "1h": 3_600.0}

MINIMUM = (
    ("claude-fable-5", 512),
    ("claude-mythos-5", 512),
    ("claude-opus-5", 512),
    ("claude-opus-4-7", 2_048),
    ("claude-opus-4-6", 4_096),
    ("claude-opus-4-5", 4_096),
    ("claude-haiku-4-5", 4_096),
    ("claude-haiku-3", 2_048),
    ("claude-3-haiku", 2_048),
    ("claude-3-5-haiku", 2_048),
)
"""Minimum length of a cached prefix in tokens by the beginning of the model's name; 1,024 for all others."""

_Key: TypeAlias = tuple[str, str]
"""The workspace and model, and the hash of a prefix."""
_Expiry: TypeAlias = tuple[float, str]
"""Until when an entry lives, and its kind of expiry."""

_UNMARKABLE = ("thinking", "redacted_thinking")


_OK: tuple[Mapping[str, Any], ...] = ({"type": "text", "text": "OK"},)
_JSON = {"content-type": "application/json"}


class InvalidPromptError(Exception):
    """The API rejects the request with status 400; the message says why."""


@dataclass(slots=True)
class _Breakpoint:
    place: int
    ttl: str


@dataclass(slots=True)
class PromptCacheEmulator:
    """A prompt cache that bills as Anthropic's does.

    Args:
        now: The clock, in seconds.
        tokens_of: Counts the tokens of a block's JSON; a quarter of its characters by default.
        answer: Returns the content blocks of the answer to a body, for `serve`; the text `OK` by default.

    Example:
        >>> clock = [0.0]
        >>> cache = PromptCacheEmulator(lambda: clock[0])
        >>> body = {
        ...     "model": "claude-sonnet-4-5",
        ...     "system": [{"type": "text", "text": "x" * 8000, "cache_control": {"type": "ephemeral"}}],
        ...     "messages": [{"role": "user", "content": "Hi"}],
        ... }
        >>> cache.bill(body)["cache_read_input_tokens"], cache.bill(body)["cache_read_input_tokens"] > 0
        (0, True)
    """

    now: Callable[[], float]
    tokens_of: Callable[[str], int] = field(default=lambda text: len(text) // 4 + 1)
    answer: Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]]] = field(default=lambda _: _OK)
    _expiries: dict[_Key, _Expiry] = field(default_factory=dict[_Key, _Expiry])

    def bill(self, body: Mapping[str, Any], workspace: str = "") -> dict[str, Any]:
        """Return the `usage` of a request, without its output, and update the cache.

        Args:
            body: The body of `POST /v1/messages`.
            workspace: Whose request it is; workspaces share nothing.

        Raises:
            InvalidPromptError: More than four breakpoints, one on a block that takes none, or a longer expiry after a
                shorter one.
        """
        blocks = list(_list_blocks(body))
        marks = _find_breakpoints(blocks, body)
        model = f"{workspace}\0{body['model']}"
        lengths: list[int] = []
        hashes: list[str] = []
        digest = hashlib.sha256()
        total = 0
        for block in blocks:
            text = json.dumps(_without_marks(block), sort_keys=True)
            digest.update(text.encode())
            total += self.tokens_of(text)
            hashes.append(digest.hexdigest())
            lengths.append(total)
        now = self.now()
        read = self._find_longest(model, hashes, marks, now)
        read_tokens = lengths[read] if read >= 0 else 0
        minimum = find_minimum(str(body["model"]))
        written = {"5m": 0, "1h": 0}
        end = read_tokens
        # Up to the last mark of an hour at its price, then the rest: the marks are in this order already.
        for mark in marks:
            if lengths[mark.place] < minimum:
                continue
            written[mark.ttl] += max(0, lengths[mark.place] - end)
            end = max(end, lengths[mark.place])
            key = (model, hashes[mark.place])
            until, _ = self._expiries.get(key, (0.0, ""))
            self._expiries[key] = (max(until, now + SECONDS[mark.ttl]), mark.ttl)
        return {
            "input_tokens": total - end,
            "cache_read_input_tokens": read_tokens,
            "cache_creation_input_tokens": written["5m"] + written["1h"],
            "cache_creation": {
                "ephemeral_5m_input_tokens": written["5m"],
                "ephemeral_1h_input_tokens": written["1h"],
            },
        }

    def serve(self, received: Received) -> Reply:
        """Return the reply to a request of Anthropic's SDK, complete or streamed: `ReplayServer(emulator.serve)`.

        The API key is the workspace.
        """
        body = json.loads(received.body)
        try:
            usage = self.bill(body, received.headers.get("x-api-key") or received.headers.get("authorization", ""))
        except InvalidPromptError as error:
            shown = {"type": "error", "error": {"type": "invalid_request_error", "message": str(error)}}
            return Reply(400, _JSON, json.dumps(shown).encode())
        blocks = list(self.answer(body))
        stop_reason = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": blocks,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {**usage, "output_tokens": 10},
        }
        if not body.get("stream"):
            return Reply(200, _JSON, json.dumps(message).encode())
        events = [json.dumps(event).encode() for event in _to_events(message)]
        frames = [b"event: " + json.loads(event)["type"].encode() + b"\ndata: " + event + b"\n\n" for event in events]
        return Reply(200, {"content-type": "text/event-stream"}, frames, stream=True)

    def _find_longest(self, model: str, hashes: Sequence[str], marks: Sequence[_Breakpoint], now: float) -> int:
        """Return the last block of the longest entry that a breakpoint finds, and renew it; -1 for none."""
        for mark in reversed(marks):
            for place in range(mark.place, max(-1, mark.place - WINDOW), -1):
                key = (model, hashes[place])
                until, ttl = self._expiries.get(key, (0.0, ""))
                if until > now:
                    self._expiries[key] = (max(until, now + SECONDS[ttl]), ttl)
                    return place
        return -1


def _to_events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream with the same answer."""
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
    for place, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            start: dict[str, Any] = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            start = {**block, "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        yield {"type": "content_block_start", "index": place, "content_block": start}
        yield {"type": "content_block_delta", "index": place, "delta": delta}
        yield {"type": "content_block_stop", "index": place}
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": message["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}


def find_minimum(model: str) -> int:
    """Return the minimum length of a cached prefix of a model, in tokens."""
    return next((tokens for name, tokens in MINIMUM if model.startswith(name)), 1_024)


def _list_blocks(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the blocks in the order of the prefix; a text as a string is one text block."""
    yield from body.get("tools") or ()
    system = body.get("system") or ()
    yield from [{"type": "text", "text": system}] if isinstance(system, str) else system
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield {"role": message["role"], **block}


def _find_breakpoints(blocks: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> list[_Breakpoint]:
    marks = [_Breakpoint(place, ttl) for place, block in enumerate(blocks) for ttl in _find_expiries(block)]
    if isinstance(automatic := body.get("cache_control"), Mapping):
        marks.append(_Breakpoint(len(blocks) - 1, _expiry(cast("Mapping[str, Any]", automatic))))
    if len(marks) > MARKS:
        raise InvalidPromptError(f"A maximum of {MARKS} blocks with cache_control may be provided. Found {len(marks)}.")
    for earlier, later in itertools.pairwise(marks):
        if earlier.ttl == "5m" and later.ttl == "1h":
            raise InvalidPromptError(
                "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
            )
    return marks


def _find_expiries(block: Mapping[str, Any]) -> Iterator[str]:
    content = block.get("content")
    if isinstance(content, list):
        for inner in cast("list[Any]", content):
            if isinstance(inner, Mapping):
                yield from _find_expiries(cast("Mapping[str, Any]", inner))
    if (control := block.get("cache_control")) is None:
        return
    if block.get("type") in _UNMARKABLE or block.get("defer_loading") or block.get("text") == "":
        raise InvalidPromptError(f"cache_control is not supported on a {block.get('type')} block.")
    yield _expiry(control)


def _expiry(control: Mapping[str, Any]) -> str:
    ttl = control.get("ttl", "5m")
    if control.get("type") != "ephemeral" or ttl not in SECONDS:
        raise InvalidPromptError("cache_control must be ephemeral, with a ttl of 5m or 1h.")
    return ttl


def _without_marks(block: Any) -> Any:
    """Return a block without the marks in it: they are no part of the prefix."""
    if isinstance(block, Mapping):
        fields = cast("Mapping[str, Any]", block)
        return {name: _without_marks(value) for name, value in fields.items() if name != "cache_control"}
    return [_without_marks(value) for value in cast("list[Any]", block)] if isinstance(block, list) else block
