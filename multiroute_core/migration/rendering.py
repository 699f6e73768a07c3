"""Code for error messages: a call as the user wrote it, with the wrong argument replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from multiroute_core._util.redaction import Secret, without_secrets

_LONGEST = 80
"""Longest value in characters that is shown; a longer one is shown by its name."""

_SECRET_NAMES = ("key", "token", "password", "secret", "header")


def render_value(name: str, value: Any) -> str:
    """Return plain data as code, and anything else as a variable with the argument's name.

    Keys, headers and URLs with credentials are not shown.
    """
    if not _is_plain(value):
        return name
    code = repr(value)
    is_secret = any(word in name.lower() for word in _SECRET_NAMES) and not isinstance(value, int | float)
    is_hidden = is_secret or ("://" in code and ("@" in code or "?" in code)) or without_secrets(code) != code
    return name if is_hidden or len(code) > _LONGEST else code


def render_call(owner: str, arguments: Mapping[str, Any], code: Mapping[str, str] | None = None) -> str:
    """Return the call of a constructor as code.

    Args:
        owner: The constructor's name.
        arguments: The arguments as values; `routes` by position.
        code: Arguments as code, which replace those of the same name.
    """
    parts = {name: render_value(name, value) for name, value in arguments.items() if name != "routes"}
    routes = _render_routes(arguments["routes"], owner) if arguments.get("routes") is not None else ""
    replaced = dict(code or {})
    routes = replaced.pop("routes", routes)
    if "routes" in (code or {}):
        parts.pop("model", None)
    parts |= replaced
    return f"{owner}({', '.join(filter(None, [routes, *(f'{name}={value}' for name, value in parts.items())]))})"


def _render_routes(routes: Any, owner: str) -> str:
    if isinstance(routes, str):
        return repr(routes)
    if isinstance(routes, list | tuple) and all(isinstance(route, str) for route in cast("list[Any]", routes)):
        inner = ", ".join(repr(route) for route in cast("list[str]", routes))
        return f"[{inner}]" if owner == "Router" else inner
    return "routes"


def _is_plain(value: Any) -> bool:
    if value is None or isinstance(value, str | bool | int | float):
        return not isinstance(value, Secret)
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, cast("list[Any]", value)))
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        return all(map(_is_plain, members)) and all(map(_is_plain, members.values()))
    return False
