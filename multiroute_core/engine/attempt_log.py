"""Attempt log: records the attempts of one call and emits its events."""

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

REQUEST_ERRORS = (ContextOverflowError.code, ContentFilterError.code)
"""Error codes that describe the request itself: if all routes report one of them, the last such error is raised as is.
"""


class AttemptLog:
    """Records the attempts of one call and notifies the hooks."""

    def __init__(self, listeners: Listeners, call: Call) -> None:
        self._listeners = listeners
        self._call = call
        self._id = call.request_id
        self._attempts: list[Attempt] = []
        self._errors: list[RouteError] = []
        self._started = 0

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All finished attempts so far."""
        return tuple(self._attempts)

    # Without a hook no event is built: building one takes longer than decoding the response.

    def request_started(self, routes: Sequence[Route]) -> None:
        """The call starts; `routes` are in ranked order."""
        if hooks := self._listeners[RequestStarted]:
            call = self._call
            names = tuple(route.name for route in routes)
            tell(hooks, RequestStarted(self._id, call.request, names, *self._about()))

    def skipped(self, route: Route, rejection: Rejection) -> None:
        """A route was skipped."""
        if hooks := self._listeners[RouteSkipped]:
            tell(hooks, RouteSkipped(self._id, route.name, rejection.reason, str(rejection), rejection.seconds))

    def attempt_started(self, route: Route) -> None:
        """An attempt on `route` starts."""
        self._started += 1
        if hooks := self._listeners[AttemptStarted]:
            event = AttemptStarted(self._id, route.name, self._started, route.provider, route.model, route.region)
            tell(hooks, event)

    def first_token(self, attempt: AttemptRunner) -> None:
        """The first token of a stream arrived and is passed to the caller."""
        if attempt.first_token_seconds is not None and (hooks := self._listeners[FirstToken]):
            tell(hooks, FirstToken(self._id, attempt.route.name, attempt.first_token_seconds))

    def attempt_ended(self, attempt: AttemptRunner, error: BaseException | None) -> None:
        """An attempt ended."""
        failure = error if isinstance(error, RouteError) else None
        if failure is not None:
            self._errors.append(failure)
        if (record := attempt.record) is not None:
            self._attempts.append(record)
            if hooks := self._listeners[AttemptEnded]:
                tell(hooks, AttemptEnded(self._id, record, failure, self._about()))

    def request_ended(self, seconds: float, response: Response | None, error: MultiRouteError | None) -> None:
        """The call ended."""
        if hooks := self._listeners[RequestEnded]:
            tell(hooks, RequestEnded(self._id, seconds, self.attempts, response, error, self._about()))

    def _about(self) -> About:
        options = self._call.options
        return About(self._call.stream, options.tenant, options.task, options.labels or frozenset())

    def exhausted(self, plan: RetryPlan, stop: GiveUp) -> MultiRouteError:
        """Return the error of an exhausted plan: the single route's own error, or one that lists all attempts."""
        call = self._call
        errors = self._errors
        if errors and not stop.late and (len(plan.routes) == 1 or all(e.code in REQUEST_ERRORS for e in errors)):
            return errors[-1]
        if not errors and not stop.late:
            own = [rejection.error for rejection in plan.rejections.values()]
            # no attempt was made, and every route has an error of its own
            if own and own[0] is not None and None not in own:
                return own[0]
        skipped = {name: str(rejection) for name, rejection in plan.rejections.items()}
        if stop.late:
            kind = DeadlineExceededError
            message = f"No route answered within the deadline of {call.options.deadline:g} s."
        elif errors:
            kind = AllRoutesFailedError
            message = f"No route answered; {len(errors)} attempts failed."
        else:
            kind = AllRoutesFailedError
            message = "No route could be called."
        error = kind(
            message, errors=errors, skipped=skipped, retry_after=stop.seconds if stop.seconds != math.inf else None
        )
        error.__cause__ = errors[-1] if errors else None
        return error
