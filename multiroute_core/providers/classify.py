"""One classification for every SDK and transport: by status, by the vendor's own error type, and by phase.

Exception classes move between SDK versions (an overload is an `InternalServerError` in one and not in another; a stream
that breaks is an httpx, httpx2, aiohttp or requests error), so nothing here imports them. What counts is the HTTP
status, the error's `type`, `code` and `status` in the body, and, for transports, the names of the exception's classes.

Sources for the words below: the vendors' error pages, and the recorded and quoted bodies that the tests replay.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

from multiroute_core import errors
from multiroute_core.errors import RouteError
from multiroute_core.providers.provider import NoAnswer

OVERFLOW = re.compile(
    r"context[_ ]length[_ ]exceeded|exceed_context_size|maximum context length|prompt is too long|"
    r"input token count .*exceeds|exceeds the (model's |available )?(context|maximum number of tokens)|"
    r"request too large|input is too long",
    re.IGNORECASE,
)
QUOTA = re.compile(
    r"insufficient_quota|credit balance|billing_(hard_limit|not_active)|spend_limit|usage[_ ]limit|_balance_exhausted|"
    r"limit: 0\b|PerDay",
    re.IGNORECASE,
)
FILTERED = re.compile(
    r"content_filter|content_policy|ResponsibleAIPolicy|content management policy|MODEL_ARMOR", re.IGNORECASE
)
NOT_ALLOWED = re.compile(
    r"api[_ ]key[_ ](not[_ ]valid|invalid|expired)|invalid[_ ](x-)?api[_ -]key|location is not supported", re.IGNORECASE
)
OVERLOADED = re.compile(r"overloaded|capacity|unavailable", re.IGNORECASE)
RATE_LIMITED = re.compile(r"rate_limit|resource_exhausted|too_many_requests", re.IGNORECASE)
SERVER = re.compile(r"api_error|server_error|internal|\bserver_is", re.IGNORECASE)
RETRY_IN = re.compile(
    r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)? ?(?:ms|minutes?|m|hours?|h|seconds?|s)\b ?)+|"
    r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+)",
    re.IGNORECASE,
)
SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(ms|[hms])", re.IGNORECASE)
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
RETRY_INFO = re.compile(r'"retryDelay": ?"(\d+(?:\.\d+)?)s"')
LONGEST_WAIT = 3600.0
"""Seconds for which a provider is believed at most. A wrong clock or a slip of its would shut a route for good, and to
be refused once an hour costs little."""

TIMEOUTS = {"Timeout", "TimeoutException", "TimeoutError", "APITimeoutError", "ReadTimeout", "DeadlineExceeded"}
DROPS = {"TransportError", "APIConnectionError", "ConnectionError", "ClientError", "RequestException", "OSError"}
"""Names of base classes: httpx, httpx2, aiohttp, requests, urllib3 and the SDKs derive theirs from one of these."""

BY_STATUS: dict[int, type[RouteError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    402: errors.QuotaExhaustedError,
    403: errors.AuthenticationError,
    404: errors.NotFoundError,
    408: errors.AttemptTimeoutError,
    409: errors.ServerError,  # the vendors' SDKs retry it: a lock was held
    413: errors.ContextOverflowError,
    422: errors.BadRequestError,
    429: errors.RateLimitError,
    498: errors.OverloadedError,
    502: errors.ServerError,
    503: errors.OverloadedError,
    504: errors.AttemptTimeoutError,
    529: errors.OverloadedError,
}


def classify(error: Exception) -> RouteError:
    """The class of `error`, with its `__cause__`, status, time to come back and body.

    Args:
        error: Whatever an SDK, a transport or a decoder raised on one try.
    """
    if isinstance(error, RouteError):
        return error
    body = _body(error)
    status = _status(error, body)
    headers = _headers(error)
    words = _words(error, body)
    kind = _kind(error, status, words)
    known: dict[str, Any] = {
        "status": status,
        "retry_after": _retry_after(headers, words) if kind in _MAY_WAIT else None,
        "request_id": headers.get("request-id") or headers.get("x-request-id"),
        "body": body,
    }
    found = kind(_message(error, body), **known)
    found.__cause__ = error
    return found


_MAY_WAIT = (errors.RateLimitError, errors.OverloadedError, errors.ServerError)


def _kind(error: Exception, status: int | None, words: str) -> type[RouteError]:
    if isinstance(error, NoAnswer):
        return errors.ContentFilterError if error.filtered else errors.BadReplyError
    if status is None or status < 400:
        return _by_words(words) or _by_class(error)
    if status in (400, 403, 404, 413, 422, 429) and QUOTA.search(words):
        return errors.QuotaExhaustedError
    if status in (400, 413, 422, 429, 500) and OVERFLOW.search(words):
        return errors.ContextOverflowError
    if status in (400, 403) and FILTERED.search(words):
        return errors.ContentFilterError
    if status in (400, 403) and NOT_ALLOWED.search(words):
        return errors.AuthenticationError
    return BY_STATUS.get(status) or (errors.ServerError if status >= 500 else errors.BadRequestError)


def _by_words(words: str) -> type[RouteError] | None:
    """An error inside a stream comes under HTTP 200: only its words tell."""
    for pattern, kind in (
        (OVERFLOW, errors.ContextOverflowError),
        (QUOTA, errors.QuotaExhaustedError),
        (RATE_LIMITED, errors.RateLimitError),
        (FILTERED, errors.ContentFilterError),
    ):
        if pattern.search(words):
            return kind
    if "invalid_request_error" in words or "INVALID_ARGUMENT" in words:
        return errors.BadRequestError
    if "authentication_error" in words or "permission_error" in words:
        return errors.AuthenticationError
    if OVERLOADED.search(words):
        return errors.OverloadedError
    return errors.ServerError if SERVER.search(words) else None


def _by_class(error: Exception) -> type[RouteError]:
    if isinstance(error, EOFError):
        return errors.BrokenStreamError
    if isinstance(error, ValueError):  # JSONDecodeError, UnknownApiResponseError, msgspec's, protobuf's
        return errors.BrokenStreamError if "unfinished stream" in str(error).lower() else errors.BadReplyError
    names = {cls.__name__ for cause in _causes(error) for cls in type(cause).__mro__}
    if names & TIMEOUTS:
        return errors.AttemptTimeoutError
    if names & DROPS:
        return errors.ConnectionFailedError
    return errors.ServerError if "APIError" in names else errors.BadReplyError


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _body(error: Exception) -> Any:
    """The error's body: `body` in most SDKs, `details` in google-genai; google-generativeai has only the response."""
    for name in ("body", "details"):
        found = getattr(error, name, None)
        if isinstance(found, str):
            with contextlib.suppress(ValueError):
                found = json.loads(found)
        if isinstance(found, Mapping) and found:
            return cast("Mapping[str, Any]", found)
    try:
        found = cast("Any", error).response.json()
    except Exception:
        return None  # there is no response, or its body was not read, or is no JSON
    if isinstance(found, list) and found:  # Google answers a refused stream with an array of one
        found = cast("list[Any]", found)[0]
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else None


