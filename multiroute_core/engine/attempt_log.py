"""Attempt log: the attempts of one call, and the events they raise."""

from __future__ import annotations

import math
from collections.abc import Sequence

from multiroute_core.engine.attempt import AttemptRunner
from multiroute_core.engine.retry_plan import GiveUp, RetryPlan
from multiroute_core.errors import (
    AllRoutesFailedError,
    ContentFilterError,
    ContextOverflowError,
    DeadlineExceededError,
    MultiRouteError,
    RouteError,
)
from multiroute_core.events import (
    About,
    AttemptEnded,
    AttemptStarted,
    FirstToken,
    Listeners,
    RequestEnded,
    RequestStarted,
    RouteSkipped,
    tell,
)
from multiroute_core.resilience.admission import Rejection
from multiroute_core.route import Route
from multiroute_core.routing.call import Call
from multiroute_core.types import Attempt, Response

ASKED = (ContextOverflowError.code, ContentFilterError.code)
"""Where every route says this of the request, it is told as what it is."""


class AttemptLog:
    """Keeps the attempts of one call, and tells the hooks what happens."""

    def __init__(self, listeners: Listeners, call: Call) -> None:
        self._listeners = listeners
        self._call = call
        self._id = call.request_id
        self._attempts: list[Attempt] = []
        self._errors: list[RouteError] = []
        self._started = 0

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every try so far."""
        return tuple(self._attempts)

    # Where nobody listens no event is made: that takes longer than to decode the answer.

    def request_started(self, routes: Sequence[Route]) -> None:
        """The call begins; `routes` in the order in which they will be asked."""
        if hooks := self._listeners[RequestStarted]:
            call = self._call
            names = tuple(route.name for route in routes)
            tell(hooks, RequestStarted(self._id, call.request, names, *self._about()))

    def skipped(self, route: Route, shut: Rejection) -> None:
        """A route was passed over."""
        if hooks := self._listeners[RouteSkipped]:
            tell(hooks, RouteSkipped(self._id, route.name, shut.why, str(shut), shut.seconds))

    def attempt_started(self, route: Route) -> None:
        """A route is being asked."""
        self._started += 1
        if hooks := self._listeners[AttemptStarted]:
            event = AttemptStarted(self._id, route.name, self._started, route.provider, route.model, route.region)
            tell(hooks, event)

    def first_token(self, attempt: AttemptRunner) -> None:
        """A stream has begun to speak, and something goes to the caller."""
        if attempt.first_token_seconds is not None and (hooks := self._listeners[FirstToken]):
            tell(hooks, FirstToken(self._id, attempt.route.name, attempt.first_token_seconds))

    def attempt_ended(self, attempt: AttemptRunner, error: BaseException | None) -> None:
        """A try is over."""
        failure = error if isinstance(error, RouteError) else None
        if failure is not None:
            self._errors.append(failure)
        if (record := attempt.record) is not None:
            self._attempts.append(record)
            if hooks := self._listeners[AttemptEnded]:
                tell(hooks, AttemptEnded(self._id, record, failure, self._about()))

    def request_ended(self, seconds: float, response: Response | None, error: MultiRouteError | None) -> None:
        """The call is over."""
        if hooks := self._listeners[RequestEnded]:
            tell(hooks, RequestEnded(self._id, seconds, self.attempts, response, error, self._about()))

    def _about(self) -> About:
        options = self._call.options
        return About(self._call.stream, options.tenant, options.task, options.labels or frozenset())

    def exhausted(self, plan: RetryPlan, stop: GiveUp) -> MultiRouteError:
        """The error for a plan that came to its end: the only candidate's own, or one that tells every try."""
        call = self._call
        errors = self._errors
        if errors and not stop.late and (len(plan.routes) == 1 or all(e.code in ASKED for e in errors)):
            return errors[-1]
        if not errors and not stop.late:
            own = [why.error for why in plan.closed.values()]
            if own and own[0] is not None and None not in own:  # nobody was asked, and all for one kind of reason
                return own[0]
        shut = {name: str(why) for name, why in plan.closed.items()}
        if stop.late:
            kind = DeadlineExceededError
            message = f"No route answered within the deadline of {call.options.deadline:g} s."
        elif errors:
            kind = AllRoutesFailedError
            message = f"No route answered; {len(errors)} attempts failed."
        else:
            kind = AllRoutesFailedError
            message = "No route could be asked."
        error = kind(
            message, errors=errors, skipped=shut, retry_after=stop.seconds if stop.seconds != math.inf else None
        )
        error.__cause__ = errors[-1] if errors else None
        return error
