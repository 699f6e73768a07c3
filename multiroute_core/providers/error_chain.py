"""Exception chains: find status, headers and body of a failed call anywhere in its exception chain.

Frameworks wrap the SDKs' errors, and cloud libraries use formats of their own. So each value is looked up on every
exception of the chain, by attributes alone, and the outermost exception that has it wins. Nothing here imports a
library.

    httpx, httpx2, requests         .response.status_code, .response.headers
    aiohttp                         .status, .headers
    openai, anthropic, others       .status_code, .response, .body
    google-genai                    .code (int), .details (the body)
    google-api-core                 .code (HTTPStatus), .grpc_status_code, .details (protobuf messages)
    grpc                            .code() (StatusCode), .details()
    botocore                        .response (a dict: Error, ResponseMetadata)
    azure-core                      .status_code, .response
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from multiroute_core._util.json_text import load_json

LONGEST_CHAIN = 20
GRPC = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
"""https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto, read in November 2026."""


LONGEST_TEXT = 2000
STATUS_IN_TEXT = re.compile(
    r"(?i:error|status)[ _]?code:? ?([45]\d\d)\b|\(code: ([45]\d\d)\)|"
    r"\b([45]\d\d) (?:[A-Z]+_[A-Z]+\b|UNAUTHENTICATED|UNAVAILABLE|INTERNAL\b|Client Error|Server Error)|"
    r"provided to Gemini: ([45]\d\d) ",
)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and its causes, outermost first; includes contexts that are not suppressed and exception groups."""
    waiting: list[BaseException] = [error]
    ids: set[int] = set()
    while waiting and len(ids) < LONGEST_CHAIN:
        one = waiting.pop(0)
        if id(one) in ids:
            continue
        ids.add(id(one))
        yield one
        behind = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if behind is not None:
            waiting.append(behind)
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(cast("BaseExceptionGroup[BaseException]", one).exceptions)


def status_of(error: BaseException) -> int | None:
    """Returns the HTTP status of this one exception."""
    if any(type(one).__module__ == "aiohttp.http_exceptions" for one in (error, error.__cause__)):
        return None  # aiohttp could not parse the response, and says 400 for that
    for name in ("status_code", "code", "status", "http_status"):
        if (status := _as_status(_get(error, name))) is not None:
            return status
    response = _response(error)
    if isinstance(response, Mapping):
        return _as_status(_member(response, "ResponseMetadata", "HTTPStatusCode"))
    for name in ("status_code", "status"):
        if (status := _as_status(_get(response, name))) is not None:
            return status
    name = str(_get(_grpc_code(error), "name") or "")
    return GRPC.get(name)


def status_in_text(error: BaseException) -> int | None:
    """Returns the HTTP status that the text of this one exception states, as frameworks write it that keep no other."""
    match = STATUS_IN_TEXT.search(str(error)[:LONGEST_TEXT])
    return None if match is None else int(next(group for group in match.groups() if group))


def headers_of(error: BaseException) -> Mapping[str, str] | None:
    """Returns the response headers of this one exception, by lower-case name."""
    response = _response(error)
    if isinstance(response, Mapping):
        candidates = (_member(response, "ResponseMetadata", "HTTPHeaders"),)
    else:
        candidates = (_get(response, "headers"), _get(error, "headers"))
    for headers in candidates:
        items = getattr(headers, "items", None)
        if headers and callable(items):
            with contextlib.suppress(Exception):
                return {_text(name).lower(): _text(value) for name, value in cast("Any", items())}
    return None


def body_of(error: BaseException) -> Any:
    """Returns the error body of this one exception: an object, an array, or text."""
    for name in ("body", "details", "error"):
        body = _get(error, name)
        if name == "details" and callable(body) and _grpc_code(error) is not None:
            with contextlib.suppress(Exception):
                body = body()
        if isinstance(body, bytes):
            body = body.decode("utf-8", "replace")
        if isinstance(body, str):
            with contextlib.suppress(ValueError):
                body = load_json(body)
        if isinstance(body, Mapping) and body:
            return _narrowed(body)
        if isinstance(body, str | list) and body and name == "body":
            return cast("Any", body)
    response = _response(error)
    if isinstance(response, Mapping) and "Error" in response:
        return _narrowed(response)
    argument = error.args[0] if len(error.args) == 1 else None
    if callable(dump := getattr(argument, "model_dump", None)):
        with contextlib.suppress(Exception):
            argument = dump()
    if isinstance(argument, Mapping) and argument:  # langchain-openai raises ValueError(body["error"])
        return cast("Any", argument)
    message = _get(argument, "message")
    if isinstance(message, str) and isinstance(code := _get(argument, "code"), str | int):
        return {"message": message, "code": code}  # it raises ValueError(response.error) as well
    return _of_response(response)


def _of_response(response: Any) -> Any:
    """Returns the body of an HTTP library's response; None if it is missing or unread."""
    if response is None or isinstance(response, Mapping) or inspect.iscoroutinefunction(_get(response, "json")):
        return None  # aiohttp's body can only be awaited
    with contextlib.suppress(Exception):
        body = response.json()
        if isinstance(body, Mapping | list) and body:
            return cast("Any", body)
    with contextlib.suppress(Exception):
        text = response.text
        return text if isinstance(text, str) and text else None
    return None


def grpc_details(error: BaseException) -> str:
    """Returns the retry delay in google-api-core's protobuf details, in google.rpc's JSON format."""
    details = _get(error, "details")
    for detail in cast("list[Any]", details) if isinstance(details, list) else []:
        delay = _get(detail, "retry_delay")
        seconds = _get(delay, "seconds")
        if isinstance(seconds, int):
            nanos = _get(delay, "nanos")
            return f'"retryDelay": "{seconds + (nanos if isinstance(nanos, int) else 0) / 1e9}s"'
    return ""


def codes_of(error: BaseException) -> list[str]:
    """Returns the type and code strings among this one exception's attributes."""
    values = [_get(error, name) for name in ("type", "code", "reason", "error_code")]
    response = _response(error)
    if isinstance(response, Mapping):
        values.append(_member(response, "Error", "Code"))
    return [value.lower()[:100] for value in values if isinstance(value, str) and value]


def _response(error: BaseException) -> Any:
    """Returns an exception's response; mistralai calls it `raw_response`."""
    response = _get(error, "response")
    return _get(error, "raw_response") if response is None else response


def _narrowed(body: Any) -> Any:
    """Remove botocore's metadata, which is not part of the service's message."""
    if isinstance(body, Mapping) and "ResponseMetadata" in body:
        return {name: value for name, value in cast("Any", body).items() if name != "ResponseMetadata"}
    if isinstance(body, Mapping):
        return cast("Any", body)
    return body


def _grpc_code(error: BaseException) -> Any:
    code = _get(error, "grpc_status_code")
    if code is None and callable(call := _get(error, "code")) and not isinstance(call, type):
        with contextlib.suppress(Exception):
            code = call()
    return code


def _as_status(value: Any) -> int | None:
    """Returns a valid HTTP status; None for gRPC's numbers, websocket close codes and exit codes."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599 else None


def _get(value: Any, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception:
        return None  # a property that raises has no value


def _member(value: Any, *names: str) -> Any:
    for name in names:
        value = cast("Any", value).get(name) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return ", ".join(map(str, cast("list[Any]", value))) if isinstance(value, list) else str(value)
