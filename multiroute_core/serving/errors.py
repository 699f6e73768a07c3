"""HTTP errors: the status, the headers and the body with which a server answers what went wrong in a router.

The bodies are those of OpenAI's API (https://platform.openai.com/docs/guides/error-codes, 2026-11-30) and of
Anthropic's (https://platform.claude.com/docs/en/api/errors, 2026-11-30). A provider's own words are not repeated: they
may quote the prompt, a key or an address. Hooks, the ledger and logs have them.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from multiroute_core import errors as e
from multiroute_core._util.redaction import without_secrets

_log = logging.getLogger(__name__)

_WORD = re.compile(r"[\w.\[\]-]{1,80}")
"""What may be repeated of a provider's error body: the name of a parameter or a code."""

_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HTTPFailure:
    """What an API answers in place of a response.

    Attributes:
        status: The HTTP status.
        message: One sentence.
        type: The class of the error, in OpenAI's words.
        code: A more precise code; None if there is none.
        param: The parameter at fault; None if there is none.
        retry_after: Seconds after which a retry makes sense; None if unknown.
        retryable: False if no retry helps, although the status suggests one; None leaves it to the client.
        details: What Anthropic's clients read beside the type of an error, such as `error_code`; None if there is
            nothing.
    """

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    retryable: bool | None = None
    details: Mapping[str, Any] | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers: `retry-after` in whole seconds (RFC 9110, section 10.2.3), and `x-should-retry`.

        OpenAI's and Anthropic's SDKs obey both (`_base_client.py` of openai 2.54.0, read 2026-11-30).
        """
        headers: dict[str, str] = {}
        if self.retry_after is not None and math.isfinite(self.retry_after):
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        if self.retryable is not None:
            headers["x-should-retry"] = str(self.retryable).lower()
        return headers

    def to_openai(self) -> dict[str, Any]:
        """Return the body of OpenAI's APIs."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def to_anthropic(self, request_id: str | None = None) -> dict[str, Any]:
        """Return the body of Anthropic's API."""
        kind = _ANTHROPIC.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")
        error: dict[str, Any] = {"type": kind, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return {"type": "error", "error": error, "request_id": request_id}


_ANTHROPIC = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class RefusedCall(Exception):
    """A call that the server itself refuses, before the router sees it."""

    def __init__(self, failure: HTTPFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def refuse(
    message: str,
    *,
    status: int = 400,
    param: str | None = None,
    code: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> RefusedCall:
    """Build the error for a call that is not valid."""
    return RefusedCall(HTTPFailure(status, message, code=code, param=param, details=details))


def http_error(error: BaseException) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return the status, the headers and the JSON body for an error, as OpenAI's API writes errors.

    Neither a key, a prompt nor an address is in the body. A problem with the router's own upstream keys is a 502, never
    a 401.

    Args:
        error: What a call of a router has raised.

    Example:
        >>> from multiroute_core import LimitExceededError
        >>> status, headers, body = http_error(LimitExceededError("Too many calls.", retry_after=2.5))
        >>> status, headers, body["error"]["code"]
        (429, {'retry-after': '3'}, 'rate_limit_exceeded')
    """
    failure = describe_error(error)
    return failure.status, failure.headers(), failure.to_openai()


def describe_error(error: BaseException) -> HTTPFailure:
    """Return what an API answers for an error that a router has raised."""
    match error:
        case RefusedCall():
            return error.failure
        case e.PromptTooLongError():
            return HTTPFailure(400, str(error), code="context_length_exceeded", param="messages")
        case e.ConfigurationError():
            return HTTPFailure(400, _clean(str(error)))
        case e.BudgetExceededError():
            message = f"The budget {error.budget!r} does not cover this call."
            return HTTPFailure(
                429, message, "insufficient_quota", "insufficient_quota", None, error.retry_after, retryable=False
            )
        case e.LimitExceededError():
            message = f"The limit {error.limit!r} ({error.kind} of this {error.scope}) is reached; retry later."
            return HTTPFailure(429, message, "rate_limit_error", "rate_limit_exceeded", retry_after=error.retry_after)
        case e.GuardBlockedError():
            message = f"The content was blocked by a guard: {_clean(error.reason) or 'not allowed'}."
            return HTTPFailure(400, message, code="content_filter", retryable=False)
        case e.DeadlineExceededError():
            return HTTPFailure(504, "No model answered before the deadline.", "server_error", "deadline_exceeded")
        case e.AllRoutesFailedError():
            return _describe_all(error)
        case e.RouteError():
            return _describe_route_error(error)
        case _:
            _log.error("A call failed with %s.", _locate(error))
            return HTTPFailure(500, "The server had an error while it handled the call.", "server_error")


def _locate(error: BaseException) -> str:
    """Return the type of an error and where it was raised. Its message may quote content."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    place = "" if traceback is None else f" in {traceback.tb_frame.f_code.co_qualname}, line {traceback.tb_lineno}"
    return f"{type(error).__name__}{place}"


def _describe_all(error: e.AllRoutesFailedError) -> HTTPFailure:
    """Return the failure that all attempts share, otherwise a general one."""
    failures = [_describe_route_error(one) for one in error.errors]
    first = failures[0] if failures else None
    if first is not None and all((one.status, one.code) == (first.status, first.code) for one in failures):
        if first.status == 429:
            waits = [wait for wait in (error.retry_after, first.retry_after) if wait is not None]
            return replace(first, retry_after=min(waits, default=1.0))
        return first if first.status < 500 or not error.retry_after else replace(first, retry_after=error.retry_after)
    if first is None and error.skipped and all(_is_rate_limited(reason) for reason in error.skipped.values()):
        return replace(_RATE_LIMITED, retry_after=error.retry_after or 1.0)
    if error.retry_after is not None or first is None:
        message = "No model can take the call now; retry later."
        return HTTPFailure(503, message, "server_error", "no_route_available", retry_after=error.retry_after or 1.0)
    return HTTPFailure(502, "All models failed.", "server_error", "all_routes_failed")


def _is_rate_limited(reason: str) -> bool:
    """Whether a route was skipped for a limit, by the words of `resilience.admission.Rejection`."""
    return any(words in reason for words in ("rate-limited", "rpm or tpm", "concurrency limit"))


_RATE_LIMITED = HTTPFailure(
    429, "The models' rate limits are reached; retry later.", "rate_limit_error", "rate_limit_exceeded"
)


def _describe_route_error(error: e.RouteError) -> HTTPFailure:
    for kind, describe in _ROUTE_ERRORS:
        if isinstance(error, kind):
            return describe(error)
    return HTTPFailure(502, "The model failed.", "server_error", error.code)


def _describe_bad_request(error: e.RouteError) -> HTTPFailure:
    body = _to_mapping(error.body)
    details = _to_mapping(body.get("error")) or body
    param = _word(details.get("param"))
    code = _word(details.get("code"))
    about = f", at {param!r}" if param else ""
    return HTTPFailure(400, f"The model's provider rejects the request{about}.", code=code, param=param)


def _to_mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) and without_secrets(value) == value else None


def _clean(message: str) -> str:
    """Return a message of our own without addresses and keys that a value in it may have."""
    return _ADDRESS.sub("…", without_secrets(message))


def _build_description(failure: HTTPFailure) -> Callable[[e.RouteError], HTTPFailure]:
    def describe(error: e.RouteError) -> HTTPFailure:
        return failure if error.retry_after is None else replace(failure, retry_after=error.retry_after)

    return describe


_TABLE: Sequence[tuple[type[e.RouteError], int, str, str, str]] = (
    (
        e.ContextOverflowError,
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "The input exceeds the context window of every model that could answer.",
    ),
    (
        e.UnsupportedError,
        400,
        "invalid_request_error",
        "unsupported",
        "No model that could answer supports everything that the request needs.",
    ),
    (
        e.ContentFilterError,
        400,
        "invalid_request_error",
        "content_filter",
        "The provider's content filter blocked the request.",
    ),
    (
        e.AuthenticationError,
        502,
        "server_error",
        "upstream_authentication",
        "The server's own access to the model was rejected; its operator has to check the key.",
    ),
    (
        e.NotFoundError,
        502,
        "server_error",
        "upstream_not_found",
        "The provider does not know the model; the server's operator has to check the route.",
    ),
    (
        e.QuotaExhaustedError,
        503,
        "server_error",
        "upstream_quota",
        "The server's quota with the provider is used up.",
    ),
    (
        e.OverloadedError,
        503,
        "server_error",
        "overloaded",
        "The model has no capacity now; retry later.",
    ),
    (
        e.AttemptTimeoutError,
        504,
        "server_error",
        "timeout",
        "The model did not answer in time.",
    ),
    (
        e.StreamInterruptedError,
        502,
        "server_error",
        "stream_interrupted",
        "The model's stream broke before it was complete.",
    ),
    (
        e.RefusalError,
        502,
        "server_error",
        "refusal",
        "No model gave an answer that is not a refusal.",
    ),
    (
        e.RejectedAnswerError,
        502,
        "server_error",
        "rejected_answer",
        "No model gave an answer that passes the server's checks.",
    ),
)

_ROUTE_ERRORS: Sequence[tuple[type[e.RouteError], Callable[[e.RouteError], HTTPFailure]]] = (
    *(
        (kind, _build_description(HTTPFailure(status, message, group, code)))
        for kind, status, group, code, message in _TABLE
    ),
    (e.RateLimitError, lambda error: replace(_RATE_LIMITED, retry_after=error.retry_after or 1.0)),
    (e.BadRequestError, _describe_bad_request),
)
