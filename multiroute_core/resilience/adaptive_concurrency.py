"""How many calls may be in flight at once, learned from rate limits.

There is no limit until a provider first refuses a call for its rate. Then the limit is four fifths of what was in
flight, once in an episode: calls that went out together are refused together, and tell one thing. Afterwards it grows
by a twentieth with each round of answers, as long as it is used up; and it is forgotten when it has been far from used
for long. (Additive increase, multiplicative decrease, as inspect_ai does it. Latency tells nothing here: it follows the
length of the answer.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

CUT = 0.8
GROWTH = 0.05
USED = 0.8
"""The share of the limit that must be in flight for an answer to tell that more would go."""
UNUSED = 0.5
EPISODE_SECONDS = 15.0
FORGET_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Concurrency:
    """What is known. Times are moments on the caller's clock, in seconds.

    Attributes:
        limit: The calls that may be in flight, 1 or more; None for no limit.
        calm_at: When the last episode is over.
        answers: The answers of this round; a round has as many as the limit allows calls.
        most: The most calls that were in flight at one of them.
    """

    limit: float | None = None
    calm_at: float = 0.0
    answers: int = 0
    most: int = 0


def admits(state: Concurrency, most: int | None, in_flight: int) -> bool:
    """Whether one more may go out beside `in_flight` others; `most` is a fixed maximum."""
    if most is not None and in_flight >= most:
        return False
    return state.limit is None or in_flight + 1 <= state.limit


def record_answer(state: Concurrency, now: float, in_flight: int) -> Concurrency:
    """An answer came; it is still counted in `in_flight`."""
    if state.limit is None or now < state.calm_at:  # what was sent before the cut says nothing about it
        return state
    answers = state.answers + 1
    most = max(state.most, in_flight)
    if answers < state.limit:
        return replace(state, answers=answers, most=most)
    if most >= USED * int(state.limit):
        # At least by one: a twentieth of a small limit is none for a long while.
        return Concurrency(state.limit + max(1.0, GROWTH * state.limit), state.calm_at)
    if most < UNUSED * state.limit and now >= state.calm_at + FORGET_SECONDS:
        return Concurrency(None, state.calm_at)
    return Concurrency(state.limit, state.calm_at)


def limited(state: Concurrency, now: float, in_flight: int, door: float | None) -> Concurrency:
    """A call was refused for its rate; it is still counted in `in_flight`.

    Args:
        door: Seconds for which the provider wants to be left alone: the episode lasts as long.
    """
    calm_at = max(state.calm_at, now + max(EPISODE_SECONDS, door or 0.0))
    if now < state.calm_at:
        return replace(state, calm_at=max(state.calm_at, now + (door or 0.0)), answers=0, most=0)
    if in_flight < 2:  # one call at a time is refused for how often it comes, which a limit does not change
        return replace(state, calm_at=calm_at, answers=0, most=0)
    load = in_flight if state.limit is None else min(float(in_flight), state.limit)
    return Concurrency(max(1.0, CUT * load), calm_at)
