"""Affinity criteria that outrank any strategy; for prompt cache affinity see `strategies`. Pure.

The criteria: the task, an open tool call, and that backups come last.
Prompt cache affinity is part of each strategy, because it weighs against cost, load and latency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from multiroute_core.messages import Raw, ToolCall
from multiroute_core.options import Options
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.route import Route
from multiroute_core.types import Request

_BACKUP = attrgetter("backup")


@dataclass(frozen=True, slots=True)
class SortCriterion:
    """One criterion that places a route before another.

    Attributes:
        key: The sort key, lower first; None changes nothing.
        explain: The explanation for a route; empty for none.
    """

    key: Callable[[Route], Any] | None
    explain: Callable[[Route], str]


def preferences(
    request: Request, routes: Sequence[Route], options: Options, facts: Mapping[str, RouteCapabilities]
) -> Sequence[SortCriterion]:
    """Return the criteria that outrank any strategy, the weakest first."""
    steps: list[SortCriterion] = []
    if (task := options.task) is not None:
        fits = {r.name: 0 if task in r.tasks else 1 if not r.tasks else 2 for r in routes}
        fit_reasons = (f"suits task {task!r}", "suits any task", f"does not suit task {task!r}")
        steps.append(SortCriterion(lambda r: fits[r.name], lambda r: fit_reasons[fits[r.name]]))
    if (call := open_call(request)) is not None:
        goes_on = {r.name: 2 if facts[r.name].api != call.api else 0 if r.model == call.model else 1 for r in routes}
        wait_reasons = ("its model made the open tool call", "its provider made the open tool call", "")
        steps.append(SortCriterion(lambda r: goes_on[r.name], lambda r: wait_reasons[goes_on[r.name]]))
    if any(map(_BACKUP, routes)):
        steps.append(SortCriterion(_BACKUP, lambda r: "a backup, after all others" if r.backup else ""))
    return steps


def open_call(request: Request) -> Raw | None:
    """Return the raw tool call whose result the last message contains: its provider should continue if possible."""
    if request.messages[-1].role != "tool":
        return None
    turns = (message.parts for message in reversed(request.messages) if message.role == "assistant")
    return next((part.raw for part in next(turns, ()) if isinstance(part, ToolCall) and part.raw is not None), None)
