"""Base-URL discovery: find the API address of a framework's chat model, and its key.

The address is used only for pricing, the key only to remove it from errors.

Frameworks name this setting differently, and some read it from an environment variable. So the SDK client that the
model holds is checked first, because it sends the requests, and then the fields with the usual names.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

CLIENTS = ("root_client", "_client", "client")
"""Attributes in which models hold a client of the provider's SDK."""

FIELD = re.compile(r"(?:\w+_)?(?:base_url|api_base|api_url|endpoint|endpoint_url|api_endpoint|server_url|host)")
"""Usual names of address fields: `openai_api_base`, `anthropic_api_url`, `azure_endpoint`, `base_url`."""

URL_CLASSES = ("AnyHttpUrl", "AnyUrl", "HttpUrl", "URL", "Url")
URL = re.compile(r"https?://[^/\s]+")
HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
"""An address without a scheme, as Google's clients accept it: `europe-west4-aiplatform.googleapis.com`."""


def model_address(model: object) -> str | None:
    """Returns the base URL of a framework's chat model, or None if it has none set and uses its provider's default.

    Reads only what the model already holds; no client is built.
    """
    attributes = _read_attributes(model)
    for address in (*_of_clients(attributes), *_of_fields(attributes)):
        return address
    return None


def _read_attributes(model: object) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for name in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
        with contextlib.suppress(Exception):
            values = object.__getattribute__(model, name)
            if isinstance(values, Mapping):
                attributes |= cast("Mapping[str, Any]", values)
    return attributes


def _of_clients(attributes: Mapping[str, Any]) -> Iterator[str]:
    for name in CLIENTS:
        client = attributes.get(name)
        for one in () if client is None else (client, _attribute(client, "_client")):
            url = _text(_attribute(one, "base_url"))
            if URL.match(url):
                yield url


def _text(value: object) -> str:
    """Returns an address as a string; also accepts the URL classes of httpx, pydantic and yarl."""
    return value if isinstance(value, str) else str(value) if type(value).__name__ in URL_CLASSES else ""


def _attribute(value: object, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception:  # the client may be any object, so any exception is possible
        return None


def _of_fields(attributes: Mapping[str, Any]) -> Iterator[str]:
    # Azure's classes inherit OpenAI's field, set to OpenAI's address, next to the field that they use.
    for name in sorted((name for name in attributes if FIELD.fullmatch(name)), key=lambda name: "azure" not in name):
        value = _text(attributes[name])
        if URL.match(value) or (name.endswith("api_endpoint") and HOST.fullmatch(value)):
            yield value


def model_key(model: object) -> str | None:
    """Returns the key of a framework's chat model, so that an error that repeats it can be redacted; None if unknown.

    Args:
        model: A LangChain or LlamaIndex model.
    """
    for name, value in _read_attributes(model).items():
        if not name.endswith(("key", "token")):
            continue
        secret = _attribute(value, "get_secret_value")  # pydantic's SecretStr
        key: Any = secret() if callable(secret) else value
        if isinstance(key, str) and key:
            return key
    return None
