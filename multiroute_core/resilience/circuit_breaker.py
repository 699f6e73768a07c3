"""Circuit breaker: when a route is skipped and when it is probed again.

    closed ── failures in a row, or half of all calls, or a permanent one ──▶ open ── its break ends ──▶ half open
      ▲                                                                       ▲                     │ one probe
      └──────────────────────── the probe succeeds ───────────────────────────┼─────────────────────┤ at a time
                                                                              └── the probe fails ──┘

Each break is twice as long as the one before, until the route has been healthy for a while; breaks are jittered, so
that a fleet does not come back at once. Admission issues a permit with the current *generation* (as sony/gobreaker
does), so that a late result changes nothing. A permit settled without a verdict (the caller cancelled, or is at fault)
returns its probe. A probe is a lease: an abandoned stream that never settles does not keep the route open. (Polly and
resilience4j check only the current state, so a stale success closes theirs.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from multiroute_core.resilience.admission import Permit, Rejection, Verdict

Condition: TypeAlias = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When the breaker opens and for how long. All times are in seconds.

    Attributes:
        failures: Consecutive failures that open it.
        ratio: The share of failures within the window that opens it as well.
        calls: The minimum calls in the window before the ratio counts.
        window: The length of the window; it advances by halves.
        seconds: The first break; each one after it is twice as long.
        longest: The maximum break.
        permanent: The break after a permanent failure.
        forget: How long a route must be healthy before its next break is a first one again.
        probe: How long a probe may stay unsettled before another one is admitted.
    """

    failures: int = 3
    ratio: float = 0.5
    calls: int = 10
    window: float = 60.0
    seconds: float = 5.0
    longest: float = 300.0
    permanent: float = 300.0
    forget: float = 60.0
    probe: float = 120.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one route's breaker. Times are moments on the caller's clock, in seconds.

    Attributes:
        generation: Counts its state changes; a permit of another generation changes nothing.
        opened_until: The end of its break; None while it is closed.
        probe_until: The end of the current probe's lease; None without a probe.
        closed_at: When it last closed.
        breaks: The number of breaks since it was last healthy for long.
        run: Consecutive failures.
        half: When the current half of the window began.
        calls: Calls within this half.
        failed: Failed calls within this half.
        calls_before: Calls within the half before.
        failed_before: Failed calls within the half before.
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
        """Return the state's name."""
        if self.opened_until is None:
            return "closed"
        return "open" if now < self.opened_until else "half_open"


def admit(
    breaker: Breaker, settings: BreakerSettings, now: float, *, early: bool = False
) -> tuple[Breaker, Permit | Rejection]:
    """Request a permit for the route.

    Args:
        breaker: The current state.
        settings: The settings.
        now: The current time.
        early: Admit a probe before the break ends. The retry plan requests it when every route is rejected.

    Returns:
        The new state, and either a permit or a rejection.
    """
    if breaker.opened_until is None:
        return breaker, Permit(breaker.generation)
    if (stop := shut(breaker, now, early=early)) is not None:
        return breaker, stop
    # A new generation for each probe: an abandoned probe that settles late must not decide for its successor.
    generation = breaker.generation + 1
    return replace(breaker, probe_until=now + settings.probe, generation=generation), Permit(generation, True)


def shut(breaker: Breaker, now: float, *, early: bool = False) -> Rejection | None:
    """Return why the route rejects a call now; None if it accepts one."""
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
    """Settle a permit with its verdict and return the new state.

    Args:
        breaker: The current state.
        settings: The settings.
        now: The current time.
        permit: The permit.
        verdict: The result of the attempt.
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
    if verdict is Verdict.PERMANENT or next_breaker.run >= settings.failures or often:
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
    return Breaker(  # faster than `replace`, which would dominate the cost of this function; runs once per call
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
    if verdict is Verdict.PERMANENT:
        seconds = settings.permanent
    else:
        seconds = min(settings.longest, settings.seconds * 2.0**breaks)
    seconds *= 0.75 + random / 2  # equal on average
    return Breaker(breaker.generation + 1, now + seconds, closed_at=breaker.closed_at, breaks=breaks + 1)
