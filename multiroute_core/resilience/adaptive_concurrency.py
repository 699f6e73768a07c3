"""Adaptive concurrency: client-side throttling, a limit on calls in flight that is learned from rate limit errors.

No limit exists until a provider first rejects a call for its rate. Then the limit is four fifths of the calls in
flight, once per episode: calls that were sent together are rejected together and count as one signal. Afterwards the
limit grows by a twentieth per round of answers while it is used as far as batch calls may use it; it is dropped after a
long time of low use.
(Additive increase, multiplicative decrease, as inspect_ai does it. Latency is not a signal here: it depends on the
length of the answer.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from multiroute_core.resilience.admission import BATCH_RESERVE
from multiroute_core.resilience.token_bucket import required

CUT = 0.8
GROWTH = 0.05
UNUSED = 0.5
EPISODE_SECONDS = 15.0
FORGET_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Concurrency:
    """The state. Times are moments on the caller's clock, in seconds.

    Attributes:
        limit: The maximum calls in flight, 1 or more; None for no limit.
        calm_at: When the last episode ends.
        answers: The answers of this round; a round has as many as the limit allows calls.
        most: The most calls in flight at one of them.
    """

    limit: float | None = None
    calm_at: float = 0.0
    answers: int = 0
    most: int = 0


def admits(state: Concurrency, most: int | None, in_flight: int, reserve: float = 0.0) -> bool:
    """Whether one more call may start beside `in_flight` others.

    Args:
        state: The state.
        most: A fixed maximum; None for none.
        in_flight: The calls in flight.
        reserve: The share of the limit that must be left free afterwards, 0 to 1; see `token_bucket.required`.
    """
    if most is not None and in_flight >= most:
        return False
    if not reserve:
        return state.limit is None or in_flight + 1 <= state.limit
    limits = [limit for limit in (most, state.limit) if limit is not None]
    return not limits or in_flight + required(1.0, min(limits), reserve) <= min(limits)


def record_answer(state: Concurrency, now: float, in_flight: int) -> Concurrency:
    """Record an answer; it is still counted in `in_flight`."""
    if state.limit is None or now < state.calm_at:  # calls sent before the cut say nothing about the new limit
        return state
    answers = state.answers + 1
    most = max(state.most, in_flight)
    if answers < state.limit:
        return replace(state, answers=answers, most=most)
    # As many as a batch may have in flight, so that the limit also grows while a batch alone uses the route.
    if most >= int(state.limit + 1.0 - required(1.0, state.limit, BATCH_RESERVE)):
        # At least by one: a twentieth of a small limit would not raise it for a long time.
        return Concurrency(state.limit + max(1.0, GROWTH * state.limit), state.calm_at)
    if most < UNUSED * state.limit and now >= state.calm_at + FORGET_SECONDS:
        return Concurrency(None, state.calm_at)
    return Concurrency(state.limit, state.calm_at)


def limited(state: Concurrency, now: float, in_flight: int, retry_after: float | None) -> Concurrency:
    """Record a call that was rejected for its rate; it is still counted in `in_flight`.

    Args:
        retry_after: The provider's retry-after in seconds: the episode lasts at least as long.
    """
    calm_at = max(state.calm_at, now + max(EPISODE_SECONDS, retry_after or 0.0))
    if now < state.calm_at:
        return replace(state, calm_at=max(state.calm_at, now + (retry_after or 0.0)), answers=0, most=0)
    if in_flight < 2:  # sequential calls are rejected for their frequency, which a concurrency limit does not change
        return replace(state, calm_at=calm_at, answers=0, most=0)
    load = in_flight if state.limit is None else min(float(in_flight), state.limit)
    return Concurrency(max(1.0, CUT * load), calm_at)
