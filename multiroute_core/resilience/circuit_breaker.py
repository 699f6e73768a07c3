"""When a route is left alone, and when it is tried again.

    closed ── failures in a row, or half of all calls, or one that will last ──▶ open ── its break is over ──▶ half open
      ▲                                                                           ▲                     │ one probe
      └───────────────────────── the probe succeeds ──────────────────────────────┼─────────────────────┤ at a time
                                                                                  └── the probe fails ──┘

Each break is twice as long as the one before, until the route has been well for a while; it is jittered, so that a
fleet does not come back as one. Admission hands out a permit with the *generation* in which it was given (as
sony/gobreaker does), so that an answer that comes late moves nothing. A permit settled without a verdict (the caller
cancelled, or is at fault) gives a probe back. A probe is a lease: a stream that is abandoned and never settles does not
keep the route shut. (Polly and resilience4j ask for the current state only, so that a stale success closes theirs.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from multiroute_core.resilience.admission import Permit, Rejection, Verdict

Condition: TypeAlias = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open and for how long. All times are in seconds.

    Attributes:
        failures: Failures in a row that open the route.
        ratio: The share of failures within the window that opens it as well.
        calls: How many calls the window must hold before the ratio counts.
        window: Over how long calls are counted; it moves on by halves.
        seconds: The first break; each one after it is twice as long.
        longest: The longest break.
        lasting: The break after a failure that will not pass soon.
        forget: How long a route must be well before its next break is a first one again.
        probe: How long a probe may stay unsettled before another one is let through.
    """

    failures: int = 3
    ratio: float = 0.5
    calls: int = 10
    window: float = 60.0
    seconds: float = 5.0
    longest: float = 300.0
    lasting: float = 300.0
    forget: float = 60.0
    probe: float = 120.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one route's breaker. Times are moments on the caller's clock, in seconds.

    Attributes:
        generation: Counts the states that it has been in; a permit of another one moves nothing.
        opened_until: The end of its break; None while it is closed.
        probe_until: The end of the lease of the probe that is out; None for none.
        closed_at: When it last closed.
        breaks: How many breaks there were since it was last well for long.
        run: Failures in a row.
        half: When the present half of the window began.
        calls: Calls within this half, and `failed` how many of them failed.
        calls_before: The same of the half before, with `failed_before`.
    """

    generation: int = 0
    opened_until: float | None = None
    probe_until: float | None = None
    closed_at: float = 0.0
    breaks: int = 0
    run: int = 0
    half: float = 0.0
    calls: int = 0
    failed: int = 0
    calls_before: int = 0
    failed_before: int = 0

    def condition(self, now: float) -> Condition:
        """What it is in one word."""
        if self.opened_until is None:
            return "closed"
        return "open" if now < self.opened_until else "half_open"


def admit(
    breaker: Breaker, settings: BreakerSettings, now: float, *, early: bool = False
) -> tuple[Breaker, Permit | Rejection]:
    """Ask to use the route now.

    Args:
        early: Let a probe through before the break is over. The flow asks for it when every route is shut.

    Returns:
        The new state, and either a permit or why there is none.
    """
    if breaker.opened_until is None:
        return breaker, Permit(breaker.generation)
    if (stop := shut(breaker, now, early=early)) is not None:
        return breaker, stop
    # A new generation for each probe: an abandoned one that settles after all must not speak for its successor.
    generation = breaker.generation + 1
    return replace(breaker, probe_until=now + settings.probe, generation=generation), Permit(generation, True)


def shut(breaker: Breaker, now: float, *, early: bool = False) -> Rejection | None:
    """Why the route may not be asked now; None where it may."""
    if breaker.opened_until is None:
        return None
    if breaker.probe_until is not None and now < breaker.probe_until:
        return Rejection("probing", breaker.probe_until - now)
    if now < breaker.opened_until and not early:
        return Rejection("open", breaker.opened_until - now)
    return None


def settle(
    breaker: Breaker, settings: BreakerSettings, now: float, permit: Permit, verdict: Verdict, random: float
) -> Breaker:
    """Give a permit back, with what it taught.

    Args:
        random: A random number from 0 to 1, for the jitter of a break.
    """
    if permit.generation != breaker.generation:
        return breaker
    if verdict is Verdict.NONE:
        return replace(breaker, probe_until=None) if permit.probe else breaker
    if permit.probe:
        if verdict is Verdict.SUCCESS:
            return Breaker(breaker.generation + 1, closed_at=now, breaks=breaker.breaks, half=now)
        return _open_breaker(breaker, settings, now, verdict, random)
    next_breaker = _count_call(breaker, settings, now, failed=verdict is not Verdict.SUCCESS)
    if verdict is Verdict.SUCCESS:
        return next_breaker
    calls = next_breaker.calls + next_breaker.calls_before
    failed = next_breaker.failed + next_breaker.failed_before
    often = calls >= settings.calls and failed >= settings.ratio * calls
    if verdict is Verdict.LASTING or next_breaker.run >= settings.failures or often:
        return _open_breaker(breaker, settings, now, verdict, random)
    return next_breaker


def _count_call(breaker: Breaker, settings: BreakerSettings, now: float, *, failed: bool) -> Breaker:
    run = breaker.run + 1 if failed else 0
    age = now - breaker.half
    half = settings.window / 2
    if age < half:
        since = breaker.half
        calls = breaker.calls
        lost = breaker.failed
        calls_before = breaker.calls_before
        lost_before = breaker.failed_before
    else:
        since = now
        calls = 0
        lost = 0
        calls_before, lost_before = (breaker.calls, breaker.failed) if age < 2 * half else (0, 0)
    return Breaker(  # and not `replace`, which takes longer than all the rest; this is done once a call
        generation=breaker.generation,
        opened_until=breaker.opened_until,
        probe_until=breaker.probe_until,
        closed_at=breaker.closed_at,
        breaks=breaker.breaks,
        run=run,
        half=since,
        calls=calls + 1,
        failed=lost + failed,
        calls_before=calls_before,
        failed_before=lost_before,
    )


def _open_breaker(breaker: Breaker, settings: BreakerSettings, now: float, verdict: Verdict, random: float) -> Breaker:
    well = breaker.opened_until is None and now - breaker.closed_at >= settings.forget
    breaks = 0 if well else min(breaker.breaks, 64)  # 2.0 ** 1024 is too large for a float
    if verdict is Verdict.LASTING:
        seconds = settings.lasting
    else:
        seconds = min(settings.longest, settings.seconds * 2.0**breaks)
    seconds *= 0.75 + random / 2  # equal on average
    return Breaker(breaker.generation + 1, now + seconds, closed_at=breaker.closed_at, breaks=breaks + 1)
