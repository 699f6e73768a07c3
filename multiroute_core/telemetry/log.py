"""Logging hook: events as lines in Python's logging."""

from __future__ import annotations

import logging
from typing import Any

from multiroute_core.errors import ConfigurationError, RouteError
from multiroute_core.events import AttemptEnded, Event, RequestEnded
from multiroute_core.types import Usage


class LogEvents:
    """A hook that logs one line per attempt and one per request: `Router(on_event=[LogEvents()])`.

    Each line describes the event in words and carries the same data as fields of its log record, for JSON formatters:
    `multiroute_event` (`"attempt"` or `"request"`), `multiroute_request_id`, `multiroute_outcome`, `multiroute_route`,
    `multiroute_provider`, `multiroute_model`, `multiroute_seconds`, `multiroute_input_tokens`,
    `multiroute_output_tokens`, `multiroute_cost` (USD), and more if known; unknown values are None.

    No line contains a message, a response, a key, or a provider's error text, which may quote any of them.

    Args:
        logger: The logger; None for `multiroute_core.events`.
        level: The level for successes, as a number or a name. Failures are logged as `WARNING`, or at `level` if that
            is higher.

    Raises:
        ConfigurationError: if the level does not exist.

    Example:
        >>> router = Router(routes, on_event=[LogEvents(level="DEBUG")])  # doctest: +SKIP
    """

    def __init__(self, logger: logging.Logger | None = None, level: int | str = logging.INFO) -> None:
        self.logger = logging.getLogger("multiroute_core.events") if logger is None else logger
        level_number = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
        if level_number is None:
            raise ConfigurationError(
                f"level={level!r} is not a valid logging level; expected 'DEBUG', 'INFO' or 'WARNING'."
            )
        self.level = level_number

    event_types = AttemptEnded, RequestEnded

    def __call__(self, event: Event) -> None:
        """Handles an event."""
        if isinstance(event, AttemptEnded):
            self._attempt(event)
        elif isinstance(event, RequestEnded):
            self._request(event)

    def __repr__(self) -> str:
        return f"LogEvents({self.logger.name!r}, level={logging.getLevelName(self.level)})"

    def _attempt(self, event: AttemptEnded) -> None:
        level = self._level(failed=event.error is not None)
        if not self.logger.isEnabledFor(level):
            return
        attempt = event.attempt
        status = None if event.error is None else event.error.status
        fields = {
            "provider": attempt.provider,
            "model": attempt.model,
            "first_token_seconds": attempt.first_token_seconds,
            "status": status,
            "dropped": list(attempt.dropped),
            "estimated_cost": attempt.estimated_cost,
        } | _used(attempt.usage, attempt.cost)
        what = "succeeded" if attempt.outcome == "success" else attempt.outcome
        what += f" (HTTP {status})" if status else ""
        if event.error is not None:
            what = f"failed, {what},"
        usage = _describe_usage(attempt.usage, attempt.cost)
        line = f"Attempt on {attempt.route!r} {what} in {attempt.seconds:.3f} s{usage}."
        self._write(level, line, event.request_id, "attempt", attempt.outcome, attempt.route, attempt.seconds, fields)

    def _request(self, event: RequestEnded) -> None:
        level = self._level(failed=event.error is not None)
        if not self.logger.isEnabledFor(level):
            return
        response = event.response
        error = event.error
        tries = len(event.attempts)
        costs = [attempt.cost for attempt in event.attempts if attempt.cost is not None]
        fields: dict[str, Any] = {"attempts": tries, "cached": False, "stale": False, "saved_cost": None}
        route = None
        usage = None
        cost = sum(costs) if costs else None
        if error is not None:
            outcome = error.code if isinstance(error, RouteError) else type(error).__name__
            what = f"failed, {outcome},"
        elif response is None:
            outcome = what = "cancelled"
        else:
            route = response.route
            usage = response.usage
            outcome = "cached" if response.cached else "success"
            what = f"answered {'from the cache' if response.cached else f'by {route!r}'}"
            fields |= {"cached": response.cached, "stale": response.stale, "saved_cost": response.saved_cost}
            fields |= {"provider": response.provider, "model": response.model, "finish_reason": response.finish_reason}
        fields |= _used(usage, cost)
        after = f" after {tries} attempts" if tries > 1 else ""
        line = f"Request {event.request_id} {what} in {event.seconds:.3f} s{after}{_describe_usage(usage, cost)}."
        self._write(level, line, event.request_id, "request", outcome, route, event.seconds, fields)

    def _level(self, *, failed: bool) -> int:
        return max(self.level, logging.WARNING) if failed else self.level

    def _write(
        self,
        level: int,
        line: str,
        request_id: str,
        event: str,
        outcome: str,
        route: str | None,
        seconds: float,
        fields: dict[str, Any],
    ) -> None:
        base_fields = {"event": event, "request_id": request_id, "outcome": outcome, "route": route, "seconds": seconds}
        extra = {f"multiroute_{name}": value for name, value in (base_fields | fields).items()}
        self.logger.log(level, "%s", line, extra=extra)


def _used(usage: Usage | None, cost: float | None) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    return {name: getattr(usage, name, None) for name in names} | {"cost": cost}


def _describe_usage(usage: Usage | None, cost: float | None) -> str:
    text = "" if usage is None else f", {usage.input_tokens or 0} input and {usage.output_tokens or 0} output tokens"
    return text if cost is None else f"{text}, ${cost:.6f}"
