"""What may be spent, by whom, and in which time."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from multiroute_core.errors import ConfigurationError
from multiroute_core.events import BudgetAlert
from multiroute_core.options import unknown, word, words

Period: TypeAlias = Literal["call", "session", "day", "month"]
Scope: TypeAlias = Literal["tenant", "label", "route", "task"]

NANO = 1_000_000_000
"""Money is counted in billionths of a USD: whole numbers have exact sums."""

FOREVER = 2.0**40
"""The end of a session, in seconds since 1970."""

_SPENT: dict[str, str] = {"call": "a call", "session": "a session", "day": "a day", "month": "a month"}


@dataclass(frozen=True, slots=True, init=False)
class Budget:
    """What may be spent. A call reserves what it may take before it is made, and settles what it took.

    A **hard** budget refuses what it cannot pay for, before anything is sent: routes that are too dear are passed over,
    and where none is left the call ends with a `BudgetExceededError`. It holds as exactly as the reserve is an upper
    bound: the prompt's tokens are estimated, and of the answer `max_tokens` are set aside, or 1,024 where that is not
    given. A **soft** one tells, and has calls ask the cheapest routes first once it is spent.

    Money is counted by the prices of `genai-prices`, or the route's own. With a hard budget in USD, every route needs a
    known price.

    Args:
        usd: How much money, in USD.
        tokens: How many tokens, input and output; in place of `usd`.
        per: In which time: `"call"` (one request with all its tries), `"session"` (as long as this router lives; each
            process has its own), `"day"` or `"month"`.
        scope: Who has it. None: all calls together. Or each `"tenant"`, `"label"`, `"route"` or `"task"` has one. Calls
            that name no tenant, label or task have one together.
        scope_values: For these tenants, labels, routes or tasks; None for all.
        hard: Whether it refuses.
        timezone: Where days and months begin: an IANA name such as `"Europe/Berlin"`; UTC by default.
        alerts: At which shares of it somebody is told: 0.8 and 1.0 by default. Each is told once a period.
        on_alert: Who is told besides the log: callables that get a `BudgetAlert`, such as a `Webhook`.
        name: Its identity in a fleet and in alerts: `"usd/day/tenant"`, say, by default; to be given where two would
            share it.

    Raises:
        ConfigurationError: a value is out of range.

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
            raise ConfigurationError("A Budget is of usd or of tokens; give one of them, such as Budget(usd=20).")
        unit, amount = ("usd", usd) if tokens is None else ("tokens", tokens)
        number = isinstance(amount, int | float) and not isinstance(amount, bool) and math.isfinite(amount)
        if not number or amount is None or amount < 0 or (unit == "tokens" and amount != int(amount)):
            raise ConfigurationError(f"{unit}={amount!r} must be a number, 0 or more.")
        for what, value, choices in (("per", per, get_args(Period)), ("scope", scope, (*get_args(Scope), None))):
            if value not in choices:
                raise unknown(what, value, [one for one in choices if one])
        if scope_values is not None and scope is None:
            raise ConfigurationError(
                "scope_values= needs scope=, which says what is meant: 'tenant', 'label', 'route', 'task'."
            )
        if not isinstance(hard, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"hard={hard!r} must be True or False.")
        shares = tuple(sorted(set(alerts)))
        if any(isinstance(share, bool) or not share > 0 for share in shares):
            raise ConfigurationError(f"alerts={alerts!r} must be shares above 0, such as 0.8.")
        hear = (on_alert,) if callable(on_alert) else tuple(on_alert)
        if not all(map(callable, hear)):
            raise ConfigurationError(f"on_alert={on_alert!r:.100} must be callables that get a BudgetAlert.")
        _zone(timezone)
        values: dict[str, Any] = {
            "usd": usd,
            "tokens": tokens,
            "per": per,
            "scope": scope,
            "scope_values": None if scope_values is None else words("scope_values", scope_values),
            "hard": hard,
            "timezone": timezone,
            "alerts": shares,
            "on_alert": hear,
            "name": "/".join(filter(None, (unit, per, scope))) if name is None else word("name", name),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    @property
    def unit(self) -> Literal["usd", "tokens"]:
        """What is counted."""
        return "usd" if self.tokens is None else "tokens"

    @property
    def cap(self) -> int:
        """How much there is, in billionths of a USD or in tokens."""
        return round((self.usd or 0.0) * NANO) if self.tokens is None else int(self.tokens)

    def amount(self, units: int) -> float:
        """What was counted, in USD or in tokens."""
        return units / NANO if self.tokens is None else units

    def format_amount(self, units: int) -> str:
        """What was counted, in words."""
        return f"{units / NANO:,.6g} USD" if self.tokens is None else f"{units:,} tokens"

    @property
    def zone(self) -> tzinfo:
        """Where days and months begin."""
        return _zone(self.timezone)

    def starts(self, at: float) -> tuple[float, ...]:
        """When the periods around a moment begin, in seconds since 1970; the last one is when this one ends.

        The period before is among them: another machine's clock may be behind.
        """
        if self.per not in ("day", "month"):
            return 0.0, FOREVER
        day = datetime.fromtimestamp(at, self.zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if self.per == "day":
            days = [day - timedelta(days=1), day, day + timedelta(days=1)]  # by the calendar, whatever a day lasts
        else:
            first = day.replace(day=1)
            days = [(first - timedelta(days=1)).replace(day=1), first, (first + timedelta(days=32)).replace(day=1)]
        return tuple(one.timestamp() for one in days)

    def resets_at(self, starts: tuple[float, ...]) -> float | None:
        """When it begins anew, in seconds since 1970, by its `starts`; None where it does not."""
        return starts[-1] if self.per in ("day", "month") else None

    def __str__(self) -> str:
        for_whom = f" for each {self.scope}" if self.scope else ""
        return f"{self.format_amount(self.cap)} {_SPENT[self.per]}{for_whom}"


def _zone(name: Any) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ConfigurationError(f"timezone={name!r} is unknown; give an IANA name such as 'Europe/Berlin'.") from error
