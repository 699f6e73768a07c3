"""Bodies as JSON, read with patience: what is not of the type that it should be counts as not there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from multiroute_core._util.json_text import NO_JSON, decode_json
from multiroute_core.providers.provider import Reply, UnreadableReply
from multiroute_core.providers.sse import BOM


def of(reply: Reply) -> Mapping[str, Any]:
    """The reply's body as a JSON object.

    Raises:
        UnreadableReply: it is cut, empty, or something else.
    """
    body = reply.body
    if isinstance(body, str):
        body = body.removeprefix("\ufeff")
    elif body.startswith(BOM):  # a JSON reader may pass over it: RFC 8259, section 8.1
        body = body.removeprefix(BOM)
    try:
        document = decode_json(body)
    except NO_JSON as error:
        raise UnreadableReply(f"The body is no JSON: {error}.") from error
    return event(document)


def event(document: Any) -> Mapping[str, Any]:
    """A body or an event, which must be a JSON object.

    Raises:
        UnreadableReply: it is something else.
    """
    if isinstance(document, dict):
        return cast("dict[str, Any]", document)
    if (error := _listed_error(document)) is not None:
        return error
    message = f"The provider sent a JSON {type(document).__name__} where an object should be"
    if isinstance(document, str) and document:
        raise UnreadableReply(f"{message}: {document[:500]}", {"error": {"message": document}})
    raise UnreadableReply(f"{message}.", document)


def _listed_error(document: Any) -> Mapping[str, Any] | None:
    """An error in a list of one, as Google's endpoints and those before them write it."""
    first = mapping(next(iter(array(document)), None))
    return first if first.get("error") else None


def mapping(value: Any) -> Mapping[str, Any]:
    """`value`, if it is an object."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def array(value: Any) -> list[Any]:
    """`value`, if it is an array."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def word(value: Any) -> str | None:
    """`value`, if it is a string that is not empty."""
    return value if isinstance(value, str) and value else None


def tier(value: Any) -> str | None:
    """`value`, if it names a service tier other than a vendor's standard one, which Groq calls `on_demand`."""
    name = word(value)
    return None if name is None or name.lower() in ("default", "standard", "auto", "on_demand") else name


LARGEST_COUNT = 10**12
"""A larger number of tokens is a mistake: no model reads or writes as many."""


def count(value: Any) -> int | None:
    """`value`, if it is a count; servers also write them as floats and as texts: `1000.0`, `"1000"`."""
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
    """`value`, if it is an amount of money: a number or a text of one, finite and not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < math.inf else None


def merge_counts(counts: dict[str, Any], latest: Mapping[str, Any]) -> None:
    """Put the latest counts of a stream over those `known`; a zero or nothing never replaces a count.

    Some servers repeat the counts at the end as zeros: sgl-project/sglang#20830, envoyproxy/ai-gateway#2239.
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
    """`body` with `extra` over it: objects are laid over objects, all else is replaced. Neither is touched."""
    target = dict(body)
    for name, value in (extra or {}).items():
        under = mapping(target.get(name))
        over = mapping(value)
        target[name] = overlay(under, over) if under and over else value
    return target
