"""Admission to a route: a permit, or a rejection with its reason; and the outcome that settles a permit."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from multiroute_core.errors import MultiRouteError
    from multiroute_core.resilience.failure import Failure
    from multiroute_core.resilience.provider_limits import RateLimitHeaders

RejectionReason: TypeAlias = Literal["open", "probing", "rate_limit", "limit", "busy", "budget", "unsupported"]


BATCH_RESERVE = 0.2
"""The share of each limit that calls of priority `"batch"` leave to interactive ones."""


class Verdict(enum.Enum):
    """What a settled permit means for the circuit breaker of its route."""

    SUCCESS = "success"
    FAILURE = "failure"
    PERMANENT = "permanent"
    """A failure that will not pass soon, such as a bad key: opens at once, and for long."""
    NONE = "none"
    """No verdict: the caller cancelled, the attempt lost a race, or the request is at fault."""


class Place:
    """A slot in flight, freed when its only reference, held by the caller, is dropped.

    So an interrupt between any two steps of a call leaks no slot, even before a `finally` block is entered.
    """

    __slots__ = ("__weakref__",)


class Permit(NamedTuple):
    """The permission for one attempt on a route.

    Attributes:
        generation: Of the breaker that issued it. A verdict for an older generation changes nothing.
        probe: Whether the attempt probes an open route.
        slot: The slot in flight that it holds.
        tokens: The tokens reserved for it.
        mark: All tokens taken from its rate limit group when it was issued.
        place: Keeps the slot in flight.
    """

    generation: int = 0
    probe: bool = False
    slot: int = 0
    tokens: int = 0
    mark: float = 0.0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected admission and its reason.

    Attributes:
        reason: `"open"` (it failed too often), `"probing"` (another call is probing it), `"rate_limit"` (the provider's
            retry-after or rate-limit headers), `"limit"` (its `rpm` or `tpm` is used up), `"busy"` (its concurrency
            limit is reached), `"budget"` (its cost exceeds a budget), or `"unsupported"` (it recently rejected a
            feature that the request needs).
        seconds: Until a new attempt makes sense.
        error: The error for the caller, if no route can answer for this reason; None if it needs no error of its own.
    """

    reason: RejectionReason
    seconds: float
    error: MultiRouteError | None = None

    def __str__(self) -> str:
        match self.reason:
            case "open":
                return f"its circuit breaker is open for another {self.seconds:.1f} s"
            case "probing":
                return "its circuit breaker is half open, and another call probes it"
            case "rate_limit":
                return f"the provider rate-limited it for another {self.seconds:.1f} s"
            case "limit":
                return f"its rpm or tpm is used up for another {self.seconds:.1f} s"
            case "busy":
                return "its concurrency limit is reached"
            case "budget":
                return str(self.error or "its cost exceeds a budget")
            case "unsupported":
                return str(self.error or "it does not support what the request needs")


class Outcome(NamedTuple):
    """What settles a permit.

    Attributes:
        verdict: What the attempt means for the circuit breaker.
        retry_after: The cooldown in seconds that the provider requested; None if it requested none. It applies
            whatever the generation of the permit, since it is a fact about the provider and not a verdict.
        limited: Whether the provider rejected the attempt for its rate limit.
        shared: Whether the cooldown applies to every route of the rate limit group, as for exhausted credit.
        used: The tokens used, input and output; None if unknown.
        headroom: The remaining limits reported by the provider's headers.
        first_token: Seconds to the first token of a stream; None without one.
        seconds: Seconds to a response that was not streamed; None without one.
        failure: The failure, for the log and `Router.health`; None if the route is not at fault.
    """

    verdict: Verdict
    retry_after: float | None = None
    limited: bool = False
    shared: bool = False
    used: int | None = None
    headroom: RateLimitHeaders | None = None
    first_token: float | None = None
    seconds: float | None = None
    failure: Failure | None = None
