"""Base-URL discovery: the address that a framework's chat model asks, for its price and for nothing else.

Every framework's classes call it otherwise, and some ask an environment variable. So the client that a model holds is
looked at first, since that is what will be asked, and then the fields whose names end as those of addresses do.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

CLIENTS = ("root_client", "_client", "client")
"""Where models hold a client of the vendor's SDK."""

FIELD = re.compile(r"(?:\w+_)?(?:base_url|api_base|api_url|endpoint|endpoint_url|api_endpoint|server_url|host)")
"""What fields with an address are called: `openai_api_base`, `anthropic_api_url`, `azure_endpoint`, `base_url`."""

URL_CLASSES = ("AnyHttpUrl", "AnyUrl", "HttpUrl", "URL", "Url")
URL = re.compile(r"https?://[^/\s]+")
HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
"""An address without a scheme, as Google's clients take it: `europe-west4-aiplatform.googleapis.com`."""


def model_address(model: object) -> str | None:
    """The address that a framework's chat model asks; None where it does not say, which is its vendor's own.

    Only what the model holds already is read: no client is built.
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
    """An address as a string: the classes for URLs of httpx, pydantic and yarl are ones too."""
    return value if isinstance(value, str) else str(value) if type(value).__name__ in URL_CLASSES else ""


def _attribute(value: object, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception:  # a client is anybody's object
        return None


def _of_fields(attributes: Mapping[str, Any]) -> Iterator[str]:
    # Azure's classes inherit OpenAI's field with OpenAI's address in it, beside the one that they ask.
    for name in sorted((name for name in attributes if FIELD.fullmatch(name)), key=lambda name: "azure" not in name):
        value = _text(attributes[name])
        if URL.match(value) or (name.endswith("api_endpoint") and HOST.fullmatch(value)):
            yield value
