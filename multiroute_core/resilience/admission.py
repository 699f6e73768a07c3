"""What admission to a route gives: a permit, or the reason why there is none; and what comes back with the permit."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from multiroute_core.errors import MultiRouteError
    from multiroute_core.resilience.failure import Failure
    from multiroute_core.resilience.provider_limits import RateLimitHeaders

Why: TypeAlias = Literal["open", "probing", "rate_limit", "limit", "busy", "budget", "unsupported"]


class Verdict(enum.Enum):
    """What a settled permit says about the health of its route."""

    SUCCESS = "success"
    FAILURE = "failure"
    LASTING = "lasting"
    """A failure that will not pass soon, such as a bad key: opens at once, and for long."""
    NONE = "none"
    """Nothing: the caller gave up, the try lost a race, or the fault is the caller's."""


class Place:
    """A place in flight: whoever asks has the only reference to it, and with that it is free again.

    So an interrupt between any two steps of a call leaves no place behind, though no `finally` knows of it yet.
    """

    __slots__ = ("__weakref__",)


class Permit(NamedTuple):
    """Leave to ask a route once.

    Attributes:
        generation: Of the breaker that gave it. A verdict on an older one moves nothing.
        probe: Whether the route is being tried after a break.
        slot: The place in flight that it holds.
        tokens: What was reserved for it.
        mark: All tokens that its quota had given when it was given.
        place: Keeps the place in flight.
    """

    generation: int = 0
    probe: bool = False
    slot: int = 0
    tokens: int = 0
    mark: float = 0.0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """No leave, and why.

    Attributes:
        why: `"open"` (it failed too often), `"probing"` (another caller is trying it), `"rate_limit"` (the provider
            asked to be left alone, or would), `"limit"` (its `rpm` or `tpm` is used up), `"busy"` (as many calls are
            in flight as it takes), `"budget"` (a budget cannot pay for it), or `"unsupported"` (it has refused of late
            what the request needs).
        seconds: Until asking again makes sense.
        error: What the caller is told, if this is why nobody can answer; None where that needs no error of its own.
    """

    why: Why
    seconds: float
    error: MultiRouteError | None = None

    def __str__(self) -> str:
        match self.why:
            case "open":
                return f"it failed too often and is left alone for another {self.seconds:.1f} s"
            case "probing":
                return "it failed too often and another call is probing it now"
            case "rate_limit":
                return f"the provider wants to be left alone for another {self.seconds:.1f} s"
            case "limit":
                return f"its rpm or tpm is used up for another {self.seconds:.1f} s"
            case "busy":
                return "as many calls are in flight as it takes"
            case "budget":
                return str(self.error or "a budget cannot pay for it")
            case "unsupported":
                return str(self.error or "it does not support what the request needs")


class Outcome(NamedTuple):
    """What comes back with a permit.

    Attributes:
        verdict: What the try says about the route's health.
        door: Seconds for which the provider wants to be left alone; None where it did not say so. It counts whatever
            the generation of the permit, since it is a fact about the provider and not a verdict.
        limited: Whether the provider refused the try for its rate limit.
        shared: Whether what it says holds for every route that shares the quota, as spent credit does.
        used: The tokens that it took, input and output; None where nobody said.
        headroom: What the provider's headers say that it would still take.
        first_token: Seconds to the first token of a stream; None where none came.
        seconds: Seconds to a whole answer that was not streamed; None where none came.
        failure: What went wrong, for the log and `Router.health`; None for nothing that concerns the route.
    """

    verdict: Verdict
    door: float | None = None
    limited: bool = False
    shared: bool = False
    used: int | None = None
    headroom: RateLimitHeaders | None = None
    first_token: float | None = None
    seconds: float | None = None
    failure: Failure | None = None
