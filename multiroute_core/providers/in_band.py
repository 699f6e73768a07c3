"""In-band errors: failures that arrive as a body under HTTP 200, plain or inside a stream.

How this works: `is_error` decides whether a body without an answer reports an error, `is_error_event` does so for an
event of a stream, which may also report progress, and `no_answer` builds the error. All others only ask `has_error`,
because what stands beside an answer is rarely an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.errors import UnsupportedError
from multiroute_core.providers import finish
from multiroute_core.providers.body import array, count, mapping, word
from multiroute_core.providers.error_body import read_body
from multiroute_core.providers.error_words import CODE_MEANINGS
from multiroute_core.providers.provider import NoAnswer, WireError
from multiroute_core.types import Usage

_TEXTS = ("message", "detail", "details", "msg", "error_msg", "errors", "error_message", "Message", "errorMessage")
"""Members in which a body without an answer describes the error: FastAPI's `detail`, vLLM's `message`, Baidu's
`error_msg`.
"""

_ERROR_CODES = ("error_type", "error_code", "errorCode", "errorType", "err_code")
"""Members that only an error has: hermes-agent#65643 (2026-07-16) has `error_type` beside `"choices": null`."""

_CODES = ("code", "status_code", "statusCode", "status", "http_code", *_ERROR_CODES)
_ENVELOPES = ("data", "response", "result", "header", "body")
"""Members in which gateways wrap another server's body; iFlytek puts its code into `header`."""

_NOTHING = frozenset(
    (
        *(
            "",
            "0",
            "200",
            "ok",
            "success",
            "succeeded",
            "completed",
            "done",
            "none",
            "null",
            "nil",
            "undefined",
            "n/a",
            "false",
        ),
        *("no error", "no_error", "no errors", "no_errors", "noerror"),
    )
)
"""Codes and messages of a success, in lower case: some servers write them into every chunk (iFlytek's `code` 0)."""

_COMPLAINT = re.compile(
    r"error|fail|exceed|invalid|denied|unauthori[sz]ed|forbidden|unavailable|overload|too many|limit|quota|throttl|"
    r"\bbusy\b|capacity|\bnot\b|n[’']t\b|unable|cannot|time[ds]?[ -]?out|exhaust|insufficient|expired|blocked|"
    r"refus|abort|crash|错|败|限|不足|无效|异常|忙|不存在|不支持|过期|禁",
    re.IGNORECASE,
)
"""What only the message of an error says."""

_PROGRESS = frozenset(
    (
        *("status", "progress", "ping", "pong", "keepalive", "keep-alive", "keep_alive", "heartbeat", "info", "notice"),
        *(
            "warning",
            "warn",
            "debug",
            "log",
            "metadata",
            "queue",
            "queued",
            "pending",
            "waiting",
            "starting",
            "started",
        ),
        *("loading", "running", "processing", "in_progress", "in-progress", "working", "thinking", "searching", "step"),
        *("generating", "streaming", "connected", "accepted", "retry", "retrying", "reconnecting", "fallback"),
    )
)
"""Values of `type` and `status` of events that report progress; the message may be about a failure that was mended."""

_FAILED = frozenset({"error", "failed", "failure", "fail"})
"""Values of `status` and `object` of an error."""

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
    if not error:
        return False
    if isinstance(error, list):
        return any(has_error({"error": each}) for each in cast("list[Any]", error))
    return not _is_nothing(error) and not (isinstance(error, dict) and _is_success(mapping(error)))


def has_failed_base(body: Mapping[str, Any]) -> bool:
    """Whether MiniMax's `base_resp` reports an error, which it also does beside an empty choice."""
    return count(mapping(body.get("base_resp")).get("status_code")) not in (None, 0, 200)


def as_error(
    body: Mapping[str, Any], message: str, *, usage: Usage | None = None, model: str | None = None
) -> WireError:
    """Returns the error that `body["error"]` reports: an object, a string, a number, or a list of these."""
    error = body.get("error")
    if isinstance(error, list):
        error = next(iter(array(error)), None)
        body = {**body, "error": error}
    if isinstance(error, Mapping):
        return WireError(message, body, _status(mapping(error)), usage=usage, model=model)
    status = _status({"code": float(error)}) if isinstance(error, int) else None
    text = word(error) or _text(body) or message
    return WireError(text, {"error": {"message": text}}, status or _status(body), usage=usage, model=model)


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
    body = _unwrap(body)
    if has_error(body):
        return as_error(body, "The provider answered with an error under HTTP 200.", usage=usage, model=model)
    if has_failed_base(body):
        base = mapping(body["base_resp"])
        code = count(base.get("status_code")) or 0
        text = word(base.get("status_msg")) or message
        error = {"status_code": code, "status_msg": text}
        return WireError(text, {"base_resp": error}, MINIMAX.get(code), usage=usage, model=model)
    if (text := _text(body)) is not None:
        texts = read_body(body).messages
        if not texts:
            body = {**body, "message": text}
        return WireError(next(iter(texts), text), body, _status(body), usage=usage, model=model)
    return NoAnswer(message, body, usage=usage, model=model)


def is_error(body: Mapping[str, Any]) -> bool:
    """Whether a body without an answer reports an error."""
    if _reports_error(body):
        return True
    if _is_success(body) or body.get("object") == "chat.completion.chunk":
        return False
    return _text(body) is not None