def _inner(body: Any) -> Mapping[str, Any]:
    """The innermost error object: the SDKs disagree on how much of the envelope they strip."""
    found: Any = body
    for _ in range(3):
        inner = found.get("error") if isinstance(found, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(inner, Mapping):
            break
        found = inner  # pyright: ignore[reportUnknownVariableType]
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _status(error: Exception, body: Any) -> int | None:
    inner_code = _inner(body).get("code")
    for found in (getattr(error, "status_code", None), getattr(error, "code", None), inner_code):
        if isinstance(found, int) and not isinstance(found, bool) and 100 <= found <= 599:
            return int(found)
    return None


def _headers(error: Exception) -> Mapping[str, str]:
    for cause in _causes(error):
        headers: Any = getattr(getattr(cause, "response", None), "headers", None)
        if headers is not None:
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def _words(error: Exception, body: Any) -> str:
    if isinstance(body, Mapping):
        inner = _inner(cast("Any", body))
        parts = [inner.get(name) for name in ("type", "code", "status", "message", "reason", "innererror", "details")]
        return " ".join(p if isinstance(p, str) else json.dumps(p, default=str) for p in parts if p)
    kind = getattr(error, "type", None)
    return f"{kind} {error}" if isinstance(kind, str) else str(error) if getattr(error, "status_code", None) else ""


def _message(error: Exception, body: Any) -> str:
    said = _inner(body).get("message")
    text = said if isinstance(said, str) and said else str(error)
    text = " ".join(text.split())
    return f"{text[:500] or 'no message'} ({type(error).__name__})"


def _retry_after(headers: Mapping[str, str], words: str) -> float | None:
    """Seconds to wait, as far as they are believed."""
    said = _wait(headers, words)
    return None if said is None else min(said, LONGEST_WAIT)


def _wait(headers: Mapping[str, str], words: str) -> float | None:
    """Seconds to wait, from the headers, Gemini's RetryInfo, or the message."""
    if (value := _number(headers.get("retry-after-ms"))) is not None:
        return value / 1000
    if (value := headers.get("retry-after")) is not None:
        if (seconds := _number(value)) is not None:
            return seconds
        with contextlib.suppress(ValueError, OverflowError):
            moment = email.utils.parsedate_to_datetime(value)
            if moment.tzinfo is None:  # HTTP's dates are in GMT, its oldest form without saying so
                moment = moment.replace(tzinfo=dt.UTC)
            return max(0.0, moment.timestamp() - time.time())
    if found := RETRY_INFO.search(words):
        return float(found[1])
    if found := RETRY_IN.search(words):
        return sum(float(amount) * SECONDS[unit.lower()] for amount, unit in SPAN.findall(found[1]))
    return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < math.inf else None
