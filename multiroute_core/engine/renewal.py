"""Renewal: what a router whose settings change keeps of its components, so that nothing loses its state.

Breakers and latencies are kept by route name, budgets and limits by their names, so the new components count on from
where the old ones are. Calls in flight hold the old components and settle with the same accounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from multiroute_core.budgets.accounts import Accounts
from multiroute_core.budgets.tracker import BudgetTracker
from multiroute_core.engine.limiting import LimitStage
from multiroute_core.engine.settings import Settings
from multiroute_core.engine.stage import Stage
from multiroute_core.ledger.ledger import Ledger
from multiroute_core.pricing.prices import Prices
from multiroute_core.route import Route
from multiroute_core.routing.learned import LearnedCapabilities
from multiroute_core.state.state import State


class Components(Protocol):
    """The components of a router that can be used again; `Engine` has them."""

    @property
    def settings(self) -> Settings: ...
    @property
    def ledger(self) -> Ledger | None: ...
    @property
    def state(self) -> State: ...
    @property
    def prices(self) -> Prices: ...
    @property
    def spending(self) -> BudgetTracker | None: ...
    @property
    def learned_capabilities(self) -> LearnedCapabilities: ...
    @property
    def stages(self) -> tuple[Stage, ...]: ...


@dataclass(frozen=True, slots=True)
class SharedParts:
    """The components that the new settings leave as they are; None where they do not, or where there were none.

    Attributes:
        ledger: The ledger.
        state: The health and limits of the routes.
        prices: The token prices.
        accounts: The accounts of the budgets.
        spending: The budgets, with the spending that they know.
        learned_capabilities: What the routes have rejected as unsupported.
        stages: The stages, whose stores and accounts the new ones take over.
    """

    ledger: Ledger | None = None
    state: State | None = None
    prices: Prices | None = None
    accounts: Accounts | None = None
    spending: BudgetTracker | None = None
    learned_capabilities: LearnedCapabilities | None = None
    stages: tuple[Stage, ...] = ()

    @classmethod
    def of(cls, previous: Components | None, settings: Settings) -> SharedParts:
        """Return what `settings` leave as it is."""
        if previous is None:
            return _NOTHING
        old = previous.settings
        is_same_state = settings.state == old.state
        spending = previous.spending if is_same_state else None
        is_same_kind = settings.strict_params == old.strict_params and not find_changed(settings, old)
        return cls(
            previous.ledger if settings.ledger == old.ledger else None,
            previous.state if is_same_state else None,
            previous.prices,
            None if spending is None else spending.accounts,
            spending,
            previous.learned_capabilities if is_same_kind else None,
            previous.stages if is_same_state else tuple(s for s in previous.stages if not isinstance(s, LimitStage)),
        )


_NOTHING = SharedParts()


def find_changed(settings: Settings, old: Settings) -> frozenset[str]:
    """Return the names of the routes that now lead to another model, address or key: their health is unknown."""
    before = {route.name: _identify(route) for route in old.routes}
    return frozenset(
        route.name for route in settings.routes if before.get(route.name, _identify(route)) != _identify(route)
    )


def renew_state(state: State, settings: Settings, old: Settings) -> None:
    """Tell the state of a router its new routes and limits."""
    state.know(settings.routes)
    if (renew := getattr(state, "renew", None)) is not None:  # a state of the user's own may lack it
        renew(settings.routes, find_changed(settings, old), settings.hedge_budget)


def _identify(route: Route) -> tuple[object, ...]:
    return route.provider, route.model, route.base_url, route.api_key, route.api, route.sdk
