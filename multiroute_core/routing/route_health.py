"""How a route is doing: what orders and people look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RouteHealth:
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
        reason: Why it is not used now: the code of the failure that keeps its breaker open (`"authentication"`,
            `"quota_exhausted"`, `"not_found"`, `"server_error"`, `"timeout"`, …), `"open"` where this process has not
            seen that failure, `"rate_limit"` or `"limit"`; None while it is used.
        last_error: Its last failure in a few words that are safe to log, such as
            `"authentication (HTTP 401, invalid_api_key)"`; it stays when the route recovers. None for none yet.
        since: When its breaker opened, in seconds since 1970; None while it is closed or where that is not known.
    """

    breaker: Literal["closed", "open", "half_open"] = "closed"
    retry_in: float = 0.0
    in_flight: int = 0
    limit: float | None = None
    time_to_first_token: float | None = None
    latency: float | None = None
    samples: int = 0
    requests_left: float | None = None
    tokens_left: float | None = None
    reason: str | None = None
    last_error: str | None = None
    since: float | None = None
