"""Routes: one model of one provider, with its settings, limits and prices."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from multiroute_core._util.redaction import Address, Secret
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError
from multiroute_core.migration.wrong_routes import explain_wrong_route, framework_of
from multiroute_core.options import invalid, name_unknown_arguments, plain_string, seconds, truth, unknown, word, words
from multiroute_core.provider_table import OTHER_PRICE_LISTS, PROVIDERS, canonical_name, known_names, price_list_of

_ROUTE = re.compile(r"(?P<provider>[a-z_]+):(?P<model>\S(?:.*\S)?)")


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """Token prices of a route, in USD per million tokens.

    Attributes:
        input: Price of input tokens.
        output: Price of output tokens.
        cache_read: Price of tokens read from the prompt cache; None means the price of `input`.
        cache_write: Price of tokens written to the prompt cache; None means the price of `input`.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


class FrameworkModel(NamedTuple):
    """A framework's model, wrapped by the framework's adapter.

    Attributes:
        provider: The provider's name in a route.
        model: The model's name.
        name: The default name of its route.
        llm: The provider that calls the model.
    """

    provider: str
    model: str
    name: str
    llm: Any


@dataclass(frozen=True, slots=True, init=False)
class Route:
    """One model of one provider.

    Args:
        route: `"provider:model"`; optional with a framework's model as `llm`, which names both. Providers:
            `anthropic`, `openai` (with `base_url`, also every server that implements its Chat Completions API),
            `google` (also written `gemini` or `google_genai`), `mistral` (also `mistralai`), `deepseek`, `xai`, `groq`,
            `openrouter`, and `local`: `"local:smollm2"`, or `"local:/path/to/model.gguf"`.
        api_key: The provider's API key; None reads it from the environment when the router is built. It never appears
            in a repr, event or pickle.
        base_url: Another address for the same API, such as a gateway or a self-hosted server.
        api: `"chat"` or `"responses"` for `openai`; None selects the one that the model needs.
        sdk: `"google-generativeai"` calls `google` through that older SDK; None uses `"google-genai"`.
        timeout: Seconds for one attempt on this route; None uses the router's `attempt_timeout`.
        tasks: Tasks that the route is good at: `"general"`, `"code_generation"`, `"long_context"` or names of your own.
            An empty set means all tasks.
        tags: Tags for `options(route_tags=...)`.
        region: Name of the region that serves the route, freely chosen; for `options(region=...)`.
        rpm: Rate limit in requests per minute; None means no limit.
        tpm: Rate limit in tokens per minute, input and output; None means no limit.
        max_concurrency: Maximum number of concurrent requests; None means no limit.
        rate_limit_group: Routes with the same group share these limits, and a rate-limit error on one of them puts all
            into cooldown: for example, two models of one account. By default each route is a group of its own.
        weight: Share of the requests with `strategy="weighted"`, and of the load with `strategy="least_busy"`.
        prices: Prices where the address does not determine them: a mapping in USD per million tokens with `input`,
            `output` and, where they differ from `input`, `cache_read` and `cache_write`; or the provider id in
            `genai-prices` whose list prices apply, such as `"openai"` or `"azure"`. None uses those of the provider at
            the route's address. At an unknown address, such as a self-hosted server, the cost is None; budgets charge a
            closed model at its vendor's list price, and a hard budget in USD raises `ConfigurationError` for any other
            model.
        backup: Used only when the other routes fail; it does not count toward the limits and features that the router
            advertises.
        name: Stable identity in events, circuit breakers and records; `provider:model` by default. Required where two
            routes would share a name.
        llm: A LangChain chat model or a LlamaIndex LLM that executes the calls, with its bound arguments. It keeps its
            own key and address; build it with `max_retries=0`, since its own retries delay the fallback. Or a custom
            provider; the part before the colon may then be any word. As an attribute, the provider that calls it.

    Raises:
        ConfigurationError: The string is not a route, the provider is unknown, a value is out of range, or `llm` is
            neither a chat model nor a provider.

    Example:
        >>> Route("anthropic:claude-sonnet-5-5", tasks={"code_generation"}).name
        'anthropic:claude-sonnet-5-5'
        >>> Route(llm=ChatOpenAI(model="gpt-4.1"), prices="openai", timeout=20).name  # doctest: +SKIP
        'langchain:gpt-4.1'
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
    region: str | None
    rpm: float | None
    tpm: float | None
    max_concurrency: int | None
    rate_limit_group: str
    weight: float
    prices: TokenPrices | str | None
    backup: bool
    name: str
    llm: Any = field(repr=False)

    @name_unknown_arguments
    def __init__(
        self,
        route: str | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        api: Literal["chat", "responses"] | None = None,
        sdk: Literal["google-genai", "google-generativeai"] | None = None,
        timeout: float | None = None,
        tasks: Collection[str] = (),
        tags: Collection[str] = (),
        region: str | None = None,
        rpm: float | None = None,
        tpm: float | None = None,
        max_concurrency: int | None = None,
        rate_limit_group: str | None = None,
        weight: float = 1.0,
        prices: Any = None,
        backup: bool = False,
        name: str | None = None,
        llm: Any = None,
    ) -> None:
        api_key = _key(api_key)  # a traceback may show local variables
        if base_url is not None:
            base_url = Address(word("base_url", base_url))
        provider, model = (None, None) if route is None and llm is not None else _parse(route)
        default_name = f"{provider}:{model}"
        if (framework_model := _wrap(llm, provider, model)) is not None:
            for setting, given in (("api_key", api_key), ("base_url", base_url), ("api", api), ("sdk", sdk)):
                if given is not None:
                    raise ConfigurationError(f"Route(llm=...): set {setting} on {type(llm).__name__} itself.")
            provider, model, derived_name, llm = framework_model
            default_name = derived_name if route is None else default_name
        if provider is None or model is None:
            raise ConfigurationError(
                f"Route(llm=...): {type(llm).__name__} is neither a LangChain chat model nor a LlamaIndex LLM; a "
                "custom provider needs names: Route('provider:model', llm=...)."
            )
        route = f"{provider}:{model}"
        spec = PROVIDERS.get(provider)
        if spec is None and llm is None:
            raise _unknown_provider(provider)
        if api is not None:
            _check_choice("api", api, spec.apis if spec is not None else (), provider)
        if sdk is not None:
            _check_choice("sdk", sdk, spec.sdks if spec is not None else (), provider)
        if base_url is not None and (expected := find_address_fault(base_url)):
            raise ConfigurationError(f"Route {route!r}: base_url={base_url!r} is not valid; expected {expected}.")
        if base_url is not None and spec is not None and spec.is_local:
            raise ConfigurationError(
                f"Route {route!r} runs on this machine and takes no base_url; for a server, use 'openai:…' with "
                "base_url."
            )
        if name is not None and (not isinstance(name, str) or not name.strip()):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"Route {route!r}: name={describe_value(name)} is not valid; expected a non-empty string."
            )
        name = plain_string(name) if name else default_name
        values: dict[str, Any] = {
            "provider": provider,
            "model": model,
            "api_key": api_key,
            "base_url": Address(base_url.rstrip("/")) if base_url else None,
            "api": api,
            "sdk": sdk,
            "timeout": None if timeout is None else seconds("timeout", timeout),
            "tasks": words("tasks", tasks),
            "tags": words("tags", tags),
            "region": None if region is None else word("region", region),
            "rpm": None if rpm is None else _above_zero("rpm", rpm),
            "tpm": None if tpm is None else _above_zero("tpm", tpm),
            "max_concurrency": None if max_concurrency is None else _places("max_concurrency", max_concurrency),
            "rate_limit_group": name if rate_limit_group is None else word("rate_limit_group", rate_limit_group),
            "weight": _above_zero("weight", weight),
            "prices": _prices(prices),
            "backup": truth("backup", backup),
            "name": name,
            "llm": llm,
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)

    @classmethod
    def of(cls, route: Route | str) -> Route:
        """Return `route` itself, or build a route from a string."""
        return route if isinstance(route, Route) else cls(route)

    def with_key(self, api_key: str | None) -> Route:
        """Return the same route with another API key."""
        api_key = _key(api_key)
        return Route(f"{self.provider}:{self.model}", api_key=api_key, **self._settings())

    def __repr__(self) -> str:
        """Also works on a partially initialized route, in a traceback that shows local variables."""
        attributes = ", ".join(f"{name}={getattr(self, name, None)!r}" for name in _SHOWN)
        return f"Route({attributes})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (f"{self.provider}:{self.model}", self._settings())

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _SETTINGS}


def _key(api_key: Any) -> Secret | None:
    """Return an API key as a `Secret`: a string, or an object that wraps one, such as pydantic's `SecretStr`."""
    if hasattr(api_key, "get_secret_value"):
        api_key = api_key.get_secret_value()
    if api_key is None:
        return None
    if not isinstance(api_key, str) or not api_key.strip():
        raise ConfigurationError(
            "Route(api_key=...) is not valid; expected a non-empty string, or None to read it from the environment."
        )
    if fault := find_key_fault(api_key):
        raise ConfigurationError(f"Route(api_key=...) is not valid; expected the key alone, and this one {fault}.")
    return Secret(api_key)


