"""Provider-specific options (`extra`): their request headers, query parameters and body fields.

`extra_headers`, `extra_query` and `extra_body` are the names of the OpenAI and Anthropic SDKs
(https://github.com/openai/openai-python#undocumented-request-params, read 2026-11-28); `http_options` is that of
google-genai.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from multiroute_core._util.redaction import Secret
from multiroute_core.providers.body import overlay

HTTP_OPTIONS = ("http_options", "httpOptions")
NAMES = ("extra_headers", "extra_query", "extra_body", "timeout", *HTTP_OPTIONS)


@dataclass(frozen=True, slots=True)
class Extra:
    """Provider-specific options, split by their place in the request.

    Attributes:
        body: Fields that are merged into the body.
        headers: Additional request headers.
        query: Additional query parameters of the URL.
    """

    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    query: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


NOTHING = Extra()


def split(options: Mapping[str, Any] | None) -> Extra:
    """Split validated options of one provider by their place in the request."""
    if not options:
        return NOTHING
    if not any(name in options for name in NAMES):
        return Extra(options)
    body = {name: value for name, value in options.items() if name not in NAMES}
    headers = dict(_inner(options, "extra_headers"))
    for name in HTTP_OPTIONS:
        headers = merge_headers(headers, _inner(_inner(options, name), "headers"))
    headers = {name: Secret(value) if type(value) is str else value for name, value in headers.items()}
    query = {name: _query_value(value) for name, value in _inner(options, "extra_query").items()}
    return Extra(overlay(body, options.get("extra_body")), headers, query)


def _inner(options: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", options.get(name) or {})


def merge_headers(under: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    """Merge headers case-insensitively; `over` takes precedence."""
    names = {name.lower() for name in over}
    return {name: value for name, value in under.items() if name.lower() not in names} | dict(over)


def _query_value(value: Any) -> str:
    return Secret(value if isinstance(value, str) else json.dumps(value))
