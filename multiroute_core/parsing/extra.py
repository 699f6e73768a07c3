"""Provider-specific options (`extra`): validates the SDKs' own option names before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.errors import ConfigurationError

HTTP_OPTIONS = ("http_options", "httpOptions")

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


_CLIENT_SETTINGS: Mapping[str, str] = {
    "timeout": _ROUTE_SETTINGS["timeout"],
    "base_url": "use Route(base_url=…)",
    "api_key": "use Route(api_key=…)",
    "auth_token": "use Route(api_key=…)",
    "max_retries": "use Router(max_retries=…)",
    "http_client": "use Router(http_client=…)",
    "headers": "write extra_headers",
    "default_headers": "write extra_headers",
    "default_query": "write extra_query",
    "idempotency_key": "write extra_headers with 'Idempotency-Key'",
}
"""Settings of the SDKs' clients and requests that are no fields of a body, where a key would reach the provider's logs.
`extra_body` still sends a field of the same name.
"""


class Headers(dict[str, str]):
    """Headers whose repr hides the values: one may be a gateway's key."""

    def __repr__(self) -> str:
        return repr(dict.fromkeys(self, "…"))


def check(provider: str, options: Mapping[str, Any], reserved: frozenset[str]) -> dict[str, Any]:
    """Validate a provider's options; the repr of their headers hides the values.

    Args:
        reserved: Field names that the router sets itself.

    Raises:
        ConfigurationError: One of the SDK's options has a value that cannot be sent.
    """
    checked = dict(options)
    for name, instead in _CLIENT_SETTINGS.items():
        if name in options:
            raise ConfigurationError(f"extra[{provider!r}] cannot set {name!r} for one request; {instead}.")
    if "extra_headers" in options:
        checked["extra_headers"] = _check_headers(options["extra_headers"], f"extra[{provider!r}]['extra_headers']")
    if "extra_query" in options:
        _check_query(options["extra_query"], f"extra[{provider!r}]['extra_query']")
    if "extra_body" in options:
        what = f"extra[{provider!r}]['extra_body']"
        body = _mapping(options["extra_body"], what)
        if own := sorted(reserved & {*body}):
            raise ConfigurationError(f"{what} sets {own[0]!r}, which the router sets itself; leave it out.")
    for name in HTTP_OPTIONS:
        if name in options:
            checked[name] = _check_http_options(options[name], f"extra[{provider!r}][{name!r}]")
    return checked


def _check_http_options(http_options: Any, what: str) -> dict[str, Any]:
    options = _mapping(http_options, what)
    for name, value in options.items():
        if name != "headers" and value is not None:
            raise _refusal(name, what)
    return {"headers": _check_headers(options.get("headers"), f"{what}['headers']")}


def _check_headers(raw_headers: Any, what: str) -> Headers:
    """Validate the headers. No error message contains a value."""
    headers = Headers()
    for name, value in _mapping(raw_headers, what).items():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{what} has {name!r}, which is not a valid header name.")
        if not isinstance(value, str):
            raise ConfigurationError(f"{what}[{name!r}] is a {type(value).__name__}; expected a string.")
        if not _HEADER_VALUE.fullmatch(value):
            raise ConfigurationError(
                f"{what}[{name!r}] has characters that are not allowed in headers; expected printable ASCII."
            )
        headers[name] = value
    return headers


def _check_query(query: Any, what: str) -> None:
    for name, value in _mapping(query, what).items():
        if not isinstance(value, str | int | float):
            raise ConfigurationError(f"{what}[{name!r}] is a {type(value).__name__}; expected a string or a number.")


def _mapping(source: Any, what: str) -> Mapping[str, Any]:
    if source is None:
        return {}
    if not isinstance(source, Mapping):
        raise ConfigurationError(f"{what} is a {type(source).__name__}; expected a mapping of names to values.")
    values = cast("Mapping[Any, Any]", source)
    for name in values:
        if not isinstance(name, str):
            raise ConfigurationError(f"{what} has the name {name!r}; expected a mapping with strings as names.")
    return values


def _refusal(name: str, what: str) -> ConfigurationError:
    instead = _ROUTE_SETTINGS.get(name, "only headers can be set there")
    return ConfigurationError(f"{what} cannot set {name!r} for one request; {instead}.")
