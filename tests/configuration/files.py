"""Random configurations, written as TOML, YAML and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from multiroute_core import Route, Router
from multiroute_core.configuration.catalogue import Catalogue
from multiroute_core.configuration.shapes import Choices, Fields, Items, JsonObject, Named, OneOf, Pairs, Scalar

CATALOGUE = Catalogue(Router, dict)

WORDS = st.text("abcäß€😀 .'\"\\\n#=[]{}:-", min_size=1, max_size=12).filter(str.strip)

SPECIAL: dict[tuple[str, str], Any] = {
    ("Route", "api_key"): st.just("k"),
    ("Route", "base_url"): st.sampled_from(["https://host/v1", "http://127.0.0.1:9/x"]),
    ("Route", "api"): st.nothing(),
    ("Route", "sdk"): st.nothing(),
    ("Route", "name"): st.nothing(),
    ("Route", "rate_limit_group"): st.nothing(),
    ("Route", "prices"): st.sampled_from(
        ["openai", {"input": 1, "output": 0.5}, {"input": 0, "output": 2, "cache_read": 0}]
    ),
    ("Router", "state"): st.just("memory"),
    ("Router", "cache"): st.sampled_from(["memory", {"ttl": 5, "stale_if_error": 0}, {"semantic": {"max_chars": 9}}]),
    ("Router", "ledger"): st.sampled_from(["memory", {"store": "memory"}]),
    ("Router", "accept"): st.sampled_from([{"type": "object"}, [{"type": "string"}, {}]]),
    ("Budget", "timezone"): st.sampled_from(["UTC", "Europe/Berlin"]),
    ("Budget", "usd"): st.nothing(),
    ("Budget", "name"): st.nothing(),
    ("Budget", "scope"): st.nothing(),
    ("Budget", "scope_values"): st.nothing(),
    ("Budget", "on_alert"): st.just([{"name": "Webhook", "url": "https://host/hook"}]),
    ("Limit", "name"): st.nothing(),
    ("PromptOptimizer", "model"): st.nothing(),
    ("LogEvents", "level"): st.sampled_from(["INFO", 10]),
    ("Webhook", "url"): st.just("https://host/hook"),
    ("Webhook", "secret"): st.nothing(),
    ("Webhook", "headers"): st.just({"X-Team": "a"}),
    ("Webhook", "timeout"): st.just(2.5),
    ("Webhook", "max_pending"): st.just(5),
    ("PrometheusMetrics", "directory"): st.nothing(),
    ("mask_personal_data", "regions"): st.just(["DE"]),
    ("restrict_personal_data", "regions"): st.just(["DE"]),
    ("mask_personal_data", "finder"): st.nothing(),
    ("restrict_personal_data", "finder"): st.nothing(),
    ("moderate", "classifier"): st.nothing(),
    ("block_prompt_leaks", "words"): st.integers(4, 20),
    ("block_secrets", "values"): st.just(["a secret of mine"]),
    ("ban_text", "replacement"): st.just("[…]"),
    ("require_schema", "schema"): st.just({"type": "object"}),
}
"""Where a random value is not valid, or would open a file or need another package."""

SKIPPED = ("moderate",)
"""Guards that need a key."""

ROUTES = ("openai:gpt-4.1", "anthropic:claude-haiku-5-5", "google:gemini-3-flash")


def values(shape: Any, key: tuple[str, str]) -> st.SearchStrategy[Any]:
    """Values of a shape."""
    if (special := SPECIAL.get(key)) is not None:
        return special
    match shape:
        case Scalar(kind="boolean"):
            return st.booleans()
        case Scalar(kind="string"):
            return WORDS
        case Scalar():
            low = shape.rules.get("minimum", 1)
            high = shape.rules.get("maximum", 1000)
            if shape.kind == "integer":
                return st.integers(low, high)
            return st.integers(max(low, 1), high) | st.sampled_from([0.25, 0.5, 1.0]).filter(lambda x: x >= low)
        case Choices():
            return st.sampled_from(shape.values)
        case Items():
            return st.lists(values(shape.item, (key[0], f"{key[1]}[]")), min_size=1, max_size=2)
        case Pairs():
            return st.dictionaries(WORDS, values(shape.value, key), min_size=1, max_size=2)
        case OneOf():
            return st.one_of([values(option, key) for option in shape.options])
        case Fields():
            return tables(shape)
        case Named():
            return named(shape)
        case JsonObject():
            return st.just({"type": "object"})
        case _:
            return st.nothing()


def tables(fields: Fields) -> st.SearchStrategy[dict[str, Any]]:
    """Tables of a constructor with some of its keys."""
    strategies = {key: values(shape, (fields.name, key)) for key, shape in fields.writable.items()}
    required = {key: strategies[key] for key in fields.required}
    optional = {key: one for key, one in strategies.items() if key not in required and not one.is_empty}
    if fields.name in ("Budget", "Limit"):
        first = "tokens" if fields.name == "Budget" else "rpm"
        required[first] = optional.pop(first)
    return st.fixed_dictionaries(required, optional=optional)


def named(shape: Named) -> st.SearchStrategy[Any]:
    """Names, and tables with a name."""
    entries = {name: fields for name, fields in shape.entries.items() if name not in SKIPPED}
    plain = [name for name, fields in entries.items() if not fields.required]
    with_keys = [
        tables(fields).map(lambda table, name=name: {"name": name, **table}) for name, fields in entries.items()
    ]
    return st.sampled_from(plain) | st.one_of(with_keys)


TOP = tables(CATALOGUE.top)
ROUTE = tables(CATALOGUE.top_table(Route))


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Valid configurations: routes with different names, and some of the other keys."""
    top = draw(TOP)
    for key in ("budget", "limit"):
        if isinstance(top.get(key), list):
            top[key] = top[key][:1]  # the names of two of them may be the same
    size = draw(st.integers(1, 3))
    routes: list[Any] = []
    for name in ROUTES[:size]:
        routes.append(draw(st.just(name) | ROUTE.map(lambda table, name=name: {**table, "route": name})))
    if top.get("hedge_budget") == 0:
        del top["hedge_budget"]
    return {**top, "routes": routes}


def write(path: Path, data: dict[str, Any]) -> Path:
    """Write a file in the format that its extension names."""
    text = {
        ".json": lambda: json.dumps(data),
        ".yaml": lambda: yaml.safe_dump(data, allow_unicode=True, sort_keys=False),
        ".toml": lambda: "".join(f"{_toml_key(key)} = {to_toml(value)}\n" for key, value in data.items()),
    }[path.suffix]()
    path.write_text(text, encoding="utf-8")
    return path


def to_toml(value: Any) -> str:
    """A value in TOML; tables are inline."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {to_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return repr(value)


def _toml_key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)
