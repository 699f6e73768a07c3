"""Verdicts: what the end of an attempt means for the health of its route."""

from __future__ import annotations

from multiroute_core.errors import RouteError, StreamInterruptedError
from multiroute_core.resilience.admission import Verdict


def is_counted(error: RouteError) -> bool:
    """Whether the route's circuit breaker counts an error; a filter may also end a stream that has begun."""
    if isinstance(error, StreamInterruptedError) and error.reported is not None:
        return error.reported.counts_against_breaker
    return error.counts_against_breaker


def is_of(error: BaseException, kind: type[RouteError]) -> bool:
    """Whether an error, or the one that the provider reported inside a stream, is of this class."""
    reported = error.reported if isinstance(error, StreamInterruptedError) else None
    return isinstance(error, kind) or (reported is not None and issubclass(reported, kind))


def verdict_of(error: BaseException | None) -> Verdict:
    """Return what the end of an attempt means for the circuit breaker of its route."""
    if error is None:
        return Verdict.SUCCESS
    if not isinstance(error, RouteError) or not is_counted(error):
        return Verdict.NONE
    return Verdict.PERMANENT if error.permanent else Verdict.FAILURE
