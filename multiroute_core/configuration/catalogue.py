"""Catalogue: what can be built from a configuration file: the tables, the guards, the hooks and the exporters.

The keys come from the signatures (`shapes`). Here stands only what a signature does not tell: which classes have a
table, which names a setting takes, and the ranges of numbers, which the JSON schema needs. A test compares the schema
with what the loader accepts.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, get_args

from multiroute_core import guards, telemetry
from multiroute_core.budgets.budget import Budget
from multiroute_core.cache.caching import CacheConfig
from multiroute_core.cache.semantic.settings import SemanticCache
from multiroute_core.configuration.shapes import (
    Choices,
    Fields,
    Items,
    JsonObject,
    Key,
    Named,
    OneOf,
    Scalar,
    Shape,
    Shapes,
)
from multiroute_core.events import BudgetAlert, Hook
from multiroute_core.guards.finder import Finder
from multiroute_core.guards.guard import Guard
from multiroute_core.guards.moderation import Classifier
from multiroute_core.ledger.ledger import Ledger
from multiroute_core.ledger.writer import Sink
from multiroute_core.limits.limit import Limit
from multiroute_core.options import DECLINED
from multiroute_core.prompts.optimizer import RULES, PromptOptimizer
from multiroute_core.provider_table import known_names
from multiroute_core.route import Route, TokenPrices
from multiroute_core.routing.strategies import STRATEGIES
from multiroute_core.types import FinishReason

HOOKS = ("LogEvents", "OpenTelemetry", "PrometheusMetrics", "RequestLog", "Webhook")
"""The hooks that a file can name."""

EXPORTERS = ("BigQuery", "JSONLines")
"""The exporters that a file can name in `ledger.export`."""

TABLES: tuple[type[Any], ...] = (
    Route,
    TokenPrices,
    CacheConfig,
    SemanticCache,
    Budget,
    Limit,
    PromptOptimizer,
    Ledger,
)
"""The classes whose objects are built from tables."""

_OPENS = frozenset({"Ledger", "PrometheusMetrics", *EXPORTERS})

_POSITIVE = {"exclusiveMinimum": 0}
_COUNT = {"minimum": 1}
_SHARE = {"exclusiveMinimum": 0, "maximum": 1}
_SCORE = {"minimum": 0, "maximum": 1}
_RATE = {"minimum": 1}
_ADDRESS = {"pattern": r"^(memory$|(redis|rediss|unix):.)", "expected": "'memory' or 'redis://host:6379/0'"}
_STORE = {
    "pattern": r"^(memory$|sqlite:///[^:?][^?]*$|(redis|rediss|unix):.)",
    "expected": "'memory', 'sqlite:///path' or 'redis://host:6379/0'",
}

RULES_OF_KEYS: dict[Key, dict[str, Any]] = {
    **{
        ("Router", name): _POSITIVE
        for name in ("deadline", "attempt_timeout", "first_token_timeout", "stall_timeout", "total_timeout")
    },
    ("Router", "max_response_bytes"): _COUNT,
    ("Router", "max_retries"): {"minimum": 0},
    ("Router", "repairs"): {"minimum": 0},
    ("Router", "hedge_budget"): _SHARE,
    ("Router", "state"): _ADDRESS,
    ("Router", "cache"): _STORE,
    ("Router", "ledger"): _STORE,
    ("CacheConfig", "store"): _STORE,
    ("Ledger", "store"): _STORE,
    ("Route", "base_url"): {"pattern": r"^https?://[^/\s]+"},
    **{("Route", name): _POSITIVE for name in ("timeout", "rpm", "tpm", "weight")},
    ("Route", "max_concurrency"): _COUNT,
    **{("TokenPrices", name): {"minimum": 0} for name in ("input", "output", "cache_read", "cache_write")},
    ("CacheConfig", "ttl"): _POSITIVE,
    ("CacheConfig", "stale_if_error"): {"minimum": 0},
    ("SemanticCache", "threshold"): _SHARE,
    ("SemanticCache", "max_chars"): _COUNT,
    ("SemanticCache", "timeout"): _POSITIVE,
    ("Budget", "usd"): {"minimum": 0},
    ("Budget", "tokens"): {"minimum": 0},
    ("Budget", "alerts[]"): _POSITIVE,
    ("Limit", "rpm"): _RATE,
    ("Limit", "tpm"): _RATE,
    ("Limit", "concurrency"): _COUNT,
    ("PromptOptimizer", "max_tokens"): _COUNT,
    ("PromptOptimizer", "trim_to"): _SHARE,
    ("PromptOptimizer", "summary_timeout"): _POSITIVE,
    ("OpenAIModeration", "thresholds.*"): _SCORE,
    ("PresidioFinder", "threshold"): _SCORE,
    ("RequestLog", "last"): _COUNT,
}
"""The ranges of numbers and the forms of texts, as keywords of JSON Schema."""

_ROUTE = Scalar("string", {"pattern": rf"^({'|'.join(known_names())}):\S(.*\S)?$"}, build=Route)

DETAILS: dict[Key, Shape] = {
    ("Router", "strategy"): Choices(tuple(STRATEGIES)),
    ("Router", "fallback_on"): Items(Choices(DECLINED)),
    ("Router", "accept"): OneOf((JsonObject(), Items(JsonObject()))),
    ("Route", "route"): Scalar("string", _ROUTE.rules),
    ("CacheConfig", "cacheable_finish_reasons"): Items(Choices(get_args(FinishReason))),
    ("PromptOptimizer", "rules"): Items(Choices(RULES)),
}
"""What the annotations do not tell."""

REQUIRED = {"Route": ("route",)}
"""Keys that have a default in Python, and none in a file."""

RULES_OF_TABLES: dict[str, dict[str, Any]] = {
    "Budget": {
        "oneOf": [{"required": ["usd"]}, {"required": ["tokens"]}],
        "dependentRequired": {"scope_values": ["scope"]},
    },
    "Limit": {"anyOf": [{"required": [name]} for name in ("rpm", "tpm", "concurrency")]},
}
"""How keys depend on each other, as keywords of JSON Schema."""


class Catalogue:
    """The shapes of a router's configuration.

    Args:
        router: The router's class; its constructor's parameters are the keys at the top.
        check: Validates the arguments of a router, and builds nothing.

    Attributes:
        top: The table at the top.
    """

    def __init__(self, router: type[Any], check: Callable[..., Any]) -> None:
        self._fields: dict[Any, Fields] = {}
        self._named: dict[str, Named] = {}
        self._shapes = Shapes(self._find_table, DETAILS, RULES_OF_KEYS)
        self.top = Fields("Router", router)
        self._shapes.fill(self.top)
        self.top.build = check
        prices = self.top_table(TokenPrices)
        prices.build = dict  # a `Route` checks them
        routes = self.top_table(Route)
        routes.keys["prices"] = OneOf((Scalar("string"), prices))
        several = Items(OneOf((_ROUTE, routes)), least=1)
        self.top.keys["routes"] = OneOf((_ROUTE, several))

    def top_table(self, table: type[Any]) -> Fields:
        """Return the table of a class."""
        return self._fields_of(table.__name__, table)

    def _find_table(self, annotation: Any) -> Shape | None:
        """Return the shape of what is built from a table or a name; None for anything else."""
        if isinstance(annotation, type) and annotation in TABLES:
            return self.top_table(annotation)
        if annotation is Guard:
            return self._name("guard", guards, _guard_names())
        if annotation == Hook:
            return self._name("hook", telemetry, HOOKS)
        if annotation == Sink:
            return self._name("exporter", telemetry, EXPORTERS)
        if annotation == Callable[[BudgetAlert], object]:
            return self._name("receiver of alerts", telemetry, ("Webhook",))
        if annotation == Classifier:
            return self._fields_of("OpenAIModeration", guards.OpenAIModeration)
        if annotation is Finder:
            return self._fields_of("PresidioFinder", guards.PresidioFinder)
        return None

    def _name(self, what: str, package: Any, names: tuple[str, ...]) -> Named:
        if what not in self._named:
            entries: dict[str, Fields] = {}
            self._named[what] = Named(what, entries)
            for name in names:
                home = importlib.import_module("multiroute_core") if name == "RequestLog" else package
                fields = self._fields_of(name, getattr(home, name))
                if not any(key not in fields.writable for key in fields.required):
                    entries[name] = fields
        return self._named[what]

    def _fields_of(self, name: str, build: Callable[..., Any]) -> Fields:
        if build not in self._fields:
            fields = self._fields[build] = Fields(
                name,
                build,
                required=REQUIRED.get(name, ()),
                rules=RULES_OF_TABLES.get(name, {}),
                opens=name in _OPENS,
                stand_in=None if build is Ledger else _ignore,
                lasts=name not in {table.__name__ for table in TABLES if table is not Ledger},
            )
            self._shapes.fill(fields)
        return self._fields[build]


def _ignore(_: object) -> None:
    """Stands for a hook or an exporter."""


def _guard_names() -> tuple[str, ...]:
    """Return the names of the functions that build guards."""
    functions = {name: getattr(guards, name) for name in guards.__all__}
    return tuple(
        name
        for name, function in functions.items()
        if inspect.isfunction(function) and inspect.signature(function).return_annotation in ("Guard", Guard)
    )
