"""Error response bodies: parse the error of a provider, server or gateway in any envelope.

How this works: one walk over the body collects messages, codes, a parameter and a status. It enters only the members
that servers are known to put errors into, because the rest may repeat the caller's own text (FastAPI's `input`, Groq's
`failed_generation`), which must neither decide a class nor reach a log.

The formats: OpenAI's and Google's `{"error": {…}}` (Google's as an array of one), LM Studio's and TGI's `{"error":
"…"}`, vLLM's `{"object": "error", "message": …}`, Mistral's with a `detail` inside the message, FastAPI's `{"detail":
"…"}` and `{"detail": [{"loc": […], "msg": …}]}`, AWS's `{"message": …}` and `{"Error": {"Code": …}}`, `{"errors": […]}`
of Cloudflare, MiniMax's `{"base_resp": {…}}`, OpenRouter's `metadata.raw`, which holds another provider's body as a
string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from multiroute_core._util.json_text import load_json
from multiroute_core.providers import error_words
from multiroute_core.providers.error_words import MINIMAX, MISTRAL, ZHIPU, Meaning

MESSAGES = (
    *("message", "msg", "Message", "error_message", "errorMessage", "error_msg", "status_msg", "title", "description"),
)
CODES = (
    *("type", "code", "status", "reason", "Code", "__type", "error_type", "error_code", "errorCode", "errorType"),
    *("err_code", "http_code", "status_code", "statusCode"),
)
NESTED = ("error", "Error", "errors", "detail", "base_resp", "response", "metadata", "raw", "cause")
DUMPED = ("details", "innererror", "inner_error", "reasons")
"""Machine-readable members whose text is matched only: Google's RetryInfo and QuotaFailure, Azure's filter results."""
WAITS = {
    **dict.fromkeys(("retry_after", "retryAfter", "retry_after_seconds", "retryAfterSeconds", "retry-after"), 1.0),
    **dict.fromkeys(("retry_after_ms", "retryAfterMs"), 0.001),
}
"""Members that state the wait, with their unit in seconds."""
NOT_CODES = frozenset(("error", "object", "null", "none"))
DEEPEST = 6
WIDEST = 8
LONGEST = 2000
PAGE = re.compile(r"\s*(?:<!doctype html|<html|<\?xml|<head|<body|<h1|<center)", re.IGNORECASE)
BLOCK = re.compile(r"\s*error code: 1\d{3}\s*\Z")
"""Cloudflare's own refusal where it sends no page."""
QUOTATION = re.compile(r"(?<![\w'\"`])(['\"`])([^'\"`\n]{1,400})\1(?!\w)")
VALIDATES = re.compile(
    r"\binvalid\b|\bgot\b|\breceived\b|\bduplicate\b|\bexpected\b|does not match|not found in|could not parse|"
    r"is not (?:an? |valid|allowed)|(?:must|should) be\b|validation error|value error",
    re.IGNORECASE,
)
"""Wording of validators, which quote the caller's input."""
TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class ErrorBody:
    """A parsed error body.

    Attributes:
        messages: The messages, outermost first.
        codes: The types, codes and reasons, in lower case.
        param: The parameter that the error is about.
        status: The HTTP status that the body names.
        vendor: The meaning of a provider's numeric code.
        invalid: Whether a validator wrote it and names the invalid location in the request.
        extra: Whether it reports an unknown field.
        page: Whether it is an HTML page, so not written by an API.
        dumps: JSON text of machine-readable details.
        headers: Response headers of the provider behind a gateway, which OpenRouter repeats in its body.
    """

    messages: list[str] = field(default_factory=list[str])
    codes: list[str] = field(default_factory=list[str])
    param: str | None = None
    status: int | None = None
    vendor: Meaning | None = None
    invalid: bool = False
    extra: bool = False
    page: bool = False
    dumps: list[str] = field(default_factory=list[str])
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def words(self) -> str:
        """All text of the body, for pattern matching."""
        return "\n".join((*self.codes, *self.statements, *self.dumps))[: 2 * LONGEST]

    @property
    def statements(self) -> list[str]:
        """The messages without quoted text of the caller, which must not affect the classification."""
        return [_without_quotations(message) for message in self.messages]


def _without_quotations(message: str) -> str:
    """Returns a validator's message without quoted values; names of parameters and models stay.

    A message that contains another body (`Error code: 400 - {'error': …}`) is unchanged: its quotations are a server's
    words.
    """
    if "{" in message or not VALIDATES.search(QUOTATION.sub("", message)):
        return message
    return QUOTATION.sub(lambda match: "'…'" if _is_value(match[2]) else match[0], message)


