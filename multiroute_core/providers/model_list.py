"""Model lists: what a server says about its models: whether it has one, its context window, and when it retires.

* Anthropic: `GET /v1/models`, with `lifecycle`, `retires_at` and `max_input_tokens`: anthropic 2.14, `ModelInfo`, and
  https://platform.claude.com/docs/en/api/models/list (2026-11-30)
* OpenAI: `GET /v1/models`, with an optional `shutdown_date`: https://developers.openai.com/api/docs/deprecations
  (2026-11-30). Compatible servers have the same list, often with a context window of their own.
* Google: `GET /v1beta/models`: https://ai.google.dev/api/models (2026-11-30)
* Mistral also tells `deprecation` and `deprecation_replacement_model`, and OpenRouter `expiration_date`:
  https://docs.mistral.ai/api/endpoint/models and https://openrouter.ai/docs/api/api-reference/models/get-models
  (2026-11-30)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, cast
from urllib.parse import quote

from multiroute_core.errors import NotFoundError
from multiroute_core.messages import Api
from multiroute_core.providers import body
from multiroute_core.providers.provider import Provider, Reply
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO

KEY_PATHS = {"openrouter": "/key"}
"""Where the list needs no key, what does: https://openrouter.ai/docs/api/reference/limits (2026-11-30)."""

_LISTS: Mapping[Api, str] = {
    "anthropic": "/v1/models?limit=1000",
    "google": "/models?pageSize=1000",
    "openai.chat": "/models",
    "openai.responses": "/models",
}
_WINDOWS = (
    *("max_input_tokens", "inputTokenLimit", "context_length", "max_context_length", "max_model_len"),
    "context_window",
)
_DATES = ("retires_at", "shutdown_date", "deprecation", "expiration_date")
_SUCCESSORS = ("deprecation_replacement_model", "replacement_model")


@dataclass(frozen=True, slots=True)
class ListedModel:
    """What a server says about one of its models.

    Attributes:
        name: The name.
        window: Context window in tokens; None if the server does not say.
        retires_on: The date on which it retires, or has retired; None if the server does not say.
        lifecycle: `"active"`, `"deprecated"` or `"retired"`; empty if the server does not say. A date in the past does
            not retire a model that the server still calls deprecated.
        successor: The model that the server recommends instead; empty if it does not say.
    """

    name: str
    window: int | None = None
    retires_on: date | None = None
    lifecycle: str = ""
    successor: str = ""


async def fetch_models(provider: Provider, api: Api, io: IO, limit: Deadline) -> dict[str, ListedModel] | None:
    """Return the models of a server by name; None if it has no list.

    Args:
        provider: The provider.
        api: Its API.
        io: Sync or async I/O.
        limit: The deadline.

    Raises:
        Exception: As the SDK raises it; `provider.classify` reads it.
    """
    get = getattr(provider, "get", None)
    if get is None or api not in _LISTS:
        return None
    try:
        reply: Reply = await get(io, limit, _LISTS[api])
    except Exception as error:
        if isinstance(provider.classify(error), NotFoundError):
            return None
        raise
    models = _read_entries(body.of(reply))
    return {model.name: model for model in models}


async def fetch_model(provider: Any, api: Api, model: str, io: IO, limit: Deadline) -> ListedModel | None:
    """Return one model, which may be an alias that the list does not have; None if the server does not know it."""
    base = _LISTS[api].partition("?")[0]
    try:
        reply: Reply = await provider.get(io, limit, f"{base}/{quote(model.removeprefix('models/'), safe='')}")
    except Exception as error:
        if isinstance(provider.classify(error), NotFoundError):
            return None
        raise
    entry = body.of(reply)
    return _read_entry(entry) if "id" in entry or "name" in entry else None


async def check_key(provider: Any, name: str, io: IO, limit: Deadline) -> None:
    """Ask the vendor whether it accepts the key, where its list of models needs none.

    Raises:
        Exception: As the SDK raises it.
    """
    if (path := KEY_PATHS.get(name)) is not None:
        await provider.get(io, limit, path)


def find_model(models: Mapping[str, ListedModel], name: str) -> ListedModel | None:
    """Return a model of a list; None if it is not there."""
    name = name.removeprefix("models/")
    return models.get(name) or models.get(f"models/{name}")


def _read_entries(listing: Mapping[str, Any]) -> list[ListedModel]:
    entries: Any = listing.get("data", listing.get("models"))
    if not isinstance(entries, list):
        return []
    members = [cast("dict[str, Any]", one) for one in cast("list[Any]", entries) if isinstance(one, dict)]
    return [model for one in members if (model := _read_entry(one)) is not None]


def _read_entry(entry: Mapping[str, Any]) -> ListedModel | None:
    name = entry.get("id", entry.get("name"))
    if not isinstance(name, str):
        return None
    windows = (entry.get(key) for key in _WINDOWS)
    window = next((one for one in windows if isinstance(one, int) and not isinstance(one, bool) and one > 0), None)
    moments = (_read_date(entry.get(key)) for key in _DATES)
    successors = (entry.get(key) for key in _SUCCESSORS)
    return ListedModel(
        name.removeprefix("models/"),
        window,
        next((one for one in moments if one is not None), None),
        lifecycle if isinstance(lifecycle := entry.get("lifecycle"), str) else "",
        next((one for one in successors if isinstance(one, str)), ""),
    )


def _read_date(value: Any) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
