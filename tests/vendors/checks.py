"""Small checks that every codec of a wire makes, each with the vendor's own sentence."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tests.vendors.asked import Refused


def known(value: Mapping[str, Any], names: Collection[str], message: str, param: str | None = None) -> None:
    """Refuse keys that are not in `names`; `message` has a place for the key."""
    for key in value:
        if key not in names:
            raise Refused(message.format(key=key), param or key)


def an_object(value: Any, message: str) -> dict[str, Any]:
    """`value`, which must be a JSON object."""
    if not isinstance(value, dict):
        raise Refused(message)
    return value


def a_list(value: Any, message: str) -> list[Any]:
    """`value`, which must be a JSON array that is not empty."""
    if not isinstance(value, list) or not value:
        raise Refused(message)
    return value


def bytes_in(data: Any, message: str) -> bytes:
    """The bytes that a base64 text holds."""
    try:
        return base64.b64decode(data, altchars=b"-_" if re.search("[-_]", data) else None, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Refused(message) from None


def data_url(url: Any, message: str) -> str:
    """The media type of a data URL, or of an address by its ending."""
    if not isinstance(url, str) or not url.startswith(("data:", "http://", "https://")):
        raise Refused(message)
    if not url.startswith("data:"):
        return ""
    head, _, data = url.removeprefix("data:").partition(",")
    if not head.endswith(";base64") or "/" not in head:
        raise Refused(message)
    bytes_in(data, message)
    return head.removesuffix(";base64")


def strict(schema: Any, message: str, *, everything: bool) -> None:
    """Refuse a schema that may not be strict: objects must be closed; with `everything`, all their keys required."""
    for part in _schemas(schema):
        if part.get("type") == "object" or "properties" in part:
            if part.get("additionalProperties") is not False:
                raise Refused(message + " 'additionalProperties' is required to be supplied and to be false.")
            missing = set(part.get("properties") or {}) - set(part.get("required") or ())
            if everything and missing:
                raise Refused(
                    message
                    + f" 'required' is required to be supplied and to be an array including every key in properties. Missing '{min(missing)}'."
                )
        if everything and part.get("default") is not None:
            raise Refused(message + " 'default' is not permitted.")


def plain(schema: Any, names: Collection[str], message: str) -> None:
    """Refuse a schema in which one of `names` occurs as a keyword."""
    for part in _schemas(schema):
        for name in names:
            if name in part:
                raise Refused(message.format(key=name))


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all schemas in it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key in ("properties", "$defs", "definitions"):
        for part in (schema.get(key) or {}).values():
            yield from _schemas(part)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for part in schema.get(key) or ():
            yield from _schemas(part)
    yield from _schemas(schema.get("items"))


def sse(body: Any, event: str | None = None, end: str = "\n\n") -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(body, ensure_ascii=False)}{end}".encode()