def _is_value(quotation: str) -> bool:
    """Whether a quotation is the caller's text and not a name: it has spaces, or could pass for an error code."""
    if any(map(str.isspace, quotation)):
        return True
    patterns = (error_words.QUOTA, error_words.FILTERED, error_words.NOT_FOUND, error_words.ACCOUNT)
    return any(pattern.search(quotation) for pattern in patterns)


def read_body(body: Any) -> ErrorBody:
    """Parse `body`: JSON, text, or nothing."""
    result = ErrorBody()
    _read(body, result, 0)
    return result


def _read(value: Any, result: ErrorBody, depth: int) -> None:
    if depth > DEEPEST:
        return
    if isinstance(value, str):
        _read_text(value, result, depth)
    elif isinstance(value, list | tuple):
        for item in cast("list[Any]", value)[:WIDEST]:
            _read(item, result, depth + 1)
    elif isinstance(value, Mapping):
        _read_object(cast("Mapping[Any, Any]", value), result, depth)


def _read_text(text: str, result: ErrorBody, depth: int) -> None:
    if text[:1] in ("{", "["):
        try:
            inner = load_json(text)
        except ValueError:
            inner = None
        if isinstance(inner, dict | list):
            _read(inner, result, depth + 1)
            return
    if BLOCK.match(text):
        result.page = True
    if PAGE.match(text):
        result.page = True
        title = TITLE.search(text[:LONGEST])
        text = title[2] if title else ""
    if text := " ".join(text[:LONGEST].split()):
        result.messages.append(text)


def _read_object(value: Mapping[Any, Any], result: ErrorBody, depth: int) -> None:
    _read_codes(value, result)
    _read_param(value, result)
    _read_wait(value, result)
    before = len(result.messages)
    for name in MESSAGES:
        if name in value:
            _read(value[name], result, depth + 1)
    location = _path(value.get("loc"))
    result.invalid = result.invalid or bool(location)
    if location and len(result.messages) > before:  # FastAPI's message does not name the location
        result.messages[before] = f"{location}: {result.messages[before]}"
    for name in NESTED:
        if name in value:
            _read(value[name], result, depth + 1)
    for name, inner in value.items():  # Databricks' external_model_error
        if isinstance(inner, Mapping) and isinstance(name, str) and name.endswith("_error"):
            _read(inner, result, depth + 1)
    for name in DUMPED:
        if dump := value.get(name):
            text = dump if isinstance(dump, str) else json.dumps(dump, default=str, ensure_ascii=False)
            result.dumps.append(text[:LONGEST])


def _read_codes(value: Mapping[Any, Any], result: ErrorBody) -> None:
    vendor = MISTRAL if value.get("object") == "error" else MINIMAX if "status_msg" in value else ZHIPU
    for name in CODES:
        code = value.get(name)
        if isinstance(code, bool) or not isinstance(code, int | str) or code == "":
            continue
        text = str(code)[:100] if isinstance(code, str) or abs(code) < 10**12 else ""
        number = int(text) if text.isascii() and text.isdigit() else None
        if number is None:
            text = text.rpartition("#")[2].lower()  # AWS writes com.amazon.coral#ValidationException
            text = error_words.GRPC_SENTENCES.get(text.rstrip("."), text)
            if text not in NOT_CODES:
                result.codes.append(text)
            result.extra = result.extra or text in ("extra_forbidden", "value_error.extra")
        elif 400 <= number <= 599:
            result.status = result.status or number
        elif result.vendor is None:
            result.vendor = vendor.get(number)


def _read_wait(value: Mapping[Any, Any], result: ErrorBody) -> None:
    """Read when to come back: a member such as `retry_after`, and the headers of the provider behind a gateway."""
    for name, unit in WAITS.items():
        amount = value.get(name)
        if isinstance(amount, int | float) and not isinstance(amount, bool) and 0 <= amount < 10**9:
            result.dumps.append(f'"retryDelay": "{amount * unit:.3f}s"')
    headers = value.get("headers")
    if isinstance(headers, Mapping):
        for name, text in cast("Mapping[Any, Any]", headers).items():
            if isinstance(name, str) and isinstance(text, str | int | float):
                result.headers.setdefault(name.lower(), str(text)[:100])


def _read_param(value: Mapping[Any, Any], result: ErrorBody) -> None:
    if result.param is None:
        param = value.get("param") or value.get("parameter") or value.get("field")
        result.param = param[:200] if isinstance(param, str) else _path(value.get("loc")) or None


def _path(location: Any) -> str:
    """Returns a validator's error location as a path below the request's body."""
    if not isinstance(location, list | tuple):
        return ""
    pieces = [str(piece) for piece in cast("list[Any]", location)[:WIDEST] if isinstance(piece, str | int)]
    return ".".join(pieces[1:] if pieces[:1] == ["body"] else pieces)[:200]