def is_error_event(payload: Mapping[str, Any]) -> bool:
    """Whether an event without content reports an error; one that reports progress may have a message as well.

    An event counts as an error if a code or its type says so, if it has nothing but a message, or if the message does.
    """
    kind = payload.get("type")
    name = kind.lower() if isinstance(kind, str) else ""
    if name in ("error", "response.error"):
        return True
    if "." in name:  # an event of the API; those with two dots are about an item, such as a call that failed
        return name.count(".") == 1 and (has_error(payload) or has_failed_base(payload))
    if _reports_error(payload):
        return True
    if (text := _text(payload)) is None or name in _PROGRESS:
        return False
    codes = {member: payload[member] for member in _CODES if payload.get(member) is not None}
    if any(_is_code_of_error(code, named=member != "status" and not name) for member, code in codes.items()):
        return True
    if _is_code_of_error(kind, named=False) or payload.get("object") == "chat.completion.chunk":
        return kind is not None
    is_bare = not codes and not name and not payload.get("object") and payload.get("success") is None
    return is_bare or (str(codes.get("status")).lower() not in _PROGRESS and _COMPLAINT.search(text) is not None)


def _is_code_of_error(code: Any, *, named: bool) -> bool:
    """Whether a code is one of an error.

    Args:
        code: The code, or the type of an event.
        named: Whether an unknown word counts.
    """
    if not _is_failing(code):
        return False
    if (number := count(code)) is not None:
        return not 100 <= number < 400
    text = str(code).strip().lower()
    if text in _PROGRESS:
        return False
    return named or text in CODE_MEANINGS or finish.failure_status(finish.normal_word(text)) is not None


def error_beside_nothing(body: Any, *, usage: Usage | None = None, model: str | None = None) -> WireError | None:
    """Returns the error that a body, or the last event of a stream, reports beside an empty answer; None if none."""
    event: Mapping[str, Any] = mapping(body)
    for place in (event, mapping(event.get("response"))):
        has_code = any(_is_code_of_error(place.get(name), named=False) for name in _CODES[:3])
        if _reports_error(place) or array(place.get("errors")) or (has_code and _text(place) is not None):
            return no_answer(place, "The answer is empty, and its body reports an error.", usage=usage, model=model)
    return None


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


def missing_call(body: Any, *, usage: Usage | None = None, model: str | None = None) -> NoAnswer:
    """Returns the error of an answer that says nothing and ends for a tool call that it does not contain.

    Reported of vLLM (vllm-project/vllm#53255, 2026-08-21) and of Anthropic (earendil-works/pi#9681, 2026-09-16).
    """
    message = "The answer ends for a tool call, but contains neither a complete call nor any text."
    return NoAnswer(message, body, usage=usage, model=model)


def unended(body: Any, *, usage: Usage | None = None, model: str | None = None) -> NoAnswer:
    """Returns the error of an answer with neither content nor a reason for its end."""
    return NoAnswer("The answer is empty, and has no finish reason.", body, usage=usage, model=model)


def _colon(detail: Any) -> str:
    return f": {text}" if (text := word(detail)) else ""


def _reports_error(body: Mapping[str, Any]) -> bool:
    """Whether a body reports an error by more than a message."""
    if has_error(body) or has_failed_base(body) or body.get("success") is False:
        return True
    if body.get("object") == "error" or str(body.get("status")).lower() in _FAILED:
        return True
    if any(_is_failing(body.get(name)) for name in _ERROR_CODES):
        return True
    return _unwrap(body) is not body


def _unwrap(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the error inside an envelope, such as AWS's `{"throttlingException": {"message": …}}`; else `body`."""
    if has_error(body):
        return body
    for name, value in body.items():
        inner: Mapping[str, Any] = mapping(value)
        if not inner:
            continue
        if name in ("Error", "fault") or name.endswith("Exception"):
            more = {"type": name} if name.endswith("Exception") else {}
            texts = {"message": text} if (text := word(inner.get("faultstring"))) else {}
            return {"error": {**more, **inner, **texts}}
        if name in _ENVELOPES and (has_error(inner) or (_is_failing(inner.get("code")) and _text(inner) is not None)):
            return inner
    return body


def _is_nothing(value: Any) -> bool:
    """Whether a value of an error says that there is none."""
    if isinstance(value, dict):
        return all(not inner or (isinstance(inner, str) and _is_nothing(inner)) for inner in mapping(value).values())
    if isinstance(value, bool | list):
        return not value or value == [None]
    return not value or str(value).strip().rstrip(".!").lower() in _NOTHING


def _is_success(fields: Mapping[str, Any]) -> bool:
    """Whether a code says that there is no error, and no message contradicts it."""
    codes = [fields[name] for name in _CODES if fields.get(name) is not None]
    if not codes or any(_is_failing(code) for code in codes):
        return False
    texts = [str(fields.get(name) or "") for name in ("message", "msg", "error_msg")]
    return all(_is_nothing(text) or not _COMPLAINT.search(text) for text in texts)


def _is_failing(code: Any) -> bool:
    """Whether a code is one of an error."""
    return code is not None and not isinstance(code, bool | dict | list) and str(code).strip().lower() not in _NOTHING


def _text(body: Mapping[str, Any]) -> str | None:
    """Returns the error message of a body without an answer."""
    for name in _TEXTS:
        text = body.get(name)
        if isinstance(text, str) and text:
            return text
        if isinstance(text, list | dict) and text and name != "message":
            return str(text)  # pyright: ignore[reportUnknownArgumentType]
    return None


def _status(error: Mapping[str, Any]) -> int | None:
    """Returns the HTTP status that an error gives as a string, such as `"429"`; `classify` reads numeric codes."""
    for name in ("code", "status_code", "status", "http_code"):
        status = error.get(name)
        if isinstance(status, str | float) and (code := count(status)) is not None and 400 <= code <= 599:
            return code
        if name != "code" and isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599:
            return status
    return None
