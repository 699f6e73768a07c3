"""One call on its way: what it asks for, and the trail it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multiroute_core.attempt import Try
from multiroute_core.errors import AllRoutesFailedError, DeadlineExceededError, MultiRouteError, RouteError
from multiroute_core.events import (
    AttemptEnded,
    AttemptStarted,
    FirstToken,
    Hook,
    RequestEnded,
    RequestStarted,
    RouteSkipped,
    tell,
)
from multiroute_core.options import Options
from multiroute_core.plan import Plan, Stop
from multiroute_core.route import Route
from multiroute_core.rules.breaker import Shut
from multiroute_core.types import Attempt, Request, Response


@dataclass(frozen=True, slots=True)
class Call:
    """One call, checked."""

    request_id: str
    request: Request
    options: Options
    routes: tuple[Route, ...]
    stream: bool


class Trail:
    """Keeps the attempts of one call, and tells the hooks what happens."""

    def __init__(self, hooks: Sequence[Hook], call: Call) -> None:
        self._hooks, self._call, self._id = hooks, call, call.request_id
        self._attempts: list[Attempt] = []
        self._errors: list[RouteError] = []
        self._committed = False

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every try so far."""
        return tuple(self._attempts)

    def request_started(self) -> None:
        """The call begins."""
        call = self._call
        names = tuple(route.name for route in call.routes)
        tell(self._hooks, RequestStarted(self._id, call.request, names, call.stream, call.options.tenant))

    def skipped(self, route: Route, shut: Shut) -> None:
        """A route was passed over."""
        tell(self._hooks, RouteSkipped(self._id, route.name, shut.why, str(shut), shut.seconds))

    def attempt_started(self, route: Route) -> None:
        """A route is being asked."""
        tell(self._hooks, AttemptStarted(self._id, route.name, len(self._attempts) + 1))

    def chunk(self, attempt: Try) -> None:
        """A chunk goes to the caller; the first one commits."""
        if not self._committed and attempt.first_token_seconds is not None:
            self._committed = True
            tell(self._hooks, FirstToken(self._id, attempt.route.name, attempt.first_token_seconds))

    def attempt_ended(self, attempt: Try, error: RouteError | None) -> None:
        """A try is over."""
        if error is not None:
            self._errors.append(error)
        if (record := attempt.record) is not None:
            self._attempts.append(record)
            tell(self._hooks, AttemptEnded(self._id, record, error))

    def request_ended(self, seconds: float, response: Response | None, error: MultiRouteError | None) -> None:
        """The call is over."""
        tell(self._hooks, RequestEnded(self._id, seconds, self.attempts, response, error))

    def exhausted(self, plan: Plan, stop: Stop) -> MultiRouteError:
        """The error for a plan that came to its end: the only candidate's own, or one that tells every try."""
        call, errors = self._call, self._errors
        if len(call.routes) == 1 and errors and not stop.late:
            return errors[-1]
        shut = {name: str(why) for name, why in plan.closed.items()}
        if stop.late:
            kind, message = (
                DeadlineExceededError,
                f"No route answered within the deadline of {call.options.deadline:g} s.",
            )
        elif errors:
            kind, message = AllRoutesFailedError, f"No route answered; {len(errors)} attempts failed."
        else:
            kind, message = AllRoutesFailedError, "No route could be asked."
        error = kind(message, errors=errors, shut=shut, retry_after=stop.seconds)
        error.__cause__ = errors[-1] if errors else None
        return error
