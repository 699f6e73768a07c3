"""Limit configuration: a rate limit and a concurrency limit for each tenant or label."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError
from multiroute_core.options import invalid, name_unknown_arguments, plain_number, unknown, word, words

LimitScope: TypeAlias = Literal["tenant", "label"]


@dataclass(frozen=True, slots=True, init=False)
class Limit:
    """A limit for each tenant or label: requests and tokens per minute, and calls at once.

    A call counts once, with all its attempts; a response from the cache does not count. A call that exceeds a limit
    fails with a `LimitExceededError` before anything is sent. A call of priority `"batch"` waits instead, and leaves a
    fifth of each limit to interactive calls.

    Args:
        rpm: Requests per minute. As many may come at once after a minute of silence, so in t seconds at most
            `rpm * (1 + t / 60)` are admitted. None for no limit.
        tpm: Tokens per minute, input and output, likewise. A call reserves its estimated tokens, and is charged what
            all of its attempts used. A call larger than the limit counts as the whole limit.
        concurrency: Calls at once. A stream counts until it ends or is closed.
        scope: What has a limit of its own: each `"tenant"` or each `"label"`. Calls without one share a limit. A call
            with several labels counts for each of them, and is admitted by all of their limits or not at all.
        scope_values: The tenants or labels that the limit applies to; None for all.
        name: Identifies the limit in a fleet and in errors; by default derived as in `"rpm/tenant"`. Required if two
            limits would have the same name.

    Raises:
        ConfigurationError: If a value is out of range, or no limit is set.

    Example:
        >>> Router([...], limit=Limit(rpm=60, concurrency=4))  # doctest: +SKIP
    """

    rpm: float | None
    tpm: float | None
    concurrency: int | None
    scope: LimitScope
    scope_values: frozenset[str] | None
    name: str

    @name_unknown_arguments
    def __init__(
        self,
        rpm: float | None = None,
        *,
        tpm: float | None = None,
        concurrency: int | None = None,
        scope: LimitScope = "tenant",
        scope_values: Collection[str] | None = None,
        name: str | None = None,
    ) -> None:
        if rpm is None and tpm is None and concurrency is None:
            raise ConfigurationError("A Limit takes rpm, tpm or concurrency; pass one of them, such as Limit(rpm=60).")
        if scope not in get_args(LimitScope):
            raise unknown("scope", scope, get_args(LimitScope))
        kinds = {"rpm": rpm, "tpm": tpm, "concurrency": concurrency}
        derived = "/".join((*(kind for kind, value in kinds.items() if value is not None), scope))
        values: dict[str, Any] = {
            "rpm": None if rpm is None else _rate("rpm", rpm),
            "tpm": None if tpm is None else _rate("tpm", tpm),
            "concurrency": None if concurrency is None else _count("concurrency", concurrency),
            "scope": scope,
            "scope_values": None if scope_values is None else words("scope_values", scope_values),
            "name": derived if name is None else word("name", name),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    def __str__(self) -> str:
        amounts = ((self.rpm, "rpm"), (self.tpm, "tpm"), (self.concurrency, "at once"))
        texts = [f"{amount:,.12g} {unit}" for amount, unit in amounts if amount is not None]
        return f"{', '.join(texts)} for each {self.scope}"


MOST = 10**12
"""The largest limit."""


def _rate(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < math.inf:
        raise invalid(name, value, "a number per minute of at least 1, or None")
    if value > MOST:
        raise invalid(name, value, f"a number per minute of at most {MOST:,}; None is no limit")
    return plain_number(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise invalid(name, value, "a number of calls of at least 1, or None")
    if value > MOST:
        raise invalid(name, value, f"a number of calls of at most {MOST:,}; None is no limit")
    return value
