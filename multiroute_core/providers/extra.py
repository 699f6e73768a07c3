"""Extra options of one vendor (`extra`): the request headers, query parameters and body fields in them.

`extra_headers`, `extra_query` and `extra_body` are the names of the OpenAI and Anthropic SDKs
(https://github.com/openai/openai-python#undocumented-request-params, read 2026-11-28); `http_options` is that of
google-genai.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.providers.body import overlay

HTTP_OPTIONS = ("http_options", "httpOptions")
NAMES = ("extra_headers", "extra_query", "extra_body", "timeout", *HTTP_OPTIONS)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_ROUTE_SETTINGS = {
    "timeout": "use Route(timeout=…) or Router(attempt_timeout=…)",
    "base_url": "use Route(base_url=…)",
    "baseUrl": "use Route(base_url=…)",
    "retry_options": "use Router(max_retries=…)",
    "retryOptions": "use Router(max_retries=…)",
    "extra_body": "put its fields into extra itself",
    "extraBody": "put its fields into extra itself",
}


class Headers(dict[str, str]):
    """Headers whose values stand in no repr: one may be a gateway's key."""

    def __repr__(self) -> str:
        return repr(dict.fromkeys(self, "…"))


@dataclass(frozen=True, slots=True)
class Extra:
    """A vendor's options by the place in the request where they go.

    Attributes:
        body: Fields that are laid over the body.
        headers: The request's own headers.
        query: The request's own parameters of the URL.
    """

    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    query: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


NOTHING = Extra()


def split(options: Mapping[str, Any] | None) -> Extra:
    """A vendor's options, checked before, by their place in the request."""
    if not options:
        return NOTHING
    if not any(name in options for name in NAMES):
        return Extra(options)
    body = {name: value for name, value in options.items() if name not in NAMES}
    headers = dict(_inner(options, "extra_headers"))
    for name in HTTP_OPTIONS:
        headers = merge_headers(headers, _inner(_inner(options, name), "headers"))
    query = {name: _query_value(value) for name, value in _inner(options, "extra_query").items()}
    return Extra(overlay(body, options.get("extra_body")), headers, query)


def _inner(options: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", options.get(name) or {})


def merge_headers(under: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    """The headers of both; where one is in both, in any case, that of `over`."""
    names = {name.lower() for name in over}
    return {name: value for name, value in under.items() if name.lower() not in names} | dict(over)


def check(provider: str, options: Mapping[str, Any], reserved: frozenset[str]) -> dict[str, Any]:
    """A vendor's options; their headers stand in no repr.

    Args:
        reserved: Names of fields that the router writes itself.

    Raises:
        ConfigurationError: one of the SDK's names has a value that cannot be sent.
    """
    checked = dict(options)
    if "timeout" in options:
        raise _refusal(provider, "timeout")
    if "extra_headers" in options:
        checked["extra_headers"] = _check_headers(options["extra_headers"], f"extra[{provider!r}]['extra_headers']")
    if "extra_query" in options:
        _check_query(options["extra_query"], f"extra[{provider!r}]['extra_query']")
    if "extra_body" in options:
        what = f"extra[{provider!r}]['extra_body']"
        body = _mapping(options["extra_body"], what)
        if own := sorted(reserved & {*body}):
            raise ConfigurationError(f"{what} says {own[0]!r}, which the router says itself; leave it out.")
    if provider == "google":
        for name in HTTP_OPTIONS:
            if name in options:
                checked[name] = _check_http_options(options[name], f"extra['google'][{name!r}]")
    return checked


def _check_http_options(given: Any, what: str) -> dict[str, Any]:
    options = _mapping(given, what)
    for name, value in options.items():
        if name != "headers" and value is not None:
            raise _refusal("google", name, what)
    return {"headers": _check_headers(options.get("headers"), f"{what}['headers']")}


def _check_headers(given: Any, what: str) -> Headers:
    """The headers. No message tells a value."""
    headers = Headers()
    for name, value in _mapping(given, what).items():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{what} has {name!r}, which is no name of a header.")
        if not isinstance(value, str):
            raise ConfigurationError(f"{what}[{name!r}] is a {type(value).__name__}; give a string.")
        if not _HEADER_VALUE.fullmatch(value):
            raise ConfigurationError(f"{what}[{name!r}] has characters that no header may have; give printable ASCII.")
        headers[name] = value
    return headers


def _check_query(given: Any, what: str) -> None:
    for name, value in _mapping(given, what).items():
        if not isinstance(value, str | int | float):
            raise ConfigurationError(f"{what}[{name!r}] is a {type(value).__name__}; give a string or a number.")


def _query_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mapping(given: Any, what: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    values = cast("Mapping[Any, Any]", given) if isinstance(given, Mapping) else None
    if values is None or not all(isinstance(name, str) for name in values):
        kind = type(cast("Any", given)).__name__
        raise ConfigurationError(f"{what} is a {kind}; give a mapping of names to values.")
    return values


def _refusal(provider: str, name: str, what: str | None = None) -> ConfigurationError:
    place = what or f"extra[{provider!r}]"
    instead = _ROUTE_SETTINGS.get(name, "only headers can be given there")
    return ConfigurationError(f"{place} cannot set {name!r} for one request; {instead}.")
