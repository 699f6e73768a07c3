"""Overview of a router: its routes and its settings as tables, without keys and passwords."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from multiroute_core._util.redaction import redact_url
from multiroute_core.display import card
from multiroute_core.display.blocks import Cell, Table
from multiroute_core.display.numbers import format_count
from multiroute_core.engine.settings import Settings
from multiroute_core.route import Route
from multiroute_core.routing.health import Health, mark_breaker


def overview(settings: Settings, read_health: Callable[[], Health]) -> list[Table]:
    """Return what a router shows of itself.

    Args:
        settings: Its settings.
        read_health: Returns the health of its routes. If it fails, the breakers are left out: a display must not fail.
    """
    try:
        health: Health | None = read_health()
    except Exception:
        health = None
    rows = [_show_route(route, health) for route in settings.routes]
    titles = ("", "route", "model", "region", "tags", "tasks", "limits", "weight", "breaker", "")
    numbered = [(str(place), *row) for place, row in enumerate(rows, 1)]
    title = f"{format_count(len(settings.routes), 'route')}, strategy {_name(settings.options.strategy)}"
    return [Table(titles, numbered, range(1, len(titles)), title=title, optional=("",)), _show_settings(settings)]


def _show_route(route: Route, health: Health | None) -> tuple[Cell, ...]:
    standing = None if health is None else health.routes.get(route.name)
    limits = (("rpm", route.rpm), ("tpm", route.tpm), ("at once", route.max_concurrency))
    limit_texts = [f"{value:,.12g} {unit}" for unit, value in limits if value is not None]
    return (
        route.name,
        "" if route.name == f"{route.provider}:{route.model}" else f"{route.provider}:{route.model}",
        route.region or "",
        ", ".join(sorted(route.tags)),
        ", ".join(sorted(route.tasks)),
        ", ".join(limit_texts),
        "" if route.weight == 1 else f"{route.weight:g}",
        "" if standing is None else mark_breaker(standing.breaker, standing.retry_in),
        "backup" if route.backup else "",
    )


def _show_settings(settings: Settings) -> Table:
    options = settings.options
    caching = settings.caching
    ledger = settings.ledger
    store = "none" if caching is None else _place(caching.store)
    semantic = ", semantic" if caching is not None and caching.semantic is not None else ""
    budgets = "; ".join(f"{budget}{' (hard)' if budget.hard else ''}" for budget in settings.budgets)
    return card.facts(
        ("deadline", f"{options.deadline:g} s" if options.deadline else "none"),
        ("retries", str(options.max_retries)),
        ("fallback", "no" if options.fallback is False else ""),
        ("hedging", "" if settings.hedge_budget is None else f"{settings.hedge_budget:.3g} of extra load"),
        ("state", _place(settings.state)),
        ("cache", store + semantic),
        ("ledger", "none" if ledger is None else _place(getattr(ledger, "store", ledger))),
        ("budget", budgets or "none"),
        ("limit", "; ".join(map(str, settings.call_limits))),
    )


def _place(store: Any) -> str:
    """Return where something is kept, without the password of an address."""
    return redact_url(store) if isinstance(store, str) else repr(store)


def _name(strategy: Any) -> str:
    return strategy if isinstance(strategy, str) else getattr(strategy, "__name__", type(strategy).__name__)
