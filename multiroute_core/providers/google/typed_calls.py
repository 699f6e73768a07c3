"""The low-level calls of google-genai, made from its typed API: for a version of the SDK without the low-level ones."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncGenerator, Generator, Mapping
from types import SimpleNamespace
from typing import Any, TypeAlias

from multiroute_core.errors import ConfigurationError

_Options: TypeAlias = Mapping[str, Any] | None


class TypedCalls:
    """The four low-level calls on the typed API, with responses serialized back to JSON.

    Args:
        client: The client of the SDK.
    """

    def __init__(self, client: Any) -> None:
        self._models = client.models
        self._native_models = client.aio.models

    def request(self, _method: str, path: str, body: Mapping[str, Any], options: _Options = None) -> Any:
        _reject_count(path)
        return _as_reply(self._models.generate_content(**_typed(path, body, options)))

    def request_streamed(
        self, _method: str, path: str, body: Mapping[str, Any], options: _Options = None
    ) -> Generator[Any, None, None]:
        for chunk in self._models.generate_content_stream(**_typed(path, body, options)):
            yield _as_reply(chunk)

    async def async_request(self, _method: str, path: str, body: Mapping[str, Any], options: _Options = None) -> Any:
        _reject_count(path)
        return _as_reply(await self._native_models.generate_content(**_typed(path, body, options)))

    async def async_request_streamed(
        self, _method: str, path: str, body: Mapping[str, Any], options: _Options = None
    ) -> Any:
        chunks = await self._native_models.generate_content_stream(**_typed(path, body, options))

        async def replies() -> AsyncGenerator[Any, None]:
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    yield _as_reply(chunk)

        return replies()


def _reject_count(path: str) -> None:
    """Raise an error for `countTokens`: the typed call for it takes neither a system instruction nor tools."""
    if path.endswith(":countTokens"):
        raise ConfigurationError("This version of google-genai cannot count the tokens of a whole request.")


def _typed(path: str, body: Mapping[str, Any], options: _Options) -> dict[str, Any]:
    """Return arguments for `generate_content` that make the SDK send `body`, exactly once.

    The body overrides the one that the SDK builds, which is empty except for a mandatory turn. So the SDK's types,
    which drop or reject what they do not know, never parse it.
    """
    config_class: Any = importlib.import_module("google.genai.types").GenerateContentConfig
    config: dict[str, Any] = {
        "httpOptions": {**(options or {}), "extraBody": body},
        "automaticFunctionCalling": {"disable": True},
    }
    if "automatic_continuation" in config_class.model_fields:  # since 3.0 the SDK continues by itself
        config["automaticContinuation"] = False
    path, _, query = path.partition("?")
    if query not in ("", "alt=sse"):
        raise ConfigurationError("This version of google-genai does not support extra_query; leave it out.")
    model, _, _ = path.rpartition(":")
    return {"model": model, "contents": "-", "config": config_class.model_validate(config)}


def _as_reply(response: Any) -> Any:
    http_response = response.sdk_http_response
    text = response.model_dump_json(by_alias=True, exclude_none=True, exclude={"sdk_http_response", "parsed"})
    return SimpleNamespace(body=text, headers=http_response and http_response.headers)
