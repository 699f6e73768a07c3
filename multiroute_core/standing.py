"""How a route is doing: what orders and people look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Standing:
    """How a route is doing at one moment.

    Attributes:
        breaker: Whether it is asked (`"closed"`), left alone (`"open"`), or about to be probed (`"half_open"`).
        open_seconds: Seconds until asking it makes sense; 0 is now.
        in_flight: Calls that are being worked on, by it and the other routes of its quota.
        limit: How many it takes at once, as it was told or as its refusals taught; None for any number.
        first_token_seconds: To the first token of a stream, typically, of late; None where none is known.
        seconds: To a whole answer that is not streamed, typically, of late.
        samples: How many answers stand behind those.
        requests_left: Requests that it would still take now; None for unknown.
        tokens_left: Tokens that it would still take now; None for unknown.
    """

    breaker: Literal["closed", "open", "half_open"] = "closed"
    open_seconds: float = 0.0
    in_flight: int = 0
    limit: float | None = None
    first_token_seconds: float | None = None
    seconds: float | None = None
    samples: int = 0
    requests_left: float | None = None
    tokens_left: float | None = None
