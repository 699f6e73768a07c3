"""What happened, as frozen records, and the hooks that hear it.

The flow only *tells*: a hook cannot change what happens, and an error inside one is logged, not raised.
Hooks are plain callables. They run in the caller's context (its context variables included), on the caller's thread
or event loop, so they should be short.

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
    """What a request says of all of its tries.

    Attributes:
        stream: Whether the answer is streamed.
        tenant: On whose behalf.
        task: What it is for.
        labels: What it is booked under.
    """

    stream: bool = False
    tenant: str | None = None
    task: str | None = None
    labels: frozenset[str] = frozenset()


NOBODY = About()


@dataclass(frozen=True, slots=True)
class RequestStarted:
    """A request came in.

    `candidates` are the names of the routes that may answer it, in the order in which they will be asked.
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
    """A route is being asked."""

    request_id: str
    route: str
    number: int
    provider: str = ""
    model: str = ""
    region: str | None = None


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The first meaningful content arrived: no other route answers from here on, unless `on_stream_error` allows it."""

    request_id: str
    route: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A try ended; `error` is None for an answer and for a try that the caller gave up."""

    request_id: str
    attempt: Attempt
    error: RouteError | None = None
    about: About = NOBODY


@dataclass(frozen=True, slots=True)
class RouteSkipped:
    """A route was passed over without being asked.

    `why` is `"open"`, `"probing"`, `"rate_limit"`, `"limit"`, `"busy"`, `"budget"` or `"unsupported"`; `reason` is the
    same as a sentence; `seconds` is the time until the route may be asked, infinite where that never comes.
    """

    request_id: str
    route: str
    reason: str
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """A request ended: with a response, with an error, or with neither (the caller gave it up)."""

    request_id: str
    seconds: float
    attempts: tuple[Attempt, ...]
    response: Response | None = None
    error: MultiRouteError | None = None
    about: About = NOBODY


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """What was spent has crossed a share of a budget; told once a period, also in a fleet.

    Attributes:
        request_id: Whose try it was that crossed it.
        budget: The budget's name.
        scope_value: The tenant, label, route or task that spends; empty for all together, or for those without a name.
        share: What was crossed, such as 0.8.
        spent: What was spent in this period.
        cap: What the budget is.
        unit: What is counted: USD or tokens.
        resets_at: When the next period begins, in seconds since 1970; None for a budget that has one only.
    """

    request_id: str
    budget: str
    scope_value: str
    threshold: float
    spent: float
    limit: float
    unit: Literal["usd", "tokens"]
    resets_at: float | None = None


Event: TypeAlias = (
    RequestStarted | AttemptStarted | FirstToken | AttemptEnded | RouteSkipped | RequestEnded | BudgetAlert
)
Hook: TypeAlias = Callable[[Event], None]
"""One with an attribute `event_types`, a tuple of types of events, is told those only: to make an event takes time."""

Listeners: TypeAlias = Mapping[type[Event], tuple[Hook, ...]]
"""Who hears each type of event."""


def listeners(hooks: Sequence[Hook]) -> Listeners:
    """Who of `hooks` hears what."""
    every: tuple[type[Event], ...] = get_args(Event)
    return {kind: tuple(hook for hook in hooks if kind in getattr(hook, "event_types", every)) for kind in every}


def tell(hooks: Sequence[Hook], event: Event) -> None:
    """Tell every hook; one that fails is logged and the others still hear it."""
    for hook in hooks:
        try:
            hook(event)
        except Exception:
            logger.exception("The event hook %r failed on %s.", hook, type(event).__name__)
