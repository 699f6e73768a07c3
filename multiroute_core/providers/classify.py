"""Error classification by status, body and phase, shared by all SDKs, transports and wrapped models.

How this works: `error_chain` finds status, headers and body anywhere in the exception chain, `error_body` parses the
body in any envelope, `error_words` and `unsupported` map codes and wordings to meanings, and this module decides.
Exception classes move between SDK versions (an overload is an `InternalServerError` in one and not in another; a broken
stream is an httpx, httpx2, aiohttp or requests error), so nothing here imports them, and a class name counts only if
there is no other evidence.

The cause is decided before the severity. A 400 about the account, the model or a filter is not the request's fault, so
fallback is allowed. A policy refusal or an unsupported feature does not affect the route's health.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from multiroute_core import errors
from multiroute_core._util.json_text import nests_too_deep, prune
from multiroute_core._util.redaction import without_secrets
from multiroute_core.errors import RouteError
from multiroute_core.providers import error_chain as chain
from multiroute_core.providers import error_words as words_of
from multiroute_core.providers.encoding_errors import read_encoding_error
from multiroute_core.providers.error_body import ErrorBody, read_body
from multiroute_core.providers.error_names import class_by_name, class_of_refusal, explain_shortage
from multiroute_core.providers.error_words import Meaning
from multiroute_core.providers.provider import UNREADABLE, NoAnswer, UnreadableReply, WireError
from multiroute_core.providers.retry_after import LONGEST_WAIT, read_retry_after
from multiroute_core.providers.unsupported import read_ability, read_beside

__all__ = ["LONGEST_WAIT", "classify"]

logger = logging.getLogger("multiroute_core")

CLASSES: Mapping[Meaning, type[RouteError]] = {
    "overflow": errors.ContextOverflowError,
    "quota": errors.QuotaExhaustedError,
    "filter": errors.ContentFilterError,
    "account": errors.AuthenticationError,
    "not_found": errors.NotFoundError,
    "rate_limit": errors.RateLimitError,
    "overloaded": errors.OverloadedError,
    "timeout": errors.AttemptTimeoutError,
    "server": errors.ServerError,
    "bad_request": errors.BadRequestError,
    "reasoning_history": errors.UnsupportedError,
}

BY_STATUS: dict[int, type[RouteError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    402: errors.QuotaExhaustedError,
    403: errors.AuthenticationError,
    404: errors.NotFoundError,
    405: errors.NotFoundError,  # the URL belongs to another API
    406: errors.UnsupportedError,
    407: errors.APIConnectionError,  # from a proxy, not from the provider
    408: errors.AttemptTimeoutError,
    409: errors.ServerError,  # a lock was held; the providers' SDKs retry it
    410: errors.NotFoundError,
    413: errors.ContextOverflowError,
    415: errors.UnsupportedError,  # this server does not support a format that others do
    420: errors.RateLimitError,
    414: errors.BadRequestError,
    416: errors.BadRequestError,
    418: errors.BadRequestError,
    422: errors.BadRequestError,
    431: errors.BadRequestError,
    423: errors.ServerError,
    424: errors.ServerError,  # Bedrock's ModelErrorException
    425: errors.ServerError,
    429: errors.RateLimitError,
    430: errors.RateLimitError,
    434: errors.AuthenticationError,  # Zhipu: no permission for this API
    451: errors.AuthenticationError,  # unavailable in this region; a filter is recognized by its wording
    498: errors.OverloadedError,
    499: errors.ServerError,  # cancelled upstream: Google's CANCELLED, nginx
    502: errors.ServerError,
    503: errors.OverloadedError,
    504: errors.AttemptTimeoutError,
    511: errors.APIConnectionError,
    522: errors.AttemptTimeoutError,  # Cloudflare: no connection to the origin in time
    524: errors.AttemptTimeoutError,
    529: errors.OverloadedError,
    598: errors.AttemptTimeoutError,
    599: errors.AttemptTimeoutError,
}
PAGES = frozenset((401, 404, 405, 407, 408, 410, 413, 429))
"""4xx statuses of an HTML page that keep their meaning. Any other 4xx page comes from a firewall or proxy ("Just a
moment…"), which judges neither the key nor the request, so it counts as a transient server error.
"""


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What is known about one failed call, collected from its exception chain.

    Attributes:
        error: The exception.
        status: The HTTP status; None if unknown.
        headers: The response headers, by lower-case name.
        body: The error body.
        error_body: The parsed error body.
        words: All text of `error_body`, for pattern matching.
    """

    error: Exception
    status: int | None
    headers: Mapping[str, str]
    body: Any
    error_body: ErrorBody
    words: str


def classify(error: Exception) -> RouteError:
    """Returns `error` as a `RouteError`, with its `__cause__`, status, retry-after time, request id and body.

    Args:
        error: Any exception that an SDK, a transport or a decoder raised in one attempt.
    """
    if isinstance(error, RouteError):
        return error
    try:
        return _classify(error)
    except Exception as failure:  # the response determines the values handled here, so any exception is possible
        logger.warning("An error of type %s could not be classified: %r", type(error).__name__, failure)
        result = errors.InvalidResponseError(f"The provider's error could not be read ({type(error).__name__}).")
        result.__cause__ = error
        return result


def _classify(error: Exception) -> RouteError:
    report = _report(error)
    if report.status is None and (shortage := explain_shortage(error)) is not None:
        unsent = errors.APIConnectionError(shortage)
        unsent.__cause__ = error
        unsent.counts_against_breaker = False
        return unsent
    message = None if report.status is not None else read_encoding_error(error)
    if message is not None:
        kind = errors.BadRequestError
        ability = ""
    else:
        message = _message(report)
        kind, ability = _kind(report)
    details: dict[str, Any] = {
        "status": report.status,
        "retry_after": _retry_after(report, kind) if issubclass(kind, _MAY_WAIT) else None,
        "request_id": _request_id(report.headers),
        "body": report.body,
    }
    if issubclass(kind, errors.UnsupportedError):
        details["ability"] = ability
        details["beside"] = read_beside(report.error_body, ability)
    result = kind(message, **details)
    result.__cause__ = error
    return result


def _retry_after(report: ErrorReport, kind: type[RouteError]) -> float | None:
    headers = {**report.error_body.headers, **report.headers}
    return read_retry_after(headers, report.words, limited=issubclass(kind, errors.RateLimitError))


_MAY_WAIT = (errors.RateLimitError, errors.OverloadedError, errors.ServerError)
_REQUEST_IDS = ("request-id", "x-request-id", "x-amzn-requestid", "apim-request-id")


def _report(error: Exception) -> ErrorReport:
    status: int | None = None
    headers: Mapping[str, str] | None = None
    body = cast("Any", None)
    codes: list[str] = []
    delay = ""
    speaker: BaseException = error
    for cause in chain.causes(error):
        if status is None and (status := chain.status_of(cause)) is not None:
            speaker = cause
        headers = chain.headers_of(cause) if headers is None else headers
        body = chain.body_of(cause) if body is None else body
        codes = codes or chain.codes_of(cause)
        delay = delay or chain.grpc_details(cause)
    if nests_too_deep(body):
        body = prune(body)
    error_body = read_body(body)
    error_body.codes.extend(code for code in codes if code not in error_body.codes)
    if delay:
        error_body.dumps.append(delay)
    if status is None or status < 400:
        status = error_body.status if error_body.status is not None else status
    if not error_body.messages and not isinstance(error, WireError):
        if status is None:
            speaker, status = _speaker(error)
        if status is not None:
            error_body = _with_text(error_body, _text(speaker))
    if isinstance(body, list):
        body = next(iter(cast("list[Any]", body)), None)  # Google sends a refused stream's error as an array of one
    if not isinstance(body, Mapping):
        body = None  # an HTML page or plain text is in the message
    headers = headers or {}
    error_body.page = error_body.page or "text/html" in headers.get("content-type", "") or "cf-mitigated" in headers
    return ErrorReport(error, status, headers, body, error_body, error_body.words)


def _speaker(error: Exception) -> tuple[BaseException, int | None]:
    """Returns the exception of the chain whose text states an HTTP status, and the status."""
    for cause in chain.causes(error):
        if (status := chain.status_in_text(cause)) is not None:
            return cause, status
    return error, None


def _text(error: BaseException) -> str:
    text: Any = getattr(error, "message", None)
    return text if isinstance(text, str) and text else str(error)


def _with_text(error_body: ErrorBody, text: str) -> ErrorBody:
    """Returns `error_body` with the exception's own text, for a body without a readable message."""
    read = read_body(text)
    read.codes = [*error_body.codes, *(code for code in read.codes if code not in error_body.codes)]
    read.dumps += error_body.dumps
    return read


def _kind(report: ErrorReport) -> tuple[type[RouteError], str]:
    """Returns the error class, and the capability that the route lacks."""
    error = report.error
    status = report.status
    error_body = report.error_body
    words = report.words
    if isinstance(error, NoAnswer) and (error.filtered or not error_body.messages):
        return (errors.ContentFilterError if error.filtered else errors.InvalidResponseError), ""
    error_status = status if status is not None and status >= 400 else None
    if error_body.page and error_status is not None:
        if 400 <= error_status < 500 and error_status not in PAGES:
            return errors.ServerError, ""
        return _by_status(error_status), ""
    if error_status in (400, 403, 404) and words_of.ACCOUNT_FILE.search(words):
        return errors.UnsupportedError, "file"  # another account holds it, or it is deleted
    if error_status is None or error_status < 500 or error_status in (500, 501):
        meaning = _meaning(report, error_status)
        if meaning is not None:
            return CLASSES[meaning], meaning if meaning == "reasoning_history" else ""
        if (named := class_of_refusal(error)) is not None:
            return named, ""
        if error_status in (None, 400, 404, 405, 415, 422, 500, 501):
            ability = read_ability(error_body, failed=error_status in (500, 501))
            if ability is not None:
                return errors.UnsupportedError, ability
    elif (_by_code(error_body) == "not_found" and "model" in words) or (  # a gateway's 503 for an unknown model
        error_status == 503 and words_of.NO_CHANNEL.search(words)
    ):
        return errors.NotFoundError, ""
    if error_body.vendor is not None and (error_status is None or error_status < 500):
        return CLASSES[error_body.vendor], ""
    if error_status is not None:
        code = _by_code(error_body)
        if error_status in (400, 403) and code in ("account", "not_found", "rate_limit", "overloaded", "timeout"):
            return CLASSES[code], ""
        return _by_status(error_status), ""
    return _without_status(report)


def _without_status(report: ErrorReport) -> tuple[type[RouteError], str]:
    """Returns the class of an error inside a stream, of a transport, or of a library that keeps no status."""
    kind = _by_words(report) or class_by_name(report.error)
    if kind is not errors.InvalidResponseError or report.error_body.messages or isinstance(report.error, WireError):
        return kind, ""
    for cause in chain.causes(report.error):
        if isinstance(cause, ValueError | LookupError):
            break  # a decoder's, whose text quotes the reply
        error_body = _with_text(report.error_body, _text(cause))
        spoken = replace(report, error_body=error_body, words=error_body.words)
        if (meaning := _meaning(spoken, None)) is not None:
            return CLASSES[meaning], meaning if meaning == "reasoning_history" else ""
        if (ability := read_ability(error_body)) is not None:
            return errors.UnsupportedError, ability
        if (found := _by_words(spoken)) is not None:
            return found, ""
    return kind, ""


def _by_status(status: int) -> type[RouteError]:
    """Returns the class of a status; a 4xx that says nothing about a request comes from a gateway (421, 446)."""
    return BY_STATUS.get(status, errors.ServerError)


def _meaning(report: ErrorReport, status: int | None) -> Meaning | None:
    """Returns the cause according to codes and wordings; None if they do not decide it."""
    error_body = report.error_body
    words = report.words
    if not words:
        return None
    code = error_body.vendor or _by_code(error_body)
    failed = status is not None and status >= 500
    if code == "filter" or ((status is None or status in _FILTERING) and _is_filter(words)):
        return "filter"
    if not failed and status != 402 and (code == "quota" or words_of.QUOTA.search(words)):
        return "quota"
    if words_of.REASONING_HISTORY.search(words):
        return "reasoning_history"
    if not failed and (
        (code == "not_found" and status in (None, 400, 412, 422))
        or (status in (None, 400, 412, 422) and words_of.NOT_FOUND.search(words))
    ):
        return "not_found"
    if _may_be_account(status, code, words) and words_of.ACCOUNT.search(words):
        return "account"
    if status not in (401, 402, 403) and _is_overflow(report, status, code):
        return "overflow"
    if status == 413 and words_of.PER_SPAN.search(words):
        return "rate_limit"
    return "overloaded" if status == 429 and code == "overloaded" else None


_FILTERING = frozenset((400, 403, 406, 409, 412, 422, 424, 446, 451))
"""Statuses of a filter's refusal: Cloudflare's gateway sends 424, Portkey 412 and 446."""


def _may_be_account(status: int | None, code: Meaning | None, words: str) -> bool:
    """Whether words about an account decide; a 404 without a code may be about the account's settings (OpenRouter)."""
    if status == 404:
        return code is None and not words_of.NOT_FOUND.search(words)
    return status in (None, 400, 403, 412, 422, 429)


def _is_filter(words: str) -> bool:
    """Whether a content filter refused; accounts suspended for a violation are described in the same words."""
    return bool(words_of.FILTERED.search(words)) and not words_of.ACCOUNT.search(words)


def _is_overflow(report: ErrorReport, status: int | None, code: Meaning | None) -> bool:
    """Whether the prompt is too long for the model's context window, or for one request under the account's limits.

    "Request too large … tokens per minute (TPM): Limit 6000, Requested 7000" is not a rate limit to wait for: the
    request never fits, but a smaller one does at once. So the next route is tried, this one is not retried, and its
    circuit breaker stays closed for other requests.
    """
    if code == "overflow":
        return status != 429 or not words_of.PER_SPAN.search(report.words)
    if not words_of.OVERFLOW.search(report.words):
        return False
    if words_of.PER_SPAN.search(report.words):
        numbers = words_of.LIMIT_AND_REQUESTED.search(report.words)
        too_large = int(numbers[2]) > int(numbers[1]) if numbers else status in (413, 429)
        return too_large and words_of.TOO_LARGE.search(report.words) is not None
    param = (report.error_body.param or "").partition(".")[0].partition("[")[0]
    return param in _LONG if param else code in (None, "bad_request", "server")


_LONG = frozenset(
    (
        *("messages", "input", "inputs", "prompt", "contents", "system", "instructions", "input_tokens", "content"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"),
    )
)
"""Parameters whose length is the prompt's; other values, such as a tool's name, may be too long as well."""


def _by_code(error_body: ErrorBody) -> Meaning | None:
    """Returns the most specific meaning of the codes; `invalid_request_error` comes together with `model_not_found`."""
    meanings = {words_of.CODE_MEANINGS[code] for code in error_body.codes if code in words_of.CODE_MEANINGS}
    return next((meaning for meaning in CLASSES if meaning in meanings), None)


def _by_words(report: ErrorReport) -> type[RouteError] | None:
    """Classify by codes and wordings alone: an error inside a stream has HTTP status 200."""
    code = _by_code(report.error_body)
    if code is not None:
        return CLASSES[code]
    if report.error_body.invalid:
        return errors.BadRequestError
    for pattern, kind in (
        (words_of.RATE_LIMITED, errors.RateLimitError),
        (words_of.OVERLOADED, errors.OverloadedError),
        (words_of.SERVER, errors.ServerError),
    ):
        if pattern.search(report.words):
            return kind
    if isinstance(report.error, UnreadableReply) or UNREADABLE in report.error_body.codes:
        return errors.InvalidResponseError
    return errors.ServerError if report.error_body.messages and isinstance(report.body, Mapping) else None


def _request_id(headers: Mapping[str, str]) -> str | None:
    return next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)


def _message(report: ErrorReport) -> str:
    message = next(iter(report.error_body.messages), "")
    if report.error_body.page:
        message = f"The server returned a web page instead of an API response: {message or 'no title'}"
    text = " ".join((message or str(report.error)).split())
    return f"{without_secrets(text)[:500] or 'no message'} ({type(report.error).__name__})"
