"""Budget tracker: the budgets of a router, their accounts, known spending and alerts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from multiroute_core.budgets.accounts import (
    ROOM,
    AccountBalance,
    Accounts,
    MemoryAccounts,
    ReservationRequest,
    UnavailableError,
)
from multiroute_core.budgets.budget import NANO, Budget
from multiroute_core.budgets.status import BudgetStatus, BudgetStatuses
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError
from multiroute_core.events import BudgetAlert, Hook, tell
from multiroute_core.ledger.aggregate import Spent
from multiroute_core.ledger.ledger import Ledger, MemoryStore
from multiroute_core.pricing import Pricing
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO
from multiroute_core.types import Usage

LOOK_SECONDS = 30.0
"""Timeout of a ledger look-up on an event loop, in seconds. It runs once per period and scope value."""
_PRICE_HINT = (
    'give Route(prices={"input": ..., "output": ...}) in USD per million tokens (0 if it is free), '
    "or limit tokens with Budget(tokens=...)"
)

logger = logging.getLogger("multiroute_core")


@dataclass(frozen=True, slots=True)
class BudgetCharge:
    """The claim of one budget and scope value."""

    budget: Budget
    who: str
    claim: ReservationRequest


def explain_unknown_price(budget: Budget, route: Route, pricing: Pricing) -> str:
    """Return why a budget in USD cannot count a route, and what to do; empty if it can.

    Args:
        budget: The budget.
        route: The route.
        pricing: Prices tokens on a route.
    """
    counts = budget.scope != "route" or budget.scope_values is None or route.name in budget.scope_values
    if budget.unit != "usd" or not counts or pricing.estimate_on(route, Usage(1, 1)) is not None:
        return ""
    return (
        f"The price of route {route.name!r} is unknown, so the budget {budget.name!r} cannot count it; {_PRICE_HINT}."
    )


class BudgetTracker:
    """The budgets of one router.

    Args:
        budgets: The budgets.
        routes: The routes.
        accounts: The accounts of daily and monthly budgets.
        facts: Capabilities of the routes, by route name.
        pricing: Prices tokens on a route.
        ledger: Where earlier spending is looked up; None to skip it.
        hooks: Receive alerts, in addition to a budget's `on_alert`.
        wall: Returns the time in seconds since 1970.
        previous: The budgets of a router whose settings change, on the same accounts: their spending is kept.

    Raises:
        ConfigurationError: If a hard budget in USD counts a route without a known price.
    """

    def __init__(
        self,
        budgets: Sequence[Budget],
        routes: Sequence[Route],
        accounts: Accounts,
        *,
        facts: dict[str, RouteCapabilities],
        pricing: Pricing,
        ledger: Ledger | None,
        hooks: Sequence[Hook],
        wall: Callable[[], float],
        previous: BudgetTracker | None = None,
    ) -> None:
        self.budgets = tuple(budgets)
        self.facts = facts
        self.pricing = pricing
        self.wall = wall
        self.accounts = accounts
        self._session = MemoryAccounts(wall) if previous is None else previous._session  # noqa: SLF001
        self._ledger = ledger
        self._hooks = hooks
        self._known_spend: dict[str, tuple[float, int]] = {}
        self._bills: dict[str, BudgetCharge] = {}
        self._starts: dict[str, tuple[float, ...]] = {}
        if previous is not None:
            self._take_over(previous)
        for route in routes:
            self._priced(route)

    def _take_over(self, previous: BudgetTracker) -> None:
        """Take over the known spending; calls of `previous` that are in flight still add to it."""
        same = {budget.name: budget for budget in self.budgets}
        self._known_spend = previous._known_spend
        for name, bill in list(previous._bills.items()):
            budget = same.get(bill.budget.name)
            if budget is None:
                continue
            for kind in ("unit", "per", "scope"):
                if getattr(budget, kind) != getattr(bill.budget, kind):
                    raise ConfigurationError(
                        f"The budget {budget.name!r} has another {kind} than before, and its account holds what was "
                        "spent; give the new budget another name=..."
                    )
            self._bills[name] = replace(bill, budget=budget)

    def accounts_of(self, budget: Budget, own: Accounts) -> Accounts:
        """Return the accounts of a budget; `own` are those of the call."""
        return {"call": own, "session": self._session}.get(budget.per, self.accounts)

    def get_spend(self, account: str) -> tuple[float, int] | None:
        """Return the period of an account, and the known spending in it."""
        return self._known_spend.get(account)

    def starts(self, budget: Budget, now: float) -> tuple[float, ...]:
        """Return `Budget.starts`, which is slow, cached per period."""
        starts = self._starts.get(budget.name, (0.0, 0.0))
        if not starts[-2] <= now < starts[-1]:
            starts = self._starts[budget.name] = budget.starts(now)
        return starts

    def update_balances(self, bills: Sequence[BudgetCharge], balances: Sequence[AccountBalance]) -> None:
        """Update the known account balances."""
        for bill, balance in zip(bills, balances, strict=True):
            if bill.budget.per != "call":
                if len(self._known_spend) >= ROOM:
                    self._known_spend.clear()
                    self._bills.clear()
                name = bill.claim.account
                self._bills[name] = bill
                self._known_spend[name] = max(self._known_spend.get(name, (0.0, 0)), (balance.period, balance.spent))

    def standings(self) -> BudgetStatuses:
        """Return the status of the budgets, as last known to this process."""
        now = self.wall()
        statuses = list[BudgetStatus]()
        for name, bill in list(self._bills.items()):
            budget = bill.budget
            (period, spend) = self._known_spend.get(name, (0.0, 0))
            starts = self.starts(budget, now)
            if period != starts[-2]:
                continue
            amount = budget.amount(spend)
            cap = budget.amount(budget.cap)
            ends = budget.resets_at(starts)
            statuses.append(
                BudgetStatus(budget.name, bill.who, amount, cap - amount, cap, budget.unit, budget.hard, ends)
            )
        return BudgetStatuses(sorted(statuses, key=lambda one: one.remaining / one.limit if one.limit else 0.0))

    def on_settled(
        self, request_id: str, bills: Sequence[BudgetCharge], amounts: Sequence[int], balances: Sequence[AccountBalance]
    ) -> None:
        """Update balances and send alerts after a request's spending was booked."""
        for bill, amount, balance in zip(bills, amounts, balances, strict=True):
            if balance.period < 0:  # the account was lost; it is recreated from known spending
                name = bill.claim.account
                (start, _) = bill.claim.baseline or (bill.claim.starts[-2], 0)
                start, spend = self._known_spend.get(name, (start, 0))
                self._known_spend[name] = start, spend + amount
                continue
            self.update_balances([bill], [balance])
            cap = bill.budget.cap
            shares = [share for share in bill.budget.alerts if balance.before < share * cap <= balance.spent]
            if shares:  # one line of the log, though one call may pass several shares
                self._log(bill, balance)
            for share in shares:
                self._alert(request_id, bill, balance, share)

    async def prior_spend(self, io: IO, bill: BudgetCharge) -> tuple[float, int]:
        """Return the spending in this period according to the ledger, from before the account existed.

        Raises:
            UnavailableError: If the ledger cannot be read and the budget is hard.
        """
        budget = bill.budget
        start = bill.claim.starts[-2]
        if self._ledger is None or isinstance(self._ledger.store, MemoryStore):  # not older than the account
            return start, 0
        ledger = self._ledger
        whose = cast("dict[str, Any]", {budget.scope: bill.who} if budget.scope else {})

        def look() -> Spent:
            return ledger.spent(since=start, **whose)

        limit = Deadline(io.now)
        limit.set("the ledger", io.now() + LOOK_SECONDS, LOOK_SECONDS)
        try:
            total = await io.thread(limit, look) if io.native else look()
            amount = round(total.usd * NANO) if budget.unit == "usd" else total.tokens  # a corrupt file yields infinity
        except Exception as error:
            if budget.hard:
                raise UnavailableError(f"the ledger cannot be read ({error})") from error
            logger.warning("Earlier spending cannot be read from the ledger: %s", printable(str(error)))
            return start, 0
        return start, amount

    def _priced(self, route: Route) -> None:
        for budget in self.budgets:
            if message := explain_unknown_price(budget, route, self.pricing):
                if budget.hard:
                    raise ConfigurationError(message)
                logger.warning("%s", message)

    def _alert(self, request_id: str, bill: BudgetCharge, balance: AccountBalance, share: float) -> None:
        budget = bill.budget
        alert = BudgetAlert(
            request_id,
            budget.name,
            bill.who,
            share,
            budget.amount(balance.spent),
            budget.amount(budget.cap),
            budget.unit,
            budget.resets_at(bill.claim.starts),
        )
        tell((*self._hooks, *cast("tuple[Hook, ...]", budget.on_alert)), alert)

    def _log(self, bill: BudgetCharge, balance: AccountBalance) -> None:
        budget = bill.budget
        whose = f" of {bill.who!r}" if bill.who else ""
        logger.warning(
            "Budget %r%s: %s of %s spent.",
            budget.name,
            whose,
            budget.format_amount(balance.spent),
            budget.format_amount(budget.cap),
        )
