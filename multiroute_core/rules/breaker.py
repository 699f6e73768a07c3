"""When a route is left alone, and when it is tried again.

    closed ── 3 failures in a row, or one that will last ──▶ open ── after 60 s ──▶ half open
      ▲                                                       ▲                        │ one probe at a time
      └──────────────── the probe succeeds ───────────────────┼────────────────────────┤
                                                              └──── the probe fails ───┘

A rate limit is no failure: it closes a door until the time that the provider named.

Admission hands out a permit with the *generation* in which it was given (as sony/gobreaker does), so that an answer
that comes late moves nothing. A permit settled without a verdict (the caller cancelled, or is at fault) gives a probe
back. A probe is a lease: a stream that is abandoned and never settles does not keep the route shut.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open and for how long.

    Attributes:
        failures: Failures in a row that open the route.
        seconds: How long it then stays open.
        probe_seconds: How long a probe may stay unsettled before another one is let through.
    """

    failures: int = 3
    seconds: float = 60.0
    probe_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one route's breaker. Times are moments on the caller's clock, in seconds."""

    failures: int = 0
    opened_until: float | None = None
    probe_until: float | None = None
    door_until: float = 0.0
    generation: int = 0


class Verdict(enum.Enum):
    """What a settled permit says about its route."""

    SUCCESS = "success"
    FAILURE = "failure"
    LASTING = "lasting"
    """A failure that will not pass soon, such as a bad key: opens at once."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to ask a route once."""

    generation: int
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Shut:
    """No leave, and why.

    Attributes:
        why: `"open"` (it failed too often), `"probing"` (another caller is trying it), or `"rate_limit"` (the provider
            asked to be left alone).
        seconds: Until asking again makes sense.
    """

    why: Literal["open", "probing", "rate_limit"]
    seconds: float

    def __str__(self) -> str:
        match self.why:
            case "open":
                return f"it failed too often and is left alone for another {self.seconds:.1f} s"
            case "probing":
                return "it failed too often and another call is probing it now"
            case "rate_limit":
                return f"the provider asked to be left alone for another {self.seconds:.1f} s"


def admit(
    breaker: Breaker, settings: BreakerSettings, now: float, *, early: bool = False
) -> tuple[Breaker, Permit | Shut]:
    """Ask to use the route now.

    Args:
        early: Let a probe through before the open time is over. The flow asks for it when every route is shut.

    Returns:
        The new state, and either a permit or why there is none.
    """
    if now < breaker.door_until:
        return breaker, Shut("rate_limit", breaker.door_until - now)
    if breaker.opened_until is None:
        return breaker, Permit(breaker.generation)
    if breaker.probe_until is not None and now < breaker.probe_until:
        return breaker, Shut("probing", breaker.probe_until - now)
    if now < breaker.opened_until and not early:
        return breaker, Shut("open", breaker.opened_until - now)
    # A new generation for each probe: an abandoned one that settles after all must not speak for its successor.
    generation = breaker.generation + 1
    return replace(breaker, probe_until=now + settings.probe_seconds, generation=generation), Permit(generation, True)


def settle(
    breaker: Breaker,
    settings: BreakerSettings,
    now: float,
    permit: Permit,
    verdict: Verdict,
    door: float | None = None,
) -> Breaker:
    """Give a permit back, with what it taught.

    Args:
        door: Seconds for which the provider asked to be left alone; counts whatever the generation, since it is a fact
            about the provider and not a verdict.
    """
    if door is not None:
        breaker = replace(breaker, door_until=max(breaker.door_until, now + door))
    if permit.generation != breaker.generation:
        return breaker
    match verdict:
        case Verdict.NONE:
            return replace(breaker, probe_until=None) if permit.probe else breaker
        case Verdict.SUCCESS:
            if permit.probe:
                return Breaker(door_until=breaker.door_until, generation=breaker.generation + 1)
            return replace(breaker, failures=0) if breaker.failures else breaker
        case Verdict.FAILURE | Verdict.LASTING:
            failures = breaker.failures + 1
            if permit.probe or verdict is Verdict.LASTING or failures >= settings.failures:
                until = now + settings.seconds
                return Breaker(failures, until, None, breaker.door_until, breaker.generation + 1)
            return replace(breaker, failures=failures)
