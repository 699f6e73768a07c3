"""Settings that are valid and do nothing, or not what they seem to: warnings of a check. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from multiroute_core.cli.checks.results import Problem
from multiroute_core.configuration.inspection import InspectedRoute
from multiroute_core.engine.attempt import TimeLimits
from multiroute_core.errors import ConfigurationError
from multiroute_core.providers import registry
from multiroute_core.route import Route

_INDEPENDENT = frozenset(("name", "backup", "weight", "rate_limit_group", "api_key"))
"""What may differ between two routes that fail together; the key is compared as it is sent."""


def find_idle_settings(arguments: Mapping[str, Any], inspected: Sequence[InspectedRoute]) -> Iterator[Problem]:
    """Yield a warning for each setting that has no effect, and for each that keeps a route from taking over.

    Args:
        arguments: The arguments of the router.
        inspected: Its routes; empty if they come from the environment.
    """
    pairs = [(one, one.route) for one in inspected if one.route is not None]
    if not pairs or len(pairs) < len(inspected):
        return  # what a route will be is not known yet
    yield from _find_twins(pairs)
    if len(pairs) == 1:
        if arguments.get("hedge_budget"):
            message = "it has no effect with one route: a hedge goes to another one; add a route, or leave it out."
            yield _warn(("hedge_budget",), message)
        return
    if all(route.backup for _, route in pairs):
        message = "all routes are backups, which is the same as none; leave backup out of the routes to ask first."
        yield _warn(("routes",), message)
    yield from _find_greedy_attempts(arguments, pairs)


def _find_twins(pairs: Sequence[tuple[InspectedRoute, Route]]) -> Iterator[Problem]:
    for place, (one, route) in enumerate(pairs):
        for _, earlier in pairs[:place]:
            if _fail_together(route, earlier):
                message = (
                    f"it has the account and the model of {earlier.name!r}, and fails when that fails; give it another "
                    "model, key or address, or leave it out."
                )
                yield Problem("file", message, one.path, route.name, is_warning=True)
                break


def _fail_together(route: Route, other: Route) -> bool:
    names = (field.name for field in fields(Route) if field.name not in _INDEPENDENT)
    return all(getattr(route, name) == getattr(other, name) for name in names) and _key(route) == _key(other)


def _key(route: Route) -> str | None:
    try:
        return None if route.llm is not None else str(registry.api_key(route))
    except ConfigurationError:
        return None


def _find_greedy_attempts(
    arguments: Mapping[str, Any], pairs: Sequence[tuple[InspectedRoute, Route]]
) -> Iterator[Problem]:
    """Yield a warning where one attempt that hangs may use up the deadline: no time is left for another route."""
    deadline = arguments.get("deadline")
    if not isinstance(deadline, int | float) or arguments.get("hedge_budget"):
        return
    setting = arguments.get("attempt_timeout", TimeLimits().attempt)
    default = setting if isinstance(setting, int | float) else math.inf  # "none"
    for one, route in pairs:
        seconds = default if route.timeout is None else route.timeout
        if seconds >= deadline and not route.backup:
            shown = "unlimited" if math.isinf(seconds) else f"{seconds:g} s"
            place = ("attempt_timeout",) if route.timeout is None else (*one.path, "timeout")
            path = place if route.timeout is not None or "attempt_timeout" in arguments else ("deadline",)
            message = (
                f"the time of one attempt is {shown}, and the deadline {deadline:g} s: a route that hangs leaves no "
                "time for the next one; set attempt_timeout below the deadline."
            )
            yield _warn(path, message, route.name if route.timeout is not None else "")
            return


def _warn(path: tuple[str | int, ...], message: str, route: str = "") -> Problem:
    return Problem("file", message, path, route, is_warning=True)
