"""Admission of one attempt: its budget, then its route's circuit breaker and limits."""

from __future__ import annotations

from multiroute_core.budgets.reservation import BudgetReservation, SettleBudget
from multiroute_core.resilience.admission import Permit, Rejection
from multiroute_core.route import Route
from multiroute_core.runtime.io import IO
from multiroute_core.state.state import State


async def admit(
    io: IO,
    state: State,
    route: Route,
    reservation: BudgetReservation | None,
    *,
    tokens: int,
    early: bool,
    reserve: float,
) -> tuple[Permit | Rejection, SettleBudget | None]:
    """Return a permit for an attempt or the reason of its rejection, and the function that settles the budget.

    Args:
        io: Sync or async I/O.
        state: The health and limits of the routes.
        route: The route.
        reservation: The call's budget reservation; None without budgets.
        tokens: The estimated tokens of the request and its answer.
        early: Whether the attempt probes an open circuit breaker before its time.
        reserve: The share of the route's limits that is left to other calls, 0 to 1.
    """
    settle_budget = None
    if reservation is not None:
        settle_budget = await reservation.reserve(io, route)
        if isinstance(settle_budget, Rejection):
            return settle_budget, None
    try:
        admission = await state.admit(io, route, io.now(), tokens=tokens, early=early, reserve=reserve)
    except BaseException:
        if settle_budget is not None:
            settle_budget(None)
        raise
    if settle_budget is not None and isinstance(admission, Rejection):
        settle_budget(None)
    return admission, settle_budget
