"""Prompt caching on OpenAI: the key that keeps a conversation on one machine, and how long its prefix stays there.

OpenAI caches by itself. It routes a request by a hash of the beginning of its prompt together with `prompt_cache_key`;
above about 15 requests a minute for one combination, some go to other machines, so there is one key per conversation:
https://developers.openai.com/api/docs/guides/prompt-caching (2026-11-30). Azure takes the same fields:
https://learn.microsoft.com/azure/foundry/openai/how-to/prompt-caching (2026-11-30).

A longer stay is `prompt_cache_options.ttl` from GPT-5.6 on, where 30 minutes is the only value, and
`prompt_cache_retention` before (openai 2.54, `types/responses/response_create_params.py`).
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from multiroute_core.parsing.message_json import to_json
from multiroute_core.tools import ServerTool
from multiroute_core.types import Request

_HOST = "api.openai.com"
_DOMAINS = (".api.openai.com", ".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
"""OpenAI's regional hosts, and those of Azure; other servers may reject fields that they do not know."""

_HAS_TTL = ("gpt-5.[6-9]*", "gpt-[6-9]*")
_HAS_RETENTION = ("gpt-5", "gpt-5-codex*", "gpt-5-20*", "gpt-5.[1-5]*", "gpt-4.1", "gpt-4.1-20*")
"""Models that keep a prefix for 24 hours: the list in Azure's guide, and GPT-5.5 by the SDK's docstring."""


def takes_prompt_cache_key(base_url: str) -> bool:
    """Return whether the server at an address is OpenAI's, or Azure's."""
    host = urlsplit(base_url).hostname or ""
    return host == _HOST or host.endswith(_DOMAINS)


def build_cache_fields(request: Request, model: str) -> dict[str, Any]:
    """Return the body's fields for the option `prompt_cache`; empty if it is not set, or False."""
    caching = request.prompt_cache
    if caching is None or not caching.mode:
        return {}
    fields: dict[str, Any] = {"prompt_cache_key": build_cache_key(request, caching.tenant)}
    if caching.mode == "1h":
        if any(fnmatch.fnmatchcase(model, pattern) for pattern in _HAS_TTL):
            fields["prompt_cache_options"] = {"ttl": "30m"}
        elif any(fnmatch.fnmatchcase(model, pattern) for pattern in _HAS_RETENTION):
            fields["prompt_cache_retention"] = "24h"
    return fields


def build_cache_key(request: Request, tenant: str | None) -> str:
    """Return the key of a conversation: 32 hex digits.

    It is a keyed hash of the tools and of the messages up to the first that is no system message, so it is the same for
    every turn of a conversation, on every route and in every process; a later system message changes nothing. The
    tenant is the hash's key: no two tenants share one.
    """
    places = (place for place, message in enumerate(request.messages) if message.role != "system")
    head = request.messages[: next(places, len(request.messages)) + 1]
    tools = [
        dict(tool.body) if isinstance(tool, ServerTool) else [tool.name, tool.description, tool.parameters]
        for tool in request.tools
    ]
    content = [tools, [[message.role, to_json(message.parts)] for message in head]]
    try:
        text = json.dumps(content, sort_keys=True, default=_to_plain, ensure_ascii=True)
    except TypeError:  # keys of several types have no order
        text = json.dumps(content, default=_to_plain, ensure_ascii=True, skipkeys=True)
    secret = hashlib.blake2b(b"" if tenant is None else b"tenant\0" + tenant.encode("utf-8", "replace")).digest()
    return hashlib.blake2b(text.encode(), key=secret, digest_size=16).hexdigest()


def _to_plain(value: Any) -> Any:
    """Return a form of a value that JSON does not have: a read-only mapping as an object, anything else as its type."""
    return dict(value) if isinstance(value, Mapping) else type(value).__name__  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
