"""Route health, as used by strategies and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RouteHealth:
    """The health of a route at one moment.

    Attributes:
        breaker: The state of its circuit breaker: `"closed"` (in use), `"open"` (skipped) or `"half_open"` (next call
            probes).
        retry_in: Seconds until it accepts requests; 0 means now.
        in_flight: Calls in flight on it and on the other routes of its rate limit group.
        limit: Its concurrency limit, configured or learned from rate limit errors; None for no limit.
        time_to_first_token: Typical recent seconds to the first token of a stream; None if unknown.
        latency: Typical recent seconds to a response that is not streamed; None if unknown.
        samples: The number of responses behind those two values.
        requests_left: Requests that it accepts now; None if unknown.
        tokens_left: Tokens that it accepts now; None if unknown.
        reason: Why it is unavailable: the code of the failure that keeps its breaker open (`"authentication"`,
            `"quota_exhausted"`, `"not_found"`, `"server_error"`, `"timeout"`, …), `"open"` if this process has not seen
            that failure, `"rate_limit"` or `"limit"`; None while it is available.
        last_error: Its last failure in a short form that is safe to log, such as `"authentication (HTTP 401,
            invalid_api_key)"`; it stays when the route recovers. None before the first one.
        since: When its breaker opened, in seconds since 1970; None while it is closed or if unknown.
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
