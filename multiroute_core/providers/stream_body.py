"""Stream event payloads: decode server-sent events to JSON values, and bodies that are not an event stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from multiroute_core._util.json_text import NO_JSON, decode_json
from multiroute_core.providers.body import mapping
from multiroute_core.providers.in_band import is_error
from multiroute_core.providers.provider import DONE, UnreadableReply, WireError
from multiroute_core.providers.sse import BARE, ERROR, ServerSentEvent

_LONGEST = 1_000
"""Maximum number of characters quoted in an error message."""


def to_value(event: ServerSentEvent, *, last: bool = False) -> Any:
    """Returns the event's data as a JSON value; `DONE` for the end marker, None for an empty event.

    Args:
        event: The event.
        last: Whether the body ended in the event. A truncated event is then ignored: the stream lacks its end.

    Raises:
        WireError: If the event reports an error, or is not JSON.
    """
    name, data = event
    if name == ERROR:
        raise WireError("The provider reported an error inside the stream.", to_error_body(data))
    try:
        value = decode_json(data)
    except NO_JSON as error:
        text = data.decode("utf-8", "replace").strip()
        if text.startswith(_DONE):
            return DONE
        if b"\n" in data and (value := _error_in_last_line(data)) is not None:
            raise WireError("The provider reported an error inside the stream.", error_body_of(value)) from error
        if name == BARE and b'"error"' in data:
            raise WireError("The provider reported an error inside the stream.", to_error_body(data)) from error
        if not text or last or name == BARE:
            return None
        if not _is_utf8(data):  # the standard substitutes a replacement character for invalid UTF-8
            return to_value(ServerSentEvent(name, text.encode()))
        message = f"A stream event is not valid JSON ({error}): {text[:_LONGEST]}"
        raise UnreadableReply(message, {"error": {"message": message}}) from error
    if value == "[DONE]":
        return DONE
    if name and value.__class__ is dict and "type" not in value and (b"." in name or b"_" in name):
        # Only the name says what the event is.
        value["type"] = name.decode("utf-8", "replace")
    return value


_DONE = ("[DONE]", "[done]", "DONE", "<DONE>")
"""Spellings of the end marker."""


def _error_in_last_line(data: bytes) -> Any:
    """Returns an error that was written into an unfinished event; None if the last line is none.

    Reported of a gateway in Wei-Shaw/sub2api#1471 (2026-04-05).
    """
    try:
        value: Any = decode_json(data.rpartition(b"\n")[2])
    except NO_JSON:
        return None
    return value if is_error(mapping(value)) else None


def to_error_body(data: bytes) -> dict[str, Any]:
    """Returns the data of an error event, in any format, as a body with an `error` object."""
    try:
        value: Any = decode_json(data)
    except NO_JSON:
        value = data.decode("utf-8", "replace").strip()
    return error_body_of(value)


def error_body_of(value: Any) -> dict[str, Any]:
    """Returns an error in any format as a body with an `error` object."""
    if isinstance(value, list):
        value = next(iter(cast("list[Any]", value)), None)
    if isinstance(value, Mapping):
        body = dict(cast("Mapping[str, Any]", value))
        if isinstance(body.get("error"), Mapping):
            return body
        if isinstance(text := body.get("error"), str) and text:
            return {**body, "error": {"message": text}}
        if isinstance(code := body.get("error"), int) and not isinstance(code, bool):
            return {**body, "error": {"code": code, "message": str(code)}}
        return {"error": {key: inner for key, inner in body.items() if (key, inner) != ("type", "error")}}
    if isinstance(value, int) and 400 <= value <= 599:
        return {"error": {"code": value, "message": str(value)}}
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return {"error": {"message": text[:_LONGEST] or "The provider reported an error without a message."}}


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
