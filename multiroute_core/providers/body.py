"""Bodies as JSON, read with patience: what is not of the type that it should be counts as not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from multiroute_core.providers.provider import Reply, WireError
from multiroute_core.providers.sse import BOM

_decode = msgspec.json.Decoder().decode


def of(reply: Reply) -> Mapping[str, Any]:
    """The reply's body as a JSON object.

    Raises:
        WireError: it is cut, empty, or something else.
    """
    body = reply.body
    if isinstance(body, str):
        body = body.removeprefix("\ufeff")
    elif body.startswith(BOM):  # a JSON reader may pass over it: RFC 8259, section 8.1
        body = body.removeprefix(BOM)
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"The body is no JSON: {error}.") from error
    return event(found)


def event(found: Any) -> Mapping[str, Any]:
    """A body or an event, which must be a JSON object.

    Raises:
        WireError: it is something else.
    """
    if isinstance(found, dict):
        return cast("dict[str, Any]", found)
    if (error := _listed_error(found)) is not None:
        return error
    message = f"The provider sent a JSON {type(found).__name__} where an object should be"
    if isinstance(found, str) and found:
        raise WireError(f"{message}: {found[:500]}", {"error": {"message": found}})
    raise WireError(f"{message}.", found)


def _listed_error(found: Any) -> Mapping[str, Any] | None:
    """An error in a list of one, as Google's endpoints and those before them write it."""
    first = mapping(next(iter(array(found)), None))
    return first if first.get("error") else None


def is_bare_error(body: Mapping[str, Any]) -> bool:
    """Whether a chunk without choices is an error without an `error` in it, such as vLLM's older one or FastAPI's."""
    return "choices" not in body and (body.get("object") == "error" or "message" in body or "detail" in body)


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
    """`value`, if it names a service tier other than a vendor's standard one."""
    found = word(value)
    return None if found in ("default", "standard", "auto") else found


def count(value: Any) -> int | None:
    """`value`, if it is a count."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def overlay(body: Mapping[str, Any], extra: Mapping[str, Any] | None) -> dict[str, Any]:
    """`body` with `extra` over it: objects are laid over objects, all else is replaced. Neither is touched."""
    made = dict(body)
    for name, value in (extra or {}).items():
        under, over = mapping(made.get(name)), mapping(value)
        made[name] = overlay(under, over) if under and over else value
    return made
