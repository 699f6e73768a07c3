"""Budget reservation: the amount one call may spend, reserved before each attempt.

find the budgets and scopes that count the attempt → estimate its maximum cost → reserve that on all of their accounts,
or skip the route → attempt → book the actual spending and release the rest → send alerts
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TypeAlias

from multiroute_core.budgets.accounts import (
    AccountBalance,
    Accounts,
    MemoryAccounts,
    ReservationRequest,
    ReservationSlot,
    UnavailableError,
    with_baseline,
)
from multiroute_core.budgets.budget import NANO, Budget
from multiroute_core.budgets.tracker import BudgetCharge, BudgetTracker
from multiroute_core.errors import BudgetExceededError
from multiroute_core.resilience.admission import Rejection
from multiroute_core.route import Route
from multiroute_core.routing import expected_usage
from multiroute_core.routing.call import Call
from multiroute_core.runtime.io import IO
from multiroute_core.types import Attempt

ROUNDING = 1e-6
"""Rounding error of float sums, in billionths of a USD; reservations are rounded up except for it."""

SettleBudget: TypeAlias = Callable[[Attempt | None], None]
"""Settles the spending of an attempt; None if nothing was sent. Safe inside a finalizer."""


class BudgetReservation:
    """The budget reservation of one call.

    Args:
        spending: The router's budgets.
        call: The call.
    """

    def __init__(self, spending: BudgetTracker, call: Call) -> None:
        self._spending = spending
        self._call = call
        self._own = MemoryAccounts(spending.wall, shared=False)

    @property
    def over_soft_budget(self) -> bool:
        """Whether a soft budget is spent, so that cheap routes are preferred."""
        spending = self._spending
        for budget, who in self._counting(None):
            period, amount = spending.get_spend(_account(budget, who)) or (0.0, -1)
            if not budget.hard and amount >= budget.cap and period == spending.starts(budget, spending.wall())[-2]:
                return True
        return False

    async def reserve(self, io: IO, route: Route) -> SettleBudget | Rejection:
        """Reserve the maximum cost of an attempt on `route`; returns a `Rejection` if the budget is too low."""
        spending = self._spending
        now = self._spending.wall()
        call = self._call
        wire = self._spending.facts[route.name].api
        most = expected_usage.most(call.request, route, wire, call.tokens)
        cost = spending.pricing.estimate_on(route, most)
        amounts = {"usd": math.ceil((cost or 0.0) * NANO - ROUNDING), "tokens": most.total_tokens}
        slot = ReservationSlot(f"{secrets.randbits(62):x}")
        reservations = list[tuple[Accounts, list[BudgetCharge]]]()
        try:
            for accounts, bills in self._group_bills(route, amounts, now):
                rejection, charges = await self._reserve_bills(io, accounts, bills, slot, now)
                if rejection is not None:
                    _free(reservations, slot)
                    return rejection
                reservations.append((accounts, charges))
        except BaseException:
            _free(reservations, slot)
            raise

        def settle(attempt: Attempt | None) -> None:
            if attempt is None:
                _free(reservations, slot)
            else:
                _settle(reservations, slot, _charges(attempt, amounts), partial(spending.on_settled, call.request_id))

        return settle

    async def _reserve_bills(
        self, io: IO, accounts: Accounts, bills: list[BudgetCharge], slot: str, now: float
    ) -> tuple[Rejection | None, list[BudgetCharge]]:
        """Reserve the requested amounts; returns the rejection, if any, and the charges with updated baselines."""
        while True:
            try:
                reply = await accounts.reserve(io, [bill.claim for bill in bills], slot)
                for place in reply.fresh:
                    bill = bills[place]
                    prior = await self._spending.prior_spend(io, bill)
                    bills[place] = BudgetCharge(bill.budget, bill.who, with_baseline(bill.claim, prior))
            except UnavailableError as error:
                hard = next(bill for bill in bills if bill.budget.hard)
                return _unavailable(hard, error), bills
            if not reply.fresh:
                break
        if reply.balances:
            self._spending.update_balances(bills, reply.balances)
        if reply.refused_index is not None:
            return _build_rejection(bills[reply.refused_index], reply.balances[reply.refused_index], now), bills
        return None, bills

    def _group_bills(
        self, route: Route, amounts: dict[str, int], now: float
    ) -> Iterator[tuple[Accounts, list[BudgetCharge]]]:
        """Group the charges by their accounts, those of the call first, as they need no round trip."""
        groups: dict[int, tuple[Accounts, list[BudgetCharge]]] = {}
        for budget, who in self._counting(route):
            name = _account(budget, who)
            accounts = self._spending.accounts_of(budget, self._own)
            claim = ReservationRequest(
                name,
                amounts[budget.unit],
                budget.cap if budget.hard else None,
                self._spending.starts(budget, now),
                self._spending.get_spend(name),
                allow_new=budget.per in ("call", "session"),
            )
            groups.setdefault(id(accounts), (accounts, []))[1].append(BudgetCharge(budget, who, claim))
        yield from sorted(
            groups.values(), key=lambda one: (one[0] is not self._own, isinstance(one[0], MemoryAccounts))
        )

    def _counting(self, route: Route | None) -> Iterator[tuple[Budget, str]]:
        """Yield the budgets that count an attempt on `route`, each with a scope value; None stands for any route."""
        options = self._call.options
        for budget in self._spending.budgets:
            match budget.scope:
                case None:
                    names: Sequence[str] = ("",)
                case "tenant":
                    names = (options.tenant or "",)
                case "task":
                    names = (options.task or "",)
                case "label":
                    names = sorted(options.labels or ("",))
                case "route":
                    names = [r.name for r in self._call.routes] if route is None else (route.name,)
            for name in names:
                if budget.scope_values is None or name in budget.scope_values:
                    yield budget, name


def _account(budget: Budget, who: str) -> str:
    """Return the name of an account; no other budget and scope value have the same."""
    name = budget.name.replace("%", "%25").replace(":", "%3A")
    return f"{name}:{who}"


def _charges(attempt: Attempt, reserved: dict[str, int]) -> dict[str, int]:
    """Return the amounts to charge, as in the ledger; a response without a known price is charged its reservation."""
    usage = attempt.estimated_usage or attempt.usage
    cost = attempt.charged
    is_answered = attempt.outcome == "success"
    return {
        "usd": round(cost * NANO) if cost is not None else reserved["usd"] if is_answered else 0,
        "tokens": usage.total_tokens if usage is not None else reserved["tokens"] if is_answered else 0,
    }


def _settle(
    reservations: Sequence[tuple[Accounts, list[BudgetCharge]]],
    slot: str,
    amounts_by_unit: dict[str, int],
    on_settled: Callable[[Sequence[BudgetCharge], Sequence[int], Sequence[AccountBalance]], None],
) -> None:
    for accounts, bills in reservations:
        amounts = [amounts_by_unit[bill.budget.unit] for bill in bills]
        accounts.settle([bill.claim for bill in bills], slot, amounts, partial(on_settled, bills, amounts))


def _free(reservations: Sequence[tuple[Accounts, list[BudgetCharge]]], slot: str) -> None:
    """Release the reservations, as nothing was sent."""
    _settle(reservations, slot, {"usd": 0, "tokens": 0}, lambda _bills, _amounts, _balances: None)


def _build_rejection(bill: BudgetCharge, balance: AccountBalance, now: float) -> Rejection:
    budget = bill.budget
    claim = bill.claim
    left = max(0, budget.cap - balance.spent - balance.held)
    ends = budget.resets_at(claim.starts)
    note = f", {budget.format_amount(balance.held)} reserved for calls in flight" if balance.held else ""
    when = "" if ends is None else f" It resets at {datetime.fromtimestamp(ends, budget.zone):%Y-%m-%d %H:%M %Z}."
    error = BudgetExceededError(
        f"The budget {budget.name!r}{_describe_scope(bill)} has {budget.format_amount(left)} left of "
        f"{budget.format_amount(budget.cap)}{note}, and this call may cost {budget.format_amount(claim.amount)}; "
        f"a smaller max_tokens= reserves less.{when}",
        budget=budget.name,
        scope_value=bill.who,
        remaining=budget.amount(left),
        resets_at=ends,
        retry_after=None if ends is None else max(0.0, ends - now),
    )
    return Rejection("budget", math.inf if ends is None else max(0.0, ends - now), error)


def _unavailable(bill: BudgetCharge, why: Exception) -> Rejection:
    error = BudgetExceededError(
        f"The budget {bill.budget.name!r} is hard, and its spending cannot be read now: {why}",
        budget=bill.budget.name,
        scope_value=bill.who,
    )
    return Rejection("budget", math.inf, error)


def _describe_scope(bill: BudgetCharge) -> str:
    return f" of {bill.budget.scope} {bill.who!r}" if bill.who else ""
