"""Descriptions of a route for a check: what it supports, its limits, its key, and a model that is not listed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from multiroute_core.provider_table import PROVIDERS, implied_provider
from multiroute_core.providers import registry
from multiroute_core.resilience.provider_limits import Level
from multiroute_core.route import Route


def describe_capabilities(route: Route, offers: frozenset[str]) -> tuple[str, ...]:
    """Return what a route supports, in words."""
    traits = registry.traits(route)
    words = {"image": "images", "document": "documents", "audio": "audio", "video": "video"}
    names = ["tools"] if "tools" in offers else []
    names += [word for kind, word in words.items() if kind in offers]
    names += ["JSON schema"] if traits.json_schema else []
    return tuple([*names, "reasoning"] if traits.reasoning != "none" else names)


def describe_limits(levels: Sequence[tuple[str, Level | None]]) -> str:
    """Return the limits that headers report: what remains of each."""
    texts = (
        f"{level.remaining:,.0f} of {level.limit:,.0f} {kind.replace('_', ' ')}"
        for kind, level in levels
        if level is not None
    )
    return ", ".join(texts)


def describe_key(route: Route) -> str:
    """Return where the key of a route comes from."""
    spec = PROVIDERS.get(route.provider)
    if spec is None or spec.is_local:
        return "not needed"
    if route.api_key:
        return "in the file"
    return registry.key_variable(route) or "not needed"


def explain_unknown_model(address: str, route: Route, models: Collection[str]) -> str:
    """Return that a server does not list a model, and what may be meant."""
    model = route.model
    if not models:
        return f"{address} lists no models, so it does not serve {model!r} either; load the model there."
    names = {name.lower(): name for name in models}
    near = difflib.get_close_matches(model.lower(), names, n=1, cutoff=0.6)
    hint = f"did you mean {names[near[0]]!r}?" if near else f"it lists {len(models):,} others; correct the name."
    if not near and (vendor := implied_provider(model)) not in (None, route.provider):
        hint = f"it is a model of {vendor}: write '{vendor}:{model}'."
    return f"{address} does not list the model {model!r}; {hint}"
