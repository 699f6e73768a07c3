"""Budget configuration: the limit, its scope and its period."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal, TypeAlias, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError
from multiroute_core.events import BudgetAlert
from multiroute_core.options import invalid, name_unknown_arguments, plain_number, unknown, word, words

Period: TypeAlias = Literal["call", "session", "day", "month"]
Scope: TypeAlias = Literal["tenant", "label", "route", "task"]

MOST = 10**15
"""The largest budget, in USD or tokens."""

NANO = 1_000_000_000
"""Money is counted in billionths of a USD, as sums of integers are exact."""

FOREVER = 2.0**40
"""End of a session, in seconds since 1970."""

_SPENT: dict[str, str] = {"call": "a call", "session": "a session", "day": "a day", "month": "a month"}


@dataclass(frozen=True, slots=True, init=False)
class Budget:
    """A spending limit. A call reserves the most it may spend before it is sent, and settles its actual spending.

    A **hard** budget rejects what it cannot cover, before anything is sent: routes that are too expensive are skipped,
    and
    if none is left, the call fails with a `BudgetExceededError`. It is as exact as the reservation is an upper bound:
    the
    prompt's tokens are estimated, and `max_tokens` are reserved for the output, or 1,024 if that is unset. A **soft**
    budget only alerts; once it is spent, calls prefer the cheapest routes.

    Money is counted by the prices of `genai-prices`, or by the route's own. With a hard budget in USD, each route needs
    a
    known price.

    Args:
        usd: The limit in USD.
        tokens: The limit in tokens, input and output; instead of `usd`.
        per: The period: `"call"` (one request with all its attempts), `"session"` (the lifetime of this router; each
            process has its own), `"day"` or `"month"`.
        scope: None: one limit for all calls. Otherwise, each `"tenant"`, `"label"`, `"route"` or `"task"` has its own.
            Calls without a tenant, label or task share one.
        scope_values: The tenants, labels, routes or tasks that the budget applies to; None for all.
        hard: Whether the budget rejects calls.
        timezone: The time zone of days and months, an IANA name such as `"Europe/Berlin"`; UTC by default.
        alerts: The shares of the limit that trigger an alert: 0.8 and 1.0 by default. Each is sent once per period.
        on_alert: Callables that receive a `BudgetAlert`, such as a `Webhook`, in addition to the log.
        name: Identifies the budget in a fleet and in alerts; by default derived as in `"usd/day/tenant"`. Required if
            two
            budgets would have the same name.

    Raises:
        ConfigurationError: If a value is out of range.

    Example:
        >>> Router([...], budget=Budget(usd=20, per="day", scope="tenant", hard=True))  # doctest: +SKIP
    """

    usd: float | None
    tokens: int | None
    per: Period
    scope: Scope | None
    scope_values: frozenset[str] | None
    hard: bool
    timezone: str
    alerts: tuple[float, ...]
    on_alert: tuple[Callable[[BudgetAlert], object], ...] = field(repr=False, compare=False)
    name: str

    @name_unknown_arguments
    def __init__(
        self,
        usd: float | None = None,
        *,
        tokens: int | None = None,
        per: Period = "day",
        scope: Scope | None = None,
        scope_values: Collection[str] | None = None,
        hard: bool = False,
        timezone: str = "UTC",
        alerts: Iterable[float] = (0.8, 1.0),
        on_alert: Callable[[BudgetAlert], object] | Sequence[Callable[[BudgetAlert], object]] = (),
        name: str | None = None,
    ) -> None:
        if (usd is None) == (tokens is None):
            raise ConfigurationError("A Budget takes usd or tokens; pass exactly one of them, such as Budget(usd=20).")
        unit, amount = ("usd", usd) if tokens is None else ("tokens", tokens)
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool) and 0 <= amount < math.inf
        if not is_number or amount is None or (unit == "tokens" and amount != int(amount)):
            raise invalid(unit, amount, "a number of at least 0")
        if amount > MOST:
            raise invalid(unit, amount, f"a number of at most {MOST:,}")
        for what, value, choices in (("per", per, get_args(Period)), ("scope", scope, (*get_args(Scope), None))):
            if value not in choices:
                raise unknown(what, value, [one for one in choices if one])
        if scope_values is not None and scope is None:
            raise ConfigurationError("scope_values= needs scope=: one of 'tenant', 'label', 'route', 'task'.")
        if not isinstance(hard, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("hard", hard, "True or False")
        shares = _alert_shares(alerts)
        listeners = (on_alert,) if callable(on_alert) else on_alert
        if not isinstance(listeners, Iterable) or not all(map(callable, listeners := tuple(listeners))):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("on_alert", on_alert, "functions that take a BudgetAlert")
        _zone(timezone)
        values: dict[str, Any] = {
            "usd": None if usd is None else plain_number(usd),
            "tokens": None if tokens is None else plain_number(tokens),
            "per": per,
            "scope": scope,
            "scope_values": None if scope_values is None else words("scope_values", scope_values),
            "hard": hard,
            "timezone": timezone,
            "alerts": shares,
            "on_alert": listeners,
            "name": "/".join(filter(None, (unit, per, scope))) if name is None else word("name", name),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    @property
    def unit(self) -> Literal["usd", "tokens"]:
        """The unit of the limit."""
        return "usd" if self.tokens is None else "tokens"

    @property
    def cap(self) -> int:
        """The limit, in billionths of a USD or in tokens."""
        return round((self.usd or 0.0) * NANO) if self.tokens is None else int(self.tokens)

    def amount(self, units: int) -> float:
        """Convert counted units to USD or tokens."""
        return units / NANO if self.tokens is None else units

    def format_amount(self, units: int) -> str:
        """Format counted units for messages."""
        return f"{units / NANO:,.6g} USD" if self.tokens is None else f"{units:,} tokens"

    @property
    def zone(self) -> tzinfo:
        """The time zone of days and months."""
        return _zone(self.timezone)

    def starts(self, at: float) -> tuple[float, ...]:
        """Return the period starts around a moment, in seconds since 1970; the last one is the current period's end.

        The previous period is included, as another machine's clock may be behind.
        """
        if self.per not in ("day", "month"):
            return 0.0, FOREVER
        day = datetime.fromtimestamp(at, self.zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if self.per == "day":
            days = [day - timedelta(days=1), day, day + timedelta(days=1)]  # calendar days, whatever their length
        else:
            first = day.replace(day=1)
            days = [(first - timedelta(days=1)).replace(day=1), first, (first + timedelta(days=32)).replace(day=1)]
        return tuple(one.timestamp() for one in days)

    def resets_at(self, starts: tuple[float, ...]) -> float | None:
        """Return the end of the period, in seconds since 1970, given its `starts`; None if it never resets."""
        return starts[-1] if self.per in ("day", "month") else None

    def __str__(self) -> str:
        for_whom = f" for each {self.scope}" if self.scope else ""
        return f"{self.format_amount(self.cap)} {_SPENT[self.per]}{for_whom}"


def _alert_shares(alerts: Any) -> tuple[float, ...]:
    """Validate the shares of the limit that trigger an alert."""
    shares: list[Any] = list(cast("Iterable[Any]", alerts)) if isinstance(alerts, Iterable) else [alerts]
    numbers = all(isinstance(share, int | float) and not isinstance(share, bool) and share > 0 for share in shares)
    if not numbers or not isinstance(alerts, Iterable):
        raise invalid("alerts", cast("object", alerts), "shares greater than 0, such as [0.8, 1.0]")
    return tuple(sorted(set(shares)))


def _zone(name: Any) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ConfigurationError(
            f"timezone={name!r} is not a valid time zone; expected an IANA name such as 'Europe/Berlin'."
        ) from error
