"""In-band errors: failures that arrive as a body under HTTP 200, plain or inside a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.errors import UnsupportedError
from multiroute_core.providers import finish
from multiroute_core.providers.body import count, mapping, word
from multiroute_core.providers.provider import NoAnswer, WireError
from multiroute_core.types import Usage

_TEXTS = ("message", "detail", "details", "msg", "error_msg", "errors", "error_message")
"""Members in which a body without an answer describes the error: FastAPI's `detail`, vLLM's `message`, Baidu's
`error_msg`.
"""

MINIMAX: Mapping[int, int] = {
    1000: 500,
    1001: 504,
    1002: 429,
    1004: 401,
    1008: 402,
    1013: 500,
    1024: 500,
    1033: 500,
    1039: 429,
    1041: 429,
    2013: 400,
    2049: 401,
    2056: 429,
}
"""MiniMax reports every error under HTTP 200 in `base_resp.status_code`, which is 0 on success:
https://platform.minimax.io/docs/api-reference/errorcode (2026-11-28).
"""


def has_error(body: Mapping[str, Any]) -> bool:
    """Whether `body["error"]` reports an error; some servers send an empty one with a successful answer."""
    error = body.get("error")
    return any(error.values()) if isinstance(error, dict) else bool(error)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def as_error(
    body: Mapping[str, Any], message: str, *, usage: Usage | None = None, model: str | None = None
) -> WireError:
    """Returns the error that `body["error"]` reports, as an object or a string."""
    error = body.get("error")
    if isinstance(error, Mapping):
        return WireError(message, body, _status(mapping(error)), usage=usage, model=model)
    text = word(error) or _text(body) or message
    return WireError(text, {"error": {"message": text}}, _status(body), usage=usage, model=model)


def no_answer(
    body: Mapping[str, Any], message: str, *, usage: Usage | None = None, model: str | None = None
) -> WireError:
    """Returns the error for a body without an answer, with the server's message if it has one.

    Args:
        body: The body.
        message: What is missing; used if the body has no message.
        usage: The reported token usage.
        model: The reported model.
    """
    if has_error(body):
        return as_error(body, "The provider answered with an error under HTTP 200.", usage=usage, model=model)
    if (code := count(mapping(body.get("base_resp")).get("status_code"))) is not None and code != 0:
        text = word(mapping(body.get("base_resp")).get("status_msg")) or message
        error = {"code": code, "message": text}
        return WireError(text, {"error": error}, MINIMAX.get(code), usage=usage, model=model)
    if (text := _text(body)) is not None:
        return WireError(text, _set_message(body, text), _status(body), usage=usage, model=model)
    return NoAnswer(message, body, usage=usage, model=model)


def is_error(body: Mapping[str, Any]) -> bool:
    """Whether a body without an answer reports an error."""
    if has_error(body) or body.get("object") == "error" or count(mapping(body.get("base_resp")).get("status_code")):
        return True
    return _text(body) is not None


def failed(
    reason: Any,
    body: Any,
    *,
    has_content: bool = True,
    detail: Any = None,
    usage: Usage | None = None,
    model: str | None = None,
) -> WireError | UnsupportedError | None:
    """Returns the error of an answer that ended for `reason`; None if it is not a failure.

    Args:
        reason: The finish reason as the provider wrote it.
        body: The answer.
        has_content: Whether the answer has content: some reasons are a failure only without it.
        detail: The provider's explanation of the reason.
        usage: The reported token usage.
        model: The reported model.
    """
    name = finish.normal_word(reason)
    if not has_content and name in finish.SAYING_NOTHING:
        message = f"The provider ended the answer with {name!r} without a message{_colon(detail)}."
        empty = NoAnswer(message, body, usage=usage, model=model)
        if name != "language":
            return empty
        unsupported = UnsupportedError(message, ability="language", body=body)
        unsupported.__cause__ = empty
        return unsupported
    status = finish.failure_status(name)
    if status is None:
        return None
    message = f"The provider ended the answer with {name!r}{_colon(detail or mapping(reason).get('message'))}."
    if status == finish.MALFORMED:
        return NoAnswer(message, body, usage=usage, model=model)
    return WireError(message, body, status, usage=usage, model=model)


def _colon(detail: Any) -> str:
    return f": {text}" if (text := word(detail)) else ""


def _text(body: Mapping[str, Any]) -> str | None:
    """Returns the error message of a body without an answer."""
    for name in _TEXTS:
        text = body.get(name)
        if isinstance(text, str) and text:
            return text
        if isinstance(text, list | dict) and text and name != "message":
            return str(text)  # pyright: ignore[reportUnknownArgumentType]
    return None


def _set_message(body: Mapping[str, Any], text: str) -> Mapping[str, Any]:
    """Returns the body with `text` as its `message`."""
    return body if body.get("message") == text else {**body, "message": text}


def _status(error: Mapping[str, Any]) -> int | None:
    """Returns the HTTP status that an error gives as a string, such as `"429"`; `classify` reads numeric codes."""
    for name in ("code", "status_code", "status", "http_code"):
        status = error.get(name)
        if isinstance(status, str | float) and (code := count(status)) is not None and 400 <= code <= 599:
            return code
        if name != "code" and isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599:
            return status
    return None
