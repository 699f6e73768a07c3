"""Lenient access to JSON bodies: a value of an unexpected type counts as missing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast

from multiroute_core._util.json_text import NO_JSON, decode_json
from multiroute_core.providers.provider import UNREADABLE, Reply, UnreadableReply
from multiroute_core.providers.sse import BOM

_MARKUP = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_LONGEST = 1_000
"""Maximum number of characters quoted in an error message."""


def of(reply: Reply) -> Mapping[str, Any]:
    """Returns the reply's body as a JSON object.

    Raises:
        UnreadableReply: If the body is truncated, empty, or not a JSON object.
    """
    body = reply.body
    if isinstance(body, str):
        body = body.removeprefix("\ufeff")
    elif body.startswith(BOM):  # RFC 8259, section 8.1 lets JSON parsers ignore a BOM
        body = body.removeprefix(BOM)
    try:
        document = decode_json(body)
    except NO_JSON as error:
        text = body if isinstance(body, str) else body.decode("utf-8", "replace")
        if text.strip() and not text.lstrip().startswith(("{", "[")):
            raise to_text_error(text) from error
        raise UnreadableReply(f"The body is not valid JSON: {error}.") from error
    return event(document)


def to_text_error(text: bytes | str) -> UnreadableReply:
    """Returns the error for a body that is neither JSON nor an event stream."""
    page = text if isinstance(text, str) else text.decode("utf-8", "replace")
    kind = "an HTML page" if page.lstrip().startswith("<") else "plain text"
    words = " ".join(_MARKUP.sub(" ", page[: 20 * _LONGEST]).split())
    message = f"The provider sent {kind} instead of an answer: {words[:_LONGEST]}"
    return UnreadableReply(message, {"error": {"type": UNREADABLE, "message": message}})


def event(document: Any) -> Mapping[str, Any]:
    """Returns a body or a stream event as a JSON object; an empty string or array as an empty one.

    Raises:
        UnreadableReply: If it is not a JSON object.
    """
    if isinstance(document, dict):
        return document  # pyright: ignore[reportUnknownVariableType]  (as in `mapping`)
    if (error := _listed_error(document)) is not None:
        return error
    if document in ("", []):
        return {}
    message = f"The provider sent a JSON {type(document).__name__} instead of an object"
    if isinstance(document, str) and document:
        raise UnreadableReply(f"{message}: {document[:500]}", {"error": {"message": document}})
    raise UnreadableReply(f"{message}.", document)


def _listed_error(document: Any) -> Mapping[str, Any] | None:
    """Returns an error wrapped in a list of one, the format of Google's endpoints and of proxies in front of them."""
    first = mapping(next(iter(array(document)), None))
    return first if first.get("error") else None


def mapping(value: Any) -> Mapping[str, Any]:
    """Returns `value` if it is an object, otherwise an empty mapping."""
    # Without `cast`, which is a function call: this runs several times for every chunk of a stream.
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def array(value: Any) -> list[Any]:
    """Returns `value` if it is an array, otherwise an empty list."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def word(value: Any) -> str | None:
    """Returns `value` if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def tier(value: Any) -> str | None:
    """Returns `value` if it names a service tier other than the provider's standard tier (Groq's `on_demand`)."""
    name = word(value)
    return None if name is None or name.lower().removeprefix("service_tier_") in STANDARD_TIERS else name


STANDARD_TIERS = ("default", "standard", "auto", "on_demand", "unspecified")


LARGEST_COUNT = 10**12
"""Upper bound for token counts; no model reads or writes that many, so a larger number is a mistake."""


def count(value: Any) -> int | None:
    """Returns `value` as a count; servers also send counts as floats and strings: `1000.0`, `"1000"`."""
    if not isinstance(value, int):
        value = _to_int(value)
    return value if value is not None and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT else None


def _to_int(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 13 else _whole_float(value)
    return _whole_float(value) if isinstance(value, float) else None


def _whole_float(value: float | str) -> int | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def amount(value: Any) -> float | None:
    """Returns `value` as an amount of money: a number or numeric string, finite and not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < math.inf else None


def merge_counts(counts: dict[str, Any], latest: Mapping[str, Any]) -> None:
    """Merge the latest counts of a stream into `counts`; zero or null never replaces a count.

    Some servers repeat the counts as zeros at the end: sgl-project/sglang#20830, envoyproxy/ai-gateway#2239.
    """
    for name, value in latest.items():
        before = counts.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = dict(cast("dict[str, Any]", before))
            merge_counts(inner, cast("dict[str, Any]", value))
            counts[name] = inner
        elif value is not None and not (before and (not value or count(value) == 0)):
            counts[name] = value


def overlay(body: Mapping[str, Any], extra: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns `body` deep-merged with `extra`: objects are merged, other values replaced. Inputs are not modified."""
    target = dict(body)
    for name, value in (extra or {}).items():
        under = mapping(target.get(name))
        over = mapping(value)
        target[name] = overlay(under, over) if under and over else value
    return target
