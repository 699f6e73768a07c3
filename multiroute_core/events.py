"""Events as frozen records, and the hooks that receive them.

Hooks are observers: they cannot change a request, and an exception in a hook is logged, not raised. A hook is a plain
callable. It runs in the caller's context (including its context variables), on the caller's thread or event loop, so it
should be fast.

Example:
    >>> router = Router(routes, on_event=[print])  # doctest: +SKIP
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, get_args

from multiroute_core.errors import MultiRouteError, RouteError
from multiroute_core.types import Attempt, Request, Response

logger = logging.getLogger("multiroute_core")


class About(NamedTuple):
    """Properties of a request that apply to all of its attempts.

    Attributes:
        stream: Whether the response is streamed.
        tenant: The tenant of the request.
        task: The task of the request.
        labels: The labels of the request, for the ledger and budgets.
    """

    stream: bool = False
    tenant: str | None = None
    task: str | None = None
    labels: frozenset[str] = frozenset()


NOBODY = About()


@dataclass(frozen=True, slots=True)
class RequestStarted:
    """A request started.

    `candidates` are the names of the eligible routes, in the order in which they will be tried.
    """

    request_id: str
    request: Request
    candidates: tuple[str, ...]
    stream: bool
    tenant: str | None = None
    task: str | None = None
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """An attempt on a route started."""

    request_id: str
    route: str
    number: int
    provider: str = ""
    model: str = ""
    region: str | None = None


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The first meaningful content arrived; from here on there is no fallback, unless `on_stream_error` allows it."""

    request_id: str
    route: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt ended; `error` is None on success and when the caller cancelled the attempt."""

    request_id: str
    attempt: Attempt
    error: RouteError | None = None
    about: About = NOBODY


@dataclass(frozen=True, slots=True)
class RouteSkipped:
    """A route was skipped without an attempt.

    `reason` is `"open"`, `"probing"`, `"rate_limit"`, `"limit"`, `"busy"`, `"budget"` or `"unsupported"`; `message` is
    the same as a sentence; `seconds` is the time until the route is available, infinite if it never will be.
    """

    request_id: str
    route: str
    reason: str
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """A request ended: with a response, with an error, or with neither (the caller cancelled it)."""

    request_id: str
    seconds: float
    attempts: tuple[Attempt, ...]
    response: Response | None = None
    error: MultiRouteError | None = None
    about: About = NOBODY


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """Spending crossed a threshold of a budget; sent once per period, also in a fleet.

    Attributes:
        request_id: The request whose attempt crossed the threshold.
        budget: The budget's name.
        scope_value: The tenant, label, route or task that spends; empty for a budget over all requests, or for requests
            without that value.
        threshold: The threshold crossed, as a share of the limit, such as 0.8.
        spent: The amount spent in this period.
        limit: The budget's limit.
        unit: The unit of `spent` and `limit`: USD or tokens.
        resets_at: When the next period begins, in seconds since 1970; None if the budget has a single period.
    """

    request_id: str
    budget: str
    scope_value: str
    threshold: float
    spent: float
    limit: float
    unit: Literal["usd", "tokens"]
    resets_at: float | None = None


@dataclass(frozen=True, slots=True)
class GuardTriggered:
    """A guard did something with a text, or failed.

    Attributes:
        request_id: The request.
        guard: The guard's name.
        action: `"rewrite"`, `"flag"`, `"block"`, `"restrict"`, or `"error"` if the guard failed or took too long.
        reason: Why, in a few words; never the content.
        origin: Where the text comes from: `"system"`, `"user"`, `"assistant"`, `"tool_result"`, `"retrieved"` or
            `"answer"`.
        tenant: The tenant of the request.
    """

    request_id: str
    guard: str
    action: Literal["rewrite", "flag", "block", "restrict", "error"]
    reason: str
    origin: str
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class PromptOptimized:
    """The prompt optimizer has shortened a prompt.

    Attributes:
        request_id: The request.
        tokens_before: The tokens of the prompt as it was.
        tokens_after: The tokens of the prompt that is sent.
        saved_by_rule: The tokens that each rule has saved.
        removed: How many messages were left out.
        summarized: Whether a summary takes their place.
        tenant: The tenant of the request.
    """

    request_id: str
    tokens_before: int
    tokens_after: int
    saved_by_rule: Mapping[str, int]
    removed: int = 0
    summarized: bool = False
    tenant: str | None = None


Event: TypeAlias = (
    RequestStarted
    | AttemptStarted
    | FirstToken
    | AttemptEnded
    | RouteSkipped
    | RequestEnded
    | BudgetAlert
    | GuardTriggered
    | PromptOptimized
)
Hook: TypeAlias = Callable[[Event], None]
"""Receives events. A hook with an attribute `event_types`, a tuple of event classes, receives only those; events
without a receiver are not built, which saves time."""

Listeners: TypeAlias = Mapping[type[Event], tuple[Hook, ...]]
"""The hooks that receive each type of event."""


def listeners(hooks: Sequence[Hook]) -> Listeners:
    """Map each event type to those of `hooks` that receive it."""
    every: tuple[type[Event], ...] = get_args(Event)
    return {kind: tuple(hook for hook in hooks if kind in getattr(hook, "event_types", every)) for kind in every}


def tell(hooks: Sequence[Hook], event: Event) -> None:
    """Send an event to every hook; an exception in one is logged and the others still receive the event."""
    for hook in hooks:
        try:
            hook(event)
        except Exception:
            logger.exception("The event hook %r failed on %s.", hook, type(event).__name__)