def find_key_fault(api_key: str) -> str:
    """Return why no HTTP header can carry an API key, without the key; empty if one can.

    A file of a secret often ends with a line break. SDKs report it as a broken connection, or as a request that is
    not valid, which no other route would answer.
    """
    if api_key != api_key.strip():
        return "begins or ends with a space or a line break"
    if not api_key.isascii():
        return "has a character that is not ASCII"
    return "" if api_key.isprintable() else "has a line break or another control character"


def find_address_fault(address: str) -> str:
    """Return what a base URL has to be, and is not; empty if a request can be sent to it.

    SDKs report such an address with the first call, as a broken connection, which looks like an outage.
    """
    if re.match(r"https?://[^/\s]", address) is None:
        return "a URL with http:// or https://"
    if not address.isprintable() or " " in address:
        return "a URL without spaces and line breaks"
    try:
        parts = urlsplit(address)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket that is not closed, or a port that is none
        is_valid = False
    return "" if is_valid else "a host, and a port from 1 to 65535, as in http://127.0.0.1:8000/v1"


def check_quotas(routes: Sequence[Route]) -> None:
    """Check that routes with the same `rate_limit_group` agree on their limits.

    Raises:
        ConfigurationError: Two of them set different limits.
    """
    first_routes: dict[tuple[str, str], Route] = {}
    for route in routes:
        for limit in ("rpm", "tpm", "max_concurrency"):
            if (value := getattr(route, limit)) is None:
                continue
            first = first_routes.setdefault((route.rate_limit_group, limit), route)
            if getattr(first, limit) != value:
                raise ConfigurationError(
                    f"Routes {first.name!r} and {route.name!r} share the rate limit group {route.rate_limit_group!r}, "
                    "and say "
                    f"{limit}={getattr(first, limit):g} and {limit}={value:g}; say it once, or the same."
                )


