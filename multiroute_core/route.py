"""A route: one model of one provider, and what MultiRoute may know about it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from multiroute_core.errors import ConfigurationError
from multiroute_core.options import seconds, unknown, words

PROVIDERS = ("anthropic", "openai", "google", "local")
ALIASES = {"gemini": "google", "google_genai": "google"}
APIS = {"openai": ("chat", "responses")}
SDKS = {"google": ("google-genai", "google-generativeai")}

_ROUTE = re.compile(r"(?P<provider>[a-z_]+):(?P<model>\S(?:.*\S)?)")


@dataclass(frozen=True, slots=True, init=False)
class Route:
    """One model of one provider.

    Args:
        route: `"provider:model"`. Providers: `anthropic`, `openai` (and, with `base_url`, every server that speaks its
            Chat Completions), `google` (also written `gemini` or `google_genai`), and `local`: `"local:smollm2"`, or
            `"local:/path/to/model.gguf"`.
        api_key: The provider's key; None reads it from the environment when the router is built. It stands in no
            repr, event or pickle.
        base_url: Another address for the same wire, such as a gateway or a server of your own.
        api: `"chat"` or `"responses"` for `openai`; None takes what the model needs.
        sdk: `"google-generativeai"` speaks to `google` through that older SDK; None is `"google-genai"`.
        timeout: Seconds for one attempt on this route; None takes the router's `attempt_timeout`.
        tasks: What the route is good at: `"general"`, `"code_generation"`, `"long_context"` or words of your own. Empty
            is good at everything.
        tags: Words for `options(route_tags=...)`.
        backup: Asked only when the others cannot answer; it does not count toward what the router advertises.
        name: Its stable identity in events, breakers and records; `provider:model` by default. To be given where two
            routes would share it.
        via: A provider of one's own that carries the calls; then the part before the colon may be any word. The
            adapters use it for the models of their frameworks.

    Raises:
        ConfigurationError: the string is no route, the provider is unknown, or a value is out of range.

    Example:
        >>> Route("anthropic:claude-sonnet-5-5", tasks={"code_generation"}).name
        'anthropic:claude-sonnet-5-5'
    """

    provider: str
    model: str
    api_key: str | None = field(repr=False)
    base_url: str | None
    api: Literal["chat", "responses"] | None
    sdk: Literal["google-genai", "google-generativeai"] | None
    timeout: float | None
    tasks: frozenset[str]
    tags: frozenset[str]
    backup: bool
    name: str
    via: Any = field(repr=False)

    def __init__(
        self,
        route: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        api: Literal["chat", "responses"] | None = None,
        sdk: Literal["google-genai", "google-generativeai"] | None = None,
        timeout: float | None = None,
        tasks: Collection[str] = (),
        tags: Collection[str] = (),
        backup: bool = False,
        name: str | None = None,
        via: Any = None,
    ) -> None:
        found = _ROUTE.fullmatch(route) if isinstance(route, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        if found is None:
            raise ConfigurationError(
                f"{route!r} is no route; write 'provider:model', for example 'anthropic:claude-sonnet-5-5'."
            )
        provider = ALIASES.get(found["provider"], found["provider"])
        if via is None and provider not in PROVIDERS:
            raise unknown("provider", provider, (*PROVIDERS, *ALIASES))
        _among("api", api, APIS.get(provider, ()), provider)
        _among("sdk", sdk, SDKS.get(provider, ()), provider)
        if base_url is not None and not re.match(r"https?://[^/\s]+", base_url):
            raise ConfigurationError(f"Route {route!r}: base_url={base_url!r} must begin with http:// or https://.")
        if base_url is not None and provider == "local":
            raise ConfigurationError(
                f"Route {route!r} is served on this machine; for a server use 'openai:…' with base_url."
            )
        if name is not None and not name.strip():
            raise ConfigurationError(f"Route {route!r}: name={name!r} must be a word.")
        values: dict[str, Any] = {
            "provider": provider,
            "model": found["model"],
            "api_key": api_key,
            "base_url": base_url.rstrip("/") if base_url else None,
            "api": api,
            "sdk": sdk,
            "timeout": None if timeout is None else seconds("timeout", timeout),
            "tasks": words("tasks", tasks),
            "tags": words("tags", tags),
            "backup": backup,
            "name": name or f"{provider}:{found['model']}",
            "via": via,
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)

    @classmethod
    def of(cls, route: Route | str) -> Route:
        """`route` itself, or the route that the string names."""
        return route if isinstance(route, Route) else cls(route)

    def with_key(self, api_key: str | None) -> Route:
        """The same route with another key."""
        return Route(f"{self.provider}:{self.model}", api_key=api_key, **self._settings())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (f"{self.provider}:{self.model}", self._settings())

    def _settings(self) -> dict[str, Any]:
        names = ("base_url", "api", "sdk", "timeout", "tasks", "tags", "backup", "name", "via")
        return {name: getattr(self, name) for name in names}


def _rebuild(route: str, settings: dict[str, Any]) -> Route:
    return Route(route, **settings)


def _among(name: str, value: object, known: Collection[str], provider: str) -> None:
    if value is None or value in known:
        return
    if not known:
        raise ConfigurationError(f"{name}={value!r} has no meaning for provider {provider!r}; leave it out.")
    raise unknown(name, value, known)
