"""Fields of request bodies: which are read, which are passed on to the vendor, and which are refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from multiroute_core.display.text import describe_value
from multiroute_core.serving.call import JSON
from multiroute_core.serving.errors import refuse


def text(body: Mapping[str, Any], name: str, *, required: bool = False) -> str:
    """Return a text; empty if it is absent.

    Raises:
        RefusedCall: It is not a text, or required and absent.
    """
    value = body.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value):
        raise refuse(f"{name}={describe_value(value)} is not valid; expected a non-empty string.", param=name)
    return value


def flag(body: Mapping[str, Any], name: str) -> bool:
    """Return a flag; False if it is absent.

    Raises:
        RefusedCall: It is not a flag.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise refuse(f"{name}={describe_value(value)} is not valid; expected true or false.", param=name)
    return bool(value)


def array(body: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list of objects; empty if it is absent.

    Raises:
        RefusedCall: It is something else.
    """
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in cast("list[Any]", value)):
        raise refuse(f"{name} is not valid; expected a list of objects.", param=name)
    return cast("list[Any]", value)


def mapping(body: Mapping[str, Any], name: str) -> JSON:
    """Return an object; empty if it is absent.

    Raises:
        RefusedCall: It is something else.
    """
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(f"{name} is not valid; expected an object.", param=name)
    return cast("JSON", value)


def refuse_values(body: Mapping[str, Any], refused: Mapping[str, tuple[Collection[Any], str]]) -> None:
    """Refuse what this server cannot do.

    Args:
        body: The body.
        refused: The harmless values of a field, besides null, and the sentence for every other one.

    Raises:
        RefusedCall: A field has another value.
    """
    for name, (harmless, sentence) in refused.items():
        value = body.get(name)
        if value is not None and not any(value == one and type(value) is type(one) for one in harmless):
            raise refuse(sentence, param=name)


def vendor_fields(body: Mapping[str, Any], known: Collection[str], vendor: Collection[str]) -> JSON:
    """Return the fields that are passed on to the vendor of the API as they are.

    Raises:
        RefusedCall: A field is unknown.
    """
    passed: JSON = {}
    for name, value in body.items():
        if name in vendor:
            if value is not None:
                passed[name] = value
        elif name not in known:
            raise refuse(f"Unrecognized request argument supplied: {name[:80]}", param=name[:80])
    return passed


def copy_options(body: Mapping[str, Any], names: Mapping[str, str]) -> JSON:
    """Return the fields that are options of a call under another or the same name, without those that are null."""
    return {option: value for name, option in names.items() if (value := body.get(name)) is not None}