_SETTINGS = tuple(f.name for f in fields(Route) if f.name not in ("provider", "model", "api_key"))


_SHOWN = tuple(f.name for f in fields(Route) if f.repr)


def _rebuild(route: str, settings: dict[str, Any]) -> Route:
    return Route(route, **settings)


def _parse(route: Any) -> tuple[str, str]:
    """Return the provider and the model of `"provider:model"`."""
    match = _ROUTE.fullmatch(route) if isinstance(route, str) else None
    if match is None:
        raise explain_wrong_route(route)
    return canonical_name(match["provider"]), match["model"]


def _wrap(llm: object, provider: str | None, model: str | None) -> FrameworkModel | None:
    """Return a framework's model wrapped by its adapter; None if `llm` is not an object of a framework.

    The adapter is imported here, so the core depends on no framework: the object shows that its framework is there.
    """
    if isinstance(llm, type):
        raise ConfigurationError(f"Route(llm={llm.__name__}): this is a class; give an instance of it.")
    extra = framework_of(llm)
    if extra is None:
        return None
    try:
        adapter = importlib.import_module(f"{extra}_multiroute.wrap")
    except ImportError as error:
        raise ConfigurationError(
            f"Route(llm={type(llm).__name__}(...)) needs a package that is not installed ({error}); "
            f"run: pip install 'multiroute-llm[{extra}]'"
        ) from error
    return adapter.wrap_model(llm, provider, model)


def _unknown_provider(name: str) -> ConfigurationError:
    if name not in OTHER_PRICE_LISTS:
        return unknown("provider", name, known_names())
    return ConfigurationError(  # the most similar name would be a wrong hint: "xai" for "vertexai"
        f"Unknown provider {name!r}: for a server with OpenAI's Chat Completions API, use 'openai:…' with base_url; "
        "for a framework's model, use Route(llm=...)."
    )


def _check_choice(name: str, value: object, choices: Collection[str], provider: str) -> None:
    if value in choices:
        return
    if not choices:
        raise ConfigurationError(f"{name}={value!r} has no meaning for provider {provider!r}; leave it out.")
    raise unknown(name, value, choices)


def _above_zero(name: str, value: Any) -> float:
    """Validate `value` as a number above 0."""
    if not _number(value) or not value > 0:
        raise invalid(name, value, "a number greater than 0")
    return float(value)


def _places(name: str, value: Any) -> int:
    """Validate `value` as a maximum number of concurrent requests."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise invalid(name, value, "an integer of at least 1")
    return value


def _prices(value: Any) -> TokenPrices | str | None:
    """Validate `value` as prices."""
    if value is None or isinstance(value, TokenPrices):
        return value
    if isinstance(value, str):
        return _price_provider(value)
    if not isinstance(value, Mapping):
        raise invalid("prices", value, "a mapping, such as {'input': 0.25, 'output': 2}, or a provider's name")
    prices = cast("Mapping[Any, Any]", value)
    names = [f.name for f in fields(TokenPrices)]
    for name, price in prices.items():
        if name not in names:
            raise unknown("price", name, names)
        if price is not None and (not _number(price) or price < 0):
            raise ConfigurationError(
                f"prices: {name}={price!r} is not valid; expected USD per million tokens, at least 0."
            )
    for name in ("input", "output"):
        if prices.get(name) is None:
            raise ConfigurationError(f"prices={value!r} lacks {name!r}, in USD per million tokens.")
    return TokenPrices(**{name: float(price) for name, price in prices.items() if price is not None})


def _price_provider(value: str) -> str:
    """Validate `value` as the id of a provider in `genai-prices`."""
    from genai_prices.data_snapshot import get_snapshot  # imported lazily: it takes a third of a second

    name = value.strip().lower()
    provider_ids = [provider.id for provider in get_snapshot().providers]
    if name in provider_ids:
        return name
    alias = price_list_of(name.replace("-", "_"))
    if alias in provider_ids:
        raise ConfigurationError(f"Unknown provider of prices {value!r}: did you mean {alias!r}?")
    raise unknown("provider of prices", value, provider_ids)


def _number(value: Any) -> bool:
    # An integer may be too large for a float, which `math.isfinite` does not survive.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
