"""Serialization of the script arguments and replies."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from multiroute_core.resilience.admission import Permit, RejectionReason
from multiroute_core.resilience.provider_limits import RateLimitHeaders
from multiroute_core.resilience.rate_limits import RateLimitSettings
from multiroute_core.route import Route
from multiroute_core.state.breaker_log import Opening
from multiroute_core.state.scripts import script

encode = msgspec.msgpack.encode


class Admission(msgspec.Struct):
    """The reply of `admit` and `confirm`; `closed` is whether `confirm` closed the breaker."""

    reason: RejectionReason | None = None
    seconds: float = 0.0
    generation: int = 0
    probe: bool = False
    mark: float = 0.0
    closed: bool = False


class Settled(msgspec.Struct):
    """The reply of `settle`.

    Attributes:
        counted: Whether the verdict counted.
        opened: The breakers that it opened.
        generation: Of the route's breaker that it closed; None if it closed none.
    """

    counted: bool
    opened: list[Opening] = []
    generation: int | None = None


class HealthReply(msgspec.Struct):
    """The reply of `standing`: numbers as of `RouteHealth`.

    Attributes:
        blocked: Why the route is unavailable besides its breaker, such as `"rate_limit"`; None if nothing else blocks
            it.
    """

    breaker: Literal["closed", "open", "half_open"]
    retry_in: float
    in_flight: int
    limit: float | None = None
    requests_left: float | None = None
    tokens_left: float | None = None
    blocked: str | None = None


read_admission = msgspec.msgpack.Decoder(Admission).decode
read_settled = msgspec.msgpack.Decoder(Settled).decode
read_health = msgspec.msgpack.Decoder(HealthReply).decode


class Quota:
    """The Redis keys of a rate limit group, and its configured limits.

    Attributes:
        keys: Its limit state, its routes' breakers and its slots in flight. They share a hash tag, so that a cluster
            keeps them on one shard.
        routes: The names of its routes, as far as this process knows them.
        settings: Its limits.
        limits: The same, encoded for the scripts.
    """

    __slots__ = ("keys", "limits", "routes", "settings")

    def __init__(self, prefix: str, name: str) -> None:
        tag = f"{{{prefix}:{quote(name, safe='-._/')}}}"
        self.keys = f"{tag}:allowance", f"{tag}:breakers", f"{tag}:places"
        self.routes: list[str] = []
        self.settings = RateLimitSettings()
        self.limits = msgspec.Raw(encode(self.settings))

    def know(self, route: Route) -> None:
        """Add a route."""
        settings = self.settings
        self.routes.append(route.name)
        self.settings = RateLimitSettings(
            route.rpm or settings.rpm, route.tpm or settings.tpm, route.max_concurrency or settings.max_concurrency
        )
        self.limits = msgspec.Raw(encode(self.settings))


@dataclass(frozen=True, slots=True)
class Settling:
    """The command that settles a permit; built when it is sent, since it contains the time elapsed since `at`.

    Attributes:
        keys: The rate limit group's.
        arguments: The other arguments of the script.
        at: The moment of the settlement, on this process's monotonic clock.
    """

    keys: tuple[str, ...]
    arguments: dict[str, Any]
    at: float

    def __call__(self, again: bool, /) -> tuple[Any, ...]:  # noqa: FBT001  (it is a `Command`)
        age = 0.0 if "now" in self.arguments else time.monotonic() - self.at
        return script("settle"), self.keys, encode({**self.arguments, "age": age, "again": again})


def of_breaker(permit: Permit) -> dict[str, Any]:
    """Return the fields of a permit that the breaker needs."""
    return {"generation": permit.generation, "probe": permit.probe}


def since(headroom: RateLimitHeaders | None, now: float) -> dict[str, dict[str, float]] | None:
    """Return reported limits with their moments in seconds from now, because Redis has another clock."""
    if headroom is None:
        return None
    levels = {name: level for name in RateLimitHeaders.__slots__ if (level := getattr(headroom, name)) is not None}
    return {name: {**asdict(level), "reset": level.reset - now, "at": level.at - now} for name, level in levels.items()}
